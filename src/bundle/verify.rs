//! A bundle, or what was unpacked of one, compared with its manifest.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Error, FORMAT, MANIFEST, Manifest, VERSION, failed};

/// The largest manifest that is read.
const MAX_MANIFEST: u64 = 256 << 20;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The manifest, where there is one that can be read.
    pub manifest: Option<Manifest>,
    /// What is not as it says; nothing where all is.
    pub differences: Vec<Difference>,
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
}

/// Compares a bundle, packed or unpacked, with its manifest.
///
/// # Errors
///
/// Where it is not there or cannot be read. What is wrong with it is no error.
pub fn verify(path: &Path) -> Result<Verified, Error> {
    let metadata = fs::metadata(path).map_err(failed("read", path))?;
    let contents = if metadata.is_dir() {
        let root = root(path);
        let mut contents = Contents::default();
        contents.walk(&root, "").map_err(failed("read", &root))?;
        contents
    } else {
        let file = fs::File::open(path).map_err(failed("read", path))?;
        Contents::unpack(file)
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
                let file = fs::File::open(entry.path())?;
                self.add(name, file)?;
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
        let mut archive = tar::Archive::new(zstd::Decoder::new(file)?);
        let mut root: Option<PathBuf> = None;
        for entry in archive.entries()? {
            let entry = entry?;
            let path = entry.path()?.into_owned();
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
        Ok(())
    }

    fn add(&mut self, name: String, mut bytes: impl Read) -> io::Result<()> {
        if name == MANIFEST {
            let mut text = Vec::new();
            bytes.take(MAX_MANIFEST).read_to_end(&mut text)?;
            self.manifest = Some(text);
            return Ok(());
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        let mut size = 0;
        loop {
            let read = match bytes.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hash.update(&buffer[..read]);
            size += read as u64;
        }
        let sha256 = super::hexadecimal(&hash.finalize());
        self.files.insert(name, Found { size, sha256 });
        Ok(())
    }

    fn differ(&mut self, path: &str, problem: &'static str, detail: &str) {
        let (path, detail) = (path.to_owned(), detail.to_owned());
        self.differences.push(Difference { path, problem, detail });
    }

    fn compare(mut self) -> Verified {
        let manifest = match self.manifest.take() {
            Some(text) => serde_json::from_slice::<Manifest>(&text).map_err(|e| e.to_string()),
            None => Err("there is none".to_owned()),
        };
        let manifest = match manifest {
            Ok(manifest) if manifest.format == FORMAT && manifest.version == VERSION => manifest,
            Ok(Manifest { format, version, .. }) => {
                let found = format!("it is of the form {format:?} {version}, which is not known");
                self.differ(MANIFEST, "manifest", &found);
                return Verified { manifest: None, differences: self.differences };
            }
            Err(problem) => {
                self.differ(MANIFEST, "manifest", &problem);
                return Verified { manifest: None, differences: self.differences };
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
        Verified { manifest: Some(manifest), differences: self.differences }
    }
}
