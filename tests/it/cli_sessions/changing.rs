//! Titles, labels, the archive, forks, and finding sessions by all that.

use serde_json::json;

use super::*;

#[test]
fn a_title_is_given_and_taken_away() {
    let server = ledger::setup().start();
    let home = server.home();
    let id = complete(&server, "first");
    assert_eq!(
        said(&home, &["sessions", "rename", &id[..8], "A new one"]),
        format!("{id}  A new one\n")
    );
    let session = told(&home, &["sessions", "rename", &id[..8], "Größe"]);
    assert_eq!((&session["sessionId"], &session["title"]), (&json!(id), &json!("Größe")));
    assert_eq!(said(&home, &["sessions", "rename", &id, ""]), format!("{id}  has no title\n"));
    let long = "x".repeat(201);
    let refused_one = done(&home, ["--json", "sessions", "rename", &id, &long]);
    assert_eq!(refused(&refused_one), ("INVALID_ARGUMENT".into(), 1));
}

#[test]
fn labels_are_set_and_removed_and_the_others_stay() {
    let server = ledger::setup().start();
    let home = server.home();
    let id = complete(&server, "labelled");
    let label =
        |changes: &[&str]| said(&home, &[&["sessions", "label", &id[..8]], changes].concat());
    assert_eq!(label(&["team=web", "ticket=4711"]), format!("{id}  team=web ticket=4711\n"));
    assert_eq!(label(&["ticket-", "owner=a=b"]), format!("{id}  owner=a=b team=web\n"));
    let session = told(&home, &["sessions", "label", &id, "owner-", "never-there-"]);
    assert_eq!(session["labels"], json!({"team": "web"}));
    assert_eq!(code(&done(&home, ["sessions", "label", &id])), 2);
    assert_eq!(code(&done(&home, ["sessions", "label", &id, "team"])), 2);
}

#[test]
fn labels_that_are_set_at_once_are_all_there() {
    let server = ledger::setup().start();
    let home = server.home();
    let id = complete(&server, "crowded");
    let changes: Vec<Started> = (0..4)
        .map(|number| {
            let mut command = switchboard(&home);
            Started::new(command.args(["sessions", "label", &id]).arg(format!("k{number}=v")))
        })
        .collect();
    for change in changes {
        let (_, errors, code) = change.end();
        assert_eq!(code, 0, "{errors}");
    }
    let labels = told(&home, &["sessions", "show", &id])["labels"].clone();
    assert_eq!(labels, json!({"k0": "v", "k1": "v", "k2": "v", "k3": "v"}));
}

#[test]
fn archived_sessions_are_listed_only_when_asked_for() {
    let server = ledger::setup().start();
    let home = server.home();
    let (one, two) = (complete(&server, "one"), complete(&server, "two"));
    let archived = said(&home, &["sessions", "archive", &one[..8], &two]);
    assert_eq!(archived, format!("{one}  archived\n{two}  archived\n"));
    assert_eq!(sessions(&home).len(), 0);
    let session = told(&home, &["sessions", "unarchive", &two[..8]]);
    assert_eq!(session["archived"], json!(null));
    let list = |flags: &[&str]| said(&home, &[&["sessions", "list"], flags].concat());
    for (flags, first, second) in
        [(&[][..], false, true), (&["--archived"], true, false), (&["--all"], true, true)]
    {
        let listed = list(flags);
        assert_eq!(
            (listed.contains(&one[..8]), listed.contains(&two[..8])),
            (first, second),
            "{flags:?}"
        );
    }
    assert_eq!(code(&done(&home, ["sessions", "list", "--all", "--archived"])), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_found_by_what_they_are() {
    let server = ledger::setup().start();
    let home = server.home();
    let clients = server.connect().await;
    let mine = complete(&server, "mine");
    said(&home, &["sessions", "label", &mine, "team=web", "urgent="]);
    let below = server.work().join("below");
    std::fs::create_dir(&below).unwrap();
    let request = CreateSessionRequest {
        session: Some(Session {
            working_directory: below.display().to_string(),
            source: "orchestrator:night".to_owned(),
            system_owned: true,
            ..Session::default()
        }),
        ..CreateSessionRequest::default()
    };
    let theirs = clients.sessions.clone().create_session(request).await.unwrap().into_inner();
    let theirs = theirs.session.unwrap().session_id;
    let work = server.work().display().to_string();
    let below = below.display().to_string();
    let cases: [(&[&str], &[&str]); 16] = [
        (&[], &[&mine]),
        (&["--system"], &[&theirs, &mine]),
        (&["--system", "--limit=1"], &[&theirs]),
        (&["--state=completed", "--state=failed"], &[&mine]),
        (&["--state=running"], &[]),
        (&["--system", "--source=orchestrator:night"], &[&theirs]),
        (&["--source=user"], &[&mine]),
        (&["--label=team"], &[&mine]),
        (&["--label=team=web", "--label=urgent"], &[&mine]),
        (&["--label=team=other"], &[]),
        (&["--system", "-C", &work], &[&theirs, &mine]),
        (&["--system", "--dir", &below], &[&theirs]),
        (&["--system", "--since=1h"], &[&theirs, &mine]),
        (&["--system", "--since=2100-01-01"], &[]),
        (&["--system", "--until=2100-01-01T00:00:00Z"], &[&theirs, &mine]),
        (&["--until=1h"], &[]),
    ];
    for (flags, expected) in cases {
        let listed = said(&home, &[&["--json", "sessions", "list"], flags].concat());
        let ids: Vec<String> = listed
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["sessionId"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(ids, expected, "{flags:?}");
    }
    assert_eq!(code(&done(&home, ["sessions", "list", "--since=yesterday"])), 2);
    let none = done(&home, ["sessions", "list", "--state=failed"]);
    assert_eq!((code(&none), text(&none.stderr).as_str()), (0, "no such sessions\n"));
}

#[test]
fn a_fork_is_followed_as_a_run_is() {
    let server = ledger::setup().start();
    let home = server.home();
    let id = complete(&server, "trunk");
    let prompt = "FAKE_AGENT=thread,turn,message:branch,completed";
    let followed =
        said(&home, &["sessions", "fork", &id[..8], prompt, "--title=branch", "-s", "read-only"]);
    assert!(followed.contains("\nbranch\n") && followed.contains("✓ completed"), "{followed}");
    let fork = &sessions(&home)[0];
    assert_eq!(fork["forkedFrom"], json!(id));
    assert_eq!((&fork["title"], &fork["source"]), (&json!("branch"), &json!("user")));
    assert_eq!(fork["filesystemSandbox"], "FILESYSTEM_SANDBOX_READ_ONLY");
    assert_eq!(fork["workingDirectory"], json!(server.work().display().to_string()));

    let failing = done(&home, ["sessions", "fork", &id, "FAKE_AGENT=thread,failed:no"]);
    assert_eq!(code(&failing), 1);
    // Without a prompt it waits for one.
    let spare = said(&home, &["sessions", "fork", &id, "-C", "/"]);
    let spare = told(&home, &["sessions", "show", spare.trim_end()]);
    assert_eq!(spare["state"], "SESSION_STATE_PENDING");
    assert_eq!(spare["workingDirectory"], "/");
    let detached = told(&home, &["sessions", "fork", &id, "FAKE_AGENT=thread,sleep", "--detach"]);
    assert_eq!(detached["forkedFrom"], json!(id));
    assert_eq!(detached["turnCount"], json!(1));
}
