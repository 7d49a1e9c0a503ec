//! Notices: what is posted, announced, expected and being consumed.
//!
//! A notice has a place, named by plan, board and key. A place exists as long as there is something to know about it.
//! Notices of a global board are all in the global plan, those of a plannable board in the plan of the order.
//!
//! Posting a notice again replaces it, and protects it from consumptions which began before. A notice being consumed is still
//! there for others; the last consumer takes it away. A place can be in consumption without there ever having been a
//! notice.

mod moving;

pub use moving::{BoardMove, Moved};

use crate::expression::board::Availability;
use crate::expression::scope::unknown_key;
use crate::id::{BoardPath, NoticeKey, OrderId, PlanKey, PlanSchemaId};
use crate::json::Json as _;
use crate::model::event::Event;
use crate::model::notice::{Notice, NoticeEvent, NoticeId, NoticePlace, PlannedNoticeKey};
use crate::model::plan::PlanId;
use crate::problem::{Checked, Problem};
use crate::time::Timestamp;
use crate::value::Value;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

/// The two types of boards: whether the notices belong to plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum BoardKind {
    /// A `GlobalBoard`.
    Global,
    /// A `PlannableBoard`.
    Plannable,
}

impl BoardKind {
    /// The plan of a notice which an order of a plan posts or expects.
    #[must_use]
    pub fn plan_for(self, order_plan: &PlanId) -> PlanId {
        match self {
            Self::Global => PlanId::Global,
            Self::Plannable => order_plan.clone(),
        }
    }
}

/// What is known about a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    is_posted: bool,
    end_of_life: Option<Timestamp>,
    expecting: BTreeSet<OrderId>,
    is_announced: bool,
    is_in_consumption: bool,
    /// How often each order is consuming it.
    consumers: BTreeMap<OrderId, u32>,
    consumption_count: u32,
}

impl Place {
    /// Whether the notice is there.
    #[must_use]
    pub fn is_posted(&self) -> bool {
        self.is_posted
    }

    /// When the posted notice is deleted by itself.
    #[must_use]
    pub fn end_of_life(&self) -> Option<Timestamp> {
        self.end_of_life
    }

    /// The orders which expect it.
    #[must_use]
    pub fn expecting(&self) -> &BTreeSet<OrderId> {
        &self.expecting
    }

    /// Whether an order of the plan will post it.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.is_announced
    }

    /// Whether orders are consuming it, and it has not been posted again meanwhile.
    #[must_use]
    pub fn is_in_consumption(&self) -> bool {
        self.is_in_consumption
    }

    /// How many consumptions are going on.
    #[must_use]
    pub fn consumption_count(&self) -> u32 {
        self.consumption_count
    }

    fn availability(&self) -> Availability {
        match (self.is_posted, self.is_announced) {
            (true, _) => Availability::True,
            (false, true) => Availability::False,
            (false, false) => Availability::Unknown,
        }
    }

    fn is_empty(&self) -> bool {
        !self.is_posted && self.expecting.is_empty() && !self.is_announced && self.consumption_count == 0
    }
}

/// The notices of all boards.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Notices {
    places: BTreeMap<NoticeId, Place>,
    /// When notices end.
    ends: BTreeSet<(Timestamp, NoticeId)>,
    /// What each order is consuming, the innermost block last.
    consumptions: BTreeMap<OrderId, Vec<Vec<NoticeId>>>,
}

impl Notices {
    /// What is known about a notice; `None` when nothing is.
    #[must_use]
    pub fn get(&self, notice_id: &NoticeId) -> Option<&Place> {
        self.places.get(notice_id)
    }

    /// All places, by plan, board and key.
    pub fn iter(&self) -> impl Iterator<Item = (&NoticeId, &Place)> {
        self.places.iter()
    }

