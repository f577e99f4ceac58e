//! A scripted model: the server that codex believes to be its provider.
//!
//! It speaks the OpenAI responses API on loopback, as far as codex 0.169 uses
//! it. A test says beforehand what each request is answered with, holds replies
//! back at gates, and reads afterwards what codex sent. It runs on a thread of
//! its own, so that a test may block, or have no runtime at all.
//!
//! A request that the script has no answer for gets status 400, which ends the
//! turn with an error that says so.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures_util::{Stream, stream};
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::{
    Response,
    body::{Bytes, Frame, Incoming},
    header::CONTENT_TYPE,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, runtime, sync::watch, task};

use self::reply::{Answer, Output};
pub(crate) use self::{
    gate::Gate,
    reply::{Progress, Reply, Usage},
};

mod gate;
mod reply;

/// A running model server. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Model {
    address: SocketAddr,
    state: Arc<State>,
    /// Always there until the drop.
    runtime: Option<runtime::Runtime>,
}

#[derive(Debug)]
struct State {
    script: Mutex<Script>,
    requests: watch::Sender<Vec<Request>>,
    /// The items of each answer that was a stream.
    said: Mutex<Vec<Vec<Value>>>,
}

/// What the coming requests are answered with.
#[derive(Debug, Default)]
struct Script {
    replies: VecDeque<Reply>,
    by_marker: BTreeMap<String, VecDeque<Reply>>,
}

/// One request of codex to `POST /v1/responses`.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The whole JSON body.
    pub(crate) body: Value,
    /// The header by which codex shows its key.
    pub(crate) authorization: Option<String>,
}

impl Request {
    /// The names of the functions that codex offers.
    pub(crate) fn tools(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        tools.iter().filter_map(|tool| tool["name"].as_str()).collect()
    }

    /// The texts that a role said, oldest first: `user` also for what codex
    /// tells about the environment.
    pub(crate) fn texts(&self, role: &str) -> Vec<&str> {
        self.input()
            .filter(|item| item["role"] == role)
            .filter_map(|item| item["content"].as_array())
            .flatten()
            .filter_map(|part| part["text"].as_str())
            .collect()
    }

    /// What the model's calls were answered with, oldest first.
    pub(crate) fn call_outputs(&self) -> Vec<&Value> {
        self.input().map(|item| &item["output"]).filter(|output| !output.is_null()).collect()
    }

    fn input(&self) -> impl Iterator<Item = &Value> {
        self.body["input"].as_array().into_iter().flatten()
    }
}

impl Model {
    /// Starts a model on a free port of loopback, with an empty script.
    pub(crate) fn start() -> Self {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("model")
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            script: Mutex::default(),
            requests: watch::Sender::default(),
            said: Mutex::default(),
        });
        runtime.spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, runtime: Some(runtime) }
    }

    /// The base URL for a provider of codex.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Answers the next requests with these replies, one each, after those that
    /// are waiting.
    pub(crate) fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.script.lock().unwrap().replies.extend(replies);
    }

    /// The same for the requests of one agent among several: those in which the
    /// user said the marker.
    pub(crate) fn script_for(&self, marker: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut script = self.state.script.lock().unwrap();
        script.by_marker.entry(marker.to_owned()).or_default().extend(replies);
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.borrow().clone()
    }

    /// The items of each answer so far, as they are sent.
    pub(crate) fn said(&self) -> Vec<Vec<Value>> {
        self.state.said.lock().unwrap().clone()
    }

    /// Waits until there were `count` requests in all, and returns them.
    pub(crate) async fn requested(&self, count: usize) -> Vec<Request> {
        let mut requests = self.state.requests.subscribe();
        let seen = requests.wait_for(|seen| seen.len() >= count).await;
        seen.expect("the model holds the sender").clone()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A plain drop waits for the threads, which is not allowed in a test
            // that is async itself.
            runtime.shutdown_background();
        }
    }
}

impl Script {
    fn next(&mut self, request: &Request) -> Option<Reply> {
        let said = request.texts("user").join("\n");
        let marked = self.by_marker.iter_mut().find(|(marker, _)| said.contains(*marker));
        marked.map_or(&mut self.replies, |(_, replies)| replies).pop_front()
    }
}

async fn accept(listener: std::net::TcpListener, state: Arc<State>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(Arc::clone(&state), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer);
            // An error here is a connection that the script cut or that codex
            // left: the test sees both from outside.
            let _ = connection.await;
        });
    }
}

type Body = Either<Full<Bytes>, StreamBody<stream::BoxStream<'static, io::Result<Frame<Bytes>>>>>;

async fn answer(
    state: Arc<State>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let what = format!("{} {}", request.method(), request.uri().path());
    if what != "POST /v1/responses" {
        return Ok(status(404, format!("the model has no {what}")));
    }
    let authorization = request.headers().get(hyper::header::AUTHORIZATION);
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Ok(status(400, error.to_string())),
    };
    let request = match serde_json::from_slice(&body) {
        Ok(body) => Request { body, authorization },
        Err(error) => return Ok(status(400, error.to_string())),
    };

    let reply = state.script.lock().unwrap().next(&request);
    let mut number = 0;
    state.requests.send_modify(|requests| {
        requests.push(request.clone());
        number = requests.len();
    });
    Ok(match reply.map(|reply| reply.0) {
        None => status(400, format!("the script has no reply for request {number}")),
        Some(Answer::Status { status: code, body }) => status(code, body),
        Some(Answer::Stream { steps, usage }) => {
            let outputs = reply::outputs(steps, usage, &request, number);
            state.said.lock().unwrap().push(outputs.iter().flat_map(Output::items).collect());
            let frames: stream::BoxStream<'static, _> = Box::pin(frames(outputs));
            let body = Either::Right(StreamBody::new(frames));
            Response::builder().header(CONTENT_TYPE, "text/event-stream").body(body).unwrap()
        }
    })
}

fn status(code: u16, body: String) -> Response<Body> {
    let body = Either::Left(Full::new(Bytes::from(body)));
    Response::builder().status(code).header(CONTENT_TYPE, "application/json").body(body).unwrap()
}

fn frames(outputs: Vec<Output>) -> impl Stream<Item = io::Result<Frame<Bytes>>> {
    stream::unfold(VecDeque::from(outputs), |mut outputs| async {
        loop {
            match outputs.pop_front()? {
                Output::Send(bytes) => return Some((Ok(Frame::data(bytes)), outputs)),
                Output::Wait(gate) => gate.pass().await,
                Output::Cut => {
                    // When a body has nothing to give, hyper flushes what it
                    // has; an error at once would drop that.
                    task::yield_now().await;
                    let cut = io::Error::other("cut by the script");
                    return Some((Err(cut), outputs));
                }
            }
        }
    })
}
