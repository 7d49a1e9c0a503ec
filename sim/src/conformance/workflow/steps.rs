//! The steps of a vector.

use super::world::FileChange;
use crate::conformance::input::{
    decode, flag, is_null, iso_duration, list, member, members, need, read, read_optional, text, time, value_of,
};
use crate::conformance::verdict::Fault;
use crate::conformance::{form_of, known_members};
use baton_workflow::id::{AgentPath, OrderId, SubagentId, VersionId};
use baton_workflow::json::Node;
use baton_workflow::model::item::Item;
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::operation::ItemOperation;
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::time::{Duration, Timestamp};

/// A step.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) action: Action<'a>,
    /// What it is rejected with.
    pub(super) problem: Option<&'a Node>,
    /// What is answered.
    pub(super) response: Option<&'a Node>,
}

/// What a step does. What the engine itself may reject is read when it is done.
#[derive(Debug)]
pub(super) enum Action<'a> {
    Add(&'a Node),
    Command(&'a Node),
    Items(Transaction<'a>),
    Advance(Duration),
    AdvanceTo(Timestamp),
    JumpTo(Timestamp),
    Release(&'a str, Option<OrderId>),
    RestartController,
    RestartAgent(AgentPath),
    File(FileChange, &'a str),
    EnableSubagents(Vec<(SubagentId, bool)>),
    Expect(&'a Node),
}

/// A change of items.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    pub(super) items: &'a [Node],
    pub(super) deleted: Vec<ItemKey>,
    pub(super) version: Option<VersionId>,
}

const FORMS: &[&str] = &[
    "add",
    "command",
    "items",
    "deleteItems",
    "advance",
    "advanceTo",
    "jumpTo",
    "release",
    "restart",
    "file",
    "enableSubagents",
    "expect",
];

impl<'a> Step<'a> {
    /// Reads a step.
    pub(super) fn read(node: &'a Node) -> Result<Self, Fault> {
        let form = form_of(node, FORMS)?;
        let others: &[&str] = match form {
            "add" => &["problem"],
            "command" => &["problem", "response"],
            "items" => &["version", "delete", "problem"],
            "deleteItems" => &["version", "problem"],
            _ => &[],
        };
        known_members(node, &[&[form], others].concat())?;
        let body = need(node, form)?;
        let action = match form {
            "add" => Action::Add(body),
            "command" => Action::Command(body),
            "items" => Action::Items(Transaction {
                items: list(node, "items")?,
                deleted: read_optional(node, "delete")?.unwrap_or_default(),
                version: read_optional(node, "version")?,
            }),
            "deleteItems" => Action::Items(Transaction {
                items: &[],
                deleted: read(node, "deleteItems")?,
                version: read_optional(node, "version")?,
            }),
            "advance" => Action::Advance(iso_duration(text(node, form)?)?),
            "advanceTo" => Action::AdvanceTo(time(node, form)?),
            "jumpTo" => Action::JumpTo(time(node, form)?),
            "release" => {
                known_members(body, &["job", "order"])?;
                Action::Release(text(body, "job")?, read_optional(body, "order")?)
            }
            "restart" => match text(node, form)? {
                "controller" => Action::RestartController,
                _ => Action::RestartAgent(value_of(body)?),
            },
            "file" => {
                known_members(body, &["created", "modified", "deleted"])?;
                let change = form_of(body, &["created", "modified", "deleted"])?;
                let file = text(body, change)?;
                match change {
                    "created" => Action::File(FileChange::Created, file),
                    "modified" => Action::File(FileChange::Modified, file),
                    _ => Action::File(FileChange::Deleted, file),
                }
            }
            "enableSubagents" => Action::EnableSubagents(
                members(body)
                    .iter()
                    .map(|(id, _, _)| Ok((SubagentId::new(id), flag(body, id)?)))
                    .collect::<Result<_, Fault>>()?,
            ),
            _ => Action::Expect(body),
        };
        Ok(Self {
            action,
            problem: member(node, "problem").filter(|p| !is_null(p)),
            response: member(node, "response"),
        })
    }
}

impl Transaction<'_> {
    /// The operations. Workflows get the version, or this one which is not used elsewhere.
    ///
    /// # Errors
    /// The engine does not accept an item.
    pub(super) fn operations(&self, unused_version: &str) -> Checked<Vec<ItemOperation>> {
        let mut operations = Vec::new();
        let mut problems = Vec::new();
        for item in self.items {
            match decode::<Item>(item) {
                Ok(item @ Item::Workflow(_)) => operations.push(ItemOperation::AddOrChangeVersioned { item }),
                Ok(item) => operations.push(ItemOperation::AddOrChangeSimple { item }),
                Err(problem) => problems.push(problem),
            }
        }
        for path in self.deleted.iter().cloned() {
            operations.push(match path {
                ItemKey::Workflow(_) | ItemKey::WorkflowVersion(_) => ItemOperation::RemoveVersioned { path },
                path => ItemOperation::DeleteSimple { path },
            });
        }
        if let Some(problem) = Problem::combine(problems) {
            return Err(problem);
        }
        let is_versioned = operations.iter().any(|operation| {
            matches!(operation, ItemOperation::AddOrChangeVersioned { .. } | ItemOperation::RemoveVersioned { .. })
        });
        if is_versioned {
            let version_id = self.version.clone().unwrap_or_else(|| VersionId::new(unused_version));
            operations.insert(0, ItemOperation::AddVersion { version_id });
        }
        Ok(operations)
    }
}
