//! What the reading of settings is compared with: an axum route that answers
//! every request with one text, which it has in memory. No token, no session, no
//! database.
#![allow(clippy::print_stdout, reason = "the bench reads the address there")]

use std::{io, process::Stdio};

use axum::{Router, routing};
use http::header::CONTENT_TYPE;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

use super::server::Process;

pub(crate) const ROLE: &str = "bare-axum-route";

/// The server, in a process of its own.
#[derive(Debug)]
pub(crate) struct Bare {
    pub(crate) process: Process,
    pub(crate) address: std::net::SocketAddr,
}

impl Bare {
    /// Starts one that answers with `body`, which is one line.
    pub(crate) fn start(body: &str) -> Self {
        let exe = std::env::current_exe().expect("this executable");
        let mut process =
            Process::start(std::process::Command::new(exe).arg(ROLE).stdin(Stdio::piped()));
        process.tell(body);
        let address = process.line().trim().parse().expect("an address");
        Self { process, address }
    }
}

/// Serves what the first line on stdin says, and prints the address.
pub(crate) fn serve() {
    let mut body = String::new();
    io::stdin().read_line(&mut body).expect("a line on stdin");
    let body: &'static str = body.trim_end().to_owned().leak();
    let answer = move || async move { ([(CONTENT_TYPE, "application/json")], body) };
    let router = Router::new().route("/settings", routing::get(answer));
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("a listener has an address"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                // A client that goes away is no error here.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}
