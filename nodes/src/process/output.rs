//! One output pipe of a process: read while somebody asks, decoded to text, cut into chunks.
//!
//! Nothing is read ahead of the consumer beyond one chunk, and an empty pipe holds no buffer. What is read is passed on
//! when a chunk is full, when the first of it has waited for [`MAX_DELAY`], or when the pipe has ended. Invalid UTF-8
//! becomes replacement characters; a character is never cut in two by a chunk.
//!
//! A pipe is not watched from the beginning. Most processes end soon, and then one look at it is enough; to have it watched,
//! to be woken up by its end, and to give it up again would cost more than all the rest of the launcher's work.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_setfl};
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, sleep_until};

/// A chunk is passed on when it has reached this size in bytes.
const CHUNK_SIZE: usize = 32 << 10;

/// How much is read at once, and so what a chunk may be longer than [`CHUNK_SIZE`], in bytes.
const READ_SIZE: usize = 16 << 10;

/// So long output waits for more to make up a chunk.
pub(super) const MAX_DELAY: Duration = Duration::from_millis(50);

/// So long after its start nobody looks whether a process has written. Much less than [`MAX_DELAY`], which it adds to once.
const UNWATCHED: Duration = Duration::from_millis(5);

/// A stream of output of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The reading end of an output pipe.
pub(super) struct OutputPipe {
    /// `None`: the pipe has ended or is abandoned.
    pipe: Option<Pipe>,
    bytes: Vec<u8>,
    /// When `bytes` are to be passed on.
    due: Option<Instant>,
    decoder: Decoder,
}

enum Pipe {
    /// To be looked at from then on, or when the process has ended.
    Unwatched(OwnedFd, Instant),
    Watched(Receiver),
}

impl Pipe {
    /// Reads what there is. `WouldBlock` if there is nothing, or it is not the time to look.
    fn read(&self, buffer: &mut [u8], process_has_ended: bool) -> io::Result<usize> {
        match self {
            Self::Watched(pipe) => pipe.try_read(buffer),
            Self::Unwatched(pipe, until) if process_has_ended || *until <= Instant::now() => {
                Ok(rustix::io::read(pipe, buffer)?)
            }
            Self::Unwatched(..) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Has it watched, if it is time. When the system refuses that, it is looked at again after a while.
    fn watch(&mut self, process_has_ended: bool) {
        let now = Instant::now();
        if let Self::Unwatched(pipe, until) = self
            && (process_has_ended || *until <= now)
        {
            match pipe.try_clone().and_then(Receiver::from_owned_fd_unchecked) {
                Ok(pipe) => *self = Self::Watched(pipe),
                Err(_) => *until = now + UNWATCHED,
            }
        }
    }
}

impl OutputPipe {
    pub(super) fn new(descriptor: OwnedFd) -> io::Result<Self> {
        fcntl_setfl(&descriptor, OFlags::NONBLOCK)?;
        let pipe = Some(Pipe::Unwatched(descriptor, Instant::now() + UNWATCHED));
        Ok(Self { pipe, bytes: Vec::new(), due: None, decoder: Decoder::default() })
    }

    /// Reads what there is, up to a chunk; returns how much.
    pub(super) fn read(&mut self, process_has_ended: bool) -> usize {
        let before = self.bytes.len();
        while let Some(pipe) = &mut self.pipe
            && self.bytes.len() < CHUNK_SIZE
        {
            let mut buffer = [0; READ_SIZE];
            match pipe.read(&mut buffer, process_has_ended) {
                Ok(length @ 1..) => {
                    self.due.get_or_insert_with(|| Instant::now() + MAX_DELAY);
                    self.bytes.extend_from_slice(&buffer[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    pipe.watch(process_has_ended);
                    break;
                }
                Ok(_) | Err(_) => self.pipe = None,
            }
        }
        self.bytes.len() - before
    }

    /// The next chunk if there is one to be passed on now.
    pub(super) fn chunk(&mut self) -> Option<String> {
        let is_due = || self.due.is_some_and(|due| due <= Instant::now());
        if self.pipe.is_some() && self.bytes.len() < CHUNK_SIZE && !is_due() {
            return None;
        }
        self.due = None;
        let text = self.decoder.decode(std::mem::take(&mut self.bytes), self.pipe.is_none());
        (!text.is_empty()).then_some(text)
    }

    /// When the next chunk is to be passed on, at latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.pipe.is_none() && self.bytes.is_empty() && self.decoder.is_empty()
    }

    /// Waits until there is something to read. For ever, if the pipe has ended.
    pub(super) async fn readable(&self) {
        match &self.pipe {
            Some(Pipe::Watched(pipe)) => {
                // An error shows again when reading.
                let _ = pipe.readable().await;
            }
            Some(Pipe::Unwatched(_, until)) => sleep_until(*until).await,
            None => std::future::pending().await,
        }
    }

    /// Reads no more. Returns the pipe if somebody still holds its other end.
    pub(super) fn abandon(&mut self) -> Option<Receiver> {
        match self.pipe.take()? {
            Pipe::Watched(pipe) => Some(pipe),
            Pipe::Unwatched(pipe, _) => Receiver::from_owned_fd_unchecked(pipe).ok(),
        }
    }
}

/// Reads and forgets until the pipe ends.
pub(super) async fn drain(pipe: Receiver) {
    let mut buffer = [0; 512];
    loop {
        match pipe.try_read(&mut buffer) {
            Ok(1..) => tokio::task::yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if pipe.readable().await.is_err() {
                    return;
                }
            }
            Ok(_) | Err(_) => return,
        }
    }
}

/// Bytes to text, across chunks.
#[derive(Default)]
struct Decoder {
    /// The beginning of a character whose rest has not arrived; at most 3 bytes.
    partial: Vec<u8>,
}

impl Decoder {
    fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    fn decode(&mut self, mut bytes: Vec<u8>, is_last: bool) -> String {
        if !self.partial.is_empty() {
            bytes.splice(..0, self.partial.drain(..));
        }
        if !is_last {
            let keep = incomplete_suffix(&bytes);
            self.partial = bytes.split_off(bytes.len() - keep);
        }
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// The number of bytes at the end that are the beginning of a character.
fn incomplete_suffix(bytes: &[u8]) -> usize {
    (1..=3.min(bytes.len()))
        .find(|length| {
            let suffix = &bytes[bytes.len() - length..];
            std::str::from_utf8(suffix).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_does_not_depend_on_where_it_is_cut() {
        let samples: [&[u8]; 6] = [
            "aä€😀z".as_bytes(),
            b"\xff\xfe",
            b"a\xc3",
            b"\xf0\x9f\x98",
            b"\xe2\x82a\xc3\xc3\xa4",
            b"\xed\xa0\x80\xf0\x9f\xf0\x9f\x98\x80",
        ];
        for sample in samples {
            let expected = String::from_utf8_lossy(sample);
            for first in 0..=sample.len() {
                for second in first..=sample.len() {
                    let mut decoder = Decoder::default();
                    let mut text = decoder.decode(sample[..first].to_vec(), false);
                    text += &decoder.decode(sample[first..second].to_vec(), false);
                    text += &decoder.decode(sample[second..].to_vec(), true);
                    assert_eq!(text, expected, "{sample:x?} cut at {first} and {second}");
                    assert!(decoder.is_empty());
                }
            }
        }
    }
}
