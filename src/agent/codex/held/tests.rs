use super::*;
use crate::agent::codex::resolve::features;

fn effective(version: &str, config: &str) -> Effective {
    Effective {
        codex_version: version.to_owned(),
        working_directory: Some("/work".into()),
        config: config.parse().unwrap(),
        ..Effective::default()
    }
}

/// A lock of ours.
fn lock(config: &str) -> Lock {
    Lock { made_of: lock::MadeOf::default(), effective: effective("0.169.0", config) }
}

/// A lock that codex itself made.
fn of_codex(config: &str) -> Lock {
    let mut lock = lock(config);
    lock.effective.codex_version = "0.147.0".to_owned();
    lock.effective.working_directory = None;
    lock
}

fn choice(key: &str, value: impl Into<Value>, origin: &str) -> Choice {
    let path = key.split('.').map(str::to_owned).collect();
    Choice { path, value: value.into(), origin: origin.to_owned(), over: Over::Replaces }
}

/// What a turn would run with, where the flags say what of a sandbox it comes to.
fn picture(actual: &str, sandbox: &str) -> Picture {
    let effective = effective("0.169.0", actual);
    Picture {
        origins: leaves(&effective.config)
            .iter()
            .map(|(path, _)| (dotted_path(path), None))
            .collect(),
        effective,
        aliases: [("old".to_owned(), "goals".to_owned())].into(),
        sandbox: sandbox.parse().unwrap(),
        above: "codex",
        notes: Vec::new(),
    }
}

/// Checks what differs, as lines `KEY: LOCKED -> ACTUAL, ORIGIN`; gives the notes,
/// and what codex is told.
fn check(
    lock: &Lock,
    actual: &str,
    choices: &[Choice],
    below: &[Choice],
    expected: &[&str],
) -> (Vec<String>, Table) {
    check_beside(lock, picture(actual, ""), None, choices, below, expected)
}

/// The same with a sandbox, where `free` is what the turn would run with if it had no
/// lock.
fn check_beside(
    lock: &Lock,
    picture: Picture,
    free: Option<Picture>,
    choices: &[Choice],
    below: &[Choice],
    expected: &[&str],
) -> (Vec<String>, Table) {
    let features = features::parse("goals stable true\nnew stable true\nundo removed false\n");
    let mut told = fit(lock, is_foreign(lock, "0.169.0").then_some(&features));
    let origins = leaves(&told.config).iter().map(|(path, _)| (dotted_path(path), None)).collect();
    let picture = Picture { origins, ..picture };
    let compared = compare(lock, true, &mut told, picture, choices, below, || free);
    let show = |value: Option<String>| value.unwrap_or_default();
    let found: Vec<_> = compared
        .drift
        .values
        .into_iter()
        .map(|it| format!("{}: {} -> {}, {}", it.key, show(it.locked), show(it.actual), it.origin))
        .collect();
    assert_eq!(found, expected);
    (compared.notes, told.config)
}

const NEVER: &str = "approval_policy = 'never'\n";

#[test]
fn what_is_chosen_otherwise_differs_although_the_lock_beats_it() {
    let text = format!("{NEVER}model = 'a'\nx = 5.0\ny = 1\n");
    let choices = [
        choice("model", "b", "controls.model"),
        // Codex reads a whole number where it tells a fraction.
        choice("x", 5, "codex_options.config.x"),
        choice("y", 1, "codex_options.config.y"),
        choice("not.in.the.lock", 1, "codex_options.config.not"),
        // What is no part of a lock is as it is chosen.
        choice("tui.theme", "x", "codex_options.config.tui.theme"),
    ];
    check(
        &lock(&text),
        &text,
        &choices,
        &[],
        &[
            r#"config.model: "a" -> "b", controls.model"#,
            "config.not.in.the.lock:  -> 1, codex_options.config.not",
        ],
    );
}

#[test]
fn a_feature_that_is_chosen_by_an_old_name_is_that_feature() {
    let text = format!("{NEVER}[features]\ngoals = true\n");
    let old = |value: bool| [choice("features.old", value, "codex_options.config.features.old")];
    check(&lock(&text), &text, &old(true), &[], &[]);
    let expected = "config.features.goals: true -> false, codex_options.config.features.old";
    check(&lock(&text), &text, &old(false), &[], &[expected]);
}

