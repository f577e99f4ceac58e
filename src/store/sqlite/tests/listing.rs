//! How sessions are found and listed.

use super::*;

#[tokio::test]
async fn ids_are_found_by_any_prefix_that_is_spelt_as_they_are() {
    let place = Place::new();
    let ids = ["1a2b0000-0000-4000-8000-000000000000", "1a2bffff-ffff-4fff-bfff-ffffffffffff"]
        .map(|id| id.parse::<SessionId>().unwrap());
    for id in ids {
        place.insert(&session(id)).await;
    }
    let find = async |prefix: &str, limit| {
        place.database.ids_with_prefix(prefix.to_owned(), limit).await.unwrap()
    };
    for prefix in ["", "1", "1a2", "1a2b"] {
        assert_eq!(find(prefix, 10).await, ids, "{prefix}");
    }
    for prefix in ["1a2b0", "1a2b0000", "1a2b0000-", "1a2b0000-0000-4000-8000-000000000000"] {
        assert_eq!(find(prefix, 10).await, ids[..1], "{prefix}");
    }
    for prefix in ["1a2bffff-ffff-4fff-b", "1a2bf"] {
        assert_eq!(find(prefix, 10).await, ids[1..], "{prefix}");
    }
    for prefix in
        ["1a2c", "1A2B", "1a2b00000", "1a2b-", "g", "1a2b0000-0000-4000-8000-0000000000000"]
    {
        assert_eq!(find(prefix, 10).await, [], "{prefix}");
    }
    assert_eq!(find("1a2b", 1).await, ids[..1]);
}

#[tokio::test]
async fn ten_thousand_sessions_are_listed_page_by_page_while_more_come() {
    let place = Place::new();
    let states = [SessionState::Completed, SessionState::Failed];
    let new = |number: u32| {
        let state = states[number as usize % 2];
        Session { last_turn: Some(turn(1, state)), ..session(id(number)) }
    };
    // In one transaction, as the order of their numbers is what counts here.
    let sessions: Vec<Session> = (1..=10_000).map(new).collect();
    let inserted = place.database.writer.call(move |db| {
        for session in &sessions {
            rows::insert_session(db, session, &Settings::default())?;
            rows::upsert_turn(db, session.id, session.last_turn.as_ref().unwrap())?;
        }
        Ok(())
    });
    inserted.await.unwrap();
    let pages = async |filter: Filter| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = place.database.list(filter.clone(), after, 999).await.unwrap();
            let Some((last, _)) = page.last() else { return found };
            after = Some(*last);
            found.extend(page.into_iter().map(|(_, session)| session));
            // Whoever comes later is newer, and on no later page.
            place.insert(&session(SessionId::random())).await;
        }
    };

    let all: Vec<Session> = (1..=10_000).rev().map(new).collect();
    assert_eq!(pages(Filter::default()).await, all);
    let failed = Filter { states: vec![SessionState::Failed], ..Filter::default() };
    let expected: Vec<Session> =
        all.iter().filter(|session| session.state() == SessionState::Failed).cloned().collect();
    assert_eq!(pages(failed).await, expected);
    let prefixed = Filter {
        id_prefix: "000012".to_owned(),
        states: vec![SessionState::Completed],
        ..Filter::default()
    };
    let expected: Vec<Session> = (1_200..1_300).rev().step_by(2).map(|n| new(n - 1)).collect();
    assert_eq!(pages(prefixed).await, expected);
}

#[tokio::test]
async fn places_in_the_queue_are_those_of_the_moment() {
    let place = Place::new();
    for number in 1..=4 {
        let state = if number == 2 { SessionState::Running } else { SessionState::Queued };
        let last_turn = Some(turn(1, state));
        place.insert(&Session { last_turn, ..session(id(number)) }).await;
    }
    let places = async || {
        let listed = place.database.list(Filter::default(), None, 10).await.unwrap();
        let mut places = Vec::new();
        for (_, session) in listed.into_iter().rev() {
            let alone = place.stored(session.id).await.session.queue_position;
            assert_eq!(session.queue_position, alone);
            places.push(alone);
        }
        places
    };
    assert_eq!(places().await, [Some(1), None, Some(2), Some(3)]);
    let first = Session { last_turn: Some(turn(1, SessionState::Running)), ..session(id(1)) };
    place.database.apply(first, Seq(1), 0).await.unwrap();
    assert_eq!(places().await, [None, None, Some(1), Some(2)]);
}

#[tokio::test]
async fn those_that_changed_last_are_listed_first_and_each_once() {
    let place = Place::new();
    for number in 1..=5_u32 {
        let changed = at(u64::from(10 * (number % 3)));
        place.insert(&Session { update_time: changed, ..session(id(number)) }).await;
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = place.database.list_recent(Filter::default(), after, 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        found.extend(page.into_iter().map(|(_, session)| session.id));
    }
    assert_eq!(found, [5, 2, 4, 1, 3].map(id));
}

#[tokio::test]
async fn sessions_are_found_by_a_label() {
    let place = Place::new();
    let labels = [("project".to_owned(), "p\"".to_owned())].into();
    place.insert(&Session { labels, ..session(id(1)) }).await;
    place.insert(&session(id(2))).await;
    let found = place.database.labelled("project").await.unwrap();
    assert_eq!(found, [(id(1), "p\"".to_owned())].into());
    let applied = place.database.applied_seqs().await.unwrap();
    assert_eq!(applied, [(id(1), Seq::ZERO), (id(2), Seq::ZERO)].into());
}
