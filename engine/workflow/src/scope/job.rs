//! The job which an order executes.

use crate::expression::evaluation::Evaluation;
use crate::expression::scope::Scope;
use crate::model::job::{Expressions, WorkflowJob};
use crate::problem::Checked;
use crate::time::Duration;
use crate::value::Value;

/// `$js7JobName`, `$js7JobExecutionCount` and `$js7Job`.
#[derive(Clone, Copy, Debug)]
pub struct JobScope<'a> {
    /// Name of the job; of an anonymous one its position.
    pub name: &'a str,
    /// The job.
    pub job: &'a WorkflowJob,
    /// How often the job has been executed, this time included.
    pub execution_count: u32,
}

impl Scope for JobScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        let count = Value::from(i64::from(self.execution_count));
        let value = match name {
            "js7JobName" => Value::string(self.name),
            "js7JobExecutionCount" => count,
            "js7Job" => Value::object([
                ("name", Value::string(self.name)),
                ("sigkillDelayMillis", milliseconds(self.job.sigkill_delay)),
                ("timeoutMillis", milliseconds(self.job.timeout)),
                ("processLimit", Value::from(i64::from(self.job.process_limit))),
                ("executionCount", count),
            ]),
            _ => return None,
        };
        Some(Ok(value))
    }
}

fn milliseconds(duration: Option<Duration>) -> Value {
    duration.map_or(Value::Missing, |duration| Value::from(duration.as_millis()))
}

/// Names whose values are expressions, evaluated within another scope, where these names are not known.
pub struct ExpressionsScope<'a> {
    /// The expressions.
    pub expressions: &'a Expressions,
    /// What they see.
    pub within: &'a dyn Scope,
}

impl Scope for ExpressionsScope<'_> {
    fn named_value(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        let expression = self.expressions.get(name)?;
        Some(evaluation.within(self.within).eval(expression))
    }
}