    /// The places of a plan, by board and key.
    pub fn of_plan<'a>(&'a self, plan_id: &'a PlanId) -> impl Iterator<Item = (&'a NoticeId, &'a Place)> {
        self.places.range(first_of(plan_id.clone(), "")..).take_while(move |(id, _)| id.plan_id == *plan_id)
    }

    /// The places of a board, by plan and key. Costs a look per plan.
    pub fn of_board<'a>(&'a self, board_path: &'a BoardPath) -> impl Iterator<Item = (&'a NoticeId, &'a Place)> {
        let mut plan = Some(PlanId::Global);
        core::iter::from_fn(move || {
            let here = plan.take()?;
            let after = self.places.range(first_of(successor(&here), "")..).next();
            plan = after.map(|(id, _)| id.plan_id.clone());
            Some(here)
        })
        .flat_map(move |plan_id| {
            let start = first_of(plan_id.clone(), board_path.as_str());
            self.places.range(start..).take_while(move |(id, _)| id.plan_id == plan_id && id.board_path == *board_path)
        })
    }

    /// Whether anything is known about a notice of the plan.
    #[must_use]
    pub fn has_plan(&self, plan_id: &PlanId) -> bool {
        self.of_plan(plan_id).next().is_some()
    }

    /// Whether the notice is there, announced, or neither: for the expressions of ExpectNotices and ConsumeNotices.
    #[must_use]
    pub fn availability(&self, notice_id: &NoticeId) -> Availability {
        self.places.get(notice_id).map_or(Availability::Unknown, Place::availability)
    }

    /// Whether an order which is being added to a plan announces the notice: not if it is announced or posted already, and
    /// never on a global board.
    #[must_use]
    pub fn is_to_be_announced(&self, notice_id: &NoticeId) -> bool {
        !notice_id.plan_id.is_global() && self.availability(notice_id) == Availability::Unknown
    }

    /// The orders to look at after the notice was posted, in a fixed order.
    pub fn expecting(&self, notice_id: &NoticeId) -> impl Iterator<Item = &OrderId> {
        self.places.get(notice_id).into_iter().flat_map(|place| &place.expecting)
    }

    /// The events of the command PostNotice, and whether expecting orders are to be looked at: a notice whose end has been
    /// reached is deleted at once and wakes nobody.
    #[must_use]
    pub fn decide_post(notice_id: &NoticeId, end_of_life: Option<Timestamp>, now: Timestamp) -> (Vec<Event>, bool) {
        let planned_notice_key = notice_id.planned_key();
        let posted = NoticeEvent::NoticePosted { planned_notice_key, end_of_life };
        let mut events = Vec::from([Event::Board(notice_id.board_path.clone(), posted)]);
        let has_ended = end_of_life.is_some_and(|end| end <= now);
        if has_ended {
            events.push(deleted(notice_id));
        }
        (events, !has_ended)
    }

    /// The event of the command DeleteNotice.
    ///
    /// # Errors
    /// There is no such notice.
    pub fn decide_delete(&self, notice_id: &NoticeId) -> Checked<Event> {
        if self.places.get(notice_id).is_some_and(Place::is_posted) {
            return Ok(deleted(notice_id));
        }
        Err(unknown_key("NoticeId", &notice_id.to_string()))
    }

    /// When the next notice ends.
    #[must_use]
    pub fn next_end_of_life(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// The deletions of the notices whose end has been reached; at most so many.
    #[must_use]
    pub fn decide_ends(&self, now: Timestamp, most: usize) -> Vec<Event> {
        self.ends
            .iter()
            .take_while(|(end, _)| *end <= now)
            .take(most)
            .map(|(_, notice_id)| deleted(notice_id))
            .collect()
    }

    /// The deletions of the notices of a plan which is going to be deleted.
    #[must_use]
    pub fn decide_deletion_of_plan(&self, plan_id: &PlanId) -> Vec<Event> {
        self.of_plan(plan_id).filter(|(_, place)| place.is_posted).map(|(notice_id, _)| deleted(notice_id)).collect()
    }

    /// The notices of the innermost block which consumes some.
    #[must_use]
    pub fn innermost_consumption(&self, order_id: &OrderId) -> Option<&[NoticeId]> {
        self.consumptions.get(order_id)?.last().map(Vec::as_slice)
    }

    /// An event of a board.
    pub fn apply(&mut self, board_path: &BoardPath, event: &NoticeEvent) {
        match event {
            NoticeEvent::NoticePosted { planned_notice_key, end_of_life } => {
                self.apply_posted(&notice_id(board_path, planned_notice_key), *end_of_life);
            }
            NoticeEvent::NoticeDeleted { planned_notice_key } => {
                self.update(&notice_id(board_path, planned_notice_key), Place::remove_notice);
            }
            NoticeEvent::NoticeMoved { from_planned_notice_key, to_planned_notice_key, end_of_life } => {
                let from = notice_id(board_path, from_planned_notice_key);
                self.apply_moved(&from, &notice_id(board_path, to_planned_notice_key), *end_of_life);
            }
        }
    }

    /// `OrderNoticePosted`, or `NoticePosted`.
    pub fn apply_posted(&mut self, notice_id: &NoticeId, end_of_life: Option<Timestamp>) {
        self.update(notice_id, |place| {
            place.is_posted = true;
            place.end_of_life = end_of_life;
            place.is_announced = false;
            place.is_in_consumption = false;
        });
    }

    /// `OrderNoticeAnnounced`.
    pub fn apply_announced(&mut self, notice_id: &NoticeId) {
        self.update(notice_id, |place| place.is_announced = true);
    }

    /// `OrderNoticesExpected`.
    pub fn apply_expected(&mut self, order_id: &OrderId, notice_ids: &[NoticeId]) {
        for notice_id in notice_ids {
            self.update(notice_id, |place| {
                place.expecting.insert(order_id.clone());
            });
        }
    }

    /// The order expects the notices no more: `OrderNoticesRead`, `OrderStateReset`, and before
    /// [`Self::apply_consumption_started`]. The ids are those of its state.
    pub fn apply_expected_no_more(&mut self, order_id: &OrderId, notice_ids: &[NoticeId]) {
        for notice_id in notice_ids {
            self.update(notice_id, |place| {
                place.expecting.remove(order_id);
            });
        }
    }

    /// `OrderNoticesConsumptionStarted`.
    pub fn apply_consumption_started(&mut self, order_id: &OrderId, notice_ids: &[NoticeId]) {
        for notice_id in notice_ids {
            self.update(notice_id, |place| {
                place.is_in_consumption = true;
                place.consumption_count += 1;
                *place.consumers.entry(order_id.clone()).or_default() += 1;
            });
        }
        self.consumptions.entry(order_id.clone()).or_default().push(notice_ids.to_vec());
    }

    /// `OrderNoticesConsumed`: the innermost consumption of the order has ended.
    pub fn apply_consumed(&mut self, order_id: &OrderId, failed: bool) {
        let Some(stack) = self.consumptions.get_mut(order_id) else { return };
        let notice_ids = stack.pop().unwrap_or_default();
        if stack.is_empty() {
            self.consumptions.remove(order_id);
        }
        for notice_id in &notice_ids {
            self.update(notice_id, |place| place.end_consumption(order_id, failed));
        }
    }

    /// `PlanDeleted`: nothing is known any more about the notices of the plan, except who waits for them.
    pub fn apply_plan_deleted(&mut self, plan_id: &PlanId) {
        let notice_ids: Vec<NoticeId> = self.of_plan(plan_id).map(|(notice_id, _)| notice_id.clone()).collect();
        for notice_id in notice_ids {
            self.update(&notice_id, |place| {
                place.remove_notice();
                place.is_announced = false;
            });
        }
    }

    /// The snapshot forms of a place: the notice, and what else is known. Who expects it follows from the orders.
    pub fn to_json<'a>(notice_id: &'a NoticeId, place: &'a Place) -> impl Iterator<Item = Value> {
        let notice = place.is_posted.then(|| Notice { id: notice_id.clone(), end_of_life: place.end_of_life }.write());
        let has_more = place.is_announced || place.is_in_consumption || place.consumption_count > 0;
        let rest = has_more.then(|| {
            NoticePlace {
                notice_id: notice_id.clone(),
                is_announced: place.is_announced,
                is_in_consumption: place.is_in_consumption,
                consumption_count: place.consumption_count,
            }
            .write()
        });
        let named = |(name, value): (&str, Option<Value>)| value.map(|value| with_type(name, &value));
        [("Notice", notice), ("NoticePlace", rest)].into_iter().filter_map(named)
    }

    /// What must hold at any time; else what does not.
    ///
    /// # Errors
    /// An index disagrees with what it was made of, or an empty place was kept.
    pub fn check(&self) -> Checked<()> {
        let mut ends = 0;
        let mut consumptions = 0;
        for (notice_id, place) in &self.places {
            if let Some(end) = place.end_of_life {
                ends += 1;
                if !place.is_posted || !self.ends.contains(&(end, notice_id.clone())) {
                    return Err(Problem::new(format!("{notice_id}: the end of life is inconsistent")));
                }
            }
            consumptions += place.consumption_count as usize;
            if place.is_empty() || place.consumers.values().sum::<u32>() != place.consumption_count {
                return Err(Problem::new(format!("{notice_id}: the place is inconsistent")));
            }
        }
        let on_stacks: usize = self.consumptions.values().flatten().map(Vec::len).sum();
        if ends != self.ends.len() || consumptions != on_stacks {
            return Err(Problem::new("The indexes of the notices are inconsistent"));
        }
        Ok(())
    }

    /// Changes a place, which comes into being with it, and vanishes when it is empty.
    fn update(&mut self, notice_id: &NoticeId, change: impl FnOnce(&mut Place)) {
        let place = self.places.entry(notice_id.clone()).or_default();
        let former_end = place.end_of_life;
        change(place);
        let end = place.end_of_life;
        if place.is_empty() {
            self.places.remove(notice_id);
        }
        if former_end != end {
            if let Some(end) = former_end {
                self.ends.remove(&(end, notice_id.clone()));
            }
            if let Some(end) = end {
                self.ends.insert((end, notice_id.clone()));
            }
        }
    }
}

