//! Jobs of the inventory.

use super::edit::{Edit, elements, string};
use super::{Rewriter, bare_names};
use crate::json::{Node, NodeKind};
use crate::model::quoted;
use crate::text::range_set::RangeSet;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// Members which the cockpit uses for its own monitoring.
const MONITORING: &[&str] = &[
    "title",
    "documentationName",
    "criticality",
    "warnIfShorter",
    "warnIfLonger",
    "notification",
    "warnOnErrWritten",
    "jobTemplate",
    "tags",
];

impl Rewriter<'_> {
    pub(super) fn job(&self, node: &Node) -> Node {
        let Some(mut edit) = Edit::of(node) else { return node.clone() };
        self.agent(&mut edit);
        self.subagent_cluster(&mut edit);
        for (old, new) in [
            ("parallelism", "processLimit"),
            ("taskLimit", "processLimit"),
            ("graceTimeout", "sigkillDelay"),
            ("jobResourceNames", "jobResourcePaths"),
            ("skipIfNoAdmissionForOrderDay", "skipIfNoAdmissionStartForOrderDay"),
        ] {
            edit.rename(old, new, self.report);
        }
        edit.map("jobResourcePaths", bare_names);
        edit.map("defaultArguments", |node| self.expressions(node));
        edit.drop(MONITORING);
        let meaning = edit.take("returnCodeMeaning");
        edit.map("executable", |node| self.executable(node, meaning.as_deref()));
        edit.finish()
    }

    /// `agentId` is only used when there is no name.
    pub(super) fn agent(&self, edit: &mut Edit<'_>) {
        if edit.has("agentName") || edit.has("agentPath") {
            edit.take("agentId");
        }
        edit.rename("agentName", "agentPath", self.report);
        edit.rename("agentId", "agentPath", self.report);
    }

    /// The subagent cluster of a job or a StickySubagent: a name, or an expression which gives one.
    pub(super) fn subagent_cluster(&self, edit: &mut Edit<'_>) {
        if let Some(expression) = self.take_subagent_cluster(edit) {
            if edit.has("subagentBundleIdExpr") {
                let message = "the subagent cluster is given twice; give subagentBundleIdExpr only".to_string();
                self.fail(expression.place, "subagentBundleIdExpr", message);
            } else {
                edit.put("subagentBundleIdExpr", expression);
            }
        }
    }

    /// The expression which gives the subagent cluster, if there is one.
    pub(super) fn take_subagent_cluster(&self, edit: &mut Edit<'_>) -> Option<Node> {
        let prefers_name =
            edit.take("withSubagentClusterIdExpr").is_some_and(|with| with.kind == NodeKind::Boolean(false));
        let name = edit.take_any(&["subagentClusterId", "subagentSelectionId"]);
        let name = name.map(|node| match node.as_str() {
            Some(name) => string(&quoted(name), node.place),
            None => node.into_owned(),
        });
        let expression = edit.take_any(&["subagentClusterIdExpr", "subagentSelectionIdExpr"]).map(Cow::into_owned);
        if prefers_name { name.or(expression) } else { expression.or(name) }
    }

    fn executable(&self, node: &Node, meaning: Option<&Node>) -> Node {
        let Some(mut edit) = Edit::of(node) else { return node.clone() };
        edit.map("env", |node| self.expressions(node));
        edit.map("arguments", |node| self.expressions(node));
        edit.map("script", |node| self.script(node));
        if let Some(kind) = edit.take("internalType")
            && let Some(kind) = kind.as_str()
            && !matches!(kind, "JITL" | "Java")
        {
            self.warn(
                edit.place,
                "internalType",
                format!("jobs in '{kind}' are executed by the class of the job only"),
            );
        }
        if let Some(meaning) = meaning
            && !edit.has("returnCodeMeaning")
        {
            edit.put("returnCodeMeaning", meaning.clone());
        }
        edit.map("returnCodeMeaning", |node| self.return_code_meaning(node));
        edit.finish()
    }

    /// Codes which are a warning in the cockpit are a success for the engine.
    fn return_code_meaning(&self, node: &Node) -> Node {
        let Some(mut edit) = Edit::of(node) else { return node.clone() };
        if edit.get("failure").and_then(Node::as_str).is_some_and(|codes| codes.eq_ignore_ascii_case("none")) {
            let place = edit.place;
            edit.put_text("failure", "", place);
        }
        let Some(warning) = edit.take("warning").filter(|warning| !elements(warning).is_empty()) else {
            return edit.finish();
        };
        let place = warning.place;
        if edit.has("failure") {
            self.warn(
                place,
                "warning",
                "return codes which are a warning are ignored, as 'failure' tells all that fails".into(),
            );
            return edit.finish();
        }
        self.warn(place, "warning", "return codes which are a warning are taken as success".into());
        let success = edit.get("success").map_or_else(|| Some(Vec::from([String::from("0")])), codes);
        match (success, codes(&warning)) {
            (Some(mut success), Some(warning)) => {
                success.extend(warning);
                edit.put_text("success", &success.join(","), place);
            }
            // The reader tells what is no return code.
            (Some(_), None) => edit.put("success", warning.into_owned()),
            (None, _) => {}
        }
        edit.finish()
    }
}

/// Return codes and ranges as texts. `None` if something is none.
fn codes(node: &Node) -> Option<Vec<String>> {
    let mut codes = Vec::new();
    for element in elements(node) {
        match &element.kind {
            NodeKind::Number(number) => codes.push(number.to_string()),
            NodeKind::String(text) if text.parse::<RangeSet>().is_ok() => {
                codes.extend(text.split(',').map(|code| code.trim().to_string()).filter(|code| !code.is_empty()));
            }
            NodeKind::List(range) => match range.as_slice() {
                [Node { kind: NodeKind::Number(from), .. }, Node { kind: NodeKind::Number(to), .. }] => {
                    codes.push(format!("{from}..{to}"));
                }
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(codes)
}
