//! What people want of a world: items, orders and commands; and how they ask until they are answered.

use super::place::{Place, address, agent_path, subagent_id};
use super::plan::Kind;
use super::shown::Sometimes;
use super::{Event, World};
use baton_machine::controller::{Controller, ControllerInput};
use baton_machine::host::{CallerId, Reply};
use baton_machine::process::Signal;
use baton_machine::subagent::SubagentInput;
use baton_protocol::machine::Input;
use baton_protocol::register::Seat;
use baton_protocol::time::{Duration, Instant};
use baton_workflow::id::{CommandId, OrderId};
use baton_workflow::json::from_text;
use baton_workflow::model::command::{Command, Response};
use baton_workflow::model::order::OrderState;
use std::collections::{BTreeMap, BTreeSet};

/// Who gets no answer asks again after this.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often people look after what is left.
const REPAIR: Duration = Duration::from_secs(4);

/// What orders do. `$A` is an agent, `$B` another one if there is one.
const WORKFLOWS: [(&str, &str); 12] = [
    ("JOB", r#"$JOB($A, "processLimit": 3, |short)"#),
    ("FIXED", r#"$JOB($A, "processLimit": 9, "subagentBundleIdExpr": "'$A-FIXED'", |short)"#),
    ("ROUND", r#"$JOB($A, "processLimit": 9, "subagentBundleIdExpr": "'$A-ROUND'", |short), $JOB($A, |takes 50)"#),
    (
        "FORK",
        r#"{"TYPE": "Fork", "joinIfFailed": true, "branches": [
            {"id": "lock", "workflow": {"instructions": [{"TYPE": "Lock", "demands": [{"lockPath": "L"}],
                "lockedWorkflow": {"instructions": [$JOB($A, "processLimit": 5, |short)]}}]}},
            {"id": "retry", "workflow": {"instructions": [{"TYPE": "Try", "maxTries": 100, "retryDelays": [0, 1],
                "try": {"instructions": [$JOB($B, "processLimit": 5, |flaky)]},
                "catch": {"instructions": [{"TYPE": "Retry"}]}}]}}]}"#,
    ),
    ("ONCE", r#"$JOB($A, "processLimit": 9, "isNotRestartable": true, |short)"#),
    (
        "TIMEOUT",
        r#"{"TYPE": "Try", "try": {"instructions": [$JOB($A, "processLimit": 9, "timeout": 1, |hang)]},
            "catch": {"instructions": []}}"#,
    ),
    (
        "STUBBORN",
        r#"{"TYPE": "Try", "try": {"instructions": [$JOB($B, "processLimit": 9, "timeout": 1, "sigkillDelay": 1, |stubborn)]},
            "catch": {"instructions": []}}"#,
    ),
    ("HANG", r#"$JOB($A, "processLimit": 9, |hang)"#),
    ("TWO", r#"$JOB($A, "processLimit": 9, |short), $JOB($B, "processLimit": 9, |short)"#),
    (
        "STICKY",
        r#"{"TYPE": "StickySubagent", "agentPath": "$A", "subworkflow": {"instructions": [
            $JOB($A, "processLimit": 9, |takes 300), $JOB($A, "processLimit": 9, |takes 300)]}}"#,
    ),
    ("OUTPUT", r#"$JOB($A, "processLimit": 9, |output 15)"#),
    ("NAP", r#"$JOB($A, |takes 10), {"TYPE": "Sleep", "duration": "2"}, $JOB($A, |takes 10)"#),
];

/// Workflows for the promised time, one for each agent; not drawn.
pub(super) const PROBE: &str = "PROBE";

/// Whether nothing more happens to an order by itself.
pub(super) fn has_ended(state: &OrderState) -> bool {
    state.is_terminated() || matches!(state, OrderState::Failed | OrderState::FailedWhileFresh)
}

/// Whether a person has to end orders of the workflow.
pub(super) fn hangs(workflow: &str) -> bool {
    workflow.starts_with("HANG")
}

/// An order.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) id: OrderId,
    pub(super) workflow: String,
    /// When its addition was answered.
    pub(super) added: Option<Instant>,
    /// Whether somebody has cancelled or suspended it.
    pub(super) is_touched: bool,
}

