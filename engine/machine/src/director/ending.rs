//! How a director ends on purpose: it starts nothing more while its own subagent finishes what it runs, and then takes its leave.
//!
//! What runs at other subagents goes on, and is found again when the director is back before their leases end.

use super::Director;
use crate::replica::Turn;
use baton_workflow::model::event::{Event, NodeEvent};

/// How far a director has got in ending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// It works.
    #[default]
    Not,
    /// It starts nothing more.
    Stopping,
    /// It has taken its leave.
    ShutDown,
}

impl Director {
    /// Whether it is to end, and starts nothing more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.ending != Ending::Not
    }

    /// Whether the controller knows all that it will be told by this node.
    #[must_use]
    pub fn has_taken_leave(&self) -> bool {
        self.ending != Ending::ShutDown || self.adopted() == Some(self.replica.last_event_id())
    }

    pub(super) fn stop(&mut self) {
        if self.ending == Ending::Not {
            self.ending = Ending::Stopping;
        }
    }

    pub(super) fn shut_down(&mut self, turn: Turn<'_>) {
        if self.ending != Ending::ShutDown && self.is_working() {
            self.ending = Ending::ShutDown;
            self.replica.take(turn, Event::Node(NodeEvent::NodeShutDown));
        }
    }
}
