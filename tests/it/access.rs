//! Who gets in, and what a server refuses to start with.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use switchboard::proto::{GetServerInfoRequest, GetServerInfoResponse};
use tempfile::NamedTempFile;
use tonic::{Code, Status};

use crate::{
    harness::{Clients, NotReady, Server, Setup},
    ledger::reason,
    raw::{self, Answer, exchange},
    restart::Random,
};

const INFO: &str = "POST /switchboard.v1.SystemService/GetServerInfo";
/// An empty message in its frame.
const EMPTY: [u8; 5] = [0; 5];

async fn info(clients: &Clients) -> Result<GetServerInfoResponse, Status> {
    let answer = clients.system.clone().get_server_info(GetServerInfoRequest {}).await;
    answer.map(tonic::Response::into_inner)
}

/// Asks over gRPC-Web, as a browser does.
fn web(server: &Server, headers: &[(&str, &str)]) -> Answer {
    let content_type = [("content-type", "application/grpc-web+proto")];
    raw::request(server.tcp(), INFO, &[&content_type, headers].concat(), &EMPTY)
}

/// The code of a gRPC-Web answer, which stands in its headers or its trailers.
fn code(answer: &Answer) -> Code {
    assert_eq!(answer.status, 200, "{answer:?}");
    let from_trailers = || {
        let body = String::from_utf8_lossy(&answer.body);
        let (_, status) = body.split_once("grpc-status:")?;
        Some(status.trim_start().chars().take_while(char::is_ascii_digit).collect::<String>())
    };
    let status = answer.header("grpc-status").map(str::to_owned).or_else(from_trailers);
    Code::from(status.expect("a status").parse::<i32>().unwrap())
}

