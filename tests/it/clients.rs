//! Clients in other languages, generated from the contract and otherwise stock:
//! Python on grpcio, TypeScript on grpc-js, with the limits that those libraries
//! have by default.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use switchboard::proto::{CreateSessionRequest, Event, Session};

use crate::{
    harness::{Clients, Server, Setup},
    ledger::{self, create, events, rest, turn_files},
    programs::{Language, Program},
    proxy::Proxy,
    toolchain,
};

const LANGUAGES: [Language; 2] = [Language::Python, Language::TypeScript];

/// A session that nobody has.
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

fn over_tcp(language: Language, server: &Server) -> Program {
    Program::over_tcp(language, server.tcp(), &server.token())
}

fn over_socket(language: Language, server: &Server) -> Program {
    Program::over_socket(language, server.socket())
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What a client has to say of an event that it got whole.
fn line(event: &Event) -> (u64, usize, String) {
    (event.seq, event.raw.len(), sha256(&event.raw))
}

/// What a client said of the events that it got.
fn lines(said: &[Value]) -> Vec<(u64, usize, String)> {
    let events = said.iter().filter(|line| line["seq"].is_u64());
    events
        .map(|line| {
            assert_eq!(line["elided"], Value::Null, "{line}");
            let length = usize::try_from(line["raw_len"].as_u64().unwrap()).unwrap();
            (line["seq"].as_u64().unwrap(), length, line["raw_sha256"].as_str().unwrap().to_owned())
        })
        .collect()
}

/// A server whose agent prints one message of this many bytes, and is done.
async fn after_a_message_of(bytes: usize) -> (Server, Clients, String) {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let script = format!("thread,turn,big:{bytes},message:after,completed");
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    rest(&clients, &id).await;
    (server, clients, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_their_limits_passes_elided_and_its_bytes_can_be_read() {
    let (server, clients, id) = after_a_message_of(5_000_000).await;
    let output = fs::read(turn_files(&server, &id, 1).stdout()).unwrap();
    let begin = output.split_inclusive(|&byte| byte == b'\n').take(2).map(<[u8]>::len).sum();
    let big: &[u8] = output[begin..].split(|&byte| byte == b'\n').next().unwrap();
    let (offset, length) = (begin.to_string(), big.len().to_string());
    let all = events(&clients, &id).await;
    for language in LANGUAGES {
        let program = over_tcp(language, &server);
        let watched = program.run(&["watch", "--session", &id, "--until-end"]);
        let seqs: Vec<_> = watched.iter().filter_map(|line| line["seq"].as_u64()).collect();
        assert_eq!(seqs, (1..=all.len() as u64).collect::<Vec<_>>(), "{language:?}");
        let elided: Vec<_> =
            watched.iter().filter(|line| line["elided"].is_object()).cloned().collect();
        assert_eq!(
            elided,
            [json!({
                "seq": 6, "kind": "item_completed", "raw_len": 0, "raw_sha256": sha256(b""),
                "elided": {"size": big.len(), "turn": 1, "byte_offset": begin},
            })],
            "{language:?}"
        );

        let piece = ["--turn", "1", "--offset", offset.as_str(), "--length", length.as_str()];
        let read =
            program.run(&[["read-output", "--session", id.as_str()].as_slice(), &piece].concat());
        let chunks = big.len().div_ceil(256 << 10);
        let expected = json!({
            "len": big.len(), "sha256": sha256(big), "chunks": chunks, "total_size": output.len(),
        });
        assert_eq!(read, [expected], "{language:?}");
        let whole = program.run(&["read-output", "--session", &id]);
        assert_eq!(whole[0]["sha256"], sha256(&output), "{language:?}");
    }
}

/// A transcript of this many lines.
fn long_transcript(folder: &Path, count: usize) -> String {
    let mut lines = String::from(
        "{\"type\":\"thread.started\",\"thread_id\":\"0199a213-81c0-7800-8aa1-bbab2a035a53\"}\n{\"type\":\"turn.started\"}\n",
    );
    for number in 3..count {
        let id = number - 3;
        writeln!(
            lines,
            "{{\"type\":\"item.completed\",\"item\":{{\"id\":\"item_{id}\",\"type\":\"agent_message\",\"text\":\"message {id}\"}}}}"
        )
        .unwrap();
    }
    lines.push_str("{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":1,\"cached_input_tokens\":0,\"output_tokens\":1}}\n");
    let file = folder.join("long.jsonl");
    fs::write(&file, lines).unwrap();
    file.display().to_string()
}

/// Checks that a client gets 50,000 events each once and in order, although its
/// connection is cut three times on the way.
async fn check_resuming(language: Language) {
    const COUNT: usize = 50_000;
    let server = Server::new();
    let clients = server.connect().await;
    let file = long_transcript(&server.work(), COUNT);
    let request = CreateSessionRequest {
        session: Some(Session {
            agent: format!("replay:{file}"),
            working_directory: server.work().display().to_string(),
            ..Session::default()
        }),
        prompt: "replay".to_owned(),
        ..CreateSessionRequest::default()
    };
    let answer = clients.sessions.clone().create_session(request).await.unwrap();
    let id = answer.into_inner().session.unwrap().session_id;
    let proxy = Proxy::start(server.tcp());
    proxy.cut_after(1_500_000);

    // The turn may run on meanwhile: what is there and what comes are one stream.
    let program = Program::over_tcp(language, proxy.address(), &server.token());
    let mut running = program.start(&["watch", "--session", &id, "--until-end"]);
    let mut said = Vec::new();
    while let Some(line) = running.next_line() {
        if line["reconnect"].is_object() && proxy.cuts() < 3 {
            proxy.cut_after(1_500_000);
        }
        said.push(line);
    }

    assert_eq!(running.outcome(), (vec![], Some(0)), "{language:?}");
    rest(&clients, &id).await;
    let expected: Vec<_> = events(&clients, &id).await.iter().map(line).collect();
    assert_eq!(expected.len(), COUNT + 5, "the lines, and what the server says");
    let got = lines(&said);
    // Not assert_eq, which would print megabytes.
    let first_wrong = got.iter().zip(&expected).find(|(got, expected)| got != expected);
    assert_eq!(first_wrong, None, "{language:?}");
    assert_eq!(got.len(), expected.len(), "{language:?}");
    assert_eq!(proxy.cuts(), 3);
    let codes: Vec<_> = said.iter().filter_map(|line| line["reconnect"]["code"].as_str()).collect();
    // A client may try a connection once more that is about to end.
    assert!(codes.len() >= 3 && codes.iter().all(|code| *code == "UNAVAILABLE"), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_resumes_a_stream_of_50_000_events_wherever_it_is_cut() {
    check_resuming(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_resumes_a_stream_of_50_000_events_wherever_it_is_cut() {
    check_resuming(Language::TypeScript).await;
}

/// How a server goes away under its clients.
#[derive(Debug, Clone, Copy)]
enum Down {
    Killed,
    Stopped,
}

/// Checks that clients get each event once although the server went away and
/// came back in the middle of a turn; gives what each was told when that happened.
async fn check_restart(down: Down) -> Vec<Value> {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let (go, work) = (server.work().join("go"), server.work());
    let script = format!("thread,turn,print:2000,wait:{},print:2000,completed", go.display());
    let id = create(&clients, &work, &script).await.unwrap().session_id;
    let watch = |language| {
        over_socket(language, &server).start(&["watch", "--session", &id, "--until-end"])
    };
    let mut running = LANGUAGES.map(watch);
    let mut said = [Vec::new(), Vec::new()];
    // All that was printed before the agent waits.
    let half = 3 + 2 + 2_000;
    for (running, said) in running.iter_mut().zip(&mut said) {
        while said.last().is_none_or(|line: &Value| line["seq"] != half) {
            said.push(running.next_line().expect("the stream goes on"));
        }
    }

    match down {
        Down::Killed => server.kill(),
        Down::Stopped => assert!(server.stop().success()),
    }
    // The agent prints on while nobody listens.
    fs::write(go, "").unwrap();
    server.start();

    let mut notices = Vec::new();
    for (running, said) in running.into_iter().zip(&mut said) {
        said.extend(running.finish());
        let told: Vec<_> = said.iter().filter(|line| line["reconnect"].is_object()).collect();
        // Whoever comes back while the server is still on its way down is told again.
        assert!(told.iter().all(|line| line["start_seq"] == half + 1), "{told:#?}");
        assert!(told.iter().all(|line| line["reconnect"]["code"] == "UNAVAILABLE"), "{told:#?}");
        notices.push(told.first().expect("the stream broke")["reconnect"].clone());
    }
    let clients = server.connect_to_socket().await;
    let session = rest(&clients, &id).await;
    let events = events(&clients, &id).await;
    ledger::check(&server, &session, &events);
    let expected: Vec<_> = events.iter().map(line).collect();
    assert_eq!(expected.len(), 3 + 2 + 4_000 + 1 + 2);
    for said in said {
        assert_eq!(lines(&said), expected);
    }
    notices
}

#[tokio::test(flavor = "multi_thread")]
async fn they_survive_a_server_that_is_killed_and_started_again() {
    for notice in check_restart(Down::Killed).await {
        assert_eq!(notice["reason"], Value::Null, "the server said nothing: {notice}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_told_of_a_stop_and_of_where_to_resume() {
    for notice in check_restart(Down::Stopped).await {
        assert_eq!(
            notice,
            json!({
                "code": "UNAVAILABLE",
                "message": "the server is shutting down; running turns go on, connect again when it is back",
                "reason": "SHUTTING_DOWN", "domain": "switchboard", "metadata": {"last_seq": "2005"},
            })
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_read_the_reason_of_an_error_and_what_belongs_to_it() {
    let (server, _, id) = after_a_message_of(1).await;
    let not_found = |call: &str| {
        json!({
            "call": call, "code": "NOT_FOUND", "message": format!("no session has the id {UNKNOWN}"),
            "reason": "SESSION_NOT_FOUND", "domain": "switchboard", "metadata": {"session_id": UNKNOWN},
        })
    };
    let beyond = json!({
        "call": "WatchEvents", "code": "INVALID_ARGUMENT",
        "message": format!("start_seq: 999 is beyond the next event of session {id}, which is 11"),
        "reason": "INVALID_ARGUMENT", "domain": "switchboard", "metadata": {"field": "start_seq"},
    });
    for language in LANGUAGES {
        let program = over_socket(language, &server);
        let said = program.run(&["errors", "--session", UNKNOWN]);
        assert_eq!(said, [not_found("GetSession"), not_found("WatchEvents")], "{language:?}");
        let said = program.run(&["errors", "--session", &id, "--start", "999"]);
        let expected = [json!({"call": "GetSession", "code": "OK"}), beyond.clone()];
        assert_eq!(said, expected, "{language:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_readme_goes_on_behind_a_line_that_is_not_utf8() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let file = server.work().join("line");
    fs::write(&file, b"\xff\xfe\n").unwrap();
    let script = format!("thread,turn,cat:{},message:after,completed", file.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    rest(&clients, &id).await;
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, example) = readme.split_once("### With stubs alone").unwrap();
    let (_, example) = example.split_once("```python\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let example = example.replace("127.0.0.1:7420", &server.tcp().to_string());

    let mut running = Command::new(toolchain::python())
        .args(["-u", "-c", &example, &id])
        .env("PYTHONPATH", toolchain::python_stubs())
        .env("SWITCHBOARD_HOME", server.home())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let printed = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
    let kinds: Vec<_> = printed
        .map(|line| line.split(' ').nth(1).unwrap().to_owned())
        .take_while(|kind| kind != "turn_exited")
        .collect();
    // It watches on, so it does not end by itself, but where it failed.
    let _ = running.kill();
    running.wait().unwrap();

    let ends = ["invalid_line", "item_completed", "turn_completed"];
    assert_eq!(kinds[kinds.len() - 3..], ends, "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_they_need_the_token_and_over_the_socket_they_do_not() {
    let server = Server::new();
    for language in LANGUAGES {
        for program in [over_tcp(language, &server), over_socket(language, &server)] {
            assert_eq!(program.run(&["list"]), Vec::<Value>::new(), "{language:?}");
        }
        let address = server.tcp();
        for refused in [
            Program::without_token(language, address),
            Program::over_tcp(language, address, "wrong"),
            Program::over_tcp(language, address, &format!("{}x", server.token())),
        ] {
            let (said, status) = refused.start(&["list"]).outcome();
            assert_eq!(status, Some(1), "{language:?}: {said:#?}");
            assert_eq!(said[0]["error"]["code"], "UNAUTHENTICATED", "{language:?}");
            assert_eq!(said[0]["error"]["reason"], "UNAUTHENTICATED", "{language:?}");
            let (said, _) = refused.start(&["errors", "--session", UNKNOWN]).outcome();
            let reasons: Vec<_> = said.iter().map(|line| &line["reason"]).collect();
            assert_eq!(reasons, ["UNAUTHENTICATED"; 2], "{language:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_create_sessions_and_list_them_page_by_page() {
    let server = ledger::setup().start();
    let work = server.work();
    let work = work.to_str().unwrap();
    for language in LANGUAGES {
        let program = over_tcp(language, &server);
        let prompt = "FAKE_AGENT=thread,turn,message:hello,completed";
        let create = ["create", "--cwd", work, "--model", "gpt-5.5", "--prompt", prompt];
        let made = program.run(&create);
        let id = made[0]["session_id"].as_str().unwrap();
        program.run(&["watch", "--session", id, "--until-end"]);
        let got = program.run(&["get", "--session", &id[..8]]);
        assert_eq!(got[0]["session_id"], id, "{language:?}");
        assert_eq!(got[0]["model"], "gpt-5.5");
        assert_eq!(got[0]["state"], "SESSION_STATE_COMPLETED");
    }
    let listed = LANGUAGES.map(|language| {
        let said = over_tcp(language, &server).run(&["list", "--page-size", "1"]);
        said.iter().map(|line| line["session_id"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(listed[0].len(), 2);
    assert_eq!(listed[0], listed[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_for_the_server_and_for_each_service() {
    let server = Setup::new().start();
    let program = over_tcp(Language::Python, &server);
    for service in ["", "switchboard.v1.SessionService", "switchboard.v1.EventService"] {
        let said = program.run(&["health", "--service", service]);
        assert_eq!(said, [json!({"status": "SERVING"})], "{service}");
    }
    let (said, status) = program.start(&["health", "--service", "nobody"]).outcome();
    assert_eq!((&said[0]["error"]["code"], status), (&json!("NOT_FOUND"), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_tells_of_every_service_in_both_versions() {
    let server = Server::new();
    let said = over_tcp(Language::Python, &server).run(&["reflect"]);
    let expected = ["v1", "v1alpha"].map(|version| {
        json!({"version": version, "services": [
            "grpc.health.v1.Health",
            format!("grpc.reflection.{version}.ServerReflection"),
            "switchboard.v1.AuditService",
            "switchboard.v1.ConfigLockService",
            "switchboard.v1.ControlsService",
            "switchboard.v1.EventService",
            "switchboard.v1.SessionService",
            "switchboard.v1.SettingsService",
            "switchboard.v1.SystemService",
        ]})
    });
    assert_eq!(said, expected);
}
