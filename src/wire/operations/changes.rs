//! What was changed of one session's controls and settings, with all values
//! before and after: what a transcript tells of it.

use super::controls::scoped;
use crate::{
    Result,
    app::App,
    audit::{backward, hex},
    controls::{Scope, State},
    id::SessionId,
    proto::{self, AuditEntry, ScopedControls},
    store::sqlite::{At, Entries, EntriesFrom, Wanted},
};

/// How many entries are read at once.
const PAGE: u32 = 1_000;

/// An entry of the audit.
#[derive(Debug)]
pub(crate) struct Change {
    /// The entry.
    pub entry: AuditEntry,
    /// All values; none where they would be too many.
    pub states: Option<States>,
}

/// All values of a scope before and after an entry.
#[derive(Debug)]
pub(crate) struct States {
    /// Before it.
    pub previous: ScopedControls,
    /// After it.
    pub next: ScopedControls,
}

/// The newest entries of calls that named a session and `is_wanted`, at most
/// `most`, the oldest first. The newest have their values, `bytes` of them.
///
/// # Errors
///
/// INTERNAL when the database cannot be read.
pub(crate) async fn changes(
    app: &App,
    id: SessionId,
    is_wanted: impl Fn(&AuditEntry) -> bool,
    most: usize,
    bytes: usize,
) -> Result<Vec<Change>> {
    let wanted = Wanted { session: Some(id), ..Wanted::default() };
    let mut past = Past { app, id, session: None, defaults: None };
    let (mut from, mut room, mut changes) = (Some(u64::MAX), Some(bytes), Vec::new());
    while let Some(before) = from
        && changes.len() < most
    {
        let read = app.audit_entries(wanted.clone(), EntriesFrom::Before(before), PAGE);
        let Entries { entries, next, latest: _ } = read.await?;
        from = next;
        for entry in entries {
            // Those that are not wanted lead from one state to the one before too.
            let states = match room {
                Some(_) => Some(past.step(&entry).await?),
                None => None,
            };
            if !is_wanted(&entry) {
                continue;
            }
            let states = states.filter(|States { previous, next }| {
                let size = previous.settings_json.len() + next.settings_json.len();
                room = room.and_then(|room| room.checked_sub(size));
                room.is_some()
            });
            changes.push(Change { entry, states });
            if changes.len() == most {
                break;
            }
        }
    }
    changes.reverse();
    Ok(changes)
}

/// The states that entries lead back to, one for each scope.
#[derive(Debug)]
struct Past<'a> {
    app: &'a App,
    id: SessionId,
    session: Option<State>,
    defaults: Option<State>,
}

impl Past<'_> {
    /// Goes back over an entry, which is older than those before it.
    async fn step(&mut self, entry: &AuditEntry) -> Result<States> {
        let (scope, known) = match entry.scope() {
            proto::Scope::Default => (Scope::Default, &mut self.defaults),
            proto::Scope::Session | proto::Scope::Unspecified => {
                (Scope::Session(self.id), &mut self.session)
            }
        };
        // Calls that named other sessions may have changed the default in between.
        let known_state = known.take().filter(|state| hex(&state.hash()) == entry.state_hash);
        let mut state = match known_state {
            Some(state) => state,
            None => self.app.audit_state(scope, At::Seq(entry.seq)).await?.state,
        };
        let policy = self.app.policy();
        let next = scoped(&state, policy);
        backward(&mut state, entry);
        let previous = scoped(&state, policy);
        *known = Some(state);
        Ok(States { previous, next })
    }
}
