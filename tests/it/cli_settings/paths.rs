//! Paths: what lies inside of settings is read, set and removed.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_path_reaches_what_lies_inside_of_a_setting() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    let set = |arguments: &[&str]| said(&home, &[&["settings", "set", ID], arguments].concat());
    assert_eq!(
        set(&["team.review.autoApprove.enabled", "true"]),
        format!("{ID}  team.review.autoApprove.enabled = true  (audit entry 1)\n")
    );
    // Numbers beside it and in it keep their text.
    set(&["team.review.limit", "2.50"]);
    set(&["team.big", "9007199254740993"]);
    set(&["team.members", "[\"ann\",1e2]"]);
    set(&["team.members.0", "--string", "bob"]);
    assert_eq!(
        said(&home, &["settings", "get", &ID[..8], "team.review"]),
        "{\n  \"autoApprove\": {\n    \"enabled\": true\n  },\n  \"limit\": 2.50\n}\n"
    );
    assert_eq!(said(&home, &["settings", "get", ID, "team.members.1"]), "1e2\n");
    assert_eq!(said(&home, &["settings", "get", ID, "team.members.0"]), "\"bob\"\n");
    assert_eq!(said(&home, &["settings", "get", ID, "team.members.0", "-r"]), "bob\n");
    let got = said(&home, &["--json", "settings", "get", ID, "team.big"]);
    assert!(got.contains("\"value\":9007199254740993"), "{got}");
    let got = told(&home, &["settings", "get", ID, "team.review.limit"]);
    assert_eq!(got["path"], json!(["team", "review", "limit"]));
    assert_eq!((&got["key"], &got["found"]), (&json!("team"), &json!(true)));

    // The key is said as it is stored.
    for (path, expected) in [(" team .review.limit", "team.review.limit"), (" n ", "n")] {
        assert!(set(&[path, "3"]).starts_with(&format!("{ID}  {expected} = 3  ")));
    }
    set(&["team.review.limit", "2.50"]);

    // What is there already is no change.
    let again = told(&home, &["settings", "set", ID, "team.review.limit", "2.5"]);
    assert_eq!(
        (&again["outcome"], &again["auditSeq"]),
        (&json!("OUTCOME_UNCHANGED"), &json!(null))
    );
    let again = set(&["team.review.limit", "25e-1"]);
    assert_eq!(again, format!("{ID}  team.review.limit = 25e-1, as before\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_said_and_nothing_is_changed() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    said(&home, &["settings", "set", ID, "a", "{\"b\": null, \"c\": [1]}"]);
    for (path, problem) in [
        ("a.b.c", "a.b is null and has nothing below it, such as c; to replace it, set a.b"),
        ("a.c.x", "a.c is an array, and x is not the number"),
        ("a.c.1", "a.c is an array, and 1 is not the number"),
    ] {
        let (error, code) = refused(&home, &["settings", "set", ID, path, "1"]);
        assert!(error["message"].as_str().unwrap().starts_with(problem), "{error}");
        assert_eq!(code, 1);
    }
    for path in ["", "a.", "a..b", "\"a", "\"a\"b"] {
        let (error, code) = refused(&home, &["settings", "set", ID, path, "1"]);
        assert_eq!((&error["reason"], code), (&json!("USAGE"), 2), "{error}");
    }
    assert_eq!(settings(&home), json!({"a": {"b": null, "c": [1]}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_dots_is_named_as_it_is_or_in_quotes() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    said(&home, &["settings", "set", ID, "a.b", "1", "--no-path"]);
    said(&home, &["settings", "set", ID, "\"c.d\".e", "2"]);
    said(&home, &["settings", "set", ID, "--settings", "{\" f \": {\"g\": 3}, \"\": 4}"]);
    said(&home, &["settings", "set", ID, " f .g", "5"]);
    let expected = json!({"a.b": 1, "c.d": {"e": 2}, " f ": {"g": 5}, "": 4});
    assert_eq!(settings(&home), expected);
    assert_eq!(said(&home, &["settings", "get", ID, "a.b", "--no-path"]), "1\n");
    assert_eq!(said(&home, &["settings", "get", ID, "\"\""]), "4\n");
    // Whatever a map holds can be read and removed, also what is too long for a key alone.
    let long = "x".repeat(300);
    said(&home, &["settings", "set", ID, "--settings", &format!("{{\"{long}\": {{\"y\": 1}}}}")]);
    said(&home, &["settings", "set", ID, &format!("{long}.y"), "2"]);
    assert_eq!(said(&home, &["settings", "get", ID, &format!("{long}.y")]), "2\n");
    for key in ["a.b", " f ", "", &long] {
        said(&home, &["settings", "unset", ID, key, "--no-path"]);
    }
    assert_eq!(settings(&home), json!({"c.d": {"e": 2}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unset_says_whether_anything_was_there() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    said(&home, &["settings", "set", ID, "a", "{\"b\": {\"c\": 1}, \"d\": 2}"]);
    let unset = |path: &str| said(&home, &["settings", "unset", ID, path]);
    assert_eq!(unset("a.b.c"), format!("{ID}  a.b.c removed  (audit entry 2)\n"));
    assert_eq!(settings(&home), json!({"a": {"b": {}, "d": 2}}), "what is around it stays");
    for path in ["a.b.c", "a.d.e", "x.y", "x"] {
        assert_eq!(unset(path), format!("{ID}  {path} was not there\n"));
        let told = told(&home, &["settings", "unset", ID, path]);
        assert_eq!(told["outcome"], json!("OUTCOME_UNCHANGED"), "{told}");
        assert_eq!(told["removed"], json!(false), "{told}");
        assert_eq!(told["settings"], json!({"a": {"b": {}, "d": 2}}), "{told}");
    }
    let removed = told(&home, &["settings", "unset", ID, "a"]);
    assert_eq!((&removed["removed"], &removed["settings"]), (&json!(true), &json!({})));
    let missing = done(&home, ["settings", "get", ID, "a.b"]);
    assert_eq!((text(&missing.stdout).as_str(), code(&missing)), ("", 1));
    assert_eq!(text(&missing.stderr), "a.b is not set\n");
    let missing = done(&home, ["--json", "settings", "get", ID, "a"]);
    let found: Value = serde_json::from_slice(&missing.stdout).unwrap();
    assert_eq!((&found["found"], code(&missing)), (&json!(false), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_set_at_once_inside_of_one_setting_are_all_there() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    said(&home, &["settings", "set", ID, "shared.gone", "true"]);
    let mut commands: Vec<Vec<String>> = (0..6)
        .map(|number| ["set", ID, &format!("shared.k{number}"), "1.0"].map(str::to_owned).to_vec())
        .collect();
    commands.push(["unset", ID, "shared.gone"].map(str::to_owned).to_vec());
    let changes: Vec<Started> = commands
        .iter()
        .map(|command| Started::new(switchboard(&home).arg("settings").args(command)))
        .collect();
    for change in changes {
        let (_, errors, code) = change.end();
        assert_eq!(code, 0, "{errors}");
    }
    assert_eq!(said(&home, &["--json", "settings", "get", ID, "shared"]).matches("1.0").count(), 6);
    let shared = settings(&home)["shared"].clone();
    assert_eq!(shared, json!({"k0": 1.0, "k1": 1.0, "k2": 1.0, "k3": 1.0, "k4": 1.0, "k5": 1.0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etag_that_is_given_holds_for_paths_too() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    let first = told(&home, &["settings", "set", ID, "a.b", "1"])["etag"].clone();
    let first = first.as_str().unwrap();
    said(&home, &["settings", "set", ID, "a.b", "2", "--etag", first]);
    let stale: [&[&str]; 6] = [
        &["settings", "set", ID, "a.b", "3"],
        &["settings", "set", ID, "a", "3"],
        &["settings", "set", ID, "--settings", "{}", "--replace"],
        &["settings", "unset", ID, "a.b"],
        &["settings", "unset", ID, "x.y"],
        &["controls", "apply", ID, "--no-model"],
    ];
    for command in stale {
        let (error, code) = refused(&home, &[command, &["--etag", first]].concat());
        assert_eq!((&error["reason"], code), (&json!("ETAG_MISMATCH"), 1), "{command:?}");
    }
    assert_eq!(settings(&home), json!({"a": {"b": 2}}));
}
