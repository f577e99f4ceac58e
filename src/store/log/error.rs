//! What can go wrong with a log.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{error::is_out_of_descriptors, id::Seq};

/// The result of an operation on a log.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on a log failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no directory to open as a log.
    #[error("there is no event log at {dir:?}")]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// A log cannot be created where there is one.
    #[error("there is an event log at {dir:?} already")]
    Exists {
        /// The directory.
        dir: PathBuf,
    },
    /// A later version of the server wrote the segment. Nothing was changed.
    #[error(
        "{path:?} has format version {version}, and this server knows versions up to {supported}; \
         run the version of the server that wrote it, or a later one"
    )]
    NewerFormat {
        /// The segment's file.
        path: PathBuf,
        /// The version that it has.
        version: u32,
        /// The highest version that can be read.
        supported: u32,
    },
    /// The disk, or the user's quota, is full.
    #[error("there is no space left to write {path:?}")]
    NoSpace {
        /// What could not be written.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The system failed to read or write.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was tried, as an infinitive.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The system gives no randomness.
    #[error("the system gives no random numbers")]
    Random(#[source] getrandom::Error),
    /// The event is older than the log.
    #[error("the event {requested} has expired; the oldest is {oldest}")]
    Expired {
        /// The seq asked for.
        requested: Seq,
        /// The oldest that is there.
        oldest: Seq,
    },
    /// The record of the event is not as it was written.
    #[error("the record of the event {seq} in {path:?} is damaged")]
    Damaged {
        /// The first event that cannot be read.
        seq: Seq,
        /// The segment's file.
        path: PathBuf,
    },
    /// The log is damaged and nothing may be appended.
    #[error("the event log is read-only: {problem}")]
    ReadOnly {
        /// What is damaged.
        problem: String,
    },
    /// The batch does not begin behind the last event.
    #[error("a batch that begins at {given} cannot follow the event {last}")]
    OutOfOrder {
        /// The last event of the log.
        last: Seq,
        /// The first of the batch.
        given: Seq,
    },
    /// The event is larger than a record can be.
    #[error("an event of {bytes} bytes does not fit in a record; at most {limit} do")]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
}

impl Error {
    /// Whether a log that cannot be opened for this stays so for longer than a
    /// moment. A want of room or of file descriptors passes, and a log that is
    /// not there can be made.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::NewerFormat { .. } => true,
            Self::Io { source, .. } => !is_out_of_descriptors(source),
            Self::Missing { .. }
            | Self::Exists { .. }
            | Self::NoSpace { .. }
            | Self::Random(_)
            | Self::Expired { .. }
            | Self::Damaged { .. }
            | Self::ReadOnly { .. }
            | Self::OutOfOrder { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// Says what an error of the system means for the log.
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::NoSpace { path, source }
        } else {
            Self::Io { action, path, source }
        }
    }
}

impl From<Error> for crate::error::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::NoSpace { path, source: _ } => Self::StorageFull { path },
            Error::Io { action: _, path: _, source } if is_out_of_descriptors(&source) => {
                Self::system(source)
            }
            Error::Expired { requested, oldest } => Self::CursorExpired { requested, oldest },
            Error::Damaged { seq, path: _ } => Self::EventsDamaged { seq, next: None },
            Error::Missing { .. }
            | Error::Exists { .. }
            | Error::NewerFormat { .. }
            | Error::Io { .. }
            | Error::Random(_)
            | Error::ReadOnly { .. }
            | Error::OutOfOrder { .. }
            | Error::TooLarge { .. } => Self::internal(error),
        }
    }
}
