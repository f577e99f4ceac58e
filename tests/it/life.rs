//! What becomes of sessions after they were made: changed, killed, queued,
//! deleted; asked for twice; watched as a catalogue; their thread refused.

pub(crate) mod catalogue;
mod changing;
mod deleting;
mod forgetting;
mod killing;
mod once;
mod queue;
mod refused;

use switchboard::proto::{DeleteSessionRequest, KillSessionRequest, Session, UpdateSessionRequest};
use tonic::Status;

use crate::harness::Clients;

/// Changes the named fields of a session.
async fn update(
    clients: &Clients,
    id: &str,
    session: Session,
    fields: &[&str],
    etag: &str,
) -> Result<Session, Status> {
    let request = UpdateSessionRequest {
        session_id: id.to_owned(),
        session: Some(session),
        update_mask: Some(pbjson_types::FieldMask {
            paths: fields.iter().map(|field| (*field).to_owned()).collect(),
        }),
        etag: etag.to_owned(),
        ..UpdateSessionRequest::default()
    };
    let answer = clients.sessions.clone().update_session(request).await?;
    Ok(answer.into_inner().session.unwrap())
}

/// Gives a session a title.
async fn rename(clients: &Clients, id: &str, title: &str) -> Result<Session, Status> {
    let session = Session { title: title.to_owned(), ..Session::default() };
    update(clients, id, session, &["title"], "").await
}

async fn kill(clients: &Clients, id: &str) -> Result<Session, Status> {
    let request = KillSessionRequest { session_id: id.to_owned(), ..Default::default() };
    let answer = clients.sessions.clone().kill_session(request).await?;
    Ok(answer.into_inner().session.unwrap())
}

async fn delete(clients: &Clients, id: &str) -> Result<Session, Status> {
    let request = DeleteSessionRequest { session_id: id.to_owned(), ..Default::default() };
    let answer = clients.sessions.clone().delete_session(request).await?;
    Ok(answer.into_inner().session.unwrap())
}
