//! Has agents forget the threads of deleted sessions: their own records of them,
//! which are no files of ours.
//!
//! The server starts it. What has to be forgotten is in the database from the
//! moment of the deletion, so that a server that dies leaves it to the next. It is
//! worked off one thread at a time, at the start and after every deletion. A thread
//! stays for as long as something that was forked from it is left, because a fork
//! has no history without it: the deletion of the last fork sets it free.

use std::collections::HashSet;

use crate::{
    Result,
    agent::NotForgotten,
    session::{
        actor::blocking,
        registry::{Sessions, report},
    },
    store::sqlite::ForgottenThread,
};

/// How often an agent is asked that refuses, once in the life of a server. It may
/// not know the thread, or somebody else has a fork of it.
const MOST_REFUSALS: u32 = 3;

/// Works off what has to be forgotten until the server goes down.
pub(crate) async fn run(sessions: Sessions) {
    let closing = sessions.closing().clone();
    let mut refused = HashSet::new();
    loop {
        if let Err(error) = work_off(&sessions, &mut refused).await {
            tracing::warn!(error = %report(&error), "cannot look for threads of deleted sessions");
        }
        tokio::select! {
            () = closing.cancelled() => return,
            () = sessions.deletions().notified() => {}
        }
    }
}

/// Goes on until nothing is left that can be forgotten now: a thread may set
/// another free, which it was forked from.
async fn work_off(sessions: &Sessions, refused: &mut HashSet<ForgottenThread>) -> Result<()> {
    loop {
        let mut threads = sessions.database().forgettable_threads().await?;
        threads.retain(|thread| !refused.contains(thread));
        if threads.is_empty() {
            return Ok(());
        }
        for thread in threads {
            if sessions.closing().is_cancelled() {
                return Ok(());
            }
            match forget(sessions, &thread).await? {
                Ok(()) => sessions.database().remove_forgotten_thread(thread).await?,
                Err(NotForgotten::Refused(problem)) => {
                    refused.insert(thread.clone());
                    count_refusal(sessions, thread, &problem).await?;
                }
                // The next would fare no better.
                Err(NotForgotten::NotAsked(problem)) => {
                    let thread = thread.id;
                    tracing::warn!(
                        thread,
                        problem,
                        "the agent cannot be asked to forget the thread of a deleted session; trying again after the next deletion and at the next start"
                    );
                    return Ok(());
                }
            }
        }
    }
}

async fn forget(sessions: &Sessions, thread: &ForgottenThread) -> Result<Result<(), NotForgotten>> {
    let (agents, thread) = (sessions.agents().clone(), thread.clone());
    blocking(move || agents.forget(&thread.agent, &thread.id)).await
}

async fn count_refusal(sessions: &Sessions, thread: ForgottenThread, problem: &str) -> Result<()> {
    let id = thread.id.clone();
    if sessions.database().refused_to_forget(thread.clone()).await? < MOST_REFUSALS {
        tracing::info!(
            thread = id,
            problem,
            "the agent does not forget the thread of a deleted session; trying again at the next start"
        );
        return Ok(());
    }
    sessions.database().remove_forgotten_thread(thread).await?;
    tracing::warn!(
        thread = id,
        problem,
        "the agent does not forget the thread of a deleted session: it knows none, or has a fork of it that is not ours; not trying again"
    );
    Ok(())
}
