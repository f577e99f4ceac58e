//! What a turn was asked for, in its files until it is started: the prompt, and
//! beside it what else came with it.
//!
//! Called by [`super::registry`] and by the owner of a session; a turn that had
//! to wait, perhaps beyond the server's end, is started from here.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    agent::{Effort, Prompt},
    plain_file,
    supervise::TurnFiles,
};

/// The version of [`Request`] that this program writes.
const VERSION: u32 = 1;

/// The largest file that is read: none is written that comes near to it.
pub(crate) const MAX_FILE: u64 = 16 << 20;

/// `turn_<n>.request.json`; absent where there is nothing beside the prompt.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Request {
    version: u32,
    #[serde(default)]
    images: Vec<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effort: Option<Effort>,
}

/// Writes what a turn was asked for durably; the prompt last.
///
/// # Errors
///
/// Those of the file system.
pub(crate) fn write(files: &TurnFiles, prompt: &Prompt) -> io::Result<()> {
    let Prompt { text, images, effort } = prompt;
    // There already, unless somebody took it away.
    fs::create_dir_all(files.directory())?;
    if images.is_empty() && effort.is_none() {
        // What a turn that came to nothing left here.
        match fs::remove_file(files.request()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    } else {
        let request = Request { version: VERSION, images: images.clone(), effort: *effort };
        files.write_request(&serde_json::to_vec(&request)?)?;
    }
    files.write_prompt(text.as_bytes())
}

/// Reads what a turn was asked for.
///
/// # Errors
///
/// Those of the file system, and `InvalidData`; the text names the file.
pub(crate) fn read(files: &TurnFiles) -> io::Result<Prompt> {
    let Request { version: _, images, effort } = read_request(files)?;
    let text = plain_file::read(&files.prompt(), MAX_FILE)
        .map_err(|error| named(&files.prompt(), error.kind(), &error))?;
    Ok(Prompt { text: String::from_utf8_lossy(&text).into_owned(), images, effort })
}

/// Reads the effort that a turn was asked for; none where it was asked for none, or
/// there was no such turn.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn effort(files: &TurnFiles) -> io::Result<Option<Effort>> {
    read_request(files).map(|request| request.effort)
}

fn read_request(files: &TurnFiles) -> io::Result<Request> {
    match plain_file::read(&files.request(), MAX_FILE) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| named(&files.request(), io::ErrorKind::InvalidData, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Request::default()),
        Err(error) => Err(named(&files.request(), error.kind(), &error)),
    }
}

fn named(path: &Path, kind: io::ErrorKind, error: &dyn std::error::Error) -> io::Error {
    io::Error::new(kind, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TurnNumber;

    #[test]
    fn what_was_asked_for_is_read_as_it_was_written() {
        let home = tempfile::tempdir().unwrap();
        let files = TurnFiles::new(home.path().join("turns"), TurnNumber(3));
        assert_eq!(read(&files).unwrap_err().kind(), io::ErrorKind::NotFound);
        let with_images = Prompt {
            images: vec!["/a b.png".into(), "/c".into()],
            effort: Some(Effort::Xhigh),
            ..Prompt::from("Look.")
        };
        write(&files, &with_images).unwrap();
        assert_eq!(read(&files).unwrap(), with_images);
        assert_eq!(effort(&files).unwrap(), Some(Effort::Xhigh));

        write(&files, &"Now without.".into()).unwrap();
        assert_eq!(read(&files).unwrap(), "Now without.".into());
        assert_eq!(effort(&files).unwrap(), None);

        fs::write(files.request(), "{").unwrap();
        let error = read(&files).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("turn_3.request.json: "), "{error}");
    }
}
