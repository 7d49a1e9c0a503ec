//! Waits until a cluster works as it should: one active node, coupled, all linked.

use super::installation::{Installation, NODES, SEATS};
use super::oracle::Oracle;
use super::{Access, Failure};
use baton_protocol::register::Seat;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often the cluster is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Looks at a cluster.
pub(crate) struct Health {
    pub(crate) access: Access,
    pub(crate) oracle: Arc<Oracle>,
}

impl Health {
    /// Waits for some time, while it takes notice of processes that end.
    pub(crate) async fn wait(&self, installation: &mut Installation, until: Instant) -> Result<(), Failure> {
        loop {
            for seat in SEATS {
                installation.is_running(seat)?;
            }
            self.oracle.verdict()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sleep(LOOK.min(left)).await;
        }
    }

    /// Waits until there is one active node, coupled, with all its links; and a command was answered whose attempts began after a
    /// moment. Returns the active node.
    ///
    /// # Errors
    /// When it is not so within the limit, or something has happened that must not.
    pub(crate) async fn working(
        &self,
        installation: &mut Installation,
        since: Option<Instant>,
        limit: Duration,
    ) -> Result<Seat, Failure> {
        let began = Instant::now();
        loop {
            self.wait(installation, Instant::now() + LOOK).await?;
            // Some end later than expected, as they were told.
            installation.start_all()?;
            let mut standings = Vec::new();
            for node in NODES {
                let status = self.access.status(node).await.unwrap_or_default();
                if status.is_active {
                    self.oracle.claims(status.epoch, node);
                }
                standings.push(status);
            }
            let is_whole = standings.iter().all(|status| status.is_coupled && status.is_linked);
            let active: Vec<_> = NODES.into_iter().zip(&standings).filter(|(_, status)| status.is_active).collect();
            let answered = since.is_none_or(|since| self.oracle.answered_since(since).is_some());
            if let [(node, status)] = active[..]
                && is_whole
                && answered
                && status.is_ready
            {
                return Ok(node);
            }
            if began.elapsed() > limit {
                let texts: Vec<_> = standings.into_iter().map(|status| status.text).collect();
                return Err(format!("there is no working pair after {limit:?}; answered {answered}; {texts:?}").into());
            }
        }
    }

    /// Waits until the readers have read what clients were told, and compares it.
    ///
    /// # Errors
    /// When they have not within the limit, or it does not fit.
    pub(crate) async fn everything_is_read(&self, limit: Duration) -> Result<(), Failure> {
        let until = self.oracle.told_until();
        let began = Instant::now();
        while self.oracle.read_until() < until {
            sleep(LOOK).await;
            self.oracle.verdict()?;
            if began.elapsed() > limit {
                let read = self.oracle.read_until();
                return Err(
                    format!("a client was told of event {until}, and a reader still reads only until {read}").into()
                );
            }
        }
        self.oracle.check()
    }
}
