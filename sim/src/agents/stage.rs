//! A stage for scenarios: a controller (or two and a watch), one agent with two subagents, and verbs that read like a story.
//! Audited like every world; whatever is not as it has to be panics with the story so far.

use super::place::{Computer, Place, agent_path, subagent_id};
use super::plan::Plan;
use super::work::{Wanted, has_ended, workflow};
use super::{Event, World, telling};
use crate::choice::Choice;
use crate::cluster::host::Disk;
use crate::trace::Trace;
use baton_machine::codec::Assembly;
use baton_machine::planted::Bugs;
use baton_protocol::register::Seat;
use baton_protocol::time::Duration;
use baton_workflow::id::OrderId;
use baton_workflow::model::event::Event as WorkflowEvent;
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::outcome::Outcome;

/// The controller.
pub(super) const CONTROLLER: Place = Place::Controller(Seat::First);
/// The director.
pub(super) const DIRECTOR: Place = Place::Director(0, Seat::First);
/// The subagent on the director's computer.
pub(super) const ONE: Place = Place::Subagent(0, 1);
/// The other subagent.
pub(super) const TWO: Place = Place::Subagent(0, 2);
/// A computer that is left, with a subagent that nobody knows.
pub(super) const SPARE: Place = Place::Subagent(0, 3);

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// A stage. See the module.
pub(super) struct Stage {
    world: World,
}

impl Stage {
    /// All are coupled, and these workflows are there: path, and instructions as in [`workflow`].
    pub(super) fn new(workflows: &[(&str, &str)]) -> Self {
        Self::of(Plan::calm(Bugs::NONE), workflows)
    }

    /// The same with two controllers and a watch.
    pub(super) fn with_two_controllers(workflows: &[(&str, &str)], bugs: Bugs) -> Self {
        Self::of(Plan { has_two_controllers: true, ..Plan::calm(bugs) }, workflows)
    }

    /// The same with nodes that take images and release what is before.
    pub(super) fn with_images(workflows: &[(&str, &str)]) -> Self {
        let calm = Plan::calm(Bugs::NONE);
        let setting = super::keeper::Setting { image_after: 4, ..calm.setting };
        Self::of(Plan { setting, ..calm }, workflows)
    }

    fn of(plan: Plan, workflows: &[(&str, &str)]) -> Self {
        let mut stage = Self { world: World::new(0, plan) };
        stage.world.choice = Choice::of_seed(0);
        stage.world.trace = Trace::logging(0..u64::MAX);
        for place in stage.world.places() {
            stage.world.at(Duration::ZERO, Event::Start(place));
        }
        stage.world.know_subagents();
        let texts: Vec<String> = workflows.iter().map(|(path, text)| workflow(path, text, 0, 0)).collect();
        let command = stage.world.deployment(&texts);
        stage.run(3.0);
        stage.command(&command);
        stage.until("all are coupled", Self::is_coupled);
        stage
    }

    /// Gives a command, and waits until it is answered.
    pub(super) fn command(&mut self, command: &str) {
        self.world.give(command.to_owned());
        self.until("the command is answered", |stage| stage.world.work.is_all_answered());
    }

    /// Adds an order.
    pub(super) fn order(&mut self, id: &str, path: &str) {
        let wanted = Wanted { id: OrderId::new(id), workflow: path.to_owned(), added: None, is_touched: true };
        self.world.work.orders.push(wanted);
        self.command(&format!(
            r#"{{"TYPE": "AddOrder", "order": {{"id": "{id}", "workflowPath": "{path}", "planId": []}}}}"#
        ));
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, seconds: f64) {
        let end = self.world.now + Duration::from_secs_f64(seconds);
        let result = self.world.run_until(end);
        self.insist(result);
    }

