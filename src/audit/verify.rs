//! Follows a chain of entries and the values that they lead to, and says where
//! they do not hold.
//!
//! Pure: whoever has the entries feeds them, to a [`Chain`] in the order in which
//! they stand, then to [`Values`] scope by scope. So no more than the values of
//! one scope are held at a time, however many there are.

use prost::Message as _;

use super::{Hash, chain, forward, hex, state_of};
use crate::{
    controls::{Controls, State},
    id::SessionId,
    proto::{AuditBreak, AuditEntry, Scope, ScopedControls},
    time::{micros, system_time},
};

/// An entry as it stands in the chain.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where it stands.
    pub seq: u64,
    /// The scope that its row says it is about: a session's id, or nothing for the
    /// default.
    pub scope: Vec<u8>,
    /// The session that its row is found by, where there is one.
    pub session: Option<Vec<u8>>,
    /// The time that its row is found by, in microseconds since 1970.
    pub time: i64,
    /// Its hash.
    pub hash: Vec<u8>,
    /// What the hash covers, beside the hash before.
    pub body: Vec<u8>,
}

/// A piece of what is stored about a scope. Its entries come in order, then its
/// end.
#[derive(Debug, Clone)]
pub enum Piece {
    /// The next entry about the scope.
    Entry {
        /// Where it stands.
        seq: u64,
        /// The entry.
        body: Vec<u8>,
        /// The state kept beside it.
        snapshot: Option<Vec<u8>>,
    },
    /// There are no more about it.
    End(Standing),
}

/// What is there of a scope, at the moment of its last entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The scope, as in [`Link`].
    pub scope: Vec<u8>,
    /// Its row; none where nothing of it is there.
    pub row: Option<StandingRow>,
    /// Whether it was deleted, so that nothing of it has to be there.
    pub is_deleted: bool,
}

/// The row of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRow {
    /// The last entry about it.
    pub audit_seq: u64,
    /// Its controls; none where they cannot be read.
    pub controls: Option<Controls>,
    /// The text of its settings.
    pub settings: String,
}

/// A chain that is being followed.
#[derive(Debug, Default)]
pub struct Chain {
    last: u64,
    hash: Hash,
    known: Option<(u64, String)>,
}

impl Chain {
    /// Expects entry `seq` to have the hash `hash`; with seq 0 nothing is expected.
    #[must_use]
    pub fn expecting(seq: u64, hash: String) -> Self {
        Self { known: (seq > 0).then_some((seq, hash)), ..Self::default() }
    }

    /// The last entry that holds, and its hash.
    #[must_use]
    pub fn last(&self) -> (u64, String) {
        (self.last, if self.last == 0 { String::new() } else { hex(&self.hash) })
    }

    /// Follows the next entry.
    ///
    /// # Errors
    ///
    /// Where it does not hold.
    pub fn follow(&mut self, link: &Link) -> Result<(), AuditBreak> {
        let at = |problem: String| AuditBreak { seq: self.last + 1, problem };
        if link.seq != self.last + 1 {
            return Err(at(format!("the entry is missing; in its place stands {}", link.seq)));
        }
        let hash = chain(&self.hash, &link.body);
        if link.hash != hash {
            return Err(at("the entry or its hash was altered: its hash is another".to_owned()));
        }
        if let Some((seq, known)) = &self.known
            && *seq == link.seq
            && !known.eq_ignore_ascii_case(&hex(&hash))
        {
            return Err(at(format!("its hash is {}, not the one that is known", hex(&hash))));
        }
        let entry = AuditEntry::decode(link.body.as_slice())
            .map_err(|error| at(format!("the entry cannot be read: {error}")))?;
        if entry.seq != link.seq {
            return Err(at(format!("the entry calls itself {}", entry.seq)));
        }
        if scope_of(&entry).as_deref() != Some(link.scope.as_slice()) {
            return Err(at("the entry is filed under another scope".to_owned()));
        }
        let session = (!entry.session_id.is_empty()).then(|| bytes_of(&entry.session_id));
        if session.as_ref().map(Option::as_deref) != link.session.as_deref().map(Some) {
            return Err(at("the entry is filed under another session".to_owned()));
        }
        let time = entry.time.as_ref().and_then(system_time).map(micros);
        if time != Some(link.time) {
            return Err(at("the entry is filed under another time".to_owned()));
        }
        (self.last, self.hash) = (link.seq, hash);
        Ok(())
    }

