//! A bundle, or what was unpacked of one, compared with its manifest.
//!
//! A bundle comes from somebody else: whatever it says of itself, no more than
//! these limits is taken into memory, and it is not unpacked without end.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{self, Read},
    os::unix::ffi::OsStringExt as _,
    path::{Component, Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Error, FORMAT, MANIFEST, Manifest, VERSION, failed};
use crate::plain_file;

/// The largest manifest that is written and read.
pub(super) const MAX_MANIFEST: u64 = 16 << 20;
/// The longest name of a file, in bytes.
pub(super) const MAX_NAME: u64 = 4 << 10;
/// The most files that are looked at.
const MAX_FILES: usize = 100_000;
/// How many differences are told one by one.
const MAX_DIFFERENCES: usize = 1_000;
/// The most characters that are told of one.
const MAX_DETAIL: usize = 1_024;
/// To how many bytes a bundle may unpack,
const MAX_BYTES: u64 = 1 << 30;
/// and to how many more for each of its own: some logs say the same all the time.
const MAX_RATIO: u64 = 2_000;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The manifest, where there is one that can be read.
    pub manifest: Option<Manifest>,
    /// What is not as it says; nothing where all is.
    pub differences: Vec<Difference>,
    /// How many differences more there are, which are not told one by one.
    pub more: u64,
}

/// One thing that is not as the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The file, or empty for the bundle as a whole.
    pub path: String,
    /// `missing`, `extra`, `size`, `sha256`, `manifest` or `archive`.
    pub problem: &'static str,
    /// What was found and what was expected, for people.
    pub detail: String,
}

/// What is there of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    size: u64,
    sha256: String,
}

/// What is there of a bundle.
#[derive(Debug, Default)]
struct Contents {
    files: BTreeMap<String, Found>,
    manifest: Option<Vec<u8>>,
    differences: Vec<Difference>,
    more: u64,
}

/// Compares a bundle, packed or unpacked, with its manifest.
///
/// # Errors
///
/// Where it is not there, is neither a file nor a directory, or cannot be read. What is
/// wrong with it is no error.
pub fn verify(path: &Path) -> Result<Verified, Error> {
    let metadata = fs::metadata(path).map_err(failed("read", path))?;
    let contents = if metadata.is_dir() {
        let root = root(path);
        let mut contents = Contents::default();
        contents.walk(&root, "").map_err(failed("read", &root))?;
        contents
    } else {
        // Nobody may ever write into a pipe.
        let file = fs::canonicalize(path).and_then(|path| plain_file::open(&path));
        Contents::unpack(file.map_err(failed("read", path))?)
    };
    Ok(contents.compare())
}

/// The directory with the manifest: this one, or the only one in it.
fn root(path: &Path) -> PathBuf {
    if path.join(MANIFEST).exists() {
        return path.to_owned();
    }
    let mut inside = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join(MANIFEST).exists());
    match (inside.next(), inside.next()) {
        (Some(root), None) => root,
        (Some(_) | None, _) => path.to_owned(),
    }
}

