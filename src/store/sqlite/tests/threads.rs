//! Threads of codex, which forks share.

use super::*;

/// A session with this thread, forked from another one's.
fn with_thread(id: SessionId, thread: Option<&str>, source: Option<(SessionId, &str)>) -> Session {
    let fork = |(session, thread): (_, &str)| Fork { session, thread_id: thread.to_owned() };
    Session { thread_id: thread.map(str::to_owned), forked_from: source.map(fork), ..session(id) }
}

#[tokio::test]
async fn a_thread_can_be_forgotten_when_nothing_that_was_forked_from_it_is_left() {
    let place = Place::new();
    let source = with_thread(id(1), Some("a"), None);
    let fork = with_thread(id(2), Some("b"), Some((id(1), "a")));
    let further = with_thread(id(3), Some("c"), Some((id(2), "b")));
    let pending = with_thread(id(4), None, Some((id(3), "c")));
    for session in [&source, &fork, &further, &pending] {
        place.insert(session).await;
    }
    let database = &place.database;
    let delete = |session: &Session| {
        let thread = ForgottenThread::of(session);
        database.delete_session(session.tombstone(), thread, None)
    };
    let forgettable = async || {
        let threads = database.forgettable_threads().await.unwrap();
        threads.into_iter().map(|thread| thread.id).collect::<Vec<_>>()
    };

    for session in [&source, &further, &fork] {
        delete(session).await.unwrap();
        assert_eq!(forgettable().await, [""; 0]);
    }
    delete(&pending).await.unwrap();
    assert_eq!(forgettable().await, ["c"]);
    for session in [&further, &fork, &source] {
        let thread = ForgottenThread::of(session).unwrap();
        assert_eq!(database.refused_to_forget(thread.clone()).await.unwrap(), 1);
        assert_eq!(forgettable().await, [thread.id.as_str()]);
        database.remove_forgotten_thread(thread).await.unwrap();
    }
    assert_eq!(forgettable().await, [""; 0]);
}

#[tokio::test]
async fn a_session_that_was_deleted_meanwhile_is_not_forked() {
    let place = Place::new();
    let source = with_thread(id(1), Some("a"), None);
    place.insert(&source).await;
    place.database.delete_session(source.tombstone(), None, None).await.unwrap();

    let fork = with_thread(id(2), None, Some((id(1), "a")));
    let refused =
        place.database.insert_session(fork, Settings::default(), vec![1], None).await.unwrap_err();

    let refused = crate::Error::from(refused);
    assert!(matches!(refused, crate::Error::SessionDeleted { .. }), "{refused:?}");
    assert_eq!(place.database.all_ids().await.unwrap(), []);
}
