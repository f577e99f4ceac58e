//! WebSockets.
//!
//! ```text
//!  upgraded ──▶ served ──▶ last words ──▶ Close ──▶ ended
//!                │                          ├ as the client's own
//!                ├ the client closes        ├ 1001 the server goes down, after
//!                ├ the server drains        │      watches said SHUTTING_DOWN
//!                ├ what comes is wrong      ├ 1002, 1003, 1007, 1009
//!                └ nobody answers a ping    └ 1008
//! ```
//!
//! Last words are the answers to what was asked before. Who does not read is waited
//! for neither then nor otherwise: where the connection takes nothing for as long as
//! some pings, it is given up.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, split},
    sync::OwnedSemaphorePermit,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tungstenite::{
    Message,
    handshake::derive_accept_key,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{
    Endpoint,
    engine::Engine,
    envelope::{self, Id},
    frames::{self, Broken, Frame, Reader},
    life::Life,
    link::{Answer, Link},
    refusal,
};
use crate::{Error, config::JsonRpcConfig, wire::auth::Connection};

/// How long answers and the ends of subscriptions may take when a WebSocket ends.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a client may take to read what is left, and then to close.
const CLOSING: Duration = Duration::from_secs(1);

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let has = |name, wanted: &str| {
        let mut all = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        all.any(|value| value.split(',').any(|word| word.trim().eq_ignore_ascii_case(wanted)))
    };
    has(CONNECTION, "upgrade") && has(UPGRADE, "websocket")
}

