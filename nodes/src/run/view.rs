//! What is known of the order that is run, its children, and the orders it added: the committed events of the controller,
//! folded into a state of our own.

use baton_machine::codec::Stamped;
use baton_workflow::id::OrderId;
use baton_workflow::json::print;
use baton_workflow::model::event::Event;
use baton_workflow::model::instruction::Instruction;
use baton_workflow::model::order::{Order, OrderState};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::outcome::{Completed, Disruption, Outcome};
use baton_workflow::problem::Checked;
use baton_workflow::state::State;
use baton_workflow::time::Timestamp;
use baton_workflow::value::{Fields, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// What became of the order.
    pub(super) how: How,
    /// Why, unless it is finished.
    pub(super) reason: Option<String>,
}

/// What became of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It reached its end.
    Finished,
    /// It cannot go on.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// There was none: the run did not begin.
    NotRun,
    /// Nobody knows: the run broke off.
    BrokenOff,
}

/// The state of the run.
pub(super) struct View {
    root: OrderId,
    state: State,
    /// When each order came into the state in which it is.
    since: BTreeMap<OrderId, Timestamp>,
    /// Orders of the run that cannot go on by themselves.
    stuck: BTreeSet<OrderId>,
    end: Option<End>,
}

impl View {
    /// Of an order in a state.
    #[must_use]
    pub(super) fn of(root: OrderId, state: State) -> Self {
        let mut view = Self { root, state, since: BTreeMap::new(), stuck: BTreeSet::new(), end: None };
        let stuck = view.state.orders().filter(|order| view.is_of_run(&order.id) && is_stuck(order));
        view.stuck = stuck.map(|order| order.id.clone()).collect();
        view.end = view.ending();
        view
    }

    /// The order that is run.
    #[must_use]
    pub(super) fn root(&self) -> &OrderId {
        &self.root
    }

    /// How the run ended, if it has.
    #[must_use]
    pub(super) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Folds the next event.
    ///
    /// # Errors
    /// When it does not follow the ones before.
    pub(super) fn apply(&mut self, stamped: &Stamped) -> Checked<()> {
        self.state.apply(&stamped.event)?;
        if let Event::Order(id, event) = &stamped.event {
            if !matches!(event, OrderEvent::OrderStdoutWritten { .. } | OrderEvent::OrderStderrWritten { .. }) {
                self.since.insert(id.clone(), stamped.timestamp);
            }
            match event {
                OrderEvent::OrderDeleted | OrderEvent::OrderFinished { .. } | OrderEvent::OrderCancelled
                    if *id != self.root =>
                {
                    self.since.remove(id);
                }
                _ => {}
            }
            let is_stuck = self.is_of_run(id) && self.state.order(id).is_some_and(is_stuck);
            if is_stuck {
                self.stuck.insert(id.clone());
            } else {
                self.stuck.remove(id);
            }
            self.end = match event {
                OrderEvent::OrderFinished { outcome: Some(outcome) } if *id == self.root && !outcome.is_succeeded() => {
                    Some(End { how: How::Failed, reason: Some(describe(outcome)) })
                }
                _ => self.ending(),
            };
        }
        Ok(())
    }

    /// The orders that are not at their end, by id.
    pub(super) fn living(&self) -> impl Iterator<Item = &Order> {
        self.state.orders().filter(|order| !order.is_terminated())
    }

    /// Since when an order is in its state.
    #[must_use]
    pub(super) fn since(&self, id: &OrderId) -> Option<Timestamp> {
        self.since.get(id).copied()
    }

    /// Names where an order is: its branch, and the label, the job or the kind of its instruction.
    #[must_use]
    pub(super) fn label(&self, id: &OrderId) -> String {
        let branch = self.branch(id);
        let Some(order) = self.state.order(id) else { return branch };
        let position = order.position();
        let place = self.state.flow(&order.workflow_position.workflow_id).and_then(|flow| {
            let statement = flow.statement(position)?;
            let job = flow.job_at(position).ok().and_then(|job_at| job_at.name.map(ToString::to_string));
            Some(match (&statement.label, job) {
                (Some(label), _) => label.to_string(),
                (None, Some(job)) => job,
                (None, None) if flow.job_at(position).is_ok() => position.to_string(),
                (None, None) => statement.instruction.type_name().to_owned(),
            })
        });
        let place = place.unwrap_or_else(|| position.to_string());
        if branch.is_empty() { place } else { format!("{branch}/{place}") }
    }

    /// What an order asks, with its branch.
    #[must_use]
    pub(super) fn question(&self, id: &OrderId) -> String {
        let question = match self.state.order(id).map(|order| &order.state) {
            Some(OrderState::Prompting { question }) => plain(question),
            _ => String::new(),
        };
        let branch = self.branch(id);
        if branch.is_empty() { question } else { format!("{branch}: {question}") }
    }

