use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A user whose file says this.
fn user(file: &str) -> (TempDir, Environment) {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join(".config/switchboard");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("profiles.toml"), file).unwrap();
    fs::write(directory.join("build.token"), "sixteen-or-more-characters\n").unwrap();
    let environment = Environment::of([("HOME", home.path().to_str().unwrap())]);
    (home, environment)
}

/// What is wrong with a profile `x` of this file.
fn problem(file: &str) -> String {
    let (_home, environment) = user(file);
    match Profile::find("x", &environment) {
        Err(Failure::Usage(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_profile_says_where_a_server_is_and_has_its_token() {
    let (home, environment) = user(
        "[tcp]\nurl = \"http://127.0.0.1:7420\"\ntoken_file = \"build.token\"\n\
         [socket]\nunix = \"~/s.sock\"\n\
         [beside]\nunix = \"s.sock\"\ntoken = \"t\"\n",
    );
    let find = |name| Profile::find(name, &environment).unwrap().unwrap();
    assert_eq!(find("tcp").target.to_string(), "http://127.0.0.1:7420");
    assert_eq!(find("tcp").token.as_deref(), Some("sixteen-or-more-characters"));
    let socket = Target::Unix(home.path().join("s.sock"));
    assert_eq!(find("socket"), Profile { target: socket, token: None });
    let beside = Target::Unix(home.path().join(".config/switchboard/s.sock"));
    assert_eq!(find("beside"), Profile { target: beside, token: Some("t".into()) });
}

#[test]
fn local_is_this_machine_unless_the_file_says_otherwise() {
    let (_home, environment) = user("[other]\nurl = \"http://127.0.0.1:1\"\n");
    assert_eq!(Profile::find("local", &environment).unwrap(), None);
    let (_home, environment) = user("[local]\nurl = \"http://127.0.0.1:1\"\n");
    assert!(Profile::find("local", &environment).unwrap().is_some());
}

#[test]
fn a_profile_that_is_not_there_or_is_wrong_is_refused_with_what_is_wrong() {
    assert!(problem("[y]\nunix = \"s\"\n").ends_with("no profile \"x\"; there are: local, y"));
    for (file, expected) in [
        ("x = ", "line 1"),
        ("x = 1", "[x]: "),
        ("[x]\n", "[x]: expected either url or unix"),
        ("[x]\nurl = \"http://h:1\"\nunix = \"s\"\n", "expected either url or unix"),
        ("[x]\nurl = \"h:1\"\n", "url: expected http://HOST:PORT"),
        ("[x]\nurl = \"https://h:1\"\n", "url: https is not supported yet"),
        ("[x]\nunix = \"\"\n", "unix: expected a string that is not empty"),
        ("[x]\nunix = \"s\"\ntokn = \"t\"\n", "unknown field `tokn`"),
        ("[x]\nunix = \"s\"\ntoken = \"t\"\ntoken_file = \"f\"\n", "either token or token_file"),
        ("[x]\nunix = \"s\"\ntoken_file = \"f\"\n", "token_file: "),
        ("[x]\nunix = \"s\"\ntls_ca = \"f\"\n", "tls_ca: it is for https"),
    ] {
        let problem = problem(file);
        assert!(problem.contains(expected), "{file}: {problem}");
        assert!(problem.contains("profiles.toml"), "{problem}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_no_empty_one() {
    let (home, environment) = user("");
    let file = home.path().join(".config/switchboard/profiles.toml");
    fs::remove_file(&file).unwrap();
    symlink(&file, &file).unwrap();
    assert!(matches!(Profile::find("local", &environment), Err(Failure::Usage(_))));
}
