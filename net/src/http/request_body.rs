//! The body of a request, as a handler sees it: never longer than is allowed, and whole within its time or broken.

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// The body of a request.
pub struct RequestBody {
    inner: Incoming,
    limit: usize,
    /// How many bytes are still allowed.
    left: usize,
    time: Duration,
    timer: Pin<Box<Sleep>>,
}

/// A request's body cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum RequestBodyError {
    /// It is too long. To be answered with 413.
    #[error("the body of the request is longer than {limit} bytes")]
    TooLong {
        /// What is allowed.
        limit: usize,
    },
    /// It takes too long. To be answered with 408.
    #[error("the body of the request was not there after {time:?}")]
    TooSlow {
        /// What is allowed.
        time: Duration,
    },
    /// The connection broke.
    #[error("the body of the request broke off: {0}")]
    Broken(#[from] hyper::Error),
}

impl RequestBody {
    /// Of at most `limit` bytes, to be there after `time`.
    pub(super) fn new(inner: Incoming, limit: usize, time: Duration) -> Self {
        Self { inner, limit, left: limit, time, timer: Box::pin(sleep(time)) }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Pending => match this.timer.as_mut().poll(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => Poll::Ready(Some(Err(RequestBodyError::TooSlow { time: this.time }))),
            },
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(Some(Ok(frame))) => match this.left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(left) => {
                    this.left = left;
                    Poll::Ready(Some(Ok(frame)))
                }
                None => Poll::Ready(Some(Err(RequestBodyError::TooLong { limit: this.limit }))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
