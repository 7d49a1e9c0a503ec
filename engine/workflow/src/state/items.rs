//! The items a node knows: deployed ones at the controller, attached ones at an agent.
//!
//! Workflows are kept by version, prepared for execution; an old version stays as long as an order is in it. All other
//! items are kept by key. For each item the controller knows at which agents it is, or is to be.

use crate::flow::Flow;
use crate::id::{
    AgentPath, BoardPath, CalendarPath, JobResourcePath, Label, LockPath, OrderWatchPath, PlanSchemaId,
    SubagentBundleId, SubagentId, WorkflowId, WorkflowPath,
};
use crate::model::item::{
    AgentRef, Calendar, Item, JobResource, Lock, SubagentBundle, SubagentItem, WorkflowControl, WorkflowPathControl,
};
use crate::model::key::ItemKey;
use crate::model::operation::ItemEvent;
use crate::model::plan::PlanSchema;
use crate::model::watch::FileWatch;
use crate::position::Position;
use crate::problem::{Checked, Problem};
use crate::schedule::OrderDays;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Whether an item is at an agent, or on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ItemAttachment {
    /// To be handed to the agent.
    Attachable,
    /// At the agent, in this revision.
    Attached(Option<u32>),
    /// To be taken back from the agent.
    Detachable,
}

/// The items of a node.
#[derive(Clone, Debug, Default)]
pub struct Items {
    flows: BTreeMap<WorkflowId, Arc<Flow>>,
    pub(super) current: BTreeMap<WorkflowPath, WorkflowId>,
    simple: BTreeMap<ItemKey, Item>,
    order_days: BTreeMap<CalendarPath, Arc<OrderDays>>,
    pub(super) attachments: BTreeMap<ItemKey, BTreeMap<AgentPath, ItemAttachment>>,
    pub(super) deletion_marked: BTreeSet<ItemKey>,
    /// For each referenced item (workflows by path) the items which refer to it.
    referencing: BTreeMap<ItemKey, BTreeSet<ItemKey>>,
}

impl PartialEq for Items {
    /// What is prepared from items is equal when they are.
    fn eq(&self, other: &Self) -> bool {
        self.current == other.current
            && self.simple == other.simple
            && self.attachments == other.attachments
            && self.deletion_marked == other.deletion_marked
            && self.flows.values().map(|flow| flow.workflow()).eq(other.flows.values().map(|flow| flow.workflow()))
    }
}

