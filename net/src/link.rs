//! A link: frames in both directions over a stream of bytes.
//!
//! The stream may be anything that reads and writes: a socket, a TLS session, a pipe within the process. There is no
//! shortcut for the latter: what travels is bytes, always, so that what works in one process works between machines.
//!
//! A link ends at once, for both halves, with one [`Closed`] reason, the first: the peer ends it, the stream breaks, what
//! arrives is no frame, the peer does not take what is sent ([`QUEUE_BYTES`]), or it is [hung up](Sender::hang_up) here.
//! What was sent but has not left by then is lost, except after hanging up: then what is queued still gets
//! [`FAREWELL`] to leave, so that the peer learns why.
//!
//! Nothing here notices a silent peer: signs of life belong to who uses the link.

use baton_protocol::frame::{Decoder, Frame, FrameError};
use baton_protocol::limit;
use std::io::{self, Cursor};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// So many bytes may wait for a peer that is slow.
pub const QUEUE_BYTES: usize = 64 << 20;

/// So long a link that was hung up may take to send what is queued.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// How much is read at once, in bytes.
const READ: usize = 64 << 10;

/// Frames are collected up to this size before they are written, in bytes.
const WRITE: usize = 64 << 10;

// The longest frame can be queued.
const _: () = assert!(QUEUE_BYTES >= limit::FRAME_PAYLOAD + baton_protocol::frame::HEADER);

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The peer ended it, between two frames.
    #[error("the peer has ended the connection")]
    ByPeer,
    /// It was hung up here.
    #[error("{0}")]
    HungUp(String),
    /// The stream failed.
    #[error("the connection is broken: {0}")]
    Broken(String),
    /// The stream ended within a frame.
    #[error("the connection ended in the middle of a frame")]
    Torn,
    /// The peer sends something else than frames that are understood.
    #[error("what the peer sends is not understood: {0}")]
    NotUnderstood(FrameError),
    /// The peer takes less than is sent.
    #[error("the peer is too slow: more than {QUEUE_BYTES} bytes are waiting for it")]
    TooSlow,
}

/// Opens a link over a connected stream. `versions` are those of the frames that are understood here.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn open<S>(stream: S, versions: RangeInclusive<u16>) -> (Sender, Receiver<S>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reading, writing) = split(stream);
    let (queue, queued) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared { closed: watch::Sender::new(None), waiting: AtomicUsize::new(0) });
    tokio::spawn(write(writing, queued, Arc::clone(&shared)));
    let receiver = Receiver {
        stream: reading,
        decoder: Decoder::new(versions, limit::FRAME_PAYLOAD),
        buffer: vec![0; READ].into_boxed_slice(),
        read: 0..0,
        closed: shared.closed.subscribe(),
        shared: Arc::clone(&shared),
    };
    (Sender { queue, shared }, receiver)
}

/// What both halves share.
struct Shared {
    closed: watch::Sender<Option<Closed>>,
    /// Bytes in the queue. The queue itself has no bound, this has.
    waiting: AtomicUsize,
}

impl Shared {
    /// Ends the link unless it has ended already. Says why it has.
    fn close(&self, reason: Closed) -> Closed {
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(reason.clone());
            }
            first
        });
        self.reason().unwrap_or(reason)
    }

    fn reason(&self) -> Option<Closed> {
        self.closed.borrow().clone()
    }
}

/// Sends over a link. Clones send over the same link. The link ends when the [`Receiver`] is dropped.
#[derive(Clone)]
pub struct Sender {
    queue: mpsc::UnboundedSender<Arc<[u8]>>,
    shared: Arc<Shared>,
}

impl Sender {
    /// Queues a whole frame, encoded. Never waits: a peer that is too slow for what is sent ends the link.
    ///
    /// # Errors
    /// When the link has ended, with the reason.
    pub fn send(&self, frame: Arc<[u8]>) -> Result<(), Closed> {
        if let Some(reason) = self.shared.reason() {
            return Err(reason);
        }
        let length = frame.len();
        let waiting = self.shared.waiting.fetch_add(length, Ordering::Relaxed);
        if waiting + length > QUEUE_BYTES {
            return Err(self.shared.close(Closed::TooSlow));
        }
        self.queue.send(frame).map_err(|_| self.shared.close(Closed::ByPeer))
    }

    /// Ends the link. What is queued is sent, if the peer takes it soon.
    pub fn hang_up(&self, reason: impl Into<String>) {
        self.shared.close(Closed::HungUp(reason.into()));
    }
}

