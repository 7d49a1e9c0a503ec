//! What the items of a set say about each other: what they name must exist, and must not lead in a circle.

use super::{Document, Entry};
use crate::expression::Expression;
use crate::json::{Finding, Mention, Severity, limit};
use crate::model::item::Item;
use crate::model::key::ItemKey;
use crate::value::Name;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Checks the items of several documents together. Each finding comes with the index of its document.
///
/// An item given twice and expressions which need each other are errors, a workflow which is not in the set is a warning,
/// and so are workflows which add orders to each other, and parameters which need each other. Other missing items are told only, for they may exist already.
#[must_use]
pub fn check_set(documents: &[Document]) -> Vec<(usize, Finding)> {
    let mut set = Set { documents, findings: Vec::new() };
    set.duplicates();
    set.missing();
    set.adding_circles();
    set.variable_circles();
    set.parameter_circles();
    set.findings
}

struct Set<'a> {
    documents: &'a [Document],
    findings: Vec<(usize, Finding)>,
}

impl<'a> Set<'a> {
    fn entries(&self) -> impl Iterator<Item = (usize, &'a Entry)> + use<'a> {
        self.documents.iter().enumerate().flat_map(|(i, document)| document.entries.iter().map(move |entry| (i, entry)))
    }

    fn add(&mut self, document: usize, severity: Severity, mention: &Mention, message: String) {
        self.findings.push((document, Finding::new(severity, mention.place, mention.path.as_str(), message)));
    }

    fn duplicates(&mut self) {
        let mut first: BTreeMap<ItemKey, (usize, &Entry)> = BTreeMap::new();
        for (document, entry) in self.entries() {
            let key = entry.item.key();
            let name = shown(&key);
            if let Some((other, other_entry)) = first.get(&key) {
                let file = &self.documents[*other].name;
                let message = format!("{name} is given twice, first in {file} at {}", other_entry.place);
                self.findings.push((document, Finding::new(Severity::Error, entry.place, "", message)));
            } else {
                first.insert(key, (document, entry));
            }
        }
    }

    fn missing(&mut self) {
        let mut defined: BTreeSet<(&str, Arc<str>)> = BTreeSet::new();
        for (_, entry) in self.entries() {
            for kind in kinds_of(&entry.item) {
                defined.insert((kind, own_name(&entry.item)));
            }
        }
        for (document, entry) in self.entries() {
            let mut told = BTreeSet::new();
            for mention in &entry.mentions {
                let Some((severity, what)) = severity_of_missing(mention.kind) else { continue };
                if !defined.contains(&(mention.kind, mention.name.clone())) && told.insert((what, &mention.name)) {
                    let message = format!("{what} '{}' is not among the given items", mention.name);
                    self.add(document, severity, mention, message);
                }
            }
        }
    }

    /// Workflows which add orders to each other.
    fn adding_circles(&mut self) {
        let mut graph: Graph<(usize, &Mention)> = BTreeMap::new();
        for (document, entry) in self.entries() {
            if let Item::Workflow(workflow) = &entry.item {
                let added = entry.mentions.iter().filter(|mention| mention.kind == "WorkflowPath");
                let added = added
                    .filter(|mention| mention.path.ends_with("workflowPath") || mention.path.ends_with("workflowName"));
                for mention in added {
                    graph.entry(workflow.path.to_arc()).or_default().push((mention.name.clone(), (document, mention)));
                }
            }
        }
        for (circle, (document, mention)) in circles(&graph) {
            let message = format!("workflows add orders to each other, maybe without end: {circle}");
            self.add(document, Severity::Warning, mention, message);
        }
    }

    /// Parameters whose values need each other, unless an order gives one of them.
    fn parameter_circles(&mut self) {
        for (document, entry) in self.entries() {
            let Item::Workflow(workflow) = &entry.item else { continue };
            let parameters = workflow.order_preparation.iter().flat_map(|preparation| &preparation.parameters);
            let values = parameters.filter_map(|(name, p)| Some((name, p.fixed.as_ref().or(p.default.as_ref())?)));
            if let Some(circle) = expression_circle(values) {
                let message = format!("parameters need each other, unless an order gives one of them: {circle}");
                let finding = Finding::new(Severity::Warning, entry.place, "orderPreparation.parameters", message);
                self.findings.push((document, finding));
            }
        }
    }

    /// JobResources whose variables need each other.
    fn variable_circles(&mut self) {
        let mut graph: Graph<(usize, &Mention)> = BTreeMap::new();
        for (document, entry) in self.entries() {
            if let Item::JobResource(resource) = &entry.item {
                for mention in &entry.mentions {
                    if mention.kind == "JobResourcePath" && is_variable(&mention.path) {
                        graph
                            .entry(resource.path.to_arc())
                            .or_default()
                            .push((mention.name.clone(), (document, mention)));
                    }
                }
                if let Some(circle) = expression_circle(resource.variables.iter()) {
                    let message = format!("variables of JobResource '{}' need each other: {circle}", resource.path);
                    self.findings.push((document, Finding::new(Severity::Error, entry.place, "variables", message)));
                }
            }
        }
        for (circle, (document, mention)) in circles(&graph) {
            let message = format!("JobResources need each other: {circle}");
            self.add(document, Severity::Error, mention, message);
        }
    }
}

fn is_variable(path: &str) -> bool {
    let path = path.rsplit_once(']').map_or(path, |(_, path)| path).trim_start_matches('.');
    path.starts_with("variables.") || path.starts_with("arguments.")
}

fn shown(key: &ItemKey) -> String {
    key.to_string().trim_end_matches("~⊥").to_string()
}

/// The kinds of names under which an item is mentioned.
fn kinds_of(item: &Item) -> &'static [&'static str] {
    match item {
        Item::Workflow(_) => &["WorkflowPath"],
        Item::Lock(_) => &["LockPath"],
        Item::GlobalBoard(_) | Item::PlannableBoard(_) => &["BoardPath"],
        Item::PlanSchema(_) => &["PlanSchemaId"],
        Item::JobResource(_) => &["JobResourcePath"],
        Item::Calendar(_) => &["CalendarPath"],
        Item::AgentRef(_) => &["AgentPath"],
        Item::SubagentItem(_) => &["SubagentId"],
        Item::SubagentBundle(_) => &["SubagentBundleId"],
        Item::FileWatch(_) => &["OrderWatchPath"],
        // They control another item and have its name.
        Item::WorkflowPathControl(_) | Item::WorkflowControl(_) => &[],
    }
}

