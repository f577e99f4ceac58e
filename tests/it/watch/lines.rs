//! Lines that are not what codex prints.

use std::fs;

use switchboard::proto::{Event, event::Kind};

use crate::subscriber::{
    Subscriber, create, events, finished, lines, output, raws, read_all, rest, server, to_end,
};

/// The event's kind, with what it says of a line that is not codex's.
fn name(event: &Event) -> String {
    let kind = event.kind.as_ref().unwrap();
    let name = switchboard::event::kind_of(kind).as_str_name();
    let name = name.trim_start_matches("EVENT_KIND_").to_lowercase();
    if let Kind::Unknown(unknown) = kind {
        format!("{name} {}", unknown.r#type)
    } else if let Kind::InvalidLine(line) = kind {
        format!("{name} {}", line.problem)
    } else {
        name
    }
}

#[tokio::test]
async fn every_line_is_an_event_whatever_is_in_it() {
    let server = server();
    let clients = server.connect().await;
    let file = server.work().join("lines");
    let text: &[u8] = b"\n   \n\r\nnot json\n\xff\xfe{}\n17\n[]\n\"x\"\nnull\n{}\n{\"type\":7}\n\
        {\"type\":\"new.thing\",\"n\":1e999}\n{\"type\":\"turn.started\"}\r\n\
        {\"type\":\"x\xe2\x80\xa8y\"}\n{\"type\":\"nul\",\"a\":\"\0\"}\n\
        {\"type\":\"item.completed\",\"item\":{\"id\":\"a\",\"id\":\"b\",\"type\":\"later\"}}\n\
        {\"type\":\"turn.completed\",\"usage\":null}\nlast line without an end";
    fs::write(&file, text).unwrap();
    let id = finished(&server, &clients, &format!("thread,turn,cat:{}", file.display())).await;

    assert!(output(&server, &id, 1).ends_with(text));
    let all = read_all(&clients, &id).await;
    assert_eq!(raws(&all), lines(&server, &id, 1));
    let names: Vec<_> = all.iter().filter(|e| e.byte_offset > 0).map(name).collect();
    assert_eq!(
        names[1..],
        [
            "invalid_line the line is blank",
            "invalid_line the line is blank",
            "invalid_line the line is blank",
            "invalid_line not JSON: expected ident at line 1 column 2",
            "invalid_line not UTF-8 from byte 1",
            "unknown ",
            "unknown ",
            "unknown ",
            "unknown ",
            "unknown ",
            "unknown ",
            "unknown new.thing",
            "turn_started",
            "unknown x\u{2028}y",
            "invalid_line not JSON: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 19",
            "item_completed",
            "turn_completed",
            "invalid_line not JSON: expected value at line 1 column 1",
        ]
    );
    // Each line's offset leads to it.
    let output = output(&server, &id, 1);
    for event in all.iter().filter(|event| event.byte_offset > 0) {
        let begin = usize::try_from(event.byte_offset).unwrap();
        assert!(output[begin..].starts_with(&event.raw));
        assert_eq!(output[begin - 1], b'\n');
    }
}

#[tokio::test]
async fn a_line_without_an_end_is_an_event_once_the_agent_has_ended() {
    let server = server();
    let clients = server.connect().await;
    let gate = server.work().join("gate");
    let script = format!("thread,turn,partial:ab,wait:{},partial:cd,exit:3", gate.display());
    let id = create(&server, &clients, &script).await;
    let mut subscriber = Subscriber::open(&clients, to_end(&id, 1)).await;
    subscriber.until(|event| matches!(event.kind, Some(Kind::TurnStarted(_)))).await;
    fs::write(&gate, "").unwrap();
    let tail = events(subscriber.rest().await);
    assert_eq!(tail[0].raw, b"abcd"[..]);
    assert!(matches!(tail[1].kind, Some(Kind::TurnExited(_))), "{tail:?}");
    assert_eq!(rest(&clients, &id).await.last_turn.unwrap().exit_code, Some(3));
}
