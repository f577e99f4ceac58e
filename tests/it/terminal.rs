//! A command on a terminal of its own, for what it does only there.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Instant,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::ledger::GIVE_UP;

/// A command whose standard input, output and error are one terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    child: Child,
    control: File,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// Starts a command on a terminal of this size.
    pub(crate) fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let control = openpt(flags).unwrap();
        grantpt(&control).unwrap();
        unlockpt(&control).unwrap();
        let side = ioctl_tiocgptpeer(&control, flags).unwrap();
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&side, size).unwrap();
        let clone = || side.try_clone().unwrap();
        let child = command.stdin(clone()).stdout(clone()).stderr(clone()).spawn().unwrap();
        let control = File::from(control);
        let mut reader = control.try_clone().unwrap();
        let (tx, output) = channel();
        // It ends with the last process that has the terminal.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if tx.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, control, output, seen: String::new() }
    }

    /// Waits until the terminal was sent this, and returns all it was sent.
    pub(crate) fn until(&mut self, wanted: &str) -> &str {
        let deadline = Instant::now() + GIVE_UP;
        while !self.seen.contains(wanted) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("{wanted:?} not seen ({error}): {}", self.seen),
            }
        }
        &self.seen
    }

    /// Forgets what was seen so far.
    pub(crate) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.control.write_all(keys.as_bytes()).unwrap();
    }

    /// Makes it another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.control, size).unwrap();
        // It is nobody's controlling terminal, so that nobody else says so.
        self.signal(Signal::WINCH);
    }

    /// Sends the command a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it was sent up to the end, and the exit code.
    pub(crate) fn end(mut self) -> (String, i32) {
        let code = self.child.wait().unwrap().code().unwrap();
        while let Ok(bytes) = self.output.recv() {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (self.seen, code)
    }
}
