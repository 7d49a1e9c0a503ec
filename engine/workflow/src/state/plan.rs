//! Plans: which take orders, which orders they have, when they end.
//!
//! A plan which nobody ever mentioned is open or deleted, as a function of its schema says. It is kept in mind as long as
//! it has orders or notices, or its status is not what the function says. A closed plan ends with the deletion of its last
//! order; its notices are deleted with it, after a retention period. The global plan is always there, open, and has no
//! list of its orders.
//!
//! Every order of a plan is known here, children of forks too. Fails when a schema is unknown, or its function gives no boolean.

mod schema;

pub use schema::{Plan, PlanSchemaState};

use super::board::Notices;
use crate::expression::scope::unknown_key;
use crate::id::{OrderId, PlanKey, PlanSchemaId};
use crate::model::event::Event;
use crate::model::plan::{PlanEvent, PlanId, PlanSchema, PlanSchemaEvent, PlanStatus};
use crate::problem::{Checked, Problem};
use crate::time::{Duration, Timestamp};
use crate::value::{Fields, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

crate::json_union! {
    /// The snapshot form of a plan. Its orders and notices follow from theirs.
    #[derive(Clone, Debug, PartialEq)]
    pub enum PlanSnapshot {
        /// A plan.
        Plan => "Plan" {
            /// Which.
            plan_id: PlanId => "planId";
            /// Its status.
            status: PlanStatus => "status";
        };
    }
}

/// All plans, by schema.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Plans {
    schemas: BTreeMap<PlanSchemaId, PlanSchemaState>,
}

/// Most orders which a problem names.
const MAX_NAMED_ORDERS: usize = 10;

impl Plans {
    /// The state of a schema.
    #[must_use]
    pub fn schema(&self, id: &PlanSchemaId) -> Option<&PlanSchemaState> {
        self.schemas.get(id)
    }

    /// All schemas, by id. The global one is not among them.
    pub fn schemas(&self) -> impl Iterator<Item = &PlanSchemaState> {
        self.schemas.values()
    }

    /// A plan which is kept in mind.
    #[must_use]
    pub fn get(&self, plan_id: &PlanId) -> Option<&Plan> {
        match plan_id {
            PlanId::Global => None,
            PlanId::Of(schema, key) => self.schemas.get(schema)?.plan(key),
        }
    }

    /// The status of a plan, known or not.
    ///
    /// # Errors
    /// The schema is unknown or its function fails.
    pub fn status(&self, plan_id: &PlanId) -> Checked<PlanStatus> {
        match plan_id {
            PlanId::Global => Ok(PlanStatus::Open),
            PlanId::Of(schema, key) => self.checked_schema(schema)?.status(key),
        }
    }

    /// Whether an order can be added to the plan: by a command or a file watch, or (`as_part_of_it`) by an order of the same
    /// plan, by an AddOrder instruction or as a child.
    ///
    /// # Errors
    /// `PlanIsClosed`, `PlanIsFinished`, `PlanIsDeleted`; the schema is unknown or its function fails.
    pub fn check_accepts_order(&self, plan_id: &PlanId, as_part_of_it: bool) -> Checked<()> {
        let (code, is) = match self.status(plan_id)? {
            PlanStatus::Open => return Ok(()),
            PlanStatus::Closed if as_part_of_it => return Ok(()),
            PlanStatus::Closed => ("PlanIsClosed", "closed"),
            PlanStatus::Finished { .. } => ("PlanIsFinished", "finished"),
            PlanStatus::Deleted => ("PlanIsDeleted", "deleted"),
        };
        let message = format!("{plan_id} is {is} and takes no more orders");
        Err(Problem::coded(code, [("planId", plan_id.to_string())], message))
    }

