//! Following the catalogue of sessions across lost connections and restarts.

use std::time::Duration;

use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::{Instant, sleep},
};
use tonic::{Code, Status, Streaming};

use crate::{
    cli::{Failure, connect::Connector, retry::lost},
    proto::{WatchSessionsRequest, WatchSessionsResponse, watch_sessions_response::Message},
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a server may be gone before it is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// How much is read ahead of whoever shows it.
const AHEAD: usize = 64;

/// What is to be told.
#[derive(Debug)]
pub(super) enum News {
    /// A session, a deletion, or that all was told.
    Message(Box<WatchSessionsResponse>),
    /// Nothing, and the server is there.
    Heartbeat,
    /// The connection is lost, and why.
    Lost(String),
    /// It is there again.
    Back,
    /// What was told is void; everything is told again.
    Anew,
}

/// The reader is gone.
struct Gone;

/// One follower.
struct Follower {
    connector: Connector,
    include_system_owned: bool,
    cursor: String,
    news: Sender<Result<News, Failure>>,
}

/// Follows the catalogue for as long as somebody reads the news.
pub(super) fn follow(
    connector: Connector,
    include_system_owned: bool,
) -> Receiver<Result<News, Failure>> {
    let (news, reader) = channel(AHEAD);
    let follower = Follower { connector, include_system_owned, cursor: String::new(), news };
    tokio::spawn(follower.run());
    reader
}

impl Follower {
    async fn run(mut self) {
        // A reader that is gone wants to know nothing.
        if let Err(Some(failure)) = self.until_it_fails().await {
            let _ = self.news.send(Err(failure)).await;
        }
    }

    /// Fails with none when the reader is gone.
    async fn until_it_fails(&mut self) -> Result<(), Option<Failure>> {
        let mut pause = FIRST_PAUSE;
        let mut lost_at: Option<Instant> = None;
        loop {
            let why = match self.open().await {
                Ok(stream) => {
                    if lost_at.take().is_some() {
                        self.tell(News::Back).await?;
                    }
                    pause = FIRST_PAUSE;
                    match self.read(stream).await? {
                        None => "it ended the stream".to_owned(),
                        Some(status) => self.judge(&status)?,
                    }
                }
                Err(Problem::Refused(status))
                    if status.code() == Code::InvalidArgument && !self.cursor.is_empty() =>
                {
                    self.cursor.clear();
                    self.tell(News::Anew).await?;
                    continue;
                }
                Err(Problem::Refused(status)) => self.judge(&status)?,
                Err(Problem::NoConnection(Failure::Unreachable(why))) => {
                    match lost_at {
                        // A server that never answered is not waited for.
                        None if self.cursor.is_empty() => {
                            return Err(Some(Failure::Unreachable(why)));
                        }
                        Some(lost_at) if lost_at.elapsed() > PATIENCE => {
                            return Err(Some(Failure::Unreachable(why)));
                        }
                        None | Some(_) => why,
                    }
                }
                Err(Problem::NoConnection(failure)) => return Err(Some(failure)),
            };
            if lost_at.is_none() {
                lost_at = Some(Instant::now());
                self.tell(News::Lost(why)).await?;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open(&self) -> Result<Streaming<WatchSessionsResponse>, Problem> {
        let server = self.connector.connect().await.map_err(Problem::NoConnection)?;
        let request = WatchSessionsRequest {
            cursor: self.cursor.clone(),
            include_system_owned: self.include_system_owned,
            heartbeat: None,
        };
        let answer = server.sessions().watch_sessions(request).await;
        answer.map(tonic::Response::into_inner).map_err(Problem::Refused)
    }

    /// Reads to the end of a stream, and says with which status it ended.
    async fn read(
        &mut self,
        mut stream: Streaming<WatchSessionsResponse>,
    ) -> Result<Option<Status>, Gone> {
        loop {
            let message = match stream.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(None),
                Err(status) => return Ok(Some(status)),
            };
            self.cursor.clone_from(&message.cursor);
            let news = match message.message {
                Some(Message::Session(_) | Message::Deleted(_) | Message::Synced(_)) => {
                    News::Message(Box::new(message))
                }
                Some(Message::Heartbeat(_)) | None => News::Heartbeat,
            };
            self.tell(news).await?;
        }
    }

    /// Why the connection is lost.
    ///
    /// # Errors
    /// An answer that another try would get again.
    fn judge(&self, status: &Status) -> Result<String, Failure> {
        lost(status).ok_or_else(|| Failure::from_status(status, self.connector.target()))
    }

    async fn tell(&self, news: News) -> Result<(), Gone> {
        self.news.send(Ok(news)).await.map_err(|_| Gone)
    }
}

/// Why a watch was not opened.
enum Problem {
    /// No server answers.
    NoConnection(Failure),
    /// One answered.
    Refused(Status),
}

impl From<Gone> for Option<Failure> {
    fn from(Gone: Gone) -> Self {
        None
    }
}
