//! Calls that outlast a lost connection and a restart of the server.
//!
//! Every request that changes something goes through [`change`], but for those of
//! the demo to its own server: it carries an id of its own, so that the server
//! does it once however often it is sent, and is sent again until an answer is
//! there. What is read for such a request goes through [`call`].

use std::{future::Future, time::Duration};

use tokio::time::Instant;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{
    Failure,
    connect::{Server, present},
    failure::passes,
    output::Output,
};
use crate::proto;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a server may be gone before a call is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// An attempt that lasted so long had a server to talk to: making a connection
/// takes less, or fails.
const CONNECTED: Duration = Duration::from_secs(10);

/// A request that changes something.
pub(super) trait Change: Clone {
    /// What it is answered with.
    type Answer;

    /// Where its id belongs.
    fn request_id(&mut self) -> &mut String;

    /// Sends it once.
    fn send(
        self,
        server: Server,
    ) -> impl Future<Output = Result<Response<Self::Answer>, Status>> + Send;
}

macro_rules! changes {
    ($($service:ident.$method:ident: $request:ident -> $answer:ident;)*) => {$(
        impl Change for proto::$request {
            type Answer = proto::$answer;

            fn request_id(&mut self) -> &mut String {
                &mut self.request_id
            }

            async fn send(self, server: Server) -> Result<Response<Self::Answer>, Status> {
                server.$service().$method(self).await
            }
        }
    )*};
}

changes! {
    sessions.create_session: CreateSessionRequest -> CreateSessionResponse;
    sessions.start_turn: StartTurnRequest -> StartTurnResponse;
    sessions.fork_session: ForkSessionRequest -> ForkSessionResponse;
    sessions.update_session: UpdateSessionRequest -> UpdateSessionResponse;
    sessions.interrupt_turn: InterruptTurnRequest -> InterruptTurnResponse;
    sessions.kill_session: KillSessionRequest -> KillSessionResponse;
    sessions.delete_session: DeleteSessionRequest -> DeleteSessionResponse;
    sessions.cleanup_sessions: CleanupSessionsRequest -> CleanupSessionsResponse;
    settings.update_settings: UpdateSettingsRequest -> UpdateSettingsResponse;
    settings.delete_setting: DeleteSettingRequest -> DeleteSettingResponse;
    controls.apply_controls: ApplyControlsRequest -> ApplyControlsResponse;
}

/// Carries a change out once, however often it must be sent until it is answered.
///
/// # Errors
/// The server's answer, and [`Failure::Unreachable`] when it stays away: whether
/// the change was made is not known then.
pub(super) async fn change<C: Change>(
    server: &Server,
    output: Output,
    mut request: C,
) -> Result<C::Answer, Failure> {
    *request.request_id() = Uuid::new_v4().to_string();
    call(server, output, |server| request.clone().send(server)).await
}

/// Reads the session with this id or unique prefix.
///
/// # Errors
/// The server's answer when there is none, or several.
pub(super) async fn session(
    server: &Server,
    output: Output,
    id: &str,
) -> Result<proto::Session, Failure> {
    let request = proto::GetSessionRequest { session_id: id.to_owned() };
    let read = |server: Server| {
        let request = request.clone();
        async move { server.sessions().get_session(request).await }
    };
    present(call(server, output, read).await?.session)
}

/// Calls the server until it answers. The connection is made again by itself.
///
/// # Errors
/// The server's answer, the last one where it is down or overloaded all the time,
/// and [`Failure::Unreachable`] when it stays away.
pub(super) async fn call<A, F>(
    server: &Server,
    output: Output,
    mut attempt: impl FnMut(Server) -> F,
) -> Result<A, Failure>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let mut pause = FIRST_PAUSE;
    let mut give_up: Option<Instant> = None;
    loop {
        let begun = Instant::now();
        let status = match attempt(server.clone()).await {
            Ok(answer) => {
                if give_up.is_some() {
                    output.note("connected again");
                }
                return Ok(answer.into_inner());
            }
            Err(status) => status,
        };
        let Some(why) = lost(&status) else { return Err(server.failure()(status)) };
        let now = Instant::now();
        if now - begun > CONNECTED {
            (pause, give_up) = (FIRST_PAUSE, None);
        }
        match give_up {
            None => {
                output.note(&format!(
                    "lost the server ({why}) before it answered; waiting for it and asking again"
                ));
                give_up = Some(now + PATIENCE);
            }
            // It is there, and says why it does not do it.
            Some(give_up) if now >= give_up && status.get_details_error_info().is_some() => {
                return Err(server.failure()(status));
            }
            Some(give_up) if now >= give_up => {
                return Err(Failure::Unreachable(format!(
                    "the server at {} did not come back within {} s ({why}); whether it did what was asked is not known",
                    server.target(),
                    PATIENCE.as_secs()
                )));
            }
            Some(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Why a stream was not opened: what the server said of it, or that no server is
/// there.
pub(super) fn not_opened(server: &Server, status: Status) -> Failure {
    match lost(&status) {
        Some(why) if status.get_details_error_info().is_none() => Failure::Unreachable(why),
        Some(_) | None => server.failure()(status),
    }
}

/// Why the status means that the connection is gone, or the server about to be;
/// `None` when it is an answer that another try would get again.
pub(super) fn lost(status: &Status) -> Option<String> {
    if let Some(told) = status.get_details_error_info() {
        return passes(&told.reason).map(ToOwned::to_owned);
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "the codes are gRPC's, not ours")]
    match status.code() {
        Code::Unavailable
        | Code::Unknown
        | Code::Internal
        | Code::Cancelled
        | Code::DeadlineExceeded => Some("the connection broke".into()),
        _ => None,
    }
}