fn config(text: &str) -> NamedTempFile {
    let mut config = NamedTempFile::new().unwrap();
    config.write_all(text.as_bytes()).unwrap();
    config
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What a server says that does not start.
fn refusal(arguments: &[&str]) -> (Option<i32>, String) {
    let mut setup = Setup::new();
    for argument in arguments {
        setup = setup.arg(argument);
    }
    let mut server = setup.prepare();
    let NotReady { status, .. } = server.try_start().unwrap_err();
    assert!(!server.home().join("state.db").exists(), "no store was opened");
    (status.code(), server.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_asked_for_on_tcp_and_not_on_the_socket() {
    let server = Server::new();
    let refused = info(&server.connect_without_token().await).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(reason(&refused), "UNAUTHENTICATED");
    assert!(refused.message().contains("authorization: Bearer TOKEN"), "{refused:?}");
    info(&server.connect().await).await.unwrap();
    info(&server.connect_to_socket().await).await.unwrap();

    let token = server.token();
    let with = |value: &str| code(&web(&server, &[("authorization", value)]));
    for right in ["Bearer ", "bearer ", "BEARER "] {
        assert_eq!(with(&format!("{right}{token}")), Code::Ok, "{right}");
    }
    let (half, _) = token.split_at(token.len() / 2);
    for wrong in ["Bearer", "Bearer ", "Basic dXNlcjpwYXNz", token.as_str()] {
        assert_eq!(with(wrong), Code::Unauthenticated, "{wrong}");
    }
    for wrong in [half.to_owned(), format!("{token}x"), token.to_ascii_uppercase()] {
        assert_eq!(with(&format!("Bearer {wrong}")), Code::Unauthenticated, "{wrong}");
    }
    let refused = raw::request(server.tcp(), "GET /", &[], &[]);
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"switchboard\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_everybody_on_loopback_gets_in_and_the_log_warns() {
    let server = Setup::new().arg("--no-token").start();
    info(&server.connect_without_token().await).await.unwrap();
    assert!(server.log().contains("every user of this machine can run code as you"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_keeps_is_its_users_alone() {
    let mut server = Server::new();
    let token = server.token();
    let modes = |server: &Server| {
        [server.home(), server.home().join("token"), server.socket().to_owned()]
            .map(|path| mode(&path))
    };
    assert_eq!(modes(&server), [0o700, 0o600, 0o600]);
    server.kill();
    fs::set_permissions(server.home(), fs::Permissions::from_mode(0o755)).unwrap();
    server.start();
    assert_eq!(modes(&server), [0o700, 0o600, 0o600]);
    assert_eq!(server.token(), token, "the token stays");
}

#[test]
fn a_request_must_name_a_host_that_is_ours() {
    let config = config("allowed_hosts = ['box.internal']");
    let server = Setup::new().arg("--config").arg(config.path()).start();
    let authorization = format!("Bearer {}", server.token());
    let port = server.tcp().port();
    let with = |host: &str| web(&server, &[("host", host), ("authorization", &authorization)]);
    for ours in ["localhost", "127.0.0.1", "[::1]", "box.internal", "BOX.internal"] {
        assert_eq!(code(&with(&format!("{ours}:{port}"))), Code::Ok, "{ours}");
    }
    for other in ["evil.example", "localhost.evil.example", "10.1.2.3", "0.0.0.0"] {
        let answer = with(&format!("{other}:{port}"));
        assert_eq!(answer.status, 421, "{other}: {answer:?}");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(text.contains("allow the name with allowed_hosts"), "{text}");
    }
    // Before the token is looked at, and for open paths too.
    let health = raw::request(server.tcp(), "GET /healthz", &[("host", "evil.example")], &[]);
    assert_eq!(health.status, 421);
}

#[test]
fn web_pages_call_from_allowed_origins_only() {
    let config = config("allowed_origins = ['https://board.example']");
    let server = Setup::new().arg("--config").arg(config.path()).start();
    let authorization = format!("Bearer {}", server.token());
    let call =
        |origin: &str| web(&server, &[("origin", origin), ("authorization", &authorization)]);
    let allowed = call("https://board.example");
    assert_eq!(code(&allowed), Code::Ok);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://board.example"));
    let exposed = allowed.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("grpc-status") && exposed.contains("grpc-message"), "{exposed}");
    for other in ["https://evil.example", "http://board.example", "https://board.example:1", "null"]
    {
        assert_eq!(code(&call(other)), Code::PermissionDenied, "{other}");
        let origin = [("origin", other), ("authorization", &authorization)];
        let answer = raw::request(server.tcp(), "GET /", &origin, &[]);
        assert_eq!(answer.status, 403, "{other}");
    }

    let preflight = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,x-grpc-web"),
        ];
        raw::request(server.tcp(), &INFO.replace("POST", "OPTIONS"), &headers, &[])
    };
    // A browser sends no token with it.
    let allowed = preflight("https://board.example");
    assert_eq!(allowed.status, 200, "{allowed:?}");
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://board.example"));
    assert_eq!(
        allowed.header("access-control-allow-headers"),
        Some("authorization,content-type,x-grpc-web")
    );
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("POST"));
    let refused = preflight("https://evil.example");
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("access-control-allow-origin"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_machines_reach_must_be_asked_for_twice_and_keeps_its_token() {
    let (code, log) = refusal(&["--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("say it twice with --insecure-public"), "{log}");
    let (code, log) = refusal(&["--listen", "0.0.0.0:0", "--insecure-public", "--no-token"]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("a server without a token listens on loopback only"), "{log}");

    let server = Setup::new().arg("--listen").arg("0.0.0.0:0").arg("--insecure-public").start();
    let public = server.addresses().iter().find(|address| address.contains("0.0.0.0")).unwrap();
    let port = public.rsplit(':').next().unwrap().parse().unwrap();
    let answer = raw::request(([127, 0, 0, 1], port).into(), "GET /", &[], &[]);
    assert_eq!(answer.status, 401);
}

#[test]
fn a_port_that_is_taken_is_the_first_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, log) = refusal(&["--listen", &address]);
    assert_eq!(code, Some(1));
    assert_eq!(
        log,
        format!("error: cannot listen on {address}: Address already in use (os error 98)\n")
    );
}

/// Runs a second server on the same home.
fn second(server: &Server) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--home"]).arg(server.home());
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_a_home_is_told_who_is_there_and_harms_nobody() {
    let server = Server::new();
    let clients = server.connect_to_socket().await;
    info(&clients).await.unwrap();

    let refused = second(&server);

    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains(&format!("another switchboard server (pid {})", server.pid())), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    info(&clients).await.unwrap();
    info(&server.connect_to_socket().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_of_a_killed_server_is_replaced_and_a_file_in_its_place_is_not() {
    let mut server = Server::new();
    let socket = server.socket().to_owned();
    server.kill();
    assert!(socket.exists(), "a killed server leaves its socket");
    server.start();
    info(&server.connect_to_socket().await).await.unwrap();

    server.kill();
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "mine").unwrap();
    let NotReady { status, .. } = server.try_start().unwrap_err();
    assert_eq!(status.code(), Some(1));
    assert!(server.log().contains("a file that is no socket is in its place"), "{}", server.log());
    assert_eq!(fs::read_to_string(&socket).unwrap(), "mine");
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_its_line() {
    let config = config("require_token = true\n\n[turns]\ninterrupt_grace = 'soon'\n");
    let path = config.path().to_str().unwrap();
    let (code, log) = refusal(&["--config", path]);
    assert_eq!(code, Some(2));
    assert!(log.starts_with(&format!("error: {path}: TOML parse error at line 4")), "{log}");
    let (code, log) = refusal(&["--config", "/nonexistent/config.toml"]);
    assert_eq!(code, Some(2));
    assert!(log.contains("/nonexistent/config.toml"), "{log}");
}

#[test]
fn health_is_open_to_all_on_the_machine() {
    let server = Server::new();
    let answer = raw::request(server.tcp(), "GET /healthz", &[], &[]);
    assert_eq!((answer.status, answer.body), (200, b"ok\n".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_harms_nobody() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut random = Random::from_environment();
    let server = Server::new();
    let clients = server.connect().await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let header =
        |length: u8, kind: u8, flags: u8, stream: u8| [0, 0, length, kind, flags, 0, 0, 0, stream];
    let long = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let mut rubbish: Vec<Vec<u8>> = vec![
        vec![],
        b"\r\n\r\n\r\n".to_vec(),
        b"GET".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\nhost: localhost\r\n\r\n".to_vec(),
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\nshort".to_vec(),
        b"POST / HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: -1\r\n\r\n".to_vec(),
        long.into_bytes(),
        PREFACE[..10].to_vec(),
        PREFACE.to_vec(),
        [PREFACE, &settings, &header(200, 1, 4, 1), b"no such header block"].concat(),
        // Data for a stream that was never opened, and a frame on stream 0.
        [PREFACE, &settings, &header(1, 0, 0, 7), b"x"].concat(),
        [PREFACE, &settings, &header(1, 1, 4, 0), b"\x82"].concat(),
        // A TLS greeting.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    ];
    for _ in 0..20 {
        let length = random.below(300);
        let noise = (0..length).map(|_| random.below(256) as u8).collect::<Vec<_>>();
        rubbish.push(noise.clone());
        rubbish.push([PREFACE, &settings, &noise].concat());
    }
    for bytes in rubbish {
        let answer = exchange(server.tcp(), &bytes);
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.starts_with("HTTP/1.1 2"), "{bytes:?} was answered: {text}");
    }
    info(&clients).await.unwrap();
    info(&server.connect().await).await.unwrap();
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