/// What somebody does at a time.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    Add(usize),
    ResetAgent(u8),
    Resume(OrderId),
    Put(u8, u8),
    Unlimit(u8),
    Release(String),
    Repair,
}

/// A command that has not been answered.
#[derive(Clone, Debug)]
struct Pending {
    command: String,
    /// The order that it adds.
    adds: Option<usize>,
    attempt: u64,
}

/// Where a subagent is to be, and whether it is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) at: u8,
    pub(super) is_disabled: bool,
    pub(super) is_deleted: bool,
}

/// What people want.
#[derive(Debug)]
pub(super) struct Work {
    pending: BTreeMap<u64, Pending>,
    last_number: u64,
    last_caller: u64,
    /// Who waits for an answer, from whom, in which attempt.
    waiting: BTreeMap<CallerId, (u64, Seat, u64)>,
    /// Who is asked first.
    seat: Seat,
    pub(super) orders: Vec<Wanted>,
    pub(super) subagents: BTreeMap<(u8, u8), Setting>,
    /// Agents which were reset, so that orders have failed.
    pub(super) reset_agents: BTreeSet<u8>,
    /// Which subagent moves to the computer that is left.
    spare: BTreeMap<u8, u8>,
    held: BTreeSet<String>,
    /// Where and when processes were started for orders.
    pub(super) starts: BTreeMap<OrderId, Vec<(Instant, Place)>>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            pending: BTreeMap::new(),
            last_number: 0,
            last_caller: 0,
            waiting: BTreeMap::new(),
            seat: Seat::First,
            orders: Vec::new(),
            subagents: BTreeMap::new(),
            reset_agents: BTreeSet::new(),
            spare: BTreeMap::new(),
            held: BTreeSet::new(),
            starts: BTreeMap::new(),
        }
    }
}

impl Work {
    pub(super) fn process_starts(&mut self, order_id: &OrderId, place: Place, now: Instant) {
        self.starts.entry(order_id.clone()).or_default().push((now, place));
    }

    pub(super) fn is_all_answered(&self) -> bool {
        self.pending.is_empty()
    }

    fn is_asked(&mut self, number: u64, attempt: u64) -> Result<(), String> {
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.attempt = attempt;
        }
        Ok(())
    }

    fn touch(&mut self, id: &OrderId) {
        if let Some(wanted) = self.orders.iter_mut().find(|wanted| wanted.id == *id) {
            wanted.is_touched = true;
        }
    }
}

/// The text of a workflow, with its jobs written out.
pub(super) fn workflow(path: &str, text: &str, a: u8, b: u8) -> String {
    let (a, b) = (agent_path(a).to_string(), agent_path(b).to_string());
    let mut rest = text.replace("$A", &a).replace("$B", &b);
    let mut instructions = String::new();
    while let Some((before, after)) = rest.clone().split_once("$JOB(") {
        let (arguments, after) = after.split_once(')').unwrap_or((after, ""));
        let (members, script) = arguments.split_once('|').unwrap_or((arguments, "short"));
        let (agent, members) = members.split_once(',').unwrap_or((members, ""));
        let members = members.trim();
        instructions.push_str(before);
        instructions.push_str(&format!(
            r#"{{"TYPE": "Execute.Anonymous", "job": {{"agentPath": "{agent}", {members}
                "executable": {{"TYPE": "ShellScriptExecutable", "script": "{script}"}}}}}}"#
        ));
        rest = after.to_owned();
    }
    instructions.push_str(&rest);
    format!(r#"{{"TYPE": "Workflow", "path": "{path}", "instructions": [{instructions}]}}"#)
}

impl World {
    pub(super) fn know_subagents(&mut self) {
        for agent in 0..self.plan.agents {
            for number in 1..=self.plan.subagents {
                let setting = Setting { at: number, is_disabled: false, is_deleted: false };
                self.work.subagents.insert((agent, number), setting);
            }
        }
    }

