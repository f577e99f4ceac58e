//! `switchboard lock`, and the page of the documentation as it is written.

use std::{path::Path, process::Command};

use super::*;
use crate::cli::{code, done, switchboard, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_written_compared_and_run_by_the_command_line() {
    let stage = Stage::new().await;
    let (session, _) = stage.locked().await;
    let (home, work) = (stage.server.home(), stage.server.work());
    let id = session.session_id.as_str();
    let exported = done(&home, ["lock", "export", &id[..8]]);
    assert_eq!(code(&exported), 0, "{exported:?}");
    let path = text(&exported.stdout).trim_end().to_owned();
    assert!(path.ends_with(&format!("{}.config.lock.toml", session.thread_id)), "{path}");
    let verify = |arguments: &[&str]| {
        let mut command = switchboard(&home);
        command.args(["lock", "verify", &path]).args(arguments).current_dir(&work);
        command.output().unwrap()
    };
    let same = verify(&[]);
    assert_eq!(
        (code(&same), text(&same.stdout)),
        (0, "the lock holds: codex 0.169.0\n".to_owned()),
        "{same:?}"
    );
    let same = verify(&["--session", id]);
    assert_eq!(code(&same), 0, "{same:?}");
    let other = verify(&["-m", "gpt-5.4"]);
    let said = text(&other.stdout);
    assert_eq!((code(&other), text(&other.stderr)), (4, String::new()), "{other:?}");
    assert!(said.contains("-model = \"gpt-5.5\"\n+model = \"gpt-5.4\"\n"), "{said}");
    assert!(said.ends_with("config.model comes from controls.model\n"), "{said}");
    let other = verify(&["-m", "gpt-5.4", "--json"]);
    let told: Value = serde_json::from_str(&text(&other.stdout)).unwrap();
    assert_eq!(
        (code(&other), &told["matches"], &told["drift"][0]["key"]),
        (4, &false.into(), &"config.model".into())
    );

    // As one that codex itself made, which says no directory: it is this one.
    let lock = fs::read_to_string(&path).unwrap();
    let ours = |line: &&str| {
        !["working_directory = ", "switchboard_version = "].iter().any(|key| line.starts_with(key))
    };
    let of_codex = work.join("codex.config.lock.toml");
    fs::write(&of_codex, lock.lines().filter(ours).collect::<Vec<_>>().join("\n")).unwrap();
    let mut command = switchboard(&home);
    command.args(["lock", "verify", of_codex.to_str().unwrap()]).current_dir(&work);
    let same = command.output().unwrap();
    assert_eq!(code(&same), 0, "{same:?}");

    let run =
        |arguments: &[&str]| done(&home, [&["run", "--config-lock", &path], arguments].concat());
    let refused = run(&["-m", "gpt-5.4", "Go."]);
    assert_eq!((code(&refused), text(&refused.stdout)), (1, String::new()), "{refused:?}");
    assert!(text(&refused.stderr).contains("+model = \"gpt-5.4\"\n"), "{refused:?}");
    let from = "\nconfig.model comes from controls.model\n";
    assert!(text(&refused.stderr).contains(from), "{refused:?}");
    stage.model.script([Reply::new().message("once more")]);
    let ran = run(&["Go."]);
    assert_eq!(code(&ran), 0, "{ran:?}");
    assert!(text(&ran.stdout).contains("once more"), "{ran:?}");
    let missing = done(&home, ["run", "--config-lock", "/nowhere.toml", "Go."]);
    assert_eq!(code(&missing), 2, "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_works() {
    let stage = Stage::new().await;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config-locks.md");
    let page = fs::read_to_string(page).unwrap();
    let block = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    stage.model.script((0..2).map(|_| Reply::new().message("done")));
    let binary = Path::new(env!("CARGO_BIN_EXE_switchboard")).parent().unwrap();
    let output = Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", block])
        .current_dir(stage.server.work())
        .env("SWITCHBOARD_HOME", stage.server.home())
        .env("PATH", format!("{}:/usr/bin:/bin", binary.display()))
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("the lock holds: codex 0.169.0\n"), "{said}");
    assert!(said.contains("+model = \"gpt-5.4\"\n"), "{said}");
    assert!(said.contains("exit code 4\n"), "{said}");
    assert_eq!(stage.model.requests().len(), 2, "the third run was refused");
}