    /// Lets time pass until something is so, and a moment more, in which it gets to disks.
    pub(super) fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        self.until_exactly(what, is_so);
        self.run(0.05);
    }

    /// Lets time pass until something is so.
    pub(super) fn until_exactly(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = self.world.now + PATIENCE;
        while !is_so(self) {
            let next = self.world.events.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = next.filter(|next| *next <= end) else {
                return self.insist(Err(format!("it did not come to this: {what}")));
            };
            let result = self.world.run_until(next);
            self.insist(result);
        }
    }

    fn insist<T>(&mut self, result: Result<T, String>) -> T {
        result.unwrap_or_else(|violation| {
            let journal = telling::events_of(&self.world.history).join("\n");
            let story = self.world.trace.log();
            let last = &story[story.len().saturating_sub(60)..];
            panic!("{violation}\nthe journal of the controller:\n{journal}\nat last:\n{}", last.join("\n"))
        })
    }

    pub(super) fn kill(&mut self, place: Place) {
        let result = self.world.crash(place);
        self.insist(result);
    }

    pub(super) fn start(&mut self, place: Place) {
        self.world.at(Duration::ZERO, Event::Start(place));
    }

    pub(super) fn switch_off(&mut self, computer: Computer) {
        let result = self.world.switch_off(computer);
        self.insist(result);
    }

    pub(super) fn switch_on(&mut self, computer: Computer) {
        let result = self.world.power_on(computer);
        self.insist(result);
    }

    /// Nothing comes through in this direction.
    pub(super) fn cut(&mut self, from: Place, to: Place) {
        self.world.network.cuts.insert((from.computer(), to.computer()));
    }

    pub(super) fn mend(&mut self, from: Place, to: Place) {
        self.world.mend(from.computer(), to.computer());
    }

    pub(super) fn pause(&mut self, place: Place) {
        self.world.pause(place.computer(), Duration::from_secs(100_000));
    }

    pub(super) fn resume(&mut self, place: Place) {
        self.world.resume(place.computer());
    }

    /// The wall clock is set by so many milliseconds.
    pub(super) fn jump(&mut self, place: Place, millis: i64) {
        self.world.jump(place.computer(), millis);
    }

    /// What is on the disk of the director.
    pub(super) fn backup(&self) -> Disk {
        let keeper = self.world.directors.get(&(0, Seat::First));
        let mut disk = keeper.map(|keeper| keeper.disk.clone()).unwrap_or_default();
        disk.lose(0);
        disk
    }

    /// The director, which does not run, gets another disk.
    pub(super) fn restore(&mut self, disk: Disk) {
        self.world.audit.forget_journal(0);
        self.world.work.reset_agents.insert(0);
        if let Some(keeper) = self.world.directors.get_mut(&(0, Seat::First)) {
            keeper.disk = disk;
        }
    }

    /// Where processes of the order live.
    pub(super) fn runs(&self, order: &str) -> Vec<Place> {
        let live = self.world.processes.live.iter();
        live.filter(|(attempt, _)| attempt.order_id.as_str() == order).map(|(_, process)| process.place).collect()
    }

    /// How many processes were started for the order.
    pub(super) fn starts(&self, order: &str) -> usize {
        self.world.processes.started.iter().filter(|attempt| attempt.order_id.as_str() == order).count()
    }

    /// Whether controller, director and subagents are coupled.
    pub(super) fn is_coupled(&self) -> bool {
        let is_with_agent = self.world.active_controller().is_some_and(|it| it.is_coupled_with(&agent_path(0)));
        let director = self.world.directors.get(&(0, Seat::First)).and_then(|keeper| keeper.machine());
        let is_with = |number| director.is_some_and(|director| director.is_coupled_with(&subagent_id(0, number)));
        is_with_agent && is_with(1) && is_with(2)
    }

    /// Whether nothing more happens to the order by itself.
    pub(super) fn has_ended(&self, order: &str) -> bool {
        let controller = self.world.active_controller();
        controller.and_then(|it| it.state().order(&OrderId::new(order))).is_some_and(|order| has_ended(&order.state))
    }

    /// The state of the order, as the controller knows it.
    pub(super) fn state(&self, order: &str) -> String {
        let controller = self.world.active_controller();
        let order = controller.and_then(|it| it.state().order(&OrderId::new(order)));
        order.map(|order| format!("{:?}", order.state)).unwrap_or_default()
    }

    /// Why the agent is not coupled, as the controller knows it; empty if it does not know of any problem.
    pub(super) fn problem_of_agent(&self) -> String {
        let controller = self.world.active_controller();
        let agent = controller.and_then(|it| it.replica().relations().agents.get(&agent_path(0)));
        agent.and_then(|agent| agent.problem.as_ref()).map(|problem| problem.to_string()).unwrap_or_default()
    }

    /// The first record that is on the disk of the director.
    pub(super) fn director_keeps_from(&self) -> u64 {
        self.world.directors.get(&(0, Seat::First)).map_or(0, |keeper| keeper.disk.begin().offset.0)
    }

    /// An end of a link at the director that is not coupled.
    pub(super) fn is_about_to_couple(&self, controller: Place) -> bool {
        let ends = self.world.network.ends.values();
        ends.filter(|end| end.place == controller && end.other == DIRECTOR).count() > 0
    }

    /// What the controller's journal tells of an order: the names of the events, outcomes and places.
    pub(super) fn story(&self, order: &str) -> Vec<String> {
        let mut assembly = Assembly::default();
        let records = self.world.history.iter().filter_map(|record| assembly.add(record).ok().flatten());
        let events = records.flat_map(|assembled| assembled.transaction.events);
        events
            .filter_map(|stamped| match stamped.event {
                WorkflowEvent::Order(id, event) if id.as_str() == order => told(&event),
                _ => None,
            })
            .collect()
    }

    /// The same as one line.
    pub(super) fn line(&self, order: &str) -> String {
        self.story(order).join(", ")
    }
}

/// An event in a few words; none for those about ways between controller and agent.
fn told(event: &OrderEvent) -> Option<String> {
    Some(match event {
        OrderEvent::OrderAttachable { .. }
        | OrderEvent::OrderAttached { .. }
        | OrderEvent::OrderDetachable
        | OrderEvent::OrderDetached
        | OrderEvent::OrderAdded { .. }
        | OrderEvent::OrderMoved { .. } => return None,
        OrderEvent::OrderProcessingStarted { subagent_id: Some(id), .. } => format!("starts at {id}"),
        OrderEvent::OrderProcessed { outcome } => match outcome {
            Outcome::Disrupted { .. } => match outcome.is_process_lost() {
                true => "is lost".to_owned(),
                false => "is disrupted".to_owned(),
            },
            Outcome::Succeeded { .. } => "succeeds".to_owned(),
            Outcome::Failed { .. } => "fails".to_owned(),
            Outcome::Killed { .. } => "is killed".to_owned(),
            Outcome::TimedOut { .. } => "is timed out".to_owned(),
            Outcome::Caught => "is caught".to_owned(),
        },
        event => event.type_name().trim_start_matches("Order").to_owned(),
    })
}
