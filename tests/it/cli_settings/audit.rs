//! The audit: listed, followed across restarts, rebuilt and verified.

use rusqlite::Connection;
use rustix::process::Signal;

use super::*;

/// Sets one key of the session as somebody.
fn set(home: &Path, key: &str, value: &str, actor: &str) {
    said(home, &["settings", "set", ID, key, value, "--actor", actor, "--source", "deploy"]);
}

/// The seqs of entries that programs are told.
fn seqs(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["seq"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_listed_by_what_they_are() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    let nothing = done(&home, ["audit", "list"]);
    assert_eq!((text(&nothing.stderr).as_str(), code(&nothing)), ("no such entries\n", 0));
    set(&home, "team", "1.0", "ann");
    set(&home, "team", "{\"a\":2}", "bob");
    said(&home, &["settings", "set", "--scope=default", "other", "3"]);
    said(&home, &["controls", "apply", ID, "--model", "m"]);
    let cases: [(&[&str], &[&str]); 13] = [
        (&[], &["1", "2", "3", "4"]),
        (&["--newest-first"], &["4", "3", "2", "1"]),
        (&["--newest-first", "--limit=2"], &["4", "3"]),
        (&["--limit=2"], &["1", "2"]),
        (&["--after=2"], &["3", "4"]),
        (&["--session=aaaa"], &["1", "2", "4"]),
        (&["--scope=default"], &["3"]),
        (&["--actor=ann"], &["1"]),
        (&["--source=cli"], &["3", "4"]),
        (&["--key=team"], &["1", "2"]),
        (&["--since=1h", "--actor=bob"], &["2"]),
        (&["--since=2100-01-01"], &[]),
        (&["--until=1h"], &[]),
    ];
    for (flags, expected) in cases {
        let listed = all_told(&home, &[&["audit", "list"], flags].concat());
        assert_eq!(seqs(&listed), expected, "{flags:?}");
    }
    let second = all_told(&home, &["audit", "list", "--actor=bob"]).remove(0);
    let change = json!([{"key": "team", "previous": 1.0, "value": {"a": 2}}]);
    assert_eq!((&second["settings"], &second["source"]), (&change, &json!("deploy")));
    let table = said(&home, &["audit", "list"]);
    assert!(table.starts_with("SEQ  TIME "), "{table}");
    for part in [
        "  ann    deploy  aaaa1111  team = 1.0\n",
        "  bob    deploy  aaaa1111  team = {\"a\":2} (was 1.0)\n",
        "  user   cli     default   other = 3\n",
        "  user   cli     aaaa1111  model = m (was default)",
    ] {
        assert!(table.contains(part), "{part:?} in {table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_where_it_was_when_the_server_is_restarted() {
    let mut server = server_with_session(Setup::new()).await;
    let home = server.home();
    set(&home, "k", "1", "ann");
    set(&home, "k", "2", "bob");
    let mut command = switchboard(&home);
    let mut watch = Started::new(command.args(["--json", "audit", "watch", "--after=0"]));
    let mut seen = watch.until("\"seq\":\"2\"");
    server.kill_and_start();
    set(&home, "k", "3", "ann");
    seen.push_str(&watch.until("\"seq\":\"3\""));
    watch.signal(Signal::INT);
    let (rest, errors, code) = watch.end();
    assert_eq!(code, 130, "{errors}");
    assert!(errors.contains("lost the server") && errors.contains("connected again"), "{errors}");
    let seen: Vec<Value> =
        seen.lines().chain(rest.lines()).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(seqs(&seen), ["1", "2", "3"]);
    assert_eq!(seen, all_told(&home, &["audit", "list"]));

    let mut command = switchboard(&home);
    let mut watch = Started::new(command.args(["audit", "watch", "--after=1", "--actor=ann"]));
    let line = watch.until("\n");
    assert!(line.starts_with("3  ") && line.ends_with("  k = 3 (was 2)\n"), "{line}");
    watch.signal(Signal::INT);
    assert_eq!(watch.end().2, 130);
    let (error, code) = refused(&home, &["audit", "watch", "--after=9"]);
    assert_eq!((&error["reason"], code), (&json!("INVALID_ARGUMENT"), 1));
    assert_eq!(refused(Path::new("/nonexistent"), &["audit", "watch"]).1, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_shown_as_it_was_also_of_a_deleted_session() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    set(&home, "k.n", "1.0", "ann");
    said(&home, &["controls", "apply", ID, "--model", "m"]);
    set(&home, "k.n", "2", "ann");
    said(&home, &["sessions", "delete", "--yes", ID]);
    let show = |flags: &[&str]| told(&home, &[&["audit", "show", ID], flags].concat());
    let first = said(&home, &["--json", "audit", "show", ID, "--at=1"]);
    assert!(first.contains("\"settings\":{\"k\":{\"n\":1.0}}"), "{first}");
    let second = show(&["--at=2"]);
    assert_eq!(second["state"]["controls"]["model"], json!("m"));
    assert_eq!(second["state"]["settings"], json!({"k": {"n": 1.0}}));
    assert_eq!((&second["seq"], &second["latestSeq"]), (&json!("2"), &json!("3")));
    for flags in [&[][..], &["--at=3"], &["--at=2100-01-01"], &["--at=0s"]] {
        assert_eq!(show(flags)["state"]["settings"], json!({"k": {"n": 2}}), "{flags:?}");
    }
    assert_eq!(show(&["--at=2000-01-01"])["state"]["settings"], json!({}));
    assert_eq!(
        said(&home, &["audit", "show", ID, "--at=1"]),
        format!(
            "of                  {ID}\n\
             left by             entry 1\n\
             model               the agent's own default\n\
             approval policy     untrusted\n\
             network access      restricted\n\
             filesystem sandbox  read-only\n\
             settings            {{\n  \"k\": {{\n    \"n\": 1.0\n  }}\n}}\n"
        )
    );
    assert_eq!(refused(&home, &["audit", "show", ID, "--at=4"]).1, 1);
    assert_eq!(refused(&home, &["audit", "show", ID, "--at=0"]).1, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verify_names_the_first_entry_that_was_altered() {
    let mut server = server_with_session(Setup::new()).await;
    let home = server.home();
    assert_eq!(said(&home, &["audit", "verify"]), "the audit holds: 0 entries\n");
    for number in ["1", "2", "3"] {
        set(&home, "k", number, "ann");
    }
    let verified = said(&home, &["audit", "verify"]);
    let known = verified.strip_prefix("the audit holds: 3 entries\nlast: ").unwrap().trim_end();
    let hash = known.strip_prefix("3:").unwrap();
    set(&home, "k", "4", "ann");
    let told = told(&home, &["audit", "verify", "--known", known]);
    assert_eq!((&told["valid"], &told["lastSeq"]), (&json!(true), &json!("4")));
    let other = done(&home, ["audit", "verify", "--known", &format!("2:{hash}")]);
    assert_eq!(code(&other), 1);
    assert!(text(&other.stdout).starts_with("the audit is broken at entry 2: "), "{other:?}");
    for wrong in ["3", "x:y", "0:00", &format!("3:{}", &hash[1..])] {
        assert_eq!(refused(&home, &["audit", "verify", "--known", wrong]).1, 2, "{wrong}");
    }

    server.stop();
    let database = Connection::open(home.join("state.db")).unwrap();
    let body: Vec<u8> =
        database.query_row("SELECT entry FROM audit WHERE seq = 2", [], |row| row.get(0)).unwrap();
    let altered: Vec<u8> = String::from_utf8_lossy(&body).replace("ann", "eve").into_bytes();
    database.execute("UPDATE audit SET entry = ?1 WHERE seq = 2", [altered]).unwrap();
    drop(database);
    server.start();
    let broken = done(&home, ["--json", "audit", "verify"]);
    assert_eq!((code(&broken), text(&broken.stderr).as_str()), (1, ""));
    let broken: Value = serde_json::from_slice(&broken.stdout).unwrap();
    assert_eq!((&broken["valid"], &broken["firstBreak"]["seq"]), (&json!(false), &json!("2")));
    let broken = text(&done(&home, ["audit", "verify"]).stdout);
    assert!(broken.starts_with("the audit is broken at entry 2: "), "{broken}");
    assert!(broken.contains("\nlast that follows: 1:"), "{broken}");
}
