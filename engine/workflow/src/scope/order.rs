//! What an order knows of itself: expressions here depend neither on the time nor on job resources.

use super::{ArgumentsScope, Host, IdentityScope, OutcomesScope, PlaceScope, joined_scope};
use crate::expression::scope::{EnvScope, Scope};
use crate::flow::Flow;
use crate::model::order::Order;

/// Arguments, results, `$js7…` variables, symbols, `env()`.
pub struct OrderScope<'a> {
    arguments: ArgumentsScope<'a>,
    outcomes: OutcomesScope<'a>,
    pub(super) place: PlaceScope<'a>,
    pub(super) identity: IdentityScope<'a>,
    pub(super) env: EnvScope<'a>,
}

impl<'a> OrderScope<'a> {
    /// For an order at its position in its workflow.
    #[must_use]
    pub fn new(order: &'a Order, flow: &'a Flow, host: Host<'a>) -> Self {
        Self {
            arguments: ArgumentsScope {
                arguments: &order.arguments,
                preparation: flow.workflow().order_preparation.as_ref(),
            },
            outcomes: OutcomesScope { history: &order.historic_outcomes, flow },
            place: PlaceScope { order, flow },
            identity: IdentityScope::new(&order.id, &flow.id().path, order.scheduled_for, host),
            env: EnvScope(host.env),
        }
    }

    /// The order.
    #[must_use]
    pub fn order(&self) -> &'a Order {
        self.place.order
    }
}

joined_scope!(OrderScope, this => [&this.arguments as &dyn Scope, &this.outcomes, &this.place, &this.identity, &this.env]);
