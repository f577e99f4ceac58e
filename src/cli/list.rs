//! `switchboard sessions list`.

use std::time::SystemTime;

use super::{
    Context, Failure,
    args::{ListArgs, When},
    connect::Server,
    render::{about, short_id, state_word, table, text::one_line},
    run::absolute,
    sessions::{json, time},
};
use crate::{
    proto::{ArchivedFilter, ListSessionsRequest, Session, SessionState},
    time::{Timestamp, timestamp},
};

/// The most sessions of one page.
const PAGE: usize = 1_000;

pub(super) async fn list(cx: &Context, server: &Server, args: ListArgs) -> Result<(), Failure> {
    let limit = args.limit;
    let filter = filter(args)?;
    let any = filter == ListSessionsRequest::default();
    let sessions = read(server, filter, limit).await?;
    if cx.output.json {
        return sessions.iter().try_for_each(|session| json(cx, session));
    }
    if sessions.is_empty() {
        cx.output.note(if any {
            "no sessions yet; start one with `switchboard run PROMPT`"
        } else {
            "no such sessions"
        });
        return Ok(());
    }
    let rows = sessions.iter().map(|session| {
        [
            short_id(&session.session_id).to_owned(),
            state_word(session.state()).to_owned(),
            time(session.create_time.as_ref()),
            session.turn_count.to_string(),
            one_line(session.agent.split(':').next().unwrap_or_default(), 12),
            about(session),
        ]
    });
    let head = ["ID", "STATE", "CREATED", "TURNS", "AGENT", "ABOUT"];
    cx.output.print(&table(head, rows))
}

fn filter(args: ListArgs) -> Result<ListSessionsRequest, Failure> {
    let directory = args.directory.as_deref().map(absolute).transpose()?;
    let archived = match (args.archived, args.all) {
        (true, _) => ArchivedFilter::Only,
        (false, true) => ArchivedFilter::All,
        (false, false) => ArchivedFilter::Unspecified,
    };
    Ok(ListSessionsRequest {
        states: args.state.iter().map(|state| SessionState::from(*state).into()).collect(),
        source: args.source.unwrap_or_default(),
        labels: args.label.into_iter().collect(),
        archived: archived.into(),
        working_directory: directory.unwrap_or_default(),
        created_after: args.since.map(moment),
        created_before: args.until.map(moment),
        include_system_owned: args.system,
        ..ListSessionsRequest::default()
    })
}

/// The time that a person means.
pub(super) fn moment(when: When) -> Timestamp {
    timestamp(match when {
        When::At(time) => time,
        When::Ago(ago) => SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH),
    })
}

async fn read(
    server: &Server,
    mut filter: ListSessionsRequest,
    limit: usize,
) -> Result<Vec<Session>, Failure> {
    let mut sessions = Vec::new();
    while sessions.len() < limit {
        let wanted = (limit - sessions.len()).min(PAGE);
        filter.page_size = u32::try_from(wanted).unwrap_or_default();
        let page = server.sessions().list_sessions(filter.clone()).await;
        let page = page.map_err(server.failure())?.into_inner();
        sessions.extend(page.sessions);
        filter.page_token = page.next_page_token;
        if filter.page_token.is_empty() {
            break;
        }
    }
    Ok(sessions)
}
