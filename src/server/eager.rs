//! Requests that begin as soon as they are there: hyper drops one whose client has
//! gone before anybody looked at it, although all of it came.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{Request, Response, Version};
use hyper::service::Service;

use super::patience::Answers;

/// A service whose calls are looked at once when they are made.
#[derive(Debug, Clone)]
pub(super) struct Eager<S> {
    /// The service.
    pub service: S,
    /// Told what is answered.
    pub answers: Arc<Answers>,
}

/// A call under way.
pub(super) struct Begun<F: Future> {
    state: State<F>,
    version: Version,
    answers: Arc<Answers>,
}

enum State<F: Future> {
    /// Answered at once; none any more when that was given.
    Done(Option<F::Output>),
    Pending(Pin<Box<F>>),
}

// The answer of the call is moved, and never pinned.
impl<F: Future> Unpin for Begun<F> {}

impl<S, B, C> Service<Request<B>> for Eager<S>
where
    S: Service<Request<B>, Response = Response<C>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Begun<S::Future>;

    fn call(&self, request: Request<B>) -> Self::Future {
        let version = request.version();
        let mut answer = Box::pin(self.service.call(request));
        // hyper looks again at what is not done, and is woken from then on.
        let state = match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => State::Done(Some(answer)),
            Poll::Pending => State::Pending(answer),
        };
        Begun { state, version, answers: Arc::clone(&self.answers) }
    }
}

impl<F, B, E> Future for Begun<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { state, version, answers } = self.get_mut();
        let answered = match state {
            State::Done(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            State::Pending(answer) => answer.as_mut().poll(cx),
        };
        if let Poll::Ready(Ok(response)) = &answered {
            answers.begin(*version, response);
        }
        answered
    }
}
