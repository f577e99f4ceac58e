use std::{collections::BTreeSet, fs};

use super::*;

fn environment(directory: &Path) -> Environment {
    Environment::of([("HOME", directory.to_str().unwrap())])
}

fn load_file(text: &str) -> Result<Loaded, Error> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    fs::write(&path, text).unwrap();
    let flags = Flags { file: Some(path), ..Flags::default() };
    Loaded::load(flags, &environment(directory.path()))
}

fn refusal(text: &str) -> String {
    load_file(text).unwrap_err().to_string()
}

#[test]
fn a_machine_without_configuration_gets_the_defaults() {
    let environment = Environment::of([("HOME", "/home/dev")]);
    let loaded = Loaded::load(Flags::default(), &environment).unwrap();
    let config = loaded.config;
    let home = "/home/dev/.local/state/switchboard";
    assert_eq!(config.home, Home::at(home));
    assert_eq!(
        config.listen,
        [
            ListenAddr::Tcp(([127, 0, 0, 1], 7420).into()),
            ListenAddr::Unix(format!("{home}/switchboard.sock").into())
        ]
    );
    assert!(config.require_token);
    assert_eq!(loaded.file, None);
    assert!(loaded.values.iter().all(|value| value.source == Source::Default));
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    fs::write(
        &path,
        "listen = ['127.0.0.1:1']\n[log]\nfilter = 'error'\n[codex]\npath = '/file'\n",
    )
    .unwrap();
    let environment = Environment::of([
        ("HOME", "/home/dev"),
        ("SWITCHBOARD_CONFIG", path.to_str().unwrap()),
        ("SWITCHBOARD_LISTEN", "127.0.0.1:2, [::1]:2"),
        ("SWITCHBOARD_LOG", "debug"),
    ]);
    let mut flags = Flags::default();
    flags.keys.listen = Some(vec!["127.0.0.1:3".parse().unwrap()]);
    let loaded = Loaded::load(flags, &environment).unwrap();
    let source = |key| &loaded.values.iter().find(|value| value.key == key).unwrap().source;
    assert_eq!(loaded.config.listen[0], ListenAddr::Tcp(([127, 0, 0, 1], 3).into()));
    assert_eq!(source("listen"), &Source::Flag);
    assert_eq!(loaded.config.log.filter, "debug");
    assert_eq!(source("log.filter"), &Source::Environment);
    assert_eq!(loaded.config.codex.path, Some("/file".into()));
    assert_eq!(source("codex.path"), &Source::File(path));
    assert_eq!(source("log.format"), &Source::Default);
}

#[test]
fn an_unknown_key_is_an_error_with_its_line() {
    let problem = refusal("require_token = true\n\n[codex]\npaht = '/codex'\n");
    assert!(problem.contains("line 4"), "{problem}");
    assert!(problem.contains("paht"), "{problem}");
}

#[test]
fn a_malformed_value_is_an_error_with_its_line() {
    let problem = refusal("require_token = true\nlisten = ['7420']\n");
    assert!(problem.contains("line 2"), "{problem}");
    assert!(problem.contains("expected ADDRESS:PORT"), "{problem}");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let flags = Flags { file: Some("/nonexistent/config.toml".into()), ..Flags::default() };
    let environment = Environment::of([("HOME", "/home/dev")]);
    assert!(matches!(Loaded::load(flags, &environment), Err(Error::Read { .. })));
}

#[test]
fn an_address_that_others_can_reach_must_be_told_twice_and_keeps_its_token() {
    let problem = refusal("listen = ['0.0.0.0:7420']");
    assert!(problem.contains("--insecure-public"), "{problem}");
    let problem = refusal("listen = ['[::]:7420']\ninsecure_public = true\nrequire_token = false");
    assert!(problem.starts_with("require_token (file "), "{problem}");
    load_file("listen = ['0.0.0.0:7420']\ninsecure_public = true").unwrap();
    load_file("listen = ['127.0.0.1:7420']\nrequire_token = false").unwrap();
}

#[test]
fn values_that_cannot_work_are_refused() {
    for (text, expected) in [
        ("allowed_origins = ['*']", "allowed_origins"),
        ("allowed_origins = ['https://a.example/path']", "allowed_origins"),
        ("allowed_hosts = ['a b']", "allowed_hosts"),
        ("drain_deadline = '2h'", "drain_deadline"),
        ("drain_deadline = 10", "line 1"),
        ("[turns]\ninterrupt_grace = '2h'", "turns.interrupt_grace"),
        ("[turns]\nterminate_grace = '61m'", "turns.terminate_grace"),
        ("[turns]\ninactivity_limit = '999ms'", "turns.inactivity_limit"),
        ("[turns]\nwall_clock_limit = '0s'", "turns.wall_clock_limit"),
        ("[turns]\noutput_limit = '0B'", "turns.output_limit"),
        ("[turns]\noutput_limit = '8'", "such as 8GiB"),
        ("[turns]\noutput_limit = 8", "line 2"),
        ("[events]\nretain_age = '10ms'", "events.retain_age"),
        ("[events]\nretain_bytes = '100M'", "line 2"),
        ("[events]\nsegment_bytes = '4095B'", "events.segment_bytes"),
        ("[events]\nsegment_bytes = '2GiB'", "events.segment_bytes"),
        ("[log]\nfilter = 'switchboard=loud'", "log.filter"),
        ("[log]\nformat = 'yaml'", "line 2"),
    ] {
        let problem = refusal(text);
        assert!(problem.contains(expected), "{text}: {problem}");
    }
}

