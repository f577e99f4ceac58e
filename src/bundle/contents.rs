//! What of a session's directory goes into its bundle: plain files, and what the
//! link to codex's own rollout leads to. No other link is followed, and of that one
//! only to a rollout of the thread that it is named by: the agent may have put any
//! link there. So a file with a second name, which a hard link has, stays too.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use uuid::Uuid;

use super::{LeftOut, MANIFEST, pack::EVENTS, verify::MAX_NAME};

/// What the directory that holds everything in a bundle takes of a path, and more.
const MAX_ROOT: u64 = 128;

/// Why a file is not packed that has more than one name.
pub(super) const HARD_LINK: &str = "it is a hard link";

/// A file that goes into the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Its path there.
    pub(super) name: String,
    /// Where it is: no link.
    pub(super) path: PathBuf,
    /// How long it was when it was seen first.
    pub(super) size: u64,
}

/// The files of a directory, by name, and those that stay.
pub(super) fn list(directory: &Path) -> io::Result<(Vec<Source>, Vec<LeftOut>)> {
    let (mut sources, mut left_out) = (Vec::new(), Vec::new());
    walk(directory, "", &mut sources, &mut left_out)?;
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    left_out.sort_by(|one, other| one.path.cmp(&other.path));
    Ok((sources, left_out))
}

fn walk(
    directory: &Path,
    before: &str,
    sources: &mut Vec<Source>,
    left_out: &mut Vec<LeftOut>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        let mut leave_out =
            |why: &str| left_out.push(LeftOut { path: name.clone(), why: why.to_owned() });
        // Whoever unpacks it somewhere without a difference of case has one file of both.
        let is_own = [MANIFEST, EVENTS].iter().any(|own| name.eq_ignore_ascii_case(own));
        if is_own {
            leave_out("the bundle has one of its own");
            continue;
        }
        if entry.file_name().to_str().is_none() {
            // Others may be the same without what is none.
            leave_out("its name is no UTF-8");
            continue;
        }
        if name.len() as u64 > MAX_NAME - MAX_ROOT {
            leave_out("its path is too long");
            continue;
        }
        // What vanishes meanwhile was never there.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            walk(&path, &format!("{name}/"), sources, left_out)?;
            continue;
        }
        if kind.is_symlink() {
            match rollout(&path).filter(|_| before.is_empty()) {
                Some(target) => match fs::symlink_metadata(&target) {
                    Ok(metadata) if metadata.is_file() && metadata.nlink() > 1 => {
                        leave_out(&format!("what it links to: {HARD_LINK}"));
                    }
                    Ok(metadata) if metadata.is_file() => {
                        sources.push(Source { name, path: target, size: metadata.len() });
                    }
                    Ok(_) => leave_out("what it links to is no plain file"),
                    Err(error) => leave_out(&format!("what it links to: {error}")),
                },
                None => leave_out("it is a link"),
            }
            continue;
        }
        if before == "events/" && name.contains(".seg") {
            leave_out("its events are in events.jsonl");
            continue;
        }
        if entry.file_name().to_string_lossy().starts_with('.') || name.ends_with(".new") {
            leave_out("it is on its way to its name");
            continue;
        }
        match entry.metadata() {
            // No file of ours has another name, which may be that of anything.
            Ok(metadata) if metadata.is_file() && metadata.nlink() > 1 => leave_out(HARD_LINK),
            Ok(metadata) if metadata.is_file() => {
                sources.push(Source { name, path, size: metadata.len() });
            }
            Ok(_) => leave_out("it is no file"),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Where the link to a rollout leads, if it is one: `rollout-<thread>.jsonl`, to
/// `…/sessions/<year>/<month>/<day>/rollout-<time>-<thread>.jsonl`.
fn rollout(link: &Path) -> Option<PathBuf> {
    let thread = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        let name = name.strip_prefix("rollout-")?.strip_suffix(".jsonl")?;
        // The id is the end of the name, behind the time.
        let at = name.len().checked_sub(Uuid::nil().hyphenated().to_string().len())?;
        Some((name.get(..at)?.to_owned(), name.get(at..)?.parse::<Uuid>().ok()?))
    };
    let target = fs::read_link(link).ok()?;
    let ((time, own), (_, others)) = (thread(link)?, thread(&target)?);
    let is_day = |part: Component<'_>| {
        part.as_os_str().to_str().is_some_and(|part| part.bytes().all(|it| it.is_ascii_digit()))
    };
    let mut parts = target.components().rev().skip(1);
    let is_in_place = parts.by_ref().take(3).all(is_day)
        && parts.next() == Some(Component::Normal("sessions".as_ref()));
    let is_plain = target.is_absolute()
        && target.components().all(|part| !matches!(part, Component::ParentDir));
    (time.is_empty() && own == others && is_in_place && is_plain).then_some(target)
}

