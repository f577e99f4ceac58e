//! How a supervisor waits: for a signal, or for time to pass.
//!
//! Signals are handled, never blocked or ignored: what is blocked or ignored
//! stays so across exec, and an agent that cannot see SIGINT or SIGCHLD hangs.
//! A handler is taken back by exec, also where the server itself was started
//! with the signal ignored.

use std::{
    io::{self, Read as _},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1},
    flag,
    low_level::pipe,
};

/// The signal that tells a supervisor to look at its stop file.
pub(super) const NUDGE: rustix::process::Signal = rustix::process::Signal::USR1;

/// The handlers of this process, and the pipe through which they wake it.
#[derive(Debug)]
pub(super) struct Signals {
    wake: UnixStream,
    terminated: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the handlers. From here on only SIGKILL ends this process early.
    pub(super) fn install() -> io::Result<Self> {
        let (wake, write_end) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let terminated = Arc::new(AtomicBool::new(false));
        // The flag first, so that it is set when the pipe wakes.
        flag::register(SIGTERM, Arc::clone(&terminated))?;
        for signal in [SIGCHLD, SIGUSR1, SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
            pipe::register(signal, write_end.try_clone()?)?;
        }
        Ok(Self { wake, terminated })
    }

    /// Whether SIGTERM has come.
    pub(super) fn terminated(&self) -> bool {
        self.terminated.load(Ordering::SeqCst)
    }

    /// Waits for a signal, at most for `time`. A signal that came since the last
    /// wait counts.
    pub(super) fn wait(&self, time: Duration) {
        // A time too long for the system's type is as good as its longest.
        let timeout = Timespec::try_from(time).ok();
        match poll(&mut [PollFd::new(&self.wake, PollFlags::IN)], timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // The kernel is out of memory: callers look again, but must not spin.
            Err(_) => thread::sleep(time.min(Duration::from_millis(10))),
        }
        let mut bytes = [0; 64];
        loop {
            match (&self.wake).read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Empty: everything that came so far is about to be looked at.
                Err(_) => return,
            }
        }
    }
}
