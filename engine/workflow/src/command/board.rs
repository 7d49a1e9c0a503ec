//! Commands on notices and boards.

use super::Decision;
use crate::expression::function::ExprFunction;
use crate::expression::scope::{EmptyScope, NowScope, unknown_key};
use crate::id::{BoardPath, NoticeKey, PlanKey, PlanSchemaId};
use crate::model::event::Event;
use crate::model::item::Item;
use crate::model::notice::{GlobalBoard, NoticeId, PlannableBoard, PlannedNoticeKey};
use crate::model::operation::ItemEvent;
use crate::model::order_event::OrderEvent;
use crate::model::plan::PlanId;
use crate::problem::{Checked, Problem};
use crate::state::State;
use crate::state::board::{Moved, Notices};
use crate::step::notices::end_of_life;
use crate::step::{OrderStep, Surroundings};
use crate::time::Timestamp;
use crate::value::Value;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Most orders which the command that posts a notice moves itself.
const MOST_AT_ONCE: usize = 1_000;

pub(super) fn post(
    state: &State,
    around: Surroundings<'_>,
    notice_id: &NoticeId,
    end_of_life: Option<Timestamp>,
) -> Checked<Decision> {
    let board = state.items().board(&notice_id.board_path);
    match (board, &notice_id.plan_id) {
        (None, _) => return Err(unknown_board(&notice_id.board_path)),
        (Some(Item::GlobalBoard(_)), PlanId::Of(..)) => {
            return Err(Problem::new(format!(
                "{notice_id}: notices of the GlobalBoard {} belong to no plan",
                notice_id.board_path
            )));
        }
        _ => {}
    }
    state.check_plan_for_notice(&notice_id.plan_id)?;
    let end_of_life = match (end_of_life, board) {
        (None, Some(Item::GlobalBoard(board))) => end_of_new_notice(board, around)?,
        (end_of_life, _) => end_of_life,
    };
    let (mut events, wakes) = Notices::decide_post(notice_id, end_of_life, around.now);
    // Many go on by themselves, when it is their turn.
    if wakes && state.notices().expecting(notice_id).nth(MOST_AT_ONCE).is_none() {
        for id in state.notices().expecting(notice_id) {
            if let Some(step) = OrderStep::of(state, around, id) {
                events.extend(step.on_notice_posted(notice_id)?);
            }
        }
    }
    Ok(Decision::of(events))
}

pub(super) fn delete(state: &State, notice_id: &NoticeId) -> Checked<Decision> {
    Ok(Decision { events: Vec::from([state.notices().decide_delete(notice_id)?]), ..Decision::default() })
}

/// How long a notice of no order lives.
fn end_of_new_notice(board: &GlobalBoard, around: Surroundings<'_>) -> Checked<Option<Timestamp>> {
    end_of_life(&board.end_of_life.eval(&NowScope { now: around.now, zone: around.zone })?)
}

fn unknown_board(path: &BoardPath) -> Problem {
    unknown_key("BoardPath", &format!("Board:{path}"))
}

pub(super) fn global_to_plannable(
    state: &State,
    board: &PlannableBoard,
    schema_id: &PlanSchemaId,
    split: &ExprFunction,
) -> Checked<Decision> {
    let Some(Item::GlobalBoard(old)) = state.items().board(&board.path) else {
        return Err(Problem::new(format!("Board:{} is not a GlobalBoard", board.path)));
    };
    check_schema(state, schema_id)?;
    let split = split.restrict("splitNoticeKey", 1, 1)?;
    let destination = |notice_id: &NoticeId| {
        let key = Value::String(notice_id.notice_key.to_arc());
        let (plan_key, notice_key) = match split.apply(&[key], &EmptyScope)? {
            Value::List(parts) => match &*parts {
                [Value::String(plan_key), Value::String(notice_key)] => (plan_key.clone(), notice_key.clone()),
                _ => {
                    return Err(Problem::new(
                        "splitNoticeKey must give a list of two strings: plan key and notice key",
                    ));
                }
            },
            _ => return Err(Problem::new("splitNoticeKey must give a list of two strings: plan key and notice key")),
        };
        let plan_id = PlanId::Of(schema_id.clone(), PlanKey::checked(&plan_key)?);
        state.check_plan_for_notice(&plan_id)?;
        Ok(Moved { key: PlannedNoticeKey { plan_id, notice_key: NoticeKey::checked(&notice_key)? }, end_of_life: None })
    };
    let revision = old.item_revision.map_or(0, |revision| revision + 1);
    let mut changed = board.clone();
    changed.item_revision = Some(revision);
    change(state, &board.path, Item::PlannableBoard(Arc::new(changed)), &PlanId::is_global, &destination)
}

pub(super) fn plannable_to_global(
    state: &State,
    around: Surroundings<'_>,
    board: &GlobalBoard,
    schema_id: &PlanSchemaId,
    make: &ExprFunction,
) -> Checked<Decision> {
    let Some(Item::PlannableBoard(old)) = state.items().board(&board.path) else {
        return Err(Problem::new(format!("Board:{} is not a PlannableBoard", board.path)));
    };
    check_schema(state, schema_id)?;
    let make = make.restrict("makeNoticeKey", 2, 2)?;
    let end_of_life = end_of_new_notice(board, around)?;
    let destination = |notice_id: &NoticeId| {
        let PlanId::Of(_, plan_key) = &notice_id.plan_id else {
            return Err(Problem::new(format!("{notice_id} belongs to no plan")));
        };
        let parts = [Value::String(plan_key.to_arc()), Value::String(notice_id.notice_key.to_arc())];
        match make.apply(&parts, &EmptyScope)? {
            Value::String(key) => Ok(Moved {
                key: PlannedNoticeKey { plan_id: PlanId::Global, notice_key: NoticeKey::checked(&key)? },
                end_of_life,
            }),
            _ => Err(Problem::new("makeNoticeKey must give a string")),
        }
    };
    let revision = old.item_revision.map_or(0, |revision| revision + 1);
    let mut changed = board.clone();
    changed.item_revision = Some(revision);
    let concerns = |plan_id: &PlanId| matches!(plan_id, PlanId::Of(schema, _) if schema == schema_id);
    change(state, &board.path, Item::GlobalBoard(Arc::new(changed)), &concerns, &destination)
}

fn check_schema(state: &State, schema_id: &PlanSchemaId) -> Checked<()> {
    match state.items().plan_schema(schema_id) {
        Some(_) => Ok(()),
        None => Err(unknown_key("PlanSchemaId", &format!("PlanSchema:{schema_id}"))),
    }
}

fn change(
    state: &State,
    path: &BoardPath,
    item: Item,
    concerns: &dyn Fn(&PlanId) -> bool,
    destination: &dyn Fn(&NoticeId) -> Checked<Moved>,
) -> Checked<Decision> {
    let plan_of = |id: &crate::id::OrderId| state.order(id).map(|order| order.plan_id.clone());
    let moved = state.notices().decide_move(path, concerns, destination, &plan_of)?;
    let mut events = Vec::from([Event::Item(ItemEvent::UnsignedSimpleItemChanged { item })]);
    events.extend(moved.events);
    for id in &moved.expecting {
        events.push(Event::Order(id.clone(), OrderEvent::OrderStateReset));
    }
    Ok(Decision { events, orders: moved.expecting, ..Decision::default() })
}
