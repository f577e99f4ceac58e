//! Changes whose answer is lost: they are asked for again, and made once.

use super::*;
use crate::{ledger::list, proxy::Proxy};

/// The command line that reaches the server through the proxy.
fn through<'a>(proxy: &Proxy, command: &'a mut Command) -> &'a mut Command {
    command.arg("--url").arg(format!("http://{}", proxy.address()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_server_dies_before_it_answers_runs_one_turn() {
    let mut server = ledger::setup().start();
    let proxy = Proxy::start(server.tcp());
    // The request arrives, and the answer takes longer than the server lives.
    proxy.throttle(1);
    let go = server.work().join("go");
    let count = server.work().join("count");
    let script = format!(
        "touch:{},thread,turn,wait:{},message:once,completed",
        count.display(),
        go.display()
    );
    let run = Started::new(through(&proxy, &mut run(&server, &script)));
    ledger::there(&count).await;
    server.kill_and_start();
    proxy.retarget(server.tcp());
    proxy.unthrottle();
    proxy.cut();
    std::fs::write(go, "").unwrap();
    let (seen, errors, code) = run.end();
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("lost the server") && errors.contains("connected again"), "{errors}");
    assert_eq!(seen.matches("\nonce\n").count(), 1, "{seen}");
    let sessions = list(&server.connect().await).await;
    assert_eq!(sessions.iter().map(|it| it.turn_count).collect::<Vec<_>>(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_just_away_is_waited_for() {
    let mut server = ledger::setup().start();
    let id = complete(&server, "here");
    let proxy = Proxy::start(server.tcp());
    // Nothing answers behind the proxy, as in the moment of a restart.
    server.kill();
    let mut command = switchboard(&server.home());
    let mut command =
        Started::new(through(&proxy, &mut command).args(["sessions", "rename", &id, "there"]));
    server.start();
    proxy.retarget(server.tcp());
    command.until("there");
    let (_, errors, code) = command.end();
    assert_eq!(code, 0, "{errors}");
    let clients = server.connect().await;
    let sessions = list(&clients).await;
    assert_eq!(sessions.iter().map(|it| it.title.as_str()).collect::<Vec<_>>(), ["there"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_started_once_wherever_the_connection_breaks() {
    let server = ledger::setup().start();
    let id = complete(&server, "resent");
    let clients = server.connect().await;
    let proxy = Proxy::start(server.tcp());
    let mut sent = 0;
    for bytes in [0, 20, 60, 150, 300, 400, 500, 600, 700, 800, 1_000, 1_300] {
        proxy.cut_after(bytes);
        let mut command = switchboard(&server.home());
        through(&proxy, &mut command).args([
            "send",
            &id,
            "FAKE_AGENT=thread,turn,message:hi,completed",
        ]);
        let output = command.output().unwrap();
        assert_eq!(code(&output), 0, "after {bytes} bytes: {output:?}");
        assert_eq!(text(&output.stdout).matches("\nhi\n").count(), 1, "{output:?}");
        sent += 1;
        assert_eq!(list(&clients).await[0].turn_count, 1 + sent, "after {bytes} bytes");
    }
    assert!(proxy.cuts() >= 10, "{} cuts", proxy.cuts());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_goes_on_at_the_next_server() {
    let mut server = ledger::setup().start();
    let go = server.work().join("go");
    let id = begin(&server, &format!("thread,turn,wait:{},completed", go.display()));
    // The proxy takes connections while the server is down, so that it does not
    // matter how far the command has come by then.
    let proxy = Proxy::start(server.tcp());
    let mut command = switchboard(&server.home());
    let wait = Started::new(through(&proxy, &mut command).args(["sessions", "wait", &id]));
    server.kill_and_start();
    proxy.retarget(server.tcp());
    std::fs::write(go, "").unwrap();
    let (said, errors, code) = wait.end();
    assert_eq!((said.as_str(), code), ("completed\n", 0), "{errors}");
}