#[cfg(test)]
mod tests {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    const THREAD: &str = "01a1fbeb-e716-7023-89e2-0851ae85c769";

    #[test]
    fn a_link_is_followed_to_a_rollout_of_its_thread_alone() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("session");
        let day = home.path().join("sessions/2026/11/27");
        for path in [&directory, &day] {
            fs::create_dir_all(path).unwrap();
        }
        let write = |path: PathBuf| {
            fs::write(&path, "1").unwrap();
            path
        };
        let rollout = write(day.join(format!("rollout-2026-11-27T09-00-00-{THREAD}.jsonl")));
        let other = "01a1fbeb-e716-7023-89e2-0851ae85c768";
        let of_another = write(day.join(format!("rollout-2026-11-27T09-00-00-{other}.jsonl")));
        let elsewhere = write(home.path().join(format!("rollout-x-{THREAD}.jsonl")));
        let secret = write(home.path().join("secret"));
        let hidden = day.join(format!("rollout-hidden-{THREAD}.jsonl"));
        symlink(&secret, &hidden).unwrap();
        let roundabout = day.join("../../../../secret");

        let name = format!("rollout-{THREAD}.jsonl");
        let link = directory.join(&name);
        let listed = |target: &Path, link: &Path| {
            symlink(target, link).unwrap();
            let listed = list(&directory).unwrap();
            fs::remove_file(link).unwrap();
            listed
        };
        let (sources, left_out) = listed(&rollout, &link);
        assert_eq!(sources, [Source { name, path: rollout.clone(), size: 1 }]);
        assert_eq!(left_out, []);
        for (target, why) in [
            (&secret, "it is a link"),
            (&of_another, "it is a link"),
            (&elsewhere, "it is a link"),
            (&roundabout, "it is a link"),
            (&hidden, "what it links to is no plain file"),
        ] {
            let (sources, left_out) = listed(target, &link);
            assert_eq!(sources, [], "{target:?}");
            assert_eq!(left_out[0].why, why, "{target:?}");
        }
        for name in ["rollout-x.jsonl", &format!("rollout-x-{THREAD}.jsonl"), "session.log"] {
            let (sources, left_out) = listed(&rollout, &directory.join(name));
            assert_eq!((sources, left_out[0].why.as_str()), (vec![], "it is a link"), "{name}");
        }
    }

    #[test]
    fn a_file_with_a_second_name_stays() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("session");
        let day = home.path().join("sessions/2026/11/27");
        for path in [&directory, &day] {
            fs::create_dir_all(path).unwrap();
        }
        let secret = home.path().join("secret");
        fs::write(&secret, "nobody shall see").unwrap();
        fs::hard_link(&secret, directory.join("session.log")).unwrap();
        let rollout = day.join(format!("rollout-2026-11-27T09-00-00-{THREAD}.jsonl"));
        fs::hard_link(&secret, &rollout).unwrap();
        symlink(&rollout, directory.join(format!("rollout-{THREAD}.jsonl"))).unwrap();
        let (sources, left_out) = list(&directory).unwrap();
        let why: Vec<_> = left_out.iter().map(|file| file.why.as_str()).collect();
        assert_eq!(sources, []);
        assert_eq!(why, ["what it links to: it is a hard link", "it is a hard link"]);
    }

    #[test]
    fn what_a_bundle_has_of_its_own_is_not_taken_from_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        fs::create_dir_all(place.join("Manifest.json")).unwrap();
        fs::create_dir_all(place.join("turns")).unwrap();
        let others = ["turns/events.jsonl", "turns/manifest.json"];
        for name in ["Manifest.json/x", "events.jsonl", ".hidden", "log_size.new"] {
            fs::write(place.join(name), "1").unwrap();
        }
        for name in others {
            fs::write(place.join(name), "1").unwrap();
        }
        let lossy = std::ffi::OsStr::from_bytes(b"turns/x\xff");
        fs::write(place.join(lossy), "1").unwrap();
        let (sources, left_out) = list(place).unwrap();
        let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(names, others);
        let left_out: Vec<_> =
            left_out.iter().map(|it| (it.path.as_str(), it.why.as_str())).collect();
        let expected = [
            (".hidden", "it is on its way to its name"),
            ("Manifest.json", "the bundle has one of its own"),
            ("events.jsonl", "the bundle has one of its own"),
            ("log_size.new", "it is on its way to its name"),
            ("turns/x\u{fffd}", "its name is no UTF-8"),
        ];
        assert_eq!(left_out, expected);
    }

    #[test]
    fn what_is_no_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("session.log");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let (sources, left_out) = list(directory.path()).unwrap();
        assert_eq!((sources, left_out[0].why.as_str()), (vec![], "it is no file"));
    }
}
