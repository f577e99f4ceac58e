//! Ends of turns and of sessions: kill, interrupt, delete, cleanup.

use std::time::Instant;

use super::{Commands, Outcomes};
use crate::{
    cli::{
        Failure,
        args::{CleanupArgs, KillArgs},
        confirm::Consent,
        connect::present,
        keyboard::{Keyboard, OnInterrupt},
        render::{about, state_word, table},
        sessions::{json, time},
        wait,
    },
    proto::{
        CleanupSessionsRequest, CleanupSessionsResponse, DeleteSessionRequest,
        InterruptTurnRequest, KillSessionRequest, Session, SessionState,
    },
};

impl Commands<'_> {
    pub(super) async fn kill(&self, args: KillArgs) -> Result<(), Failure> {
        if args.delete {
            // Deleting kills first.
            return self.delete(&args.ids, args.yes).await;
        }
        let sessions = self.resolve(&args.ids).await?;
        let mut outcomes = Outcomes::new(self.cx);
        let mut asked = Vec::new();
        for Session { session_id, .. } in sessions {
            let request = KillSessionRequest { session_id, ..Default::default() };
            let answer = self.change(request).await.and_then(|answer| present(answer.session));
            asked.extend(outcomes.add(answer)?);
        }
        self.tell_rest(asked, args.no_wait, &mut outcomes).await?;
        outcomes.end()
    }

    pub(super) async fn interrupt(&self, id: &str, no_wait: bool) -> Result<(), Failure> {
        let session_id = self.session(id).await?.session_id;
        let request = InterruptTurnRequest { session_id, ..Default::default() };
        let session = present(self.change(request).await?.session)?;
        let mut outcomes = Outcomes::new(self.cx);
        self.tell_rest(vec![session], no_wait, &mut outcomes).await?;
        outcomes.end()
    }

    /// Waits for sessions whose turns were asked to stop, and says their states.
    async fn tell_rest(
        &self,
        sessions: Vec<Session>,
        no_wait: bool,
        outcomes: &mut Outcomes<'_>,
    ) -> Result<(), Failure> {
        let mut keyboard = Keyboard::new(self.cx, OnInterrupt::Return)?;
        for session in sessions {
            let session = if no_wait {
                Ok(session)
            } else {
                let rest = wait::at_rest(self.server, self.cx.output, &session.session_id);
                keyboard.unless_left(rest).await?
            };
            if let Some(session) = outcomes.add(session)? {
                self.tell(&session, state_word(session.state()))?;
            }
        }
        Ok(())
    }

    pub(super) async fn delete(&self, ids: &[String], yes: bool) -> Result<(), Failure> {
        let consent = Consent::new(yes)?;
        let sessions = self.resolve(ids).await?;
        consent.to_delete(self.cx, &sessions, false)?;
        let mut outcomes = Outcomes::new(self.cx);
        for Session { session_id, .. } in sessions {
            let request = DeleteSessionRequest { session_id, ..Default::default() };
            let answer = self.change(request).await.and_then(|answer| present(answer.session));
            if let Some(session) = outcomes.add(answer)? {
                self.tell(&session, "deleted")?;
            }
        }
        outcomes.end()
    }

    pub(super) async fn clean_up(&self, args: CleanupArgs) -> Result<(), Failure> {
        let states: Vec<SessionState> = args.state.into_iter().map(Into::into).collect();
        if let Some(state) = states.iter().find(|state| !crate::row::is_at_rest(**state)) {
            return Err(Failure::Usage(format!(
                "--state: {} is no state at rest; expected completed, failed, interrupted or killed",
                state_word(*state)
            )));
        }
        let consent = if args.dry_run { Consent::Given } else { Consent::new(args.yes)? };
        let request = CleanupSessionsRequest {
            older_than: Some(args.older_than.into()),
            dry_run: true,
            states: states.into_iter().map(Into::into).collect(),
            ..CleanupSessionsRequest::default()
        };
        loop {
            let answer = self.change(request.clone()).await?;
            let looked = Instant::now();
            if args.dry_run {
                return self.tell_stale(&answer).await;
            }
            let stale = self.still_there(&answer.session_ids).await?;
            if stale.is_empty() {
                return self.tell_cleaned(&answer);
            }
            consent.to_delete(self.cx, &stale, answer.more)?;
            // Whatever became old since it was shown is not deleted.
            let request = CleanupSessionsRequest {
                older_than: Some((args.older_than + looked.elapsed()).into()),
                dry_run: false,
                ..request.clone()
            };
            let answer = self.change(request).await?;
            self.tell_cleaned(&answer)?;
            if !answer.more {
                return Ok(());
            }
        }
    }

    fn tell_cleaned(&self, answer: &CleanupSessionsResponse) -> Result<(), Failure> {
        if self.cx.output.json {
            return json(self.cx, answer);
        }
        if answer.session_ids.is_empty() {
            self.cx.output.note("nothing to clean up");
        }
        let mut ids = answer.session_ids.iter();
        ids.try_for_each(|id| self.cx.output.line(&format!("{id}  deleted")))
    }

    async fn tell_stale(&self, answer: &CleanupSessionsResponse) -> Result<(), Failure> {
        if self.cx.output.json {
            return json(self.cx, answer);
        }
        let stale = self.still_there(&answer.session_ids).await?;
        if stale.is_empty() {
            self.cx.output.note("nothing to clean up");
            return Ok(());
        }
        let rows = stale.iter().map(|session| {
            [
                session.session_id.clone(),
                state_word(session.state()).to_owned(),
                time(session.update_time.as_ref()),
                about(session),
            ]
        });
        self.cx.output.print(&table(["ID", "STATE", "CHANGED", "ABOUT"], rows))?;
        if answer.more {
            self.cx.output.note("and more after these");
        }
        Ok(())
    }

    /// The sessions of these ids, without those that went meanwhile.
    async fn still_there(&self, ids: &[String]) -> Result<Vec<Session>, Failure> {
        let mut sessions = Vec::with_capacity(ids.len());
        for id in ids {
            match self.session(id).await {
                Ok(session) => sessions.push(session),
                Err(Failure::Refused(problem)) if problem.reason == "SESSION_DELETED" => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(sessions)
    }
}
