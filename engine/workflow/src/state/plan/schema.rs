//! The plans of one schema.

use super::{delete, event, key_value};
use crate::expression::scope::FieldsScope;
use crate::id::{OrderId, PlanKey};
use crate::json::Json as _;
use crate::model::event::Event;
use crate::model::plan::{PlanEvent, PlanId, PlanSchema, PlanStatus};
use crate::problem::{Checked, Problem};
use crate::state::board::Notices;
use crate::state::order_queue::OrderQueue;
use crate::time::{Duration, Timestamp};
use crate::value::{Fields, Value};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A plan.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    status: PlanStatus,
    orders: OrderQueue,
}

impl Plan {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> PlanStatus {
        self.status
    }

    /// Its orders, first the one which came first.
    pub fn order_ids(&self) -> impl Iterator<Item = &OrderId> {
        self.orders.iter()
    }

    /// How many orders it has.
    #[must_use]
    pub fn order_count(&self) -> usize {
        self.orders.len()
    }

    /// Whether it has no orders.
    #[must_use]
    pub fn has_no_orders(&self) -> bool {
        self.orders.is_empty()
    }
}

/// A plan schema with its plans.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PlanSchemaState {
    #[serde(with = "crate::state::item_text")]
    item: Arc<PlanSchema>,
    named_values: Fields,
    retention: Duration,
    plans: BTreeMap<PlanKey, Plan>,
    /// The finished plans, by the time they finished.
    finished: BTreeSet<(Timestamp, PlanKey)>,
}

impl PlanSchemaState {
    /// A schema without plans, with the values of its item. Finished plans are deleted at once.
    #[must_use]
    pub fn new(item: Arc<PlanSchema>) -> Self {
        Self {
            named_values: item.named_values.clone(),
            item,
            retention: Duration::ZERO,
            plans: BTreeMap::new(),
            finished: BTreeSet::new(),
        }
    }

    /// The values which the function sees.
    #[must_use]
    pub fn named_values(&self) -> &Fields {
        &self.named_values
    }

    /// How long finished plans are kept.
    #[must_use]
    pub fn finished_plan_retention_period(&self) -> Duration {
        self.retention
    }

    /// A plan which is kept in mind.
    #[must_use]
    pub fn plan(&self, key: &PlanKey) -> Option<&Plan> {
        self.plans.get(key)
    }

    /// The plans which are kept in mind, by key.
    pub fn plans(&self) -> impl Iterator<Item = (&PlanKey, &Plan)> {
        self.plans.iter()
    }

    /// The id of a plan of this schema.
    #[must_use]
    pub fn plan_id(&self, key: &PlanKey) -> PlanId {
        PlanId::Of(self.item.id.clone(), key.clone())
    }

    /// The status of a plan, known or not.
    ///
    /// # Errors
    /// The plan is unknown and the function fails.
    pub fn status(&self, key: &PlanKey) -> Checked<PlanStatus> {
        self.plans.get(key).map_or_else(|| self.unknown_status(key), |plan| Ok(plan.status))
    }

