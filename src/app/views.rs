//! What became of sessions, as people read it: turns, messages, trajectories.

use prost::Message as _;

use crate::{
    Result,
    app::{App, SESSION_PAGE_BYTES},
    id::{SessionId, TurnNumber},
    proto,
    session::transcript::{self, Page, Query},
};

/// One page of turns.
#[derive(Debug, Clone)]
pub struct TurnPage {
    /// In order.
    pub turns: Vec<proto::Turn>,
    /// The turn after which the next page begins.
    pub next_after: Option<TurnNumber>,
}

impl App {
    /// Lists the turns of a session after one of them, at most `count`.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED.
    pub async fn turns(&self, id: SessionId, after: TurnNumber, count: u32) -> Result<TurnPage> {
        // Of a session that is gone it says so.
        self.sessions.session(id).await?;
        // One more than asked for says whether there is a next page.
        let rows = self.sessions.database().turns(id, after, count + 1).await?;
        let found = rows.len();
        let mut turns: Vec<proto::Turn> = Vec::new();
        let mut bytes = 0;
        for turn in rows.iter().take(count as usize).map(proto::Turn::from) {
            bytes += turn.encoded_len();
            if bytes > SESSION_PAGE_BYTES && !turns.is_empty() {
                break;
            }
            turns.push(turn);
        }
        let last = turns.last().filter(|_| turns.len() < found);
        let next_after = last.map(|turn| TurnNumber(turn.number));
        Ok(TurnPage { turns, next_after })
    }

    /// Reads a page of what was said in a session.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, TURN_NOT_FOUND, SHUTTING_DOWN.
    pub(crate) async fn messages(&self, query: &Query) -> Result<Page<proto::SessionMessage>> {
        transcript::read(&self.sessions, query).await
    }

    /// Reads a page of what happened in a session, step by step.
    ///
    /// # Errors
    ///
    /// As [`App::messages`].
    pub(crate) async fn trajectory(&self, query: &Query) -> Result<Page<proto::Step>> {
        transcript::read(&self.sessions, query).await
    }
}
