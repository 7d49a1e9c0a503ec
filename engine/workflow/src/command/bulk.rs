//! Commands over very many orders, carried out in parts.
//!
//! Such a command is checked for all its orders first, and refused when it would be refused for one. Then it is carried out
//! part by part, in the order of the order ids; what happens between two parts, happens: an order for which the command has
//! become impossible (it has ended, say) is left out, and an order that is added meanwhile may meet a predicate.

use super::orders::{self, Predicate};
use super::{Decision, transfer};
use crate::id::{OrderId, WorkflowId};
use crate::model::command::{Command, OrderIds};
use crate::model::event::Event;
use crate::problem::{Checked, Problem};
use crate::state::State;
use crate::step::{OrderStep, Resumption, Surroundings};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

/// Most problems of which a refusal tells.
const MAX_PROBLEMS: usize = 100;

/// A command over orders.
#[derive(Clone, Debug)]
pub struct Bulk {
    command: Command,
    subjects: Subjects,
}

#[derive(Clone, Debug)]
enum Subjects {
    /// By id, none twice.
    These(Vec<OrderId>),
    Where(Predicate),
    OfWorkflow(WorkflowId),
}

/// A part of a command.
#[derive(Debug)]
pub struct Part {
    /// What is decided, and fits together.
    pub decision: Decision,
    /// The last order that was looked at; none if the command is done.
    pub until: Option<OrderId>,
}

impl Bulk {
    /// The command, if it is one over any number of orders and has the right form.
    #[must_use]
    pub fn of(command: &Command) -> Option<Self> {
        let these = |ids: &[OrderId]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids.dedup();
            Subjects::These(ids)
        };
        let subjects = match command {
            Command::CancelOrders { order_ids: OrderIds::Where(predicate), .. } => {
                Subjects::Where(Predicate::parse(predicate).ok()?)
            }
            Command::CancelOrders { order_ids: OrderIds::These(order_ids), .. }
            | Command::SuspendOrders { order_ids, .. }
            | Command::ResumeOrders { order_ids, .. }
            | Command::DeleteOrdersWhenTerminated { order_ids } => these(order_ids),
            Command::TransferOrders { workflow_id } => Subjects::OfWorkflow(workflow_id.clone()),
            _ => return None,
        };
        Some(Self { command: command.clone(), subjects })
    }

    /// Whether the command concerns more than `most` orders.
    #[must_use]
    pub fn is_longer_than(&self, state: &State, most: usize) -> bool {
        match &self.subjects {
            Subjects::These(ids) => ids.len() > most,
            Subjects::Where(predicate) => {
                let matching = state.orders().filter(|order| predicate.is_true_for(order).unwrap_or(false));
                matching.take(most.saturating_add(1)).count() > most
            }
            Subjects::OfWorkflow(id) => state.order_count_of(id) > most,
        }
    }

    /// Whether the command can be carried out for all its orders.
    ///
    /// # Errors
    /// Why not, of the first orders.
    pub fn check(&self, state: &State, around: Surroundings<'_>) -> Checked<()> {
        if let Command::CancelOrders { order_ids: OrderIds::These(ids), .. }
        | Command::SuspendOrders { order_ids: ids, .. }
        | Command::ResumeOrders { order_ids: ids, .. }
        | Command::DeleteOrdersWhenTerminated { order_ids: ids } = &self.command
            && let Subjects::These(unique) = &self.subjects
            && unique.len() < ids.len()
        {
            crate::model::check::unique("Order", ids.iter())?;
        }
        if let Subjects::OfWorkflow(id) = &self.subjects {
            transfer::versions(state, id)?;
        }
        let ids: Box<dyn Iterator<Item = &OrderId>> = match &self.subjects {
            Subjects::These(ids) => Box::new(ids.iter()),
            Subjects::Where(_) => Box::new(state.order_ids_after(None)),
            Subjects::OfWorkflow(id) => Box::new(state.orders_of(id)),
        };
        let problems = ids.filter_map(|id| match self.concerns(state, id) {
            Ok(true) => self.decide(state, around, id).err(),
            Ok(false) => None,
            Err(problem) => Some(problem),
        });
        Problem::combine(problems.take(MAX_PROBLEMS)).map_or(Ok(()), Err)
    }

    /// The next part: for at most `most` orders after `after`.
    #[must_use]
    pub fn part(&self, state: &State, around: Surroundings<'_>, after: Option<&OrderId>, most: usize) -> Part {
        let ids: Vec<&OrderId> = match &self.subjects {
            Subjects::These(ids) => {
                let first = after.map_or(0, |after| ids.partition_point(|id| id <= after));
                ids.iter().skip(first).take(most).collect()
            }
            Subjects::Where(_) => state.order_ids_after(after).take(most).collect(),
            Subjects::OfWorkflow(id) => state.orders_of_after(id, after).take(most).collect(),
        };
        let until = if ids.len() < most { None } else { ids.last().map(|id| (*id).clone()) };
        let mut decision = Decision::default();
        for id in ids {
            if !self.concerns(state, id).unwrap_or(false) {
                continue;
            }
            if let Ok(events) = self.decide(state, around, id) {
                decision.events.extend(events);
                decision.orders.push(id.clone());
            }
        }
        Part { decision, until }
    }

    fn concerns(&self, state: &State, id: &OrderId) -> Checked<bool> {
        match (&self.subjects, state.order(id)) {
            (Subjects::Where(predicate), Some(order)) => predicate.is_true_for(order),
            (Subjects::Where(_), None) => Ok(false),
            _ => Ok(true),
        }
    }

    fn decide(&self, state: &State, around: Surroundings<'_>, id: &OrderId) -> Checked<Vec<Event>> {
        let step = || OrderStep::of(state, around, id).ok_or_else(|| orders::unknown_order(id));
        match &self.command {
            Command::CancelOrders { mode, .. } => step()?.cancel(mode),
            Command::SuspendOrders { mode, .. } => step()?.suspend(mode),
            Command::ResumeOrders { as_succeeded, restart_killed_job, .. } => step()?.resume(&Resumption {
                as_succeeded: *as_succeeded,
                restart_killed_job: *restart_killed_job,
                ..Default::default()
            }),
            Command::DeleteOrdersWhenTerminated { .. } => orders::deletion(state, id),
            Command::TransferOrders { workflow_id } => {
                let (old, new) = transfer::versions(state, workflow_id)?;
                transfer::transfer_one(state, old, new, id)
            }
            other => Err(Problem::new(format!("{other:?} is no command over many orders"))),
        }
    }
}
