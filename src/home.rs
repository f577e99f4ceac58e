//! The directory that holds everything a server keeps: its layout, its token
//! and the lock that makes one server of it.
//!
//! The server and the CLI both name files through [`Home`], so that the layout
//! stands in one place. Nothing here reads the environment or opens a store.
//!
//! ```text
//! $SWITCHBOARD_HOME/       0700
//!   token                  0600, made at first start
//!   lock                   held by the server that runs on this home, with its pid
//!   server.json            written when that server is ready, gone when it ended cleanly
//!   server.log             what a server started in the background prints
//!   switchboard.sock       the server's Unix socket
//!   state.db               sessions, turns, tombstones, receipts
//!   codex.toml             what every turn of codex is told; the operator's, if it is there
//!   sessions/<session_id>/ one directory a session
//!   trash/                 deleted sessions on their way out
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// The bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;

/// How often and how long apart a server tries for the lock: a client that only
/// looks at the lock holds it for a moment.
const LOCK_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// What can be wrong with a home.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another server runs on this home.
    #[error("another switchboard server{} runs on {home:?}: use it, stop it with `switchboard server stop`, or give this one another --home", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// The home.
        home: PathBuf,
        /// The other server's process id, when it has written it already.
        pid: Option<u32>,
    },
    /// A file or directory of the home cannot be used.
    #[error("cannot {action} {path:?}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The token file holds something else than a token.
    #[error(
        "{path:?} holds no token: expected one line of 16 or more visible ASCII characters; remove the file to have a new one made"
    )]
    TokenMalformed {
        /// The file.
        path: PathBuf,
    },
    /// The machine gave no random bytes.
    #[error("cannot make a token: {0}")]
    Random(getrandom::Error),
}

/// The names of the files in one home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Names the home at an absolute path. Touches nothing.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The home itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The server's Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.root.join("switchboard.sock")
    }

    /// The token that TCP clients show.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.root.join("token")
    }

    /// The lock that the running server holds.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// What the running server says about itself once it is ready.
    #[must_use]
    pub fn server_file(&self) -> PathBuf {
        self.root.join("server.json")
    }

    /// Where a server that was started in the background prints to.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.root.join("server.log")
    }

    /// The SQLite database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("state.db")
    }

    /// What every turn of codex is told, unless another file is named for that.
    #[must_use]
    pub fn agent_config(&self) -> PathBuf {
        self.root.join("codex.toml")
    }

    /// The directory of the sessions' directories.
    #[must_use]
    pub fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }

    /// Where deleted sessions are on their way out.
    #[must_use]
    pub fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// Makes the home with mode 0700, or takes that mode back on one that has
    /// been opened to others.
    ///
    /// # Errors
    /// When it cannot be made, or is not a directory of this user.
    pub fn prepare(&self) -> Result<(), Error> {
        let root = &self.root;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(failed("create", root))?;
        let mode = fs::metadata(root).map_err(failed("read", root))?.permissions().mode();
        if mode & 0o077 != 0 {
            // Closing a directory that others use would do them harm.
            let is_empty = fs::read_dir(root).map_err(failed("read", root))?.next().is_none();
            if !is_empty && !self.lock_file().exists() {
                let problem = "it is open to other users and holds what is not a server's; choose an empty directory, or close it with chmod 700";
                return Err(failed("use", root)(io::Error::other(problem)));
            }
            fs::set_permissions(root, fs::Permissions::from_mode(0o700))
                .map_err(failed("set mode 0700 on", root))?;
        }
        Ok(())
    }

    /// Takes the home for this process, for as long as the returned lock lives,
    /// and writes the process id into the lock file.
    ///
    /// # Errors
    /// [`Error::Locked`] when another server holds it.
    pub fn lock(&self) -> Result<Lock, Error> {
        let path = self.lock_file();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    // A server that lives is not waited for: whoever waited
                    // would take its place when it is stopped.
                    let pid = pid_in(&mut file);
                    if pid.is_some_and(is_alive) || attempt == LOCK_ATTEMPTS {
                        return Err(Error::Locked { home: self.root.clone(), pid });
                    }
                    thread::sleep(LOCK_PAUSE);
                }
                Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
            }
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(failed("write", &path))?;
        Ok(Lock { file, server_file: self.server_file() })
    }

    /// Says who holds the home now.
    ///
    /// # Errors
    /// When the lock file is there but cannot be read.
    pub fn holder(&self) -> Result<Holder, Error> {
        let path = self.lock_file();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
            Err(error) => return Err(failed("open", &path)(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Holder::Nobody),
            Err(TryLockError::WouldBlock) => Ok(Holder::Server { pid: pid_in(&mut file) }),
            Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
        }
    }

    /// Reads the token, and makes it first when there is none. For the server;
    /// the caller holds the [`Lock`].
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds no token.
    pub fn ensure_token(&self) -> Result<String, Error> {
        if let Some(token) = self.token()? {
            return Ok(token);
        }
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(Error::Random)?;
        // Hexadecimal, so that it never begins with a dash: command lines would
        // take such a token for a flag.
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.token_file();
        write_atomically(&path, format!("{token}\n").as_bytes()).map_err(failed("write", &path))?;
        Ok(token)
    }

    /// Reads the token; `None` when no server made one yet.
    ///
    /// # Errors
    /// When the file cannot be read or holds no token.
    pub fn token(&self) -> Result<Option<String>, Error> {
        let path = self.token_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let token = text.trim();
        if token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::TokenMalformed { path });
        }
        Ok(Some(token.to_owned()))
    }

    /// Reads what the ready server wrote about itself; `None` when none did.
    ///
    /// The file outlives a server that was killed, so it counts only while
    /// [`Home::holder`] names the same pid.
    #[must_use]
    pub fn server(&self) -> Option<Server> {
        serde_json::from_slice(&fs::read(self.server_file()).ok()?).ok()
    }
}

