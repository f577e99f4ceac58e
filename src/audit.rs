//! The record of who changed which controls and settings: its entries, their
//! chain, and how states are rebuilt from them.
//!
//! A leaf: pure, and without a clock. An entry holds what changed; now and then
//! the store keeps a whole state beside one, so that any state can be rebuilt
//! from the nearest.

mod verify;

use std::time::SystemTime;

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::{
    controls::{Controls, Scope, State},
    id::SessionId,
    proto::{self, AuditEntry, AuditOperation, SettingChange, event::Kind},
    settings::{Settings, Value},
};

pub use verify::{Chain, Link, Piece, Standing, StandingRow, Values};

/// The most bytes of values that an event about an entry holds.
const MAX_EVENT_VALUES: usize = 64 << 10;
/// The most bytes of keys beside them.
const MAX_EVENT_KEYS: usize = 64 << 10;

/// A hash of the chain.
pub type Hash = [u8; 32];

/// Who wrote, what with, and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who.
    pub actor: String,
    /// What with.
    pub source: String,
    /// The transport.
    pub transport: String,
}

/// A write that changed something.
#[derive(Debug)]
pub struct Write<'a> {
    /// When.
    pub time: SystemTime,
    /// By whom.
    pub origin: &'a Origin,
    /// What was written.
    pub scope: Scope,
    /// The session that the call named.
    pub session: Option<SessionId>,
    /// Which call it was.
    pub operation: AuditOperation,
    /// The values before.
    pub previous: &'a State,
    /// The values now.
    pub next: &'a State,
    /// What is shown where nobody chose.
    pub shown: &'a Controls,
}

/// Makes entry `seq` of a write; its hashes of the chain are empty.
#[must_use]
pub fn entry(seq: u64, write: &Write<'_>) -> AuditEntry {
    let Write { time, origin, scope, session, operation, previous, next, shown } = write;
    let Origin { actor, source, transport } = origin;
    let changed = previous.controls != next.controls;
    AuditEntry {
        seq,
        time: Some(crate::time::timestamp(*time)),
        actor: actor.clone(),
        source: source.clone(),
        transport: transport.clone(),
        scope: proto::Scope::from(*scope).into(),
        session_id: session.map(|id| id.to_string()).unwrap_or_default(),
        operation: (*operation).into(),
        previous_controls: changed.then(|| (&previous.controls).into()),
        controls: changed.then(|| (&next.controls).into()),
        settings: changes(&previous.settings, &next.settings),
        previous_summary: previous.summary(shown),
        summary: next.summary(shown),
        state_hash: hex(&next.hash()),
        previous_hash: String::new(),
        hash: String::new(),
    }
}

/// Which keys differ, in order.
fn changes(previous: &Settings, next: &Settings) -> Vec<SettingChange> {
    let text = |value: &Value| value.as_text().to_owned();
    let gone = |(key, value): (&str, &Value)| SettingChange {
        key: key.to_owned(),
        previous_json: Some(text(value)),
        value_json: None,
    };
    // Both are in order, so that one walk over both finds all.
    let mut before = previous.iter().peekable();
    let mut changes = Vec::new();
    for (key, value) in next.iter() {
        changes.extend(std::iter::from_fn(|| before.next_if(|(old, _)| *old < key)).map(gone));
        let found = before.next_if(|(old, _)| *old == key).map(|(_, value)| value);
        if found != Some(value) {
            changes.push(SettingChange {
                key: key.to_owned(),
                previous_json: found.map(text),
                value_json: Some(text(value)),
            });
        }
    }
    changes.extend(before.map(gone));
    changes
}

/// The bytes of an entry that its hash covers, beside the hash before.
#[must_use]
pub fn body(entry: &AuditEntry) -> Vec<u8> {
    let bare = AuditEntry { previous_hash: String::new(), hash: String::new(), ..entry.clone() };
    bare.encode_to_vec()
}

/// The hash of an entry with this [`body`], after one with the hash `previous`.
#[must_use]
pub fn chain(previous: &Hash, body: &[u8]) -> Hash {
    Sha256::new().chain_update(previous).chain_update(body).finalize().into()
}

/// A hash in hexadecimal.
#[must_use]
pub fn hex(hash: &Hash) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The values after an entry, from those before it.
pub fn forward(state: &mut State, entry: &AuditEntry) {
    step(state, entry.controls.as_ref(), &entry.settings, |change| change.value_json.as_deref());
}

/// The values before an entry, from those after it.
pub fn backward(state: &mut State, entry: &AuditEntry) {
    let controls = entry.previous_controls.as_ref();
    step(state, controls, &entry.settings, |change| change.previous_json.as_deref());
}

fn step(
    state: &mut State,
    controls: Option<&proto::Controls>,
    changes: &[SettingChange],
    value_of: impl Fn(&SettingChange) -> Option<&str>,
) {
    if let Some(controls) = controls {
        state.controls = controls.into();
    }
    for change in changes {
        // What is no JSON is left as it was: its hash says so.
        match value_of(change).map(|text| Value::parse("value", text)) {
            Some(Ok(value)) => state.settings.set(change.key.clone(), value),
            Some(Err(_)) => {}
            None => drop(state.settings.remove(&change.key)),
        }
    }
}

