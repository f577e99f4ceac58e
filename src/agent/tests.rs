use std::fs;

use super::*;

fn agents(exe: &str) -> Agents {
    Agents::new(Options {
        codex: None,
        path_var: None,
        exe: exe.into(),
        codex_home: None,
        default_codex_home: None,
        codex_config: ConfigFile::default(),
        unbounded_connection_retries: false,
    })
}

fn turn(session: SessionId) -> TurnRequest<'static> {
    TurnRequest {
        session,
        turn: TurnNumber(2),
        working_directory: Path::new("/work"),
        model: Some("any"),
        approval_policy: crate::proto::ApprovalPolicy::Unspecified,
        sandbox: proto::FilesystemSandbox::ReadOnly,
        network: proto::NetworkAccess::Unspecified,
        options: Box::leak(Box::default()),
        images: &[],
        effort: None,
        history: History::New,
        lock: None,
    }
}

#[test]
fn kinds_are_read_as_they_are_written() {
    for (text, kind) in
        [("codex", Kind::Codex), ("replay:/a/b c.jsonl", Kind::Replay("/a/b c.jsonl".into()))]
    {
        assert_eq!(Kind::parse(text).unwrap(), kind);
        assert_eq!(kind.to_string(), text);
    }
}

#[test]
fn a_replay_has_no_use_for_controls_and_says_nothing_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.jsonl");
    fs::write(&file, "").unwrap();
    let asked = TurnRequest {
        approval_policy: proto::ApprovalPolicy::Untrusted,
        network: proto::NetworkAccess::Enabled,
        ..turn(SessionId::random())
    };
    let launch = agents("/exe").launch(&Kind::Replay(file.clone()), &asked).unwrap();
    assert_eq!(launch.args, ["replay".into(), file.into_os_string()]);
    assert_eq!(launch.warnings, []);
}

#[test]
fn a_kind_that_is_not_there_is_refused() {
    for text in ["", "Codex", "claude", "replay", "codex "] {
        assert_eq!(
            Kind::parse(text).unwrap_err().to_string(),
            format!(
                "agent {text:?}: there is no such kind; there are \"codex\" and \"replay:FILE\""
            )
        );
    }
    for text in ["replay:", "replay:a.jsonl", "replay:./a"] {
        assert_eq!(
            Kind::parse(text).unwrap_err().to_string(),
            format!(
                "session.agent: {text:?}: expected replay: and the absolute path of a transcript"
            )
        );
    }
}

#[test]
fn prompts_are_bounded_by_bytes_and_for_codex_by_characters() {
    let replay = Kind::Replay("/a".into());
    let problem =
        |kind: &Kind, prompt: &str| kind.check_prompt(&prompt.into()).map_err(|e| e.to_string());
    let empty = Err("prompt: is empty; say what the agent shall do".to_owned());

    assert_eq!(problem(&Kind::Codex, ""), empty);
    assert_eq!(problem(&Kind::Codex, " \n\t"), empty);
    assert_eq!(problem(&replay, ""), empty);
    assert_eq!(problem(&replay, " "), Ok(()));

    // Two-byte characters: twice the bytes, but the characters count.
    assert_eq!(problem(&Kind::Codex, &"é".repeat(1_048_576)), Ok(()));
    assert_eq!(
        problem(&Kind::Codex, &"é".repeat(1_048_577)),
        Err("the prompt is 1048577 characters long; at most 1048576 are allowed".to_owned())
    );
    assert_eq!(problem(&replay, &"x".repeat(4 * 1024 * 1024)), Ok(()));
    for kind in [Kind::Codex, replay] {
        assert_eq!(
            problem(&kind, &"x".repeat(4 * 1024 * 1024 + 1)),
            Err("the prompt is 4194305 bytes long; at most 4194304 are allowed".to_owned())
        );
    }
}

#[test]
fn a_replay_is_this_program_with_the_transcript() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let session = SessionId::random();
    let kind = Kind::Replay(file.path().to_owned());

    let started = agents("/usr/bin/switchboard").launch(&kind, &turn(session)).unwrap();

    let expected = Launch {
        program: "/usr/bin/switchboard".into(),
        args: vec!["replay".into(), file.path().into()],
        env: vec![
            ("SWITCHBOARD_SESSION".into(), session.to_string().into()),
            ("SWITCHBOARD_TURN".into(), "2".into()),
        ],
        version: String::new(),
        warnings: Vec::new(),
        fallback: None,
    };
    assert_eq!(started, expected);
}

#[test]
fn a_transcript_that_cannot_be_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let problem = |path: &Path| {
        let kind = Kind::Replay(path.to_owned());
        let error = agents("/x").launch(&kind, &turn(SessionId::random())).unwrap_err();
        error.to_string().replace(&*directory.path().to_string_lossy(), "DIR")
    };
    assert_eq!(
        problem(&directory.path().join("none")),
        "agent \"replay:DIR/none\": there is no such transcript"
    );
    assert_eq!(problem(directory.path()), "agent \"replay:DIR\": the transcript is not a file");
    fs::write(directory.path().join("file"), "").unwrap();
    assert_eq!(
        problem(&directory.path().join("file/below")),
        "agent \"replay:DIR/file/below\": the transcript cannot be read: Not a directory (os error 20)"
    );
}

#[test]
fn a_missing_codex_is_unavailable_and_the_status_says_so() {
    let agents = agents("/x");
    let error = agents.launch(&Kind::Codex, &turn(SessionId::random())).unwrap_err();
    let problem = error.to_string();
    assert!(matches!(error, Error::AgentUnavailable { .. }), "{problem}");
    let status = CodexStatus { path: None, version: String::new(), problem: Some(problem) };
    assert_eq!(agents.codex(), status);
}

#[test]
fn every_kind_of_agent_prints_the_lines_of_codex() {
    let expected = proto::event::Kind::TurnStarted(proto::TurnStarted {});
    for kind in [Kind::Codex, Kind::Replay("/a".into())] {
        assert_eq!(parse(&kind, br#"{"type":"turn.started"}"#), expected);
        assert_eq!(last_error(&kind, b"Error: no\n"), Some("no".to_owned()));
    }
}

#[test]
fn a_line_that_is_too_long_is_an_event_that_says_so() {
    let problem = "the line has 67108865 bytes; at most 67108864 are read".to_owned();
    assert_eq!(
        oversized_line(67_108_865),
        proto::event::Kind::InvalidLine(proto::InvalidLine { problem })
    );
}

#[test]
fn a_working_directory_is_an_absolute_path_of_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let problem = |path: &Path| {
        let said = check_working_directory(path).unwrap_err().to_string();
        said.strip_prefix(&format!("working directory {path:?}: ")).unwrap().to_owned()
    };
    check_working_directory(directory.path()).unwrap();
    assert_eq!(problem(Path::new("")), "expected an absolute path");
    assert_eq!(problem(Path::new("work")), "expected an absolute path");
    assert_eq!(problem(&file), "is not a directory");
    assert_eq!(problem(&directory.path().join("none")), "there is no such directory");
    assert_eq!(problem(&file.join("below")), "Not a directory (os error 20)");
}
