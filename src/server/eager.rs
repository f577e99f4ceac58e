//! Requests that begin as soon as they are there: hyper drops one whose client has
//! gone before anybody looked at it, although all of it came.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_util::future::{Either, Ready, ready};
use hyper::service::Service;

/// A service whose calls are looked at once when they are made.
#[derive(Debug, Clone)]
pub(super) struct Eager<S>(pub S);

impl<S: Service<R>, R> Service<R> for Eager<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<Ready<Result<S::Response, S::Error>>, Pin<Box<S::Future>>>;

    fn call(&self, request: R) -> Self::Future {
        let mut answer = Box::pin(self.0.call(request));
        // hyper looks again at what is not done, and is woken from then on.
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Either::Left(ready(answer)),
            Poll::Pending => Either::Right(answer),
        }
    }
}
