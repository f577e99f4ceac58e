//! Codex's own rollout, linked into the session's directory.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::plain_file;

/// How long after a look for a rollout that is not there the next one comes.
const PAUSE: Duration = Duration::from_millis(200);

/// Which rollout is linked in.
#[derive(Debug, Default)]
pub(super) struct Rollout {
    /// The thread that it is of.
    thread: Option<String>,
    linked: bool,
    not_before: Option<Instant>,
}

impl Rollout {
    /// Whether the rollout of this thread is to be looked for now. Says so to one.
    pub(super) fn is_due(&mut self, thread: &str) -> bool {
        if self.thread.as_deref() != Some(thread) {
            *self = Self { thread: Some(thread.to_owned()), ..Self::default() };
        }
        let now = Instant::now();
        let is_due = !self.linked && self.not_before.is_none_or(|time| time <= now);
        if is_due {
            self.not_before = Some(now + PAUSE);
        }
        is_due
    }

    /// Has it looked for once more: codex may have put it elsewhere, and a copy is
    /// made anew.
    pub(super) fn look_again(&mut self) {
        (self.linked, self.not_before) = (false, None);
    }

    /// Links the rollout of a thread into `directory`, where `find` finds it.
    ///
    /// # Errors
    ///
    /// Which file could not be made, and why.
    pub(super) fn link(
        &mut self,
        directory: &Path,
        thread: &str,
        find: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<(), (PathBuf, io::Error)> {
        if self.thread.as_deref() != Some(thread) {
            *self = Self { thread: Some(thread.to_owned()), ..Self::default() };
        }
        if self.linked {
            return Ok(());
        }
        let Some(rollout) = find() else { return Ok(()) };
        let name = directory.join(format!("rollout-{thread}.jsonl"));
        // What fails is tried again in the next turn, and not all the time.
        self.linked = true;
        bring_in(&rollout, &name, |from, to| symlink(from, to)).map_err(|error| (name, error))
    }
}

/// Makes `name` a link to the rollout, or a copy of it where it cannot be linked
/// or was not before.
fn bring_in(
    rollout: &Path,
    name: &Path,
    link: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    match fs::symlink_metadata(name) {
        Ok(metadata) if metadata.is_symlink() => {
            if fs::read_link(name)? == rollout {
                return Ok(());
            }
            fs::remove_file(name)?;
        }
        Ok(_) => return copy(rollout, name),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    link(rollout, name).or_else(|_| copy(rollout, name))
}

/// Copies a file so that nobody sees half of it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let temporary = to.with_extension("jsonl.new");
    let copied = plain_file::open(from).and_then(|from| {
        // As far as it is there now: whoever writes it may never end.
        let size = from.metadata()?.len();
        let mut copy = plain_file::create_anew(&temporary)?;
        io::copy(&mut from.take(size), &mut copy)?;
        fs::rename(&temporary, to)
    });
    copied.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const THREAD: &str = "01a1fbeb-e716-7023-89e2-0851ae85c769";

    #[test]
    fn a_rollout_is_linked_as_soon_as_it_is_there_and_again_where_it_moved() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("one"), directory.path().join("two"));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "2").unwrap();
        let name = directory.path().join(format!("rollout-{THREAD}.jsonl"));
        let mut rollout = Rollout::default();
        assert!(rollout.is_due(THREAD));
        rollout.link(directory.path(), THREAD, || None).unwrap();
        assert!(!name.exists());
        assert!(!rollout.is_due(THREAD), "it has just been looked for");
        rollout.link(directory.path(), THREAD, || Some(one.clone())).unwrap();
        assert_eq!(fs::read_link(&name).unwrap(), one);
        rollout.link(directory.path(), THREAD, || panic!("it is linked")).unwrap();
        rollout.look_again();
        assert!(rollout.is_due(THREAD));
        rollout.link(directory.path(), THREAD, || Some(two.clone())).unwrap();
        assert_eq!(fs::read_link(&name).unwrap(), two);
    }

    #[test]
    fn a_rollout_that_cannot_be_linked_is_copied_and_the_copy_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to.jsonl"));
        let refuse = |_: &Path, _: &Path| Err(io::Error::from(io::ErrorKind::Unsupported));
        fs::write(&from, "one\n").unwrap();
        bring_in(&from, &to, refuse).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "one\n");
        assert_eq!(fs::symlink_metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&from, "one\ntwo\n").unwrap();
        bring_in(&from, &to, |_, _| panic!("it is a copy")).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "one\ntwo\n");
        let victim = directory.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, to.with_extension("jsonl.new")).unwrap();
        bring_in(&from, &to, |_, _| panic!("it is a copy")).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        fs::remove_file(&victim).unwrap();
        fs::remove_file(&to).unwrap();
        fs::create_dir(&to).unwrap();
        bring_in(&from, &to, refuse).unwrap_err();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left over");
    }
}
