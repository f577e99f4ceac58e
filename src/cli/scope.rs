//! Whose settings and controls a command is about, and writes that hold only for
//! what was read.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Context, Failure,
    args::{ScopeWord, WriterArgs},
    connect::Server,
    retry,
};
use crate::{id::SessionId, proto::Scope};

/// How often a write is tried that others come before.
const ATTEMPTS: u32 = 30;

/// The longest pause between two tries doubles from a millisecond up to 2 to the
/// power of this.
const LONGEST_PAUSE_POWER: u32 = 6;

/// One scope, as requests name it.
#[derive(Debug, Clone)]
pub(super) struct Scoped {
    /// Which.
    pub scope: Scope,
    /// The whole id of the session; empty where none is named.
    pub session_id: String,
}

impl Scoped {
    /// The scope of a command.
    ///
    /// # Errors
    /// The server's answer when there is no such session, or several.
    pub(super) async fn resolve(
        cx: &Context,
        server: &Server,
        scope: ScopeWord,
        session: Option<&str>,
    ) -> Result<Self, Failure> {
        let session_id = match session {
            Some(id) => session_id(cx, server, id).await?,
            None => String::new(),
        };
        Ok(Self { scope: scope.into(), session_id })
    }

    /// Whose it is, for people: the session's id, or "default".
    pub(super) fn whose(&self) -> &str {
        match self.scope {
            Scope::Default => "default",
            Scope::Session | Scope::Unspecified => &self.session_id,
        }
    }
}

/// The whole id of a session. One that is whole is not looked up, so that it may
/// be that of a session which was deleted.
///
/// # Errors
/// The server's answer when the prefix is that of no session, or of several.
pub(super) async fn session_id(cx: &Context, server: &Server, id: &str) -> Result<String, Failure> {
    if id.parse::<SessionId>().is_ok() {
        return Ok(id.to_owned());
    }
    Ok(retry::session(server, cx.output, id).await?.session_id)
}

/// The positionals of a command, the session first: with the default scope there
/// is none, so that each means what the next one does.
///
/// # Errors
/// [`Failure::Usage`] where the session is missing, or there is one too many.
pub(super) fn positionals<const N: usize>(
    scope: ScopeWord,
    session: Option<String>,
    mut others: [Option<String>; N],
) -> Result<(Option<String>, [Option<String>; N]), Failure> {
    match (scope, session) {
        (ScopeWord::Session, Some(session)) => Ok((Some(session), others)),
        (ScopeWord::Session, None) => Err(Failure::Usage(
            "no session: give the SESSION, or --scope default for what new sessions begin with"
                .into(),
        )),
        (ScopeWord::Default, mut moved) => {
            for place in &mut others {
                std::mem::swap(place, &mut moved);
            }
            if moved.is_some() {
                return Err(Failure::Usage("with --scope default no SESSION is given".into()));
            }
            Ok((None, others))
        }
    }
}

/// The session that a write names.
///
/// # Errors
/// [`Failure::Usage`] where two are named.
pub(super) fn named<'a>(
    session: Option<&'a str>,
    writer: &'a WriterArgs,
) -> Result<Option<&'a str>, Failure> {
    match (session, writer.tell.as_deref()) {
        (Some(_), Some(_)) => Err(Failure::Usage(
            "--tell is for --scope default; a session is told of its own changes".into(),
        )),
        (session, tell) => Ok(session.or(tell)),
    }
}

/// The tries of a write that holds only for what was read before it.
#[derive(Debug)]
pub(super) struct Attempts {
    made: u32,
    /// The etag that the user gave, which no other try could have.
    given: Option<String>,
}

impl Attempts {
    /// No try so far.
    pub(super) fn new(writer: &WriterArgs) -> Self {
        Self { made: 0, given: writer.etag.clone() }
    }

    /// The etag to write with, after something with the etag `read` was read.
    pub(super) fn etag(&self, read: String) -> String {
        self.given.clone().unwrap_or(read)
    }

    /// What came of a try; none where somebody else had written meanwhile, and it
    /// is to be made again from what there is now.
    ///
    /// # Errors
    /// Whatever another try would not change.
    pub(super) async fn made<T>(
        &mut self,
        outcome: Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        self.made += 1;
        match outcome {
            Err(Failure::Refused(problem))
                if problem.reason == "ETAG_MISMATCH"
                    && self.given.is_none()
                    && self.made < ATTEMPTS =>
            {
                tokio::time::sleep(pause(self.made)).await;
                Ok(None)
            }
            outcome => outcome.map(Some),
        }
    }
}

/// Of random length, so that those who collided do not do so again.
fn pause(made: u32) -> Duration {
    let longest = Duration::from_millis(1 << made.min(LONGEST_PAUSE_POWER));
    let [random, ..] = *Uuid::new_v4().as_bytes();
    longest * u32::from(random) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(scope: ScopeWord, words: [Option<&str>; 3]) -> Result<[Option<String>; 3], Failure> {
        let [session, first, second] = words.map(|word| word.map(str::to_owned));
        let (session, [first, second]) = positionals(scope, session, [first, second])?;
        Ok([session, first, second])
    }

    #[test]
    fn with_the_default_scope_no_session_is_given() {
        let owned = |words: [Option<&str>; 3]| words.map(|word| word.map(str::to_owned));
        let all = [Some("a"), Some("b"), Some("c")];
        assert_eq!(moved(ScopeWord::Session, all).unwrap(), owned(all));
        assert_eq!(
            moved(ScopeWord::Default, [Some("a"), Some("b"), None]).unwrap(),
            owned([None, Some("a"), Some("b")])
        );
        assert_eq!(moved(ScopeWord::Default, [None; 3]).unwrap(), owned([None; 3]));
        assert!(matches!(moved(ScopeWord::Default, all), Err(Failure::Usage(_))));
        assert!(matches!(moved(ScopeWord::Session, [None; 3]), Err(Failure::Usage(_))));
        let alone = positionals(ScopeWord::Default, Some("a".to_owned()), []);
        assert!(matches!(alone, Err(Failure::Usage(_))));
        assert!(matches!(positionals(ScopeWord::Default, None, []), Ok((None, []))));
    }
}
