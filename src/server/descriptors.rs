//! How many files this process may have open: all that the machine allows it,
//! shared out between connections that anyone may make and the server's own work.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most TCP connections, however many files may be open.
const MAX_CONNECTIONS: u64 = 16_384;
/// Where the system sets no limit.
const UNLIMITED: u64 = u64::MAX;

/// The limits of this process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptors {
    /// The soft limit that it was started with, which is what agents get: some
    /// programs cannot take more.
    pub inherited: Option<u64>,
    /// The soft limit that it has now.
    limit: u64,
}

impl Descriptors {
    /// Raises the soft limit to the hard one.
    pub(super) fn raise() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        if let Err(error) = raised {
            tracing::warn!(%error, limit = current, "cannot raise the limit of open files");
        }
        let limit = if raised.is_ok() { maximum } else { current };
        Self { inherited: current, limit: limit.unwrap_or(UNLIMITED) }
    }

    /// How many TCP connections there may be. The other half is for the user's
    /// own connections over the Unix socket, for logs and for turns.
    pub(super) fn tcp_connections(self) -> usize {
        let half = (self.limit / 2).min(MAX_CONNECTIONS);
        usize::try_from(half).expect("it is bounded")
    }
}
