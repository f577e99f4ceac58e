use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;

/// A directory to install things in, by its real path.
struct Root {
    _directory: TempDir,
    path: PathBuf,
}

impl Root {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(directory.path()).unwrap();
        Self { _directory: directory, path }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.path.join(relative)
    }

    /// Writes a file with these permissions and all directories above it.
    fn file(&self, relative: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn link(&self, relative: &str, target: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, &path).unwrap();
        path
    }

    /// Installs the wrapper's package in this directory of packages.
    fn wrapper(&self, node_modules: &str) -> PathBuf {
        let script = format!("{node_modules}/{WRAPPER_SCRIPT}");
        self.file(&script, "#!/usr/bin/env node\n", 0o755);
        self.path(&format!("{node_modules}/{WRAPPER_PACKAGE}"))
    }

    /// Installs the native binary's package in this directory of packages.
    fn native(&self, node_modules: &str) -> PathBuf {
        let (platform, target) = platform();
        self.file(
            &format!("{node_modules}/@openai/{platform}/vendor/{target}/bin/codex"),
            "",
            0o755,
        )
    }
}

/// The names that npm has for this machine.
fn platform() -> (&'static str, &'static str) {
    match env::consts::ARCH {
        "aarch64" => ("codex-linux-arm64", "aarch64-unknown-linux-musl"),
        _ => ("codex-linux-x64", "x86_64-unknown-linux-musl"),
    }
}

/// The native binary, with what the wrapper of this package adds.
fn managed(program: PathBuf, managed_by: &str, package: PathBuf) -> Result<Binary, String> {
    let env = vec![
        (managed_by.into(), "1".into()),
        ("CODEX_MANAGED_PACKAGE_ROOT".into(), package.into()),
    ];
    Ok(Binary { program, env })
}

fn plain(program: PathBuf) -> Result<Binary, String> {
    Ok(Binary { program, env: Vec::new() })
}

#[test]
fn the_binary_behind_npms_wrapper_is_found_wherever_npm_puts_it() {
    for native_in in ["node_modules", "node_modules/@openai/codex/node_modules"] {
        let root = Root::new();
        let package = root.wrapper("node_modules");
        let native = root.native(native_in);
        let link = root.link("node_modules/.bin/codex", "../@openai/codex/bin/codex.js");

        assert_eq!(resolve(Some(&link), None), managed(native, "CODEX_MANAGED_BY_NPM", package));
    }
}

#[test]
fn a_global_installation_is_found_through_path() {
    let root = Root::new();
    let package = root.wrapper("lib/node_modules");
    let native = root.native("lib/node_modules/@openai/codex/node_modules");
    root.link("bin/codex", "../lib/node_modules/@openai/codex/bin/codex.js");
    let path_var = env::join_paths([root.path("empty"), root.path("bin")]).unwrap();

    let expected = managed(native, "CODEX_MANAGED_BY_NPM", package);
    assert_eq!(resolve(None, Some(&path_var)), expected);
    assert_eq!(resolve(Some(Path::new("codex")), Some(&path_var)), expected);
}

#[test]
fn the_wrappers_own_vendor_directory_and_the_older_layout_are_known() {
    let root = Root::new();
    let package = root.wrapper("node_modules");
    let (_, target) = platform();
    let vendor = format!("node_modules/@openai/codex/vendor/{target}");
    let native = root.file(&format!("{vendor}/codex/codex"), "", 0o755);
    root.file(&format!("{vendor}/path/rg"), "", 0o755);
    let script = package.join("bin/codex.js");

    let found = resolve(Some(&script), Some(OsStr::new("/usr/bin:/bin"))).unwrap();

    let mut path = root.path(&vendor).join("path").into_os_string();
    path.push(":/usr/bin:/bin");
    let mut expected = managed(native, "CODEX_MANAGED_BY_NPM", package).unwrap();
    expected.env.push(("PATH".into(), path));
    assert_eq!(found, expected);
}

#[test]
fn pnpms_shell_script_leads_to_the_wrapper() {
    let root = Root::new();
    let store = "global/5/.pnpm/@openai+codex@0.169.0/node_modules";
    let package = root.wrapper(store);
    let native = root.native(store);
    root.file("global/5/node_modules/.modules.yaml", "", 0o644);
    let script = format!(
        "#!/bin/sh\nbasedir=$(dirname \"$0\")\nexec node  \"$basedir/{store}/{WRAPPER_SCRIPT}\" \"$@\"\n"
    );
    let shim = root.file("codex", &script, 0o755);

    assert_eq!(resolve(Some(&shim), None), managed(native, "CODEX_MANAGED_BY_PNPM", package));
}

#[test]
fn anything_else_is_started_as_it_is() {
    let root = Root::new();
    let script = root.file("codex", "#!/bin/sh\nexec something\n", 0o755);
    let binary = root.file("native", "\x7fELF\0", 0o755);
    // A program that looks at its own name needs the one it was found by.
    let link = root.link("bin/codex", "../native");

    for program in [script, binary, link] {
        assert_eq!(resolve(Some(&program), None), plain(program.clone()));
    }
}

#[test]
fn what_cannot_be_executed_says_so() {
    let root = Root::new();
    let problem = |path: PathBuf| {
        let problem = resolve(Some(&path), None).unwrap_err();
        problem.replace(&*path.to_string_lossy(), "PATH")
    };
    assert_eq!(problem(root.path("missing")), "codex PATH: there is no such file");
    assert_eq!(problem(root.path("")), "codex PATH: is a directory; name the binary in it");
    assert_eq!(
        problem(root.file("plain", "", 0o644)),
        "codex PATH: cannot be executed (Permission denied (os error 13))"
    );
    assert_eq!(problem("/dev/null".into()), "codex PATH: is not a file");
    assert_eq!(
        problem(root.file("a", "", 0o644).join("b")),
        "codex PATH: Not a directory (os error 20)"
    );
}

#[test]
fn a_wrapper_without_its_binary_says_what_to_do() {
    let root = Root::new();
    let script = root.wrapper("node_modules").join("bin/codex.js");
    let (platform, _) = platform();
    assert_eq!(
        resolve(Some(&script), None),
        Err(format!(
            "codex {}: is npm's wrapper, and the package @openai/{platform} with the binary itself \
             is missing; install it again with `npm install -g @openai/codex`",
            script.display()
        ))
    );
}

#[test]
fn a_binary_that_is_nowhere_on_path_says_how_to_get_one() {
    let root = Root::new();
    let advice = "; install it with `npm install -g @openai/codex`, or name the binary with \
                  --codex or SWITCHBOARD_CODEX";
    let path_var = env::join_paths([&root.path, Path::new("relative")]).unwrap();
    assert_eq!(
        resolve(None, Some(&path_var)),
        Err(format!("\"codex\" was not found on PATH{advice}"))
    );
    assert_eq!(resolve(None, None), Err(format!("\"codex\" was not found on PATH{advice}")));

    let passed = root.file("codex", "", 0o644);
    assert_eq!(
        resolve(None, Some(&path_var)),
        Err(format!(
            "\"codex\" was not found on PATH (codex {}: cannot be executed (Permission denied (os \
             error 13))){advice}",
            passed.display()
        ))
    );
}
