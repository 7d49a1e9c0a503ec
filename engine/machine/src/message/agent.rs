//! Between a controller and the director of an agent.
//!
//! The controller dials and couples. The agent says where its journal ends and which orders and items it has; the controller
//! adopts the agent's events up to there, and then both know the same. Only then it compares, and sends the commands which
//! its state calls for. So a command is sent when it is certain whether it was carried out in an earlier session.

use crate::codec::{Stamped, epoch, event_id};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::record::Epoch;
use baton_workflow::id::{AgentPath, ControllerId, OrderId, SubagentId};
use baton_workflow::model::item::Item;
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::order::{Order, OrderMark};
use baton_workflow::problem::Problem;
use serde::{Deserialize, Serialize};

/// From the controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToAgent {
    /// The first message over a link.
    Couple(AgentCoupling),
    /// To be done, in this order, as one transaction.
    Execute {
        /// The session.
        session: u64,
        /// Number of this message in the session, from one.
        number: u64,
        /// What to do.
        commands: Vec<CausedCommand>,
    },
    /// The agent's events until here are committed at the controller; the agent needs to keep them no longer.
    Adopted {
        /// The session.
        session: u64,
        /// The last of them.
        #[serde(with = "event_id")]
        until: EventId,
    },
    /// A sign of life.
    Beat {
        /// The session.
        session: u64,
    },
}

/// Who wants to couple, and what it knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentCoupling {
    /// The controller.
    pub controller_id: ControllerId,
    /// Identifies the controller's journal.
    pub controller_run_id: String,
    /// The epoch of the controller. Agents refuse a lower one than they have seen.
    #[serde(with = "epoch")]
    pub epoch: Epoch,
    /// Whom it wants to reach.
    pub agent_path: AgentPath,
    /// Identifies the agent's journal. Absent when the agent is to be dedicated to this controller.
    pub agent_run_id: Option<String>,
    /// The last event that the controller has adopted.
    #[serde(with = "event_id")]
    pub adopted: EventId,
    /// Whether the agent is to forget everything first; and then, whether even if it belongs to somebody else.
    pub reset: Option<bool>,
}

/// A command and the event of the controller which caused it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CausedCommand {
    /// The event.
    #[serde(with = "event_id")]
    pub cause: EventId,
    /// The command.
    pub command: AgentCommand,
}

/// What an agent is told to do. Doing it again changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AgentCommand {
    /// Take this item. Workflows are reduced to what the agent needs.
    AttachItem(Item),
    /// Give this item up.
    DetachItem(ItemKey),
    /// Take this order.
    AttachOrder(Box<Order>),
    /// Give this order up.
    DetachOrder(OrderId),
    /// Mark this order.
    MarkOrder {
        /// Which.
        order_id: OrderId,
        /// How.
        mark: OrderMark,
    },
    /// Reset a subagent: its processes are lost.
    ResetSubagent {
        /// Which.
        subagent_id: SubagentId,
        /// Also when it cannot be reached or belongs to another agent.
        force: bool,
    },
}

/// From the agent's director.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromAgent {
    /// Coupled; the answer to [`ToAgent::Couple`].
    Coupled {
        /// The session which begins.
        session: u64,
        /// Identifies the agent's journal.
        agent_run_id: String,
        /// The event that began this identity of the agent. Earlier ones do not concern the controller.
        #[serde(with = "event_id")]
        begin: EventId,
        /// The last event in the agent's journal.
        #[serde(with = "event_id")]
        end: EventId,
        /// The items which the agent has, with their revisions.
        items: Vec<(ItemKey, Option<u32>)>,
        /// The epoch of the director. Controllers do not hear one of a lower epoch than they have seen.
        #[serde(with = "epoch")]
        epoch: Epoch,
    },
    /// Not coupled; the answer to [`ToAgent::Couple`].
    Refused {
        /// Why.
        problem: Problem,
    },
    /// Orders which the agent had when it coupled. Comes in parts, before any event.
    Inventory {
        /// The session.
        session: u64,
        /// Some of them.
        orders: Vec<OrderId>,
        /// Whether these are the last.
        is_complete: bool,
    },
    /// Committed events.
    Events {
        /// The session.
        session: u64,
        /// The event before the first.
        #[serde(with = "event_id")]
        after: EventId,
        /// In the order of their ids.
        events: Vec<Stamped>,
    },
    /// A command was not carried out, and will not be.
    Rejected {
        /// The session.
        session: u64,
        /// The cause of the command.
        #[serde(with = "event_id")]
        cause: EventId,
        /// What it was about, if it was an order.
        order_id: Option<OrderId>,
        /// Why.
        problem: Problem,
    },
    /// A sign of life.
    Beat {
        /// The session.
        session: u64,
    },
}
