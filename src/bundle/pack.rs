//! A session's directory, packed.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    Error, FORMAT, File, LeftOut, MANIFEST, Manifest, Rules, VERSION,
    contents::{self, Source},
    entry::{Ended, Entry},
    failed,
    verify::MAX_MANIFEST,
};
use crate::{
    event,
    id::{Seq, SessionId},
    plain_file,
    store::log::{self, Reader},
    supervise::{self, Spec},
    time::{now, timestamp},
};

/// Where the events are.
pub(super) const EVENTS: &str = "events.jsonl";
/// How much of the event log is read at once.
const CHUNK: usize = 1 << 20;
/// The largest file that is read to learn from it.
const MAX_RECORD: u64 = 16 << 20;
/// What the server itself adds to an agent's environment, and is no secret.
const OWN_VARIABLES: [&str; 5] = [
    "CODEX_HOME",
    "CODEX_ROLLOUT_TRACE_ROOT",
    "PATH",
    supervise::SESSION_VARIABLE,
    supervise::TURN_VARIABLE,
];

/// A bundle that was made.
#[derive(Debug)]
pub struct Packed {
    /// Where.
    pub path: PathBuf,
    /// How large it is, in bytes.
    pub size: u64,
    /// What is in it.
    pub manifest: Manifest,
}

/// Packs the directory of a session into a file, which is there as a whole or not
/// at all.
///
/// # Errors
///
/// Where the directory cannot be read or the file not be written.
pub fn pack(
    session: SessionId,
    directory: &Path,
    mut rules: Rules,
    to: &Path,
) -> Result<Packed, Error> {
    let (sources, left_out) = contents::list(directory).map_err(failed("read", directory))?;
    let codex_version = learn(directory, &sources, &mut rules)?;
    let beside = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = beside.unwrap_or(Path::new("."));
    let cannot_write = || failed("write", to);
    let file = tempfile::Builder::new()
        .prefix(".switchboard-bundle-")
        .tempfile_in(beside)
        .map_err(cannot_write())?;
    let compressed = zstd::Encoder::new(file.as_file(), 0).map_err(cannot_write())?;
    let mut bundle = Bundle {
        root: format!("switchboard-{session}"),
        archive: tar::Builder::new(compressed),
        rules: &rules,
        beside,
        files: Vec::new(),
        redactions: BTreeMap::new(),
        left_out,
    };
    bundle.add_events(directory, session).map_err(cannot_write())?;
    for source in &sources {
        bundle.add_file(source).map_err(cannot_write())?;
    }
    bundle.files.sort_by(|one, other| one.path.cmp(&other.path));
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: VERSION,
        created: timestamp(now()),
        switchboard_version: env!("CARGO_PKG_VERSION").to_owned(),
        codex_version,
        session_id: session.to_string(),
        files: std::mem::take(&mut bundle.files),
        redactions: std::mem::take(&mut bundle.redactions),
        left_out: std::mem::take(&mut bundle.left_out),
    };
    bundle.end(&manifest).map_err(cannot_write())?;
    let size = file.as_file().metadata().map_err(cannot_write())?.len();
    file.as_file().sync_all().map_err(cannot_write())?;
    file.persist(to).map_err(|error| error.error).map_err(cannot_write())?;
    Ok(Packed { path: to.to_owned(), size, manifest })
}

/// Learns from the session's own files what is secret in them, and which codex it
/// had.
fn learn(directory: &Path, sources: &[Source], rules: &mut Rules) -> Result<String, Error> {
    let meta = plain_file::read(&directory.join("meta.json"), MAX_RECORD).unwrap_or_default();
    let meta: Value = serde_json::from_slice(&meta).unwrap_or_default();
    let named = meta["codexOptions"]["environment"].as_object();
    let mut variables: BTreeMap<String, Vec<String>> =
        named.into_iter().flatten().map(|(name, _)| (name.clone(), Vec::new())).collect();
    let specs = sources.iter().filter(|source| source.name.ends_with(".spec.json"));
    for spec in specs {
        let Ok(text) = plain_file::read(&spec.path, MAX_RECORD) else { continue };
        let Ok(spec) = serde_json::from_slice::<Spec>(&text) else { continue };
        for (name, value) in spec.env {
            let is_own =
                OWN_VARIABLES.contains(&name.as_str()) || name.starts_with("CODEX_MANAGED");
            if !is_own || variables.contains_key(&name) {
                variables.entry(name).or_default().push(value);
            }
        }
    }
    for (name, values) in variables {
        rules.variable(&name, "")?;
        for value in values {
            rules.variable(&name, &value)?;
        }
    }
    Ok(meta["codexVersion"].as_str().unwrap_or_default().to_owned())
}

/// A bundle on its way.
struct Bundle<'a, W: Write> {
    /// The directory that holds everything in it.
    root: String,
    archive: tar::Builder<zstd::Encoder<'static, W>>,
    rules: &'a Rules,
    /// Where there is room for a file before it is packed.
    beside: &'a Path,
    files: Vec<File>,
    redactions: BTreeMap<String, u64>,
    left_out: Vec<LeftOut>,
}

