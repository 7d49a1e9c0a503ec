//! What expressions of instructions see: what the order knows, the time, and job resources.
//!
//! A fresh order is looked at before it is due. An expression which depends on the time or on job resources must then wait:
//! asking for them is a problem, and [`InstructionScope::is_too_early`] tells afterwards that this happened, even if the
//! expression went on with something else.

use super::job_resource::{FindJobResource, variable_of};
use super::{Host, OrderScope};
use crate::expression::Origin;
use crate::expression::evaluation::{Evaluation, Failure};
use crate::expression::scope::{Call, NowScope, Scope, Scopes};
use crate::flow::Flow;
use crate::model::order::{Order, OrderState};
use crate::problem::{Checked, Problem};
use crate::time::Timestamp;
use crate::value::Value;
use core::cell::Cell;

/// What expressions of instructions see.
pub struct InstructionScope<'a> {
    order: OrderScope<'a>,
    now: NowScope<'a>,
    job_resources: &'a FindJobResource<'a>,
    is_too_early: Cell<bool>,
}

impl<'a> InstructionScope<'a> {
    /// For an order at its position, at a time.
    #[must_use]
    pub fn new(
        order: &'a Order,
        flow: &'a Flow,
        host: Host<'a>,
        now: Timestamp,
        job_resources: &'a FindJobResource<'a>,
    ) -> Self {
        Self {
            order: OrderScope::new(order, flow, host),
            now: NowScope { now, zone: host.zone },
            job_resources,
            is_too_early: Cell::new(false),
        }
    }

    /// Whether an expression asked for something which a fresh order cannot know. What it gave then means nothing.
    #[must_use]
    pub fn is_too_early(&self) -> bool {
        self.is_too_early.get()
    }

    fn check_started(&self) -> Checked<()> {
        if self.order.order().state != OrderState::Fresh {
            return Ok(());
        }
        self.is_too_early.set(true);
        Err(Problem::coded("OrderNotStarted", [], "The order has not been started yet"))
    }
}

impl Scope for InstructionScope<'_> {
    fn named_value(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.order.named_value(name, evaluation).or_else(|| {
            let value = self.now.named_value(name, evaluation)?;
            Some(self.check_started().and(value))
        })
    }

    fn argument(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.order.argument(name, evaluation)
    }

    fn historic_value(&self, origin: &Origin, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.order.historic_value(origin, name, evaluation)
    }

    fn job_resource(
        &self,
        path: &str,
        variable: Option<&str>,
        evaluation: &mut Evaluation<'_>,
    ) -> Option<Checked<Value>> {
        let within: [&dyn Scope; 4] = [&self.order.place, &self.order.identity, &self.order.env, &self.now];
        let value = self
            .check_started()
            .and_then(|()| variable_of(self.job_resources, path, variable, &Scopes(&within), evaluation));
        Some(value)
    }

    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        self.order.call(call, evaluation).or_else(|| {
            let value = self.now.call(call, evaluation)?;
            Some(self.check_started().map_err(Failure::from).and(value))
        })
    }
}
