//! A thread that owns a connection and runs jobs on it.

use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{Error, Result};

/// How many jobs may wait; a caller beyond that waits for a place.
const QUEUE: usize = 256;
/// How many jobs share one commit.
const GROUP: usize = 64;

/// Whether jobs run inside a transaction that is committed after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// They read.
    Read,
    /// They write.
    Write,
}

/// Tells the caller its result, once it is known whether the commit held.
type Answer = Box<dyn FnOnce(Result<()>) + Send>;
/// Runs on the connection's thread. An error: it failed and has answered; where
/// SQLite failed, why.
type Job = Box<dyn FnOnce(&Connection) -> Result<Answer, Option<rusqlite::Error>> + Send>;

/// The handle of a connection's thread. The thread ends with the last handle.
#[derive(Debug, Clone)]
pub(super) struct Thread {
    jobs: mpsc::Sender<Job>,
}

impl Thread {
    /// Starts the thread.
    pub(super) fn start(name: &str, connection: Connection, access: Access) -> Result<Self> {
        let (jobs, mut queue) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut group = Vec::with_capacity(GROUP);
                while queue.blocking_recv_many(&mut group, GROUP) > 0 {
                    run(&connection, access, group.drain(..));
                }
            })
            .map_err(|_| Error::Closed)?;
        Ok(Self { jobs })
    }

    /// Runs `job` and answers when its effect is committed. A job that fails
    /// leaves nothing behind.
    ///
    /// # Cancel safety
    ///
    /// Once the job is queued it runs, whether or not the caller still waits.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.call_then(job, |_| {}).await
    }

    /// As [`call`](Self::call); `then` is told what was committed, before anybody
    /// is answered.
    pub(super) async fn call_then<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T> {
        let (tx, rx) = oneshot::channel();
        let job: Job = Box::new(move |connection| match job(connection) {
            Ok(value) => Ok(Box::new(move |committed: Result<()>| {
                if committed.is_ok() {
                    then(&value);
                }
                // A caller that has gone does not want the answer.
                let _ = tx.send(committed.map(|()| value));
            })),
            Err(error) => {
                let cause = match &error {
                    Error::Sqlite(error) => Some(again(error)),
                    Error::Newer { .. }
                    | Error::Exists(_)
                    | Error::Deleted(_)
                    | Error::Refused(_)
                    | Error::Closed => None,
                };
                let _ = tx.send(Err(error));
                Err(cause)
            }
        });
        self.jobs.send(job).await.map_err(|_| Error::Closed)?;
        rx.await.map_err(|_| Error::Closed)?
    }
}

fn run(connection: &Connection, access: Access, jobs: impl Iterator<Item = Job>) {
    match access {
        Access::Read => {
            for job in jobs {
                if let Ok(answer) = job(connection) {
                    answer(Ok(()));
                }
            }
        }
        Access::Write => commit(connection, jobs),
    }
}

/// Runs the jobs in one transaction, each under a savepoint, and answers those
/// that succeeded once it is committed.
///
/// On a full disk, and on other errors of the disk, SQLite takes back the whole
/// transaction and not the one statement. Then all that was done before is
/// gone, and those that wait for it are told; the rest has a new transaction.
fn commit(connection: &Connection, jobs: impl Iterator<Item = Job>) {
    // Prepared once: they are a large part of what a small job costs.
    let execute = |sql| connection.prepare_cached(sql)?.execute([]).map(drop);
    let begin = || execute("BEGIN IMMEDIATE").is_ok();
    // Without a transaction around them the savepoints commit one by one.
    let mut grouped = begin();
    let mut answers = Vec::new();
    for job in jobs {
        let savepoint = execute("SAVEPOINT job");
        let done = job(connection);
        if connection.is_autocommit() {
            let cause = match done {
                Ok(answer) => {
                    answers.push(answer);
                    None
                }
                Err(cause) => cause,
            };
            let cause = savepoint.err().or(cause).unwrap_or(rusqlite::Error::InvalidQuery);
            answers.drain(..).for_each(|answer| answer(Err(again(&cause).into())));
            grouped = begin();
            continue;
        }
        let back = || if done.is_err() { execute("ROLLBACK TO job") } else { Ok(()) };
        let ended = savepoint.and_then(|()| back()).and_then(|()| execute("RELEASE job"));
        match (done, ended) {
            (Ok(answer), Err(error)) => answer(Err(error.into())),
            (Ok(answer), Ok(())) if grouped => answers.push(answer),
            (Ok(answer), Ok(())) => answer(Ok(())),
            (Err(_), _) => {}
        }
    }
    let committed = if grouped { execute("COMMIT") } else { Ok(()) };
    if committed.is_err() {
        // The connection must not stay inside the failed transaction.
        let _ = connection.execute_batch("ROLLBACK");
    }
    for answer in answers {
        answer(committed.as_ref().copied().map_err(|error| again(error).into()));
    }
}

/// The same failure for one more caller; SQLite's errors cannot be cloned.
fn again(error: &rusqlite::Error) -> rusqlite::Error {
    match error.sqlite_error() {
        Some(code) => rusqlite::Error::SqliteFailure(*code, Some(error.to_string())),
        None => rusqlite::Error::InvalidQuery,
    }
}
