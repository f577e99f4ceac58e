//! Notes of sessions.

use super::*;

#[tokio::test]
async fn notes_are_kept_in_order_written_anew_in_their_place_and_go_with_their_session() {
    let place = Place::new();
    let database = &place.database;
    place.insert(&session(id(1))).await;
    place.insert(&session(id(2))).await;
    let put = async |number, name: &str, text: &str| {
        database.put_note(id(number), name.to_owned(), text.to_owned()).await.unwrap()
    };
    let begin = put(1, "a", "1").await;
    put(1, "b", "2").await;
    put(2, "a", "3").await;
    let last = put(1, "a", "four").await;
    let texts = async |number, bytes| {
        let notes = database.notes(id(number), bytes).await.unwrap();
        notes.into_iter().map(|note| note.text).collect::<Vec<_>>()
    };
    assert_eq!(texts(1, 100).await, ["four", "2"]);
    assert_eq!(texts(1, 4).await, ["2"], "the latest, as far as there is room");
    let since = database.notes_since(begin, 10).await.unwrap();
    let since: Vec<_> = since.into_iter().map(|note| (note.session, note.text)).collect();
    assert_eq!(since, [(1, "2"), (2, "3"), (1, "four")].map(|(n, t)| (id(n), t.to_owned())));
    assert_eq!(database.notes_since(last, 10).await.unwrap(), []);

    let tombstone = session(id(1)).tombstone();
    database.delete_session(tombstone, None, None).await.unwrap();
    assert_eq!(texts(1, 100).await, Vec::<String>::new());
    let refused = |number| database.put_note(id(number), "a".to_owned(), String::new());
    assert!(matches!(refused(1).await, Err(Error::Deleted(_))));
    assert!(matches!(refused(9).await, Err(Error::Refused(_))));
    assert_eq!(texts(2, 100).await, ["3"]);
}

#[tokio::test]
async fn of_too_many_notes_the_oldest_go() {
    let place = Place::new();
    place.insert(&session(id(1))).await;
    let written = place.database.writer.call(|db| {
        (0..=MAX_NOTES)
            .try_for_each(|n| super::super::notes::put(db, id(1), &n.to_string(), "").map(drop))
    });
    written.await.unwrap();
    let notes = place.database.notes(id(1), 1).await.unwrap();
    assert_eq!(notes.len(), MAX_NOTES as usize);
}
