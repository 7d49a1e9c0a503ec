//! Streams that go on: a body which is written while it is read, as lines (NDJSON) or as server-sent events.
//!
//! At both ends there is a bounded buffer. A writer whose reader takes nothing waits, and gives up after [`TAKEN`]; a reader gives up when
//! a line is longer than it allows, or when nothing has come for longer than it allows: who writes says [something](Writer::sign_of_life)
//! from time to time.

use super::BoxError;
use super::client::HttpError;
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::body::{Bytes, Incoming};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::time::timeout;

/// So many pieces may wait for the reader.
pub const BUFFERED: usize = 16;

/// So long a reader may take to take one piece when all places are full. Half of the time after which the system ends a connection
/// whose peer confirms nothing, so that a last word can still be said.
pub const TAKEN: Duration = Duration::from_secs(10);

/// The form of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON value in each line.
    JsonLines,
    /// Server-sent events, as browsers read them.
    ServerSent,
}

impl Form {
    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::ServerSent => "text/event-stream",
        }
    }
}

/// The body of a response that is written as it goes on.
pub type EventBody = Channel<Bytes, BoxError>;

/// Nobody reads any more, or not fast enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The reader is gone.
    #[error("the reader of the events is gone")]
    Gone,
    /// The reader takes nothing.
    #[error("the reader of the events has taken nothing for {TAKEN:?}")]
    TooSlow,
}

/// Writes events. When it is dropped, the stream ends.
pub struct Writer {
    form: Form,
    sender: Sender<Bytes, BoxError>,
}

/// A stream: who writes it, and the body for the response.
#[must_use]
pub fn stream(form: Form) -> (Writer, EventBody) {
    let (sender, body) = Channel::new(BUFFERED);
    (Writer { form, sender }, body)
}

impl Writer {
    /// Writes an event: JSON in one line, and the id after which a reader may go on later.
    ///
    /// # Errors
    /// When nobody reads it. Then the stream is over.
    pub async fn write(&mut self, id: Option<u64>, json: &str) -> Result<(), WriteError> {
        let mut text = String::with_capacity(json.len() + 40);
        match self.form {
            Form::JsonLines => {
                text.extend(json.lines());
                text.push('\n');
            }
            Form::ServerSent => {
                if let Some(id) = id {
                    // Writing to memory does not fail.
                    let _ = writeln!(text, "id: {id}");
                }
                for line in json.lines() {
                    let _ = writeln!(text, "data: {line}");
                }
                text.push('\n');
            }
        }
        self.send(text).await
    }

    /// Says that the stream still goes on.
    ///
    /// # Errors
    /// When nobody reads it.
    pub async fn sign_of_life(&mut self) -> Result<(), WriteError> {
        let text = match self.form {
            Form::JsonLines => "\n",
            Form::ServerSent => ":\n\n",
        };
        self.send(text.to_owned()).await
    }

    async fn send(&mut self, text: String) -> Result<(), WriteError> {
        match timeout(TAKEN, self.sender.send_data(text.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(WriteError::Gone),
            Err(_) => Err(WriteError::TooSlow),
        }
    }
}

/// Bounds for who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Longest line, in bytes; of a server-sent event, all its lines together.
    pub line: usize,
    /// How long nothing may come.
    pub silence: Duration,
}

/// Reads a body line by line.
pub struct Lines {
    body: Incoming,
    limits: ReadLimits,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to where there is no end of a line.
    searched: usize,
}

impl Lines {
    pub(super) fn new(body: Incoming, limits: ReadLimits) -> Self {
        Self { body, limits, buffer: Vec::new(), start: 0, searched: 0 }
    }

    /// The next line without its end; none at the end of the stream. Empty lines, which are signs of life, are among them.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// When a line is too long, nothing comes for too long, or the stream breaks off.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        loop {
            if let Some(length) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let end = self.searched + length;
                let line = &self.buffer[self.start..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.start = end + 1;
                self.searched = self.start;
                return Ok(Some(line));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            self.searched = self.buffer.len();
            if self.buffer.len() > self.limits.line {
                return Err(HttpError::TooLong { limit: self.limits.line });
            }
            let silence = self.limits.silence;
            match timeout(silence, self.body.frame()).await {
                Ok(Some(Ok(frame))) => self.buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Ok(Some(Err(error))) => return Err(HttpError::of(&error)),
                Ok(None) if self.buffer.is_empty() => return Ok(None),
                Ok(None) => return Ok(Some(std::mem::take(&mut self.buffer)).inspect(|_| self.searched = 0)),
                Err(_) => return Err(HttpError::Silent { after: silence }),
            }
        }
    }

    /// Goes on as server-sent events.
    #[must_use]
    pub fn server_sent(self) -> ServerSent {
        ServerSent { lines: self, id: None, data: None }
    }
}

/// A server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The last id which was given.
    pub id: Option<String>,
    /// What was sent: its lines, with line ends between them.
    pub data: String,
}

/// Reads server-sent events. Their types are not looked at: ours have one.
pub struct ServerSent {
    lines: Lines,
    id: Option<String>,
    data: Option<String>,
}

impl ServerSent {
    /// The next event; none at the end of the stream. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Lines::next`].
    pub async fn next(&mut self) -> Result<Option<Event>, HttpError> {
        while let Some(line) = self.lines.next().await? {
            let line = String::from_utf8_lossy(&line);
            if line.is_empty() {
                if let Some(data) = self.data.take() {
                    return Ok(Some(Event { id: self.id.clone(), data }));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => match &mut self.data {
                    Some(data) => {
                        if data.len() + value.len() >= self.lines.limits.line {
                            return Err(HttpError::TooLong { limit: self.lines.limits.line });
                        }
                        data.push('\n');
                        data.push_str(value);
                    }
                    data => *data = Some(value.to_owned()),
                },
                "id" => self.id = Some(value.to_owned()),
                // Comments, and what is of no use here.
                _ => {}
            }
        }
        Ok(None)
    }
}
