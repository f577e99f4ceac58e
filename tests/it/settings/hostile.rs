//! JSON that two programs could read differently, and JSON without an end.

use switchboard::proto::{UpdateMode, UpdateSettingsRequest};

use super::shared::{check_audit, entries, get, many, one, pending, refused, set, update};
use crate::ledger;

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_could_be_read_in_two_ways_or_not_by_all_are_refused_and_change_nothing() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let too_deep = nested(65);
    let long_number = "9".repeat(5_000);
    for value in [
        "",
        " ",
        "nul",
        "NaN",
        "Infinity",
        "01",
        "1.",
        ".5",
        "+1",
        "'a'",
        "[1,]",
        "{\"a\":1,}",
        "1 2",
        "// 1\n1",
        "\u{feff}1",
        "\"\u{1}\"",
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#"{"\ud800":1}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"[[{"x":{"b":1,"c":{},"b":1}}]]"#,
        "1e400",
        r#"{"a":[-1e309]}"#,
        &long_number,
        &too_deep,
        &"[".repeat(500_000),
    ] {
        let told = set(&clients, &id, "k", value).await;
        assert_eq!(refused(told), "INVALID_ARGUMENT", "{value:.80}");
        let map = format!("{{\"k\":{value}}}");
        for mode in [UpdateMode::Merge, UpdateMode::Replace] {
            let told = update(&clients, many(&id, &map, mode)).await;
            assert_eq!(refused(told), "INVALID_ARGUMENT", "{map:.80}");
        }
    }
    for map in ["null", "[]", "1", "\"{}\"", "", "{} {}", r#"{"a":1,"a":1}"#, "{\"a\"}"] {
        let told = update(&clients, many(&id, map, UpdateMode::Merge)).await;
        assert_eq!(refused(told), "INVALID_ARGUMENT", "{map}");
    }
    assert_eq!((get(&clients, &id).await.as_str(), entries(&clients).await), ("{}", vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_and_has_one_meaning_comes_back_as_it_was_written_also_after_a_restart() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let deepest = nested(64);
    let values = [
        "1e300",
        "-0",
        "0.10",
        "1E+2",
        "9007199254740993",
        "-123456789012345678901234567890.000",
        r#"{"__proto__":{"polluted":true},"constructor":{"prototype":1},"":0}"#,
        "\"😀\u{2028}\u{7f}\"",
        "null",
        "[]",
        &deepest,
    ];
    for (number, value) in values.iter().enumerate() {
        set(&clients, &id, &format!("k{number:02}"), value).await.unwrap();
    }
    let escaped = r#" { "k99" : "\ud83d\ude00\u0041\/" , "__proto__" : [ 1 , 2 ] } "#;
    update(&clients, many(&id, escaped, UpdateMode::Merge)).await.unwrap();

    server.kill_and_start();

    let members: Vec<String> =
        values.iter().enumerate().map(|(at, value)| format!("\"k{at:02}\":{value}")).collect();
    let expected = format!("{{\"__proto__\":[1,2],{},\"k99\":\"😀A/\"}}", members.join(","));
    assert_eq!(get(&clients, &id).await, expected);
    // Numbers are compared by their value, and to the last digit.
    for (key, same, other) in [
        ("k00", "10e299", "1e301"),
        ("k01", "0.0e9", "-1"),
        ("k02", "1e-1", "0.1000000000000000000001"),
        ("k04", "9007199254740993.0", "9007199254740992"),
    ] {
        assert_eq!(set(&clients, &id, key, same).await.unwrap().audit_seq, 0, "{key}");
        assert_ne!(set(&clients, &id, key, other).await.unwrap().audit_seq, 0, "{key}");
    }
    check_audit(&clients).await;
}

/// The largest map there may be, its value filled with this letter.
fn largest(letter: &str, more: usize) -> String {
    let frame = r#"{"k":""}"#.len();
    format!(r#"{{"k":"{}"}}"#, letter.repeat((1 << 20) - frame + more))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_of_a_mebibyte_is_kept_and_one_byte_more_is_too_large() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let first = largest("a", 0);
    update(&clients, many(&id, &first, UpdateMode::Replace)).await.unwrap();
    let second = largest("b", 0);
    update(&clients, many(&id, &second, UpdateMode::Merge)).await.unwrap();

    let too_large = "PAYLOAD_TOO_LARGE";
    let told = update(&clients, many(&id, &largest("c", 1), UpdateMode::Replace)).await;
    assert_eq!(refused(told), too_large);
    let told = update(&clients, many(&id, r#"{"l":1}"#, UpdateMode::Merge)).await;
    assert_eq!(refused(told), too_large);
    assert_eq!(refused(set(&clients, &id, "l", "1").await), too_large);
    // A character takes one byte in the request and six in the map.
    let escapes = "\\u0001".repeat(150_000);
    let map = format!("{{\"k\":\"{escapes}\"}}");
    update(&clients, many(&id, &map, UpdateMode::Replace)).await.unwrap();
    let other = format!("\"{}\"", "\\u0001".repeat(30_000));
    assert_eq!(refused(set(&clients, &id, "l", &other).await), too_large);
    // Also what no request may take.
    let told = update(&clients, many(&id, &largest("c", 3 << 20), UpdateMode::Replace)).await;
    assert_eq!(refused(told), too_large);
    let told = update(
        &clients,
        UpdateSettingsRequest { actor: "x".repeat(3 << 20), ..one(&id, "a", "1") },
    );
    assert_eq!(refused(told.await), too_large);

    server.kill_and_start();

    assert_eq!(get(&clients, &id).await, map);
    let entries = check_audit(&clients).await;
    assert_eq!(entries.len(), 3);
    let change = &entries[1].settings[0];
    assert_eq!(format!("{{\"k\":{}}}", change.previous_json.as_ref().unwrap()), first);
    assert_eq!(format!("{{\"k\":{}}}", change.value_json.as_ref().unwrap()), second);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_entries_there_can_be_are_listed_within_the_limits_of_clients() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    // Short keys make the most of an entry: each is a message of its own in it.
    let map = |letter: char| {
        let keys = (0..100_000).map(|number| format!("\"{letter}{number:x}\":1"));
        format!("{{{}}}", keys.collect::<Vec<_>>().join(","))
    };
    for number in 0..4 {
        // Just too little to end a page by itself.
        let small = format!("{{\"k\":\"{number}{}\"}}", "x".repeat((1 << 19) - 100));
        update(&clients, many(&id, &small, UpdateMode::Replace)).await.unwrap();
        for letter in ['a', 'b'] {
            update(&clients, many(&id, &map(letter), UpdateMode::Replace)).await.unwrap();
        }
    }
    assert_eq!(check_audit(&clients).await.len(), 12);
}
