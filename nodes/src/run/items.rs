//! What is to be run: the workflow and the items it needs, read from files, and completed with agents.

use crate::documents::{Unreadable, read_all};
use baton_workflow::expression::Expression;
use baton_workflow::expression::scope::EmptyScope;
use baton_workflow::flow::Flow;
use baton_workflow::id::{AgentPath, SubagentId, VersionId, WorkflowPath};
use baton_workflow::json::from_text;
use baton_workflow::model::command::Command;
use baton_workflow::model::instruction::Instruction;
use baton_workflow::model::item::{AgentRef, Item, SubagentItem};
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::operation::ItemOperation;
use baton_workflow::model::preparation::ValueType;
use baton_workflow::model::workflow::Workflow;
use baton_workflow::value::{Fields, Name, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The address of all agents and subagents: they are in this process.
const HERE: &str = "local:";

/// Why there is nothing that could be run.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// A file or folder cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A document is not understood.
    #[error("{}: {problem}", .path.display())]
    Document {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The file to be run is no workflow.
    #[error("{}: a Workflow is needed here, but this is a {found}", .path.display())]
    NotAWorkflow {
        /// Which.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// Two documents have the same item.
    #[error("{}: {key} is in {} too", .path.display(), .other.display())]
    Twice {
        /// The item.
        key: ItemKey,
        /// A document.
        path: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// An argument is given twice.
    #[error("the argument {0} is given twice")]
    ArgumentTwice(String),
}

/// What is to be run.
pub(super) struct Items {
    /// The workflow.
    pub(super) workflow: Arc<Workflow>,
    /// All items, the workflow and made-up agents among them.
    all: Vec<Item>,
}

impl Items {
    /// Reads the workflow, the first one in `file`, with what else is in that file and in a folder.
    ///
    /// # Errors
    /// When there is anything that cannot be used.
    pub(super) fn read(file: &Path, folder: Option<&Path>) -> Result<Self, Unusable> {
        let mut sources: BTreeMap<ItemKey, PathBuf> = BTreeMap::new();
        let mut all: Vec<Item> = Vec::new();
        let own = read_all(&[file.to_owned()], None, None)?;
        let further = folder.map(|folder| read_all(&[folder.to_owned()], None, None)).transpose()?.unwrap_or_default();
        let count = own.len();
        for (nr, document) in own.into_iter().chain(further).enumerate() {
            let path = PathBuf::from(&document.name);
            if nr >= count && is_same(&path, file) {
                continue;
            }
            let items = document
                .into_items()
                .map_err(|problem| Unusable::Document { path: path.clone(), problem: problem.to_string() })?;
            if nr < count && !items.iter().any(|item| matches!(item, Item::Workflow(_))) {
                let found = items.first().map_or("document without items", Item::type_name);
                return Err(Unusable::NotAWorkflow { path, found });
            }
            for item in items {
                if let Some(other) = sources.insert(item.key(), path.clone()) {
                    return Err(Unusable::Twice { key: item.key(), path, other });
                }
                all.push(item);
            }
        }
        let first = all.iter().find_map(|item| match item {
            Item::Workflow(workflow) => Some(Arc::clone(workflow)),
            _ => None,
        });
        let Some(workflow) = first else {
            return Err(Unusable::NotAWorkflow { path: file.to_owned(), found: "document without items" });
        };
        let mut items = Self { workflow, all };
        items.complete_agents();
        Ok(items)
    }

    /// The command that hands all items to the controller.
    #[must_use]
    pub(super) fn update(&self) -> Command {
        let simple = self.all.iter().filter(|item| !matches!(item, Item::Workflow(_)));
        let workflows = self.all.iter().filter(|item| matches!(item, Item::Workflow(_)));
        let operations = simple
            .map(|item| ItemOperation::AddOrChangeSimple { item: item.clone() })
            .chain([ItemOperation::AddVersion { version_id: VersionId::new("1") }])
            .chain(workflows.map(|item| ItemOperation::AddOrChangeVersioned { item: item.clone() }))
            .collect();
        Command::UpdateItems { operations }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.all.iter()
    }

    /// Makes values of the arguments: as the workflow declares them, else JSON, else texts.
    ///
    /// # Errors
    /// When one is given twice.
    pub(super) fn arguments(&self, given: &[(String, String)]) -> Result<Fields, Unusable> {
        let mut values = BTreeMap::new();
        let declared = self.workflow.order_preparation.as_ref().map(|preparation| &preparation.parameters);
        for (name, text) in given {
            let parameter = declared.and_then(|parameters| parameters.get(name.as_str()));
            let is_text =
                matches!(parameter.and_then(|parameter| parameter.value_type.as_ref()), Some(ValueType::String));
            let value =
                if is_text { Value::string(text) } else { from_text(text).unwrap_or_else(|_| Value::string(text)) };
            if values.insert(Name::from(name.as_str()), value).is_some() {
                return Err(Unusable::ArgumentTwice(name.clone()));
            }
        }
        Ok(values.into_iter().collect())
    }

    /// Makes the agents and subagents which are named but not defined.
    fn complete_agents(&mut self) {
        let named = Named::of(&self.all);
        let mut subagents: BTreeSet<SubagentId> = BTreeSet::new();
        let mut bundles: BTreeSet<String> = BTreeSet::new();
        let mut agents: BTreeSet<AgentPath> = BTreeSet::new();
        for item in &self.all {
            match item {
                Item::SubagentItem(subagent) => drop(subagents.insert(subagent.id.clone())),
                Item::SubagentBundle(bundle) => drop(bundles.insert(bundle.id.to_string())),
                Item::AgentRef(agent) => drop(agents.insert(agent.path.clone())),
                _ => {}
            }
        }
        // Agents in the form without subagents get one.
        for item in &mut self.all {
            if let Item::AgentRef(agent) = item
                && agent.directors.is_empty()
            {
                let id = unused_id(&agent.path, &subagents);
                let mut changed = (**agent).clone();
                changed.uri = None;
                changed.directors = vec![id];
                *item = Item::AgentRef(Arc::new(changed));
            }
        }
        for path in named.agents.difference(&agents) {
            let directors = vec![unused_id(path, &subagents)];
            self.all.push(Item::AgentRef(Arc::new(AgentRef {
                path: path.clone(),
                directors,
                uri: None,
                process_limit: None,
                require_failover_confirmation: false,
                item_revision: None,
            })));
        }
        let directors: Vec<(SubagentId, AgentPath)> = self
            .all
            .iter()
            .filter_map(|item| match item {
                Item::AgentRef(agent) => Some(agent.directors.iter().map(|id| (id.clone(), agent.path.clone()))),
                _ => None,
            })
            .flatten()
            .collect();
        let named = named.subagents.into_iter().filter(|(name, _)| !bundles.contains(name));
        let named = named.map(|(name, agent)| (SubagentId::new(&name), agent));
        for (id, agent_path) in directors.into_iter().chain(named) {
            if subagents.insert(id.clone()) {
                self.all.push(Item::SubagentItem(Arc::new(SubagentItem {
                    id,
                    agent_path,
                    uri: HERE.to_owned(),
                    disabled: false,
                    item_revision: None,
                })));
            }
        }
    }
}

/// What workflows name.
#[derive(Default)]
struct Named {
    agents: BTreeSet<AgentPath>,
    /// Subagents or bundles, with the agent for whose job they are named.
    subagents: BTreeMap<String, AgentPath>,
}

impl Named {
    fn of(items: &[Item]) -> Self {
        let mut named = Self::default();
        for item in items {
            if let Item::Workflow(workflow) = item {
                named.add_workflow(workflow);
            }
        }
        named
    }

    fn add_workflow(&mut self, workflow: &Arc<Workflow>) {
        let flow = Flow::new(Arc::clone(workflow));
        for key in flow.referenced_items() {
            if let ItemKey::Agent(path) = key {
                self.agents.insert(path);
            }
        }
        flow.visit(&mut |block, nr, statement| match &statement.instruction {
            Instruction::ExecuteNamed { .. } | Instruction::ExecuteAnonymous { .. } => {
                if let Ok(job_at) = flow.job_at(&block.position(nr)) {
                    self.add(&job_at.job.agent_path, job_at.job.subagent_bundle_id_expr.as_ref());
                }
            }
            Instruction::StickySubagent { agent_path, subagent_bundle_id_expr, .. } => {
                self.add(agent_path, subagent_bundle_id_expr.as_ref());
            }
            Instruction::Fork { agent_path: Some(path), .. } | Instruction::ForkList { agent_path: Some(path), .. } => {
                self.agents.insert(path.clone());
            }
            _ => {}
        });
    }

    fn add(&mut self, agent: &AgentPath, subagent: Option<&Expression>) {
        self.agents.insert(agent.clone());
        if let Some(Ok(Value::String(name))) = subagent.map(|expression| expression.eval(&EmptyScope))
            && !name.is_empty()
        {
            self.subagents.entry(name.to_string()).or_insert_with(|| agent.clone());
        }
    }
}

/// A name for the director's own subagent.
fn unused_id(agent: &AgentPath, used: &BTreeSet<SubagentId>) -> SubagentId {
    let name = agent.as_str().replace('/', "-");
    let numbered = (1..).map(|n| format!("{name}-{n}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|name| !used.contains(name.as_str()));
    SubagentId::new(&free.unwrap_or(name))
}

fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a))
}

/// The path of the workflow as an order id: its last part.
#[must_use]
pub(super) fn default_order_id(path: &WorkflowPath) -> String {
    path.as_str().rsplit('/').next().unwrap_or_default().to_owned()
}
