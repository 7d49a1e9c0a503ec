//! `baton ctl deploy`: items from documents, in one transaction.

use super::Failure;
use super::arguments::DeployArguments;
use crate::documents::read_all;
use crate::driver::wall_clock;
use baton_workflow::id::VersionId;
use baton_workflow::model::command::Command;
use baton_workflow::model::item::Item;
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::operation::ItemOperation;
use std::collections::BTreeMap;

/// What is to be changed.
pub(super) struct Deployment {
    items: Vec<Item>,
    deletions: Vec<ItemKey>,
    version: VersionId,
}

/// Reads what the arguments name.
pub(super) fn read(arguments: &DeployArguments) -> Result<Deployment, Failure> {
    let documents = read_all(&arguments.files, None, None).map_err(|error| Failure::Senseless(error.to_string()))?;
    // Documents are not checked against each other: what they lack may be at the controller already.
    let mut items: Vec<Item> = Vec::new();
    let mut sources: BTreeMap<ItemKey, String> = BTreeMap::new();
    for document in documents {
        let name = document.name.clone();
        let found = document.into_items().map_err(|problem| Failure::Senseless(format!("{name}: {problem}")))?;
        for item in found {
            if let Some(other) = sources.insert(item.key(), name.clone()) {
                return Err(Failure::Senseless(format!("{name}: {} is in {other} too", item.key())));
            }
            items.push(item);
        }
    }
    let deletions = arguments.delete.iter().map(|key| match ItemKey::parse(key) {
        Ok(key) if sources.contains_key(&key) => {
            Err(Failure::Senseless(format!("{key} is to be deleted, but is in the documents too")))
        }
        Ok(key) => Ok(key),
        Err(problem) => Err(Failure::Senseless(problem.message)),
    });
    let deletions = deletions.collect::<Result<Vec<_>, _>>()?;
    if items.is_empty() && deletions.is_empty() {
        return Err(Failure::Senseless("there are no items in these documents".to_owned()));
    }
    let version = match &arguments.version {
        Some(version) => VersionId::checked(version).map_err(|problem| Failure::Senseless(problem.message))?,
        None => VersionId::new(&format!("ctl-{}", wall_clock().as_millis())),
    };
    Ok(Deployment { items, deletions, version })
}

impl Deployment {
    /// In words, what is changed.
    pub(super) fn operations(&self) -> String {
        let workflows = self.items.iter().filter(|item| matches!(item, Item::Workflow(_))).count();
        let mut words = Vec::new();
        let mut add = |count: usize, one: &str, many: &str| {
            if count > 0 {
                words.push(format!("{count} {}", if count == 1 { one } else { many }));
            }
        };
        add(workflows, "workflow", "workflows");
        add(self.items.len() - workflows, "other item", "other items");
        add(self.deletions.len(), "deletion", "deletions");
        let version = if workflows > 0 { format!(", version {}", self.version) } else { String::new() };
        format!("deployed: {}{version}", words.join(", "))
    }

    pub(super) fn into_command(self) -> Command {
        let Self { items, deletions, version } = self;
        let (workflows, simple): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| matches!(item, Item::Workflow(_)));
        let removes_workflows = deletions.iter().any(|key| matches!(key, ItemKey::Workflow(_)));
        let has_version = !workflows.is_empty() || removes_workflows;
        let operations = simple
            .into_iter()
            .map(|item| ItemOperation::AddOrChangeSimple { item })
            .chain(has_version.then_some(ItemOperation::AddVersion { version_id: version }))
            .chain(workflows.into_iter().map(|item| ItemOperation::AddOrChangeVersioned { item }))
            .chain(deletions.into_iter().map(|path| match path {
                ItemKey::Workflow(_) => ItemOperation::RemoveVersioned { path },
                path => ItemOperation::DeleteSimple { path },
            }));
        Command::UpdateItems { operations: operations.collect() }
    }
}
