//! A file of a bundle before it is packed: without what is secret, with its size and
//! hash, which must be known then.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use super::{Redactor, Rules, hexadecimal};

/// A file on its way into a bundle: its size must be known before.
pub(super) struct Entry<'a> {
    file: BufWriter<fs::File>,
    redactor: Redactor<'a>,
    hash: Sha256,
    size: u64,
}

/// One that is complete.
pub(super) struct Ended {
    pub(super) file: fs::File,
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) counts: BTreeMap<String, u64>,
}

impl<'a> Entry<'a> {
    /// Begins one, for which there is room in a directory.
    pub(super) fn begin(beside: &Path, rules: &'a Rules) -> io::Result<Self> {
        let file = BufWriter::new(tempfile::tempfile_in(beside)?);
        let redactor = Redactor::new(rules);
        Ok(Self { file, redactor, hash: Sha256::new(), size: 0 })
    }

    /// Adds a piece, without what is secret in it: a line, or a whole document.
    pub(super) fn add(&mut self, text: &[u8]) -> io::Result<()> {
        let clean = self.redactor.redact(text);
        self.hash.update(&clean);
        self.size += clean.len() as u64;
        self.file.write_all(&clean)
    }

    /// Ends it.
    pub(super) fn end(self) -> io::Result<Ended> {
        let Self { file, redactor, hash, size } = self;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let counts = redactor.counts().clone();
        Ok(Ended { file, size, sha256: hexadecimal(&hash.finalize()), counts })
    }
}
