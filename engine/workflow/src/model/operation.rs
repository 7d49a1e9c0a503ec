//! Changes of items, and the record of them.

use super::item::Item;
use super::key::ItemKey;
use crate::id::{AgentPath, VersionId, WorkflowId};
use crate::problem::{Checked, Problem};
use crate::value::Value;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

crate::json_union! {
    /// A change of an item, part of a transaction.
    #[derive(Clone, Debug, PartialEq)]
    pub enum ItemOperation {
        /// Adds or changes an item which has no versions.
        AddOrChangeSimple => "AddOrChangeSimple" {
            /// The item.
            item: Item => "item";
        };
        /// Deletes an item which has no versions.
        DeleteSimple => "DeleteSimple" {
            /// Its key.
            path: ItemKey => "path";
        };
        /// Names the version of the workflows of this transaction.
        AddVersion => "AddVersion" {
            /// The version.
            version_id: VersionId => "versionId";
        };
        /// Adds or changes a signed item: a workflow or a job resource.
        AddOrChangeSigned => "AddOrChangeSigned" {
            /// The item's JSON text with its signature.
            signed_string: SignedString => "signedString";
        };
        /// Adds or changes a workflow.
        AddOrChangeVersioned => "AddOrChangeVersioned" {
            /// The workflow.
            item: Item => "item";
        };
        /// Removes a workflow. Its versions go when their last order is gone.
        RemoveVersioned => "RemoveVersioned" {
            /// Its key.
            path: ItemKey => "path";
        };
    }
}

crate::json_struct! {
    /// A text with its signature.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SignedString {
        /// The text.
        string: String => "string";
        /// Its signature, in a form depending on its `TYPE`.
        signature: Value => "signature";
    }
}

crate::json_union! {
    /// What happened to an item.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum ItemEvent {
        /// An item without versions was added.
        UnsignedSimpleItemAdded => "UnsignedSimpleItemAdded" {
            /// The item.
            item: Item => "item";
        };
        /// An item without versions was changed.
        UnsignedSimpleItemChanged => "UnsignedSimpleItemChanged" {
            /// The item.
            item: Item => "item";
        };
        /// A version was added; the workflows added next have it.
        VersionAdded => "VersionAdded" {
            /// The version.
            version_id: VersionId => "versionId";
        };
        /// A workflow was added.
        VersionedItemAdded => "VersionedItemAdded" {
            /// The workflow.
            item: Item => "item";
        };
        /// A workflow was changed: a new version was added.
        VersionedItemChanged => "VersionedItemChanged" {
            /// The workflow.
            item: Item => "item";
        };
        /// A workflow was removed. Its versions go when their last order is gone.
        VersionedItemRemoved => "VersionedItemRemoved" {
            /// Its key.
            path: ItemKey => "path";
        };
        /// The item is to be deleted as soon as nothing needs it.
        ItemDeletionMarked => "ItemDeletionMarked" {
            /// Its key.
            key: ItemKey => "key";
        };
        /// The item is gone.
        ItemDeleted => "ItemDeleted" {
            /// Its key.
            key: ItemKey => "key";
        };
        /// The item is to be handed to an agent.
        ItemAttachable => "ItemAttachable" {
            /// Its key.
            key: ItemKey => "key";
            /// The agent.
            agent_path: AgentPath => "agentPath";
        };
        /// The agent has the item.
        ItemAttached => "ItemAttached" {
            /// Its key.
            key: ItemKey => "key";
            /// Which state of it.
            item_revision: Option<u32> => "itemRevision", default None;
            /// The agent.
            agent_path: AgentPath => "agentPath";
        };
        /// The agent has the item. In the agent's journal only.
        ItemAttachedToMe => "ItemAttachedToMe" {
            /// The item.
            item: Item => "item";
        };
        /// The item is to be taken back from an agent.
        ItemDetachable => "ItemDetachable" {
            /// Its key.
            key: ItemKey => "key";
            /// The agent.
            agent_path: AgentPath => "agentPath";
        };
        /// The agent is taking the item back. In the agent's journal only.
        ItemDetachingFromMe => "ItemDetachingFromMe" {
            /// Its key.
            key: ItemKey => "key";
        };
        /// The agent does not have the item any more.
        ItemDetached => "ItemDetached" {
            /// Its key.
            key: ItemKey => "key";
            /// The agent.
            agent_path: AgentPath => "agentPath";
        };
    }
}

impl ItemOperation {
    /// The key of the item. `None` for a version, and for a signed item, which must be read first.
    #[must_use]
    pub fn key(&self) -> Option<ItemKey> {
        match self {
            Self::AddOrChangeSimple { item } | Self::AddOrChangeVersioned { item } => Some(match item {
                Item::Workflow(workflow) => ItemKey::Workflow(workflow.path.clone()),
                item => item.key(),
            }),
            Self::DeleteSimple { path } | Self::RemoveVersioned { path } => Some(path.clone()),
            Self::AddVersion { .. } | Self::AddOrChangeSigned { .. } => None,
        }
    }
}

/// Checks that a transaction changes each item once, and names at most one version, which workflows need.
///
/// # Errors
/// Names what is given twice, or what is missing.
pub fn check_operations(operations: &[ItemOperation]) -> Checked<()> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut versions = Vec::new();
    let mut is_versioned = false;
    for operation in operations {
        match operation {
            ItemOperation::AddVersion { version_id } => versions.push(version_id),
            ItemOperation::AddOrChangeVersioned { .. } | ItemOperation::RemoveVersioned { .. } => is_versioned = true,
            ItemOperation::AddOrChangeSimple { .. }
            | ItemOperation::DeleteSimple { .. }
            | ItemOperation::AddOrChangeSigned { .. } => {}
        }
        if let Some(key) = operation.key() {
            *counts.entry(key.to_string()).or_default() += 1;
        }
    }
    super::check::refuse_duplicates(counts)?;
    match versions.as_slice() {
        [] if is_versioned => Err(Problem::new("Changing workflows requires an AddVersion operation")),
        [] | [_] => Ok(()),
        [..] => Err(Problem::new("Duplicate AddVersion")),
    }
}

/// The key of a workflow version, for events which name all versions.
#[must_use]
pub fn workflow_key(id: &WorkflowId) -> ItemKey {
    ItemKey::Workflow(id.path.clone())
}