    /// The events of the command ChangePlan: of the plan, and the deletions of its notices.
    ///
    /// # Errors
    /// The plan has this status already, or cannot get it from the one it has; the global plan; an unknown schema.
    pub fn decide_change(
        &self,
        plan_id: &PlanId,
        status: PlanStatus,
        notices: &Notices,
        now: Timestamp,
    ) -> Checked<Vec<Event>> {
        let PlanId::Of(schema_id, key) = plan_id else {
            return Err(Problem::new(format!("{plan_id} is always open and cannot be changed")));
        };
        let schema = self.checked_schema(schema_id)?;
        let former = schema.status(key)?;
        match (former, status) {
            (PlanStatus::Closed | PlanStatus::Finished { .. } | PlanStatus::Deleted, PlanStatus::Open) => {
                Ok(Vec::from([event(plan_id, PlanEvent::PlanOpened)]))
            }
            (PlanStatus::Open, PlanStatus::Closed) => {
                let mut events = Vec::from([event(plan_id, PlanEvent::PlanClosed)]);
                if schema.plan(key).is_none_or(|plan| plan.has_no_orders()) {
                    events.extend(schema.finish(plan_id, notices, now));
                }
                Ok(events)
            }
            (PlanStatus::Finished { .. }, PlanStatus::Deleted) => Ok(delete(plan_id, notices)),
            (former, status) if core::mem::discriminant(&former) == core::mem::discriminant(&status) => {
                Err(Problem::new(format!("{plan_id} is already {former}")))
            }
            (former, status) => Err(Problem::new(format!("{plan_id} is {former} and cannot be changed to {status}"))),
        }
    }

    /// The events after an order of the plan has been deleted, if it was the last one of a closed plan. To be asked when
    /// the deletion has been applied.
    #[must_use]
    pub fn decide_after_order_deleted(&self, plan_id: &PlanId, notices: &Notices, now: Timestamp) -> Vec<Event> {
        let PlanId::Of(schema_id, key) = plan_id else { return Vec::new() };
        match self.schemas.get(schema_id) {
            Some(schema) if schema.plan(key).is_some_and(|p| p.has_no_orders() && p.status() == PlanStatus::Closed) => {
                schema.finish(plan_id, notices, now)
            }
            _ => Vec::new(),
        }
    }

    /// When the next finished plan is to be deleted.
    #[must_use]
    pub fn next_deletion(&self) -> Option<Timestamp> {
        self.schemas.values().filter_map(PlanSchemaState::next_deletion).min()
    }

    /// The deletions of the finished plans whose retention period is over, with their notices.
    #[must_use]
    pub fn decide_deletions(&self, notices: &Notices, now: Timestamp) -> Vec<Event> {
        let due = self.schemas.values().flat_map(|schema| schema.due_plans(now));
        due.flat_map(|plan_id| delete(&plan_id, notices)).collect()
    }

    /// The event of the command ChangePlanSchema. Whatever is to be deleted then, [`Self::decide_deletions`] tells.
    ///
    /// # Errors
    /// The schema is unknown, or is the global one.
    pub fn decide_change_schema(
        &self,
        id: &PlanSchemaId,
        named_values: Option<Fields>,
        finished_plan_retention_period: Option<Duration>,
    ) -> Checked<Event> {
        self.checked_schema(id)?;
        if finished_plan_retention_period.is_some_and(Duration::is_negative) {
            return Err(Problem::new("finishedPlanRetentionPeriod must not be negative"));
        }
        let event = PlanSchemaEvent::PlanSchemaChanged { finished_plan_retention_period, named_values };
        Ok(Event::PlanSchema(id.clone(), event))
    }

    /// Whether a schema can be deleted: none of its plans has orders.
    ///
    /// # Errors
    /// Names the plans and orders in the way.
    pub fn check_deletable(&self, id: &PlanSchemaId) -> Checked<()> {
        let in_use: Vec<String> = match self.schemas.get(id) {
            None => return Ok(()),
            Some(schema) => schema
                .plans()
                .filter(|(_, plan)| !plan.has_no_orders())
                .map(|(key, plan)| format!("Plan:{key} with {}", named(plan)))
                .collect(),
        };
        if in_use.is_empty() {
            return Ok(());
        }
        let message = format!("PlanSchema:{id} cannot be deleted because it is in use by {}", in_use.join(", "));
        Err(Problem::new(message))
    }

    /// Adds a schema or changes it. Values which its item gave before and now gives differently, or not at all, change; others
    /// keep what a command gave them.
    pub fn put_schema(&mut self, item: &alloc::sync::Arc<PlanSchema>, notices: &Notices) {
        match self.schemas.get_mut(&item.id) {
            Some(schema) => {
                schema.change_item(item.clone());
                schema.forget_unused(notices);
            }
            None => {
                self.schemas.insert(item.id.clone(), PlanSchemaState::new(item.clone()));
            }
        }
    }

