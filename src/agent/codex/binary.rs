//! Finds the codex binary.
//!
//! What npm installs as `codex` is a script for node that starts the native
//! binary, which lies in a package of its own for each platform. The native
//! binary is started directly, because with some versions of node a killed
//! script leaves it running. What the script does beside starting it is done
//! here.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use crate::agent::file::open_regular;

/// What npm calls the wrapper's package.
const WRAPPER_PACKAGE: &str = "@openai/codex";
/// The script in it, as shims of package managers name it.
const WRAPPER_SCRIPT: &str = "@openai/codex/bin/codex.js";

/// A program that can be started, and what it needs beside the environment of
/// the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binary {
    /// An absolute path.
    pub(super) program: PathBuf,
    pub(super) env: Vec<(OsString, OsString)>,
}

/// Finds the binary to start: the one that was named, else `codex` on PATH.
///
/// # Errors
///
/// The text says why there is none and what to do.
pub(super) fn resolve(explicit: Option<&Path>, path_var: Option<&OsStr>) -> Result<Binary, String> {
    let found = match explicit {
        // A bare name is looked for as a shell does; anything else is a path.
        Some(path) if path.components().count() > 1 || path.is_absolute() => {
            let path = std::path::absolute(path)
                .map_err(|error| format!("codex {}: {error}", path.display()))?;
            check_executable(&path)?;
            path
        }
        Some(name) => search(name, path_var)?,
        None => search(Path::new("codex"), path_var)?,
    };
    match wrapper_package(&found) {
        Some(package) => native(&found, &package, path_var),
        None => Ok(Binary { program: found, env: Vec::new() }),
    }
}

/// Looks for a program on PATH, past what cannot be executed.
fn search(name: &Path, path_var: Option<&OsStr>) -> Result<PathBuf, String> {
    let mut passed = String::new();
    for directory in env::split_paths(path_var.unwrap_or_default()) {
        // A relative directory would mean another place for each process.
        if !directory.is_absolute() {
            continue;
        }
        let candidate = directory.join(name);
        match check_executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(problem) if candidate.is_file() => passed = format!(" ({problem})"),
            Err(_) => {}
        }
    }
    Err(format!(
        "{:?} was not found on PATH{passed}; install it with `npm install -g {WRAPPER_PACKAGE}`, \
         or name the binary with --codex or SWITCHBOARD_CODEX",
        name.display()
    ))
}

/// Whether this is a file that may be executed.
fn check_executable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("codex {shown}: there is no such file"))
        }
        Err(error) => Err(format!("codex {shown}: {error}")),
        Ok(metadata) if metadata.is_dir() => {
            Err(format!("codex {shown}: is a directory; name the binary in it"))
        }
        Ok(metadata) if !metadata.is_file() => Err(format!("codex {shown}: is not a file")),
        Ok(_) => access(path, Access::EXEC_OK).map_err(|error| {
            format!("codex {shown}: cannot be executed ({})", io::Error::from(error))
        }),
    }
}

/// The directory of the package, if this is npm's wrapper, a link to it, or a
/// shell script of a package manager that calls it.
fn wrapper_package(found: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(found).ok()?;
    if real.ends_with(WRAPPER_SCRIPT) {
        return package_of(&real);
    }
    let mut head = String::new();
    open_regular(&real).ok()?.take(8192).read_to_string(&mut head).ok()?;
    if !head.starts_with("#!") {
        return None;
    }
    // pnpm's shims: exec node "$basedir/…/@openai/codex/bin/codex.js" "$@"
    let end = head.find(WRAPPER_SCRIPT)? + WRAPPER_SCRIPT.len();
    let start = head[..end].rfind(['"', '\'', ' ', '=', '\n'])? + 1;
    let script = &head[start..end];
    let script = match script.strip_prefix("$basedir/") {
        Some(relative) => found.parent()?.join(relative),
        None => PathBuf::from(script),
    };
    package_of(&fs::canonicalize(script).ok()?)
}

/// The package that a script in its `bin` belongs to.
fn package_of(script: &Path) -> Option<PathBuf> {
    Some(script.parent()?.parent()?.to_owned())
}

/// The native binary behind the wrapper in this package, with the environment
/// that the wrapper would give it.
fn native(wrapper: &Path, package: &Path, path_var: Option<&OsStr>) -> Result<Binary, String> {
    let (platform, target) = match env::consts::ARCH {
        "x86_64" => ("codex-linux-x64", "x86_64-unknown-linux-musl"),
        "aarch64" => ("codex-linux-arm64", "aarch64-unknown-linux-musl"),
        other => return Err(format!("npm has no codex for the architecture {other}")),
    };
    // Where node looks for a package: in the node_modules of every directory
    // above, whether npm put it beside the wrapper, inside of it or higher up.
    let script_directory = package.join("bin");
    let installed = script_directory
        .ancestors()
        .filter(|directory| directory.file_name() != Some(OsStr::new("node_modules")))
        .map(|directory| directory.join("node_modules/@openai").join(platform));
    let vendors = installed.chain([package.to_owned()]).map(|at| at.join("vendor").join(target));
    for vendor in vendors {
        for binary in ["bin/codex", "codex/codex"] {
            let program = vendor.join(binary);
            if !program.exists() {
                continue;
            }
            check_executable(&program)?;
            let mut env = vec![
                (managed_by(package).into(), "1".into()),
                ("CODEX_MANAGED_PACKAGE_ROOT".into(), package.into()),
            ];
            // Packages of the older layout have tools for codex here, which its
            // wrapper put on PATH. Newer binaries find theirs themselves.
            let tools = vendor.join("path");
            if tools.is_dir() {
                let rest = env::split_paths(path_var.unwrap_or_default());
                if let Ok(path) = env::join_paths([tools].into_iter().chain(rest)) {
                    env.push(("PATH".into(), path));
                }
            }
            return Ok(Binary { program, env });
        }
    }
    Err(format!(
        "codex {}: is npm's wrapper, and the package @openai/{platform} with the binary itself is \
         missing; install it again with `npm install -g {WRAPPER_PACKAGE}`",
        wrapper.display()
    ))
}

/// The variable by which codex knows who installed it, and so how to say that
/// it is out of date.
fn managed_by(package: &Path) -> &'static str {
    let is_pnpm = |directory: &Path| directory.join("node_modules/.modules.yaml").exists();
    if package.ancestors().any(is_pnpm) {
        "CODEX_MANAGED_BY_PNPM"
    } else if package.to_string_lossy().contains(".bun/install/global") {
        "CODEX_MANAGED_BY_BUN"
    } else {
        "CODEX_MANAGED_BY_NPM"
    }
}

#[cfg(test)]
mod tests;
