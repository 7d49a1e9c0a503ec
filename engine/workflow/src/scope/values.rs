//! The values of an order: its arguments, and what its jobs and instructions have returned.

use crate::expression::Origin;
use crate::expression::evaluation::Evaluation;
use crate::expression::scope::Scope;
use crate::flow::Flow;
use crate::model::history::History;
use crate::model::instruction::Instruction;
use crate::model::order::{HistoricOutcome, Order};
use crate::model::preparation::OrderPreparation;
use crate::preparation::{constant_default, with_constant_defaults};
use crate::problem::Checked;
use crate::value::{Fields, Name, Value};
use alloc::vec::Vec;

/// Arguments and constant defaults of parameters: `$name`, `argument(name)`.
#[derive(Clone, Copy, Debug)]
pub struct ArgumentsScope<'a> {
    /// The order's arguments.
    pub arguments: &'a Fields,
    /// The parameters of the workflow.
    pub preparation: Option<&'a OrderPreparation>,
}

impl Scope for ArgumentsScope<'_> {
    fn named_value(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.argument(name, evaluation)
    }

    fn argument(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.arguments.get(name).cloned().or_else(|| constant_default(self.preparation, name)).map(Ok)
    }
}

/// Values of outcomes: `$name` of the latest which has the name; `variable(name, label=…)` and `variable(name, job=…)` of
/// the latest outcome of that instruction or job, whether it has the name or not.
#[derive(Clone, Copy, Debug)]
pub struct OutcomesScope<'a> {
    /// The order's history.
    pub history: &'a History,
    /// The workflow.
    pub flow: &'a Flow,
}

impl OutcomesScope<'_> {
    fn is_of(&self, historic: &HistoricOutcome, origin: &Origin) -> bool {
        match origin {
            Origin::Any => true,
            Origin::Label(label) => self.flow.label_at(&historic.position).is_some_and(|at| at.as_str() == &**label),
            Origin::Job(job) => matches!(
                self.flow.instruction(&historic.position),
                Some(Instruction::ExecuteNamed { job_name, .. }) if job_name.as_str() == &**job
            ),
        }
    }
}

impl Scope for OutcomesScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        let mut values = self.history.latest_first().filter_map(|historic| historic.outcome.named_values());
        values.find_map(|values| values.get(name)).cloned().map(Ok)
    }

    fn historic_value(&self, origin: &Origin, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        let latest = self.history.latest_first().find(|historic| self.is_of(historic, origin))?;
        latest.outcome.named_values()?.get(name).cloned().map(Ok)
    }
}

/// All values of `$name` which the order has: results of outcomes, the latest first, hidden by arguments and constant defaults.
#[must_use]
pub fn named_values(order: &Order, preparation: Option<&OrderPreparation>) -> Fields {
    results(order).overridden_by(&with_constant_defaults(preparation, &order.arguments))
}

/// The same for jobs of the old kind: results hide arguments.
#[must_use]
pub fn v1_named_values(order: &Order, preparation: Option<&OrderPreparation>) -> Fields {
    with_constant_defaults(preparation, &order.arguments).overridden_by(&results(order))
}

fn results(order: &Order) -> Fields {
    let mut values: Vec<(&Name, &Value)> = order
        .historic_outcomes
        .latest_first()
        .filter_map(|historic| historic.outcome.named_values())
        .flat_map(Fields::iter)
        .collect();
    // Of a repeated name the last value counts.
    values.reverse();
    values.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}
