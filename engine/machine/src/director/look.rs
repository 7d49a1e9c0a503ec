//! What a director tells of itself, for people and metrics. Cheap to ask: nothing is visited that grows with the orders.

use super::Director;
use super::subagent_link::SubagentLink;
use crate::link::LinkId;
use baton_protocol::event_id::EventId;
use baton_workflow::id::SubagentId;

/// The orders at an agent which have to do with processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Those whose processes are taken for running.
    pub running: usize,
    /// Those which have all but a subagent.
    pub without_subagent: usize,
    /// Those which wait in the queues of their jobs, above all for a slot of the job or the agent.
    pub waiting: usize,
    /// So many processes the agent may run; none: any number.
    pub process_limit: Option<u32>,
}

impl Work {
    /// Whether no more can be started before a process ends.
    #[must_use]
    pub fn is_limit_reached(&self) -> bool {
        self.process_limit.is_some_and(|limit| self.running + self.without_subagent >= limit as usize)
    }
}

impl Director {
    /// The link over which its controller is coupled.
    #[must_use]
    pub fn controller_link(&self) -> Option<LinkId> {
        self.controller.session().map(|session| session.link())
    }

    /// The link over which a subagent is coupled.
    #[must_use]
    pub fn link_of(&self, id: &SubagentId) -> Option<LinkId> {
        self.subagents.get(id).and_then(SubagentLink::coupled_link)
    }

    /// The controller has adopted all events until this one; none if it has not coupled since the start.
    #[must_use]
    pub fn adopted(&self) -> Option<EventId> {
        Some(self.controller.adopted).filter(|adopted| *adopted > EventId::BEFORE_FIRST)
    }

    /// The orders which have to do with processes.
    #[must_use]
    pub fn work(&self) -> Work {
        Work {
            running: self.replica.relations().processes.len(),
            without_subagent: self.parking.len(),
            waiting: self.queues.waiting(),
            process_limit: self.queues.process_limit(),
        }
    }
}
