//! The cockpit's inventory forms of items, turned into those of the controller.
//!
//! Nodes are turned into nodes, each keeping the place of what it was made of. What cannot be right in any form is left
//! for the reader of the controller's form to report; reported here is only what would be lost.

mod edit;
mod instruction;
mod job;
mod parameter;
mod quoting;
mod script;

use super::Scripts;
use super::dialect::Chosen;
use super::kind::{Found, Kind};
use crate::json::{Finding, Node, NodeKind, Place, Report, Severity};
use alloc::format;
use alloc::string::{String, ToString as _};
use core::cell::Cell;
use edit::{Edit, map_values, string};
use quoting::value_as_expression;

/// The calendar which the cockpit gives to workflows with a Cycle.
const CALENDAR: &str = "DailyPlan";

/// Members which only the cockpit uses.
const OF_THE_COCKPIT: &[&str] = &["title", "documentationName", "tags", "name", "objectType", "valid", "deployed"];

/// The item in the controller's form, with `TYPE` and path.
pub(super) fn controller_form(found: &Found<'_>, dialect: Chosen, scripts: &Scripts, report: &Report) -> Node {
    let Some(mut edit) = Edit::of(found.node) else { return found.node.clone() };
    let mut kind = found.kind;
    if kind == Kind::GlobalBoard && edit.get("boardType").and_then(Node::as_str) == Some("PLANNABLE") {
        kind = Kind::PlannableBoard;
    }
    let type_place = edit.get("TYPE").map_or(edit.place, |node| node.place);
    edit.put_text("TYPE", kind.name(), type_place);
    let key = match kind {
        Kind::PlanSchema | Kind::SubagentItem | Kind::SubagentBundle => "id",
        _ => "path",
    };
    if let Some(name) = found.name.as_ref().filter(|_| kind != Kind::WorkflowControl)
        && !edit.has(key)
    {
        let place = edit.get("name").map_or(edit.place, |node| node.place);
        edit.put_text(key, name, place);
        edit.drop(&["name"]);
    }
    if !dialect.renames {
        return edit.finish();
    }
    edit.drop(OF_THE_COCKPIT);
    // The inventory has folders, the controller has not.
    edit.map(key, bare_name);
    let rewriter = Rewriter {
        quotes: dialect.quotes,
        scripts,
        report,
        time_zone: edit.get("timeZone").and_then(Node::as_str).unwrap_or("Etc/UTC").to_string(),
        first_cycle: Cell::new(None),
    };
    match kind {
        Kind::Workflow => rewriter.workflow(&mut edit),
        Kind::GlobalBoard | Kind::PlannableBoard => rewriter.board(&mut edit, kind),
        Kind::JobResource => rewriter.job_resource(&mut edit),
        Kind::FileWatch => rewriter.file_watch(&mut edit),
        _ => {}
    }
    edit.finish()
}

/// Turns parts of an item into their controller's form.
struct Rewriter<'a> {
    /// Whether texts are quoted where the controller has expressions, and defaults of the cockpit are filled in.
    quotes: bool,
    scripts: &'a Scripts,
    report: &'a Report,
    /// The zone of the item, for dates in order ids.
    time_zone: String,
    /// Where a Cycle was met.
    first_cycle: Cell<Option<Place>>,
}

impl Rewriter<'_> {
    fn workflow(&self, edit: &mut Edit<'_>) {
        edit.rename("jobResourceNames", "jobResourcePaths", self.report);
        edit.map("jobResourcePaths", bare_names);
        edit.rename("orderRequirements", "orderPreparation", self.report);
        edit.map("orderPreparation", |node| self.order_preparation(node));
        if let Some(offset) = edit.take("dayOffset") {
            let place = offset.place;
            self.warn(
                place,
                "dayOffset",
                "dayOffset is ignored; the calendar of the workflow tells when a day begins".into(),
            );
        }
        self.block_members(edit);
        if self.quotes
            && let Some(place) = self.first_cycle.get()
            && !edit.has("calendarPath")
        {
            edit.put_text("calendarPath", CALENDAR, place);
        }
    }

    fn board(&self, edit: &mut Edit<'_>, kind: Kind) {
        edit.drop(&["boardType"]);
        for old in ["postOrderToNoticeId", "toNotice"] {
            edit.rename(old, "postOrderToNoticeKey", self.report);
        }
        for old in ["expectOrderToNoticeId", "readingOrderToNoticeId"] {
            edit.rename(old, "expectOrderToNoticeKey", self.report);
        }
        if self.quotes && kind == Kind::PlannableBoard {
            // In the cockpit such a board has one notice per plan.
            edit.drop(&["endOfLife", "postOrderToNoticeKey", "expectOrderToNoticeKey"]);
        }
    }

    fn job_resource(&self, edit: &mut Edit<'_>) {
        edit.rename("arguments", "variables", self.report);
        edit.map("variables", |node| self.expressions(node));
        edit.map("env", |node| self.expressions(node));
    }

    fn file_watch(&self, edit: &mut Edit<'_>) {
        edit.rename("workflowName", "workflowPath", self.report);
        edit.map("workflowPath", bare_name);
        edit.rename("agentName", "agentPath", self.report);
        let priority = edit.take("priority");
        edit.take("timeZone");
        if self.quotes && !edit.has("orderExpr") && !edit.has("orderIdExpression") {
            let zone = crate::model::quoted(&self.time_zone);
            let id = format!(
                "'#' ++ now(format='yyyy-MM-dd', timezone={zone}) ++ '#F' ++ $js7EpochSecond ++ '-' ++ $orderWatchPath ++ ':' ++ $0"
            );
            let place = edit.place;
            let priority = priority.and_then(|node| match &node.kind {
                NodeKind::Number(number) => Some(format!(", priority: {number}")),
                _ => None,
            });
            edit.put_text("orderExpr", &format!("{{orderId: {id}{}}}", priority.unwrap_or_default()), place);
        }
    }

    /// Values of a map of expressions.
    fn expressions(&self, node: &Node) -> Node {
        if self.quotes { map_values(node, value_as_expression) } else { node.clone() }
    }

    fn warn(&self, place: Place, path: &str, message: String) {
        self.report.add(Severity::Warning, || Finding::new(Severity::Warning, place, path, message));
    }

    fn fail(&self, place: Place, path: &str, message: String) {
        self.report.add(Severity::Error, || Finding::new(Severity::Error, place, path, message));
    }
}

/// The name of a path with folders.
fn bare_name(node: &Node) -> Node {
    match node.as_str() {
        Some(path) if path.starts_with('/') => string(path.rsplit('/').next().unwrap_or(path), node.place),
        _ => node.clone(),
    }
}

fn bare_names(node: &Node) -> Node {
    match &node.kind {
        NodeKind::List(nodes) => edit::list(nodes.iter().map(bare_name).collect(), node.place),
        _ => node.clone(),
    }
}
