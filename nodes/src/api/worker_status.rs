//! How an agent or a subagent is, for people and for metrics.
//!
//! Everything is asked of the nodes between two of their steps, and costs the same however many orders and processes there are.

use super::answer::number;
use super::status::pair_members;
use crate::driver::wall_clock;
use crate::host::links::Links;
use crate::host::peek::peek;
use crate::host::standing::PairStanding;
use crate::host::subagent::SubagentRequest;
use crate::host::tally::{Counted, Tally};
use crate::host::{director, subagent};
use baton_machine::director::{Director, Work};
use baton_machine::relations::Dedication;
use baton_machine::subagent::{Owner, Subagent};
use baton_protocol::event_id::EventId;
use baton_protocol::journal::Watermarks;
use baton_protocol::node::Node;
use baton_protocol::pair::Part;
use baton_workflow::id::SubagentId;
use baton_workflow::json::Json as _;
use baton_workflow::value::{Name, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How an agent or a subagent is.
#[derive(Clone, Debug)]
pub struct WorkerStatus {
    /// The name of its cluster.
    pub cluster: String,
    /// Its own name.
    pub node: String,
    /// When the process was started, in milliseconds since 1970.
    pub started_at: i64,
    /// Of an agent: its director.
    pub director: Option<DirectorStatus>,
    /// Its subagent.
    pub subagent: SubagentStatus,
}

/// How a director is.
#[derive(Clone, Debug)]
pub struct DirectorStatus {
    /// Whom it belongs to; none before a controller has coupled.
    pub dedication: Option<Dedication>,
    /// Its own epoch, which it tells its subagents.
    pub epoch: u64,
    /// The highest epoch of a controller that has coupled. A lower one is refused.
    pub controller_epoch: u64,
    /// Whether its controller is coupled.
    pub is_coupled: bool,
    /// The node that is coupled.
    pub controller: Option<String>,
    /// How far its journal is.
    pub marks: Watermarks,
    /// How many messages wait for that.
    pub held: usize,
    /// The last event in its journal.
    pub last_event_id: EventId,
    /// The controller has adopted all events until this one; none if it has not coupled since the start.
    pub adopted: Option<EventId>,
    /// How old the oldest event is that the controller has not adopted; none if it has not coupled since the start.
    pub lag: Option<Duration>,
    /// How many orders it has.
    pub orders: usize,
    /// Those which have to do with processes.
    pub work: Work,
    /// Whether it starts nothing more.
    pub is_stopping: bool,
    /// How it stands in its pair; none if it is alone.
    pub pair: Option<PairStanding>,
    /// Its subagents, as it sees them.
    pub subagents: Vec<SeenSubagent>,
}

/// A subagent as its director sees it.
#[derive(Clone, Debug)]
pub struct SeenSubagent {
    /// Which.
    pub id: SubagentId,
    /// Whether it is linked and belongs to this director.
    pub is_coupled: bool,
    /// Whether it gets jobs.
    pub is_selectable: bool,
    /// The node at the other end of the link; none if there is no link, or it is in this process.
    pub node: Option<String>,
    /// How many processes are taken for running there.
    pub processes: usize,
    /// Its state in the words of the reference, with what it lacks.
    pub state: Value,
}

/// How a subagent is.
#[derive(Clone, Debug)]
pub struct SubagentStatus {
    /// Names this run of it.
    pub run_id: String,
    /// Whom it belongs to; none before a director has coupled.
    pub owner: Option<Owner>,
    /// Whether a director is coupled.
    pub is_coupled: bool,
    /// The node that is coupled; none if it is in this process.
    pub director: Option<String>,
    /// Whether it takes no more processes.
    pub is_stopping: bool,
    /// How many processes are being started or run.
    pub running: usize,
    /// How many have ended without the director having confirmed that.
    pub unconfirmed: usize,
    /// What has happened since the start.
    pub counted: Counted,
}

/// Asks a worker how it is.
pub(super) struct Questions {
    pub(super) cluster: String,
    pub(super) node: String,
    pub(super) started_at: i64,
    pub(super) director: Option<(mpsc::Sender<director::DirectorRequest>, Links<director::DirectorRequest>)>,
    pub(super) subagent: mpsc::Sender<SubagentRequest>,
    pub(super) subagent_links: Links<SubagentRequest>,
    pub(super) tally: Arc<Tally>,
}

impl Questions {
    pub(super) fn of(cluster: String, node: String, subagent: &subagent::Started) -> Self {
        Self {
            cluster,
            node,
            started_at: wall_clock().as_millis(),
            director: None,
            subagent: subagent.running.requests(),
            subagent_links: subagent.links.clone(),
            tally: Arc::clone(&subagent.tally),
        }
    }

    /// None if it has ended.
    pub(super) async fn ask(&self) -> Option<WorkerStatus> {
        let director = match &self.director {
            None => None,
            Some((requests, links)) => {
                let links = links.clone();
                Some(peek(requests, move |node: &Node<Director>| DirectorStatus::of(node, &links)).await?)
            }
        };
        Some(WorkerStatus {
            cluster: self.cluster.clone(),
            node: self.node.clone(),
            started_at: self.started_at,
            director,
            subagent: self.ask_subagent().await?,
        })
    }

    /// None if it has ended.
    pub(super) async fn ask_subagent(&self) -> Option<SubagentStatus> {
        let (links, counted) = (self.subagent_links.clone(), self.tally.counted());
        peek(&self.subagent, move |node: &Node<Subagent>| SubagentStatus::of(node.machine(), &links, counted)).await
    }
}

impl WorkerStatus {
    /// Whether it does what it is there for: a director is, or will be, told what to do, and jobs can be run.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.subagent.is_stopping
            && match &self.director {
                Some(director) => (director.is_coupled || director.is_standby()) && !director.is_stopping,
                None => self.subagent.is_coupled,
            }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut members = self.heading();
        if let Some(director) = &self.director {
            members.push(("director", director.to_json()));
        }
        members.push(("subagent", self.subagent.to_json()));
        Value::object(members)
    }

    fn heading(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("cluster", Value::from(self.cluster.as_str())),
            ("node", Value::from(self.node.as_str())),
            ("version", Value::from(env!("CARGO_PKG_VERSION"))),
            ("startedAt", Value::from(self.started_at)),
            ("isReady", Value::Boolean(self.is_ready())),
        ]
    }
}

