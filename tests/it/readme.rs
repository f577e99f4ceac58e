//! What the README claims with the name of a test has that test.

use std::{fs, path::Path};

/// Whether the tests have one of this name, or a module with tests where it ends
/// in `::*`.
fn is_there(name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let (module, function) = name.rsplit_once("::").unwrap();
    let source = fs::read_to_string(root.join(module.replace("::", "/")).with_extension("rs"));
    source.is_ok_and(|source| match function {
        "*" => source.contains("#[test]") || source.contains("#[tokio::test"),
        function => source.contains(&format!("fn {function}(")),
    })
}

#[test]
fn each_line_of_what_survives_what_names_its_test() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).unwrap();
    let section = readme.split("## What survives what").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut named = 0;
    for row in rows {
        let names: Vec<_> = row.split('`').filter(|text| text.contains("::")).collect();
        for name in &names {
            assert!(is_there(name), "the README names {name}");
        }
        // Nobody logs out in a test.
        assert!(!names.is_empty() || row.starts_with("| logout "), "{row}");
        named += names.len();
    }
    assert!(named > 10, "{named} tests are named");
    assert!(!is_there("restart::no_such_test"));
}
