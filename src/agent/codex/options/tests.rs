use std::fs;

use super::*;

fn config(pairs: &[(&str, &str)]) -> CodexOptions {
    let config = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    CodexOptions { config: config.collect(), ..CodexOptions::default() }
}

/// Checks the words that refuse some options.
fn refused(options: &CodexOptions, expected: &str) {
    let problem = check(options).unwrap_err().to_string();
    assert!(problem.starts_with(expected), "{problem}");
}

#[test]
fn options_that_codex_can_be_given_are_taken() {
    check(&CodexOptions::default()).unwrap();
    let environment = [("PATH".to_owned(), "/bin".to_owned()), ("_x1".to_owned(), String::new())];
    let options = CodexOptions {
        output_schema: "/a/schema.json".to_owned(),
        add_directories: vec!["/tmp/a, b".to_owned()],
        profile: "work-2.b".to_owned(),
        web_search: WebSearchMode::Cached.into(),
        environment: environment.into(),
        full_danger: true,
        strict_config: true,
        ..config(&[("a.b-c_d", "[1, 'x']"), ("a.e", "{}"), ("projects", "{'/a.b' = {x = 1}}")])
    };
    check(&options).unwrap();
}

#[test]
fn a_setting_has_a_key_of_codex_and_a_value_of_toml() {
    for key in ["", ".", "a.", ".a", "a..b", "a=b", "'a'", "a b", "-a", "a.-b", "ü"] {
        let expected = format!("session.codex_options.config: {key:?}: expected a key");
        refused(&config(&[(key, "1")]), &expected);
    }
    refused(&config(&[(&"k".repeat(257), "1")]), "session.codex_options.config: \"kkk");
    for value in ["", "high", "null", "1\nb = 2", "[1"] {
        let expected = "session.codex_options.config: a.b: not a value of TOML, where strings";
        refused(&config(&[("a.b", value)]), expected);
    }
    refused(
        &config(&[("a", "1"), ("a.b", "2")]),
        "session.codex_options.config: a.b: \"a\" has a value that is no table",
    );
}

#[test]
fn what_has_a_field_is_told_which() {
    for (key, instead) in ELSEWHERE {
        let value = if key == "profile" { "'x'" } else { "true" };
        let expected = format!("session.codex_options.config: {key}: {instead}");
        refused(&config(&[(key, value)]), &expected);
    }
    // However it is written.
    refused(
        &config(&[("sandbox_workspace_write", "{network_access = true}")]),
        "session.codex_options.config: sandbox_workspace_write.network_access: set session.network_access",
    );
    check(&config(&[("sandbox_workspace_write.exclude_slash_tmp", "true")])).unwrap();
}

#[test]
fn what_a_turn_adds_to_must_be_a_table() {
    for (key, value) in [
        ("shell_environment_policy", "1"),
        ("shell_environment_policy.set", "3"),
        ("sandbox_workspace_write", "true"),
    ] {
        let expected = format!("session.codex_options.config: {key}: expected a table");
        refused(&config(&[(key, value)]), &expected);
    }
}

#[test]
fn everything_is_bounded() {
    let many = |count: usize| (0..count).map(|n| (format!("k{n}"), "1".to_owned())).collect();
    let some = CodexOptions { config: many(MAX_SETTINGS), ..CodexOptions::default() };
    check(&some).unwrap();
    let more = CodexOptions { config: many(MAX_SETTINGS + 1), ..CodexOptions::default() };
    refused(&more, "session.codex_options.config: 129 settings; at most 128");
    let directories = vec!["/a".to_owned(); MAX_DIRECTORIES + 1];
    let more = CodexOptions { add_directories: directories, ..CodexOptions::default() };
    refused(&more, "session.codex_options.add_directories: 17 directories; at most 16");
    let more = CodexOptions { environment: many(MAX_VARIABLES + 1), ..CodexOptions::default() };
    refused(&more, "session.codex_options.environment: 65 variables; at most 64");
    let long = format!("'{}'", "x".repeat(MAX_OPTIONS_BYTES));
    refused(&config(&[("a", &long)]), "session.codex_options: 65549 bytes; at most 65536");
}

