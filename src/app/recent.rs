//! The catalogue as the settings contract shows it, and what it tells of sessions
//! beside their rows.

use std::collections::HashMap;

use crate::{
    Result,
    app::App,
    id::SessionId,
    row::{Session, Tombstone},
    session::actor::blocking,
    store::sqlite::{Filter, RecentPosition},
};

/// One page of sessions, those that changed last first.
#[derive(Debug, Clone)]
pub struct RecentPage {
    /// In that order, with the place of each.
    pub sessions: Vec<(RecentPosition, Session)>,
    /// Where the next page begins.
    pub next: Option<RecentPosition>,
}

impl App {
    /// Lists sessions, those that changed last first, at most `count`.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub async fn recent_sessions(
        &self,
        filter: Filter,
        after: Option<RecentPosition>,
        count: u32,
    ) -> Result<RecentPage> {
        // One more than asked for says whether there is a next page.
        let mut rows = self.sessions.database().list_recent(filter, after, count + 1).await?;
        let has_more = rows.len() > count as usize;
        rows.truncate(count as usize);
        let next = rows.last().map(|(position, _)| *position).filter(|_| has_more);
        Ok(RecentPage { sessions: rows, next })
    }

    /// The sessions that have a label of this name, and what it says.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub async fn labelled(&self, name: &'static str) -> Result<HashMap<SessionId, String>> {
        Ok(self.sessions.database().labelled(name).await?)
    }

    /// How many files a session has.
    ///
    /// # Errors
    ///
    /// SHUTTING_DOWN.
    pub async fn file_count(&self, id: SessionId) -> Result<u64> {
        let directory = self.sessions.directory(id);
        blocking(move || directory.file_count()).await
    }

    /// What is kept of a session that was deleted; `None` when none was.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub async fn tombstone(&self, id: SessionId) -> Result<Option<Tombstone>> {
        Ok(self.sessions.database().tombstone(id).await?)
    }
}
