use std::{fs, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;

use super::*;

/// A program that does this.
fn program(script: &str) -> (TempDir, Binary) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("codex");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let env = vec![("GIVEN".into(), "by the wrapper".into())];
    (directory, Binary { program, env })
}

#[test]
fn the_version_is_what_codex_says() {
    let (_directory, codex) =
        program(r#"test "$*" = --version && test ! -t 0 && ! read line && echo codex-cli 0.169.0"#);
    assert_eq!(version(&codex), Ok(Some("0.169.0".to_owned())));
}

#[test]
fn a_version_may_stand_alone_but_not_be_that_of_another_program() {
    for (answer, expected) in [
        ("0.1.2505172129", Some("0.1.2505172129")),
        ("codex-cli 0.170.0-alpha.1", Some("0.170.0-alpha.1")),
        ("true (GNU coreutils) 9.1", None),
        ("codex-cli unknown", None),
        ("", None),
    ] {
        assert_eq!(version_in(answer).as_deref(), expected, "{answer}");
    }
}

#[test]
fn an_answer_without_a_version_is_no_error() {
    for script in ["echo hello", "true", "echo codex-cli 0.169.0; exit 1", "echo '{\"v\":1}' >&2"] {
        let (_directory, codex) = program(script);
        assert_eq!(version(&codex), Ok(None), "{script}");
    }
}

#[test]
fn features_are_found_by_their_whole_name() {
    let (_directory, codex) = program(
        "test \"$*\" = 'features list' || exit 9\n\
         echo 'apps                stable   true'\n\
         echo 'apps_mcp_path       removed  false'\n\
         echo \"$GIVEN\"",
    );
    let has = |feature| has_feature(&codex, feature).unwrap();
    assert_eq!(["apps", "apps_mcp", "removed", "by"].map(has), [true, false, false, true]);
}

#[test]
fn a_binary_that_does_not_know_the_question_says_why() {
    let (_directory, codex) =
        program("echo \"error: unrecognized subcommand 'features'\" >&2; exit 2");
    assert_eq!(
        has_feature(&codex, "apps"),
        Err("does not say its features (exit status: 2): unrecognized subcommand 'features'"
            .to_owned())
    );
}

#[test]
fn a_binary_that_does_not_answer_is_killed_with_what_it_started() {
    let (directory, codex) = program("sleep 1000 & echo $! > \"$(dirname \"$0\")/pid\"; wait");
    let pid_file = directory.path().join("pid");
    // Long enough to write the file; the answer would take 1,000 seconds.
    let mut limit = Duration::from_millis(100);
    while fs::read_to_string(&pid_file).map_or(true, |pid| !pid.ends_with('\n')) {
        assert_eq!(
            ask(&codex, &["--version"], limit).unwrap_err(),
            format!(
                "codex {} --version: did not answer within {} s",
                codex.program.display(),
                limit.as_secs_f32()
            )
        );
        limit *= 2;
    }
    let pid = fs::read_to_string(&pid_file).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    // Gone already, or about to be.
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        let deadline = Instant::now() + Duration::from_secs(600);
        assert!(wait_until(&pidfd, deadline).unwrap());
    }
}

#[test]
fn an_answer_of_any_length_is_taken() {
    let (_directory, codex) = program("head -c 3000000 /dev/zero | tr '\\0' x");
    let answer = ask(&codex, &[], TIME_LIMIT).unwrap();
    assert_eq!(answer.stdout.len() as u64, MAX_ANSWER_BYTES);
    assert!(answer.status.success());
}

#[test]
fn a_program_that_cannot_be_started_says_why() {
    let (_directory, codex) = program("");
    fs::write(&codex.program, "#!/nonexistent/interpreter\n").unwrap();
    assert_eq!(
        version(&codex),
        Err(format!(
            "codex {} --version: No such file or directory (os error 2)",
            codex.program.display()
        ))
    );
}
