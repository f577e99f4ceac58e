use crate::time::Timestamp;
use proptest::{collection, prelude::*};

use super::*;

/// An event of seq 42 that says this.
fn event(kind: Kind, raw: &'static [u8]) -> proto::Event {
    proto::Event {
        session_id: "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21".to_owned(),
        seq: 42,
        time: Some(Timestamp { seconds: 1_700_000_000, nanos: 7 }),
        time_source: proto::TimeSource::Live.into(),
        turn: 2,
        origin: proto::Origin::Agent.into(),
        raw: Bytes::from_static(raw),
        elided: None,
        byte_offset: 0,
        kind: Some(kind),
    }
}

fn completed(details: Details) -> Kind {
    let item = proto::Item {
        id: "item_9".to_owned(),
        r#type: "some_type".to_owned(),
        details: Some(details),
    };
    Kind::ItemCompleted(proto::ItemCompleted { item: Some(item) })
}

const AT: proto::Elided = proto::Elided { size: 5_000_000, turn: 2, byte_offset: 77 };

#[test]
fn a_cut_event_keeps_its_head_and_says_where_the_whole_is() {
    // The head ends before the two-byte character that would cross its end.
    let text = format!("{}é{}", "a".repeat(1023), "b".repeat(5_000_000));
    let whole = event(completed(Details::AgentMessage(proto::AgentMessage { text })), b"{}");

    let cut = elide(whole.clone(), AT, MIN_MAX_EVENT_BYTES);

    let text = "a".repeat(1023);
    let expected = proto::Event {
        raw: Bytes::new(),
        elided: Some(AT),
        kind: Some(completed(Details::AgentMessage(proto::AgentMessage { text }))),
        ..whole
    };
    assert_eq!(cut, expected);
}

#[test]
fn lists_lose_elements_from_their_end_and_no_more_than_needed() {
    let items: Vec<_> = (0..1_000)
        .map(|n| proto::TodoItem { text: format!("{n} {}", "x".repeat(2_000)), completed: true })
        .collect();
    let whole = event(completed(Details::TodoList(proto::TodoList { items })), b"{}");

    let cut = elide(whole, AT, 512 * 1024);

    let Some(Kind::ItemCompleted(proto::ItemCompleted { item: Some(item) })) = cut.kind else {
        panic!("another kind");
    };
    let Some(Details::TodoList(list)) = item.details else { panic!("other details") };
    assert_eq!(list.items.len(), 482);
    for (n, item) in list.items.iter().enumerate() {
        let mut text = format!("{n} {}", "x".repeat(2_000));
        text.truncate(1024);
        assert_eq!(*item, proto::TodoItem { text, completed: true });
    }
}

#[test]
fn json_texts_are_kept_whole_or_not_at_all() {
    let long = format!("[{}]", "1,".repeat(1_000));
    let call = proto::McpToolCall {
        server: "files".to_owned(),
        tool: "read".to_owned(),
        arguments_json: long.clone(),
        result: Some(proto::McpToolCallResult {
            content_json: vec!["1".to_owned(), long.clone(), "2".to_owned()],
            structured_content_json: Some(long),
        }),
        error: None,
        status: "completed".to_owned(),
    };
    let cut = elide(event(completed(Details::McpToolCall(call)), b"{}"), AT, 0);

    let call = proto::McpToolCall {
        server: "files".to_owned(),
        tool: "read".to_owned(),
        arguments_json: String::new(),
        result: Some(proto::McpToolCallResult {
            content_json: vec!["1".to_owned()],
            structured_content_json: None,
        }),
        error: None,
        status: "completed".to_owned(),
    };
    assert_eq!(cut.kind, Some(completed(Details::McpToolCall(call))));
}

#[test]
fn an_event_of_the_server_is_cut_too() {
    let labels = (0..64).map(|n| (format!("{n:063}"), "é".repeat(255))).collect();
    let session = proto::Session {
        session_id: "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21".to_owned(),
        first_prompt: "€".repeat(1_000),
        labels,
        ..proto::Session::default()
    };
    let created =
        Kind::SessionCreated(proto::SessionCreated { session: Some(Box::new(session.clone())) });
    let at = proto::Elided { size: 0, turn: 0, byte_offset: 0 };

    let cut = elide(event(created, b""), at, 0);

    // All labels fit, so that all of them stay.
    let session = proto::Session { first_prompt: "€".repeat(341), ..session };
    let created = Kind::SessionCreated(proto::SessionCreated { session: Some(Box::new(session)) });
    assert_eq!((cut.elided, cut.kind), (Some(at), Some(created)));
}

/// A text that is often short and at times far too long.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zé€🦀]{0,20}",
        1 => ("[a-zé€🦀]{1,8}", 1..200_000_usize).prop_map(|(unit, times)| unit.repeat(times / unit.len())),
    ]
}

fn maybe_text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(text())
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    collection::vec(text(), 0..200)
}

