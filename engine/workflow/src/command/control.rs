//! Controlling workflows: suspending them, skipping labels, breakpoints.

use super::Decision;
use crate::expression::scope::unknown_key;
use crate::id::{Label, WorkflowId, WorkflowPath};
use crate::model::event::Event;
use crate::model::item::{Item, WorkflowControl, WorkflowPathControl};
use crate::model::key::ItemKey;
use crate::model::operation::ItemEvent;
use crate::position::Position;
use crate::problem::{Checked, Problem};
use crate::state::State;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(super) fn control_workflow_path(
    state: &State,
    path: &WorkflowPath,
    suspend: Option<bool>,
    skip: &BTreeMap<Label, bool>,
) -> Checked<Decision> {
    if state.items().current_flow(path).is_none() {
        return Err(unknown_key("WorkflowPath", &format!("Workflow:{path}")));
    }
    let known = state.items().path_control(path);
    let mut control = known.map_or_else(
        || WorkflowPathControl {
            path: path.clone(),
            suspended: false,
            skip: alloc::collections::BTreeSet::new(),
            item_revision: None,
        },
        |control| (**control).clone(),
    );
    if let Some(suspend) = suspend {
        control.suspended = suspend;
    }
    for (label, skipped) in skip {
        if *skipped {
            control.skip.insert(label.clone());
        } else {
            control.skip.remove(label);
        }
    }
    if known.is_some_and(|known| **known == control) {
        return Ok(Decision::default());
    }
    let is_new = known.is_none();
    control.item_revision = Some(control.item_revision.map_or(0, |revision| revision + 1));
    let mut decision = changed(state, is_new, Item::WorkflowPathControl(Arc::new(control)));
    // Suspended or skipping no more, they may go on.
    decision.workflows.extend(state.items().versions(path).cloned());
    Ok(decision)
}

pub(super) fn control_workflow(
    state: &State,
    id: &WorkflowId,
    add_breakpoints: &[Position],
    remove_breakpoints: &[Position],
) -> Checked<Decision> {
    let Some(flow) = state.items().flow(id) else {
        return Err(unknown_key("WorkflowId", &format!("Workflow:{id}")));
    };
    let problems = add_breakpoints.iter().filter_map(|position| flow.check_position(position).err());
    if let Some(problem) = Problem::combine(problems) {
        return Err(problem);
    }
    let known = state.items().control(id);
    let mut control = known.map_or_else(
        || WorkflowControl { id: id.clone(), breakpoints: alloc::collections::BTreeSet::new(), item_revision: None },
        |control| (**control).clone(),
    );
    for position in remove_breakpoints {
        control.breakpoints.remove(&position.normalized());
    }
    control.breakpoints.extend(add_breakpoints.iter().map(Position::normalized));
    if known.is_some_and(|known| **known == control) {
        return Ok(Decision::default());
    }
    let is_new = known.is_none();
    control.item_revision = Some(control.item_revision.map_or(0, |revision| revision + 1));
    let mut decision = changed(state, is_new, Item::WorkflowControl(Arc::new(control)));
    // Those which wait at a new breakpoint are suspended.
    decision.workflows.push(id.clone());
    Ok(decision)
}

/// The events of a new or changed item, which is handed again to the agents that have it or need it.
fn changed(state: &State, is_new: bool, item: Item) -> Decision {
    let key = item.key();
    let event = if is_new {
        ItemEvent::UnsignedSimpleItemAdded { item }
    } else {
        ItemEvent::UnsignedSimpleItemChanged { item }
    };
    let mut events = Vec::from([Event::Item(event)]);
    events.extend(attach_again(state, &key));
    Decision { events, ..Decision::default() }
}

/// A changed item is handed again to the agents which have it.
pub(super) fn attach_again(state: &State, key: &ItemKey) -> impl Iterator<Item = Event> {
    state
        .items()
        .attachments(key)
        .filter(|(_, attachment)| matches!(attachment, crate::state::items::ItemAttachment::Attached(_)))
        .map(|(agent_path, _)| {
            Event::Item(ItemEvent::ItemAttachable { key: key.clone(), agent_path: agent_path.clone() })
        })
        .collect::<Vec<_>>()
        .into_iter()
}