/// Answers the request for one.
pub(super) fn answer(endpoint: &Endpoint, mut request: Request) -> Response {
    let headers = request.headers();
    let is_known = headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    let (Some(key), true) = (headers.get(SEC_WEBSOCKET_KEY), is_known) else {
        let problem = "this is no handshake of a WebSocket, version 13";
        let mut response = refusal(&Error::invalid("request", problem));
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return response;
    };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let Ok(accept) = accept else { return refusal(&Error::internal("no key for a handshake")) };
    let place = match endpoint.place() {
        Ok(place) => place,
        Err(error) => return refusal(&error),
    };
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    let upgrade = hyper::upgrade::on(&mut request);
    let socket = Socket {
        engine: Arc::clone(&endpoint.engine),
        draining: endpoint.options.draining.clone(),
    };
    endpoint.options.connections.spawn(async move {
        match upgrade.await {
            Ok(upgraded) => socket.serve(TokioIo::new(upgraded)).await,
            Err(error) => tracing::debug!(%error, "a WebSocket did not come to be"),
        }
        drop((place, connection));
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Why a WebSocket comes to its end.
enum End {
    /// Nobody is there any more.
    Gone,
    /// The client closed it, perhaps with a code.
    Client(Option<CloseFrame>),
    /// It goes on no more; nobody waits for answers beyond those that are there.
    Now(CloseFrame),
    /// It sent what cannot be read.
    Wrong(CloseFrame),
}

fn close(code: CloseCode, reason: &'static str) -> CloseFrame {
    CloseFrame { code, reason: reason.into() }
}

/// What serves one.
struct Socket {
    engine: Arc<Engine>,
    draining: CancellationToken,
}

impl Socket {
    async fn serve(self, stream: impl AsyncRead + AsyncWrite) {
        let limits = &self.engine.limits;
        let patience = limits.patience();
        let (read, write) = split(stream);
        let (link, queue) = Link::new(limits);
        let link = Arc::new(link);
        let life = Life::default();
        let (read, write) = (pin!(read), pin!(write));
        let mut reader = Reader::new(read, limits.max_message_bytes as usize);
        let mut writing = pin!(frames::write(write, queue, patience, &life));
        let end = {
            let mut hearing = pin!(self.hear(&link, &mut reader, &life));
            tokio::select! {
                end = &mut hearing => end,
                () = &mut writing => {
                    // It can be told nothing any more, but what came is carried out.
                    let _ = timeout(LAST_WORDS, hearing).await;
                    End::Gone
                }
                end = ask(&link, &life, limits.ping_interval) => end,
                end = self.goes_down(&link) => end,
            }
        };
        link.end_all();
        let (is_waited_for, last) = match end {
            End::Gone => {
                link.gone().cancel();
                return;
            }
            End::Client(close) => (true, close),
            End::Wrong(close) => (true, Some(close)),
            End::Now(close) => (false, Some(close)),
        };
        let closing = async {
            if is_waited_for {
                let _ = timeout(LAST_WORDS, idle(&link)).await;
            }
            link.gone().cancel();
            // Nor does it wait for a line that nobody empties.
            let _ = timeout(CLOSING, link.send(Frame::close(last))).await;
            sleep(CLOSING).await;
        };
        tokio::select! {
            // It is written, or cannot be.
            () = writing => {}
            () = closing => {}
        }
        link.gone().cancel();
        // Who sends on while it is closed may else never see why.
        let _ = timeout(CLOSING, reader.drain()).await;
    }

    /// Hears what the client says, as long as not too much of it is unanswered.
    async fn hear<S: AsyncRead + Unpin>(
        &self,
        link: &Arc<Link>,
        reader: &mut Reader<S>,
        life: &Life,
    ) -> End {
        loop {
            let unanswered = match link.try_read() {
                Some(unanswered) => Ok(unanswered),
                None => deaf(life, link.may_read()).await,
            };
            let Ok(unanswered) = unanswered else { return End::Gone };
            let text = loop {
                match reader.next(life).await {
                    Ok(Message::Text(text)) => break text,
                    Ok(Message::Ping(ping)) => {
                        if life.shall_answer(ping) {
                            deaf(life, link.send(Frame::pong())).await;
                        }
                    }
                    Ok(Message::Pong(_) | Message::Frame(_)) => {}
                    Ok(Message::Close(close)) => return End::Client(close),
                    Ok(Message::Binary(_)) => {
                        return End::Wrong(close(CloseCode::Unsupported, "expected texts"));
                    }
                    Err(broken) => return self.broken(broken, link, unanswered),
                }
            };
            let Ok(held) = deaf(life, link.may_hold(text.len())).await else { return End::Gone };
            let message = self.engine.read(text.as_bytes());
            drop(text);
            let (engine, its) = (Arc::clone(&self.engine), Arc::clone(link));
            let under_way = link.tasks().token();
            self.engine.app.tasks().spawn(async move {
                let gone = its.gone();
                if let Some(answer) = engine.answer(message, Some(&its), gone).await {
                    gone.run_until_cancelled(its.answer(answer, unanswered)).await;
                }
                drop((held, under_way));
            });
        }
    }

    /// Says what is wrong with what came, as far as there is something to say.
    fn broken(&self, broken: Broken, link: &Arc<Link>, unanswered: OwnedSemaphorePermit) -> End {
        match broken {
            Broken::Gone => End::Gone,
            Broken::NoText => End::Wrong(close(CloseCode::Invalid, "expected UTF-8")),
            Broken::Protocol => {
                End::Wrong(close(CloseCode::Protocol, "expected the frames of RFC 6455"))
            }
            Broken::TooLarge(size) => {
                let error = Error::PayloadTooLarge {
                    what: "the message",
                    size: size as u64,
                    limit: self.engine.limits.max_message_bytes.into(),
                    unit: "bytes",
                };
                let text = envelope::answer(&Id::null(), Err(error.into()));
                // In its line: the answers before it come first.
                let link = Arc::clone(link);
                let its = Arc::clone(&link);
                link.tasks().spawn(async move {
                    let answer = its.answer(Answer::from(text), unanswered);
                    its.gone().run_until_cancelled(answer).await;
                });
                End::Wrong(close(CloseCode::Size, "the message is larger than it may be"))
            }
        }
    }

    /// Waits until the server goes down and all has been said.
    async fn goes_down(&self, link: &Link) -> End {
        self.draining.cancelled().await;
        // Watches end by themselves, and say why.
        let _ = timeout(LAST_WORDS, idle(link)).await;
        End::Now(close(CloseCode::Away, "the server is shutting down"))
    }
}

/// Waits for something while nothing is read.
async fn deaf<T>(life: &Life, waited: impl Future<Output = T>) -> T {
    life.set_deaf(true);
    let found = waited.await;
    life.set_deaf(false);
    found
}

/// Waits until nothing is under way.
async fn idle(link: &Link) {
    link.tasks().close();
    link.tasks().wait().await;
}

/// Asks the client whether it is there, until it is not.
async fn ask(link: &Link, life: &Life, interval: Duration) -> End {
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if life.is_silent_for(interval * JsonRpcConfig::PINGS) {
            return End::Now(close(CloseCode::Policy, "no ping was answered"));
        }
        if life.shall_ask() && !link.send(Frame::ping()).await {
            return End::Gone;
        }
    }
}
