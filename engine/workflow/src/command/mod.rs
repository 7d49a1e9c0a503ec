//! Commands to a controller: each is refused with a problem, or accepted with the events that follow from it.
//!
//! A command is one transaction: either all of its events are applied, or none. What orders can then do by themselves
//! follows in the same transaction, or later if it is much. A command over very many orders is carried out in parts, see
//! [`bulk`].

mod add_order;
mod board;
pub mod bulk;
mod control;
mod files;
mod items;
mod orders;
mod plan;
mod transfer;

pub(crate) use add_order::check_places;
pub use add_order::{add_external_order, add_order};
pub use files::{file_events, file_of};
pub use items::{after_detaching, delete_outdated};

use crate::id::{OrderId, WorkflowId};
use crate::json::Json as _;
use crate::model::command::{Command, Response};
use crate::model::event::Event;
use crate::problem::{Checked, Problem};
use crate::state::State;
use crate::step::{Agenda, Observer, Surroundings, carry_out, take_quietly};
use crate::value::Value;
use alloc::vec::Vec;

/// What is decided on a command, not yet applied.
#[derive(Debug, Default)]
pub struct Decision {
    /// The events of the command itself.
    pub events: Vec<Event>,
    /// Orders which may have something to do then.
    pub orders: Vec<OrderId>,
    /// Workflow versions all of whose orders may have something to do then.
    pub workflows: Vec<WorkflowId>,
}

impl Decision {
    fn of(events: Vec<Event>) -> Self {
        let orders = events
            .iter()
            .filter_map(|event| match event {
                Event::Order(id, _) => Some(id.clone()),
                _ => None,
            })
            .collect();
        Self { events, orders, workflows: Vec::new() }
    }
}

/// Executes a command: the events are applied to the state and told to `observer`, and so are those of the steps which
/// follow, as far as the observer lets orders go on.
///
/// # Errors
/// The command is refused; the state is unchanged.
pub fn execute(
    state: &mut State,
    around: Surroundings<'_>,
    command: &Command,
    agenda: &mut Agenda,
    observer: &mut dyn Observer,
) -> Checked<Response> {
    if let Command::Batch { commands } = command {
        let responses = commands
            .iter()
            .map(|command| match execute(state, around, command, agenda, observer) {
                Ok(response) => response.write(),
                Err(problem) => problem.write(),
            })
            .collect();
        return Ok(Response::Batch { responses });
    }
    let (decision, response) = decide(state, around, command)?;
    if !observer.fits(&decision.events) {
        let message = "What the command leads to is too long for one transaction. Several commands may do";
        return Err(Problem::coded("CommandTooLong", [], message));
    }
    for workflow_id in &decision.workflows {
        agenda.push_workflow(workflow_id);
    }
    carry_out(state, around, agenda, decision.events, decision.orders, observer);
    after(state, around, command, observer);
    Ok(response)
}

/// What follows from a command that changes how long finished plans are kept.
fn after(state: &mut State, around: Surroundings<'_>, command: &Command, observer: &mut dyn Observer) {
    if matches!(command, Command::ChangePlanSchema { .. }) {
        for event in state.plans().decide_deletions(state.notices(), around.now) {
            take_quietly(state, event, observer);
        }
    }
}

fn decide(state: &State, around: Surroundings<'_>, command: &Command) -> Checked<(Decision, Response)> {
    let decision = match command {
        Command::AddOrder { order } => {
            if state.order(&order.id.0).is_some() {
                return Ok((Decision::default(), Response::AddOrder { ignored_because_duplicate: true }));
            }
            let decision = Decision::of(add_order(state, around, order)?);
            return Ok((decision, Response::AddOrder { ignored_because_duplicate: false }));
        }
        Command::AddOrders { orders } => {
            let decision = add_order::add_orders(state, around, orders)?;
            return Ok((decision, Response::AddOrders { event_id: 0 }));
        }
        Command::CancelOrders { order_ids, mode } => orders::cancel(state, around, order_ids, mode)?,
        Command::SuspendOrders { order_ids, mode } => orders::suspend(state, around, order_ids, mode)?,
        Command::ResumeOrder { order_id, position, history_operations, as_succeeded, restart_killed_job } => {
            let resumption = crate::step::Resumption {
                position: position.clone(),
                history_operations: history_operations.clone(),
                as_succeeded: *as_succeeded,
                restart_killed_job: *restart_killed_job,
            };
            orders::resume(state, around, core::slice::from_ref(order_id), &resumption)?
        }
        Command::ResumeOrders { order_ids, as_succeeded, restart_killed_job } => {
            let resumption = crate::step::Resumption {
                as_succeeded: *as_succeeded,
                restart_killed_job: *restart_killed_job,
                ..Default::default()
            };
            orders::resume(state, around, order_ids, &resumption)?
        }
        Command::GoOrder { order_id, position } => orders::go(state, around, order_id, position)?,
        Command::AnswerOrderPrompt { order_id } => orders::answer_prompt(state, order_id)?,
        Command::DeleteOrdersWhenTerminated { order_ids } => orders::delete_when_terminated(state, order_ids)?,
        Command::ChangeOrder { order_id, priority } => orders::change(state, order_id, priority.as_ref())?,
        Command::TransferOrders { workflow_id } => transfer::transfer(state, workflow_id)?,
        Command::ControlWorkflowPath { workflow_path, suspend, skip } => {
            control::control_workflow_path(state, workflow_path, *suspend, skip)?
        }
        Command::ControlWorkflow { workflow_id, add_breakpoints, remove_breakpoints } => {
            control::control_workflow(state, workflow_id, add_breakpoints, remove_breakpoints)?
        }
        Command::PostNotice { notice_id, end_of_life } => board::post(state, around, notice_id, *end_of_life)?,
        Command::DeleteNotice { notice_id } => board::delete(state, notice_id)?,
        Command::ChangePlan { plan_id, status } => plan::change(state, around, plan_id, *status)?,
        Command::ChangePlanSchema { plan_schema_id, named_values, finished_plan_retention_period } => {
            plan::change_schema(state, plan_schema_id, named_values.as_ref(), *finished_plan_retention_period)?
        }
        Command::ChangeGlobalToPlannableBoard { plannable_board, plan_schema_id, split_notice_key } => {
            board::global_to_plannable(state, plannable_board, plan_schema_id, split_notice_key)?
        }
        Command::ChangePlannableToGlobalBoard { global_board, plan_schema_id, make_notice_key } => {
            board::plannable_to_global(state, around, global_board, plan_schema_id, make_notice_key)?
        }
        Command::UpdateItems { operations } => items::update(state, operations)?,
        Command::ResetAgent { .. } | Command::ResetSubagent { .. } => {
            return Err(Problem::new("A reset is decided by the controller that talks to the agent"));
        }
        Command::Batch { .. } => Decision::default(),
    };
    Ok((decision, Response::Accepted))
}

/// The JSON of a value, for messages.
fn shown(value: &Value) -> alloc::string::String {
    crate::json::print(value)
}