/// Receives from a link.
pub struct Receiver<S> {
    stream: ReadHalf<S>,
    decoder: Decoder,
    buffer: Box<[u8]>,
    /// What of the buffer was read from the stream but not yet decoded.
    read: Range<usize>,
    closed: watch::Receiver<Option<Closed>>,
    shared: Arc<Shared>,
}

impl<S: AsyncRead + AsyncWrite> Receiver<S> {
    /// The next frame. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the link has ended, with the reason. The same error comes again.
    pub async fn next(&mut self) -> Result<Frame, Closed> {
        loop {
            if let Some(reason) = self.shared.reason() {
                return Err(reason);
            }
            if !self.read.is_empty() {
                let mut rest = &self.buffer[self.read.clone()];
                let decoded = self.decoder.read(&mut rest);
                self.read.start = self.read.end - rest.len();
                match decoded {
                    Ok(Some(frame)) => return Ok(frame),
                    Ok(None) => {}
                    Err(error) => return Err(self.shared.close(Closed::NotUnderstood(error))),
                }
            }
            tokio::select! {
                biased;
                // The sender is in `shared`, it does not end. The reason is looked at above.
                _ = self.closed.changed() => {}
                read = self.stream.read(&mut self.buffer) => match read {
                    Ok(0) if self.decoder.is_between_frames() => return Err(self.shared.close(Closed::ByPeer)),
                    Ok(0) => return Err(self.shared.close(Closed::Torn)),
                    Ok(length) => self.read = 0..length,
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        // TLS says good-bye; a process that was killed does not.
                        return Err(self.shared.close(Closed::Broken("the peer has gone without a word".to_owned())));
                    }
                    Err(error) => return Err(self.shared.close(Closed::Broken(error.to_string()))),
                },
            }
        }
    }
}

impl<S> Drop for Receiver<S> {
    fn drop(&mut self) {
        self.shared.close(Closed::HungUp("nobody listens any more".to_owned()));
    }
}

/// Writes what is queued until the link ends.
async fn write<S>(mut stream: WriteHalf<S>, mut queued: mpsc::UnboundedReceiver<Arc<[u8]>>, shared: Arc<Shared>)
where
    S: AsyncWrite,
{
    let mut closed = shared.closed.subscribe();
    let mut collected = Cursor::new(Vec::new());
    let reason = loop {
        tokio::select! {
            biased;
            reason = closed.wait_for(Option::is_some) => break reason.ok().and_then(|reason| reason.clone()),
            written = write_some(&mut stream, &mut queued, &mut collected, &shared) => match written {
                Ok(true) => {}
                // Nobody can send any more.
                Ok(false) => break None,
                Err(error) => break Some(shared.close(Closed::Broken(error.to_string()))),
            },
        }
    };
    if !matches!(reason, None | Some(Closed::HungUp(_))) {
        return;
    }
    queued.close();
    let farewell = async {
        while write_some(&mut stream, &mut queued, &mut collected, &shared).await? {}
        stream.shutdown().await
    };
    // Whether the peer heard it is no concern of an ended link.
    let _ = timeout(FAREWELL, farewell).await;
}

/// Writes what is queued now, or waits for something to be queued. Whether there may be more. When the future is dropped,
/// `collected` knows what is still to be written.
async fn write_some<S: AsyncWrite>(
    stream: &mut WriteHalf<S>,
    queued: &mut mpsc::UnboundedReceiver<Arc<[u8]>>,
    collected: &mut Cursor<Vec<u8>>,
    shared: &Shared,
) -> io::Result<bool> {
    if is_written(collected) {
        let Some(frame) = queued.recv().await else { return Ok(false) };
        let bytes = collected.get_mut();
        bytes.clear();
        // A long frame's buffer is not kept.
        bytes.shrink_to(WRITE);
        bytes.extend_from_slice(&frame);
        while bytes.len() < WRITE
            && let Ok(frame) = queued.try_recv()
        {
            bytes.extend_from_slice(&frame);
        }
        collected.set_position(0);
    }
    while !is_written(collected) {
        let length = stream.write_buf(collected).await?;
        if length == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        shared.waiting.fetch_sub(length, Ordering::Relaxed);
    }
    stream.flush().await?;
    Ok(true)
}

fn is_written(collected: &Cursor<Vec<u8>>) -> bool {
    collected.position() >= collected.get_ref().len() as u64
}