impl Contents {
    fn walk(&mut self, directory: &Path, before: &str) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = format!("{before}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{name}/"))?;
            } else if kind.is_file() {
                self.add(name, plain_file::open(&entry.path())?)?;
            } else {
                self.differ(&name, "extra", "it is no plain file");
            }
        }
        Ok(())
    }

    /// What is in an archive. One that is torn is taken as far as it goes.
    fn unpack(file: fs::File) -> Self {
        let mut contents = Self::default();
        if let Err(error) = contents.read_archive(file) {
            contents.differ("", "archive", &format!("it cannot be unpacked: {error}"));
        }
        contents
    }

    fn read_archive(&mut self, file: fs::File) -> io::Result<()> {
        let most = file.metadata()?.len().saturating_mul(MAX_RATIO).saturating_add(MAX_BYTES);
        let unpacked = Limited { inner: zstd::Decoder::new(file)?, left: most };
        let mut archive = tar::Archive::new(unpacked);
        let mut root: Option<PathBuf> = None;
        let mut long_name: Option<PathBuf> = None;
        // Raw: else a name is read as a whole, however long it is.
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            if entry.header().entry_type().is_gnu_longname() {
                long_name = Some(name_of(&mut entry)?);
                continue;
            }
            let path = match long_name.take() {
                Some(path) => path,
                None => entry.path()?.into_owned(),
            };
            let mut parts = path.components();
            let first = parts.next().map(|part| PathBuf::from(part.as_os_str()));
            let name = parts.as_path();
            let is_inside = name.components().all(|part| matches!(part, Component::Normal(_)));
            let same = root.get_or_insert_with(|| first.clone().unwrap_or_default());
            let name = name.to_string_lossy().into_owned();
            let is_file = entry.header().entry_type().is_file();
            if !is_inside || name.is_empty() || first.as_ref() != Some(same) || !is_file {
                self.differ(&path.to_string_lossy(), "extra", "it does not belong into a bundle");
                continue;
            }
            if self.files.contains_key(&name) {
                self.differ(&name, "extra", "it is there twice");
            }
            self.add(name, entry)?;
        }
        // Other programs may unpack what is behind the end, too.
        let mut behind = archive.into_inner();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = read_some(&mut behind, &mut buffer)?;
            if buffer[..read].iter().any(|byte| *byte != 0) {
                self.differ("", "archive", "there is more behind its end");
                return Ok(());
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    fn add(&mut self, name: String, mut bytes: impl Read) -> io::Result<()> {
        if name == MANIFEST {
            if self.manifest.is_some() {
                self.differ(MANIFEST, "extra", "it is there twice");
            }
            let mut text = Vec::new();
            bytes.take(MAX_MANIFEST + 1).read_to_end(&mut text)?;
            self.manifest = Some(text);
            return Ok(());
        }
        if self.files.len() >= MAX_FILES {
            return Err(io::Error::other(format!("there are more than {MAX_FILES} files")));
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        let mut size = 0;
        loop {
            let read = read_some(&mut bytes, &mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            size += read as u64;
        }
        let sha256 = super::hexadecimal(&hash.finalize());
        self.files.insert(name, Found { size, sha256 });
        Ok(())
    }

    fn differ(&mut self, path: &str, problem: &'static str, detail: &str) {
        if self.differences.len() >= MAX_DIFFERENCES {
            self.more += 1;
            return;
        }
        let (path, detail) = (shortened(path), shortened(detail));
        self.differences.push(Difference { path, problem, detail });
    }

    fn compare(mut self) -> Verified {
        let manifest = match self.manifest.take() {
            Some(text) if text.len() as u64 > MAX_MANIFEST => {
                Err(format!("it has more than {MAX_MANIFEST} bytes"))
            }
            Some(text) => serde_json::from_slice::<Manifest>(&text).map_err(|e| e.to_string()),
            None => Err("there is none".to_owned()),
        };
        let manifest = match manifest {
            Ok(manifest) if manifest.format == FORMAT && manifest.version == VERSION => manifest,
            Ok(Manifest { format, version, .. }) => {
                let found = format!("it is of the form {format:?} {version}, which is not known");
                self.differ(MANIFEST, "manifest", &found);
                return self.verified(None);
            }
            Err(problem) => {
                self.differ(MANIFEST, "manifest", &problem);
                return self.verified(None);
            }
        };
        for file in &manifest.files {
            match self.files.remove(&file.path) {
                None => self.differ(&file.path, "missing", "it is not there"),
                Some(found) if found.size != file.size => {
                    let detail = format!("{} bytes instead of {}", found.size, file.size);
                    self.differ(&file.path, "size", &detail);
                }
                Some(found) if found.sha256 != file.sha256 => {
                    let detail = format!("{} instead of {}", found.sha256, file.sha256);
                    self.differ(&file.path, "sha256", &detail);
                }
                Some(_) => {}
            }
        }
        for name in std::mem::take(&mut self.files).into_keys() {
            self.differ(&name, "extra", "the manifest does not name it");
        }
        self.differences.sort_by(|one, other| one.path.cmp(&other.path));
        self.verified(Some(manifest))
    }

    fn verified(self, manifest: Option<Manifest>) -> Verified {
        Verified { manifest, differences: self.differences, more: self.more }
    }
}

/// Reads what is there next; nothing at the end.
fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// What gives so many bytes and no more.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other("it is much larger than a bundle of its size"))?;
        Ok(read)
    }
}

/// The name that tar has in an entry of its own, because it is long.
fn name_of(entry: &mut impl Read) -> io::Result<PathBuf> {
    let mut name = Vec::new();
    entry.take(MAX_NAME + 1).read_to_end(&mut name)?;
    if name.len() as u64 > MAX_NAME {
        return Err(io::Error::other("the name of a file has more than 4 KiB"));
    }
    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
    Ok(PathBuf::from(OsString::from_vec(name)))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_DETAIL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
