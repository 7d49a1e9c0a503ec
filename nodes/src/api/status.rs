//! How a controller is, for people and for metrics: asked of any node, active or not.

use super::answer::{number, object};
use crate::driver::wall_clock;
use crate::host::commits::CommitTimes;
use crate::host::controller::{Client, Unanswered};
use crate::host::standing::{PairStanding, Standing};
use baton_machine::controller::Controller;
use baton_protocol::event_id::EventId;
use baton_protocol::node::Node;
use baton_protocol::register::{Mode, Seat};
use baton_protocol::time::Timestamp;
use baton_workflow::model::item::Item;
use baton_workflow::value::{Name, Value};
use std::time::Duration;

/// How a controller is.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The controller, which both nodes of a pair are.
    pub controller_id: String,
    /// When this process was started, in milliseconds since 1970.
    pub started_at: i64,
    /// Its part in the pair, how far its journal is, and how many answers wait for that.
    pub standing: Standing,
    /// Whether it takes commands now.
    pub is_ready: bool,
    /// How many records the standby has not acknowledged; none if it is not coupled, or this is not the active node.
    pub lag: Option<u64>,
    /// How old the oldest of them is.
    pub lag_time: Option<Duration>,
    /// How many orders there are.
    pub orders: usize,
    /// How many orders there are in each state that has any.
    pub orders_by_state: Vec<(&'static str, usize)>,
    /// How many items there are, workflow versions counted singly.
    pub items: usize,
    /// How many agents there are.
    pub agents: usize,
    /// How many of them are coupled now.
    pub coupled_agents: usize,
    /// The last event in the journal; it may not be committed.
    pub last_event_id: EventId,
    /// How long commands took to be committed.
    pub commits: CommitTimes,
}

impl Status {
    /// Of the controller now.
    ///
    /// # Errors
    /// When the controller has ended.
    pub async fn ask(client: &Client, started_at: i64) -> Result<Self, Unanswered> {
        let standing = *client.standing().borrow();
        let commits = client.commit_times();
        client.peek(move |node| Self::of(node, standing, commits, started_at)).await
    }

    fn of(node: &Node<Controller>, standing: Standing, commits: CommitTimes, started_at: i64) -> Self {
        let controller = node.machine();
        let (replica, state) = (controller.replica(), controller.state());
        let (mut agents, mut coupled_agents) = (0, 0);
        for item in state.items().simple() {
            if let Item::AgentRef(agent) = item {
                agents += 1;
                coupled_agents += usize::from(controller.is_coupled_with(&agent.path));
            }
        }
        let last_event_id = replica.last_event_id();
        let acked = standing.marks.acked;
        // An event's id tells its time.
        let oldest = acked.and_then(|acked| replica.feed().first_from(acked));
        let now = Timestamp::from_millis(wall_clock().as_millis());
        let age = |oldest: EventId| now.since(oldest.timestamp());
        Self {
            controller_id: state.controller_id().to_string(),
            started_at,
            standing,
            is_ready: controller.is_working() && standing.may_commit(),
            lag: acked.map(|acked| standing.marks.end.0.saturating_sub(acked.0)),
            lag_time: acked.map(|_| oldest.map_or(Duration::ZERO, age)),
            orders: state.order_count(),
            orders_by_state: state.order_counts().iter().collect(),
            items: state.items().len(),
            agents,
            coupled_agents,
            last_event_id,
            commits,
        }
    }

    /// The state of the pair, in the words of the reference, and what stands behind it.
    #[must_use]
    pub(super) fn cluster(&self, urls: &[Option<String>; 2]) -> Value {
        let marks = self.standing.marks;
        let mut members = vec![("TYPE", Value::from(self.cluster_state()))];
        let seats = [Seat::First, Seat::Second];
        if let Some(pair) = self.standing.pair {
            members.extend(pair_members(&pair));
            let urls =
                seats.iter().zip(urls).filter_map(|(seat, url)| Some((node_id(*seat), Value::from(url.as_deref()?))));
            members.push(("idToUri", Value::object(urls)));
        }
        members.push(("isActive", Value::Boolean(self.standing.is_active())));
        members.push(("isReady", Value::Boolean(self.is_ready)));
        let mut journal = vec![
            ("end", number(marks.end.0)),
            ("durable", number(marks.durable.0)),
            ("committed", number(marks.committed.0)),
        ];
        journal.extend(marks.acked.map(|acked| ("acknowledged", number(acked.0))));
        members.push(("journal", Value::object(journal)));
        if let (Some(lag), Some(time)) = (self.lag, self.lag_time) {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            members.push(("standbyLag", object([("records", number(lag)), ("milliseconds", number(millis))])));
        }
        Value::Object(members.into_iter().map(|(name, value)| (Name::from(name), value)).collect())
    }

    fn cluster_state(&self) -> &'static str {
        match self.standing.pair.map(|pair| pair.known) {
            None => "Empty",
            Some(None) => "NodesAppointed",
            Some(Some(known)) => match known.mode {
                Mode::Coupled => "Coupled",
                Mode::Alone => "PassiveLost",
                Mode::Stopped => "ActiveShutDown",
            },
        }
    }
}

/// What a node goes by in its pair.
pub(super) fn pair_members(pair: &PairStanding) -> Vec<(&'static str, Value)> {
    let mut members =
        vec![("nodeId", Value::from(node_id(pair.seat))), ("part", Value::from(pair.part.to_string().as_str()))];
    if let Some(known) = pair.known {
        members.push(("activeId", Value::from(node_id(known.active))));
        members.push(("epoch", number(known.epoch.0)));
        members.push(("mode", Value::from(known.mode.to_string().as_str())));
    }
    members.push(("peerIsLinked", Value::Boolean(pair.peer_is_linked)));
    members.push(("watchIsLinked", Value::Boolean(pair.watch_is_linked)));
    if let Some(trouble) = pair.trouble {
        members.push(("trouble", Value::from(crate::host::standing::advice(trouble).as_str())));
    }
    members
}

/// The id of a node, as the reference has it.
pub(super) fn node_id(seat: Seat) -> &'static str {
    match seat {
        Seat::First => "Primary",
        Seat::Second => "Backup",
        Seat::Watch => "Watch",
    }
}
