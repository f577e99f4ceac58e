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
    Choice { path, value: value.into(), origin: origin.to_owned() }
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
    let features = features::parse("goals stable true\nnew stable true\nundo removed false\n");
    let mut told = fit(lock, is_foreign(lock, "0.169.0").then_some(&features));
    let picture = Picture {
        effective: effective("0.169.0", actual),
        origins: leaves(&told.config).iter().map(|(path, _)| (dotted_path(path), None)).collect(),
        aliases: [("old".to_owned(), "goals".to_owned())].into(),
        above: "codex",
        notes: Vec::new(),
    };
    let compared = compare(lock, true, &mut told, picture, choices, below);
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
    let roots = || Value::from(vec![Value::from("/usr")]);
    let mode = |mode: &str| format!("{NEVER}sandbox_mode = '{mode}'\n");
    let profile = format!("{NEVER}default_permissions = ':workspace'\n");
    for (text, key, value, lost) in [
        (mode("read-only"), NETWORK, true.into(), true),
        (mode("read-only"), NETWORK, false.into(), false),
        (mode("read-only"), ROOTS, roots(), true),
        (mode("danger-full-access"), NETWORK, true.into(), false),
        (mode("danger-full-access"), NETWORK, false.into(), true),
        (mode("danger-full-access"), ROOTS, roots(), false),
        (profile.clone(), NETWORK, true.into(), true),
        (profile.clone(), NETWORK, false.into(), true),
        (profile.clone(), ROOTS, roots(), true),
        (profile, "sandbox_mode", "read-only".into(), true),
    ] {
        let shown = format!("config.{key}:  -> {}, where", line(&value));
        let expected: &[&str] = if lost { &[&shown] } else { &[] };
        check(&lock(&text), &text, &[choice(key, value, "where")], &[], expected);
    }
}
