//! Adopting what happened at an agent: its events become events of the controller, in the words of the controller.

use super::Controller;
use crate::codec::Stamped;
use crate::link::LinkId;
use crate::message::{FromAgent, ToAgent};
use crate::relations::Transit;
use crate::replica::Turn;
use alloc::format;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::outbox::Outbox;
use baton_workflow::command::file_of;
use baton_workflow::id::{AgentPath, OrderId};
use baton_workflow::json;
use baton_workflow::model::event::{AgentEvent, Event, NodeEvent, SubagentEvent};
use baton_workflow::model::operation::ItemEvent;
use baton_workflow::model::order::OrderMark;
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::problem::Problem;

/// Most orders which an agent may have.
const MAX_INVENTORY: usize = 10_000_000;

impl Controller {
    pub(super) fn on_agent_message(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        link: LinkId,
        message: FromAgent,
        out: &mut Outbox<'_, Self>,
    ) {
        let session = match &message {
            FromAgent::Coupled { .. } => return self.coupled(turn, path, link, message, out),
            FromAgent::Refused { problem } => return self.refused(turn, path, link, problem.clone(), out),
            FromAgent::Inventory { session, .. }
            | FromAgent::Events { session, .. }
            | FromAgent::Rejected { session, .. }
            | FromAgent::Beat { session } => *session,
        };
        let Some(current) = self.agents.get_mut(path).and_then(|agent| agent.session()) else { return };
        if current.link != link || current.number != session {
            return;
        }
        self.heard(turn, path);
        match message {
            FromAgent::Inventory { orders, is_complete, .. } => {
                // What comes after the last part is that part again.
                let session = self.agents.get_mut(path).and_then(|agent| agent.session());
                if let Some(session) = session.filter(|session| !session.is_inventory_complete) {
                    session.orders.extend(orders);
                    session.is_inventory_complete = is_complete;
                    if session.orders.len() > MAX_INVENTORY {
                        return self.give_up(turn, path, link, "it tells of more orders than there can be", out);
                    }
                }
                self.reconcile_if_known(turn, path);
            }
            FromAgent::Events { after, events, .. } => self.adopt(turn, path, link, (after, events), out),
            FromAgent::Rejected { cause, order_id, problem, .. } => self.rejected(turn, path, cause, order_id, problem),
            FromAgent::Coupled { .. } | FromAgent::Refused { .. } | FromAgent::Beat { .. } => {}
        }
    }

    fn adopt(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        link: LinkId,
        part: (EventId, Vec<Stamped>),
        out: &mut Outbox<'_, Self>,
    ) {
        let (after, events) = part;
        let adopted = self.replica.relations().agents.get(path).map_or(EventId::BEFORE_FIRST, |agent| agent.adopted);
        let Some(until) = events.last().map(|event| event.event_id) else { return };
        if until <= adopted {
            return;
        }
        if after != adopted {
            let reason = format!("its events follow event {after}, but those after {adopted} are expected");
            return self.give_up(turn, path, link, &reason, out);
        }
        if !core::iter::once(after).chain(events.iter().map(|event| event.event_id)).is_sorted_by(|a, b| a < b) {
            return self.give_up(turn, path, link, "the ids of its events do not increase", out);
        }
        let mut returned: Vec<OrderId> = Vec::new();
        let mut files = Vec::new();
        let mut done = after;
        for stamped in events {
            let event_id = stamped.event_id;
            let before = core::mem::replace(&mut done, event_id);
            let newer = self.newer_mark(path, &stamped.event);
            let Some(event) = translated(path, stamped.event) else { continue };
            if let Event::Order(id, OrderEvent::OrderDetached) = &event {
                returned.push(id.clone());
            }
            if let Event::OrderWatch(..) = &event {
                files.extend(file_of(self.replica.state(), &event));
            }
            let what = format!("{} of {}", event.type_name(), json::print(&event.key()));
            if let Err(problem) = self.replica.try_take(turn, stamped.timestamp, event) {
                // What came before is adopted; this event will be met again, and says again what is wrong.
                if before > after {
                    self.observed(turn, path, before);
                }
                let message = format!(
                    "Agent:{path}: its event {event_id} ({what}) does not fit what the controller knows: {problem}. Agent and \
                     controller have different histories, so nothing more is heard of the agent, and its orders stay as they are \
                     known here. It is tried again, less and less often. ResetAgent lets the agent start anew; its orders fail then"
                );
                return self.distrust(turn, path, link, Problem::coded("AgentEventDoesNotFit", [], message), out);
            }
            if let Some(event) = newer {
                // It fits if the order is still there to be marked; else it needs no mark.
                let _ = self.replica.try_take(turn, turn.around.now, event);
            }
        }
        self.observed(turn, path, until);
        self.replica.steps(turn, returned);
        self.replica.look_at_files(turn, files);
        if let Some(session) = self.agents.get_mut(path).and_then(|agent| agent.session()) {
            let (link, session) = (session.link, session.number);
            self.say(turn, link, &ToAgent::Adopted { session, until });
        }
        self.reconcile_if_known(turn, path);
    }

