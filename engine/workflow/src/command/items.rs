//! Changing items: added, changed and deleted in one transaction, which leaves nothing that refers to something missing.
//!
//! Changing what is there already into itself has no effect. An item which is still needed is deleted later: a workflow
//! version when its last order is gone, an item at an agent when the agent has given it back.

use super::Decision;
use super::control::attach_again;
use crate::id::{VersionId, WorkflowId, WorkflowPath};
use crate::json::from_text;
use crate::model::event::Event;
use crate::model::item::Item;
use crate::model::key::ItemKey;
use crate::model::operation::{ItemEvent, ItemOperation, check_operations};
use crate::model::workflow::Workflow;
use crate::problem::{Checked, Problem};
use crate::state::items::{ItemAttachment, references, unknown_item};
use crate::state::{Side, State};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What a transaction makes of the items it names.
#[derive(Default)]
struct Transaction {
    version_id: Option<VersionId>,
    /// New and changed items; workflows in their new version.
    put: BTreeMap<ItemKey, Item>,
    /// The keys of `put` (and maybe others) in the order of the operations, in which subagents take turns later.
    sequence: Vec<ItemKey>,
    /// The workflows of `put`, when those which change nothing are dropped.
    changed_workflows: BTreeSet<WorkflowPath>,
    /// Deleted items without versions.
    deleted: BTreeSet<ItemKey>,
    /// Removed workflows.
    removed: BTreeSet<WorkflowPath>,
}

pub(super) fn update(state: &State, operations: &[ItemOperation]) -> Checked<Decision> {
    let operations = read_signed(operations)?;
    check_operations(&operations)?;
    let mut transaction = Transaction::default();
    let mut problems = Vec::new();
    for operation in &operations {
        if let Err(problem) = transaction.take(state, operation) {
            problems.push(problem);
        }
    }
    if let Some(problem) = Problem::combine(problems) {
        return Err(problem);
    }
    transaction.drop_unchanged(state);
    let problems = [transaction.known_versions(state), transaction.missing(state), transaction.still_referenced(state)];
    Problem::combine(problems.into_iter().flatten()).map_or(Ok(()), Err)?;
    Ok(transaction.decide(state))
}

/// Signed items are read; their signatures are the host's business.
fn read_signed(operations: &[ItemOperation]) -> Checked<Vec<ItemOperation>> {
    operations
        .iter()
        .map(|operation| match operation {
            ItemOperation::AddOrChangeSigned { signed_string } => {
                let item: Item = from_text(&signed_string.string)?;
                Ok(match item {
                    Item::Workflow(_) => ItemOperation::AddOrChangeVersioned { item },
                    item => ItemOperation::AddOrChangeSimple { item },
                })
            }
            operation => Ok(operation.clone()),
        })
        .collect()
}

impl Transaction {
    fn take(&mut self, state: &State, operation: &ItemOperation) -> Checked<()> {
        match operation {
            ItemOperation::AddVersion { version_id } => {
                self.version_id = Some(version_id.clone());
                // Workflows named before the version get it, too.
                let workflows: Vec<Arc<Workflow>> = self
                    .put
                    .values()
                    .filter_map(|item| match item {
                        Item::Workflow(workflow) => Some(workflow.clone()),
                        _ => None,
                    })
                    .collect();
                for workflow in workflows {
                    self.put.remove(&ItemKey::WorkflowVersion(workflow.id()));
                    self.put_workflow(&workflow)?;
                }
                Ok(())
            }
            ItemOperation::AddOrChangeSimple { item } | ItemOperation::AddOrChangeVersioned { item } => {
                if item.revision().is_some() {
                    return Err(Problem::new("ItemRevision is not accepted here"));
                }
                match item {
                    Item::Workflow(workflow) => self.put_workflow(workflow),
                    Item::WorkflowPathControl(_) | Item::WorkflowControl(_) => Err(Problem::new(format!(
                        "{} is changed by the commands ControlWorkflowPath and ControlWorkflow only",
                        item.key()
                    ))),
                    item => {
                        check_change(state, item)?;
                        self.put(item.key(), item.clone());
                        Ok(())
                    }
                }
            }
            ItemOperation::DeleteSimple { path: ItemKey::Workflow(path) }
            | ItemOperation::RemoveVersioned { path: ItemKey::Workflow(path) } => {
                self.removed.insert(path.clone());
                Ok(())
            }
            ItemOperation::DeleteSimple { path } | ItemOperation::RemoveVersioned { path } => {
                if !state.items().contains(path) {
                    return Err(unknown_item(path));
                }
                state.check_deletable(path)?;
                self.deleted.insert(path.clone());
                Ok(())
            }
            ItemOperation::AddOrChangeSigned { .. } => Ok(()),
        }
    }

