//! Answers one text of a client, by POST or over a WebSocket alike.
//!
//! - A notification is carried out, and not answered, whoever still listens. A call
//!   is given up when its client has gone.
//! - A batch is carried out in its order, and has no subscription in it: what
//!   begins with its answer would have to wait for all of them.
//! - Over a WebSocket a call waits for room before it makes its answer ([`super::need`]).

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{
    DISCOVER, discover,
    envelope::{self, Entry, Id, Incoming, Malformed, Message},
    error::Failure,
    link::{Answer, Link},
    methods::{self, Call, Method},
    names,
    need::Taken,
    page, params,
    teller::{self, Begun},
};
use crate::{Error, Result, app::App, config::JsonRpcConfig, json::Json, wire::schema::schema};

/// What answers.
#[derive(Debug)]
pub(super) struct Engine {
    pub app: App,
    pub limits: JsonRpcConfig,
}

/// What a call is answered with.
enum Outcome {
    /// A result, and the room for it among the pages where that was taken.
    Result(String, Option<OwnedSemaphorePermit>),
    /// The result that says the id of a subscription.
    Watches(Begun),
}

impl From<String> for Outcome {
    fn from(result: String) -> Self {
        Self::Result(result, None)
    }
}

impl Engine {
    /// Reads one text.
    pub(super) fn read(&self, text: &[u8]) -> Message {
        envelope::read(text, self.limits.max_batch as usize)
    }

    /// Carries out a message; none where there is nothing to answer, or nobody any more
    /// who waits for it: then `gone` is cancelled. It shall not be dropped, since there
    /// may be notifications in it.
    pub(super) async fn answer(
        &self,
        message: Message,
        link: Option<&Arc<Link>>,
        gone: &CancellationToken,
    ) -> Option<Answer> {
        match message {
            Message::Single(Ok(mut call)) => match call.id.take() {
                Some(id) => unless(gone, self.single(id, call, link)).await.flatten(),
                None => {
                    self.notified(call, link).await;
                    None
                }
            },
            Message::Single(Err(Malformed { id, failure })) => {
                Some(envelope::answer(&id, Err(failure)).into())
            }
            Message::Batch(entries) => self.batch(entries, link, gone).await,
            Message::TooMany(size) => {
                let error = Error::PayloadTooLarge {
                    what: "the batch",
                    size: size as u64,
                    limit: self.limits.max_batch.into(),
                    unit: "calls",
                };
                Some(envelope::answer(&Id::null(), Err(error.into())).into())
            }
        }
    }

    async fn single(&self, id: Id, call: Incoming, link: Option<&Arc<Link>>) -> Option<Answer> {
        let begun = match link {
            Some(link) => begin(&call.method, link).await.map(|begun| Some((link, begun))),
            None => Ok(None),
        };
        let (outcome, begun) = match begun {
            Ok(begun) => (self.carry_out(call, link).await, begun),
            Err(error) => (Err(error), None),
        };
        let mut page = None;
        let mut answer: Answer = match outcome {
            Ok(Outcome::Result(result, room)) => {
                page = room;
                envelope::answer(&id, Ok(result)).into()
            }
            Ok(Outcome::Watches(begun)) => {
                let result = Json::from(begun.id).to_string();
                let text = envelope::answer(&id, Ok(result));
                Answer { then: Some(begun.then), ..text.into() }
            }
            Err(error) => envelope::answer(&id, Err(error.into())).into(),
        };
        // It is under way until it has all of its room.
        if let Some((link, (Taken { room, held }, _under_way))) = begun {
            let size = answer.text.len();
            let fitting = match (page, room) {
                (Some(room), _) => link.room().fit(room, size).await,
                (None, Some(room)) => link.answers().fit(room, size).await,
                (None, None) => link.answers().take(size).await,
            };
            answer.room = fitting.ok();
            answer.held.extend(held);
        }
        Some(answer)
    }

    /// Carries out what has no answer.
    async fn notified(&self, call: Incoming, link: Option<&Arc<Link>>) {
        // What it would begin would have no name.
        if is_watch(&call.method) {
            return;
        }
        let _held = match link {
            Some(link) => Some((link.call().await, Taken::beside(&call.method, link).await)),
            None => None,
        };
        if let Err(error) = self.carry_out(call, link).await {
            tracing::debug!(%error, "a notification failed, which nobody is told");
        }
    }

    async fn batch(
        &self,
        entries: Vec<Entry>,
        link: Option<&Arc<Link>>,
        gone: &CancellationToken,
    ) -> Option<Answer> {
        let is_answered =
            entries.iter().any(|entry| !matches!(entry, Ok(Incoming { id: None, .. })));
        let mut held = Vec::new();
        if let Some(link) = link {
            if is_answered {
                held.extend(link.alone().await.ok());
            }
            held.extend(link.call().await.ok());
        }
        let mut answers = String::new();
        for entry in entries {
            let Some(answer) = self.one_of_batch(entry, link, gone, answers.len()).await else {
                continue;
            };
            answers.push(if answers.is_empty() { '[' } else { ',' });
            answers.push_str(&answer);
        }
        if answers.is_empty() {
            return None;
        }
        answers.push(']');
        // It is not under way any more, but unsent.
        held.truncate(1);
        Some(Answer { held, ..answers.into() })
    }

