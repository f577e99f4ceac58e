//! What becomes of writes that fail, and of their neighbours.

use std::sync::mpsc;

use super::*;

/// Lets the writer wait, so that all that is called meanwhile shares one commit.
async fn hold(database: &Database) -> mpsc::Sender<()> {
    let (let_go, held) = mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let writer = database.writer.clone();
    tokio::spawn(async move {
        let waiting = writer.call(move |_| {
            let _ = begun.send(());
            // An error says that the test is over.
            let _ = held.recv();
            Ok(())
        });
        waiting.await
    });
    has_begun.await.unwrap();
    let_go
}

#[tokio::test]
async fn a_write_that_fails_does_not_harm_its_neighbours() {
    let place = Place::new();
    place.insert(&session(id(2))).await;
    let let_go = hold(&place.database).await;
    let half_done = place.database.writer.call(|db| {
        rows::insert_session(db, &session(id(9)), &Settings::default())?;
        Err::<(), _>(Error::Closed)
    });

    let calls = async {
        tokio::join!(
            place.database.insert_session(session(id(1)), Settings::default(), vec![1], None),
            place.database.insert_session(session(id(2)), Settings::default(), vec![1], None),
            half_done,
            place.database.insert_session(session(id(3)), Settings::default(), vec![1], None),
            async { let_go.send(()).unwrap() },
        )
    };
    let (first, taken, half_done, last, ()) = calls.await;

    first.unwrap();
    assert!(matches!(taken, Err(Error::Exists(_))), "{taken:?}");
    assert!(matches!(half_done, Err(Error::Closed)), "{half_done:?}");
    last.unwrap();
    assert_eq!(place.open_again().database.all_ids().await.unwrap(), [id(2), id(1), id(3)]);
}

#[tokio::test]
async fn a_full_disk_in_the_middle_of_a_commit_is_told_to_those_that_it_concerns() {
    let place = Place::new();
    place.insert(&session(id(2))).await;
    // As many pages as there are, and a few more.
    let limit = |more: i64| {
        place.database.writer.call(move |db| {
            let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
            db.pragma_update(None, "max_page_count", pages + more)?;
            Ok(())
        })
    };
    limit(4).await.unwrap();
    let let_go = hold(&place.database).await;

    let calls = async {
        tokio::join!(
            place.database.insert_session(session(id(1)), Settings::default(), vec![1], None),
            place.database.insert_session(
                session(id(7)),
                Settings::default(),
                vec![0; 1 << 20],
                None
            ),
            place.database.insert_session(session(id(3)), Settings::default(), vec![1], None),
            async { let_go.send(()).unwrap() },
        )
    };
    let (before, too_much, after, ()) = calls.await;

    for refused in [before, too_much] {
        let refused = crate::Error::from(refused.unwrap_err());
        assert!(matches!(refused, crate::Error::StorageFull { .. }), "{refused:?}");
    }
    after.unwrap();
    limit(1_000).await.unwrap();
    place.insert(&session(id(4))).await;
    assert_eq!(place.open_again().database.all_ids().await.unwrap(), [id(2), id(3), id(4)]);
}