    /// Says that there are no more entries.
    ///
    /// # Errors
    ///
    /// Where the one that is known is not among them.
    pub fn finish(&self) -> Result<(), AuditBreak> {
        match &self.known {
            Some((seq, _)) if *seq > self.last => Err(AuditBreak {
                seq: self.last + 1,
                problem: "the entry that is known is missing".to_owned(),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

/// The values that entries lead to, scope by scope.
#[derive(Debug)]
pub struct Values {
    /// The last entry of the chain when it was followed.
    last: u64,
    /// No entry after this one is believed.
    trusted: u64,
    /// What the entries of the scope come to so far.
    reached: Reached,
    /// The first entry that does not hold.
    first_break: Option<AuditBreak>,
    /// The last entry before those that lead elsewhere.
    hold: u64,
}

#[derive(Debug)]
enum Reached {
    /// There was no entry yet.
    Nothing,
    /// These values.
    State { seq: u64, state: State },
    /// What does not hold; the rest of the scope says nothing.
    Broken,
}

impl Values {
    /// Begins after a chain that was followed to its end, or to where it breaks.
    /// Where it does not, entries that are newer are part of what is there.
    #[must_use]
    pub fn new(chain: &Chain, broken: Option<AuditBreak>) -> Self {
        Self {
            last: chain.last,
            trusted: if broken.is_some() { chain.last } else { u64::MAX },
            reached: Reached::Nothing,
            first_break: broken,
            hold: chain.last,
        }
    }

    /// The last entry up to which all hold.
    #[must_use]
    pub fn hold(&self) -> u64 {
        self.hold
    }

    /// The first entry that does not hold, when everything was followed.
    #[must_use]
    pub fn into_first_break(self) -> Option<AuditBreak> {
        self.first_break
    }

    /// Follows the next piece.
    pub fn follow(&mut self, piece: &Piece) {
        match piece {
            Piece::Entry { seq, body, snapshot } => {
                self.reached = match std::mem::replace(&mut self.reached, Reached::Broken) {
                    Reached::Broken => Reached::Broken,
                    Reached::Nothing | Reached::State { .. } if *seq > self.trusted => {
                        Reached::Broken
                    }
                    Reached::Nothing => self.step(None, *seq, body, snapshot.as_deref()),
                    Reached::State { seq: _, state } => {
                        self.step(Some(state), *seq, body, snapshot.as_deref())
                    }
                };
            }
            Piece::End(standing) => {
                let reached = std::mem::replace(&mut self.reached, Reached::Nothing);
                if let Err(found) = compare(self.last, &reached, standing) {
                    self.found(found);
                }
            }
        }
    }

    fn step(
        &mut self,
        before: Option<State>,
        seq: u64,
        body: &[u8],
        snapshot: Option<&[u8]>,
    ) -> Reached {
        match state_after(before, body, snapshot) {
            Ok(state) => Reached::State { seq, state },
            Err(problem) => {
                self.hold = self.hold.min(seq.saturating_sub(1));
                self.found(AuditBreak { seq, problem });
                Reached::Broken
            }
        }
    }

    fn found(&mut self, found: AuditBreak) {
        if self.first_break.as_ref().is_none_or(|first| found.seq < first.seq) {
            self.first_break = Some(found);
        }
    }
}

/// The values after an entry.
fn state_after(
    before: Option<State>,
    body: &[u8],
    snapshot: Option<&[u8]>,
) -> Result<State, String> {
    let entry =
        AuditEntry::decode(body).map_err(|error| format!("the entry cannot be read: {error}"))?;
    let snapshot = match snapshot {
        None => None,
        Some(bytes) => {
            let snapshot = ScopedControls::decode(bytes).ok();
            let state = snapshot.as_ref().and_then(state_of);
            Some(state.ok_or("the state that is kept beside it cannot be read")?)
        }
    };
    let state = match (before, snapshot) {
        (None, None) => {
            return Err("no state is kept beside the first entry of its scope".to_owned());
        }
        (None, Some(state)) => state,
        (Some(mut state), snapshot) => {
            forward(&mut state, &entry);
            if snapshot.is_some_and(|snapshot| snapshot.hash() != state.hash()) {
                return Err("the state that is kept beside it is another".to_owned());
            }
            state
        }
    };
    if hex(&state.hash()) != entry.state_hash {
        return Err("the values that it leads to have another hash".to_owned());
    }
    Ok(state)
}

/// Compares what the entries of a scope come to with what is there of it.
fn compare(latest: u64, reached: &Reached, standing: &Standing) -> Result<(), AuditBreak> {
    let Standing { scope, row, is_deleted } = standing;
    if *is_deleted && row.is_none() {
        return Ok(());
    }
    let at = |seq: u64, problem: String| Err(AuditBreak { seq, problem });
    let audit_seq = row.as_ref().map_or(0, |row| row.audit_seq);
    let whose = whose(scope);
    match reached {
        Reached::Broken => Ok(()),
        Reached::State { seq, state } if *seq == audit_seq => {
            // The row has the text as it is made; a hash would say no more.
            if row.as_ref().is_some_and(|row| {
                row.controls.as_ref() == Some(&state.controls)
                    && row.settings == state.settings.as_text()
            }) {
                return Ok(());
            }
            at(*seq, format!("the controls and settings of {whose} are not those that it left"))
        }
        Reached::State { seq, state: _ } if *seq > audit_seq => {
            let problem = match audit_seq {
                0 => format!("the controls and settings of {whose} are not there any more"),
                _ => format!("the entry is not the one that {whose} was left by"),
            };
            at(*seq, problem)
        }
        Reached::State { .. } | Reached::Nothing if audit_seq > latest => {
            at(latest + 1, format!("the entry is missing; {audit_seq} is the last about {whose}"))
        }
        Reached::State { .. } | Reached::Nothing => {
            at(audit_seq, format!("the entry is not one about {whose}"))
        }
    }
}

/// The scope of an entry, as in [`Link`]; `None` where it names none.
fn scope_of(entry: &AuditEntry) -> Option<Vec<u8>> {
    match entry.scope() {
        Scope::Default => Some(Vec::new()),
        Scope::Session => bytes_of(&entry.session_id),
        Scope::Unspecified => None,
    }
}

fn bytes_of(session_id: &str) -> Option<Vec<u8>> {
    session_id.parse().ok().map(|id: SessionId| id.as_bytes().to_vec())
}

fn whose(scope: &[u8]) -> String {
    match <[u8; 16]>::try_from(scope) {
        Ok(bytes) => format!("session {}", SessionId::from_bytes(bytes)),
        Err(_) => "the default".to_owned(),
    }
}
