//! What is known of an order which is being added, and of any order as far as plans and notices depend on it.

use super::job_resource::{FindJobResource, variable_of};
use super::{ArgumentsScope, Host, IdentityScope, joined_scope};
use crate::expression::evaluation::{Evaluation, Failure};
use crate::expression::scope::{Call, EnvScope, NowScope, Scope, Scopes};
use crate::flow::Flow;
use crate::id::{OrderId, WorkflowPath};
use crate::model::order::Order;
use crate::problem::Checked;
use crate::time::Timestamp;
use crate::value::Value;

/// What default expressions of parameters see besides arguments and parameters: id, time, `env()`, job resources.
pub struct FreshOrderScope<'a> {
    identity: IdentityScope<'a>,
    env: EnvScope<'a>,
    now: NowScope<'a>,
    job_resources: &'a FindJobResource<'a>,
}

impl<'a> FreshOrderScope<'a> {
    /// For an order which is added at a time.
    #[must_use]
    pub fn new(
        order_id: &'a OrderId,
        workflow_path: &'a WorkflowPath,
        scheduled_for: Option<Timestamp>,
        host: Host<'a>,
        now: Timestamp,
        job_resources: &'a FindJobResource<'a>,
    ) -> Self {
        Self {
            identity: IdentityScope::new(order_id, workflow_path, scheduled_for, host),
            env: EnvScope(host.env),
            now: NowScope { now, zone: host.zone },
            job_resources,
        }
    }

    fn parts(&self) -> [&dyn Scope; 3] {
        [&self.identity, &self.env, &self.now]
    }
}

impl Scope for FreshOrderScope<'_> {
    fn named_value(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        Scopes(&self.parts()).named_value(name, evaluation)
    }

    fn job_resource(
        &self,
        path: &str,
        variable: Option<&str>,
        evaluation: &mut Evaluation<'_>,
    ) -> Option<Checked<Value>> {
        Some(variable_of(self.job_resources, path, variable, &Scopes(&self.parts()), evaluation))
    }

    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        Scopes(&self.parts()).call(call, evaluation)
    }
}

/// What keys of a PlannableBoard see: id and arguments.
pub struct MinimalOrderScope<'a> {
    arguments: ArgumentsScope<'a>,
    identity: IdentityScope<'a>,
}

impl<'a> MinimalOrderScope<'a> {
    /// For an order of a workflow.
    #[must_use]
    pub fn new(order: &'a Order, flow: &'a Flow, host: Host<'a>) -> Self {
        Self {
            arguments: ArgumentsScope {
                arguments: &order.arguments,
                preparation: flow.workflow().order_preparation.as_ref(),
            },
            identity: IdentityScope::new(&order.id, &flow.id().path, order.scheduled_for, host),
        }
    }
}

joined_scope!(MinimalOrderScope, this => [&this.arguments as &dyn Scope, &this.identity]);
