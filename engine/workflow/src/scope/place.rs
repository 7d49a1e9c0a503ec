//! Where an order is in its workflow.

use crate::expression::evaluation::{Evaluation, Failure};
use crate::expression::scope::{Call, Scope};
use crate::flow::Flow;
use crate::model::order::Order;
use crate::model::outcome::Outcome;
use crate::problem::{Checked, Problem};
use crate::value::Value;
use alloc::format;

/// `label`, `workflowPosition`, `tryCount`, `maxTries`, `timedOut`, `workflow`, and most of them as `$js7…`.
#[derive(Clone, Copy, Debug)]
pub struct PlaceScope<'a> {
    /// The order.
    pub order: &'a Order,
    /// Its workflow.
    pub flow: &'a Flow,
}

impl PlaceScope<'_> {
    /// The label, empty where there is none.
    fn label(&self) -> Value {
        match self.flow.label_at(self.order.position()) {
            Some(label) => Value::String(label.to_arc()),
            None => Value::string(""),
        }
    }

    fn workflow_position(&self) -> Value {
        Value::string(&format!("{}:{}", self.order.workflow_position.workflow_id, self.order.position()))
    }

    fn try_count(&self) -> Value {
        Value::from(i64::from(self.order.position().try_count()))
    }

    /// Missing where the number of tries is not limited.
    fn max_tries(&self) -> Checked<Value> {
        match self.flow.try_around(&self.order.position().block) {
            Some((_, rule)) => Ok(rule.max_tries.map_or(Value::Missing, |max| Value::from(i64::from(max)))),
            None => Err(Problem::new("Not in a try or catch block")),
        }
    }

    fn time_zone(&self) -> Value {
        Value::string(self.flow.workflow().time_zone.name())
    }

    /// Whether the process was ended because its time was over, in the outcome which was caught last.
    fn has_timed_out(&self) -> bool {
        let mut outcomes = self.order.historic_outcomes.latest_first().map(|historic| &historic.outcome);
        matches!(outcomes.find(|outcome| **outcome != Outcome::Caught), Some(Outcome::TimedOut { .. }))
    }
}

impl Scope for PlaceScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        match name {
            "js7Label" => Some(Ok(self.label())),
            "js7WorkflowPosition" => Some(Ok(self.workflow_position())),
            "js7TryCount" => Some(Ok(self.try_count())),
            "js7MaxTries" => Some(self.max_tries()),
            "js7WorkflowTimezone" => Some(Ok(self.time_zone())),
            _ => None,
        }
    }

    fn call(&self, call: &Call<'_>, _: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        if !call.is_plain() {
            return None;
        }
        let value = match call.name() {
            "label" => Ok(self.label()),
            "workflowPosition" => Ok(self.workflow_position()),
            "tryCount" => Ok(self.try_count()),
            "maxTries" => self.max_tries(),
            "timedOut" => Ok(Value::Boolean(self.has_timed_out())),
            "workflow" => Ok(Value::object([("timezone", self.time_zone())])),
            _ => return None,
        };
        Some(value.map_err(Failure::from))
    }
}
