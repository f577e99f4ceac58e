//! What was changed of one session's controls and settings, with all values
//! before and after: what a transcript tells of it.

use super::controls::scoped;
use crate::{
    Result,
    app::{App, At, Entries, EntriesFrom, Wanted},
    audit::{backward, hex},
    controls::{Scope, State},
    id::SessionId,
    proto::{self, AuditEntry, ScopedControls},
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
    let (mut past, policy) = (Past::default(), app.policy());
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
                Some(_) => {
                    let next = match past.after(&entry) {
                        Some(next) => next,
                        None => {
                            app.audit_state(scope_of(&entry, id), At::Seq(entry.seq)).await?.state
                        }
                    };
                    let shown = scoped(&next, policy);
                    let previous = scoped(past.go_back(next, &entry), policy);
                    Some(States { previous, next: shown })
                }
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

/// The entry `seq`, where it is of a call that named the session, with its values.
///
/// # Errors
///
/// INTERNAL when the database cannot be read.
pub(crate) async fn change(app: &App, id: SessionId, seq: u64) -> Result<Option<Change>> {
    let wanted = Wanted { session: Some(id), ..Wanted::default() };
    let from = EntriesFrom::Before(seq.saturating_add(1));
    let Entries { mut entries, next: _, latest: _ } = app.audit_entries(wanted, from, 1).await?;
    let Some(entry) = entries.pop().filter(|entry| entry.seq == seq) else { return Ok(None) };
    let mut state = app.audit_state(scope_of(&entry, id), At::Seq(seq)).await?.state;
    let next = scoped(&state, app.policy());
    backward(&mut state, &entry);
    let previous = scoped(&state, app.policy());
    Ok(Some(Change { entry, states: Some(States { previous, next }) }))
}

fn scope_of(entry: &AuditEntry, id: SessionId) -> Scope {
    match entry.scope() {
        proto::Scope::Default => Scope::Default,
        proto::Scope::Session | proto::Scope::Unspecified => Scope::Session(id),
    }
}

/// The states of both scopes, as far back as entries were looked at.
#[derive(Debug, Default)]
struct Past {
    session: Option<State>,
    defaults: Option<State>,
}

impl Past {
    fn of(&mut self, entry: &AuditEntry) -> &mut Option<State> {
        match entry.scope() {
            proto::Scope::Default => &mut self.defaults,
            proto::Scope::Session | proto::Scope::Unspecified => &mut self.session,
        }
    }

    /// The state after an entry, where what came later led back to it. Calls that
    /// named other sessions may have changed the default in between.
    fn after(&mut self, entry: &AuditEntry) -> Option<State> {
        self.of(entry).take().filter(|state| hex(&state.hash()) == entry.state_hash)
    }

    /// Goes back from the state after an entry to that before it.
    fn go_back(&mut self, mut state: State, entry: &AuditEntry) -> &State {
        backward(&mut state, entry);
        self.of(entry).insert(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{self, Origin, Write},
        controls::{Controls, Edit},
        settings::Value,
    };

    /// A scope that is written, and its states after each entry.
    struct Written {
        scope: Scope,
        state: State,
    }

    impl Written {
        /// Sets a key; returns the entry with the states before and after it.
        fn set(&mut self, seq: u64, value: &str) -> (AuditEntry, State, State) {
            let word = |text: &str| text.to_owned();
            let previous = self.state.clone();
            let edit = Edit::Set(word("key"), Value::parse("value", value).unwrap());
            self.state = edit.apply(&previous);
            let write = Write {
                time: crate::time::now(),
                origin: &Origin { actor: word("a"), source: word("s"), transport: word("api") },
                scope: self.scope,
                session: None,
                operation: edit.operation(),
                previous: &previous,
                next: &self.state,
                shown: &Controls::contract_defaults(),
            };
            (audit::entry(seq, &write), previous, self.state.clone())
        }
    }

    #[test]
    fn entries_lead_back_from_one_to_the_one_before_unless_others_wrote_between() {
        let session = Scope::Session(SessionId::random());
        let mut session = Written { scope: session, state: State::default() };
        let mut defaults = Written { scope: Scope::Default, state: State::default() };
        let entries = [
            session.set(1, "1"),
            defaults.set(2, "1"),
            // That of another session, which is not looked at.
            defaults.set(3, "2"),
            session.set(4, "2"),
            defaults.set(5, "3"),
            defaults.set(6, "4"),
        ];
        let (mut past, mut rebuilt) = (Past::default(), Vec::new());
        for (entry, previous, next) in entries.iter().rev().filter(|(entry, ..)| entry.seq != 3) {
            let found = past.after(entry).unwrap_or_else(|| {
                rebuilt.push(entry.seq);
                next.clone()
            });
            assert_eq!(&found, next, "{}", entry.seq);
            assert_eq!(past.go_back(found, entry), previous, "{}", entry.seq);
        }
        assert_eq!(rebuilt, [6, 4, 2], "the last of each scope, and what another led away from");
    }
}