    /// What is wanted of this world.
    pub(super) fn plan_work(&mut self) {
        self.know_subagents();
        for number in 0..self.plan.orders {
            let drawn = usize::try_from(self.below(WORKFLOWS.len() as u64)).unwrap_or(0);
            let id = OrderId::new(&format!("O-{number}"));
            let workflow = WORKFLOWS[drawn].0.to_owned();
            self.work.orders.push(Wanted { id, workflow, added: None, is_touched: false });
        }
        let all: Vec<(String, String)> = WORKFLOWS.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        let b = self.plan.agents - 1;
        let mut workflows: Vec<String> = all.iter().map(|(path, text)| workflow(path, text, 0, b)).collect();
        for agent in 0..self.plan.agents {
            let path = format!("{PROBE}-{}", agent_path(agent));
            workflows.push(workflow(&path, r#"$JOB($A, "processLimit": 1000, |takes 10)"#, agent, agent));
        }
        let command = self.deployment(&workflows);
        let after = self.micros(1_000_000, 2_000_000);
        self.give_after(after, command, None);
        let end = u64::try_from(self.plan.faulty.as_micros()).unwrap_or(u64::MAX);
        for index in 0..self.work.orders.len() {
            let after = self.micros(2_500_000, end.max(2_500_000));
            self.at(after, Event::Do(Deed::Add(index)));
        }
    }

    /// All items of the world.
    pub(super) fn deployment(&self, workflows: &[String]) -> String {
        let mut items = vec![r#"{"TYPE": "Lock", "path": "L", "limit": 2}"#.to_owned()];
        for agent in 0..self.plan.agents {
            let path = agent_path(agent);
            // A third one is in no bundle, and can be deleted.
            let ids = [subagent_id(agent, 1), subagent_id(agent, 2)];
            items.extend((1..=self.plan.subagents).map(|number| self.subagent_item(agent, number)));
            items.push(agent_item(agent, None));
            let fixed: Vec<String> = ids.iter().enumerate().map(|(n, id)| format!(r#""{id}": "{}""#, 10 - n)).collect();
            let equal: Vec<String> = ids.iter().map(|id| format!(r#""{id}": "1""#)).collect();
            for (name, priorities) in [("FIXED", fixed), ("ROUND", equal)] {
                items.push(format!(
                    r#"{{"TYPE": "SubagentBundle", "id": "{path}-{name}", "subagentToPriority": {{{}}}}}"#,
                    priorities.join(", ")
                ));
            }
        }
        let simple = items.iter().map(|item| format!(r#"{{"TYPE": "AddOrChangeSimple", "item": {item}}}"#));
        let version = r#"{"TYPE": "AddVersion", "versionId": "1"}"#.to_owned();
        let versioned = workflows.iter().map(|item| format!(r#"{{"TYPE": "AddOrChangeVersioned", "item": {item}}}"#));
        update(&simple.chain([version]).chain(versioned).collect::<Vec<_>>())
    }

    fn subagent_item(&self, agent: u8, number: u8) -> String {
        let setting = self.work.subagents.get(&(agent, number));
        let (at, is_disabled) = setting.map_or((number, false), |setting| (setting.at, setting.is_disabled));
        let (id, path, uri) = (subagent_id(agent, number), agent_path(agent), address(agent, at));
        format!(
            r#"{{"TYPE": "SubagentItem", "id": "{id}", "agentPath": "{path}", "uri": "{uri}", "disabled": {is_disabled}}}"#
        )
    }

    /// Gives a command, until it is answered.
    pub(super) fn give(&mut self, command: String) {
        self.give_after(Duration::ZERO, command, None);
    }

    fn give_after(&mut self, after: Duration, command: String, adds: Option<usize>) {
        self.work.last_number += 1;
        let number = self.work.last_number;
        self.work.pending.insert(number, Pending { command, adds, attempt: 0 });
        self.at(after, Event::Ask { number, attempt: 1 });
    }

    pub(super) fn ask(&mut self, number: u64, attempt: u64) -> Result<(), String> {
        let Some(pending) = self.work.pending.get(&number).filter(|pending| attempt > pending.attempt) else {
            return Ok(());
        };
        // Who commands several things does one after the other; orders come from others.
        let (adds, waits) = (pending.adds.is_some(), Duration::from_millis(100));
        if !adds && self.work.pending.iter().any(|(earlier, pending)| *earlier < number && pending.adds.is_none()) {
            self.at(waits, Event::Ask { number, attempt: attempt + 1 });
            return self.work.is_asked(number, attempt);
        }
        self.work.is_asked(number, attempt)?;
        let Some(pending) = self.work.pending.get_mut(&number) else { return Ok(()) };
        if attempt > 1 && self.plan.has_two_controllers {
            self.work.seat = self.work.seat.peer();
        }
        let seat = self.work.seat;
        let text = pending.command.clone();
        self.at(PATIENCE, Event::Ask { number, attempt: attempt + 1 });
        let place = Place::Controller(seat);
        if !self.is_running(place) || self.paused.contains_key(&place.computer()) {
            self.at(Duration::from_millis(50), Event::Ask { number, attempt: attempt + 1 });
            return Ok(());
        }
        self.work.last_caller += 1;
        let caller = CallerId(self.work.last_caller);
        self.work.waiting.insert(caller, (number, seat, attempt));
        let command: Command = from_text(&text).map_err(|problem| format!("{text}: {problem}"))?;
        let id = Some(CommandId::new(&format!("C-{number}")));
        self.step_controller(seat, Input::Arrived(ControllerInput::Command { caller, id, command }))
    }

    pub(super) fn replied(&mut self, place: Place, caller: CallerId, reply: &Reply) -> Result<(), String> {
        let Some((number, _, attempt)) = self.work.waiting.remove(&caller) else { return Ok(()) };
        let Some(pending) = self.work.pending.get(&number) else { return Ok(()) };
        let (adds, is_current) = (pending.adds, pending.attempt == attempt);
        match &reply.answer {
            Ok(response) => {
                if matches!(response, Response::AddOrder { ignored_because_duplicate: true }) {
                    return Err("S10: an order was added twice, although its command has an id".to_owned());
                }
                self.work.pending.remove(&number);
                let Some(wanted) = adds.and_then(|index| self.work.orders.get_mut(index)) else { return Ok(()) };
                wanted.added = Some(self.now);
                let id = wanted.id.clone();
                let Place::Controller(seat) = place else { return Ok(()) };
                let controller = self.controllers.get(&seat).and_then(|keeper| keeper.machine());
                match controller.map(|controller| controller.state().order(&id)) {
                    Some(None) => Err(format!("S2: {id} was answered, but is not there")),
                    _ => Ok(()),
                }
            }
            Err(problem) if matches!(&*problem.code, "ClusterNodeIsNotActive" | "Busy" | "OutcomeUnknown") => {
                self.see(Sometimes::NotActive);
                if is_current {
                    let after = self.micros(20_000, 200_000);
                    self.at(after, Event::Ask { number, attempt: attempt + 1 });
                }
                Ok(())
            }
            // An order for which the time has passed, a subagent that is being deleted, and so on.
            Err(problem) if adds.is_none() && number > 1 => {
                self.work.pending.remove(&number);
                let _ = problem;
                Ok(())
            }
            // Before the items are there.
            Err(problem) if &*problem.code == "UnknownKey" || &*problem.code == "UnknownItem" => {
                let after = self.micros(100_000, 300_000);
                self.at(after, Event::Ask { number, attempt: attempt + 1 });
                Ok(())
            }
            Err(problem) => Err(format!("a command is refused: {problem:?}")),
        }
    }

    /// The connections of those who wait for a controller break.
    pub(super) fn break_off(&mut self, place: Place) {
        let Place::Controller(seat) = place else { return };
        let broken: Vec<CallerId> =
            self.work.waiting.iter().filter(|(_, (_, at, _))| *at == seat).map(|(caller, _)| *caller).collect();
        for caller in broken {
            if let Some((number, _, attempt)) = self.work.waiting.remove(&caller) {
                self.at(Duration::from_millis(20), Event::Ask { number, attempt: attempt + 1 });
            }
        }
    }

    /// Somebody commands something.
    pub(super) fn command_something(&mut self, kind: Kind) -> Result<(), String> {
        let agent = u8::try_from(self.below(u64::from(self.plan.agents))).unwrap_or(0);
        let number = u8::try_from(self.choice.between(1, u64::from(self.plan.subagents))).unwrap_or(1);
        let later = self.micros(200_000, 6_000_000);
        let added: Vec<OrderId> =
            self.work.orders.iter().filter(|wanted| wanted.added.is_some()).map(|wanted| wanted.id.clone()).collect();
        let order = self.choice.one_of(&added).cloned();
        match (kind, order) {
            (Kind::Cancel | Kind::CancelKill, Some(id)) => {
                self.work.touch(&id);
                self.give(cancellation(&id, (kind == Kind::CancelKill).then_some(false)));
            }
            (Kind::Suspend | Kind::SuspendKill, Some(id)) => {
                self.work.touch(&id);
                let mode = if kind == Kind::SuspendKill { r#"{"kill": {"immediately": false}}"# } else { "{}" };
                self.give(format!(r#"{{"TYPE": "SuspendOrders", "orderIds": ["{id}"], "mode": {mode}}}"#));
                self.at(later, Event::Do(Deed::Resume(id)));
            }
            (Kind::ResetSubagent, _) => {
                self.give(format!(
                    r#"{{"TYPE": "ResetSubagent", "subagentId": "{}", "force": true}}"#,
                    subagent_id(agent, number)
                ));
            }
            (Kind::ResetAgent, _) => return self.carry_out(Deed::ResetAgent(agent)),
            (Kind::Disable | Kind::Move | Kind::Delete, _) => self.change_subagent(kind, agent, number, later),
            (Kind::Limit, _) => {
                let limit = self.below(3);
                self.give(update(&[simple(&agent_item(agent, Some(limit)))]));
                self.at(later, Event::Do(Deed::Unlimit(agent)));
            }
            (Kind::Hold, _) => {
                let drawn = usize::try_from(self.below(WORKFLOWS.len() as u64)).unwrap_or(0);
                let path = WORKFLOWS[drawn].0;
                self.work.held.insert(path.to_owned());
                self.give(hold(path, true));
                self.at(later, Event::Do(Deed::Release(path.to_owned())));
            }
            _ => {}
        }
        Ok(())
    }

    fn change_subagent(&mut self, kind: Kind, agent: u8, number: u8, later: Duration) {
        let spare = self.plan.subagents + 1;
        // A subagent belongs to whoever came first.
        let is_spare_taken = *self.work.spare.entry(agent).or_insert(number) != number;
        let Some(setting) = self.work.subagents.get_mut(&(agent, number)) else { return };
        // The first one is where the director is, and the second one in bundles.
        if setting.is_deleted || (number == 1 && kind != Kind::Disable) || (number == 2 && kind == Kind::Delete) {
            return;
        }
        match kind {
            Kind::Disable => setting.is_disabled = true,
            Kind::Move if setting.at == spare => setting.at = number,
            Kind::Move if !is_spare_taken => setting.at = spare,
            Kind::Delete => setting.is_deleted = true,
            _ => return,
        }
        let command = if kind == Kind::Delete {
            format!(r#"{{"TYPE": "DeleteSimple", "path": "Subagent:{}"}}"#, subagent_id(agent, number))
        } else {
            simple(&self.subagent_item(agent, number))
        };
        self.give(update(&[command]));
        self.at(later, Event::Do(Deed::Put(agent, number)));
    }

    pub(super) fn carry_out(&mut self, deed: Deed) -> Result<(), String> {
        match deed {
            Deed::Add(index) => {
                let Some(Wanted { id, workflow, .. }) = self.work.orders.get(index) else { return Ok(()) };
                let command = format!(
                    r#"{{"TYPE": "AddOrder", "order": {{"id": "{id}", "workflowPath": "{workflow}", "planId": []}}}}"#
                );
                self.give_after(Duration::ZERO, command, Some(index));
            }
            Deed::ResetAgent(agent) => {
                self.work.reset_agents.insert(agent);
                self.give(format!(r#"{{"TYPE": "ResetAgent", "agentPath": "{}", "force": true}}"#, agent_path(agent)));
            }
            Deed::Resume(id) => self.give(format!(r#"{{"TYPE": "ResumeOrder", "orderId": "{id}"}}"#)),
            Deed::Put(agent, number) => {
                if let Some(setting) = self.work.subagents.get_mut(&(agent, number)) {
                    (setting.is_disabled, setting.is_deleted) = (false, false);
                }
                let item = self.subagent_item(agent, number);
                self.give(update(&[simple(&item)]));
            }
            Deed::Unlimit(agent) => self.give(update(&[simple(&agent_item(agent, None))])),
            Deed::Release(path) => {
                self.work.held.remove(&path);
                self.give(hold(&path, false));
            }
            Deed::Repair => return self.repair(),
        }
        Ok(())
    }

    /// After the faults people put everything right, and see to the orders that would wait for ever.
    fn repair(&mut self) -> Result<(), String> {
        self.at(REPAIR, Event::Do(Deed::Repair));
        if !self.work.is_all_answered() {
            return Ok(());
        }
        for (agent, number) in self.work.subagents.keys().copied().collect::<Vec<_>>() {
            let known =
                self.active_controller().and_then(|it| it.state().items().subagent(&subagent_id(agent, number)));
            if known.is_none_or(|item| item.disabled) {
                self.carry_out(Deed::Put(agent, number))?;
            }
        }
        for agent in 0..self.plan.agents {
            let known = self.active_controller().and_then(|it| it.state().items().agent(&agent_path(agent)));
            if known.is_some_and(|item| item.process_limit.is_some()) {
                self.carry_out(Deed::Unlimit(agent))?;
            }
        }
        for path in self.work.held.clone() {
            self.carry_out(Deed::Release(path))?;
        }
        for place in self.subagents.keys().copied().collect::<Vec<_>>() {
            if self.subagents.get(&place).and_then(Option::as_ref).is_some_and(|node| node.machine().is_stopping()) {
                self.tell_subagent(place, SubagentInput::Stop { signal: Some(Signal::Kill) })?;
            }
        }
        let mut commands = Vec::new();
        if let Some(controller) = self.active_controller() {
            for wanted in &self.work.orders {
                let Some(order) = controller.state().order(&wanted.id).filter(|order| !has_ended(&order.state)) else {
                    continue;
                };
                if order.is_suspended || matches!(order.state, OrderState::Stopped) {
                    commands.push(format!(r#"{{"TYPE": "ResumeOrder", "orderId": "{}"}}"#, wanted.id));
                } else if hangs(&wanted.workflow) {
                    commands.push(cancellation(&wanted.id, Some(true)));
                }
            }
        }
        for command in commands {
            self.give(command);
        }
        Ok(())
    }

    pub(super) fn active_controller(&self) -> Option<&Controller> {
        self.controllers.get(&self.active()?)?.machine()
    }
}

fn agent_item(agent: u8, limit: Option<u64>) -> String {
    let limit = limit.map(|limit| format!(r#", "processLimit": {limit}"#)).unwrap_or_default();
    format!(
        r#"{{"TYPE": "AgentRef", "path": "{}", "directors": ["{}"]{limit}}}"#,
        agent_path(agent),
        subagent_id(agent, 1)
    )
}

fn simple(item: &str) -> String {
    format!(r#"{{"TYPE": "AddOrChangeSimple", "item": {item}}}"#)
}

fn update(operations: &[String]) -> String {
    format!(r#"{{"TYPE": "UpdateItems", "operations": [{}]}}"#, operations.join(", "))
}

fn hold(path: &str, suspend: bool) -> String {
    format!(r#"{{"TYPE": "ControlWorkflowPath", "workflowPath": "{path}", "suspend": {suspend}}}"#)
}

/// `kill`: whether at once.
fn cancellation(id: &OrderId, kill: Option<bool>) -> String {
    let kill = kill.map(|immediately| format!(r#", "kill": {{"immediately": {immediately}}}"#)).unwrap_or_default();
    format!(r#"{{"TYPE": "CancelOrders", "orderIds": ["{id}"], "mode": {{"TYPE": "FreshOrStarted"{kill}}}}}"#)
}
