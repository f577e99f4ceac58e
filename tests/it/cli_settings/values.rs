//! Values and maps, where they come from, and scopes.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_json_text_a_file_or_standard_input() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    let file = server.work().join("rules.json");
    std::fs::write(&file, "{\n  \"n\": 1.0\n}\n").unwrap();
    let file = file.to_str().unwrap();
    said(&home, &["settings", "set", ID, "number", "-1.50"]);
    said(&home, &["settings", "set", ID, "null", "null"]);
    said(&home, &["settings", "set", ID, "text", "--string", "true"]);
    said(&home, &["settings", "set", ID, "rules", "--file", file]);
    assert_eq!(code(&fed(&home, &["settings", "set", ID, "fed", "-"], "[1e300]")), 0);
    let fed_text = fed(&home, &["settings", "set", ID, "a.text", "--string", "--file", "-"], "x\n");
    assert_eq!(code(&fed_text), 0);
    let all = said(&home, &["--json", "settings", "get", ID]);
    let expected = r#""settings":{"a":{"text":"x\n"},"fed":[1e300],"null":null,"number":-1.50,"rules":{"n":1.0},"text":"true"}"#;
    assert!(all.contains(expected), "{all}");
    assert_eq!(said(&home, &["settings", "get", ID, "null"]), "null\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_is_no_json_is_refused_with_what_to_type() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    let word = done(&home, ["settings", "set", ID, "effort", "high"]);
    let error = text(&word.stderr);
    assert_eq!(code(&word), 2);
    assert!(error.contains("--string") && error.contains("'\"high\"'"), "{error}");
    let malformed: [&[&str]; 12] = [
        &["x", "{\"a\":1,\"a\":2}"],
        &["x", "\"\\ud800\""],
        &["x", &"[".repeat(70)],
        &["x", ""],
        &["x"],
        &[],
        &["--settings", "[]"],
        &["--settings", "/nonexistent/file"],
        &["x", "1", "--file", "/nonexistent/file"],
        &["x", "--file", "/nonexistent/file"],
        &["x", "1", "--settings", "{}"],
        &["x", "1", "--replace"],
    ];
    for arguments in malformed {
        let (error, code) = refused(&home, &[&["settings", "set", ID], arguments].concat());
        assert_eq!((&error["reason"], code), (&json!("USAGE"), 2), "{arguments:?}: {error}");
    }
    assert_eq!(settings(&home), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_map_is_merged_or_replaces_what_is_there() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    let set = |map: &str, flags: &[&str]| {
        said(&home, &[&["settings", "set", ID, "--settings", map], flags].concat())
    };
    assert_eq!(
        set("{\"a\":{\"x\":1},\"b\":2}", &[]),
        format!("{ID}  2 settings set  (audit entry 1)\n")
    );
    assert_eq!(set("{\"a\":{\"y\":1}}", &[]), format!("{ID}  1 setting set  (audit entry 2)\n"));
    assert_eq!(settings(&home), json!({"a": {"y": 1}, "b": 2}));
    assert_eq!(set("{\"b\":2.0}", &[]), format!("{ID}  1 setting set, as before\n"));
    let file = server.work().join("all.json");
    std::fs::write(&file, "{\"c\": 3}").unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(set(file, &["--replace"]), format!("{ID}  exactly 1 setting  (audit entry 3)\n"));
    let cleared =
        fed(&home, &["settings", "set", ID, "--settings", "-", "--replace", "--json"], "{}");
    let cleared: Value = serde_json::from_slice(&cleared.stdout).unwrap();
    assert_eq!((&cleared["settings"], &cleared["auditSeq"]), (&json!({}), &json!("4")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_scope_takes_no_session_and_new_sessions_begin_with_it() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    let set = |arguments: &[&str]| {
        said(&home, &[&["settings", "set", "--scope", "default"], arguments].concat())
    };
    assert_eq!(set(&["team.size", "-4"]), "default  team.size = -4  (audit entry 1)\n");
    assert_eq!(set(&["n", "-4"]), "default  n = -4  (audit entry 2)\n");
    assert_eq!(
        said(&home, &["settings", "get", "--scope", "default", "team"]),
        "{\n  \"size\": -4\n}\n"
    );
    assert_eq!(settings(&home), json!({}));
    let later = "bbbb1111-0000-4000-8000-000000000000";
    make(&server, later).await;
    assert_eq!(said(&home, &["settings", "get", "bbbb", "team.size"]), "-4\n");
    assert_eq!(
        said(&home, &["settings", "unset", "--scope=default", "team"]),
        "default  team removed  (audit entry 3)\n"
    );
    assert_eq!(said(&home, &["settings", "get", "--scope=default"]), "{\n  \"n\": -4\n}\n");

    // A session is told of it where it is named.
    set(&["n", "5", "--tell", "aaaa"]);
    let mut command = switchboard(&home);
    let mut watch = Started::new(command.args(["sessions", "watch", ID]));
    watch.until("defaults changed by user via cli");
    watch.signal(rustix::process::Signal::INT);
    watch.end();

    let wrong: [&[&str]; 8] = [
        &["settings", "get", "--scope", "default", ID, "a"],
        &["settings", "set", "--scope", "default", ID, "a", "1"],
        &["settings", "unset", "--scope", "default", ID, "a"],
        &["settings", "unset", "--scope", "default"],
        &["settings", "set", ID, "a", "1", "--tell", ID],
        &["settings", "get"],
        &["controls", "get", "--scope", "default", ID],
        &["audit", "show", "--scope", "default", ID],
    ];
    for arguments in wrong {
        let (error, code) = refused(&home, arguments);
        assert_eq!((&error["reason"], code), (&json!("USAGE"), 2), "{arguments:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_named_by_a_prefix_and_the_servers_errors_keep_their_reasons() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    make(&server, "aaaa2222-0000-4000-8000-000000000000").await;
    let commands: [&[&str]; 7] = [
        &["settings", "get", "SESSION"],
        &["settings", "set", "SESSION", "a.b", "1"],
        &["settings", "unset", "SESSION", "a"],
        &["controls", "get", "SESSION"],
        &["controls", "apply", "SESSION", "--no-model"],
        &["audit", "show", "SESSION"],
        &["audit", "list", "--session", "SESSION"],
    ];
    for command in commands {
        let of = |session: &str| -> Vec<String> {
            command.iter().map(|word| word.replace("SESSION", session)).collect()
        };
        for (session, reason) in [("aaaa", "AMBIGUOUS_ID"), ("cccc", "SESSION_NOT_FOUND")] {
            let words = of(session);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let (error, code) = refused(&home, &words);
            assert_eq!((&error["reason"], code), (&json!(reason), 1), "{command:?}");
        }
        let words = of("aaaa1");
        said(&home, &words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let (error, code) =
        refused(&home, &["settings", "set", ID, "a", "1", "--actor", &"x".repeat(121)]);
    assert_eq!(
        (&error["reason"], &error["metadata"], code),
        (&json!("INVALID_ARGUMENT"), &json!({"field": "actor"}), 1)
    );
    said(&home, &["sessions", "delete", "--yes", ID]);
    let (error, code) = refused(&home, &["settings", "get", ID]);
    assert_eq!((&error["reason"], code), (&json!("SESSION_DELETED"), 1));
}
