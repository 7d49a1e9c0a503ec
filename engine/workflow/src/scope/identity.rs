//! Which order it is: known already before the order exists.

use super::Host;
use crate::expression::evaluation::{Evaluation, Failure};
use crate::expression::scope::{Call, ScheduledScope, Scope};
use crate::id::{ControllerId, OrderId, WorkflowPath};
use crate::problem::Checked;
use crate::schedule::TimeZone;
use crate::time::Timestamp;
use crate::value::Value;

/// `orderId`, `workflowPath`, `controllerId`, the same as `$js7…`, and `scheduledOrEmpty()`.
#[derive(Clone, Copy, Debug)]
pub struct IdentityScope<'a> {
    order_id: &'a OrderId,
    workflow_path: &'a WorkflowPath,
    scheduled_for: Option<Timestamp>,
    controller_id: &'a ControllerId,
    zone: &'a TimeZone,
}

impl<'a> IdentityScope<'a> {
    /// For an order of this id.
    #[must_use]
    pub fn new(
        order_id: &'a OrderId,
        workflow_path: &'a WorkflowPath,
        scheduled_for: Option<Timestamp>,
        host: Host<'a>,
    ) -> Self {
        Self { order_id, workflow_path, scheduled_for, controller_id: host.controller_id, zone: host.zone }
    }
}

impl Scope for IdentityScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        match name {
            "js7OrderId" => Some(Ok(Value::String(self.order_id.to_arc()))),
            "js7WorkflowPath" => Some(Ok(Value::String(self.workflow_path.to_arc()))),
            "js7ControllerId" => Some(Ok(Value::String(self.controller_id.to_arc()))),
            _ => None,
        }
    }

    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        let symbol = match call.name() {
            "orderId" => self.order_id.to_arc(),
            "workflowPath" => self.workflow_path.to_arc(),
            "controllerId" => self.controller_id.to_arc(),
            _ => {
                let scheduled = ScheduledScope { scheduled_for: self.scheduled_for, zone: self.zone };
                return scheduled.call(call, evaluation);
            }
        };
        call.is_plain().then_some(Ok(Value::String(symbol)))
    }
}
