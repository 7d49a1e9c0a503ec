//! What nodes tell whoever operates them: warnings, and why a node halts. How it is shown is for others.
//!
//! Nothing here waits: of warnings beyond a bound only the first are kept, of halts the first.

use super::Halt;
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Warnings that may wait for being shown.
const WARNINGS: usize = 100;

/// Tells the operator what a node has to say. Clones speak for the same node.
#[derive(Clone, Debug)]
pub struct Operator {
    node: Arc<str>,
    warnings: mpsc::Sender<Warning>,
    halts: mpsc::Sender<Halted>,
}

/// Something went wrong, or was found wrong, but does no harm to what the node does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which node.
    pub node: Arc<str>,
    /// What.
    pub text: String,
}

/// A node has halted.
#[derive(Debug, thiserror::Error)]
#[error("{node} has halted: {halt}")]
pub struct Halted {
    /// Which.
    pub node: Arc<str>,
    /// Why.
    pub halt: Box<Halt>,
}

/// What nodes have said.
#[derive(Debug)]
pub struct News {
    warnings: mpsc::Receiver<Warning>,
    halts: mpsc::Receiver<Halted>,
}

/// One thing that a node has said.
#[derive(Debug)]
pub enum Saying {
    /// See [`Warning`].
    Warning(Warning),
    /// See [`Halted`].
    Halted(Halted),
}

impl Operator {
    /// Of a node with this name; further nodes come by [`Self::of`].
    #[must_use]
    pub fn new(node: &str) -> (Self, News) {
        let (warnings, warned) = mpsc::channel(WARNINGS);
        let (halts, halted) = mpsc::channel(1);
        (Self { node: node.into(), warnings, halts }, News { warnings: warned, halts: halted })
    }

    /// The same operator, for a node with this name.
    #[must_use]
    pub fn of(&self, node: &str) -> Self {
        Self { node: node.into(), ..self.clone() }
    }

    /// Warns.
    pub fn warn(&self, text: impl Into<String>) {
        // Who is warned so often, needs no more of them; and somebody may not listen.
        let _ = self.warnings.try_send(Warning { node: Arc::clone(&self.node), text: text.into() });
    }

    /// Tells that the node has halted.
    pub(super) fn halted(&self, halt: Halt) {
        // Somebody else was first, or nobody listens.
        let _ = self.halts.try_send(Halted { node: Arc::clone(&self.node), halt: Box::new(halt) });
    }
}

impl News {
    /// Waits for the next thing that is said; halts first. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Saying {
        let Self { warnings, halts } = self;
        tokio::select! {
            biased;
            Some(halted) = halts.recv() => Saying::Halted(halted),
            Some(warning) = warnings.recv() => Saying::Warning(warning),
            else => std::future::pending().await,
        }
    }

    /// Waits until a node halts. Dropping the future loses nothing.
    pub async fn halted(&mut self) -> Halted {
        match self.halts.recv().await {
            Some(halted) => halted,
            None => std::future::pending().await,
        }
    }

    /// The next warning, if there is one already.
    pub fn warning(&mut self) -> Option<Warning> {
        self.warnings.try_recv().ok()
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.node, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_halt_and_the_first_warnings_count() {
        let (operator, mut news) = Operator::new("one");
        for n in 0..2 * WARNINGS {
            operator.of("two").warn(n.to_string());
        }
        operator.halted(Halt::Panicked("first".to_owned()));
        operator.halted(Halt::Panicked("second".to_owned()));
        assert_eq!(news.halts.try_recv().unwrap().to_string(), "one has halted: a bug: first");
        assert!(news.halts.try_recv().is_err());
        let warnings: Vec<String> = std::iter::from_fn(|| news.warning()).map(|warning| warning.to_string()).collect();
        assert_eq!((warnings.len(), warnings[1].as_str()), (WARNINGS, "two: 1"));
    }
}