    /// Answers a call of a batch, of which there are so many bytes of answers already.
    async fn one_of_batch(
        &self,
        entry: Entry,
        link: Option<&Arc<Link>>,
        gone: &CancellationToken,
        before: usize,
    ) -> Option<String> {
        let mut call = match entry {
            Ok(call) => call,
            Err(Malformed { id, failure }) => return Some(envelope::answer(&id, Err(failure))),
        };
        let id = call.id.take();
        let limit = JsonRpcConfig::MAX_BATCH_ANSWER_BYTES;
        let outcome = if is_watch(&call.method) {
            Err(Error::invalid("method", "subscribe by a call of its own, not in a batch"))
        } else if id.is_some() && before >= limit as usize {
            Err(Error::PayloadTooLarge {
                what: "what answers this batch before this call, which was not carried out,",
                size: before as u64,
                limit: limit.into(),
                unit: "bytes",
            })
        } else {
            let carried_out = async {
                let _taken = match link {
                    Some(link) => Taken::beside(&call.method, link).await.ok(),
                    None => None,
                };
                self.carry_out(call, link).await
            };
            if id.is_some() { unless(gone, carried_out).await? } else { carried_out.await }
        };
        let result = match outcome {
            // Its room is free again: the batch has one for all.
            Ok(Outcome::Result(result, _)) => Ok(result),
            Ok(Outcome::Watches(_)) => Err(Error::internal("a batch subscribed").into()),
            Err(error) => Err(Failure::from(error)),
        };
        Some(envelope::answer(&id?, result))
    }

    /// Looks for the method, and calls it.
    async fn carry_out(&self, call: Incoming, link: Option<&Arc<Link>>) -> Result<Outcome> {
        let Incoming { id: _, method: name, params, size } = call;
        if name == DISCOVER {
            return Ok(discover::document().to_owned().into());
        }
        if let Some(method) = methods::find(&name) {
            let input = schema().message(&method.rpc.input);
            let outcome = match &method.call {
                Call::Unary(call) => {
                    let message = params::message(method, params, size)?;
                    self.unary(method, *call, message, link).await
                }
                Call::Watch { notification, open, .. } => {
                    let link = link.ok_or_else(|| only_sockets(method.name))?;
                    // Before anything is opened: else it would have to be closed.
                    let place = link.subscription()?;
                    let message = params::message(method, params, size)?;
                    let opened = open(self.app.clone(), method.rpc, message).await;
                    opened.map(|messages| {
                        let method = method.name;
                        Outcome::Watches(teller::begin(link, method, notification, messages, place))
                    })
                }
            };
            return outcome.map_err(|error| names::renamed(input, error));
        }
        let Some(watched) = methods::ended_by(&name) else {
            let what = format!("the method {name:?}, which is not among those of rpc.discover,");
            return Err(Error::Unimplemented { what });
        };
        let link = link.ok_or_else(|| only_sockets(&name))?;
        let ended = link.end(&params::subscription(params.as_deref())?, watched.name).await;
        Ok(ended.to_string().into())
    }

    async fn unary(
        &self,
        method: &'static Method,
        call: methods::Answers<String>,
        message: Json,
        link: Option<&Arc<Link>>,
    ) -> Result<Outcome> {
        if !method.is_page() {
            return Ok(call(self.app.clone(), method.rpc, message).await?.into());
        }
        let Some(link) = link else {
            return Ok(self.page(method, call, message).await?.into());
        };
        // Whoever waits for the first event of a page holds no room meanwhile.
        let message = match page::split(method, &message)? {
            Some((wait, page)) => {
                call(self.app.clone(), method.rpc, wait).await?;
                page
            }
            None => message,
        };
        let room = link.room().take(usize::MAX).await?;
        let result = self.page(method, call, message).await?;
        Ok(Outcome::Result(result, Some(room)))
    }

    /// Reads a page, no larger than clients take by default unless one asks for more.
    async fn page(
        &self,
        method: &'static Method,
        call: methods::Answers<String>,
        message: Json,
    ) -> Result<String> {
        if !page::is_by_default(method, &message) {
            return call(self.app.clone(), method.rpc, message).await;
        }
        let mut message = message;
        let mut result = call(self.app.clone(), method.rpc, message.clone()).await?;
        while result.len() > page::MOST_TEXT_BYTES
            && let Some(smaller) = page::smaller(method, &message, &result)
        {
            message = smaller;
            result = call(self.app.clone(), method.rpc, message.clone()).await?;
        }
        Ok(result)
    }
}

/// Does something as long as it is wanted, and does not begin it where it is not.
async fn unless<T>(gone: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    if gone.is_cancelled() {
        return None;
    }
    gone.run_until_cancelled(work).await
}

/// Waits until a call may be carried out.
///
/// # Errors
///
/// OVERLOADED where there are as many under way as may be.
async fn begin(method: &str, link: &Link) -> Result<(Taken, OwnedSemaphorePermit)> {
    let taken = Taken::before(method, link).await?;
    Ok((taken, link.try_call()?))
}

fn is_watch(name: &str) -> bool {
    methods::find(name).is_some_and(|method| matches!(method.call, Call::Watch { .. }))
}

fn only_sockets(name: &str) -> Error {
    let instead = match name.split_once('/') {
        Some(("sessions", _)) => "session/list",
        Some(("audit", _)) => "audit/list",
        Some(_) | None => "events/list with wait",
    };
    let what = format!(
        "{name} by POST: subscribe over a WebSocket at /rpc, or read by {instead} again and again; it"
    );
    Error::Unimplemented { what }
}
