//! The way to a server: its address, the token, and typed clients.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint, Uri},
};

use super::{Context, Failure, profile::Profile};
use crate::proto::{
    GetServerInfoRequest, GetSessionRequest, Session, audit_service_client::AuditServiceClient,
    config_lock_service_client::ConfigLockServiceClient,
    controls_service_client::ControlsServiceClient, event_service_client::EventServiceClient,
    session_service_client::SessionServiceClient, settings_service_client::SettingsServiceClient,
    system_service_client::SystemServiceClient,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long apart a server is tried that is just starting.
const PROBE_PAUSE: Duration = Duration::from_millis(10);

/// The largest message that is taken: the most that a server ever sends, and its frame.
const MAX_MESSAGE: usize = (64 << 20) + (1 << 16);

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP address, in clear text.
    Tcp(Uri),
}

/// The text is no address of a server.
#[derive(Debug, thiserror::Error)]
pub(super) enum ParseTargetError {
    /// Neither form fits.
    #[error("expected http://HOST:PORT or unix:PATH")]
    Malformed,
    /// TLS is not there yet.
    #[error("https is not supported yet: expected http://HOST:PORT or unix:PATH")]
    Https,
}

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let absolute = std::path::absolute(path).map_err(|_| ParseTargetError::Malformed)?;
            return Ok(Self::Unix(absolute));
        }
        let uri: Uri = text.parse().map_err(|_| ParseTargetError::Malformed)?;
        match (uri.scheme_str(), uri.port_u16(), uri.path()) {
            (Some("https"), _, _) => Err(ParseTargetError::Https),
            (Some("http"), Some(_), "/" | "") => Ok(Self::Tcp(uri)),
            _ => Err(ParseTargetError::Malformed),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(uri) => f.write_str(uri.to_string().trim_end_matches('/')),
        }
    }
}

impl Target {
    /// Whether nobody but this machine hears what is sent there.
    fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(uri) => {
                let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
                let loopback = host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
                loopback || host == "localhost"
            }
        }
    }
}

/// Adds the token to every call.
#[derive(Debug, Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

type Service = InterceptedService<Channel, Bearer>;

/// A client of `SessionService`.
pub(super) type SessionClient = SessionServiceClient<Service>;

impl Connector {
    /// Connects if a server accepts and answers there, and does not merely listen.
    pub(super) async fn answering(&self) -> Option<Server> {
        let server = self.connect().await.ok()?;
        server.system().get_server_info(GetServerInfoRequest {}).await.ok()?;
        Some(server)
    }

    /// Waits until a server answers, for as long as it takes.
    pub(super) async fn until_answering(&self) {
        while self.answering().await.is_none() {
            tokio::time::sleep(PROBE_PAUSE).await;
        }
    }
}

/// One connection to a server.
#[derive(Debug, Clone)]
pub(super) struct Server {
    service: Service,
    target: Target,
}

/// How to reach a server, again and again.
#[derive(Clone)]
pub(super) struct Connector {
    target: Target,
    token: Option<String>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Connector {
    /// The server that the command line names, with its token.
    ///
    /// # Errors
    /// When the command line or the environment is wrong, or the token cannot be read.
    pub(super) fn new(cx: &Context) -> Result<Self, Failure> {
        let Profile { target, token } = cx.server()?;
        let token = match (cx.environment.text("SWITCHBOARD_TOKEN").or(token), &target) {
            (Some(token), _) => Some(token),
            (None, Target::Tcp(_)) if target.is_local() => cx.home()?.token()?,
            (None, _) => None,
        };
        Ok(Self { target, token })
    }

    /// A server at a known place.
    #[must_use]
    pub(super) fn to(target: Target, token: Option<String>) -> Self {
        Self { target, token }
    }

    /// Where it is.
    #[must_use]
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Connects.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] when no server answers there.
    pub(super) async fn connect(&self) -> Result<Server, Failure> {
        let target = &self.target;
        let channel = self.endpoint()?.connect().await.map_err(|error| {
            Failure::Unreachable(format!("no server answers at {target}: {}", root_cause(&error)))
        })?;
        self.server(channel)
    }

    /// Connects with the first call, and so also to a server that is just away.
    ///
    /// # Errors
    /// When the address or the token is malformed.
    pub(super) fn connect_later(&self) -> Result<Server, Failure> {
        self.server(self.endpoint()?.connect_lazy())
    }

