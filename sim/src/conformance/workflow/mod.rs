//! The kind `workflow`: a whole installation with simulated jobs, files and time executes steps, and its journal is compared.

mod events;
pub mod jobs;
mod states;
mod steps;
pub mod world;

use super::basics::rejected;
use super::input::{self, decode, list, member, members, need, read, read_optional, time, value_of};
use super::verdict::{Cases, Difference, Fault, Verdict};
use super::{Kind, Vector, known_members};
use baton_workflow::id::{AgentPath, SubagentId, VersionId};
use baton_workflow::json::{Json as _, Node, NodeKind};
use baton_workflow::model::command::Command;
use baton_workflow::problem::Checked;
use baton_workflow::time::Timestamp;
use baton_workflow::value::Value;
use events::Events;
use jobs::Jobs;
use std::cell::RefCell;
use steps::{Action, Step, Transaction};
use world::{AgentSetup, Setup, StartWorld, World};

pub(super) const KINDS: &[Kind] = &[Kind {
    name: "workflow",
    members: &["time", "agents", "items", "jobs", "steps", "expect", "ignore", "partial", "notes"],
    case: &[],
    check: |vector, cases| match vector.settings.start_world {
        Some(start) => check(vector, cases, start),
        None => Err(Fault::malformed("there is no world to run workflow vectors in")),
    },
}];

/// Most times to which the clock is set within one step.
const MAX_TIMES: usize = 100_000;

fn check(vector: &Vector<'_>, cases: &Cases, start: StartWorld) -> Verdict {
    let node = vector.node;
    let ignored: Vec<String> = read_optional(node, "ignore")?.unwrap_or_default();
    let expect = need(node, "expect")?;
    known_members(expect, &["orders", "journal"])?;
    let steps = list(node, "steps")?.iter().map(Step::read).collect::<Result<Vec<_>, _>>()?;
    let now = time(node, "time")?;
    let setup = Setup {
        time: now,
        agents: member(node, "agents").map_or(&[][..], input::elements).iter().map(agent).collect::<Result<_, _>>()?,
        jobs: Jobs::read(member(node, "jobs"))?,
        matcher: vector.matcher(),
    };
    let world = start(setup).map_err(|problem| Fault::malformed(format!("no world: {}", problem.message)))?;
    let run = RefCell::new(Run { world, now, matcher: vector.matcher(), ignored: &ignored });

    let items =
        Transaction { items: list(node, "items")?, deleted: Vec::new(), version: Some(VersionId::new("INITIAL")) };
    cases.case("items", || {
        run.borrow_mut().act(0, &Step { action: Action::Items(items), problem: None, response: None })
    });
    for (i, step) in steps.iter().enumerate() {
        cases.case(format!("steps[{i}]"), || run.borrow_mut().act(i, step));
    }
    let run = run.into_inner();
    let journal = run.world.journal();
    let events = run.events();
    for (order_id, _, expected) in member(expect, "orders").map_or(&[][..], members) {
        cases.case(format!("expect.orders.{order_id}"), || {
            events.compare(expected, &events::of_order(&journal, order_id))
        });
    }
    if let Some(expected) = member(expect, "journal") {
        cases.case("expect.journal", || events.compare(expected, &events::of_all(&journal)));
    }
    Ok(())
}

fn agent(node: &Node) -> Result<AgentSetup, Fault> {
    let is_object = matches!(node.kind, NodeKind::Object(_));
    let path: AgentPath = if is_object { read(node, "path")? } else { value_of(node)? };
    let (mut process_limit, mut subagents) = (None, None);
    if is_object {
        known_members(node, &["path", "processLimit", "subagents"])?;
        process_limit = read_optional(node, "processLimit")?;
        subagents = read_optional::<Vec<SubagentId>>(node, "subagents")?;
    }
    let subagents = subagents.unwrap_or_else(|| vec![SubagentId::new(&format!("{path}-0"))]);
    if subagents.is_empty() {
        return Err(Fault::malformed(format!("agent {path} has no subagent")));
    }
    Ok(AgentSetup { path, process_limit, subagents })
}