/// A state as it is kept beside an entry.
#[must_use]
pub fn snapshot(state: &State) -> proto::ScopedControls {
    proto::ScopedControls {
        controls: Some((&state.controls).into()),
        settings_json: state.settings.as_text().to_owned(),
        etag: String::new(),
    }
}

/// The state of a [`snapshot`]; `None` where it is none.
#[must_use]
pub fn state_of(snapshot: &proto::ScopedControls) -> Option<State> {
    Some(State {
        controls: snapshot.controls.as_ref()?.into(),
        settings: Settings::parse("snapshot", &snapshot.settings_json).ok()?,
        revision: 0,
    })
}

/// What a session's events say of an entry.
#[must_use]
pub fn event(entry: &AuditEntry) -> Kind {
    let mut entry = Box::new(entry.clone());
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let of = |change: &SettingChange| length(&change.previous_json) + length(&change.value_json);
    let truncated = entry.settings.iter().map(of).sum::<usize>() > MAX_EVENT_VALUES;
    if truncated {
        for change in &mut entry.settings {
            (change.previous_json, change.value_json) = (None, None);
        }
    }
    let mut keys = 0;
    let count = entry.settings.len();
    entry.settings.retain(|change| {
        keys += change.key.len() + 8;
        keys <= MAX_EVENT_KEYS
    });
    let truncated = truncated || entry.settings.len() < count;
    if entry.controls.is_some() {
        Kind::ControlsChanged(proto::ControlsChanged { entry: Some(entry), truncated })
    } else {
        Kind::SettingsChanged(proto::SettingsChanged { entry: Some(entry), truncated })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::{FilesystemSandbox, NetworkAccess};

    fn origin() -> Origin {
        let word = |text: &str| text.to_owned();
        Origin { actor: word("ann"), source: word("script"), transport: word("grpc") }
    }

    fn entry_of(previous: &State, next: &State) -> AuditEntry {
        let write = Write {
            time: SystemTime::UNIX_EPOCH,
            origin: &origin(),
            scope: Scope::Default,
            session: None,
            operation: AuditOperation::UpdateSettings,
            previous,
            next,
            shown: &Controls::contract_defaults(),
        };
        entry(7, &write)
    }

    fn state() -> impl Strategy<Value = State> {
        let value = prop_oneof![Just("1"), Just("1.0"), Just("null"), Just("[1,{\"a\":2}]")];
        let settings = prop::collection::btree_map("[a-d ]{0,2}", value, 0..5);
        (settings, prop::option::of("[mn]"), 0..4_i32, 0..3_i32).prop_map(
            |(settings, model, sandbox, network)| {
                let mut state = State::default();
                for (key, value) in settings {
                    state.settings.set(key, Value::parse("x", value).unwrap());
                }
                state.controls = Controls {
                    model,
                    sandbox: FilesystemSandbox::try_from(sandbox).unwrap(),
                    network: NetworkAccess::try_from(network).unwrap(),
                    ..Controls::default()
                };
                state
            },
        )
    }

    proptest! {
        #[test]
        fn an_entry_leads_from_the_state_before_to_the_one_after_and_back(
            previous in state(),
            next in state(),
        ) {
            let entry = entry_of(&previous, &next);
            let mut found = previous.clone();
            forward(&mut found, &entry);
            prop_assert_eq!(&found, &next);
            backward(&mut found, &entry);
            prop_assert_eq!(&found, &previous);
            prop_assert_eq!(state_of(&snapshot(&next)), Some(next));
        }
    }

    #[test]
    fn a_hash_covers_the_entry_and_the_hash_before() {
        let mut next = State::default();
        next.settings.set("a".to_owned(), Value::parse("x", "1").unwrap());
        let entry = entry_of(&State::default(), &next);
        let hash = chain(&[0; 32], &body(&entry));
        let named = AuditEntry { hash: hex(&hash), previous_hash: hex(&[1; 32]), ..entry.clone() };
        assert_eq!(chain(&[0; 32], &body(&named)), hash, "the hashes are beside the body");
        assert_ne!(chain(&[1; 32], &body(&entry)), hash);
        let other = AuditEntry { actor: "eve".to_owned(), ..entry };
        assert_ne!(chain(&[0; 32], &body(&other)), hash);
    }

    #[test]
    fn an_event_leaves_out_what_is_large() {
        let mut next = State::default();
        let long = format!("\"{}\"", "x".repeat(MAX_EVENT_VALUES));
        next.settings.set("a".to_owned(), Value::parse("x", &long).unwrap());
        let Kind::SettingsChanged(event) = event(&entry_of(&State::default(), &next)) else {
            panic!("settings were changed");
        };
        assert!(event.truncated);
        let change = &event.entry.unwrap().settings[0];
        assert_eq!((change.key.as_str(), &change.value_json), ("a", &None));
    }
}
