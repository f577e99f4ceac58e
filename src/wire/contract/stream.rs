//! `/api/stream`: a WebSocket that tells what happens.
//!
//! ```text
//!  upgrade ──▶ ready ──▶ news and answers to commands ──▶ close
//!                            │                              ├ 1001 the server goes down
//!                            └ a client that does not read  ├ 1002 it does not speak WebSocket
//!                              is waited for                ├ 1007 it sent text that is none
//!                                                           ├ 1009 it sent too much at once
//!                                                           └ 1011 nothing can be read
//! ```
//!
//! The socket is what the watch is read for: as long as the client does not take
//! a frame, nothing more is read.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{
        FromRequestParts, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, close_code},
    },
    response::{IntoResponse as _, Response},
    routing::get,
};
use futures_util::StreamExt as _;
use http::{Method, Uri, request::Parts};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tungstenite::error::ProtocolError;

use super::{
    answer::Object,
    at,
    check::{Fields, Length, Presence},
    error::Failure,
    news::{self, Filter, News, Teller},
    query,
};
use crate::{
    Result,
    app::App,
    json::Json,
    session::{feed::Span, registry::report, watch::Delivery},
    wire::auth::Connection,
};

/// The most bytes of a command.
const MAX_COMMAND_BYTES: usize = 64 << 10;
/// How often a client is asked whether it is there.
const PING: Duration = Duration::from_secs(30);
/// How often it may not answer before it is not.
const MISSED: u32 = 3;
/// How long a client may take to close as the server does.
const CLOSING: Duration = Duration::from_secs(1);

/// The route.
pub(super) fn routes() -> Router<App> {
    at("/api/stream", get(open))
}

/// The connection that a request came by, where it is one that counts.
struct Came(Option<Arc<Connection>>);

impl<S: Sync> FromRequestParts<S> for Came {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().cloned()))
    }
}

async fn open(
    State(app): State<App>,
    method: Method,
    uri: Uri,
    Came(connection): Came,
    upgrade: Option<Upgrade>,
) -> Result<Response, Failure> {
    // By plain HTTP there is nothing here.
    let Some(Upgrade(upgrade)) = upgrade else { return Err(Failure::unknown(&method, &uri)) };
    let query = query::parse(uri.query().unwrap_or_default());
    let mut fields = Fields::of(Some(&query));
    let thread = fields.trimmed("threadId", Presence::Optional, Length::from(1));
    fields.finish()?;
    let filter = thread.map(ToOwned::to_owned);
    // The server waits for its end from here on.
    let tracked = app.tasks().token();
    let upgrade = upgrade.max_message_size(MAX_COMMAND_BYTES).max_frame_size(MAX_COMMAND_BYTES);
    Ok(upgrade
        .on_upgrade(move |socket| async move {
            Stream { app, socket, filter, unheard: 0 }.run().await;
            drop((tracked, connection));
        })
        .into_response())
}

/// A request to speak WebSocket, if it is one.
struct Upgrade(WebSocketUpgrade);

impl<S: Send + Sync> axum::extract::OptionalFromRequestParts<S> for Upgrade {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Infallible> {
        let upgrade = <WebSocketUpgrade as FromRequestParts<S>>::from_request_parts(parts, state);
        Ok(upgrade.await.ok().map(Self))
    }
}

/// Why a socket comes to its end.
enum End {
    /// The client left, or cannot be reached.
    Gone,
    /// By this code.
    Close(u16, &'static str),
}

impl End {
    fn of(error: &crate::Error) -> Self {
        if matches!(error, crate::Error::ShuttingDown { .. }) {
            return GOING_DOWN;
        }
        tracing::error!(error = %report(error), "a stream of /api ends");
        Self::Close(close_code::ERROR, "internal server error")
    }
}

impl End {
    /// By what a client sent that is no message.
    fn of_client(error: axum::Error) -> Self {
        let Ok(error) = error.into_inner().downcast::<tungstenite::Error>() else {
            return Self::Gone;
        };
        match *error {
            tungstenite::Error::Capacity(_) => {
                Self::Close(close_code::SIZE, "expected commands of at most 64 KiB")
            }
            tungstenite::Error::Utf8(_) => Self::Close(close_code::INVALID, "expected UTF-8"),
            tungstenite::Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake
                | ProtocolError::SendAfterClosing
                | ProtocolError::ReceivedAfterClosing,
            ) => Self::Gone,
            tungstenite::Error::Protocol(_) => {
                Self::Close(close_code::PROTOCOL, "expected the frames of RFC 6455")
            }
            // The connection broke: nobody hears why.
            tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            | tungstenite::Error::Io(_)
            | tungstenite::Error::Tls(_)
            | tungstenite::Error::WriteBufferFull(_)
            | tungstenite::Error::AttackAttempt
            | tungstenite::Error::Url(_)
            | tungstenite::Error::Http(_)
            | tungstenite::Error::HttpFormat(_) => Self::Gone,
        }
    }
}

