//! Events of all keys: what a journal consists of.

use super::notice::NoticeEvent;
use super::operation::ItemEvent;
use super::order_event::OrderEvent;
use super::plan::{PlanEvent, PlanId, PlanSchemaEvent};
use super::watch::OrderWatchEvent;
use crate::decimal::Decimal;
use crate::id::{AgentPath, BoardPath, CommandId, ControllerId, OrderId, OrderWatchPath, PlanSchemaId, SubagentId};
use crate::json::{Json, Node};
use crate::problem::Problem;
use crate::value::{Name, Value};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;

/// An event with the key of what it happened to.
#[expect(clippy::large_enum_variant, reason = "nearly all events are those of orders, which are the large ones")]
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Event {
    /// To an order.
    Order(OrderId, OrderEvent),
    /// To an item.
    Item(ItemEvent),
    /// On a board.
    Board(BoardPath, NoticeEvent),
    /// To a plan.
    Plan(PlanId, PlanEvent),
    /// To a plan schema.
    PlanSchema(PlanSchemaId, PlanSchemaEvent),
    /// To a file watch.
    OrderWatch(OrderWatchPath, OrderWatchEvent),
    /// To an agent.
    Agent(AgentPath, AgentEvent),
    /// To a subagent.
    Subagent(SubagentId, SubagentEvent),
    /// To the node whose journal this is.
    Node(NodeEvent),
}

crate::json_union! {
    /// What happens to an agent, seen from the controller.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum AgentEvent {
        /// The agent belongs to this controller now.
        AgentDedicated => "AgentDedicated" {
            /// Identifies the agent's journal.
            agent_run_id: String => "agentRunId";
            /// Last event seen of it.
            agent_event_id: i64 => "agentEventId", default 0;
        };
        /// The agent is coupled and its events are being adopted.
        AgentCoupled => "AgentCoupled";
        /// The agent cannot be reached, or refuses.
        AgentCouplingFailed => "AgentCouplingFailed" {
            /// Why.
            problem: Problem => "problem";
        };
        /// The agent is ready for work.
        AgentReady => "AgentReady" {
            /// The zone of the agent's machine.
            timezone: String => "timezone", default String::from("UTC");
        };
        /// The agent's events until here have been adopted.
        AgentEventsObserved => "AgentEventsObserved" {
            /// The last of them.
            until_event_id: i64 => "untilEventId";
        };
        /// The agent shut down.
        AgentShutDown => "AgentShutDown";
        /// A reset of the agent began.
        AgentResetStarted => "AgentResetStarted" {
            /// By force.
            force: bool => "force", default false;
        };
        /// The agent was reset.
        AgentReset => "AgentReset";
        /// The controller, as the cluster watch of the agent's directors, has voted.
        AgentClusterWatchVoted => "AgentClusterWatchVoted" {
            /// What it must not forget, in hexadecimal digits.
            vote: String => "vote";
        };
    }
}

crate::json_union! {
    /// What happens to a subagent, seen from its director.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum SubagentEvent {
        /// The subagent belongs to this director now.
        SubagentDedicated => "SubagentDedicated" {
            /// Identifies the subagent's process.
            subagent_run_id: String => "subagentRunId";
        };
        /// The subagent is coupled.
        SubagentCoupled => "SubagentCoupled";
        /// The subagent cannot be reached, or refuses.
        SubagentCouplingFailed => "SubagentCouplingFailed" {
            /// Why.
            problem: Problem => "problem";
        };
        /// The subagent's events until here are in the director's journal.
        SubagentEventsObserved => "SubagentEventsObserved" {
            /// The last of them.
            until_event_id: i64 => "untilEventId";
        };
        /// The subagent ends, and takes no more processes.
        SubagentShutdownStarted => "SubagentShutdownStarted";
        /// The subagent has ended.
        SubagentShutdown => "SubagentShutdown2" | "SubagentShutdown";
        /// A reset of the subagent began.
        SubagentResetStarted => "SubagentResetStarted" {
            /// By force.
            force: bool => "force", default false;
        };
        /// The subagent was reset.
        SubagentReset => "SubagentReset";
        /// The subagent was restarted; its processes are lost.
        SubagentRestarted => "SubagentRestarted";
    }
}

