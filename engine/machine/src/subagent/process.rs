//! One process of a subagent.

use crate::process::{KillCause, ProcessSpec, Signal};
use alloc::boxed::Box;
use alloc::string::String;

/// With so many bytes of unreceived output, a process is not read any further.
const OUTPUT_BYTES: usize = 256 << 10;

/// Longest line of standard error that is remembered, in bytes.
const ERROR_LINE: usize = 4096;

/// A process that is being started or runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// What to start when the former process of the order has ended.
    waiting: Option<Box<ProcessSpec>>,
    is_running: bool,
    /// The strongest signal sent, or to be sent as soon as it runs; and the cause that counts.
    kill: Option<(Signal, KillCause)>,
    unreceived: usize,
    is_paused: bool,
    /// The last line of standard error that is not blank, and what may become the next.
    error_line: Option<String>,
    unfinished_line: String,
}

impl Process {
    /// Of an order whose former process has not ended yet.
    pub(super) fn waiting(spec: ProcessSpec) -> Self {
        Self { waiting: Some(Box::new(spec)), ..Self::default() }
    }

    /// Whether it has not even been started.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// What is to be started now.
    pub(super) fn take_waiting(&mut self) -> Option<ProcessSpec> {
        self.waiting.take().map(|spec| *spec)
    }

    /// It is to get a signal. Whether that is to be sent now.
    pub(super) fn kill(&mut self, signal: Signal, cause: KillCause) -> bool {
        let (before, cause_before) = match self.kill {
            Some((signal, cause)) => (Some(signal), Some(cause)),
            None => (None, None),
        };
        let strongest = before.map_or(signal, |before| before.max(signal));
        self.kill = Some((strongest, cause_before.map_or(cause, |before| before.max(cause))));
        self.is_running && Some(strongest) != before
    }

    /// It runs now. The signal that waits for that.
    pub(super) fn started(&mut self) -> Option<Signal> {
        self.is_running = true;
        self.kill.map(|(signal, _)| signal)
    }

    pub(super) fn cause(&self) -> Option<KillCause> {
        self.kill.map(|(_, cause)| cause)
    }

    /// More output waits to be received. Whether to pause.
    pub(super) fn output_is_waiting(&mut self, bytes: usize) -> bool {
        self.unreceived += bytes;
        let pauses = !self.is_paused && self.unreceived > OUTPUT_BYTES;
        self.is_paused |= pauses;
        pauses
    }

    /// Output was received. Whether to read on.
    pub(super) fn output_was_received(&mut self, bytes: usize) -> bool {
        self.unreceived = self.unreceived.saturating_sub(bytes);
        let resumes = self.is_paused && self.unreceived <= OUTPUT_BYTES / 2;
        self.is_paused &= !resumes;
        resumes
    }

    pub(super) fn note_error(&mut self, chunk: &str) {
        let mut lines = chunk.split('\n');
        if let Some(rest) = lines.next() {
            self.extend_line(rest);
        }
        for line in lines {
            self.finish_line();
            self.extend_line(line);
        }
    }

    /// The last line of standard error; empty if there were only blank ones.
    pub(super) fn error_line(mut self) -> Option<String> {
        self.finish_line();
        self.error_line
    }

    fn extend_line(&mut self, text: &str) {
        let room = ERROR_LINE.saturating_sub(self.unfinished_line.len());
        self.unfinished_line.push_str(&text[..text.floor_char_boundary(room)]);
    }

    fn finish_line(&mut self) {
        let line = core::mem::take(&mut self.unfinished_line);
        if !line.trim().is_empty() {
            self.error_line = Some(line.trim_end().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_waits_for_the_start() {
        let mut process = Process::default();
        assert!(!process.kill(Signal::Terminate, KillCause::Command));
        assert_eq!(process.started(), Some(Signal::Terminate));
        assert!(!process.kill(Signal::Terminate, KillCause::Timeout));
        assert!(process.kill(Signal::Kill, KillCause::Command));
        assert_eq!(process.cause(), Some(KillCause::Timeout));
    }

    #[test]
    fn pauses_when_nobody_receives() {
        let mut process = Process::default();
        assert!(!process.output_is_waiting(OUTPUT_BYTES));
        assert!(process.output_is_waiting(1));
        assert!(!process.output_is_waiting(1));
        assert!(!process.output_was_received(OUTPUT_BYTES / 4));
        assert!(process.output_was_received(OUTPUT_BYTES / 2));
        assert!(!process.output_was_received(1));
    }

    #[test]
    fn remembers_the_last_line() {
        let line = |chunks: &[&str]| {
            let mut process = Process::default();
            for chunk in chunks {
                process.note_error(chunk);
            }
            process.error_line()
        };
        assert_eq!(line(&[]), None);
        assert_eq!(line(&["one\ntw", "o\n", "\n"]).as_deref(), Some("two"));
        assert_eq!(line(&["one\ntwo"]).as_deref(), Some("two"));
        assert_eq!(line(&["x".repeat(9000).as_str(), "y\n"]).map(|line| line.len()), Some(ERROR_LINE));
    }
}