fn details() -> impl Strategy<Value = Option<Details>> {
    let changes = texts().prop_map(|texts| {
        let changes = texts.into_iter();
        let changes = changes.map(|path| proto::FileUpdate { kind: path.clone(), path }).collect();
        Details::FileChange(proto::FileChange { changes, status: String::new() })
    });
    let call = (text(), texts(), maybe_text(), maybe_text()).prop_map(
        |(arguments_json, content_json, structured_content_json, error)| {
            let result = proto::McpToolCallResult { content_json, structured_content_json };
            Details::McpToolCall(proto::McpToolCall {
                server: arguments_json.clone(),
                tool: arguments_json.clone(),
                status: arguments_json.clone(),
                arguments_json,
                result: Some(result),
                error,
            })
        },
    );
    let collab = (text(), texts(), maybe_text()).prop_map(|(tool, threads, prompt)| {
        let state = |status: &String| proto::CollabAgentState {
            status: status.clone(),
            message: prompt.clone(),
        };
        let agents_states = threads.iter().map(|id| (id.clone(), state(id))).collect();
        Details::CollabToolCall(proto::CollabToolCall {
            sender_thread_id: tool.clone(),
            status: tool.clone(),
            tool,
            receiver_thread_ids: threads,
            prompt,
            agents_states,
        })
    });
    let command = (text(), text()).prop_map(|(command, aggregated_output)| {
        Details::CommandExecution(proto::CommandExecution {
            status: command.clone(),
            command,
            aggregated_output,
            exit_code: Some(-1),
        })
    });
    let search = (text(), text()).prop_map(|(query, action_json)| {
        Details::WebSearch(proto::WebSearch {
            search_id: query.clone(),
            action_type: query.clone(),
            query,
            action_json,
        })
    });
    let todo = texts().prop_map(|texts| {
        let items = texts.into_iter().map(|text| proto::TodoItem { text, completed: true });
        Details::TodoList(proto::TodoList { items: items.collect() })
    });
    proptest::option::of(prop_oneof![changes, call, collab, command, search, todo])
}

fn session() -> impl Strategy<Value = proto::Session> {
    (text(), collection::btree_map(text(), text(), 0..64)).prop_map(|(text, labels)| {
        proto::Session {
            session_id: text.clone(),
            agent: text.clone(),
            source: text.clone(),
            title: text.clone(),
            labels: labels.clone(),
            working_directory: text.clone(),
            model: text.clone(),
            thread_id: text.clone(),
            codex_version: text.clone(),
            first_prompt: text.clone(),
            forked_from: text.clone(),
            etag: text.clone(),
            codex_options: Some(proto::CodexOptions {
                config: labels.clone(),
                output_schema: text.clone(),
                add_directories: labels.keys().cloned().collect(),
                profile: text.clone(),
                environment: labels.clone(),
                ..proto::CodexOptions::default()
            }),
            last_turn: Some(proto::Turn { error: text, ..proto::Turn::default() }),
            usage: Some(proto::Usage { input_tokens: -1, ..proto::Usage::default() }),
            ..proto::Session::default()
        }
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        text().prop_map(|thread_id| Kind::ThreadStarted(proto::ThreadStarted { thread_id })),
        text().prop_map(|message| Kind::TurnFailed(proto::TurnFailed { message })),
        text().prop_map(|r#type| Kind::Unknown(proto::Unknown { r#type })),
        (text(), text(), details()).prop_map(|(id, r#type, details)| {
            let item = Some(proto::Item { id, r#type, details });
            Kind::ItemUpdated(proto::ItemUpdated { item })
        }),
        session().prop_map(|session| {
            Kind::SessionCreated(proto::SessionCreated { session: Some(Box::new(session)) })
        }),
        (session(), collection::vec(text(), 0..64)).prop_map(|(session, fields)| {
            let session = Some(Box::new(session));
            Kind::SessionUpdated(proto::SessionUpdated { session, fields })
        }),
        text().prop_map(|text| Kind::TurnSpawned(proto::TurnSpawned {
            codex_version: text.clone(),
            resumed_thread_id: text.clone(),
            prompt: text.clone(),
            forked_thread_id: text,
        })),
    ]
}

/// The first 1,024 bytes, which is what a reader may count on.
fn head(text: &str) -> &str {
    &text[..(0..=text.len().min(1024)).rev().find(|&at| text.is_char_boundary(at)).unwrap()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cut_event_always_fits_and_is_still_the_same_event(
        kind in kind(),
        max_event_bytes in 0..300_000_usize,
    ) {
        let whole = event(kind, b"{}");
        let cut = elide(whole.clone(), AT, max_event_bytes);

        let message = Some(proto::watch_events_response::Message::Event(cut.clone()));
        let size = proto::WatchEventsResponse { message }.encoded_len();
        prop_assert!(size <= max_event_bytes.max(SMALLEST_BYTES), "{size} bytes");
        let expected = proto::Event {
            raw: Bytes::new(),
            elided: Some(AT),
            kind: cut.kind.clone(),
            ..whole.clone()
        };
        prop_assert_eq!(&cut, &expected);
        prop_assert_eq!(
            cut.kind.as_ref().map(crate::event::kind_of),
            whole.kind.as_ref().map(crate::event::kind_of)
        );
        if let (Some(Kind::ItemUpdated(cut)), Some(Kind::ItemUpdated(whole))) = (cut.kind, whole.kind) {
            let (cut, whole) = (cut.item.unwrap(), whole.item.unwrap());
            prop_assert_eq!(cut.id, head(&whole.id));
            prop_assert_eq!(cut.r#type, head(&whole.r#type));
            prop_assert_eq!(cut.details.is_some(), whole.details.is_some());
        }
    }
}
