//! Follows a chain of entries and says where it does not hold.
//!
//! Pure: whoever has the entries feeds them in the order in which they stand.

use std::collections::HashMap;

use prost::Message as _;

use super::{Hash, chain, forward, hex, state_of};
use crate::{
    controls::State,
    id::SessionId,
    proto::{AuditBreak, AuditEntry, Scope, ScopedControls},
    time::{micros, system_time},
};

/// An entry as it is stored.
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
    /// The state kept beside it.
    pub snapshot: Option<Vec<u8>>,
}

/// What is there of a scope that entries speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The scope, as in [`Link`].
    pub scope: Vec<u8>,
    /// The last entry about it; 0 where nothing of it is there.
    pub audit_seq: u64,
    /// The hash of its values; none where they cannot be read.
    pub hash: Option<Hash>,
}

/// A chain that is being followed.
#[derive(Debug, Default)]
pub struct Verifier {
    last: u64,
    hash: Hash,
    scopes: HashMap<Vec<u8>, Last>,
    known: Option<(u64, String)>,
}

/// What the entries of a scope come to.
#[derive(Debug)]
struct Last {
    seq: u64,
    state: State,
}

impl Verifier {
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
        let state = self.state_after(&entry, link).map_err(at)?;
        if hex(&state.hash()) != entry.state_hash {
            return Err(at("the values that it leads to have another hash".to_owned()));
        }
        self.scopes.insert(link.scope.clone(), Last { seq: link.seq, state });
        (self.last, self.hash) = (link.seq, hash);
        Ok(())
    }

    fn state_after(&self, entry: &AuditEntry, link: &Link) -> Result<State, String> {
        let snapshot = match &link.snapshot {
            None => None,
            Some(bytes) => {
                let snapshot = ScopedControls::decode(bytes.as_slice()).ok();
                let state = snapshot.as_ref().and_then(state_of);
                Some(state.ok_or("the state that is kept beside it cannot be read")?)
            }
        };
        match (self.scopes.get(&link.scope), snapshot) {
            (None, None) => Err("no state is kept beside the first entry of its scope".to_owned()),
            (None, Some(state)) => Ok(state),
            (Some(last), snapshot) => {
                let mut state = last.state.clone();
                forward(&mut state, entry);
                if snapshot.is_some_and(|snapshot| snapshot.hash() != state.hash()) {
                    return Err("the state that is kept beside it is another".to_owned());
                }
                Ok(state)
            }
        }
    }

    /// Compares the end of the chain with what is there.
    ///
    /// # Errors
    ///
    /// Where they differ.
    pub fn finish(&self, standing: &[Standing]) -> Result<(), AuditBreak> {
        if let Some((seq, _)) = &self.known
            && *seq > self.last
        {
            let problem = "the entry that is known is missing".to_owned();
            return Err(AuditBreak { seq: self.last + 1, problem });
        }
        let breaks = standing.iter().filter_map(|standing| self.compare(standing).err());
        breaks.min_by_key(|found| found.seq).map_or(Ok(()), Err)
    }

    fn compare(&self, standing: &Standing) -> Result<(), AuditBreak> {
        let Standing { scope, audit_seq, hash } = standing;
        let at = |seq: u64, problem: String| Err(AuditBreak { seq, problem });
        let whose = whose(scope);
        if *audit_seq > self.last {
            let problem = format!("the entry is missing; {audit_seq} is the last about {whose}");
            return at(self.last + 1, problem);
        }
        match self.scopes.get(scope) {
            Some(last) if last.seq == *audit_seq => {
                if *hash == Some(last.state.hash()) {
                    return Ok(());
                }
                let problem =
                    format!("the controls and settings of {whose} are not those that it left");
                at(last.seq, problem)
            }
            Some(last) if last.seq > *audit_seq => {
                let problem = match audit_seq {
                    0 => format!("the controls and settings of {whose} are not there any more"),
                    _ => format!("the entry is not the one that {whose} was left by"),
                };
                at(last.seq, problem)
            }
            Some(_) | None => at(*audit_seq, format!("the entry is not one about {whose}")),
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
