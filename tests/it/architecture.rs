//! What cannot be read from the code: which module never names which.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a leaf must not name: anything but leaves.
const NO_LEAF: &[&str] = &[
    "crate::supervise",
    "crate::app",
    "crate::agent",
    "crate::cli",
    "crate::server",
    "crate::session",
    "crate::store",
    "crate::wire",
    "tokio",
    "tonic",
    "axum",
    "hyper",
    "http",
    "jsonrpsee",
];

/// What each module must not name, as the crate's own paths or as other crates.
const RULES: &[(&str, &[&str])] = &[
    (
        "app.rs",
        &[
            "crate::wire",
            "crate::server",
            "crate::cli",
            "tonic",
            "axum",
            "hyper",
            "http",
            "jsonrpsee",
        ],
    ),
    (
        "session",
        &[
            "crate::app",
            "crate::wire",
            "crate::server",
            "crate::cli",
            "tonic",
            "axum",
            "hyper",
            "http",
            "jsonrpsee",
        ],
    ),
    (
        "store",
        &[
            "crate::app",
            "crate::wire",
            "crate::server",
            "crate::cli",
            "crate::agent",
            "crate::session",
            "crate::supervise",
            "tonic",
            "axum",
            "hyper",
            "http",
        ],
    ),
    (
        "row.rs",
        &[
            "crate::app",
            "crate::agent",
            "crate::session",
            "crate::store",
            "crate::supervise",
            "crate::wire",
            "tonic",
            "axum",
            "hyper",
            "http",
        ],
    ),
    (
        "agent",
        &[
            "crate::app",
            "crate::session",
            "crate::store",
            "crate::wire",
            "crate::server",
            "crate::cli",
            "tonic",
            "axum",
            "hyper",
            "http",
        ],
    ),
    (
        "supervise",
        &[
            "crate::app",
            "crate::agent",
            "crate::session",
            "crate::store",
            "crate::wire",
            "crate::server",
            "crate::cli",
            "tokio",
            "clap",
            "tracing",
            "tonic",
            "axum",
            "hyper",
            "http",
        ],
    ),
    (
        "bundle.rs",
        &[
            "crate::app",
            "crate::agent",
            "crate::session",
            "crate::wire",
            "crate::server",
            "crate::cli",
            "tokio",
            "tonic",
            "axum",
            "hyper",
            "http",
        ],
    ),
    // Its graces are those that the supervisor's records hold.
    ("config.rs", NO_LEAF.split_at(1).1),
    ("debug_log.rs", NO_LEAF),
    ("error.rs", NO_LEAF),
    ("event.rs", NO_LEAF),
    ("home.rs", NO_LEAF),
    ("id.rs", NO_LEAF),
    ("json.rs", NO_LEAF),
    ("lock.rs", NO_LEAF),
    ("lock", NO_LEAF),
    ("time.rs", NO_LEAF),
    ("plain_file.rs", NO_LEAF),
    ("toml_text.rs", NO_LEAF),
    ("wire", &["crate::cli", "rusqlite", "crate::store", "crate::supervise"]),
    // What the adapters share names none of them.
    (
        "wire/operations",
        &[
            "crate::wire::auth",
            "crate::wire::contract",
            "crate::wire::grpc",
            "crate::wire::json_rpc",
            "crate::wire::rest",
            "tonic",
            "axum",
            "hyper",
            "http",
            "jsonrpsee",
        ],
    ),
];

#[test]
fn dependencies_point_one_way() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    let mut paths_read = 0;
    for (module, forbidden) in RULES {
        for file in rust_files(&source.join(module)) {
            for path in paths(&fs::read_to_string(&file).unwrap()) {
                paths_read += 1;
                if forbidden.iter().any(|name| is_under(&path, name)) {
                    broken.push(format!("{}: {path}", file.display()));
                }
            }
        }
    }
    assert!(paths_read > 1_000, "the rules look at files that are not there");
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn the_rule_would_catch_an_import() {
    let code = "use crate::{\n    app, // why\n    wire::{error, grpc::{self, Health}},\n};\n\
                fn f() { tokio::spawn(crate::cli::run()) } // tonic::Status\n";
    let found = paths(code);
    for name in ["crate::app", "crate::wire::grpc::Health", "tokio::spawn", "crate::cli::run"] {
        assert!(found.iter().any(|path| path == name), "{name} in {found:?}");
    }
    assert!(!found.iter().any(|path| is_under(path, "tonic")));
    assert!(is_under("crate::wire::error", "crate::wire"));
    assert!(!is_under("crate::wired", "crate::wire"));
}

fn is_under(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every path that code names, those of grouped imports spelled out.
fn paths(code: &str) -> Vec<String> {
    let without_comments = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    let text = without_comments.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let statement = text[at + 4..].split(';').next().unwrap_or_default();
        spell_out("", &statement.split_whitespace().collect::<String>(), &mut found);
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for word in text.split(|c| !is_part(c)).filter(|word| word.contains("::")) {
        found.push(word.trim_matches(':').to_owned());
    }
    found
}

fn spell_out(before: &str, tree: &str, found: &mut Vec<String>) {
    let (mut depth, mut start) = (0_usize, 0);
    let mut parts = Vec::new();
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[start..]);
    for part in parts {
        match part.split_once('{') {
            Some((path, rest)) => {
                let inner = rest.strip_suffix('}').unwrap_or(rest);
                spell_out(&format!("{before}{path}"), inner, found);
            }
            None => found.push(format!("{before}{part}")),
        }
    }
}

fn rust_files(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            files.extend(rust_files(&entry.unwrap().path()));
        }
        return files;
    }
    assert!(path.is_file(), "{} is not there", path.display());
    if path.extension().is_some_and(|extension| extension == "rs") {
        files.push(path.to_owned());
    }
    // A module in a file has its parts in a folder of its name.
    let folder = path.with_extension("");
    if folder.is_dir() {
        files.extend(rust_files(&folder));
    }
    files
}
