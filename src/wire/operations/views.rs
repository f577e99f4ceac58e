//! Turns, messages and trajectories on the wire: requests, page tokens, pages.

use super::{
    Caller,
    event::parse_page_bytes,
    fields::parse_id,
    token::{sealed, unsealed},
};
use crate::{
    Error, Result,
    app::{App, TurnPage},
    id::{Seq, SessionId, TurnNumber},
    proto,
    session::transcript::{Page, Place, Query},
};

const MAX_PAGE: u32 = 1_000;
const DEFAULT_PAGE: u32 = 100;
const MAX_CHARACTERS: u32 = 1_000_000;
const DEFAULT_CHARACTERS: u32 = 200;

/// What the page tokens of turns are sealed with, beside the session.
const TURNS: &str = "turns";
/// The same of messages.
const MESSAGES: &str = "messages";
/// The same of steps.
const STEPS: &str = "steps";

/// Lists the turns of a session, in order.
///
/// # Errors
///
/// As `ListTurns` of the contract lists.
pub(crate) async fn list_turns(
    app: &App,
    _caller: &Caller,
    request: proto::ListTurnsRequest,
) -> Result<proto::ListTurnsResponse> {
    let listing = TurnListing::parse(&request)?;
    let page = app.turns(listing.session, listing.after, listing.count).await?;
    Ok(listing.answer(page))
}

/// Reads what was said in a session.
///
/// # Errors
///
/// As `ListMessages` of the contract lists.
pub(crate) async fn list_messages(
    app: &App,
    caller: &Caller,
    request: proto::ListMessagesRequest,
) -> Result<proto::ListMessagesResponse> {
    let query = parse_messages(caller, &request)?;
    let page = app.messages(&query).await?;
    Ok(messages(&query, page))
}

/// Reads what happened in a session, step by step.
///
/// # Errors
///
/// As `GetTrajectory` of the contract lists.
pub(crate) async fn get_trajectory(
    app: &App,
    caller: &Caller,
    request: proto::GetTrajectoryRequest,
) -> Result<proto::GetTrajectoryResponse> {
    let query = parse_trajectory(caller, &request)?;
    let page = app.trajectory(&query).await?;
    Ok(trajectory(&query, page))
}

/// A request to list turns.
#[derive(Debug)]
struct TurnListing {
    pub session: SessionId,
    pub after: TurnNumber,
    pub count: u32,
}

impl TurnListing {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT.
    fn parse(request: &proto::ListTurnsRequest) -> Result<Self> {
        let proto::ListTurnsRequest { session_id, page_size, page_token } = request;
        let session = parse_id("session_id", session_id)?;
        let count = parse_page_size(*page_size, "turns")?;
        let after = match page_token.as_str() {
            "" => 0,
            token => unsealed(token, &purpose(TURNS, session, None))
                .map(u32::from_be_bytes)
                .ok_or_else(bad_token)?,
        };
        Ok(Self { session, after: TurnNumber(after), count })
    }

    /// Makes the answer.
    fn answer(&self, page: TurnPage) -> proto::ListTurnsResponse {
        let TurnPage { turns, next_after } = page;
        let purpose = purpose(TURNS, self.session, None);
        let token = next_after.map(|after| sealed(&after.0.to_be_bytes(), &purpose));
        proto::ListTurnsResponse { turns, next_page_token: token.unwrap_or_default() }
    }
}

/// Reads a request for messages.
///
/// # Errors
///
/// INVALID_ARGUMENT.
fn parse_messages(caller: &Caller, request: &proto::ListMessagesRequest) -> Result<Query> {
    let proto::ListMessagesRequest { session_id, turn, page_size, page_token, max_bytes } = request;
    let session = parse_id("session_id", session_id)?;
    let turn = (*turn != 0).then_some(TurnNumber(*turn));
    Ok(Query {
        session,
        turn,
        count: parse_page_size(*page_size, "messages")? as usize,
        bytes: parse_page_bytes(caller, *max_bytes)?,
        place: parse_place(page_token, &purpose(MESSAGES, session, turn))?,
        characters: None,
    })
}

