//! Codex's own record of a thread, its rollout: where it is, and what it says a
//! turn ran with ([`after`]).
//!
//! Codex keeps it in `$CODEX_HOME/sessions/YYYY/MM/DD/rollout-TIME-THREAD.jsonl`,
//! by the day on which the thread began, and writes it from the first turn on.
//! Its home is the server's, which no session can change.

use std::{
    fs,
    path::{Path, PathBuf},
};

use uuid::Uuid;

pub(super) mod after;

/// The rollout of a thread; none where there is none, or none yet.
///
/// The newest days are looked at first, as nearly every question is about a
/// thread of today.
pub(super) fn find(home: &Path, thread: &str) -> Option<PathBuf> {
    // The name of a file is made of it.
    Uuid::try_parse(thread).ok()?;
    let end = format!("-{thread}.jsonl");
    let is_rollout = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("rollout-") && name.ends_with(&end))
            && path.is_file()
    };
    newest_first(&home.join("sessions"))
        .flat_map(|year| newest_first(&year))
        .flat_map(|month| newest_first(&month))
        .find_map(|day| newest_first(&day).find(is_rollout))
}

/// What is in a folder, by its names, which begin with a time; nothing where it
/// cannot be read.
fn newest_first(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths.into_iter().rev()
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREAD: &str = "01a1fbeb-e716-7023-89e2-0851ae85c769";

    /// Makes a rollout of a thread on a day.
    fn rollout(home: &Path, day: &str, thread: &str) -> PathBuf {
        let folder = home.join("sessions").join(day);
        fs::create_dir_all(&folder).unwrap();
        let path =
            folder.join(format!("rollout-{}T09-00-00-{thread}.jsonl", day.replace('/', "-")));
        fs::write(&path, "").unwrap();
        path
    }

    #[test]
    fn a_rollout_is_found_by_its_thread_whatever_its_day() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(find(home.path(), THREAD), None);
        let other = "01a1fbeb-e716-7023-89e2-0851ae85c768";
        rollout(home.path(), "2026/11/27", other);
        assert_eq!(find(home.path(), THREAD), None);
        let path = rollout(home.path(), "2025/12/31", THREAD);
        assert_eq!(find(home.path(), THREAD), Some(path));
        let newer = rollout(home.path(), "2026/01/01", THREAD);
        assert_eq!(find(home.path(), THREAD), Some(newer));
    }

    #[test]
    fn only_the_id_of_a_thread_is_looked_for() {
        let home = tempfile::tempdir().unwrap();
        rollout(home.path(), "2026/11/27", THREAD);
        for name in ["", "jsonl", "0851ae85c769", "../../x", "*"] {
            assert_eq!(find(home.path(), name), None, "{name:?}");
        }
    }
}