    fn endpoint(&self) -> Result<Endpoint, Failure> {
        let target = &self.target;
        let endpoint = match target {
            Target::Unix(path) => {
                let path = path.to_str().ok_or_else(|| {
                    Failure::Usage(format!("the path of the socket {target} is not UTF-8"))
                })?;
                Endpoint::from_shared(format!("unix:{path}"))
                    .map(|endpoint| endpoint.origin(Uri::from_static("http://localhost")))
            }
            Target::Tcp(uri) => Endpoint::from_shared(uri.to_string()),
        }
        .map_err(|error| Failure::Usage(format!("{target} is no address: {error}")))?;
        Ok(endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true))
    }

    fn server(&self, channel: Channel) -> Result<Server, Failure> {
        let bearer = self.token.as_deref().map(|token| {
            let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse()?;
            value.set_sensitive(true);
            Ok::<_, tonic::metadata::errors::InvalidMetadataValue>(value)
        });
        let bearer = bearer.transpose().map_err(|_| {
            Failure::Usage(
                "the token is not plain ASCII: look at SWITCHBOARD_TOKEN and at the profile".into(),
            )
        })?;
        let service = InterceptedService::new(channel, Bearer(bearer));
        Ok(Server { service, target: self.target.clone() })
    }
}

impl Server {
    /// Where it is.
    #[must_use]
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// The client of `SessionService`.
    #[must_use]
    pub(super) fn sessions(&self) -> SessionClient {
        SessionServiceClient::new(self.service.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// The client of `EventService`.
    #[must_use]
    pub(super) fn events(&self) -> EventServiceClient<Service> {
        EventServiceClient::new(self.service.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// The client of `SettingsService`.
    #[must_use]
    pub(super) fn settings(&self) -> SettingsServiceClient<Service> {
        SettingsServiceClient::new(self.service.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// The client of `ControlsService`.
    #[must_use]
    pub(super) fn controls(&self) -> ControlsServiceClient<Service> {
        ControlsServiceClient::new(self.service.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// The client of `AuditService`.
    #[must_use]
    pub(super) fn audit(&self) -> AuditServiceClient<Service> {
        AuditServiceClient::new(self.service.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// The client of `ConfigLockService`.
    #[must_use]
    pub(super) fn locks(&self) -> ConfigLockServiceClient<Service> {
        ConfigLockServiceClient::new(self.service.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// The client of `SystemService`.
    #[must_use]
    pub(super) fn system(&self) -> SystemServiceClient<Service> {
        SystemServiceClient::new(self.service.clone())
    }

    /// Turns a call's error into how the command ends.
    pub(super) fn failure(&self) -> impl Fn(Status) -> Failure {
        let target = self.target.clone();
        move |status| Failure::from_status(&status, &target)
    }

    /// Reads the session with this id or unique prefix.
    ///
    /// # Errors
    /// The server's answer when there is none, or several.
    pub(super) async fn session(&self, id: &str) -> Result<Session, Failure> {
        let request = GetSessionRequest { session_id: id.to_owned() };
        let answer = self.sessions().get_session(request).await.map_err(self.failure())?;
        present(answer.into_inner().session)
    }
}

/// The session that an answer must have.
///
/// # Errors
/// When the server broke the contract.
pub(super) fn present(session: Option<Session>) -> Result<Session, Failure> {
    session.ok_or_else(|| Failure::Failed("the server's answer holds no session".into()))
}

/// What is at the bottom of a chain of errors, such as "Connection refused".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_http_with_a_port_or_a_socket() {
        let shown = |text: &str| text.parse::<Target>().map(|target| target.to_string());
        assert_eq!(shown("http://127.0.0.1:7420").unwrap(), "http://127.0.0.1:7420");
        assert_eq!(shown("http://[::1]:7420/").unwrap(), "http://[::1]:7420");
        assert_eq!(shown("unix:/run/s.sock").unwrap(), "unix:/run/s.sock");
        assert_eq!(shown("unix:///run/s.sock").unwrap(), "unix:/run/s.sock");
        for text in ["", "127.0.0.1:7420", "http://host", "http://host:1/path", "ftp://h:1"] {
            assert!(matches!(shown(text), Err(ParseTargetError::Malformed)), "{text}");
        }
        assert!(matches!(shown("https://h:1"), Err(ParseTargetError::Https)));
    }

    #[test]
    fn the_token_of_the_home_stays_on_this_machine() {
        let local = |text: &str| text.parse::<Target>().unwrap().is_local();
        for text in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "unix:/s"] {
            assert!(local(text), "{text}");
        }
        for text in ["http://example.com:1", "http://10.0.0.1:1", "http://127.0.0.1.nip.io:1"] {
            assert!(!local(text), "{text}");
        }
    }
}