impl DirectorStatus {
    /// Whether it copies the journal of the active director of its pair.
    fn is_standby(&self) -> bool {
        self.pair.is_some_and(|pair| pair.part == Part::Standby { is_following: true })
    }

    fn of(node: &Node<Director>, links: &Links<director::DirectorRequest>) -> Self {
        let (director, journal) = (node.machine(), node.journal());
        let replica = director.replica();
        let relations = replica.relations();
        let last_event_id = replica.last_event_id();
        let adopted = director.adopted();
        let now = baton_protocol::time::Timestamp::from_millis(wall_clock().as_millis());
        let lag = adopted.map(|adopted| {
            let oldest = replica.feed().first_after(adopted);
            oldest.map_or(Duration::ZERO, |oldest| now.since(oldest.timestamp()))
        });
        let name = |link| links.peer(link).map(|peer| peer.to_string());
        let subagents = relations.subagents.iter().map(|(id, state)| SeenSubagent {
            id: id.clone(),
            is_coupled: director.is_coupled_with(id),
            is_selectable: state.is_selectable(),
            node: director.link_of(id).and_then(name),
            processes: state.process_count(),
            state: state.to_json(),
        });
        Self {
            dedication: relations.dedication.clone(),
            epoch: journal.epoch().0,
            controller_epoch: relations.superior_epoch.0,
            is_coupled: director.is_coupled(),
            controller: director.controller_link().and_then(name),
            marks: journal.watermarks(),
            held: node.held(),
            last_event_id,
            adopted,
            lag,
            orders: director.state().order_count(),
            work: director.work(),
            is_stopping: director.is_stopping(),
            pair: director.pair().map(|pair| PairStanding::of(pair, None)),
            subagents: subagents.collect(),
        }
    }