impl<W: Write> Bundle<'_, W> {
    fn add_file(&mut self, source: &Source) -> io::Result<()> {
        // What was listed may be something else by now.
        let file = match plain_file::open(&source.path) {
            Ok(file) => file,
            Err(error) => return self.leave_out(&source.name, &error),
        };
        if file.metadata()?.nlink() > 1 {
            return self.leave_out(&source.name, &io::Error::other(contents::HARD_LINK));
        }
        let mut text = BufReader::new(file.take(source.size));
        let mut entry = Entry::begin(self.beside, self.rules)?;
        let whole = source.name.ends_with(".json");
        let copied = loop {
            let mut piece = Vec::new();
            let read = if whole {
                text.read_to_end(&mut piece)
            } else {
                text.read_until(b'\n', &mut piece)
            };
            match read {
                Ok(0) => break Ok(()),
                Ok(_) => entry.add(&piece)?,
                Err(error) => break Err(error),
            }
        };
        let grown = text.get_ref().get_ref().metadata().map_or(0, |metadata| metadata.len());
        let mut about = File::named(&source.name);
        about.cut_at = (grown > source.size).then_some(source.size);
        if let Err(error) = copied {
            about.note = format!("it could not be read to its end: {error}");
        }
        let entry = entry.end()?;
        self.append(about, entry)
    }

    /// The events, as clients get them.
    fn add_events(&mut self, directory: &Path, session: SessionId) -> io::Result<()> {
        let reader = match Reader::open_read_only(&directory.join("events")) {
            Ok(reader) => reader,
            Err(error) => return self.leave_out(EVENTS, &error),
        };
        let mut entry = Entry::begin(self.beside, self.rules)?;
        let (mut next, latest) = (reader.oldest(), reader.latest());
        let mut note = String::new();
        while next <= latest {
            match reader.read(next, CHUNK) {
                Ok(Some(chunk)) => {
                    for record in chunk.iter_from(next) {
                        let Ok(event) = event::decode_frame(&record.frame) else { continue };
                        entry.add(line(&event).as_bytes())?;
                    }
                    next = chunk.last().next();
                }
                Ok(None) => break,
                Err(log::Error::Damaged { seq, path: _ }) => {
                    note.push_str(&format!("from seq {} on the log is damaged; ", seq.0));
                    match reader.next_readable(seq.max(next.next())) {
                        Ok(Some(readable)) => next = readable,
                        Ok(None) | Err(_) => break,
                    }
                }
                Err(error) => {
                    note.push_str(&format!("it could not be read to its end: {error}"));
                    break;
                }
            }
        }
        debug_assert!(next > Seq::ZERO, "{session} has a log");
        let entry = entry.end()?;
        let about = File { note: note.trim_end_matches("; ").to_owned(), ..File::named(EVENTS) };
        self.append(about, entry)
    }

    fn leave_out(&mut self, name: &str, why: &dyn std::error::Error) -> io::Result<()> {
        self.left_out.push(LeftOut { path: name.to_owned(), why: why.to_string() });
        Ok(())
    }

    fn append(&mut self, mut about: File, entry: Ended) -> io::Result<()> {
        let Ended { mut file, size, sha256, counts } = entry;
        file.rewind()?;
        self.append_bytes(&about.path, size, &mut file)?;
        for (name, count) in counts {
            about.redacted += count;
            *self.redactions.entry(name).or_default() += count;
        }
        (about.size, about.sha256) = (size, sha256);
        self.files.push(about);
        Ok(())
    }

    fn append_bytes(&mut self, name: &str, size: u64, bytes: impl io::Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(size);
        let seconds = now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        header.set_mtime(seconds);
        self.archive.append_data(&mut header, format!("{}/{name}", self.root), bytes)
    }

    fn end(mut self, manifest: &Manifest) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(manifest)?;
        text.push(b'\n');
        if text.len() as u64 > MAX_MANIFEST {
            // Nobody could verify it.
            return Err(io::Error::other(format!(
                "there are so many files that their list has more than {MAX_MANIFEST} bytes"
            )));
        }
        self.append_bytes(MANIFEST, text.len() as u64, text.as_slice())?;
        self.archive.into_inner()?.finish()?;
        Ok(())
    }
}

impl File {
    fn named(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            size: 0,
            sha256: String::new(),
            redacted: 0,
            cut_at: None,
            note: String::new(),
        }
    }
}

/// An event on one line. A line of the agent's that is no JSON is text here, not
/// base64, so that nothing in it is hidden from the rules.
fn line(event: &crate::proto::Event) -> String {
    let mut text = if event.raw.is_empty() || event::raw_json(&event.raw).is_some() {
        event::to_json(event)
    } else {
        let raw = String::from_utf8_lossy(&event.raw).into_owned();
        let bare = crate::proto::Event { raw: bytes::Bytes::new(), ..event.clone() };
        let mut text = event::to_json(&bare);
        text.pop();
        text.push_str(&format!(",\"rawText\":{}}}", Value::from(raw)));
        text
    };
    text.push('\n');
    text
}