#[test]
fn the_limits_of_a_turn_are_set_in_the_file() {
    let loaded = load_file(
        "[turns]\ninactivity_limit = '10m'\nwall_clock_limit = '2h'\noutput_limit = '500MB'",
    );
    let expected = Limits {
        inactivity: Some(Duration::from_secs(600)),
        wall_clock: Some(Duration::from_secs(7200)),
        output_bytes: Some(500_000_000),
    };
    assert_eq!(loaded.unwrap().config.limits, expected);
    let expected = Limits { output_bytes: Some(8 << 30), ..Limits::default() };
    assert_eq!(load_file("").unwrap().config.limits, expected);
}

#[test]
fn a_socket_path_that_the_system_refuses_is_refused_early() {
    let flags = Flags { home: Some(format!("/{}", "x".repeat(120)).into()), ..Flags::default() };
    let error = Loaded::load(flags, &Environment::default()).unwrap_err();
    assert!(error.to_string().contains("107"), "{error}");
}

/// The dotted leaf keys of a schema.
fn keys(
    schema: &serde_json::Value,
    at: &serde_json::Value,
    prefix: &str,
    found: &mut BTreeSet<String>,
) {
    for (name, property) in at["properties"].as_object().unwrap() {
        let target = match property["$ref"].as_str() {
            Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap(),
            None => property,
        };
        if target.get("properties").is_some() {
            keys(schema, target, &format!("{prefix}{name}."), found);
        } else {
            found.insert(format!("{prefix}{name}"));
        }
    }
}

#[test]
fn the_schema_has_exactly_the_keys_that_are_accepted_and_shown() {
    let schema = serde_json::to_value(schemars::schema_for!(ConfigFile)).unwrap();
    let mut in_schema = BTreeSet::new();
    keys(&schema, &schema, "", &mut in_schema);
    let environment = Environment::of([("HOME", "/home/dev")]);
    let loaded = Loaded::load(Flags::default(), &environment).unwrap();
    let shown: BTreeSet<String> = loaded.values.iter().map(|value| value.key.into()).collect();
    assert_eq!(in_schema, shown);
    assert_eq!(schema["additionalProperties"], false);

    // The parser names the keys that it accepts when it meets another.
    let mut accepted = BTreeSet::new();
    const TABLES: [&str; 7] =
        ["turns", "events", "controls", "json_rpc", "debug.config_lockfile", "codex", "log"];
    for table in [""].into_iter().chain(TABLES) {
        let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
        let problem = toml::from_str::<ConfigFile>(&format!("{header}zzz = 1")).unwrap_err();
        let names = problem.message().split('`').skip(3).step_by(2).map(str::to_owned);
        let dot = if table.is_empty() { "" } else { "." };
        accepted.extend(names.map(|name| format!("{table}{dot}{name}")));
    }
    for table in TABLES {
        // The table that it is in, where it is in one, has nothing else.
        accepted.remove(table.split('.').next().unwrap());
    }
    assert_eq!(in_schema, accepted);
}

#[test]
fn an_address_that_is_named_twice_is_listened_on_once() {
    let environment = Environment::of([("HOME", "/home/dev")]);
    let listen = |addresses: &[&str]| {
        let listen = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let keys = ConfigFile { listen: Some(listen), ..ConfigFile::default() };
        let flags = Flags { home: Some("/sb".into()), keys, ..Flags::default() };
        let config = Loaded::load(flags, &environment).unwrap().config;
        config.listen.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(listen(&["unix:/sb/switchboard.sock"]), ["unix:/sb/switchboard.sock"]);
    assert_eq!(
        listen(&["127.0.0.1:1", "unix:/a", "127.0.0.1:1", "unix:/a", "[::1]:1"]),
        ["127.0.0.1:1", "unix:/a", "[::1]:1", "unix:/sb/switchboard.sock"]
    );
    // Each of these finds a free port of its own.
    assert_eq!(
        listen(&["127.0.0.1:0", "127.0.0.1:0"]),
        ["127.0.0.1:0", "127.0.0.1:0", "unix:/sb/switchboard.sock"]
    );
}