    /// Deletes a schema with its plans.
    pub fn delete_schema(&mut self, id: &PlanSchemaId) {
        self.schemas.remove(id);
    }

    /// An event of a plan.
    pub fn apply(&mut self, plan_id: &PlanId, event: &PlanEvent, notices: &Notices) {
        let PlanId::Of(schema_id, key) = plan_id else { return };
        let Some(schema) = self.schemas.get_mut(schema_id) else { return };
        schema.set_status(
            key,
            match event {
                PlanEvent::PlanOpened => PlanStatus::Open,
                PlanEvent::PlanClosed => PlanStatus::Closed,
                PlanEvent::PlanFinished { at } => PlanStatus::Finished { at: *at },
                PlanEvent::PlanDeleted => PlanStatus::Deleted,
            },
        );
        schema.forget_if_unused(key, notices);
    }

    /// An event of a schema.
    pub fn apply_schema(&mut self, id: &PlanSchemaId, event: &PlanSchemaEvent, notices: &Notices) {
        let PlanSchemaEvent::PlanSchemaChanged { finished_plan_retention_period, named_values } = event;
        let Some(schema) = self.schemas.get_mut(id) else { return };
        schema.change(named_values.as_ref(), *finished_plan_retention_period);
        schema.forget_unused(notices);
    }

    /// An order has come into being in the plan.
    pub fn apply_order_added(&mut self, plan_id: &PlanId, order_id: &OrderId) {
        if let PlanId::Of(schema_id, key) = plan_id
            && let Some(schema) = self.schemas.get_mut(schema_id)
        {
            schema.add_order(key, order_id);
        }
    }

    /// An order of the plan is gone: deleted, or joined as a child.
    pub fn apply_order_removed(&mut self, plan_id: &PlanId, order_id: &OrderId, notices: &Notices) {
        if let PlanId::Of(schema_id, key) = plan_id
            && let Some(schema) = self.schemas.get_mut(schema_id)
        {
            schema.remove_order(key, order_id);
            schema.forget_if_unused(key, notices);
        }
    }

    /// The notices of the plan have changed: it is kept in mind if it has some, and may be forgotten if it has none.
    pub fn apply_notices_changed(&mut self, plan_id: &PlanId, notices: &Notices) {
        let PlanId::Of(schema_id, key) = plan_id else { return };
        let Some(schema) = self.schemas.get_mut(schema_id) else { return };
        if notices.has_plan(plan_id) {
            schema.keep(key);
        } else {
            schema.forget_if_unused(key, notices);
        }
    }

    /// The snapshot forms of the plans. Their schemas have others.
    pub fn snapshot(&self) -> impl Iterator<Item = PlanSnapshot> {
        self.schemas.values().flat_map(|schema| {
            schema.plans().map(|(key, plan)| PlanSnapshot::Plan { plan_id: schema.plan_id(key), status: plan.status() })
        })
    }

    /// What must hold at any time; else what does not.
    ///
    /// # Errors
    /// An index disagrees with what it was made of.
    pub fn check(&self) -> Checked<()> {
        self.schemas.values().try_for_each(PlanSchemaState::check)
    }

    fn checked_schema(&self, id: &PlanSchemaId) -> Checked<&PlanSchemaState> {
        self.schemas.get(id).ok_or_else(|| unknown_key("PlanSchemaId", &format!("PlanSchema:{id}")))
    }
}

fn event(plan_id: &PlanId, event: PlanEvent) -> Event {
    Event::Plan(plan_id.clone(), event)
}

/// The deletion of a plan with its notices.
fn delete(plan_id: &PlanId, notices: &Notices) -> Vec<Event> {
    let mut events = notices.decide_deletion_of_plan(plan_id);
    events.push(event(plan_id, PlanEvent::PlanDeleted));
    events
}

fn named(plan: &Plan) -> String {
    let names: Vec<String> = plan.order_ids().take(MAX_NAMED_ORDERS).map(|id| format!("Order:{id}")).collect();
    match plan.order_count().saturating_sub(MAX_NAMED_ORDERS) {
        0 => names.join(", "),
        more => format!("{}, and {more} more", names.join(", ")),
    }
}

/// The plan key as its schema's function sees it.
fn key_value(key: &PlanKey) -> Value {
    Value::String(key.to_arc())
}

#[cfg(test)]
mod tests;
