//! What `run` and `send` have codex told, and how its `codex.toml` is checked.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{code, done, switchboard, text};
use crate::ledger::{self, turn_files};

#[test]
fn the_flags_of_run_and_send_reach_codex() {
    let server = ledger::setup().start();
    let home = server.home();
    let work = server.work();
    for file in ["a.png", "s.json"] {
        fs::write(work.join(file), "{}").unwrap();
    }
    let in_work = |arguments: &[&str]| {
        let output = switchboard(&home).args(arguments).current_dir(&work).output().unwrap();
        assert_eq!(code(&output), 0, "{output:?}");
        text(&output.stdout)
    };
    let told = in_work(&[
        "run",
        "--json",
        "--detach",
        "-s",
        "workspace-write",
        "--network",
        "-c",
        "effort=high",
        "-c",
        "features.goals=false",
        "--image",
        "a.png",
        "--add-dir",
        "..",
        "--output-schema",
        "s.json",
        "--web-search",
        "cached",
        "--env",
        "A=b=c",
        "--strict-config",
        "--full-danger",
        "FAKE_AGENT=thread,turn,completed",
    ]);
    let session: Value = serde_json::from_str(&told).unwrap();
    let id = session["sessionId"].as_str().unwrap();
    assert_eq!(session["networkAccess"], "NETWORK_ACCESS_ENABLED");
    assert_eq!(
        session["codexOptions"],
        json!({
            "config": {"effort": "\"high\"", "features.goals": "false"},
            "outputSchema": work.join("s.json"),
            "addDirectories": [work.join("..")],
            "webSearch": "WEB_SEARCH_MODE_CACHED",
            "environment": {"A": ""},
            "fullDanger": true,
            "strictConfig": true,
        })
    );
    in_work(&["sessions", "wait", id]);
    in_work(&["send", "--image", "a.png", id, "FAKE_AGENT=thread,turn,completed"]);
    let image = format!("--image={}", work.join("a.png").display());
    for turn in [1, 2] {
        let spec = switchboard::supervise::read_spec(&turn_files(&server, id, turn));
        let spec = spec.unwrap().unwrap();
        for expected in [
            "--dangerously-bypass-approvals-and-sandbox",
            "--strict-config",
            "effort=\"high\"",
            "sandbox_workspace_write.network_access=true",
            "web_search=\"cached\"",
            &image,
        ] {
            assert!(
                spec.args.iter().any(|arg| arg == expected),
                "{expected} not in {:?}",
                spec.args
            );
        }
        assert!(spec.env.contains(&("A".to_owned(), "b=c".to_owned())), "{:?}", spec.env);
    }
}

#[test]
fn what_is_no_pair_is_bad_usage() {
    for flag in ["-c", "--env"] {
        let refused = done(Path::new("/nonexistent"), ["run", flag, "novalue", "Go."]);
        assert_eq!(code(&refused), 2);
        assert!(text(&refused.stderr).contains("expected an equals sign"), "{refused:?}");
    }
}

#[test]
fn the_agent_configuration_is_checked_with_the_rest() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("codex.toml");
    let check = |arguments: &[&str]| {
        let arguments = ["config", "check", "--json"].iter().chain(arguments);
        let output = done(home.path(), arguments);
        (code(&output), text(&output.stdout), text(&output.stderr))
    };
    let valid = |output: (i32, String, String)| {
        assert_eq!(output.0, 0, "{output:?}");
        serde_json::from_str::<Value>(&output.1).unwrap()["agent_config"].clone()
    };
    assert_eq!(valid(check(&[])), Value::Null);
    fs::write(&file, "full_danger = true\n[a]\nb = 1\n").unwrap();
    assert_eq!(valid(check(&[])), json!(file));

    fs::write(&file, "a = 1\nb =\n").unwrap();
    let (code, _, error) = check(&[]);
    assert_eq!(code, 2);
    assert!(error.contains("codex.toml") && error.contains("line 2, column "), "{error}");
    // Another file is named in its place.
    let other = home.path().join("other.toml");
    let named = ["--agent-config", other.to_str().unwrap()];
    let (code, _, error) = check(&named);
    assert_eq!(code, 2);
    assert!(error.contains("there is no such file"), "{error}");
    fs::write(&other, "").unwrap();
    assert_eq!(valid(check(&named)), json!(other));
    let shown = done(home.path(), ["config", "show"].iter().chain(&named));
    let shown = text(&shown.stdout);
    assert!(shown.contains(&format!("agent_config = {}", json!(other))), "{shown}");
}
