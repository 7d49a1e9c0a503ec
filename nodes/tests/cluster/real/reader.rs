//! Reads all events, wherever they are told: after each interruption at the other node, from the last event on that it has read.

use super::Access;
use super::lines::{number, text};
use super::oracle::Oracle;
use baton_protocol::random::Random;
use baton_protocol::register::Seat;
use std::sync::Arc;
use std::time::Duration;

/// The pause before the other node is asked.
const AGAIN: Duration = Duration::from_millis(20);

/// A reader.
pub(crate) struct Reader {
    /// Which.
    pub(crate) number: usize,
    pub(crate) access: Access,
    pub(crate) oracle: Arc<Oracle>,
    /// When it reads only a few events at a time, and how many.
    pub(crate) random: Option<Random>,
}

impl Reader {
    /// Reads until it is dropped.
    pub(crate) async fn run(mut self) {
        let (mut after, mut node) = (0, Seat::First);
        loop {
            let limit = self.random.as_mut().map_or(u64::MAX, |random| random.between(1, 300));
            if let Ok(response) = self.access.events(node, &format!("after={after}&limit={limit}")).await
                && response.status().is_success()
            {
                let mut lines = response.into_body();
                while let Ok(Some(line)) = lines.next().await {
                    let line = String::from_utf8_lossy(&line);
                    if line.is_empty() {
                        continue;
                    }
                    // The last word.
                    if text(&line, "TYPE") == Some("Problem") {
                        break;
                    }
                    self.oracle.read(self.number, &line);
                    after = number(&line, "eventId").unwrap_or(after);
                }
            }
            node = node.peer();
            tokio::time::sleep(AGAIN).await;
        }
    }
}
