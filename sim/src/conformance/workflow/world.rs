//! What a world must be able to do for `workflow` vectors: a controller, agents with subagents, jobs, files and one clock.
//!
//! The runner owns the time: it sets the clock, to each time at which something is due one after the other, and lets the
//! world come to rest. A world never advances its clock by itself.

use super::jobs::Jobs;
use crate::conformance::matching::Matcher;
use baton_workflow::id::{AgentPath, LockPath, OrderId, SubagentId};
use baton_workflow::model::command::{Command, Response};
use baton_workflow::model::event::Event;
use baton_workflow::model::notice::NoticeId;
use baton_workflow::model::operation::ItemOperation;
use baton_workflow::model::order::{FreshOrder, Obstacle, Order};
use baton_workflow::model::plan::{PlanId, PlanStatus};
use baton_workflow::problem::Checked;
use baton_workflow::time::Timestamp;
use baton_workflow::value::{Fields, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What a world consists of when it starts.
#[derive(Debug)]
pub struct Setup {
    /// What the clock shows.
    pub time: Timestamp,
    /// The agents, to be coupled with all their subagents coupled and enabled.
    pub agents: Vec<AgentSetup>,
    /// What jobs do. The world asks for the behaviour of each call.
    pub jobs: Jobs,
    /// Compares the environment of processes with what is expected of it.
    pub matcher: Matcher,
}

/// An agent of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSetup {
    /// Its path.
    pub path: AgentPath,
    /// How many processes it may run at a time.
    pub process_limit: Option<u32>,
    /// Its subagents, at least one. The first one belongs to the director.
    pub subagents: Vec<SubagentId>,
}

/// Makes a world. Its controller is named `Controller`.
pub type StartWorld = fn(Setup) -> Checked<Box<dyn World>>;

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// It was not there.
    Created,
    /// It was written again.
    Modified,
    /// It is not there any more.
    Deleted,
}

/// A simulated installation.
pub trait World {
    /// Whether orders are handed over between controller and agents, with the events of that.
    fn has_agents(&self) -> bool {
        true
    }

    /// Sets the clock of all nodes. Nothing is done yet.
    fn set_clock(&mut self, now: Timestamp);

    /// When the next timer or process is due, if that is after now.
    fn next_due(&self) -> Option<Timestamp>;

    /// Runs until nothing is left to do at the present time. Timers which are due and jobs without duration belong to it.
    ///
    /// # Errors
    /// Says what a process complains of, such as its environment, or why the world does not come to rest.
    fn settle(&mut self) -> Checked<()>;

    /// Adds an order.
    ///
    /// # Errors
    /// Why it is rejected; also when an order of this id exists.
    fn add_order(&mut self, order: FreshOrder) -> Checked<()>;

    /// Executes a command of the controller.
    ///
    /// # Errors
    /// Why it is rejected.
    fn command(&mut self, command: Command) -> Checked<Response>;

    /// Changes items in one transaction.
    ///
    /// # Errors
    /// Why it is rejected.
    fn update_items(&mut self, operations: Vec<ItemOperation>) -> Checked<()>;

    /// Lets a waiting process of the job with this script end: that of the order if given, else the oldest one. False: there
    /// is none.
    fn release(&mut self, script: &str, order_id: Option<&OrderId>) -> bool;

    /// Kills the controller, which recovers from its journal.
    fn restart_controller(&mut self);

    /// Kills the agent, which recovers from its journal; its processes are lost. False: there is no such agent.
    fn restart_agent(&mut self, agent_path: &AgentPath) -> bool;

    /// Changes a file of the agents. Its directory exists.
    fn change_file(&mut self, change: FileChange, path: &str);

    /// Enables or disables a subagent.
    ///
    /// # Errors
    /// Why it cannot be.
    fn enable_subagent(&mut self, subagent_id: &SubagentId, enabled: bool) -> Checked<()>;

    /// All events of the controller's journal so far.
    fn journal(&self) -> Vec<Journaled>;

    /// An order, as the controller knows it.
    fn order(&self, order_id: &OrderId) -> Option<OrderView>;

    /// A lock.
    fn lock(&self, path: &LockPath) -> Option<LockView>;

    /// The notice places of all boards.
    fn notices(&self) -> Vec<NoticeView>;

    /// The known plans except the global one.
    fn plans(&self) -> Vec<PlanView>;

    /// Number of running processes by subagent.
    fn process_counts(&self) -> BTreeMap<SubagentId, u32>;
}

/// An event of a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Journaled {
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

/// An order with what is derived from it and its surroundings.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderView {
    /// The order.
    pub order: Order,
    /// Its arguments, defaults and values of its history.
    pub named_values: Fields,
    /// Why it does not go on.
    pub obstacles: Vec<Obstacle>,
}

/// A lock.
#[derive(Clone, Debug, PartialEq)]
pub struct LockView {
    /// `{"TYPE": "Available"}`, `{"TYPE": "Exclusive", "orderId": …}` or `{"TYPE": "NonExclusive", "orderToCount": {…}}`.
    pub acquired: Value,
    /// Who waits, in the order of the queue.
    pub queue: Vec<OrderId>,
}

/// A place for a notice.
#[derive(Clone, Debug, PartialEq)]
pub struct NoticeView {
    /// Which notice.
    pub notice_id: NoticeId,
    /// Whether it is posted.
    pub is_posted: bool,
    /// When it is deleted by itself.
    pub end_of_life: Option<Timestamp>,
    /// Whether it is announced.
    pub is_announced: bool,
    /// The orders which wait for it.
    pub expecting: BTreeSet<OrderId>,
    /// Whether orders consume it, and it has not been posted again.
    pub is_in_consumption: bool,
    /// How many orders consume it.
    pub consumption_count: u32,
}

/// A plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanView {
    /// Which.
    pub plan_id: PlanId,
    /// Whether it takes orders.
    pub status: PlanStatus,
    /// Its orders.
    pub order_ids: BTreeSet<OrderId>,
    /// Its notice places.
    pub notices: Vec<NoticeView>,
}
