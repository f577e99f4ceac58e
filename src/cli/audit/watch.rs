//! Following the audit across lost connections and restarts of the server.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Streaming;

use super::{entry, filter_of};
use crate::{
    cli::{
        Context, Failure,
        args::AuditWatchArgs,
        connect::Connector,
        embedded::print,
        keyboard::{Keyboard, OnInterrupt},
        retry::{lost, not_opened},
    },
    proto::{
        AuditEntry, AuditFilter, WatchAuditEntriesRequest, WatchAuditEntriesResponse,
        watch_audit_entries_response::Message,
    },
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a server may be gone before it is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// One follower.
struct Follower<'a> {
    cx: &'a Context,
    connector: Connector,
    filter: AuditFilter,
    /// The last entry that was looked at; none until that is known, for new ones
    /// only.
    after: Option<u64>,
}

pub(super) async fn watch(cx: &Context, args: AuditWatchArgs) -> Result<(), Failure> {
    let AuditWatchArgs { filter, after } = args;
    let mut keyboard = Keyboard::new(cx, OnInterrupt::Return)?;
    let connector = Connector::new(cx)?;
    let server = keyboard.unless_left(connector.connect()).await??;
    let filter = keyboard.unless_left(filter_of(cx, &server, filter)).await??;
    Follower { cx, connector, filter, after }.follow(&mut keyboard).await
}

impl Follower<'_> {
    /// Prints entries until it is left.
    async fn follow(mut self, keyboard: &mut Keyboard) -> Result<(), Failure> {
        let mut pause = FIRST_PAUSE;
        let mut lost_at: Option<Instant> = None;
        loop {
            let why = match keyboard.unless_left(self.open()).await? {
                Ok(stream) => {
                    if lost_at.take().is_some() {
                        self.cx.output.note("connected again");
                    }
                    pause = FIRST_PAUSE;
                    self.read(stream, keyboard).await?
                }
                Err(failure) => match failure.passes() {
                    Some(why) if lost_at.is_none_or(|lost_at| lost_at.elapsed() < PATIENCE) => {
                        why.to_owned()
                    }
                    Some(_) | None => return Err(failure),
                },
            };
            if lost_at.is_none() {
                lost_at = Some(Instant::now());
                let from = self.after.map(|after| format!(" from entry {} on", after + 1));
                self.cx.output.note(&format!(
                    "lost the server ({why}); trying again{}",
                    from.unwrap_or_default()
                ));
            }
            keyboard.unless_left(sleep(pause)).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open(&self) -> Result<Streaming<WatchAuditEntriesResponse>, Failure> {
        let server = self.connector.connect().await?;
        let request = WatchAuditEntriesRequest {
            filter: Some(self.filter.clone()),
            after_seq: self.after,
            heartbeat: None,
        };
        match server.audit().watch_audit_entries(request).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(not_opened(&server, status)),
        }
    }

    /// Prints the entries of one connection, and says why it was lost.
    async fn read(
        &mut self,
        mut stream: Streaming<WatchAuditEntriesResponse>,
        keyboard: &mut Keyboard,
    ) -> Result<String, Failure> {
        loop {
            let message = match keyboard.unless_left(stream.message()).await? {
                Ok(Some(message)) => message.message,
                Ok(None) => return Ok("it ended the stream".into()),
                Err(status) => {
                    return lost(&status)
                        .ok_or_else(|| Failure::from_status(&status, self.connector.target()));
                }
            };
            match message {
                Some(Message::Entry(entry)) => {
                    self.entry(&entry)?;
                    self.after = Some(entry.seq);
                }
                Some(Message::Synced(synced)) => self.after = self.after.max(Some(synced.seq)),
                Some(Message::Heartbeat(beat)) => self.after = self.after.max(Some(beat.seq)),
                None => {}
            }
        }
    }

    fn entry(&self, entry: &AuditEntry) -> Result<(), Failure> {
        if self.cx.output.json {
            print(self.cx, entry, [])
        } else {
            self.cx.output.line(&entry::line(entry))
        }
    }
}