impl Place {
    fn remove_notice(&mut self) {
        self.is_posted = false;
        self.end_of_life = None;
    }

    fn end_consumption(&mut self, order_id: &OrderId, failed: bool) {
        if let Some(count) = self.consumers.get_mut(order_id) {
            *count -= 1;
            if *count == 0 {
                self.consumers.remove(order_id);
            }
            self.consumption_count -= 1;
        }
        if self.consumption_count == 0 && self.is_in_consumption {
            self.is_in_consumption = false;
            if !failed {
                self.remove_notice();
            }
        }
    }
}

fn deleted(notice_id: &NoticeId) -> Event {
    let event = NoticeEvent::NoticeDeleted { planned_notice_key: notice_id.planned_key() };
    Event::Board(notice_id.board_path.clone(), event)
}

fn notice_id(board_path: &BoardPath, key: &PlannedNoticeKey) -> NoticeId {
    NoticeId { plan_id: key.plan_id.clone(), board_path: board_path.clone(), notice_key: key.notice_key.clone() }
}

/// Not greater than the ids of the board in the plan.
fn first_of(plan_id: PlanId, board_path: &str) -> NoticeId {
    NoticeId { plan_id, board_path: BoardPath::new(board_path), notice_key: NoticeKey::new("") }
}

/// The smallest plan id greater than this.
fn successor(plan_id: &PlanId) -> PlanId {
    match plan_id {
        PlanId::Global => PlanId::Of(PlanSchemaId::new(""), PlanKey::new("")),
        PlanId::Of(schema, key) => PlanId::Of(schema.clone(), PlanKey::new(&format!("{key}\0"))),
    }
}

fn with_type(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(n, v)| (n.clone(), v.clone())).chain([("TYPE".into(), name.into())]).collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
