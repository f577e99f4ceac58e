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
        (0, format!("the lock holds in {}: codex 0.169.0\n", session.working_directory)),
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
    // What one of them takes there is nothing for the other.
    for prompt in [&[][..], &["-"]] {
        let both = done(&home, [&["run", "--config-lock", "-"], prompt].concat());
        assert_eq!(code(&both), 2, "{both:?}");
        assert!(text(&both.stderr).contains("cannot be both"), "{both:?}");
    }
    let missing = done(&home, ["run", "--config-lock", "/nowhere.toml", "Go."]);
    assert_eq!(code(&missing), 2, "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_of_the_directory_that_it_names_wherever_it_is_compared() {
    let stage = Stage::new().await;
    let work = stage.server.work();
    fs::write(work.join("AGENTS.md"), "Answer in one word.").unwrap();
    let (_, lock) = stage.locked().await;
    let place = tempfile::tempdir().unwrap();
    let checkout = place.path().canonicalize().unwrap();
    fs::copy(work.join("AGENTS.md"), checkout.join("AGENTS.md")).unwrap();
    fs::write(checkout.join("run.lock.toml"), lock).unwrap();
    let verify = |arguments: &[&str]| {
        let mut command = switchboard(&stage.server.home());
        command.args(["lock", "verify", "run.lock.toml"]).args(arguments);
        let output = command.current_dir(&checkout).output().unwrap();
        (code(&output), text(&output.stdout))
    };
    let (status, said) = verify(&[]);
    let [first, note] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert_eq!(status, 0, "{said}");
    assert_eq!(first, format!("the lock holds in {}: codex 0.169.0", work.display()));
    assert!(note.starts_with("note: ") && note.contains("not the current one"), "{note}");
    let (_, said) = verify(&["--json"]);
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(told["workingDirectory"], work.to_str().unwrap());
    let (status, said) = verify(&["-C", "."]);
    assert_eq!(status, 4, "{said}");
    assert!(said.starts_with(&format!("compared in {}\n", checkout.display())), "{said}");
    assert!(said.ends_with("working_directory comes from session.working_directory\n"), "{said}");
    assert_eq!(said.matches(" comes from ").count(), 1, "{said}");

    // As the page says, which leaves nothing else to do.
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config-locks.md");
    let page = fs::read_to_string(page).unwrap();
    let block = page.split("```sh\n").nth(2).unwrap().split("```").next().unwrap();
    let run = Command::new("bash").args(["-ec", block]).current_dir(&checkout).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    let holds = format!("the lock holds in {}: codex 0.169.0\n", checkout.display());
    assert_eq!(verify(&[]), (0, holds));
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
    assert!(said.contains("the lock holds in ") && said.contains(": codex 0.169.0\n"), "{said}");
    assert!(said.contains("+model = \"gpt-5.4\"\n"), "{said}");
    assert!(said.contains("exit code 4\n"), "{said}");
    assert_eq!(stage.model.requests().len(), 2, "the third run was refused");
}
