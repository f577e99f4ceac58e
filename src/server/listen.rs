//! Sockets: bound before any work, then served with one router.

use std::{
    fmt::Display,
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Error, MAX_STREAMS_PER_CONNECTION,
    eager::Eager,
    first_bytes::FirstBytes,
    patience::{Answers, Patient},
};
use crate::{
    config::ListenAddr,
    home::{self, Lock},
    wire::auth::{Connection, Peer},
};

/// How often an idle HTTP/2 connection is asked whether it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How much one stream may hold back for a reader that does not read, in bytes.
const SEND_BUFFER: usize = 128 << 10;
/// How long a client may take for its first bytes, and for the head of each
/// HTTP/1 request: until then nobody knows whether it has a token.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be accepted, for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bound sockets, and the home that they serve.
#[derive(Debug)]
pub struct Listeners {
    lock: Lock,
    bound: Vec<Bound>,
}

#[derive(Debug)]
enum Bound {
    Tcp { listener: TcpListener, address: SocketAddr },
    Unix { listener: UnixListener, path: SocketPath },
}

/// A socket's file, removed with it.
#[derive(Debug)]
struct SocketPath(PathBuf);

impl Drop for SocketPath {
    fn drop(&mut self) {
        // Gone already when somebody removed it.
        let _ = fs::remove_file(&self.0);
    }
}

impl Listeners {
    /// Where clients connect to, such as `http://127.0.0.1:7420` and
    /// `unix:/path`, with real ports.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let address = |bound: &Bound| match bound {
            Bound::Tcp { address, .. } => format!("http://{address}"),
            Bound::Unix { path, .. } => format!("unix:{}", path.0.display()),
        };
        self.bound.iter().map(address).collect()
    }

    /// Says in the home where the server is.
    pub(super) fn announce(&self, server: &home::Server) -> Result<(), home::Error> {
        self.lock.announce(server)
    }

    /// Accepts connections until `draining`, at most `tcp_connections` at a time
    /// over TCP. A client that takes nothing of an answer for as long as `patience` is
    /// given up. Gives the home's lock back.
    pub(super) fn serve(
        self,
        router: &Router,
        connections: &TaskTracker,
        draining: &CancellationToken,
        tcp_connections: usize,
        patience: Duration,
    ) -> Lock {
        let places = Arc::new(Semaphore::new(tcp_connections));
        for bound in self.bound {
            let place = Place {
                router: router.clone(),
                connections: connections.clone(),
                draining: draining.clone(),
                tcp: Arc::clone(&places),
                patience,
            };
            connections.spawn(place.accept(bound));
        }
        self.lock
    }
}

/// Binds each address.
pub(super) async fn bind(lock: Lock, addresses: &[ListenAddr]) -> Result<Listeners, Error> {
    let mut bound = Vec::with_capacity(addresses.len());
    for address in addresses {
        let one = match address {
            ListenAddr::Tcp(address) => bind_tcp(*address).await,
            ListenAddr::Unix(path) => bind_unix(path).await,
        };
        bound.push(one.map_err(|source| Error::Bind { address: address.to_string(), source })?);
    }
    Ok(Listeners { lock, bound })
}

async fn bind_tcp(address: SocketAddr) -> io::Result<Bound> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Bound::Tcp { listener, address })
}

async fn bind_unix(path: &Path) -> io::Result<Bound> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a file that is no socket is in its place",
            ));
        }
        // Left behind by a server that was killed, unless somebody answers.
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?;
            }
            Ok(_) | Err(_) => return Err(io::ErrorKind::AddrInUse.into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    let socket = SocketPath(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(Bound::Unix { listener, path: socket })
}

/// What an accepting task needs.
struct Place {
    router: Router,
    connections: TaskTracker,
    draining: CancellationToken,
    /// A permit for each TCP connection that there may be: anyone can open those.
    tcp: Arc<Semaphore>,
    patience: Duration,
}

impl Place {
    async fn accept(self, bound: Bound) {
        tokio::select! {
            () = self.draining.cancelled() => {}
            () = async {
                match &bound {
                    Bound::Tcp { listener, .. } => self.accept_tcp(listener).await,
                    Bound::Unix { listener, .. } => self.accept_unix(listener).await,
                }
            } => {}
        }
    }

    async fn accept_tcp(&self, listener: &TcpListener) {
        let mut failing = Trouble::new("cannot accept a connection");
        let mut full = Trouble::new("no more TCP connections are taken; new ones are closed");
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    failing.again(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            failing.over();
            let Ok(permit) = Arc::clone(&self.tcp).try_acquire_owned() else {
                full.again(&"as many are open as there may be");
                continue;
            };
            full.over();
            // Latency over packets: deliveries are large already.
            let _ = stream.set_nodelay(true);
            if let Ok(local) = stream.local_addr() {
                self.serve(stream, Peer::Tcp(local.ip()), Some(permit));
            }
        }
    }

    async fn accept_unix(&self, listener: &UnixListener) {
        let mut failing = Trouble::new("cannot accept a connection");
        loop {
            match listener.accept().await {
                // The socket's file keeps others out, but for the moment
                // before it has its mode.
                Ok((stream, _)) if is_ours(&stream) => {
                    failing.over();
                    self.serve(stream, Peer::Unix, None);
                }
                Ok(_) => tracing::warn!("refused another user on the Unix socket"),
                Err(error) => {
                    failing.again(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let answers = Arc::new(Answers::default());
        let stream = FirstBytes::new(stream, HEAD_TIMEOUT);
        let stream = Patient::new(stream, self.patience, Arc::clone(&answers));
        // What is no HTTP any more outlives the connection as it is served here.
        let permit = permit.map(|permit| Arc::new(Connection::new(permit)));
        let mut router = self.router.clone().layer(Extension(peer));
        if let Some(permit) = &permit {
            router = router.layer(Extension(Arc::clone(permit)));
        }
        let service = Eager { service: TowerToHyperService::new(router), answers };
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
            // A client may give up as many calls at once as it may make. hyper's
            // 20 would cost it the connection, and all other watches on it.
            .max_pending_accept_reset_streams(MAX_STREAMS_PER_CONNECTION as usize)
            .keep_alive_interval(KEEP_ALIVE)
            .max_send_buf_size(SEND_BUFFER);
        let connection =
            builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let draining = self.draining.clone();
        self.connections.spawn(async move {
            let _permit = permit;
            let mut connection = pin!(connection);
            let served = tokio::select! {
                served = connection.as_mut() => served,
                () = draining.cancelled() => {
                    // No new calls; those under way are finished.
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = served {
                tracing::debug!(error, "a connection broke");
            }
        });
    }
}

/// Whether the other end is this user, or root.
fn is_ours(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

/// Something that goes wrong again and again: said when it begins and when it is
/// over, because whoever causes it must not fill the log.
struct Trouble {
    what: &'static str,
    times: u64,
}

impl Trouble {
    fn new(what: &'static str) -> Self {
        Self { what, times: 0 }
    }

    fn again(&mut self, why: &dyn Display) {
        if self.times == 0 {
            tracing::warn!(error = %why, "{}", self.what);
        }
        self.times += 1;
    }

    fn over(&mut self) {
        if self.times > 0 {
            tracing::warn!(times = self.times, "connections are accepted again");
            self.times = 0;
        }
    }
}