/// A running vector.
struct Run<'a> {
    world: Box<dyn World>,
    now: Timestamp,
    matcher: super::matching::Matcher,
    ignored: &'a [String],
}

impl Run<'_> {
    fn events(&self) -> Events<'_> {
        Events { matcher: self.matcher, ignored: self.ignored, has_agents: self.world.has_agents() }
    }

    /// Executes a step and lets the world come to rest.
    fn act(&mut self, number: usize, step: &Step<'_>) -> Verdict {
        let world = &mut *self.world;
        match &step.action {
            Action::Add(order) => {
                let added = decode(order).and_then(|order| world.add_order(order)).map(|()| Value::Missing);
                self.answered(step, added)?;
            }
            Action::Command(command) => {
                let response = decode::<Command>(command).and_then(|command| world.command(command));
                self.answered(step, response.map(|response| response.write()))?;
            }
            Action::Items(transaction) => {
                let operations = transaction.operations(&format!("STEP-{number}"));
                let changed = operations.and_then(|operations| world.update_items(operations));
                self.answered(step, changed.map(|()| Value::Missing))?;
            }
            Action::Advance(duration) => return self.advance(self.now + *duration),
            Action::AdvanceTo(time) => return self.advance(*time),
            Action::JumpTo(time) => {
                self.now = *time;
                world.set_clock(*time);
            }
            Action::Release(script, order_id) => {
                if !world.release(script, order_id.as_ref()) {
                    return Err(Difference::new(format!("a waiting process of {script}"), "none")
                        .within("release")
                        .into());
                }
            }
            Action::RestartController => world.restart_controller(),
            Action::RestartAgent(agent_path) => {
                if !world.restart_agent(agent_path) {
                    return Err(Fault::malformed(format!("there is no agent {agent_path}")));
                }
            }
            Action::File(change, path) => world.change_file(*change, path),
            Action::EnableSubagents(subagents) => {
                for (id, enabled) in subagents {
                    world.enable_subagent(id, *enabled).map_err(|problem| unexpected(&problem))?;
                }
            }
            Action::Expect(expected) => return states::expect(&*self.world, self.events(), expected),
        }
        self.settle()
    }

    fn settle(&mut self) -> Verdict {
        self.world.settle().map_err(|problem| unexpected(&problem))
    }

    /// Lets the time pass, with all that is due meanwhile at its own time.
    fn advance(&mut self, until: Timestamp) -> Verdict {
        if until < self.now {
            return Err(Fault::malformed(format!("the clock shows {} and does not advance to {until}", self.now)));
        }
        for _ in 0..MAX_TIMES {
            match self.world.next_due().filter(|due| *due <= until) {
                Some(due) => self.now = due.max(self.now),
                None => {
                    self.now = until;
                    self.world.set_clock(until);
                    return self.settle();
                }
            }
            self.world.set_clock(self.now);
            self.settle()?;
        }
        Err(Difference::new("the time passes", format!("something is due more than {MAX_TIMES} times")).into())
    }

    fn answered(&self, step: &Step<'_>, answer: Checked<Value>) -> Verdict {
        match (step.problem, answer) {
            (Some(expected), answer) => {
                rejected(self.matcher, expected, answer).map_err(|fault| within(fault, "problem"))
            }
            (None, Ok(response)) => match step.response {
                Some(expected) => Ok(self.matcher.value(expected, &response).map_err(|d| d.within("response"))?),
                None => Ok(()),
            },
            (None, Err(problem)) => Err(unexpected(&problem)),
        }
    }
}

fn within(fault: Fault, step: &str) -> Fault {
    match fault {
        Fault::Differs(difference) => Fault::Differs(difference.within(step)),
        other => other,
    }
}

fn unexpected(problem: &baton_workflow::problem::Problem) -> Fault {
    let found = baton_workflow::json::print(&problem.write());
    Difference::new("no problem", found).into()
}

#[cfg(test)]
mod tests;
