//! `switchboard audit …`: who changed which settings and controls.

mod entry;
mod watch;

use super::{
    Context, Failure,
    args::{AuditCommand, AuditFilterArgs, AuditListArgs, AuditShowArgs, Known, Moment},
    connect::{Connector, Server},
    controls::{lines, shown},
    embedded::print,
    list::moment,
    render::{json::indented, table, text::clean},
    retry,
    scope::{Scoped, positionals, session_id},
};
use crate::{
    json::{DEEPEST, Json},
    proto::{
        AuditEntry, AuditFilter, GetAuditStateRequest, GetAuditStateResponse,
        ListAuditEntriesRequest, Scope, VerifyAuditRequest, VerifyAuditResponse,
    },
};

/// The most entries of one page.
const PAGE: usize = 1_000;

pub(super) async fn audit(cx: &Context, command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::List(args) => list(cx, args).await,
        AuditCommand::Watch(args) => watch::watch(cx, args).await,
        AuditCommand::Show(args) => show(cx, args).await,
        AuditCommand::Verify { known } => verify(cx, known).await,
    }
}

async fn list(cx: &Context, args: AuditListArgs) -> Result<(), Failure> {
    let AuditListArgs { filter, after, newest_first, limit } = args;
    let server = Connector::new(cx)?.connect().await?;
    let mut request = ListAuditEntriesRequest {
        filter: Some(filter_of(cx, &server, filter).await?),
        after_seq: after,
        newest_first,
        ..ListAuditEntriesRequest::default()
    };
    let mut entries: Vec<AuditEntry> = Vec::new();
    while entries.len() < limit {
        let wanted = (limit - entries.len()).min(PAGE);
        request.page_size = u32::try_from(wanted).unwrap_or_default();
        let attempt = |server: Server| {
            let request = request.clone();
            async move { server.audit().list_audit_entries(request).await }
        };
        let page = retry::call(&server, cx.output, attempt).await?;
        request.page_token = page.next_page_token;
        if cx.output.json {
            page.entries.iter().try_for_each(|entry| print(cx, entry, []))?;
        }
        entries.extend(page.entries);
        if request.page_token.is_empty() {
            break;
        }
    }
    if cx.output.json {
        return Ok(());
    }
    // Who wants none is told nothing of them.
    if limit == 0 {
        return Ok(());
    }
    if entries.is_empty() {
        cx.output.note("no such entries");
        return Ok(());
    }
    cx.output.print(&table(entry::HEAD, entries.iter().map(entry::row)))?;
    if !request.page_token.is_empty() {
        cx.output.note(&format!("these are {}, and there are more: --limit", entries.len()));
    }
    Ok(())
}

/// The filter that was typed.
///
/// # Errors
/// The server's answer when there is no such session, or several.
async fn filter_of(
    cx: &Context,
    server: &Server,
    args: AuditFilterArgs,
) -> Result<AuditFilter, Failure> {
    let AuditFilterArgs { session, scope, actor, source, key, since, until } = args;
    let session_id = match session {
        Some(id) => session_id(cx, server, &id).await?,
        None => String::new(),
    };
    Ok(AuditFilter {
        session_id,
        scope: scope.map_or(Scope::Unspecified, Into::into).into(),
        actor: actor.unwrap_or_default(),
        source: source.unwrap_or_default(),
        key: key.unwrap_or_default(),
        written_after: since.map(moment),
        written_before: until.map(moment),
    })
}

async fn show(cx: &Context, args: AuditShowArgs) -> Result<(), Failure> {
    let AuditShowArgs { session, scope, at } = args;
    let (session, []) = positionals(scope.scope, session, [])?;
    let server = Connector::new(cx)?.connect().await?;
    let scoped = Scoped::resolve(cx, &server, scope.scope, session.as_deref()).await?;
    let (at_seq, at_time) = match at {
        None => (0, None),
        Some(Moment::Entry(seq)) => (seq, None),
        Some(Moment::Time(when)) => (0, Some(moment(when))),
    };
    let request = GetAuditStateRequest {
        session_id: scoped.session_id.clone(),
        scope: scoped.scope.into(),
        at_seq,
        at_time,
    };
    let attempt = |server: Server| {
        let request = request.clone();
        async move { server.audit().get_audit_state(request).await }
    };
    let answer = retry::call(&server, cx.output, attempt).await?;
    if cx.output.json {
        return print(cx, &answer, []);
    }
    cx.output.print(&state(&scoped, answer))
}

/// A state that was rebuilt, for people.
fn state(scoped: &Scoped, answer: GetAuditStateResponse) -> String {
    let GetAuditStateResponse { state, seq, latest_seq: _ } = answer;
    let state = state.unwrap_or_default();
    let left_by = match seq {
        0 => "no entry, as it was before the first".to_owned(),
        seq => format!("entry {seq}"),
    };
    let mut all = vec![("of", scoped.whose().to_owned()), ("left by", left_by)];
    all.extend(lines(&state).into_iter().filter(|(name, _)| *name != "settings"));
    let settings = Json::parse_within(&state.settings_json, DEEPEST);
    let settings = settings.map_or(state.settings_json, |json| indented(&json));
    format!("{}{:<19} {}\n", shown(all), "settings", clean(&settings))
}

async fn verify(cx: &Context, known: Option<Known>) -> Result<(), Failure> {
    let server = Connector::new(cx)?.connect().await?;
    let (known_seq, known_hash) = known.map(|known| (known.seq, known.hash)).unwrap_or_default();
    let request = VerifyAuditRequest { known_seq, known_hash };
    let attempt = |server: Server| {
        let request = request.clone();
        async move { server.audit().verify_audit(request).await }
    };
    let answer = retry::call(&server, cx.output, attempt).await?;
    if cx.output.json {
        print(cx, &answer, [("valid", answer.valid.into())])?;
    } else {
        cx.output.print(&verdict(&answer))?;
    }
    if answer.valid { Ok(()) } else { Err(Failure::BadOutcome) }
}

/// What following the chain came to, for people.
fn verdict(answer: &VerifyAuditResponse) -> String {
    let VerifyAuditResponse { valid: _, entries, first_break, last_seq, last_hash } = answer;
    let plural = if *entries == 1 { "entry" } else { "entries" };
    let mut text = match first_break {
        None => format!("the audit holds: {entries} {plural}\n"),
        Some(first) => format!(
            "the audit is broken at entry {}: {}\n",
            first.seq,
            clean(&first.problem).trim_end()
        ),
    };
    if *last_seq > 0 {
        let which = if first_break.is_none() { "last" } else { "last that follows" };
        text.push_str(&format!("{which}: {last_seq}:{last_hash}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::AuditBreak;

    #[test]
    fn the_first_entry_that_does_not_hold_is_named() {
        let holds = VerifyAuditResponse {
            valid: true,
            entries: 2,
            first_break: None,
            last_seq: 2,
            last_hash: "ab".to_owned(),
        };
        assert_eq!(verdict(&holds), "the audit holds: 2 entries\nlast: 2:ab\n");
        let first_break = AuditBreak { seq: 3, problem: "the entry is missing".to_owned() };
        let broken = VerifyAuditResponse { valid: false, first_break: Some(first_break), ..holds };
        assert_eq!(
            verdict(&broken),
            "the audit is broken at entry 3: the entry is missing\nlast that follows: 2:ab\n"
        );
        assert_eq!(
            verdict(&VerifyAuditResponse { valid: true, ..Default::default() }),
            "the audit holds: 0 entries\n"
        );
    }
}