#[test]
fn paths_are_absolute_and_names_are_plain() {
    for path in ["a", "./a", "~/a", "/a\0"] {
        let expected = format!("session.codex_options.output_schema: {path:?}: expected an abs");
        let output_schema = path.to_owned();
        refused(&CodexOptions { output_schema, ..CodexOptions::default() }, &expected);
        let expected = format!("session.codex_options.add_directories: {path:?}: expected an abs");
        let add_directories = vec!["/a".to_owned(), path.to_owned()];
        refused(&CodexOptions { add_directories, ..CodexOptions::default() }, &expected);
    }
    for profile in ["-p", ".", "..", "../x", "a/b", "a b", "ü"] {
        let expected = format!("session.codex_options.profile: {profile:?}: expected a plain name");
        let profile = profile.to_owned();
        refused(&CodexOptions { profile, ..CodexOptions::default() }, &expected);
    }
    let unknown = CodexOptions { web_search: 9, ..CodexOptions::default() };
    refused(&unknown, "session.codex_options.web_search: 9 is no value of it");
}

#[test]
fn variables_have_names_that_are_not_the_servers() {
    let with = |name: &str, value: &str| CodexOptions {
        environment: [(name.to_owned(), value.to_owned())].into(),
        ..CodexOptions::default()
    };
    for name in ["", "1A", "A=B", "A B", "A-B", "ü"] {
        let expected = format!("session.codex_options.environment: {name:?}: expected a name");
        refused(&with(name, "secret"), &expected);
    }
    for name in ["SWITCHBOARD_TURN", "SWITCHBOARD_X", "CODEX_HOME", "HOME"] {
        let expected = format!("session.codex_options.environment: {name} is the server's to set");
        refused(&with(name, "secret"), &expected);
    }
    let problem = check(&with("A", "secret\0")).unwrap_err().to_string();
    assert_eq!(problem, "session.codex_options.environment: A: the value has a NUL character");
}

#[test]
fn images_are_files_whose_names_are_no_lists() {
    let home = tempfile::tempdir().unwrap();
    let image = home.path().join("a b.png");
    fs::write(&image, "").unwrap();
    check_images(&[]).unwrap();
    check_images(&vec![image.clone(); MAX_IMAGES]).unwrap();
    let problem = |images: &[PathBuf]| check_images(images).unwrap_err().to_string();
    let many = vec![image; MAX_IMAGES + 1];
    assert_eq!(problem(&many), "images: 17 images; at most 16 are allowed");
    assert!(problem(&["/a,b.png".into()]).starts_with("images: /a,b.png: codex takes a comma"));
    assert_eq!(problem(&["a.png".into()]), "images: \"a.png\": expected an absolute path");
    let directory = home.path().to_owned();
    let expected = format!("images: {}: there is no such file", directory.display());
    assert_eq!(problem(&[directory]), expected);
}

#[test]
fn files_of_a_turn_must_be_there_when_it_starts() {
    let home = tempfile::tempdir().unwrap();
    let schema = home.path().join("s.json").display().to_string();
    let options = CodexOptions {
        output_schema: schema.clone(),
        profile: "work".to_owned(),
        ..CodexOptions::default()
    };
    let problem = |options| check_files(options, Some(home.path())).unwrap_err().to_string();
    let expected = format!("session.codex_options.output_schema: {schema}: there is no such file");
    assert_eq!(problem(&options), expected);
    fs::write(&schema, "{}").unwrap();
    let file = home.path().join("work.config.toml");
    let expected = format!("session.codex_options.profile: work: there is no {}", file.display());
    assert_eq!(problem(&options), expected);
    // Where the home is not known, codex is left to find it.
    check_files(&options, None).unwrap();
    fs::write(&file, "").unwrap();
    check_files(&options, Some(home.path())).unwrap();
}
