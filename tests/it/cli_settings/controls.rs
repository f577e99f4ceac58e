//! Controls, and defaults that the operator has locked.

use std::process::Child;

use super::*;

/// A server with locked defaults; it goes with the test, also when that fails.
struct Locked(Child);

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn controls_are_shown_and_what_is_not_given_is_kept() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    said(&home, &["settings", "set", ID, "a", "1"]);
    assert!(said(&home, &["controls", "get", &ID[..8]]).starts_with(
        "model               the agent's own default\n\
             approval policy     untrusted\n\
             network access      restricted\n\
             filesystem sandbox  read-only\n\
             settings            1\n"
    ));
    let apply = |flags: &[&str]| said(&home, &[&["controls", "apply", ID], flags].concat());
    assert_eq!(
        apply(&["--model", "gpt-5.4", "--sandbox", "workspace-write"]),
        format!(
            "{ID}  gpt-5.4 | untrusted | restricted | workspace-write | settings:1  (audit entry 2)\n"
        )
    );
    assert_eq!(
        apply(&["--network-access=enabled", "--approval-policy=never"]),
        format!(
            "{ID}  gpt-5.4 | never | enabled | workspace-write | settings:1  (audit entry 3)\n"
        )
    );
    assert_eq!(
        apply(&["--model", "gpt-5.4"]),
        format!("{ID}  gpt-5.4 | never | enabled | workspace-write | settings:1, as before\n")
    );
    let told = told(&home, &["controls", "apply", ID, "--no-model", "--settings", "{\"b\":1.0}"]);
    assert_eq!(told["applied"]["settings"], json!({"b": 1.0}), "{told}");
    assert_eq!(told["applied"]["controls"]["model"], json!(null));
    assert_eq!(told["defaultsEditable"], json!(true));
    assert_eq!(
        told["defaults"]["controls"]["networkAccess"],
        json!("NETWORK_ACCESS_RESTRICTED"),
        "the defaults stay"
    );
    for wrong in [
        &["controls", "apply", ID][..],
        &["controls", "apply", ID, "--model", ""],
        &["controls", "apply", ID, "--model", "m", "--no-model"],
        &["controls", "apply", ID, "--approval-policy", "sometimes"],
        &["controls", "apply", "--no-model"],
    ] {
        assert_eq!(refused(&home, wrong).1, 2, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn controls_that_are_changed_at_once_are_all_changed() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    let changes = [
        ["--model", "m"],
        ["--approval-policy", "never"],
        ["--network-access", "enabled"],
        ["--filesystem-sandbox", "danger-full-access"],
    ];
    let changes = changes.map(|flags| {
        Started::new(switchboard(&home).args(["controls", "apply", "--scope=default"]).args(flags))
    });
    for change in changes {
        let (_, errors, code) = change.end();
        assert_eq!(code, 0, "{errors}");
    }
    assert_eq!(
        said(&home, &["controls", "apply", "--scope=default", "--model", "m"]),
        "default  m | never | enabled | danger-full-access | settings:0, as before\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_defaults_are_said_with_what_they_are() {
    let mut server = server_with_session(Setup::new()).await;
    let home = server.home();
    said(&home, &["settings", "set", "--scope=default", "team.size", "4.0"]);
    server.kill();
    let mut command = switchboard(&home);
    command.args(["serve", "--listen", "127.0.0.1:0", "--lock-defaults"]);
    let ready = server.work().join("ready");
    command.arg("--ready-file").arg(&ready).stdout(Stdio::null()).stderr(Stdio::null());
    let _locked = Locked(command.spawn().unwrap());
    crate::ledger::there(&ready).await;

    let writes: [&[&str]; 4] = [
        &["settings", "set", "--scope=default", "team.size", "5"],
        &["settings", "set", "--scope=default", "a", "5"],
        &["settings", "unset", "--scope=default", "team.size"],
        &["controls", "apply", "--scope=default", "--no-model"],
    ];
    for write in writes {
        let (error, code) = refused(&home, write);
        assert_eq!((&error["reason"], code), (&json!("DEFAULTS_LOCKED"), 1), "{write:?}");
        assert_eq!(error["metadata"]["settings"], json!("{\"team\":{\"size\":4.0}}"), "{error}");
        let shown = text(&done(&home, write).stderr);
        assert!(shown.contains("approval policy     untrusted"), "{shown}");
        assert!(shown.contains("settings            {\"team\":{\"size\":4.0}}"), "{shown}");
    }
    assert!(
        said(&home, &["controls", "get", "--scope=default"])
            .contains("writable            no: Managed by harness configuration\n")
    );
    assert_eq!(told(&home, &["controls", "get", ID])["defaultsEditable"], json!(false));
    said(&home, &["settings", "set", ID, "a.b", "5"]);
}