    /// The agent tells of a mark, but the order has been marked otherwise meanwhile: that is to be told once more.
    fn newer_mark(&self, path: &AgentPath, event: &Event) -> Option<Event> {
        let Event::Order(id, event) = event else { return None };
        let (_, pending) = self.replica.relations().transit(path)?.marks.get(id)?;
        let told = match event {
            OrderEvent::OrderCancellationMarked { mode } => OrderMark::Cancelling { mode: mode.clone() },
            OrderEvent::OrderSuspensionMarked { mode } => OrderMark::Suspending { mode: mode.clone() },
            _ => return None,
        };
        let again = match pending {
            pending if *pending == told => return None,
            OrderMark::Cancelling { mode } => OrderEvent::OrderCancellationMarked { mode: mode.clone() },
            OrderMark::Suspending { mode } => OrderEvent::OrderSuspensionMarked { mode: mode.clone() },
            OrderMark::Resuming { .. } | OrderMark::Go { .. } => return None,
        };
        Some(Event::Order(id.clone(), again))
    }

    fn observed(&mut self, turn: Turn<'_>, path: &AgentPath, until: EventId) {
        let until_event_id = i64::try_from(until.0).unwrap_or(i64::MAX);
        self.replica.take(turn, Event::Agent(path.clone(), AgentEvent::AgentEventsObserved { until_event_id }));
    }

    /// A subagent which the agent does not have needs no reset.
    fn reset_rejected(&mut self, turn: Turn<'_>, path: &AgentPath, cause: EventId) {
        let transit = self.replica.relations().transit(path);
        let mut resets = transit.into_iter().flat_map(|transit| &transit.resets);
        if let Some(id) = resets.find(|(_, (told, _))| *told == cause.0).map(|(id, _)| id.clone()) {
            self.replica.take(turn, Event::Subagent(id, SubagentEvent::SubagentReset));
        }
    }

    /// The agent did not do what it was told, and will not. A mark is taken back, an order on its way there comes back and
    /// fails.
    fn rejected(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        cause: EventId,
        order_id: Option<OrderId>,
        problem: Problem,
    ) {
        let Some(id) = order_id else {
            self.reset_rejected(turn, path, cause);
            let event = AgentEvent::AgentCouplingFailed { problem };
            return self.replica.take(turn, Event::Agent(path.clone(), event));
        };
        let transit = self.replica.relations().transit(path);
        if transit.and_then(|transit| transit.marks.get(&id)).is_some_and(|(marked, _)| *marked == cause.0) {
            let event = Event::Order(id, OrderEvent::OrderMarkRejected { problem });
            // A mark that is gone already needs not be taken back.
            let _ = self.replica.try_take(turn, turn.around.now, event);
            return;
        }
        let is_refused = |transit: &Transit| {
            transit.attaching.values().any(|orders| orders.get(&id) == Some(&cause.0))
                || transit.detaching.get(&id) == Some(&cause.0)
        };
        if !transit.is_some_and(is_refused) {
            return;
        }
        self.fetch_back(turn, &id, problem);
        self.offer_more(turn, path, &id);
    }
}

/// What an agent's event is for the controller. None if it is for the agent only.
fn translated(path: &AgentPath, event: Event) -> Option<Event> {
    let agent_path = path.clone();
    Some(match event {
        Event::Order(id, event) => Event::Order(
            id,
            match event {
                OrderEvent::OrderAttachedToAgent { .. } => OrderEvent::OrderAttached { agent_path },
                OrderEvent::OrderCancellationMarked { .. } => OrderEvent::OrderCancellationMarkedOnAgent,
                OrderEvent::OrderSuspensionMarked { .. } => OrderEvent::OrderSuspensionMarkedOnAgent,
                event => event,
            },
        ),
        Event::Item(event) => Event::Item(match event {
            ItemEvent::ItemAttachedToMe { item } => {
                ItemEvent::ItemAttached { key: item.key(), item_revision: item.revision(), agent_path }
            }
            ItemEvent::ItemDetached { key, .. } => ItemEvent::ItemDetached { key, agent_path },
            _ => return None,
        }),
        // A reset that is begun by the controller has been recorded here; that it has come to the agent, only its end tells.
        Event::Subagent(
            _,
            SubagentEvent::SubagentEventsObserved { .. } | SubagentEvent::SubagentResetStarted { .. },
        ) => return None,
        Event::Subagent(id, event) => Event::Subagent(id, event),
        Event::OrderWatch(path, event) => Event::OrderWatch(path, event),
        Event::Node(NodeEvent::NodeReady { timezone }) => Event::Agent(agent_path, AgentEvent::AgentReady { timezone }),
        Event::Node(NodeEvent::NodeShutDown) => Event::Agent(agent_path, AgentEvent::AgentShutDown),
        Event::Node(_) | Event::Agent(..) | Event::Board(..) | Event::Plan(..) | Event::PlanSchema(..) => return None,
    })
}
