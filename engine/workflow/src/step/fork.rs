//! Forking into child orders, and joining them.
//!
//! A fork happens where most of the work is: if at least [`MIN_CHILDREN_TO_FOLLOW`] children go to one agent, the order goes
//! there first and forks there, which saves handing over each child. Children are joined at the controller.

use super::order_step::OrderStep;
use crate::id::{AgentPath, OrderId};
use crate::model::event::Event;
use crate::model::instruction::Instruction;
use crate::model::order::{ForkedChild, Order, OrderState};
use crate::model::order_event::OrderEvent;
use crate::model::outcome::{Completed, Outcome};
use crate::problem::{Checked, Problem};
use crate::value::{Fields, Name, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// From how many children on the order goes to their agent before it forks.
pub(super) const MIN_CHILDREN_TO_FOLLOW: usize = 3;
/// Most children of a fork.
pub(super) const MAX_CHILDREN: usize = 100_000;
/// How many children are named in the message of a failed join.
const MAX_NAMED_CHILDREN: usize = 3;

impl OrderStep<'_> {
    pub(super) fn fork(&mut self, instruction: &Instruction) -> Checked<()> {
        match &self.order.state {
            OrderState::Forked { .. } => {
                if !self.at_controller() {
                    return self.at_controller_or_detach().map(|_| ());
                }
                let parent = self.order.clone();
                self.join(&parent)
            }
            OrderState::Processed => {
                let next = self.position().next();
                self.move_to(next, None)
            }
            _ => self.split(instruction),
        }
    }

    fn split(&mut self, instruction: &Instruction) -> Checked<()> {
        let (Instruction::Fork { agent_path, .. } | Instruction::ForkList { agent_path, .. }) = instruction else {
            return Ok(());
        };
        if let Some(agent_path) = agent_path {
            if self.at_controller() {
                return self.attach(agent_path);
            }
            if self.own_agent() != Some(agent_path) {
                return self.at_controller_or_detach().map(|_| ());
            }
        }
        let children = self.children(instruction)?;
        for child in &children {
            OrderId::checked(child.order_id.as_str())?;
        }
        if agent_path.is_none() && !self.is_at_right_place(&children)? {
            return Ok(());
        }
        if !self.start()? {
            return Ok(());
        }
        self.emit(OrderEvent::OrderForked { children })
    }

    /// Goes to where the children go, if that is worth while. `true` if the order is to fork here.
    fn is_at_right_place(&mut self, children: &[ForkedChild]) -> Checked<bool> {
        if children.is_empty() {
            return Ok(true);
        }
        let mut destination: Option<Option<AgentPath>> = None;
        for child in children {
            let next = self.first_agent(child)?;
            match &destination {
                None => destination = Some(next),
                Some(known) if *known == next => {}
                Some(_) => return self.at_controller_or_detach(),
            }
        }
        match destination.flatten() {
            None => self.at_controller_or_detach(),
            Some(agent_path) if self.at_controller() => {
                if children.len() < MIN_CHILDREN_TO_FOLLOW {
                    return Ok(true);
                }
                self.attach(&agent_path)?;
                Ok(false)
            }
            Some(agent_path) if self.own_agent() == Some(&agent_path) => Ok(true),
            Some(_) => self.at_controller_or_detach(),
        }
    }

    /// The agent of the first job which the child will execute, if that is the first it does.
    fn first_agent(&self, child: &ForkedChild) -> Checked<Option<AgentPath>> {
        let mut step = OrderStep {
            state: self.state,
            around: self.around,
            order: self.order.forked_child(child),
            flow: self.flow.clone(),
            events: Vec::new(),
        };
        step.follow()?;
        Ok(match step.instruction()? {
            Instruction::ExecuteNamed { .. } | Instruction::ExecuteAnonymous { .. } => {
                let job = step.flow.job_at(step.position())?.job;
                Some(job.agent_path.clone())
            }
            Instruction::Fork { agent_path, .. } | Instruction::ForkList { agent_path, .. } => agent_path.clone(),
            Instruction::StickySubagent { agent_path, .. } => Some(agent_path.clone()),
            _ => None,
        })
    }

    fn children(&self, instruction: &Instruction) -> Checked<Vec<ForkedChild>> {
        match instruction {
            Instruction::Fork { branches, .. } => Ok(branches
                .iter()
                .map(|branch| ForkedChild {
                    order_id: self.order.id.child(&branch.id),
                    branch_id: Some(branch.id.clone()),
                    arguments: Fields::default(),
                })
                .collect()),
            Instruction::ForkList { children, child_to_id, child_to_arguments, .. } => {
                let Value::List(elements) = self.evaluate_children(children)? else {
                    return Err(Problem::new(format!("{children}: a list is expected for the children of ForkList")));
                };
                if elements.len() > MAX_CHILDREN {
                    return Err(Problem::new(format!("{children}: more than {MAX_CHILDREN} children")));
                }
                let mut ids: BTreeMap<String, usize> = BTreeMap::new();
                let mut forked = Vec::with_capacity(elements.len());
                for (index, element) in (0i64..).zip(elements.iter()) {
                    let parameters = [element.clone(), Value::from(index)];
                    let id = crate::expression::conversion::text_of(&self.apply(child_to_id, &parameters)?)?;
                    if id.is_empty() || id.contains(OrderId::CHILD_SEPARATOR) {
                        return Err(Problem::new(format!(
                            "Invalid child ID '{id}' in {children}: it must not be empty nor contain '|'"
                        )));
                    }
                    let arguments = match self.apply(child_to_arguments, &parameters)? {
                        Value::Object(fields) => fields,
                        other => {
                            return Err(Problem::new(format!(
                                "childToArguments must give an object, not {}",
                                crate::json::print(&other)
                            )));
                        }
                    };
                    forked.push(ForkedChild { order_id: self.order.id.child(&id), branch_id: None, arguments });
                    *ids.entry(id.to_string()).or_default() += 1;
                }
                crate::model::check::refuse_duplicates(ids).map_err(|problem| {
                    Problem::new(format!("Duplicate child IDs in {children}: {}", problem.message))
                })?;
                Ok(forked)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// This child is ready to be joined: joins all, if it was the last.
    pub(super) fn join_parent(&mut self) -> Checked<()> {
        if !self.at_controller_or_detach()? {
            return Ok(());
        }
        let Some(parent) = self.order.parent.as_ref().and_then(|parent| self.state.order(parent)) else {
            return Ok(());
        };
        self.join(parent)
    }

    /// Joins the children of this order, if all are ready.
    fn join(&mut self, parent: &Order) -> Checked<()> {
        let OrderState::Forked { children } = &parent.state else {
            return Ok(());
        };
        if parent.attached_state.is_some() {
            return Ok(());
        }
        // The children begin in their order, so the last ones are most likely to be missing: each child that gets here finds
        // that with few looks, and not with one at every child.
        let mut joined = Vec::new();
        for child in children.iter().rev() {
            match self.state.order(&child.order_id) {
                Some(order) if self.is_joinable(order, parent) => joined.push(order),
                _ => return Ok(()),
            }
        }
        joined.reverse();
        let outcome = match self.join_outcome(parent, &joined) {
            Ok(outcome) => outcome,
            Err(problem) => Outcome::failed(problem.message),
        };
        self.events.push(Event::Order(parent.id.clone(), OrderEvent::OrderJoined { outcome }));
        Ok(())
    }

    fn is_joinable(&self, child: &Order, parent: &Order) -> bool {
        if child.attached_state != parent.attached_state || child.is_suspended_or_stopped() {
            return false;
        }
        match child.state {
            OrderState::FailedInFork | OrderState::Cancelled => true,
            OrderState::Ready => {
                let position = &child.workflow_position.position;
                let is_below_fork = position
                    .block
                    .parent()
                    .is_some_and(|(fork, branch)| branch.is_fork() && fork == parent.workflow_position.position);
                is_below_fork
                    && matches!(
                        self.flow.instruction(position),
                        Some(Instruction::ImplicitEnd | Instruction::ExplicitEnd)
                    )
            }
            _ => false,
        }
    }

    fn join_outcome(&self, parent: &Order, children: &[&Order]) -> Checked<Outcome> {
        let failed: Vec<String> = children
            .iter()
            .filter_map(|child| {
                if matches!(child.state, OrderState::Cancelled) {
                    Some(format!("Order:{} has been cancelled", child.id))
                } else if matches!(child.state, OrderState::FailedInFork) || !child.is_last_outcome_succeeded() {
                    Some(format!("Order:{} {}", child.id, child.last_outcome().map_or_else(String::new, outcome_text)))
                } else {
                    None
                }
            })
            .collect();
        if !failed.is_empty() {
            let named = failed.len().min(MAX_NAMED_CHILDREN);
            return Ok(Outcome::failed(failed[..named].join(";\n")));
        }
        let flow = self.flow.clone();
        let named_values: Fields = match flow.checked_instruction(&parent.workflow_position.position)? {
            Instruction::Fork { branches, .. } => {
                let mut results: Vec<(Name, Value)> = Vec::new();
                for (branch, child) in branches.iter().zip(children) {
                    results.extend(self.results(branch.workflow.result.as_ref(), child)?);
                }
                results.into_iter().collect()
            }
            Instruction::ForkList { workflow, .. } => {
                let mut results: BTreeMap<Name, Vec<Value>> = BTreeMap::new();
                for child in children {
                    for (name, value) in self.results(workflow.result.as_ref(), child)? {
                        results.entry(name).or_default().push(value);
                    }
                }
                results.into_iter().map(|(name, values)| (name, Value::list(values))).collect()
            }
            _ => Fields::default(),
        };
        Ok(Outcome::Succeeded { named_values })
    }

    /// The values which the child returns.
    fn results(&self, result: Option<&crate::model::job::Expressions>, child: &Order) -> Checked<Vec<(Name, Value)>> {
        let Some(result) = result else {
            return Ok(Vec::new());
        };
        let step = OrderStep {
            state: self.state,
            around: self.around,
            order: child.clone(),
            flow: self.flow.clone(),
            events: Vec::new(),
        };
        result.iter().map(|(name, expression)| Ok((name.clone(), step.evaluate(expression)?))).collect()
    }
}

/// How an outcome is named in the message of a failed join, like `Failed(uncatchable, message)`.
fn outcome_text(outcome: &Outcome) -> String {
    let failed = |message: &Option<String>, uncatchable: bool| {
        let mut parts = Vec::new();
        if uncatchable {
            parts.push("uncatchable");
        }
        if let Some(message) = message {
            parts.push(message);
        }
        if parts.is_empty() { String::from("Failed") } else { format!("Failed({})", parts.join(", ")) }
    };
    let completed = |outcome: &Completed| match outcome {
        Completed::Succeeded { .. } => String::from("Succeeded"),
        Completed::Failed { message, uncatchable, .. } => failed(message, *uncatchable),
    };
    match outcome {
        Outcome::Succeeded { .. } => String::from("Succeeded"),
        Outcome::Caught => String::from("Caught"),
        Outcome::Failed { message, uncatchable, .. } => failed(message, *uncatchable),
        Outcome::TimedOut { outcome } => format!("TimedOut({})", completed(outcome)),
        Outcome::Killed { outcome } => format!("Killed({})", completed(outcome)),
        Outcome::Disrupted { reason, .. } => match reason {
            crate::model::outcome::Disruption::ProcessLost { problem } => {
                format!("Disrupted(ProcessLost({}))", problem.as_ref().map_or(String::new(), ToString::to_string))
            }
            crate::model::outcome::Disruption::Other { problem } => format!("Disrupted({problem})"),
        },
    }
}