crate::json_union! {
    /// What happens to the node whose journal this is.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum NodeEvent {
        /// The journal begins.
        JournalInitialized => "JournalInitialized" {
            /// Whose journal.
            node_id: String => "nodeId";
            /// Identifies the journal.
            journal_id: String => "journalId";
            /// Seed of the node's random streams, as text because JSON numbers lose digits elsewhere.
            seed: String => "seed";
        };
        /// A controller begins.
        ControllerInitialized => "ControllerInitialized" {
            /// Its id.
            controller_id: ControllerId => "controllerId";
        };
        /// The node is active and ready for work.
        NodeReady => "NodeReady" {
            /// The zone of the node's machine, for display.
            timezone: String => "timezone", default String::from("UTC");
        };
        /// The agent belongs to a controller now. In the agent's journal.
        DirectorDedicated => "DirectorDedicated" {
            /// The agent's path.
            agent_path: AgentPath => "agentPath";
            /// The controller.
            controller_id: ControllerId => "controllerId";
            /// The controller's journal.
            controller_run_id: String => "controllerRunId";
            /// Identifies the agent's journal.
            agent_run_id: String => "agentRunId";
        };
        /// Readers do not need events until here any more.
        EventsReleased => "EventsReleased" {
            /// The last of them.
            until_event_id: i64 => "untilEventId";
        };
        /// The node ends.
        NodeShutDown => "NodeShutDown";
        /// The node's superior is in this epoch; it must not obey an earlier one any more.
        SuperiorObserved => "SuperiorObserved" {
            /// The epoch.
            epoch: i64 => "epoch";
        };
        /// The agent forgets everything, and has a new identity. In the agent's journal.
        DirectorReset => "DirectorReset" {
            /// Identifies the agent's journal from now on.
            agent_run_id: String => "agentRunId";
        };
        /// A command over very many orders is accepted, and is going to be carried out in parts.
        CommandBegun => "CommandBegun" {
            /// The command, in JSON.
            command: String => "command";
        };
        /// A part of a command is done.
        CommandContinued => "CommandContinued" {
            /// The event with which the command began.
            begun: i64 => "begun";
            /// It is done for all orders with ids until this one.
            until: OrderId => "until";
        };
        /// A command over very many orders is done.
        CommandEnded => "CommandEnded" {
            /// The event with which the command began.
            begun: i64 => "begun";
        };
        /// The standby has everything, and commits wait for it.
        ClusterCoupled => "ClusterCoupled" {
            /// The active node.
            active_id: String => "activeId";
        };
        /// The standby is lost; the active goes on alone.
        ClusterPassiveLost => "ClusterPassiveLost" {
            /// The standby.
            id: String => "id";
        };
        /// The active was lost, and the standby has taken over.
        ClusterFailedOver => "ClusterFailedOver" {
            /// The node that was lost.
            failed_active_id: String => "failedActiveId";
            /// The node that is active now.
            activated_id: String => "activatedId";
            /// Where its journal went on.
            failed_at: JournalPosition => "failedAt";
        };
        /// The active has handed over to the standby.
        ClusterSwitchedOver => "ClusterSwitchedOver" {
            /// The node that is active now.
            activated_id: String => "activatedId";
        };
        /// The node whose journal this is makes up a cluster with another one.
        ClusterNodesAppointed => "ClusterNodesAppointed" {
            /// Which.
            setting: ClusterSetting => "setting";
        };
        /// The active is going to stop, and the standby is not to take over.
        ClusterActiveNodeShutDown => "ClusterActiveNodeShutDown";
        /// The active goes on after its stop, alone at first.
        ClusterActiveNodeRestarted => "ClusterActiveNodeRestarted";
        /// Another watch, or the first one, belongs to the cluster.
        ClusterWatchRegistered => "ClusterWatchRegistered" {
            /// Which.
            cluster_watch_id: String => "clusterWatchId";
        };
        /// A command with an id was carried out. What it led to is in the same transaction.
        CommandAnswered => "CommandAnswered" {
            /// The id.
            id: CommandId => "id";
            /// Tells the command from another one with the same id.
            digest: String => "digest";
            /// The answer, in JSON.
            answer: String => "answer";
        };
        /// The command which begins in the same transaction has an id.
        CommandNamed => "CommandNamed" {
            /// The id.
            id: CommandId => "id";
            /// Tells the command from another one with the same id.
            digest: String => "digest";
            /// The event with which the command begins.
            begun: i64 => "begun";
        };
    }
}

