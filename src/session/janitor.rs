//! Looks after sessions at rest whose events are not to be kept any more: a turn
//! that ends expires what is before it, and what grows old after that is found
//! here.
//!
//! The server starts it when events expire at all. It never touches a log: it
//! has the owners do that, one at a time.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use crate::{
    Result,
    config::EventsConfig,
    id::SessionId,
    row::{self, Session},
    session::{
        actor::blocking,
        registry::{Sessions, report},
    },
    store::log::{self, Extent},
};

/// How long after its start the server is left alone.
const FIRST: Duration = Duration::from_secs(2);
/// How long one round is after the other.
const PERIOD: Duration = Duration::from_secs(3600);

/// Goes round the sessions until the server goes down.
pub(crate) async fn run(sessions: Sessions) {
    let closing = sessions.closing().clone();
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = sleep(pause) => {}
        }
        tokio::select! {
            () = closing.cancelled() => return,
            done = round(&sessions) => {
                if let Err(error) = done {
                    tracing::warn!(error = %report(&error), "cannot look for events that have expired");
                }
            }
        }
        pause = PERIOD;
    }
}

async fn round(sessions: &Sessions) -> Result<()> {
    let ids = sessions.database().all_ids().await?;
    let count = ids.len();
    for id in ids {
        if let Err(error) = visit(sessions, id).await {
            tracing::warn!(session = %id, error = %report(&error), "cannot let events expire");
        }
    }
    tracing::info!(sessions = count, "looked for events that have expired");
    Ok(())
}

async fn visit(sessions: &Sessions, id: SessionId) -> Result<()> {
    let session = sessions.session(id).await?;
    let directory = sessions.directory(id);
    // A look at the files costs less than an owner, who opens the log.
    let extent = blocking(move || log::extent(&directory.events())).await??;
    if could_expire(&session, extent, &sessions.events(), crate::time::now()) {
        sessions.owner(id).await?.expire().await?;
    }
    Ok(())
}

/// Whether something of the session may have to go.
fn could_expire(session: &Session, extent: Extent, events: &EventsConfig, now: SystemTime) -> bool {
    let too_much = events.retain_bytes.is_some_and(|most| extent.bytes > most);
    let too_old = events.retain_age.is_some_and(|age| {
        // An age that reaches before all time lets nothing expire.
        now.checked_sub(age).is_some_and(|time| session.create_time < time)
    });
    row::is_at_rest(session.state()) && extent.segments > 1 && (too_much || too_old)
}
