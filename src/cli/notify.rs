//! Tells the service manager how far the server is, as `sd_notify(3)` describes
//! it: one datagram to the socket that the manager named in the environment.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

use crate::config::Environment;

/// What a service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Clients are answered.
    Ready,
    /// The server drains.
    Stopping,
}

/// Tells the manager, where there is one.
pub(super) fn notify(environment: &Environment, stage: Stage) {
    let Some(socket) = environment.text("NOTIFY_SOCKET") else { return };
    let message = match stage {
        Stage::Ready => "READY=1\n",
        Stage::Stopping => "STOPPING=1\n",
    };
    if let Err(error) = send(&socket, message) {
        tracing::warn!(socket, %error, "cannot tell the service manager");
    }
}

/// A name that begins with `@` is of the abstract name space.
fn send(socket: &str, message: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}
