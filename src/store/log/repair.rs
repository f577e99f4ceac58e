//! Writing a damaged segment anew, from what is left of it and what was made again.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{
    Batch, Options,
    error::{Error, Result},
    format::SEGMENT_HEADER,
    recovery::{Examined, Gap, Missing, Part, Rebuild},
    segment,
};
use crate::{id::Seq, plain_file};

/// A segment that was written anew because it was damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The segment's file.
    pub path: PathBuf,
    /// The file as it was found, kept for a look; none where it was missing.
    pub damaged: Option<PathBuf>,
    /// The records that were made again: the first of each gap, and how many.
    /// Empty when only bytes between records were damaged.
    pub rebuilt: Vec<(Seq, usize)>,
}

/// Has made again what is missing and writes the segment anew; or says, in
/// words for the operator, what could not be repaired, and changes nothing.
pub(super) fn mend(
    options: &Options,
    dir: &Path,
    segment: &Examined,
    rebuild: &mut Rebuild<'_>,
) -> Result<Repair, String> {
    let path = segment::path(dir, segment.header.first());
    if !segment.is_anchored {
        match segment.parts.first() {
            Some(Part::There(run)) if run.first.last == segment.header.first() => {}
            Some(Part::Missing(gap)) => return Err(describe(&path, gap)),
            Some(Part::There(_)) | None => {
                return Err(format!(
                    "the header of {path:?} is damaged, and so is what is before it"
                ));
            }
        }
    }
    let mut batches = vec![];
    for part in &segment.parts {
        if let Part::Missing(gap) = part {
            let batch = rebuild(gap).filter(|batch| fits(batch, gap));
            batches.push(batch.ok_or_else(|| describe(&path, gap))?);
        }
    }
    let rebuilt = batches.iter().map(|batch| (batch.first(), batch.len())).collect();
    let damaged = keep(&path).map_err(|error| unwritten(&path, &error))?;
    let made = segment::create(options, dir, &segment.header, |new| {
        write(options, &path, segment, &batches, new)
    });
    match made {
        Ok(_) => Ok(Repair { path, damaged, rebuilt }),
        Err(error) => {
            if let Some(damaged) = &damaged {
                // The segment itself is as it was, so its second name is not needed.
                let _ = fs::remove_file(damaged);
            }
            Err(unwritten(&path, &error))
        }
    }
}

fn fits(batch: &Batch, gap: &Gap) -> bool {
    let count = batch.len() as u64;
    batch.first() == gap.first
        && match gap.missing {
            Missing::Exactly(missing) => count == missing,
            Missing::AtLeast(missing) => count >= missing,
        }
}

fn describe(path: &Path, gap: &Gap) -> String {
    let (first, Missing::Exactly(count) | Missing::AtLeast(count)) = (gap.first, gap.missing);
    let last = first.0 + count - 1;
    format!("the events {first} to {last} in {path:?} are damaged and could not be made again")
}

fn unwritten(path: &Path, error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!(
        "{path:?} is damaged and could not be written anew: {error}{}",
        cause.unwrap_or_default()
    )
}

/// Gives the damaged file a second name, so that it outlives its replacement.
fn keep(path: &Path) -> Result<Option<PathBuf>> {
    if !path.try_exists().map_err(|source| Error::io("find", path, source))? {
        return Ok(None);
    }
    let mut number = 1;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(".damaged");
        if number > 1 {
            name.push(format!(".{number}"));
        }
        let kept = PathBuf::from(name);
        match fs::hard_link(path, &kept) {
            Ok(()) => return Ok(Some(kept)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(Error::io("link", &kept, source)),
        }
    }
}

fn write(
    options: &Options,
    path: &Path,
    segment: &Examined,
    batches: &[Batch],
    new: &File,
) -> Result<()> {
    let mut at = SEGMENT_HEADER as u64;
    let mut batches = batches.iter();
    for part in &segment.parts {
        let written = match part {
            Part::There(run) => copy(options, path, new, at, run.start..run.end),
            Part::Missing(_) => {
                let records = batches.next().expect("one batch was made for each gap").records();
                options.disk.write_all_at(new, records, at).map(|()| records.len() as u64)
            }
        };
        at += written.map_err(|source| Error::io("write anew", path, source))?;
    }
    Ok(())
}

fn copy(
    options: &Options,
    path: &Path,
    new: &File,
    to: u64,
    range: std::ops::Range<u64>,
) -> io::Result<u64> {
    let old = plain_file::open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut from = range.start;
    while from < range.end {
        let rest = usize::try_from(range.end - from).unwrap_or(usize::MAX);
        let part = buffer.len().min(rest);
        old.read_exact_at(&mut buffer[..part], from)?;
        options.disk.write_all_at(new, &buffer[..part], to + (from - range.start))?;
        from += part as u64;
    }
    Ok(range.end - range.start)
}