crate::json_struct! {
    /// Who makes up a cluster.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct ClusterSetting {
        /// The addresses of both nodes, by their ids.
        id_to_uri: BTreeMap<Arc<str>, String> => "idToUri";
        /// The node that is active at first.
        active_id: String => "activeId";
        /// Its times.
        timing: ClusterTiming => "timing";
        /// The watch.
        cluster_watch_id: Option<String> => "clusterWatchId", default None;
    }
}

crate::json_struct! {
    /// The times of a cluster, in seconds.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct ClusterTiming {
        /// How often the nodes tell that they live.
        heartbeat: Decimal => "heartbeat";
        /// After so long without a heartbeat a node is taken for lost.
        heartbeat_timeout: Decimal => "heartbeatTimeout";
    }
}

crate::json_struct! {
    /// A place in a journal.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub struct JournalPosition {
        /// The last event before it.
        file_event_id: i64 => "fileEventId";
        /// The number of records before it.
        position: i64 => "position";
    }
}

impl Event {
    /// The key in JSON.
    #[must_use]
    pub fn key(&self) -> Value {
        match self {
            Self::Order(id, _) => id.write(),
            Self::Board(path, _) => path.write(),
            Self::Plan(id, _) => id.write(),
            Self::PlanSchema(id, _) => id.write(),
            Self::OrderWatch(path, _) => path.write(),
            Self::Agent(path, _) => path.write(),
            Self::Subagent(id, _) => id.write(),
            Self::Item(_) | Self::Node(_) => Value::Missing,
        }
    }

    /// The event without the key.
    #[must_use]
    pub fn body(&self) -> Value {
        match self {
            Self::Order(_, event) => event.write(),
            Self::Item(event) => event.write(),
            Self::Board(_, event) => event.write(),
            Self::Plan(_, event) => event.write(),
            Self::PlanSchema(_, event) => event.write(),
            Self::OrderWatch(_, event) => event.write(),
            Self::Agent(_, event) => event.write(),
            Self::Subagent(_, event) => event.write(),
            Self::Node(event) => event.write(),
        }
    }

    /// The name of the event's type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Order(_, event) => event.type_name(),
            Self::Item(event) => event.type_name(),
            Self::Board(_, event) => event.type_name(),
            Self::Plan(_, event) => event.type_name(),
            Self::PlanSchema(_, event) => event.type_name(),
            Self::OrderWatch(_, event) => event.type_name(),
            Self::Agent(_, event) => event.type_name(),
            Self::Subagent(_, event) => event.type_name(),
            Self::Node(event) => event.type_name(),
        }
    }

    /// The event in JSON: its members and `Key`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let key = self.key();
        match self.body() {
            Value::Object(fields) if key != Value::Missing => Value::Object(
                fields.iter().map(|(n, v)| (n.clone(), v.clone())).chain([(Name::from("Key"), key)]).collect(),
            ),
            body => body,
        }
    }
}

/// The member `Key` of an event in JSON.
#[must_use]
pub fn key_of(node: &Node) -> Option<&Node> {
    node.get("Key")
}