    /// How often the order tries what it does, from one; zero if it is in no try.
    #[must_use]
    pub(super) fn tries(&self, id: &OrderId) -> u32 {
        self.state.order(id).map_or(0, |order| order.position().try_count())
    }

    /// The branch of an order: empty for the order that is run, else what is after its id; the whole id of other orders.
    #[must_use]
    pub(super) fn branch(&self, id: &OrderId) -> String {
        match id.as_str().strip_prefix(self.root.as_str()) {
            Some("") => String::new(),
            Some(rest) if rest.starts_with(OrderId::CHILD_SEPARATOR) => {
                rest[1..].replace(OrderId::CHILD_SEPARATOR, "/")
            }
            _ => id.to_string(),
        }
    }

    /// Whether it is the order that is run, or a child of it.
    #[must_use]
    pub(super) fn is_of_run(&self, id: &OrderId) -> bool {
        id.root() == self.root
    }

    /// Whether it is at the end of its block: a child waits there for being joined.
    fn is_at_end(&self, order: &Order) -> bool {
        let flow = self.state.flow(&order.workflow_position.workflow_id);
        let instruction = flow.and_then(|flow| flow.instruction(order.position()));
        order.is_detached() && matches!(instruction, Some(Instruction::ExplicitEnd | Instruction::ImplicitEnd))
    }

    fn ending(&self) -> Option<End> {
        let root = self.state.order(&self.root)?;
        if let Some(end) = ended(root) {
            return Some(end);
        }
        // A child that failed keeps its parent waiting until somebody resumes it. Here nobody will.
        if self.stuck.is_empty() {
            return None;
        }
        let mut stuck = None;
        for order in self.state.orders().filter(|order| self.is_of_run(&order.id)) {
            match &order.state {
                OrderState::Forked { .. } | OrderState::WaitingForLock | OrderState::FailedInFork => {}
                OrderState::Finished | OrderState::Cancelled | OrderState::Deleted => {}
                OrderState::Ready if order.parent.is_some() && self.is_at_end(order) => {}
                _ => match ended(order) {
                    Some(end) => drop(stuck.get_or_insert_with(|| {
                        let reason = end.reason.unwrap_or_default();
                        End { how: How::Failed, reason: Some(format!("branch {}: {reason}", self.branch(&order.id))) }
                    })),
                    None => return None,
                },
            }
        }
        stuck
    }
}

/// How an order ended, if it cannot go on by itself.
fn ended(order: &Order) -> Option<End> {
    let last = || order.historic_outcomes.last().map(|historic| &historic.outcome);
    let failure = || last().filter(|outcome| !outcome.is_succeeded()).map(describe);
    let end = |how, reason| Some(End { how, reason });
    match &order.state {
        OrderState::Finished => end(How::Finished, None),
        OrderState::Cancelled => end(How::Cancelled, Some("it was cancelled".to_owned())),
        OrderState::Failed | OrderState::FailedWhileFresh => end(How::Failed, failure()),
        OrderState::Stopped | OrderState::StoppedWhileFresh => {
            end(How::Failed, Some(failure().unwrap_or_else(|| "it was stopped".to_owned())))
        }
        OrderState::Broken { problem } => end(How::Failed, problem.as_ref().map(ToString::to_string).or_else(failure)),
        _ if order.is_suspended => end(How::Failed, Some("it is suspended".to_owned())),
        _ => None,
    }
}

fn is_stuck(order: &Order) -> bool {
    ended(order).is_some_and(|end| end.how == How::Failed)
}

/// An outcome for people.
#[must_use]
pub(super) fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded { .. } => "succeeded".to_owned(),
        Outcome::Caught => "caught".to_owned(),
        Outcome::Failed { message, named_values, .. } => failure(message.as_deref(), named_values),
        Outcome::TimedOut { outcome } => format!("timed out ({})", completed(outcome)),
        Outcome::Killed { outcome } => format!("killed ({})", completed(outcome)),
        Outcome::Disrupted { reason: Disruption::ProcessLost { problem: Some(problem) }, .. } => problem.to_string(),
        Outcome::Disrupted { reason: Disruption::ProcessLost { problem: None }, .. } => {
            "the process was lost".to_owned()
        }
        Outcome::Disrupted { reason: Disruption::Other { problem }, .. } => problem.to_string(),
    }
}

fn completed(completed: &Completed) -> String {
    match completed {
        Completed::Succeeded { named_values } => failure(None, named_values),
        Completed::Failed { message, named_values, .. } => failure(message.as_deref(), named_values),
    }
}

fn failure(message: Option<&str>, values: &Fields) -> String {
    match (message, values.get("returnCode")) {
        (Some(message), _) => message.to_owned(),
        (None, Some(code)) => format!("return code {}", plain(code)),
        (None, None) => "failed".to_owned(),
    }
}

/// A value for people: texts without quotes.
#[must_use]
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| print(value), ToOwned::to_owned)
}