/// Who holds a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// No server runs on it.
    Nobody,
    /// A server runs on it.
    Server {
        /// Its process id, when it has written it already.
        pid: Option<u32>,
    },
}

/// Holds a home for one server; the kernel lets go of it when the process ends,
/// however it ends. Children do not inherit it.
#[derive(Debug)]
pub struct Lock {
    file: File,
    server_file: PathBuf,
}

impl Lock {
    /// Writes `server.json`: the server is ready on these addresses.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn announce(&self, server: &Server) -> Result<(), Error> {
        write_json(&self.server_file, server)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock is still held here, so this cannot be the file of a successor.
        let _ = fs::remove_file(&self.server_file);
        let _ = self.file.set_len(0);
    }
}

/// What a ready server says about itself in `server.json` and in its ready file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The version of this form: 1.
    pub version: u32,
    /// The server's process id.
    pub pid: u32,
    /// When it was ready, in whole seconds since 1970.
    pub start_time: u64,
    /// Where it listens, such as `http://127.0.0.1:7420` and `unix:/path`.
    pub addresses: Vec<String>,
}

impl Server {
    /// Describes this process, ready now.
    #[must_use]
    pub fn here(addresses: Vec<String>) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { version: 1, pid: std::process::id(), start_time: now.as_secs(), addresses }
    }

    /// Writes it as JSON where a reader sees all of it or nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_to(&self, path: &Path) -> Result<(), Error> {
        write_json(path, self)
    }
}

fn write_json(path: &Path, server: &Server) -> Result<(), Error> {
    let mut json = serde_json::to_vec(server)
        .map_err(io::Error::other)
        .map_err(failed("describe the server in", path))?;
    json.push(b'\n');
    write_atomically(path, &json).map_err(failed("write", path))
}

/// Writes a file of the user's own, as a whole or not at all.
///
/// # Errors
///
/// Those of the file system; what was there stays then.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(directory.unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_home_and_its_token_are_the_users_alone() {
        let parent = tempfile::tempdir().unwrap();
        let home = Home::at(parent.path().join("state/switchboard"));
        home.prepare().unwrap();
        let token = home.ensure_token().unwrap();
        assert_eq!(mode(home.path()), 0o700);
        assert_eq!(mode(&home.token_file()), 0o600);
        assert_eq!(token.len(), 64);
        assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
        assert_eq!(home.ensure_token().unwrap(), token, "the token stays");
        assert_eq!(home.token().unwrap(), Some(token));
    }

    #[test]
    fn a_home_that_was_opened_to_others_is_closed_again() {
        let parent = tempfile::tempdir().unwrap();
        let home = Home::at(parent.path());
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        home.prepare().unwrap();
        assert_eq!(mode(home.path()), 0o700);
    }

    #[test]
    fn a_second_server_is_refused_and_told_the_pid_of_the_first() {
        let parent = tempfile::tempdir().unwrap();
        let home = Home::at(parent.path());
        assert_eq!(home.holder().unwrap(), Holder::Nobody);
        let lock = home.lock().unwrap();
        assert_eq!(home.holder().unwrap(), Holder::Server { pid: Some(std::process::id()) });
        let refusal = home.lock().unwrap_err().to_string();
        assert!(refusal.contains(&format!("(pid {})", std::process::id())), "{refusal}");
        drop(lock);
        assert_eq!(home.holder().unwrap(), Holder::Nobody);
        home.lock().unwrap();
    }

    #[test]
    fn a_server_describes_itself_while_it_runs() {
        let parent = tempfile::tempdir().unwrap();
        let home = Home::at(parent.path());
        let lock = home.lock().unwrap();
        assert_eq!(home.server(), None);
        let server = Server::here(vec!["http://127.0.0.1:7420".into()]);
        lock.announce(&server).unwrap();
        assert_eq!(home.server(), Some(server));
        drop(lock);
        assert_eq!(home.server(), None);
    }

    #[test]
    fn a_token_file_without_a_token_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let home = Home::at(parent.path());
        fs::write(home.token_file(), "short\n").unwrap();
        assert!(matches!(home.ensure_token(), Err(Error::TokenMalformed { .. })));
    }
}
