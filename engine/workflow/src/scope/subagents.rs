//! `subagentIds()`, for ForkList at an agent.

use crate::expression::evaluation::{Evaluation, Failure};
use crate::expression::scope::{Call, Scope};
use crate::id::SubagentId;
use crate::problem::Checked;
use crate::value::Value;
use alloc::vec::Vec;

/// `subagentIds()` gives all subagents of the agent, `subagentIds(bundle)` those of a bundle.
pub struct SubagentIdsScope<'a> {
    /// The subagents of a bundle, or of the agent.
    pub subagents: &'a dyn Fn(Option<&str>) -> Checked<Vec<SubagentId>>,
}

impl Scope for SubagentIdsScope<'_> {
    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        (call.name() == "subagentIds").then(|| {
            call.accept(1, &["bundle"])?;
            let bundle = match call.argument(0, "bundle") {
                Some(_) => Some(call.text(0, "bundle", evaluation)?),
                None => None,
            };
            let ids = (self.subagents)(bundle.as_deref())?;
            Ok(Value::list(ids.iter().map(|id| Value::String(id.to_arc()))))
        })
    }
}
