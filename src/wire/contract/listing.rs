//! The list of sessions: those that changed last first, page by page.

use super::{
    answer::{Answer, Object},
    call::Call,
    check::{Length, Presence},
    error::Failure,
    thread,
};
use crate::{
    Error,
    app::{Archived, Filter, RecentPage, RecentPosition},
    wire::operations::token::{sealed, unsealed},
};

const MAX_PAGE: u32 = 200;
const DEFAULT_PAGE: u32 = 100;
/// Bytes of a page at which it ends.
const PAGE_BYTES: usize = 8 << 20;
/// What the cursors of the list are sealed with.
const LIST: &str = "api/sessions";

/// A page.
pub(super) async fn list(call: Call) -> Result<Answer, Failure> {
    let mut query = call.parameters();
    let archived = query.word("archived", Presence::Optional, &["true", "false"]) == Some("true");
    let cursor = query.string("cursor", Presence::Optional, Length::from(1));
    let limit = query.count("limit", MAX_PAGE);
    let systems = query.word("includeSystemOwned", Presence::Optional, &["true", "false"]);
    query.finish()?;
    let filter = Filter {
        archived: if archived { Archived::Only } else { Archived::No },
        include_system_owned: systems == Some("true"),
        ..Filter::default()
    };
    let purpose = format!("{LIST}/{filter:?}");
    let after = match cursor {
        None => None,
        Some(cursor) => {
            let place = unsealed::<16>(cursor, &purpose);
            Some(place.map(position).ok_or_else(|| {
                Failure::invalid(
                    "cursor: expected the nextCursor of a list with the same parameters",
                )
            })?)
        }
    };
    let count = limit.unwrap_or(DEFAULT_PAGE);
    let RecentPage { sessions, mut next } = call.app.recent_sessions(filter, after, count).await?;
    let mut data = Vec::with_capacity(sessions.len());
    let mut bytes = 0;
    for (position, session) in sessions {
        let text = match thread::session(&call.app, &session).await {
            Ok(text) => text,
            // It went in this moment.
            Err(Error::SessionDeleted { .. } | Error::SessionNotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        bytes += text.len();
        data.push(text);
        if bytes > PAGE_BYTES {
            next = Some(position);
            break;
        }
    }
    let next = next.map(|next| sealed(&bytes_of(next), &purpose));
    let body = Object::new()
        .with_text("data", &format!("[{}]", data.join(",")))
        .with("nextCursor", next)
        .with("archived", archived);
    Ok(Answer::ok(body))
}

fn bytes_of(RecentPosition { update_time, number }: RecentPosition) -> [u8; 16] {
    ((u128::from(update_time.cast_unsigned()) << 64) | u128::from(number.cast_unsigned()))
        .to_be_bytes()
}

fn position(bytes: [u8; 16]) -> RecentPosition {
    let [high, low] = [0, 8]
        .map(|at| bytes[at..at + 8].iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte)));
    RecentPosition { update_time: high.cast_signed(), number: low.cast_signed() }
}
