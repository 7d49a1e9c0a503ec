//! The log of a daemon: lines on standard error, for people or as JSON for programs.
//!
//! How lines are written: one line says what has happened, to whom, and what is to be done if something is. Whatever can be
//! searched for (node, epoch, order, peer) is a field. No secrets, no variables of orders, nothing that is said of each event. Levels:
//! see [`Level`].
//!
//! Logging never waits: lines go to a thread of their own, and when it does not get rid of them, because nobody reads what is
//! written, further lines are dropped, and counted. A node must not stall, and be taken for lost, for the sake of its log.

use crate::config::{Level, Log, LogFormat};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, layer};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// So many lines may wait.
const WAITING: usize = 4096;

/// So long the last lines may take to be written when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often it is looked whether they are written.
const LOOK: Duration = Duration::from_millis(1);

/// What begins the names of our own crates. Of all others only warnings are wanted.
const OURS: &str = "baton";

/// Logging, until it is dropped: that waits a moment for the last lines. Keep it as long as the process lives.
#[derive(Debug)]
#[must_use]
pub struct Logging(Lines);

/// The log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The operating system gives no thread.
    #[error("the operating system starts no thread for the log: {0}")]
    NoThread(#[from] io::Error),
    /// Something in this process logs already.
    #[error("the log of this process was started before")]
    Started,
}

/// Starts the log of this process: everything that `tracing` is told, and warnings of other libraries. A panic is logged, too.
///
/// # Errors
/// When it was started before, or there is no thread for it.
pub fn start(log: Log) -> Result<Logging, LoggingError> {
    let lines = Lines::start(log.format, io::stderr())?;
    // The system's journal knows the time itself, and which lines are worse, if it is told so.
    let is_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let ours = match log.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let filter = Targets::new().with_default(ours.min(LevelFilter::WARN)).with_target(OURS, ours);
    let base = layer().with_writer(lines.clone()).with_ansi(false);
    let text = base.with_target(false).compact();
    let registry = tracing_subscriber::registry();
    let started = match log.format {
        LogFormat::Json => {
            registry.with(layer().with_writer(lines.clone()).json().flatten_event(true).with_filter(filter)).try_init()
        }
        LogFormat::Text if is_journal => {
            registry.with(text.without_time().map_event_format(Graded).with_filter(filter)).try_init()
        }
        LogFormat::Text => registry.with(text.with_filter(filter)).try_init(),
    };
    started.map_err(|_| LoggingError::Started)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, "a bug, please report it: {message}");
    }));
    Ok(Logging(lines))
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.wait();
    }
}

/// Lines on their way to the thread that writes them. Clones have the same thread.
#[derive(Clone, Debug)]
struct Lines {
    waiting: SyncSender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Handed over.
    taken: AtomicU64,
    /// Written, or failed to be.
    done: AtomicU64,
    /// Dropped, and not yet told.
    dropped: AtomicU64,
}

impl Lines {
    fn start(format: LogFormat, out: impl Write + Send + 'static) -> io::Result<Self> {
        let (waiting, lines) = sync_channel(WAITING);
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&lines, &theirs, format, out))?;
        Ok(Self { waiting, counts })
    }

    /// Waits a moment until everything is written.
    fn wait(&self) {
        let end = Instant::now() + LAST_WORDS;
        let is_done = || self.counts.done.load(Ordering::Acquire) >= self.counts.taken.load(Ordering::Acquire);
        while !is_done() && Instant::now() < end {
            thread::sleep(LOOK);
        }
    }
}

fn write_all(lines: &Receiver<Vec<u8>>, counts: &Counts, format: LogFormat, mut out: impl Write) {
    while let Ok(line) = lines.recv() {
        // Whom should we tell that the log cannot be written?
        let _ = out.write_all(&line);
        let dropped = counts.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let message = format!("{dropped} lines of the log were dropped, for nobody has read it");
            let _ = match format {
                LogFormat::Text => writeln!(out, "WARN {message}"),
                LogFormat::Json => writeln!(out, "{{\"level\":\"WARN\",\"message\":\"{message}\"}}"),
            };
        }
        counts.done.fetch_add(1, Ordering::Release);
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Each write is a line: that is how the subscriber does it.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.counts.taken.fetch_add(1, Ordering::Release);
        if self.waiting.try_send(line.to_vec()).is_err() {
            self.counts.taken.fetch_sub(1, Ordering::Release);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines which begin with their priority, as the system's journal understands it.
struct Graded<F>(F);

impl<S, N, F> FormatEvent<S, N> for Graded<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            _ => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Takes what is written, as soon as somebody lets it.
    #[derive(Clone, Default)]
    struct Slow(Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_the_log() {
        let out = Slow::default();
        let mut lines = Lines::start(LogFormat::Text, out.clone()).unwrap();
        let held = out.0.lock().unwrap();
        for _ in 0..WAITING + 10 {
            lines.write_all(b"line\n").unwrap();
        }
        drop(held);
        lines.wait();
        lines.write_all(b"last\n").unwrap();
        lines.wait();
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("last\n") && text.contains(" lines of the log were dropped"), "{}", text.len());
        assert!(text.matches("line\n").count() >= WAITING);
    }
}
