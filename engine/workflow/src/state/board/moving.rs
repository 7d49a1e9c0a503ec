//! What happens to the notices of a board which changes its type.
//!
//! Each notice gets another plan and key; whoever consumes it goes on with the new one. Orders which expect a notice are not
//! moved: they are to be reset, and then expect what the changed board says.

use super::{Notices, Place};
use crate::id::{BoardPath, OrderId};
use crate::model::event::Event;
use crate::model::notice::{NoticeEvent, NoticeId, PlannedNoticeKey};
use crate::model::plan::PlanId;
use crate::problem::{Checked, Problem};
use crate::time::Timestamp;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

/// Where a notice goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its new plan and key.
    pub key: PlannedNoticeKey,
    /// When it is deleted by itself.
    pub end_of_life: Option<Timestamp>,
}

/// What the change of a board's type brings about, after the change of the item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoardMove {
    /// The moves of the notices.
    pub events: Vec<Event>,
    /// The orders which expect notices of the board: they are to be reset and to step again.
    pub expecting: Vec<OrderId>,
}

impl Notices {
    /// What the change of a board's type brings about for the notices of the plans which `concerns` says. `destination` tells
    /// where a notice goes to, `plan_of` the plan of an order.
    ///
    /// # Errors
    /// `destination` fails, two notices would get the same key, or an order would consume a notice of a foreign plan.
    pub fn decide_move(
        &self,
        board_path: &BoardPath,
        concerns: &dyn Fn(&PlanId) -> bool,
        destination: &dyn Fn(&NoticeId) -> Checked<Moved>,
        plan_of: &dyn Fn(&OrderId) -> Option<PlanId>,
    ) -> Checked<BoardMove> {
        let mut result = BoardMove::default();
        let mut targets = BTreeSet::new();
        let mut expecting = BTreeSet::new();
        let mut problems = Vec::new();
        for (notice_id, place) in self.of_board(board_path).filter(|(id, _)| concerns(&id.plan_id)) {
            expecting.extend(place.expecting.iter().cloned());
            if !place.moves() {
                continue;
            }
            match destination(notice_id).and_then(|moved| self.check_moved(notice_id, place, moved, plan_of)) {
                Ok(moved) => {
                    let to = super::notice_id(board_path, &moved.key);
                    let is_taken = !concerns(&to.plan_id) && self.places.get(&to).is_some_and(Place::moves);
                    if is_taken || !targets.insert(to.clone()) {
                        let message = format!("{notice_id} cannot be moved: there would be another notice at {to}");
                        problems.push(Problem::new(message));
                    }
                    let event = NoticeEvent::NoticeMoved {
                        from_planned_notice_key: notice_id.planned_key(),
                        to_planned_notice_key: moved.key,
                        end_of_life: moved.end_of_life,
                    };
                    result.events.push(Event::Board(board_path.clone(), event));
                }
                Err(problem) => problems.push(problem),
            }
        }
        result.expecting = expecting.into_iter().collect();
        match Problem::combine(problems) {
            Some(problem) => Err(problem),
            None => Ok(result),
        }
    }

    /// A notice of a plan can only be consumed by orders of this plan.
    fn check_moved(
        &self,
        notice_id: &NoticeId,
        place: &Place,
        moved: Moved,
        plan_of: &dyn Fn(&OrderId) -> Option<PlanId>,
    ) -> Checked<Moved> {
        if !moved.key.plan_id.is_global()
            && let Some(order_id) = place.consumers.keys().find(|id| plan_of(id).as_ref() != Some(&moved.key.plan_id))
        {
            return Err(Problem::new(format!(
                "{notice_id} cannot be moved to {}: it is being consumed by Order:{order_id}, which belongs to another plan",
                moved.key.plan_id
            )));
        }
        Ok(moved)
    }

    pub(super) fn apply_moved(&mut self, from: &NoticeId, to: &NoticeId, end_of_life: Option<Timestamp>) {
        let mut moving = Place::default();
        self.update(from, |place| {
            let expecting = core::mem::take(&mut place.expecting);
            moving = core::mem::replace(place, Place { expecting, ..Place::default() });
        });
        if moving.is_empty() {
            return;
        }
        for order_id in moving.consumers.keys() {
            let consumed = self.consumptions.get_mut(order_id).into_iter().flatten().flatten();
            consumed.filter(|id| *id == from).for_each(|id| *id = to.clone());
        }
        self.update(to, |place| {
            let expecting = core::mem::take(&mut place.expecting);
            let end_of_life = end_of_life.filter(|_| moving.is_posted);
            let is_announced = moving.is_announced && !to.plan_id.is_global();
            *place = Place { expecting, end_of_life, is_announced, ..moving };
        });
    }
}

impl Place {
    /// Whether there is more than orders which expect the notice.
    fn moves(&self) -> bool {
        self.is_posted || self.is_announced || self.consumption_count > 0
    }
}
