//! What a start makes of what the last server left: half-made sessions go, those
//! that were not at rest get their owners again.

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use super::{Sessions, report};
use crate::{
    Result,
    id::SessionId,
    session::{actor, directory},
};

impl Sessions {
    /// Removes what a crash left of sessions that were being created, and loads
    /// the owners of all that were not at rest when the server went down. One
    /// that cannot be loaded is reported once and left to
    /// [`Orphans`](crate::session::orphans::Orphans).
    ///
    /// No turn starts before all are taken up: those that waited keep their order.
    /// Those at rest whose logs lack events that clients were promised come after
    /// that: some may have large logs that are damaged, and nobody waits for them
    /// but who asks for the session.
    pub(crate) async fn adopt(&self) -> Result<usize> {
        self.remove_unfinished().await?;
        let ids = self.shared.database.unsettled_ids().await?;
        let count = ids.len();
        for id in ids {
            self.take_up(id).await;
        }
        let untold = self.shared.database.untold_ids().await?;
        let sessions = self.clone();
        self.shared.tasks.spawn(async move {
            let closing = sessions.closing().clone();
            let taking_up = async {
                for id in untold {
                    sessions.take_up(id).await;
                }
            };
            closing.run_until_cancelled(taking_up).await;
        });
        let sessions = self.clone();
        self.shared.tasks.spawn(async move {
            let orphans = Arc::clone(&sessions.orphans);
            orphans.run(sessions).await;
        });
        self.shared.slots.open();
        let slots = self.shared.slots.clone();
        let stopped = self.shared.stopped.clone();
        self.shared.tasks.spawn(async move { stopped.run_until_cancelled(slots.run()).await });
        Ok(count)
    }

    async fn take_up(&self, id: SessionId) {
        if let Err(error) = self.owner(id).await {
            tracing::error!(session = %id, error = %report(&error), "session cannot be adopted; trying again");
            self.orphans.add(id);
        }
    }

    /// Removes the directories of sessions whose creation did not come to its
    /// row, and what a crash left of those that were deleted.
    async fn remove_unfinished(&self) -> Result<()> {
        let known = self.shared.database.all_ids().await?.into_iter().collect::<HashSet<_>>();
        let root = self.shared.directory.clone();
        let strangers = actor::blocking(move || strangers(&root, &known)).await?;
        for id in strangers {
            let directory = self.directory(id);
            let is_deleted = self.shared.database.tombstone(id).await?.is_some();
            let trash = self.shared.trash.clone();
            actor::blocking(move || {
                if is_deleted {
                    directory.discard(&trash);
                } else if directory.never_ran() {
                    tracing::info!(session = %id, "removing the directory of a session that was not created");
                    directory.remove();
                } else {
                    tracing::warn!(path = %directory.path().display(), "the database knows no such session; its files are left alone");
                }
            })
            .await?;
        }
        let trash = self.shared.trash.clone();
        actor::blocking(move || directory::empty_trash(&trash)).await
    }
}

/// The sessions that have a directory and no row: the server died between
/// making the one and the other, or removing them. Whatever else is there is
/// left alone.
fn strangers(root: &Path, known: &HashSet<SessionId>) -> Vec<SessionId> {
    match fs::read_dir(root) {
        Ok(entries) => entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<SessionId>().ok())
            .filter(|id| !known.contains(id))
            .collect(),
        Err(error) => {
            tracing::warn!(path = %root.display(), %error, "cannot list the sessions' directories");
            Vec::new()
        }
    }
}
