//! The server as a service of systemd's.

use std::{collections::BTreeMap, fs, os::unix::net::UnixDatagram, path::Path};

use crate::ledger::{self, Watcher, create, message, rest};

/// The next message to the service manager.
fn told(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = manager.recv(&mut buffer).expect("the manager is told nothing");
    String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told_when_the_server_is_ready_and_when_it_stops() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(ledger::GIVE_UP)).unwrap();
    let mut server = ledger::setup().env("NOTIFY_SOCKET", &socket).start();
    assert_eq!(told(&manager), "READY=1");
    let clients = server.connect_to_socket().await;
    let script = "thread,turn,env:NOTIFY_SOCKET,message:seen,completed";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let events = Watcher::start(&clients, &id).message("seen").await;
    rest(&clients, &id).await;
    assert!(events.iter().any(|event| message(event) == Some("null")), "agents are no part of it");

    server.ask_to_stop();

    assert_eq!(told(&manager), "STOPPING=1");
    assert_eq!(server.stopped().code(), Some(0));
}

#[test]
fn the_unit_lets_turns_outlive_the_server() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/switchboard.service");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let keys: BTreeMap<_, _> = lines.filter_map(|line| line.split_once('=')).collect();
    let expected = [
        ("ExecStart", "%h/.cargo/bin/switchboard serve"),
        ("KillMode", "process"),
        ("OOMPolicy", "continue"),
        ("Type", "notify"),
    ];
    for (key, value) in expected {
        assert_eq!(keys.get(key), Some(&value), "{key}");
    }
}
