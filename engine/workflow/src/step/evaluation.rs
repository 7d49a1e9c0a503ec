//! What the expressions of instructions see.

use super::Surroundings;
use super::order_step::OrderStep;
use crate::expression::Expression;
use crate::expression::function::ExprFunction;
use crate::expression::scope::{Scope, Scopes, UniqueOrderIdScope};
use crate::id::{JobResourcePath, OrderId, SubagentId};
use crate::model::item::JobResource;
use crate::problem::{Checked, Problem};
use crate::scope::{Host, InstructionScope, MinimalOrderScope, OrderScope, SubagentIdsScope};
use crate::state::{Side, State};
use crate::value::Value;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl<'a> Surroundings<'a> {
    /// What the node contributes to expressions.
    #[must_use]
    pub fn host(self, state: &'a State) -> Host<'a> {
        Host { controller_id: state.controller_id(), env: self.env, zone: self.zone }
    }
}

/// A job resource of a state. Scopes are given a closure that calls this.
pub(crate) fn job_resource<'s>(state: &'s State, path: &str) -> Option<&'s JobResource> {
    state.items().job_resource(&JobResourcePath::new(path)).map(|resource| &**resource)
}

impl OrderStep<'_> {
    fn with_scope<T>(&self, evaluate: impl FnOnce(&InstructionScope<'_>) -> T) -> T {
        let state = self.state;
        let find = |path: &str| job_resource(state, path);
        let host = self.around.host(self.state);
        evaluate(&InstructionScope::new(&self.order, &self.flow, host, self.around.now, &find))
    }

    /// The value of an expression which may depend on the time and on job resources.
    pub(super) fn evaluate(&self, expression: &Expression) -> Checked<Value> {
        self.with_scope(|scope| expression.eval(scope))
    }

    /// The value of an expression that is looked at before it is time. `None` if it cannot be known before the order starts.
    pub(super) fn evaluate_anticipated(&self, expression: &Expression) -> Checked<Option<Value>> {
        self.with_scope(|scope| {
            let value = expression.eval(scope);
            if scope.is_too_early() { Ok(None) } else { value.map(Some) }
        })
    }

    /// The value of an expression which does not depend on time or job resources.
    pub(super) fn evaluate_pure(&self, expression: &Expression) -> Checked<Value> {
        expression.eval(&OrderScope::new(&self.order, &self.flow, self.around.host(self.state)))
    }

    /// The value of a key of a plannable board.
    pub(super) fn evaluate_for_board(&self, expression: &Expression) -> Checked<Value> {
        expression.eval(&MinimalOrderScope::new(&self.order, &self.flow, self.around.host(self.state)))
    }

    /// The children of a ForkList.
    pub(super) fn evaluate_children(&self, expression: &Expression) -> Checked<Value> {
        self.with_scope(|scope| {
            let subagents = |bundle: Option<&str>| self.subagent_ids(bundle);
            let subagents = SubagentIdsScope { subagents: &subagents };
            expression.eval(&Scopes(&[scope as &dyn Scope, &subagents]))
        })
    }

    fn subagent_ids(&self, bundle: Option<&str>) -> Checked<Vec<SubagentId>> {
        let Side::Agent(_) = self.state.side() else {
            return Err(Problem::new(
                "The subagentIds function is available only for ForkList statement running at an Agent",
            ));
        };
        self.state.items().subagent_ids(bundle)
    }

    /// The id of an order to be added.
    pub(super) fn evaluate_order_id(&self, expression: &Expression) -> Checked<Arc<str>> {
        self.with_scope(|scope| {
            let exists = |id: &str| self.state.order(&OrderId::new(id)).is_some();
            let unique = UniqueOrderIdScope { exists: &exists };
            expression.eval_to_string(&Scopes(&[scope as &dyn Scope, &unique]))
        })
    }

    /// The result of a function.
    pub(super) fn apply(&self, function: &ExprFunction, arguments: &[Value]) -> Checked<Value> {
        self.with_scope(|scope| function.apply(arguments, scope))
    }
}