    fn put_workflow(&mut self, workflow: &Arc<Workflow>) -> Checked<()> {
        let mut workflow = workflow.clone();
        match (&self.version_id, &workflow.version_id) {
            (Some(version_id), None) => {
                Arc::make_mut(&mut workflow).version_id = Some(version_id.clone());
            }
            (Some(version_id), Some(own)) if own != version_id => {
                return Err(Problem::new(format!(
                    "Workflow:{} has version {own}, but the transaction adds version {version_id}",
                    workflow.path
                )));
            }
            _ => {}
        }
        self.put(ItemKey::WorkflowVersion(workflow.id()), Item::Workflow(workflow));
        Ok(())
    }

    fn put(&mut self, key: ItemKey, item: Item) {
        if self.put.insert(key.clone(), item).is_none() {
            self.sequence.push(key);
        }
    }

    /// New and changed items in the order of the operations.
    fn in_sequence(&self) -> impl Iterator<Item = &Item> {
        self.sequence.iter().filter_map(|key| self.put.get(key))
    }

    /// Forgets changes which change nothing.
    fn drop_unchanged(&mut self, state: &State) {
        self.put.retain(|_, item| match item {
            Item::Workflow(workflow) => !is_same_workflow(state, workflow),
            item => {
                let (key, items) = (item.key(), state.items());
                // What is on its way out, is to stay then.
                items.is_deletion_marked(&key) || items.get(&key).is_none_or(|known| known.with_revision(None) != *item)
            }
        });
        self.removed.retain(|path| state.items().current_flow(path).is_some());
        let workflow_path = |key: &ItemKey| match key {
            ItemKey::WorkflowVersion(id) => Some(id.path.clone()),
            _ => None,
        };
        self.changed_workflows = self.put.keys().filter_map(workflow_path).collect();
    }

    /// A version of a workflow never changes: orders are in it.
    fn known_versions(&self, state: &State) -> Vec<Problem> {
        let is_known = |key: &&ItemKey| matches!(key, ItemKey::WorkflowVersion(_)) && state.items().contains(key);
        let duplicate = |key: &ItemKey| {
            let arguments = [("type", "VersionId".to_string()), ("key", key.to_string())];
            Problem::coded("DuplicateKey", arguments, format!("{key} exists already and is another workflow"))
        };
        self.put.keys().filter(is_known).map(duplicate).collect()
    }

    /// The current version of a workflow after the transaction.
    fn has_workflow(&self, state: &State, path: &WorkflowPath) -> bool {
        self.changed_workflows.contains(path)
            || (state.items().current_flow(path).is_some() && !self.removed.contains(path))
    }

    fn has(&self, state: &State, key: &ItemKey) -> bool {
        match key {
            ItemKey::Workflow(path) => self.has_workflow(state, path),
            key => self.put.contains_key(key) || (state.items().contains(key) && !self.deleted.contains(key)),
        }
    }

    /// A bundle id may name a subagent instead.
    fn has_referenced(&self, state: &State, key: &ItemKey) -> bool {
        self.has(state, key)
            || match key {
                ItemKey::SubagentBundle(id) => {
                    crate::id::SubagentId::checked(id.as_str()).is_ok_and(|id| self.has(state, &ItemKey::Subagent(id)))
                }
                _ => false,
            }
    }