fn own_name(item: &Item) -> Arc<str> {
    match item {
        Item::Workflow(workflow) => workflow.path.to_arc(),
        other => other.key().name(),
    }
}

fn severity_of_missing(kind: &str) -> Option<(Severity, &'static str)> {
    match kind {
        "WorkflowPath" => Some((Severity::Warning, "Workflow")),
        "LockPath" => Some((Severity::Info, "Lock")),
        "BoardPath" => Some((Severity::Info, "Board")),
        "JobResourcePath" => Some((Severity::Info, "JobResource")),
        "CalendarPath" => Some((Severity::Info, "Calendar")),
        "AgentPath" => Some((Severity::Info, "Agent")),
        "SubagentId" => Some((Severity::Info, "Subagent")),
        _ => None,
    }
}

/// Who names whom, with what is known about it.
type Graph<T> = BTreeMap<Arc<str>, Vec<(Arc<str>, T)>>;

/// Most names shown of a circle.
const SHOWN_NAMES: usize = 20;

/// Circles: each one once, with what is known of the step that closes it; not more than are reported.
/// Own stack, because chains may be as long as the set is large.
fn circles<T: Copy>(graph: &Graph<T>) -> Vec<(String, T)> {
    let mut circles = Vec::new();
    let mut done: BTreeSet<Arc<str>> = BTreeSet::new();
    for start in graph.keys() {
        let mut path: Vec<(Arc<str>, usize)> = Vec::from([(start.clone(), 0)]);
        let mut on_path: BTreeSet<Arc<str>> = BTreeSet::from([start.clone()]);
        while let Some((name, next)) = path.last_mut() {
            let step = if done.contains(name) { None } else { graph.get(name).and_then(|steps| steps.get(*next)) };
            let Some((target, known)) = step else {
                done.insert(name.clone());
                on_path.remove(name);
                path.pop();
                continue;
            };
            *next += 1;
            if on_path.contains(target) {
                if circles.len() == limit::FINDINGS {
                    return circles;
                }
                let from = path.iter().position(|(name, _)| name == target).unwrap_or_default();
                let mut names: Vec<&str> = path[from..].iter().map(|(name, _)| &**name).collect();
                if names.len() > SHOWN_NAMES {
                    names.truncate(SHOWN_NAMES);
                    names.push("…");
                }
                names.push(target);
                circles.push((names.join(" → "), *known));
            } else if !done.contains(target) {
                on_path.insert(target.clone());
                path.push((target.clone(), 0));
            }
        }
    }
    circles
}

/// Expressions of one scope, by name, which need each other.
fn expression_circle<'e>(expressions: impl Iterator<Item = (&'e Name, &'e Expression)>) -> Option<String> {
    let mut graph: Graph<()> = BTreeMap::new();
    for (name, expression) in expressions {
        graph.insert(name.clone(), expression.named_values().into_iter().map(|name| (name, ())).collect());
    }
    circles(&graph).into_iter().next().map(|(circle, ())| circle)
}
