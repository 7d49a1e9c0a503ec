//! A stream over which nothing travels for too long ends. This is for connections that are kept open between requests, and for peers that
//! have vanished: what should go on quietly has to send signs of life.
//!
//! It also remembers what TLS says when it fails, since HTTP/2 does not pass that on.

use crate::network::Stream;
use crate::tls::SessionError;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream that ends when it is idle.
pub(super) struct Idle {
    stream: Stream,
    /// Until something has been read, and after that.
    most: (Duration, Duration),
    is_begun: bool,
    failure: Arc<OnceLock<SessionError>>,
    /// When something last travelled.
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    /// Idle for `first` until something has been read, then for `most`.
    pub(super) fn new(stream: Stream, first: Duration, most: Duration) -> Self {
        Self {
            stream,
            most: (first, most),
            is_begun: false,
            failure: Arc::default(),
            last: Instant::now(),
            timer: Box::pin(sleep(first)),
        }
    }

    /// Where it says what TLS says when it fails.
    pub(super) fn failure(&self) -> Arc<OnceLock<SessionError>> {
        Arc::clone(&self.failure)
    }

    /// Passes on what has happened, or looks at the clock when nothing has.
    fn observe<T>(&mut self, context: &mut Context<'_>, happened: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = &happened {
            self.last = Instant::now();
            if let Some(failure) = result.as_ref().err().and_then(SessionError::explain_later) {
                // The first counts.
                let _ = self.failure.set(failure);
            }
            return happened;
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            let end = self.last + if self.is_begun { self.most.1 } else { self.most.0 };
            if end <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(end);
        }
    }
}

impl AsyncRead for Idle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() && !self.is_begun {
            self.is_begun = true;
            let end = Instant::now() + self.most.1;
            self.timer.as_mut().reset(end);
        }
        self.observe(context, read)
    }
}

impl AsyncWrite for Idle {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.observe(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            // That nothing had to be flushed is no sign of life.
            Poll::Ready(flushed) => Poll::Ready(flushed),
            Poll::Pending => self.observe(context, Poll::Pending),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.observe(context, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.observe(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const MOST: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_stream_lives_while_something_travels() {
        let (mut peer, stream) = duplex(64);
        let mut idle = Idle::new(Box::new(stream), MOST, MOST);
        for _ in 0..5 {
            sleep(MOST * 9 / 10).await;
            peer.write_all(b"x").await.unwrap();
            assert_eq!(idle.read_u8().await.unwrap(), b'x');
        }
        let begun = Instant::now();
        assert_eq!(idle.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), MOST.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_byte_has_a_time_of_its_own() {
        let (_peer, stream) = duplex(64);
        let mut idle = Idle::new(Box::new(stream), MOST / 10, MOST);
        let begun = Instant::now();
        assert_eq!(idle.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), MOST / 10);
        let (mut peer, stream) = duplex(64);
        let mut idle = Idle::new(Box::new(stream), MOST / 10, MOST);
        peer.write_all(b"x").await.unwrap();
        idle.read_u8().await.unwrap();
        let begun = Instant::now();
        idle.read_u8().await.unwrap_err();
        assert_eq!(begun.elapsed(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_ends_it() {
        let (_peer, stream) = duplex(64);
        let mut idle = Idle::new(Box::new(stream), MOST, MOST);
        assert_eq!(idle.write_all(&[0; 100]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