    /// References of new and changed items to nothing.
    fn missing(&self, state: &State) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, item) in &self.put {
            for referenced in references(item).unwrap_or_default() {
                if !self.has_referenced(state, &referenced) {
                    problems.push(Problem::coded(
                        "MissingReferencedItem",
                        [("itemKey", key.to_string()), ("referencedItemPath", referenced.to_string())],
                        format!("{key} refers to {referenced}, which does not exist"),
                    ));
                }
            }
        }
        problems
    }

    /// References to deleted items by items which stay.
    fn still_referenced(&self, state: &State) -> Vec<Problem> {
        let mut problems = Vec::new();
        let removed = self.removed.iter().filter(|path| !self.has_workflow(state, path));
        let gone = self.deleted.iter().cloned().chain(removed.map(|path| ItemKey::Workflow(path.clone())));
        for key in gone {
            for referencing in state.items().referencing(&key) {
                if self.stays(state, referencing, &key) {
                    problems.push(Problem::coded(
                        "ItemIsStillReferenced",
                        [("itemPath", key.to_string()), ("referencingItemKey", referencing.to_string())],
                        format!("{key} is still referenced by {referencing}"),
                    ));
                }
            }
        }
        problems
    }

    /// Whether the referring item is there after the transaction and still refers.
    fn stays(&self, state: &State, referencing: &ItemKey, referenced: &ItemKey) -> bool {
        if let Some(changed) = self.put.get(referencing) {
            return references(changed).unwrap_or_default().contains(referenced);
        }
        match referencing {
            ItemKey::WorkflowVersion(id) => {
                let is_replaced = self.removed.contains(&id.path) || self.changed_workflows.contains(&id.path);
                let is_current = state.items().current_flow(&id.path).is_some_and(|flow| flow.id() == id);
                // A replaced version lives on while it has orders.
                (!is_replaced && is_current) || state.has_orders(id)
            }
            key => !self.deleted.contains(key),
        }
    }

    fn decide(&self, state: &State) -> Decision {
        let mut decision = Decision::default();
        let events = &mut decision.events;
        for item in self.in_sequence().filter(|item| !matches!(item, Item::Workflow(_))) {
            let key = item.key();
            let known = state.items().get(&key);
            let revision = known.as_ref().and_then(Item::revision).map_or(0, |revision| revision + 1);
            let item = item.with_revision(Some(revision));
            events.push(Event::Item(match known {
                None => ItemEvent::UnsignedSimpleItemAdded { item },
                Some(_) => ItemEvent::UnsignedSimpleItemChanged { item },
            }));
            events.extend(attach_again(state, &key));
        }
        if let Some(version_id) = &self.version_id
            && (!self.removed.is_empty() || self.put.values().any(|item| matches!(item, Item::Workflow(_))))
        {
            events.push(Event::Item(ItemEvent::VersionAdded { version_id: version_id.clone() }));
        }
        for item in self.in_sequence() {
            let Item::Workflow(workflow) = item else { continue };
            let item = item.clone();
            let old = state.items().current_flow(&workflow.path);
            events.push(Event::Item(match old {
                None => ItemEvent::VersionedItemAdded { item },
                Some(_) => ItemEvent::VersionedItemChanged { item },
            }));
            if let Some(old) = old {
                events.extend(delete_version_if_unused(state, old.id()));
            }
        }
        for path in &self.removed {
            events.push(Event::Item(ItemEvent::VersionedItemRemoved { path: ItemKey::Workflow(path.clone()) }));
            let versions: Vec<&WorkflowId> = state.items().versions(path).collect();
            for id in versions {
                events.extend(delete_version_if_unused(state, id));
            }
        }
        for key in &self.deleted {
            events.extend(delete(state, key));
        }
        // A changed lock, calendar or bundle may let orders go on.
        decision.orders = state.orders_affected_by(self.put.values());
        decision
    }
}

/// Whether this version is there with the same content.
fn is_same_workflow(state: &State, workflow: &Workflow) -> bool {
    state.items().current_flow(&workflow.path).is_some_and(|known| {
        let known = known.workflow();
        let mut same = (**known).clone();
        same.version_id.clone_from(&workflow.version_id);
        same == *workflow && known.version_id == workflow.version_id
    })
}

/// What a change must not change.
fn check_change(state: &State, item: &Item) -> Checked<()> {
    let Some(known) = state.items().get(&item.key()) else {
        return Ok(());
    };
    match (&known, item) {
        (Item::GlobalBoard(_), Item::PlannableBoard(_)) | (Item::PlannableBoard(_), Item::GlobalBoard(_)) => {
            Err(Problem::new("Type of BoardItem cannot be changed"))
        }
        (Item::SubagentItem(known), Item::SubagentItem(subagent)) if known.agent_path != subagent.agent_path => {
            Err(Problem::new(format!("Subagent:{}: agentPath cannot be changed", subagent.id)))
        }
        _ => Ok(()),
    }
}

/// Deletes an item, or lets it be deleted when its agents have given it back.
fn delete(state: &State, key: &ItemKey) -> Vec<Event> {
    let attachments: Vec<_> = state.items().attachments(key).collect();
    if attachments.is_empty() {
        return Vec::from([Event::Item(ItemEvent::ItemDeleted { key: key.clone() })]);
    }
    let mut events = Vec::from([Event::Item(ItemEvent::ItemDeletionMarked { key: key.clone() })]);
    for (agent_path, attachment) in attachments {
        if *attachment != ItemAttachment::Detachable {
            events.push(Event::Item(ItemEvent::ItemDetachable { key: key.clone(), agent_path: agent_path.clone() }));
        }
    }
    events
}

/// Deletes a workflow version which is not current (or will not be) and has no orders.
fn delete_version_if_unused(state: &State, id: &WorkflowId) -> Vec<Event> {
    let key = ItemKey::WorkflowVersion(id.clone());
    if state.has_orders(id) || state.items().is_deletion_marked(&key) {
        return Vec::new();
    }
    delete(state, &key)
}

/// Deletes a workflow version which has lost an order, if it is not current and that was its last one.
#[must_use]
pub fn delete_outdated(state: &State, id: &WorkflowId) -> Vec<Event> {
    let is_current = state.items().current_flow(&id.path).is_some_and(|flow| flow.id() == id);
    let is_mine = matches!(state.side(), Side::Controller(_)) && state.items().flow(id).is_some();
    if is_current || !is_mine { Vec::new() } else { delete_version_if_unused(state, id) }
}

/// An agent has given an item back: deletes it, if it was only waiting for that.
#[must_use]
pub fn after_detaching(state: &State, key: &ItemKey) -> Vec<Event> {
    if state.items().is_deletion_marked(key) && state.items().attachments(key).next().is_none() {
        return Vec::from([Event::Item(ItemEvent::ItemDeleted { key: key.clone() })]);
    }
    Vec::new()
}