macro_rules! getters {
    ($($(#[doc = $doc:literal])* $name:ident($path:ty) -> $item:ident as $variant:ident;)*) => {$(
        $(#[doc = $doc])*
        #[must_use]
        pub fn $name(&self, path: &$path) -> Option<&Arc<$item>> {
            match self.simple.get(&ItemKey::$variant(path.clone()))? {
                Item::$item(item) => Some(item),
                _ => None,
            }
        }
    )*};
}

impl Items {
    getters! {
        /// A lock.
        lock(LockPath) -> Lock as Lock;
        /// A job resource.
        job_resource(JobResourcePath) -> JobResource as JobResource;
        /// A calendar.
        calendar(CalendarPath) -> Calendar as Calendar;
        /// An agent.
        agent(AgentPath) -> AgentRef as Agent;
        /// A subagent.
        subagent(SubagentId) -> SubagentItem as Subagent;
        /// A subagent bundle.
        subagent_bundle(SubagentBundleId) -> SubagentBundle as SubagentBundle;
        /// A file watch.
        file_watch(OrderWatchPath) -> FileWatch as OrderWatch;
        /// A plan schema.
        plan_schema(PlanSchemaId) -> PlanSchema as PlanSchema;
        /// How a workflow is controlled.
        path_control(WorkflowPath) -> WorkflowPathControl as WorkflowPathControl;
        /// How a workflow version is controlled.
        control(WorkflowId) -> WorkflowControl as WorkflowControl;
    }

    /// A board, of either kind.
    #[must_use]
    pub fn board(&self, path: &BoardPath) -> Option<&Item> {
        self.simple.get(&ItemKey::Board(path.clone()))
    }

    /// A workflow version.
    #[must_use]
    pub fn flow(&self, id: &WorkflowId) -> Option<&Arc<Flow>> {
        self.flows.get(id)
    }

    /// All workflow versions.
    pub fn flows(&self) -> impl Iterator<Item = &Arc<Flow>> {
        self.flows.values()
    }

    /// The current version of a workflow; `None` if there is no such workflow, or it has been removed.
    #[must_use]
    pub fn current_flow(&self, path: &WorkflowPath) -> Option<&Arc<Flow>> {
        self.flows.get(self.current.get(path)?)
    }

    /// All versions of a workflow.
    pub fn versions<'s>(&'s self, path: &'s WorkflowPath) -> impl Iterator<Item = &'s WorkflowId> {
        self.flows.keys().skip_while(move |id| id.path < *path).take_while(move |id| id.path == *path)
    }

    /// An item. For the key of a workflow without version, the current one.
    #[must_use]
    pub fn get(&self, key: &ItemKey) -> Option<Item> {
        match key {
            ItemKey::Workflow(path) => self.current_flow(path).map(|flow| Item::Workflow(flow.workflow().clone())),
            ItemKey::WorkflowVersion(id) => self.flow(id).map(|flow| Item::Workflow(flow.workflow().clone())),
            key => self.simple.get(key).cloned(),
        }
    }

    /// Whether there is such an item.
    #[must_use]
    pub fn contains(&self, key: &ItemKey) -> bool {
        match key {
            ItemKey::Workflow(path) => self.current.contains_key(path),
            ItemKey::WorkflowVersion(id) => self.flows.contains_key(id),
            key => self.simple.contains_key(key),
        }
    }

    /// All items without versions.
    pub fn simple(&self) -> impl Iterator<Item = &Item> {
        self.simple.values()
    }

    /// The compiled rules of a calendar.
    ///
    /// # Errors
    /// There is no such calendar.
    pub fn order_days(&self, path: &CalendarPath) -> Checked<&Arc<OrderDays>> {
        self.order_days
            .get(path)
            .ok_or_else(|| crate::expression::scope::unknown_key("Calendar", &format!("Calendar:{path}")))
    }

    /// The ids of all subagents, or of those in a bundle.
    ///
    /// # Errors
    /// There is no such bundle.
    pub fn subagent_ids(&self, bundle: Option<&str>) -> Checked<Vec<SubagentId>> {
        let Some(bundle) = bundle else {
            return Ok(self
                .simple
                .values()
                .filter_map(|item| match item {
                    Item::SubagentItem(subagent) => Some(subagent.id.clone()),
                    _ => None,
                })
                .collect());
        };
        let id = SubagentBundleId::checked(bundle)?;
        match self.subagent_bundle(&id) {
            Some(bundle) => Ok(bundle.subagent_to_priority.keys().cloned().collect()),
            None => Err(crate::expression::scope::unknown_key("SubagentBundleId", &format!("SubagentBundle:{id}"))),
        }
    }

    /// The items which refer to this one.
    pub fn referencing(&self, key: &ItemKey) -> impl Iterator<Item = &ItemKey> {
        self.referencing.get(key).into_iter().flatten()
    }

    /// At which agents the item is, or is to be.
    pub fn attachments(&self, key: &ItemKey) -> impl Iterator<Item = (&AgentPath, &ItemAttachment)> {
        self.attachments.get(key).into_iter().flatten()
    }

    /// Whether the item is at this agent, or is to be.
    #[must_use]
    pub fn attachment(&self, key: &ItemKey, agent: &AgentPath) -> Option<ItemAttachment> {
        self.attachments.get(key)?.get(agent).copied()
    }

    /// All attachments.
    pub fn all_attachments(&self) -> impl Iterator<Item = (&ItemKey, &AgentPath, &ItemAttachment)> {
        self.attachments
            .iter()
            .flat_map(|(key, agents)| agents.iter().map(move |(agent, attachment)| (key, agent, attachment)))
    }

    /// Whether the item is to be deleted as soon as nothing needs it.
    #[must_use]
    pub fn is_deletion_marked(&self, key: &ItemKey) -> bool {
        self.deletion_marked.contains(key)
    }

    /// Items to be deleted as soon as nothing needs them.
    pub fn deletion_marked(&self) -> impl Iterator<Item = &ItemKey> {
        self.deletion_marked.iter()
    }

    /// Whether no order of this workflow makes a step.
    #[must_use]
    pub fn is_workflow_suspended(&self, path: &WorkflowPath) -> bool {
        self.path_control(path).is_some_and(|control| control.suspended)
    }

    /// Whether the instruction with this label is skipped.
    #[must_use]
    pub fn is_label_skipped(&self, path: &WorkflowPath, label: &Label) -> bool {
        self.path_control(path).is_some_and(|control| control.skip.contains(label))
    }

    /// Whether arriving orders are suspended here.
    #[must_use]
    pub fn is_breakpoint(&self, id: &WorkflowId, position: &Position) -> bool {
        self.control(id).is_some_and(|control| control.breakpoints.contains(&position.normalized()))
    }

    /// Folds an event.
    ///
    /// # Errors
    /// When the event does not fit, which is an error of whoever decided it.
    pub fn apply(&mut self, event: &ItemEvent) -> Checked<()> {
        match event {
            ItemEvent::UnsignedSimpleItemAdded { item }
            | ItemEvent::UnsignedSimpleItemChanged { item }
            | ItemEvent::VersionedItemAdded { item }
            | ItemEvent::VersionedItemChanged { item }
            | ItemEvent::ItemAttachedToMe { item } => self.put(item),
            ItemEvent::VersionAdded { .. } => Ok(()),
            ItemEvent::VersionedItemRemoved { path } => {
                if let ItemKey::Workflow(path) = path {
                    self.current.remove(path);
                }
                Ok(())
            }
            ItemEvent::ItemDeletionMarked { key } => {
                self.deletion_marked.insert(key.clone());
                Ok(())
            }
            ItemEvent::ItemDeleted { key } => {
                self.remove(key);
                Ok(())
            }
            ItemEvent::ItemAttachable { key, agent_path } => {
                self.attach(key, agent_path, ItemAttachment::Attachable);
                Ok(())
            }
            ItemEvent::ItemAttached { key, item_revision, agent_path } => {
                self.attach(key, agent_path, ItemAttachment::Attached(*item_revision));
                Ok(())
            }
            ItemEvent::ItemDetachable { key, agent_path } => {
                self.attach(key, agent_path, ItemAttachment::Detachable);
                Ok(())
            }
            ItemEvent::ItemDetachingFromMe { .. } => Ok(()),
            ItemEvent::ItemDetached { key, agent_path } => {
                match self.attachments.get_mut(key) {
                    Some(agents) => {
                        agents.remove(agent_path);
                        if agents.is_empty() {
                            self.attachments.remove(key);
                        }
                    }
                    // At the agent itself the item is gone.
                    None => self.remove(key),
                }
                Ok(())
            }
        }
    }

    fn attach(&mut self, key: &ItemKey, agent: &AgentPath, attachment: ItemAttachment) {
        self.attachments.entry(key.clone()).or_default().insert(agent.clone(), attachment);
    }

    pub(super) fn put(&mut self, item: &Item) -> Checked<()> {
        let key = item.key();
        self.forget_references(&key);
        for referenced in references(item)? {
            self.referencing.entry(referenced).or_default().insert(key.clone());
        }
        self.deletion_marked.remove(&key);
        match item {
            Item::Workflow(workflow) => {
                let flow = Flow::new(workflow.clone());
                let id = flow.id().clone();
                self.current.insert(id.path.clone(), id.clone());
                self.flows.insert(id, Arc::new(flow));
            }
            item => {
                if let Item::Calendar(calendar) = item {
                    self.order_days.insert(calendar.path.clone(), Arc::new(calendar.rules().compile()?));
                }
                self.simple.insert(key, item.clone());
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: &ItemKey) {
        self.forget_references(key);
        self.deletion_marked.remove(key);
        match key {
            ItemKey::WorkflowVersion(id) => {
                self.flows.remove(id);
                if self.current.get(&id.path) == Some(id) {
                    self.current.remove(&id.path);
                }
                self.simple.remove(&ItemKey::WorkflowControl(id.clone()));
            }
            ItemKey::Calendar(path) => {
                self.order_days.remove(path);
                self.simple.remove(key);
            }
            key => {
                self.simple.remove(key);
            }
        }
    }

    fn forget_references(&mut self, key: &ItemKey) {
        let Some(item) = self.get(key) else { return };
        for referenced in references(&item).unwrap_or_default() {
            if let Some(referencing) = self.referencing.get_mut(&referenced) {
                referencing.remove(key);
                if referencing.is_empty() {
                    self.referencing.remove(&referenced);
                }
            }
        }
    }

    /// Everything as items, for an image: from it the same items are made again.
    pub fn all(&self) -> impl Iterator<Item = Item> + '_ {
        let workflows = self.flows.values().map(|flow| Item::Workflow(flow.workflow().clone()));
        self.simple.values().cloned().chain(workflows)
    }

    /// The current version of each workflow.
    pub fn current_versions(&self) -> impl Iterator<Item = &WorkflowId> {
        self.current.values()
    }

    /// How many items there are, workflow versions counted singly.
    #[must_use]
    pub fn len(&self) -> usize {
        self.simple.len() + self.flows.len()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The items to which an item refers.
///
/// # Errors
/// When a name in an expression is invalid.
pub fn references(item: &Item) -> Checked<BTreeSet<ItemKey>> {
    Ok(match item {
        Item::Workflow(workflow) => Flow::new(workflow.clone()).referenced_items(),
        Item::SubagentItem(subagent) => BTreeSet::from([ItemKey::Agent(subagent.agent_path.clone())]),
        Item::SubagentBundle(bundle) => {
            bundle.subagent_to_priority.keys().map(|id| ItemKey::Subagent(id.clone())).collect()
        }
        Item::FileWatch(watch) => {
            BTreeSet::from([ItemKey::Agent(watch.agent_path.clone()), ItemKey::Workflow(watch.workflow_path.clone())])
        }
        Item::AgentRef(agent) => agent.directors.iter().map(|id| ItemKey::Subagent(id.clone())).collect(),
        Item::Lock(_)
        | Item::GlobalBoard(_)
        | Item::PlannableBoard(_)
        | Item::PlanSchema(_)
        | Item::JobResource(_)
        | Item::Calendar(_)
        | Item::WorkflowPathControl(_)
        | Item::WorkflowControl(_) => BTreeSet::new(),
    })
}

/// The problem that there is no such item.
#[must_use]
pub fn unknown_item(key: &ItemKey) -> Problem {
    crate::expression::scope::unknown_key(key.kind(), &format!("{key}"))
}