#[test]
fn what_the_lock_lacks_is_named_by_who_says_it() {
    let actual = format!("{NEVER}a = 1\nb = 2\nc = 3\n");
    let flags = ["a", "b"].map(|key| choice(key, 0, "below"));
    let choices = [choice("a", 1, "above")];
    let lock = lock(&format!("{NEVER}a = 1\n"));
    // Of `b` and `c` no layer is known here.
    check(&lock, &actual, &choices, &flags, &["config.b:  -> 2, codex", "config.c:  -> 3, codex"]);
}

#[test]
fn a_lock_of_codex_itself_is_filled_and_what_this_codex_does_not_know_is_left() {
    let foreign = of_codex(
        "approval_policy = 'on-request'\nmodel = 'a'\nunknown = 1\n[tui]\ntheme = 'x'\n[plugins]\n\
         [features]\ngoals = false\nundo = true\nnobody = true\n",
    );
    let actual = format!(
        "{NEVER}model = 'a'\nsandbox_mode = 'read-only'\n[features]\ngoals = false\nnew = true\n"
    );
    let (notes, told) = check(&foreign, &actual, &[], &[], &[]);
    assert_eq!(told, "model = 'a'\n[features]\ngoals = false\n".parse().unwrap());
    let expected = [
        "The lock has the approval policy \"on-request\", which is not compared: codex exec asks \
         nobody.",
        "Not taken from the lock (no part of a lock, and left to the session): tui.",
        "Not taken from the lock (features that this codex has not, or not to be set): nobody, undo.",
        "Not taken from the lock (settings that this codex does not know): unknown.",
        "The lock was made with codex 0.147.0, and turns run with 0.169.0, which is allowed.",
        "The lock lacks these (2), which are as the session has them: features.new, sandbox_mode.",
    ];
    assert_eq!(notes, expected);
    check(
        &foreign,
        &actual.replace("'a'", "'b'"),
        &[],
        &[],
        &[r#"config.model: "a" -> "b", codex"#],
    );
}

#[test]
fn what_the_sandbox_of_a_lock_has_no_setting_for_differs_unless_it_does_that() {
    const NETWORK: &str = "sandbox_workspace_write.network_access";
    const ROOTS: &str = "sandbox_workspace_write.writable_roots";
    const SLASH_TMP: &str = "sandbox_workspace_write.exclude_slash_tmp";
    let roots = || Value::from(vec![Value::from("/usr")]);
    let mode = |mode: &str| format!("{NEVER}sandbox_mode = '{mode}'\n");
    let profile = |profile: &str| format!("{NEVER}default_permissions = '{profile}'\n");
    for (text, key, value, lost) in [
        (mode("read-only"), NETWORK, true.into(), true),
        (mode("read-only"), NETWORK, false.into(), false),
        (mode("read-only"), ROOTS, roots(), true),
        (mode("danger-full-access"), NETWORK, true.into(), false),
        // Codex cannot tell it from the other.
        (mode("danger-full-access"), NETWORK, false.into(), false),
        (mode("danger-full-access"), ROOTS, roots(), false),
        (profile(":workspace"), NETWORK, true.into(), true),
        (profile(":workspace"), NETWORK, false.into(), false),
        (profile(":workspace"), SLASH_TMP, true.into(), true),
        (profile(":workspace"), SLASH_TMP, false.into(), false),
        (profile(":workspace"), ROOTS, roots(), true),
        (profile(":workspace"), "sandbox_mode", "read-only".into(), true),
        (profile(":workspace"), "sandbox_mode", "workspace-write".into(), false),
        // One of somebody's own is no mode, but has a network or not.
        (profile("mine"), "sandbox_mode", "workspace-write".into(), true),
        (profile("mine"), NETWORK, false.into(), false),
    ] {
        let shown = format!("config.{key}:  -> {}, where", line(&value));
        let expected: &[&str] = if lost { &[&shown] } else { &[] };
        let picture = picture(
            &text,
            "sandbox_mode = 'workspace-write'\n[sandbox_workspace_write]\n\
             network_access = false\nexclude_slash_tmp = false\n",
        );
        check_beside(&lock(&text), picture, None, &[choice(key, value, "where")], &[], expected);
    }
}

#[test]
fn a_lock_without_the_hash_of_the_catalogue_says_so_where_the_catalogue_has_its_model() {
    let notes = |locked: Option<&str>, actual: Option<&str>| {
        let mut lock = lock(NEVER);
        lock.effective.model_catalog_sha256 = locked.map(str::to_owned);
        let mut picture = picture(NEVER, "");
        picture.effective.model_catalog_sha256 = actual.map(str::to_owned);
        check_beside(&lock, picture, None, &[], &[], &[]).0
    };
    let expected =
        "The lock has no hash of what the catalogue says of its model, which is not compared.";
    assert_eq!(notes(None, Some("aa")), [expected]);
    assert_eq!(notes(Some("aa"), Some("aa")), [""; 0]);
    assert_eq!(notes(None, None), [""; 0], "there is nothing to compare");
}

#[test]
fn of_what_is_said_twice_the_highest_is_what_was_chosen() {
    let text = format!("{NEVER}model = 'b'\n[features]\ngoals = false\n");
    let choices = [
        choice("model", "a", "profile"),
        choice("features.goals", true, "profile"),
        choice("model", "b", "controls.model"),
        choice("features.old", false, "codex_options.config.features.old"),
    ];
    check(&lock(&text), &text, &choices, &[], &[]);
    let other = format!("{NEVER}model = 'a'\n[features]\ngoals = true\n");
    let expected = [
        "config.features.goals: true -> false, codex_options.config.features.old",
        r#"config.model: "a" -> "b", controls.model"#,
    ];
    check(&lock(&other), &other, &choices, &[], &expected);
}

#[test]
fn directories_are_added_to_what_is_said_below() {
    let roots = |roots: &str| {
        format!(
            "{NEVER}sandbox_mode = 'workspace-write'\n[sandbox_workspace_write]\n\
             writable_roots = {roots}\n"
        )
    };
    const KEY: &str = "sandbox_workspace_write.writable_roots";
    let array = |directory: &str| Value::from(vec![Value::from(directory)]);
    let adds =
        Choice { over: Over::Adds, ..choice(KEY, array("/b"), "codex_options.add_directories") };
    let both = [choice(KEY, array("/a"), "where"), adds];
    let added = &both[1..];
    let check = |locked: &str, choices: &[Choice], expected: &[&str]| {
        check(&lock(&roots(locked)), &roots(locked), choices, &[], expected);
    };
    check("['/a', '/b']", &both, &[]);
    check("['/a', '/b']", added, &[]);
    let by_add = "codex_options.add_directories";
    let expected = format!(r#"config.{KEY}: ["/a"] -> ["/a","/b"], {by_add}"#);
    check("['/a']", added, &[&expected]);
    let expected = format!(r#"config.{KEY}: ["/b"] -> ["/a","/b"], where"#);
    check("['/b']", &both, &[&expected]);
}

#[test]
fn what_has_no_effect_without_the_lock_is_not_lost_by_it() {
    let locked = format!("{NEVER}x = 1\ny = 1\n[tools]\nz = 1\n");
    let choices = [
        choice("x", 2, "codex_options.config.x"),
        choice("y", 2, "/home/dev/.codex/brief.config.toml"),
        choice("unknown", 1, "codex_options.config.unknown"),
        choice("tools.z", true, "codex_options.config.tools.z"),
    ];
    // All as in the lock, whoever says so.
    let (notes, _) = check_beside(
        &lock(&locked),
        picture(&locked, ""),
        Some(picture(&locked, "")),
        &choices,
        &[],
        &[],
    );
    assert_eq!(
        notes.last().unwrap(),
        "Without effect, with the lock as without it: x, unknown, tools.z."
    );
    // As chosen, as others have it by now, and by a word of codex for what was chosen.
    let free = format!("{NEVER}x = 2\ny = 3\n[tools]\nz = 2\n");
    let mut free = picture(&free, "");
    free.origins = ["x", "tools.z"].map(|key| (key.to_owned(), None)).into_iter().collect();
    check_beside(
        &lock(&locked),
        picture(&locked, ""),
        Some(free),
        &choices,
        &[],
        &[
            "config.tools.z: 1 -> true, codex_options.config.tools.z",
            "config.x: 1 -> 2, codex_options.config.x",
        ],
    );
}
