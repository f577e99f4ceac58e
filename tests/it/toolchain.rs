//! Finds what `tests/run` installs and generates: the real codex, Python with
//! grpcio, the compiled TypeScript client.
//!
//! A test that needs one of them fails without it. It never skips in silence,
//! because a test that did not run proves nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder `tests/` of the repository.
pub(crate) fn tests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The native codex binary of the pinned npm package, not npm's node wrapper.
pub(crate) fn codex() -> PathBuf {
    // npm installs the package of this platform alone, so one of each is there.
    let packages = tests_dir().join("node_modules/@openai");
    let binary = entries(&packages)
        .filter(|package| {
            package.ends_with("codex-linux-x64") || package.ends_with("codex-linux-arm64")
        })
        .flat_map(|package| entries(&package.join("vendor")))
        .map(|target| target.join("bin/codex"))
        .find(|binary| binary.is_file());
    binary.unwrap_or_else(|| missing("codex", &packages))
}

/// Python with grpcio and what else `tests/requirements.txt` pins.
pub(crate) fn python() -> PathBuf {
    installed("Python with grpcio", tests_dir().join(".venv/bin/python"))
}

/// The stubs generated from `proto/` for Python: an entry for `PYTHONPATH`.
pub(crate) fn python_stubs() -> PathBuf {
    installed("the Python stubs", tests_dir().join("generated/python"))
}

/// The TypeScript client, compiled to JavaScript: the argument of `node`.
pub(crate) fn typescript_client() -> PathBuf {
    installed(
        "the TypeScript client",
        tests_dir().join("generated/typescript/build/clients/typescript/client.js"),
    )
}

fn installed(what: &str, path: PathBuf) -> PathBuf {
    if path.exists() { path } else { missing(what, &path) }
}

fn missing(what: &str, path: &Path) -> ! {
    panic!("{what} is not installed under {}: run tests/run", path.display())
}

/// The paths in a folder; none when there is no such folder.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path())
}
