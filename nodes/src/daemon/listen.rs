//! Accepts links from other nodes, for as long as the node runs.
//!
//! Whoever is turned away is told in the log, so that a person finds a wrong name, an expired certificate, or somebody who tries
//! doors. A flood of such lines is cut down to [`LINES`] in each [`PERIOD`].

use baton_net::accept::{Acceptor, Arrival};
use baton_net::dial::Connection;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// So many lines about who was turned away are written in each period.
const LINES: u32 = 10;

/// See [`LINES`].
const PERIOD: Duration = Duration::from_secs(60);

/// Accepts links until the node has ended; `take` gets each.
pub(super) async fn accept(mut acceptor: Acceptor, take: impl Fn(Connection), ended: impl Future<Output = ()>) {
    let mut ended = pin!(ended);
    let mut lines = Lines::new();
    loop {
        let arrival = tokio::select! {
            biased;
            () = &mut ended => return,
            arrival = acceptor.accept() => arrival,
        };
        match arrival {
            Arrival::Node(connection) => take(*connection),
            Arrival::TurnedAway { from, why } => lines.write(|| tracing::warn!(%from, "turned away: {why}")),
            Arrival::Failed(error) => {
                lines
                    .write(|| tracing::error!("the system cannot accept connections now, and is asked again: {error}"));
            }
        }
    }
}

/// Cuts a flood of lines down.
struct Lines {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl Lines {
    fn new() -> Self {
        Self { since: Instant::now(), written: 0, left_out: 0 }
    }

    fn write(&mut self, line: impl FnOnce()) {
        if self.since.elapsed() >= PERIOD {
            if self.left_out > 0 {
                tracing::warn!("{} more connections like these were turned away", self.left_out);
            }
            *self = Self::new();
        }
        if self.written < LINES {
            self.written += 1;
            line();
        } else {
            self.left_out += 1;
        }
    }
}