const GOING_DOWN: End = End::Close(close_code::AWAY, "the server is shutting down");

struct Stream {
    app: App,
    socket: WebSocket,
    filter: Filter,
    /// How often the client was asked whether it is there and said nothing since.
    unheard: u32,
}

impl Stream {
    async fn run(mut self) {
        let end = match self.tell().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        let End::Close(code, reason) = end else { return };
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        // A client that does not read any more is not waited for.
        let _ = timeout(CLOSING, async {
            if self.socket.send(close).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        })
        .await;
    }

    async fn tell(&mut self) -> Result<Infallible, End> {
        let (mut teller, news) = news::open(&self.app).await.map_err(|error| End::of(&error))?;
        let mut news = pin!(news);
        let closing = self.app.closing().clone();
        let ready = Object::new().with("type", "ready").with("threadId", self.filter.clone());
        self.send(ready.into_text()).await?;
        let mut pings = interval_at(Instant::now() + PING, PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = closing.cancelled() => return Err(GOING_DOWN),
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.hear(message).await?,
                    Some(Err(error)) => return Err(End::of_client(error)),
                    None => return Err(End::Gone),
                },
                told = news.next() => match told {
                    Some(Ok(news)) => self.tell_news(&mut teller, news).await?,
                    Some(Err(error)) => return Err(End::of(&error)),
                    None => return Err(GOING_DOWN),
                },
                _ = pings.tick() => {
                    self.unheard += 1;
                    if self.unheard > MISSED {
                        return Err(End::Gone);
                    }
                    self.push(Message::Ping(Default::default())).await?;
                }
            }
        }
    }

    async fn tell_news(&mut self, teller: &mut Teller, news: News) -> Result<(), End> {
        let frame = match news {
            News::Note(note) => teller.note(&note, &self.filter).await,
            News::Delivery(delivery) => match *delivery {
                Delivery::Header(header) => {
                    teller.learn(&header);
                    Ok(None)
                }
                Delivery::Events(span) => return self.tell_events(teller, &span).await,
                Delivery::LeftOut(left_out) => teller.left_out(left_out, &self.filter).await,
                Delivery::Synced(_) | Delivery::Heartbeat(_) => Ok(None),
            },
        };
        match frame.map_err(|error| End::of(&error))? {
            Some(frame) => self.send(frame).await,
            None => Ok(()),
        }
    }

    async fn tell_events(&mut self, teller: &mut Teller, span: &Span) -> Result<(), End> {
        let mut after = None;
        loop {
            let told = teller.frames(span, after, &self.filter).await;
            let (frames, at) = told.map_err(|error| End::of(&error))?;
            for frame in frames {
                self.send(frame).await?;
            }
            match at {
                Some(at) => after = Some(at),
                None => return Ok(()),
            }
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        self.unheard = 0;
        let command = match &message {
            Message::Text(text) => text.as_str(),
            Message::Binary(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Gone),
        };
        match Command::parse(command) {
            Some(Command::Subscribe(thread)) => self.filter = Some(thread),
            Some(Command::Unsubscribe) => self.filter = None,
            Some(Command::Ping) => {
                self.send(Object::new().with("type", "pong").into_text()).await?;
            }
            None => {
                let error = Object::new()
                    .with("type", "error")
                    .with("message", "invalid websocket command");
                self.send(error.into_text()).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, text: String) -> Result<(), End> {
        self.push(Message::Text(text.into())).await
    }

    /// Waits until the client takes a message, or the server goes down.
    async fn push(&mut self, message: Message) -> Result<(), End> {
        let closing = self.app.closing().clone();
        tokio::select! {
            sent = self.socket.send(message) => sent.map_err(|_| End::Gone),
            () = closing.cancelled() => Err(GOING_DOWN),
        }
    }
}

/// What a client may ask for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    /// Only what is of this thread.
    Subscribe(String),
    /// All again.
    Unsubscribe,
    /// An answer.
    Ping,
}

impl Command {
    fn parse(text: &str) -> Option<Self> {
        let command = Json::parse(text).ok()?;
        match command.get("type")?.as_str()? {
            "subscribe" => {
                let thread = command.get("threadId")?.as_str()?.trim();
                (!thread.is_empty()).then(|| Self::Subscribe(thread.to_owned()))
            }
            "unsubscribe" => Some(Self::Unsubscribe),
            "ping" => Some(Self::Ping),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_three_and_all_else_is_none() {
        let subscribe = Some(Command::Subscribe("x".to_owned()));
        assert_eq!(Command::parse(r#"{"type":"subscribe","threadId":" x ","a":1}"#), subscribe);
        assert_eq!(Command::parse(r#"{"type":"unsubscribe"}"#), Some(Command::Unsubscribe));
        assert_eq!(Command::parse(r#"{"type":"ping"}"#), Some(Command::Ping));
        for text in [
            "",
            "ping",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","threadId":""}"#,
            r#"{"type":"subscribe","threadId":null}"#,
        ] {
            assert_eq!(Command::parse(text), None, "{text}");
        }
    }
}
