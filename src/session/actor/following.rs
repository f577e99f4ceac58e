//! Following a running turn to its end: read what was printed, see that the
//! agent has gone, write down how.

use std::time::Duration;

use tokio::time::Instant;

use super::{Actor, RETRY, blocking};
use crate::{
    Error, Result,
    session::{registry::report, turn},
    supervise,
};

impl Actor {
    /// Reads on, and writes the end of the turn down when it has come.
    pub(super) async fn look(&mut self, supervisor_ended: bool) {
        let looked = self.try_look(supervisor_ended).await;
        let pause = match looked {
            Ok(pause) => {
                self.in_trouble = false;
                pause
            }
            Err(error) => {
                // Said once: the log may be on the disk that is full.
                if !self.in_trouble {
                    tracing::error!(session = %self.session.id, error = %report(&error), "cannot follow the session; trying again");
                }
                self.in_trouble = true;
                if let (Some(running), Error::StorageFull { .. }) = (&mut self.running, &error) {
                    running.disk_was_full = true;
                }
                self.due = true;
                RETRY
            }
        };
        self.not_before = Instant::now() + pause;
    }

    pub(super) async fn try_look(&mut self, supervisor_ended: bool) -> Result<Duration> {
        self.make_up().await?;
        let Some(running) = &mut self.running else { return Ok(Duration::ZERO) };
        if supervisor_ended {
            // It is told once; from here on the lock is probed.
            running.supervisor = None;
        }
        let (files, adopted) = (running.files.clone(), running.adopted);
        let was_ended = running.ended.is_some();
        let judge = running.supervisor.is_none();
        let (id, thread) = (self.session.id, self.session.thread_id.clone());
        let looked = self.with_ingest(move |ingest| {
            // The order matters: the exit file is looked for before the read, so
            // that what is then read to its end is complete.
            let (ended, pid_file) = if was_ended {
                (None, None)
            } else {
                match turn::look_for_exit(&files).map_err(Error::internal)? {
                    None if judge => {
                        turn::find_out(&files, id, thread.as_deref()).map_err(Error::internal)?
                    }
                    ended => (ended, None),
                }
            };
            let step = ingest.step(&files, adopted, was_ended || ended.is_some());
            Ok((ended, pid_file, step))
        });
        let (ended, pid_file, step) = looked.await?;
        let Some(running) = &mut self.running else { return Ok(Duration::ZERO) };
        if let Some(pid_file) = pid_file.filter(|_| running.supervisor.is_none()) {
            running.watch_supervisor(supervise::pidfd(&pid_file));
        }
        running.ended = running.ended.take().or(ended);
        let ended = running.ended.is_some();
        self.learn_pid().await;
        let step = step?;
        let at_end = step.at_end;
        let pause = self.show(step).await;
        if at_end && ended {
            self.conclude().await?;
            return Ok(Duration::ZERO);
        }
        if at_end {
            return Ok(pause);
        }
        // There is more: no hint will come for it, and a pause would make the
        // next step no larger.
        self.due = true;
        Ok(Duration::ZERO)
    }

    /// The agent's process id is known a moment after the turn began.
    pub(super) async fn learn_pid(&mut self) {
        let (Some(running), Some(turn)) = (&self.running, &mut self.session.last_turn) else {
            return;
        };
        if turn.pid.is_some() {
            return;
        }
        let files = running.files.clone();
        let pid = blocking(move || supervise::read_pid(&files)).await;
        let Ok(Ok(Some(supervise::PidFile { agent_pid: Some(pid), .. }))) = pid else { return };
        turn.pid = Some(pid);
        self.store_row(self.feed.now().latest).await;
    }

    /// The turn's output was read to its end, and how it ended is known.
    pub(super) async fn conclude(&mut self) -> Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        let (Some(ended), Some(turn)) = (running.ended.clone(), self.session.last_turn.clone())
        else {
            return Ok(());
        };
        let (files, disk_was_full) = (running.files.clone(), running.disk_was_full);
        let statements =
            blocking(move || turn::last_statements(&files, &turn, &ended, disk_was_full)).await?;
        self.try_say(statements).await?;
        if let Some(launched) = self.running.take().and_then(|running| running.launched) {
            // Reaps the supervisor, now or in a thread of its own.
            drop(launched);
        }
        self.writer_mut()?.unfollow();
        let state = self.session.state();
        tracing::info!(session = %self.session.id, turn = self.session.turn_count(), state = state.as_str_name(), "turn ended");
        Ok(())
    }
}
