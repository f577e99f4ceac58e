//! `AuditService`: who changed which controls and settings.

use futures_util::{Stream, stream};

use super::{
    Caller,
    controls::scoped,
    fields::{parse_enum, parse_heartbeat, parse_id, parse_time},
    settings::{Unsaid, parse_scope},
    token::{sealed, unsealed},
};
use crate::{
    Error, Result,
    app::{App, At, Entries, EntriesFrom, Verified, Wanted},
    controls::chosen,
    proto::{self, watch_audit_entries_response::Message},
    session::auditing::{News, Request},
    time::micros,
};

const MAX_PAGE: u32 = 1_000;
const DEFAULT_PAGE: u32 = 100;
/// The characters of a hash in hexadecimal.
const HASH_CHARACTERS: usize = 64;

/// Lists entries of the audit.
///
/// # Errors
///
/// As `ListAuditEntries` of the contract lists.
pub(crate) async fn list_audit_entries(
    app: &App,
    _caller: &Caller,
    request: proto::ListAuditEntriesRequest,
) -> Result<proto::ListAuditEntriesResponse> {
    let proto::ListAuditEntriesRequest { filter, after_seq, page_size, page_token, newest_first } =
        request;
    if page_size > MAX_PAGE {
        let problem = format!("{page_size} is above {MAX_PAGE}, the most entries of a page");
        return Err(Error::invalid("page_size", problem));
    }
    if newest_first && after_seq != 0 {
        return Err(Error::invalid("after_seq", "must be 0 where the newest come first"));
    }
    let wanted = parse_filter(filter)?;
    let purpose = format!("audit/{wanted:?}/{after_seq}/{newest_first}");
    let place = match page_token.as_str() {
        "" if newest_first => u64::MAX,
        "" => after_seq,
        token => unsealed(token, &purpose).map(u64::from_be_bytes).ok_or_else(|| {
            Error::invalid("page_token", "expected the next_page_token of the same listing")
        })?,
    };
    let from = if newest_first { EntriesFrom::Before(place) } else { EntriesFrom::After(place) };
    let count = if page_size == 0 { DEFAULT_PAGE } else { page_size };
    let Entries { entries, next, latest } = app.audit_entries(wanted, from, count).await?;
    Ok(proto::ListAuditEntriesResponse {
        entries,
        next_page_token: next.map(|next| sealed(&next.to_be_bytes(), &purpose)).unwrap_or_default(),
        latest_seq: latest,
    })
}

/// Tells entries of the audit as they are written.
///
/// # Errors
///
/// As `WatchAuditEntries` of the contract lists.
pub(crate) async fn watch_audit_entries(
    app: &App,
    _caller: &Caller,
    request: proto::WatchAuditEntriesRequest,
) -> Result<impl Stream<Item = Result<proto::WatchAuditEntriesResponse>> + Send + use<>> {
    let proto::WatchAuditEntriesRequest { filter, after_seq, heartbeat } = request;
    let request = Request {
        wanted: parse_filter(filter)?,
        after: after_seq,
        heartbeat: parse_heartbeat(heartbeat)?,
    };
    let watch = app.watch_audit(request).await?;
    Ok(stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(news) => Some((Ok(message(news)), Some(watch))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

fn message(news: News) -> proto::WatchAuditEntriesResponse {
    let message = match news {
        News::Entry(entry) => Message::Entry(*entry),
        News::Synced(seq) => Message::Synced(proto::AuditSynced { seq }),
        News::Heartbeat(seq) => Message::Heartbeat(proto::AuditHeartbeat { seq }),
    };
    proto::WatchAuditEntriesResponse { message: Some(message) }
}

/// Follows the chain of the audit.
///
/// # Errors
///
/// As `VerifyAudit` of the contract lists.
pub(crate) async fn verify_audit(
    app: &App,
    _caller: &Caller,
    request: proto::VerifyAuditRequest,
) -> Result<proto::VerifyAuditResponse> {
    let proto::VerifyAuditRequest { known_seq, known_hash } = request;
    let is_hash = known_hash.len() == HASH_CHARACTERS
        && known_hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if (known_seq == 0) != known_hash.is_empty() || (known_seq != 0 && !is_hash) {
        return Err(Error::invalid(
            "known_hash",
            "expected the 64 hexadecimal digits of the hash of entry known_seq, or neither",
        ));
    }
    let Verified { last: (last_seq, last_hash), first_break } =
        app.verify_audit((known_seq, known_hash)).await?;
    Ok(proto::VerifyAuditResponse {
        valid: first_break.is_none(),
        entries: last_seq,
        first_break,
        last_seq,
        last_hash,
    })
}

/// Rebuilds a state.
///
/// # Errors
///
/// As `GetAuditState` of the contract lists.
pub(crate) async fn get_audit_state(
    app: &App,
    _caller: &Caller,
    request: proto::GetAuditStateRequest,
) -> Result<proto::GetAuditStateResponse> {
    let proto::GetAuditStateRequest { session_id, scope, at_seq, at_time } = request;
    let (scope, _) = parse_scope(&session_id, scope, Unsaid::IsSession)?;
    let at = match (at_seq, parse_time("at_time", at_time)?) {
        (0, None) => At::Latest,
        (0, Some(time)) => At::Time(micros(time)),
        (seq, None) => At::Seq(seq),
        (_, Some(_)) => return Err(Error::invalid("at_time", "not beside at_seq")),
    };
    let latest_seq = app.latest_audit_seq().await?;
    if let At::Seq(seq) = at
        && seq > latest_seq
    {
        let problem = format!("{seq} is beyond the latest entry, which is {latest_seq}");
        return Err(Error::invalid("at_seq", problem));
    }
    let rebuilt = app.audit_state(scope, at).await?;
    let state =
        proto::ScopedControls { etag: String::new(), ..scoped(&rebuilt.state, app.policy()) };
    Ok(proto::GetAuditStateResponse { state: Some(state), seq: rebuilt.seq, latest_seq })
}

fn parse_filter(filter: Option<proto::AuditFilter>) -> Result<Wanted> {
    let proto::AuditFilter { session_id, scope, actor, source, key, written_after, written_before } =
        filter.unwrap_or_default();
    let given = |text: String| (!text.is_empty()).then_some(text);
    Ok(Wanted {
        session: match session_id.as_str() {
            "" => None,
            text => Some(parse_id("filter.session_id", text)?),
        },
        scope: chosen(parse_enum::<proto::Scope>("filter.scope", scope)?),
        actor: given(actor),
        source: given(source),
        key: given(key),
        written_after: parse_time("filter.written_after", written_after)?.map(micros),
        written_before: parse_time("filter.written_before", written_before)?.map(micros),
    })
}