    /// The snapshot form, without the item and the plans.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::object([
            ("TYPE", "PlanSchemaState".into()),
            ("id", self.item.id.write()),
            ("namedValues", self.named_values.write()),
            ("finishedPlanRetentionPeriod", self.retention.write()),
        ])
    }

    /// What the function says about a plan which nobody mentioned.
    fn unknown_status(&self, key: &PlanKey) -> Checked<PlanStatus> {
        let is_open = &self.item.unknown_plan_is_open_function;
        match is_open.apply(&[key_value(key)], &FieldsScope(&self.named_values))? {
            Value::Boolean(true) => Ok(PlanStatus::Open),
            Value::Boolean(false) => Ok(PlanStatus::Deleted),
            other => Err(Problem::new(format!(
                "PlanSchema:{}: unknownPlanIsOpenFunction must give true or false, but gives a {} for plan {key}",
                self.item.id,
                other.type_name()
            ))),
        }
    }

    pub(super) fn finish(&self, plan_id: &PlanId, notices: &Notices, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::from([event(plan_id, PlanEvent::PlanFinished { at: now })]);
        if self.retention.is_zero() {
            events.extend(delete(plan_id, notices));
        }
        events
    }

    pub(super) fn next_deletion(&self) -> Option<Timestamp> {
        self.finished.first().map(|(at, _)| *at + self.retention)
    }

    pub(super) fn due_plans(&self, now: Timestamp) -> impl Iterator<Item = PlanId> {
        self.finished.iter().take_while(move |(at, _)| *at + self.retention <= now).map(|(_, key)| self.plan_id(key))
    }

    pub(super) fn change_item(&mut self, item: Arc<PlanSchema>) {
        let before = &self.item.named_values;
        let is_kept = |name: &str| before.get(name).is_none() || before.get(name) == item.named_values.get(name);
        let kept = self.named_values.iter().filter(|(name, _)| is_kept(name));
        let kept: Fields = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        self.named_values = item.named_values.overridden_by(&kept);
        self.item = item;
    }

    pub(super) fn change(&mut self, named_values: Option<&Fields>, retention: Option<Duration>) {
        if let Some(named_values) = named_values {
            self.named_values = named_values.clone();
        }
        if let Some(retention) = retention {
            self.retention = retention;
        }
    }

    pub(super) fn set_status(&mut self, key: &PlanKey, status: PlanStatus) {
        let plan = self.keep(key);
        let former = core::mem::replace(&mut plan.status, status);
        if let PlanStatus::Finished { at } = former {
            self.finished.remove(&(at, key.clone()));
        }
        if let PlanStatus::Finished { at } = status {
            self.finished.insert((at, key.clone()));
        }
    }

    pub(super) fn add_order(&mut self, key: &PlanKey, order_id: &OrderId) {
        self.keep(key).orders.push(order_id.clone(), ());
    }

    pub(super) fn remove_order(&mut self, key: &PlanKey, order_id: &OrderId) {
        if let Some(plan) = self.plans.get_mut(key) {
            plan.orders.remove(order_id);
        }
    }

    /// Keeps a plan in mind.
    pub(super) fn keep(&mut self, key: &PlanKey) -> &mut Plan {
        // The function was evaluated before anything could happen in the plan; if it fails now, nobody has closed the plan.
        let status = self.status(key).unwrap_or(PlanStatus::Open);
        self.plans.entry(key.clone()).or_insert_with(|| Plan { status, orders: OrderQueue::default() })
    }

    /// Forgets a plan about which nothing is to be known.
    pub(super) fn forget_if_unused(&mut self, key: &PlanKey, notices: &Notices) {
        if self.is_unused(key, notices) {
            self.plans.remove(key);
        }
    }

    /// The same for all plans of the schema.
    pub(super) fn forget_unused(&mut self, notices: &Notices) {
        let unused: Vec<PlanKey> = self.plans.keys().filter(|key| self.is_unused(key, notices)).cloned().collect();
        for key in unused {
            self.plans.remove(&key);
        }
    }

    fn is_unused(&self, key: &PlanKey, notices: &Notices) -> bool {
        self.plans.get(key).is_some_and(|plan| {
            plan.has_no_orders()
                && !notices.has_plan(&self.plan_id(key))
                && self.unknown_status(key).is_ok_and(|status| status == plan.status)
        })
    }

    pub(super) fn check(&self) -> Checked<()> {
        let finished = self.plans.iter().filter_map(|(key, plan)| match plan.status {
            PlanStatus::Finished { at } => Some((at, key.clone())),
            PlanStatus::Open | PlanStatus::Closed | PlanStatus::Deleted => None,
        });
        if finished.collect::<BTreeSet<_>>() != self.finished
            || !self.plans.values().all(|plan| plan.orders.is_consistent())
        {
            return Err(Problem::new(format!("PlanSchema:{}: the plans are inconsistent", self.item.id)));
        }
        Ok(())
    }
}