    fn to_json(&self) -> Value {
        let mut members = Vec::new();
        if let Some(Dedication { agent_path, controller_id, controller_run_id, agent_run_id }) = &self.dedication {
            let members_of_it = [
                ("agentPath", agent_path.write()),
                ("controllerId", controller_id.write()),
                ("controllerRunId", Value::from(controller_run_id.as_str())),
                ("agentRunId", Value::from(agent_run_id.as_str())),
            ];
            members.push(("dedicatedTo", Value::object(members_of_it)));
        }
        members.extend(self.pair.as_ref().map(|pair| ("cluster", Value::object(pair_members(pair)))));
        members.extend([
            ("epoch", number(self.epoch)),
            ("controllerEpoch", number(self.controller_epoch)),
            ("isCoupled", Value::Boolean(self.is_coupled)),
        ]);
        members.extend(self.controller.as_deref().map(|node| ("coupledWith", Value::from(node))));
        let marks = &self.marks;
        let journal = [
            ("end", number(marks.end.0)),
            ("durable", number(marks.durable.0)),
            ("committed", number(marks.committed.0)),
            ("eventId", number(self.last_event_id.0)),
        ];
        members.push(("journal", Value::object(journal)));
        if let (Some(adopted), Some(lag)) = (self.adopted, self.lag) {
            let millis = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
            let lag = [("adopted", number(adopted.0)), ("milliseconds", number(millis))];
            members.push(("controllerLag", Value::object(lag)));
        }
        let Work { running, without_subagent, waiting, process_limit } = self.work;
        let mut orders = vec![
            ("count", number(self.orders as u64)),
            ("processing", number(running as u64)),
            ("withoutSubagent", number(without_subagent as u64)),
            ("waitingForJobs", number(waiting as u64)),
        ];
        let process_limit = process_limit.filter(|_| self.dedication.is_some());
        orders.extend(process_limit.map(|limit| ("processLimit", number(limit.into()))));
        members.push(("orders", Value::object(orders)));
        // It has none before it belongs to somebody.
        let is_limit_reached = self.dedication.is_some() && self.work.is_limit_reached();
        members.push(("isLimitReached", Value::Boolean(is_limit_reached)));
        members.push(("isStopping", Value::Boolean(self.is_stopping)));
        members.push(("subagents", Value::list(self.subagents.iter().map(SeenSubagent::to_json))));
        Value::object(members)
    }
}

impl SeenSubagent {
    fn to_json(&self) -> Value {
        let mut members: Vec<(Name, Value)> = vec![
            ("id".into(), self.id.write()),
            ("isCoupled".into(), Value::Boolean(self.is_coupled)),
            ("isSelectable".into(), Value::Boolean(self.is_selectable)),
            ("processes".into(), number(self.processes as u64)),
        ];
        members.extend(self.node.as_deref().map(|node| ("coupledWith".into(), Value::from(node))));
        if let Value::Object(state) = &self.state {
            members.extend(state.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        Value::Object(members.into_iter().collect())
    }
}

impl SubagentStatus {
    fn of(subagent: &Subagent, links: &Links<SubagentRequest>, counted: Counted) -> Self {
        Self {
            run_id: subagent.run_id().to_string(),
            owner: subagent.owner().cloned(),
            is_coupled: subagent.is_coupled(),
            director: subagent.director_link().and_then(|link| links.peer(link)).map(|peer| peer.to_string()),
            is_stopping: subagent.is_stopping(),
            running: subagent.running_count(),
            unconfirmed: subagent.unconfirmed_count(),
            counted,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut members = vec![("subagentRunId", Value::from(self.run_id.as_str()))];
        if let Some(Owner { agent_path, agent_run_id, subagent_id, epoch }) = &self.owner {
            let members_of_it = [
                ("agentPath", agent_path.write()),
                ("agentRunId", Value::from(agent_run_id.as_str())),
                ("subagentId", subagent_id.write()),
                ("directorEpoch", number(epoch.0)),
            ];
            members.push(("dedicatedTo", Value::object(members_of_it)));
        }
        members.push(("isCoupled", Value::Boolean(self.is_coupled)));
        members.extend(self.director.as_deref().map(|node| ("coupledWith", Value::from(node))));
        let Counted { started, succeeded, failed, signaled, not_started, output_bytes } = self.counted;
        let processes = [
            ("running", number(self.running as u64)),
            ("unconfirmed", number(self.unconfirmed as u64)),
            ("started", number(started)),
            ("succeeded", number(succeeded)),
            ("failed", number(failed)),
            ("signaled", number(signaled)),
            ("notStarted", number(not_started)),
            ("outputBytes", number(output_bytes)),
        ];
        members.push(("processes", Value::object(processes)));
        members.push(("isStopping", Value::Boolean(self.is_stopping)));
        Value::object(members)
    }
}
