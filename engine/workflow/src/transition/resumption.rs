//! What resuming makes of the history, position and state of an order.

use crate::model::history::History;
use crate::model::order::{HistoricOutcome, HistoryOperation, Order, OrderState};
use crate::model::outcome::Outcome;
use crate::position::Position;
use crate::problem::{Checked, Problem};
use alloc::format;

/// How an order is resumed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resumption<'a> {
    pub position: Option<&'a Position>,
    pub operations: &'a [HistoryOperation],
    pub as_succeeded: bool,
    pub restart_killed_job: bool,
}

impl Order {
    /// Resumes the order. Says what is wrong with a history operation, and then changes nothing.
    pub(super) fn resume(&mut self, how: Resumption<'_>) -> Checked<()> {
        let was_killed = self.is_last_outcome_killed();
        let mut history = self.historic_outcomes.clone();
        if how.restart_killed_job && was_killed {
            history.pop();
        }
        if let Some(position) = how.position {
            history = before(&history, position);
        }
        if !how.operations.is_empty() {
            history = operated(&history, how.operations)?;
        }
        if how.as_succeeded && !self.is_last_outcome_succeeded() {
            history.push(HistoricOutcome { position: self.position().clone(), outcome: Outcome::succeeded() });
        }
        self.historic_outcomes = history;
        if let Some(position) = how.position {
            self.workflow_position.position = position.clone();
        } else if how.as_succeeded && was_killed && !how.restart_killed_job {
            self.workflow_position.position.nr += 1;
        }
        match self.state {
            OrderState::StoppedWhileFresh => self.state = OrderState::Fresh,
            OrderState::Failed | OrderState::Stopped | OrderState::Broken { .. } => self.state = OrderState::Ready,
            _ => {}
        }
        self.is_suspended = false;
        self.is_resumed = true;
        self.mark = None;
        Ok(())
    }
}

/// The outcomes before the first one at this position; all of them if there is none.
fn before(history: &History, position: &Position) -> History {
    let position = position.normalized();
    let outcomes = history.to_vec();
    match outcomes.iter().position(|historic| historic.position.normalized() == position) {
        Some(index) => outcomes.into_iter().take(index).collect(),
        None => history.clone(),
    }
}

fn operated(history: &History, operations: &[HistoryOperation]) -> Checked<History> {
    let mut outcomes = history.to_vec();
    for operation in operations {
        match operation {
            HistoryOperation::Replace { position, outcome } => {
                let index = index_of(&outcomes, position)?;
                outcomes[index].outcome = outcome.clone();
            }
            HistoryOperation::Insert { before, position, outcome } => {
                let index = index_of(&outcomes, before)?;
                outcomes.insert(index, HistoricOutcome { position: position.clone(), outcome: outcome.clone() });
            }
            HistoryOperation::Delete { position } => {
                let index = index_of(&outcomes, position)?;
                outcomes.remove(index);
            }
            HistoryOperation::Append { position, outcome } => {
                outcomes.push(HistoricOutcome { position: position.clone(), outcome: outcome.clone() });
            }
        }
    }
    Ok(outcomes.into_iter().collect())
}

/// The latest outcome at this position.
fn index_of(outcomes: &[HistoricOutcome], position: &Position) -> Checked<usize> {
    outcomes.iter().rposition(|historic| historic.position == *position).ok_or_else(|| {
        Problem::new(format!("Unknown position {position} in the history of the order: nothing came about there"))
    })
}