/// Makes the answer to a request for messages.
fn messages(query: &Query, page: Page<proto::SessionMessage>) -> proto::ListMessagesResponse {
    proto::ListMessagesResponse {
        next_page_token: token(page.next, &purpose(MESSAGES, query.session, query.turn)),
        messages: page.entries,
        oldest_seq: page.oldest.0,
        latest_seq: page.latest.0,
    }
}

/// Reads a request for a trajectory.
///
/// # Errors
///
/// INVALID_ARGUMENT.
fn parse_trajectory(caller: &Caller, request: &proto::GetTrajectoryRequest) -> Result<Query> {
    let proto::GetTrajectoryRequest {
        session_id,
        turn,
        page_size,
        page_token,
        max_bytes,
        max_characters,
        full,
    } = request;
    let session = parse_id("session_id", session_id)?;
    let turn = (*turn != 0).then_some(TurnNumber(*turn));
    if *max_characters > MAX_CHARACTERS {
        let problem = format!("{max_characters} is above {MAX_CHARACTERS}; full gives texts whole");
        return Err(Error::invalid("max_characters", problem));
    }
    let characters = if *max_characters == 0 { DEFAULT_CHARACTERS } else { *max_characters };
    Ok(Query {
        session,
        turn,
        count: parse_page_size(*page_size, "steps")? as usize,
        bytes: parse_page_bytes(caller, *max_bytes)?,
        place: parse_place(page_token, &purpose(STEPS, session, turn))?,
        characters: (!full).then_some(characters as usize),
    })
}

/// Makes the answer to a request for a trajectory.
fn trajectory(query: &Query, page: Page<proto::Step>) -> proto::GetTrajectoryResponse {
    proto::GetTrajectoryResponse {
        next_page_token: token(page.next, &purpose(STEPS, query.session, query.turn)),
        steps: page.entries,
        oldest_seq: page.oldest.0,
        latest_seq: page.latest.0,
    }
}

fn parse_page_size(given: u32, what: &str) -> Result<u32> {
    match given {
        0 => Ok(DEFAULT_PAGE),
        given if given <= MAX_PAGE => Ok(given),
        given => {
            let problem = format!("{given} is above {MAX_PAGE}, the most {what} of a page");
            Err(Error::invalid("page_size", problem))
        }
    }
}

/// What the tokens of one listing have in common.
fn purpose(what: &str, session: SessionId, turn: Option<TurnNumber>) -> String {
    format!("{what}/{session}/{}", turn.map_or(0, |turn| turn.0))
}

fn parse_place(token: &str, purpose: &str) -> Result<Option<Place>> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = unsealed::<PLACE_BYTES>(token, purpose).ok_or_else(bad_token)?;
    let mut words = bytes
        .chunks_exact(4)
        .map(|word| word.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)));
    let mut word = || words.next().unwrap_or_default();
    let mut seq = || Seq(u64::from(word()) << 32 | u64::from(word()));
    let (after, first) = (seq(), seq());
    let (skip, turn, steps, plan, open) = (word(), word(), word(), word(), word());
    Ok(Some(Place { after, skip, turn, first, steps, plan, open }))
}

/// The bytes of a [`Place`] in a token.
const PLACE_BYTES: usize = 36;

fn token(place: Option<Place>, purpose: &str) -> String {
    let Some(Place { after, skip, turn, first, steps, plan, open }) = place else {
        return String::new();
    };
    let mut bytes = Vec::with_capacity(PLACE_BYTES);
    bytes.extend([after, first].iter().flat_map(|seq| seq.0.to_be_bytes()));
    bytes.extend([skip, turn, steps, plan, open].iter().flat_map(|word| word.to_be_bytes()));
    sealed(&bytes, purpose)
}

fn bad_token() -> Error {
    Error::invalid("page_token", "expected the next_page_token of a page of the same listing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_token() {
        let place = Place {
            after: Seq(u64::MAX - 1),
            skip: 1,
            turn: 2,
            first: Seq(1 << 40),
            steps: u32::MAX,
            plan: 4,
            open: 5,
        };
        let token = token(Some(place), "x");
        assert_eq!(parse_place(&token, "x").unwrap(), Some(place));
        assert_eq!(parse_place("", "x").unwrap(), None);
        assert!(parse_place(&token, "y").is_err());
    }
}
