//! Questions of the workflow to the person at the terminal.

use baton_workflow::id::OrderId;
use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use tokio::sync::mpsc;

/// How questions are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answering {
    /// Always with yes.
    Yes,
    /// By the person at the terminal.
    Person,
    /// Not at all.
    Nobody,
}

impl Answering {
    pub(super) fn new(yes: bool) -> Self {
        match (yes, io::stdin().is_terminal()) {
            (true, _) => Self::Yes,
            (false, true) => Self::Person,
            (false, false) => Self::Nobody,
        }
    }
}

/// Questions that wait for a person.
#[derive(Default)]
pub(super) struct Questions {
    asked: VecDeque<OrderId>,
    lines: Option<mpsc::Receiver<()>>,
}

impl Questions {
    /// An order asks.
    pub(super) fn ask(&mut self, order: OrderId) {
        self.asked.push_back(order);
        self.lines.get_or_insert_with(read_lines);
    }

    /// An order does not ask any more.
    pub(super) fn forget(&mut self, order: &OrderId) {
        self.asked.retain(|asked| asked != order);
    }

    /// The order whose question was answered, as soon as one is. Dropping the future loses nothing.
    pub(super) async fn answered(&mut self) -> OrderId {
        if !self.asked.is_empty()
            && let Some(lines) = &mut self.lines
            && lines.recv().await.is_some()
            && let Some(order) = self.asked.pop_front()
        {
            return order;
        }
        std::future::pending().await
    }
}

/// Tells of each line. The thread ends with the process: reading cannot be interrupted.
fn read_lines() -> mpsc::Receiver<()> {
    let (line, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for read in io::stdin().lines() {
            if read.is_err() || line.blocking_send(()).is_err() {
                return;
            }
        }
    });
    lines
}
