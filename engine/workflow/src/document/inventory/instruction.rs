//! Instructions of the inventory, and the blocks they stand in.

use super::edit::{Edit, boolean, elements, integer, list, string};
use super::{Rewriter, bare_name, bare_names};
use crate::expression::Expression;
use crate::json::{Node, NodeKind};
use crate::model::quoted;
use crate::value::Value;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Members of instructions which are blocks.
const BLOCKS: &[&str] =
    &["then", "else", "try", "catch", "workflow", "lockedWorkflow", "cycleWorkflow", "subworkflow", "block"];

/// The variable which tells the child of a ForkList over subagents its subagent.
const SUBAGENT_VARIABLE: &str = "js7ForkListSubagentId";

impl Rewriter<'_> {
    /// A block of instructions. Recursion is bounded by the nesting limit of documents.
    fn block(&self, node: &Node) -> Node {
        let Some(mut edit) = Edit::of(node) else { return node.clone() };
        self.block_members(&mut edit);
        edit.map("result", |node| self.expressions(node));
        edit.finish()
    }

    /// The members of a block, which a workflow has, too.
    pub(super) fn block_members(&self, edit: &mut Edit<'_>) {
        edit.map("instructions", |node| self.instructions(node));
        edit.map("jobs", |node| super::map_values(node, |job| self.job(job)));
    }

    fn instructions(&self, node: &Node) -> Node {
        let NodeKind::List(nodes) = &node.kind else { return node.clone() };
        let mut instructions = Vec::with_capacity(nodes.len());
        self.flatten(nodes, &mut instructions);
        list(instructions, node.place)
    }

    /// Segments group instructions in the cockpit's editor only.
    fn flatten(&self, nodes: &[Node], instructions: &mut Vec<Node>) {
        for node in nodes {
            match segment(node) {
                Some(grouped) => self.flatten(grouped, instructions),
                None => instructions.push(self.instruction(node)),
            }
        }
    }

    fn instruction(&self, node: &Node) -> Node {
        let Some(mut edit) = Edit::of(node) else { return node.clone() };
        for block in BLOCKS {
            edit.map(block, |node| self.block(node));
        }
        match node.get("TYPE").and_then(Node::as_str).unwrap_or_default() {
            "Execute.Named" => edit.map("defaultArguments", |node| self.expressions(node)),
            "Execute.Anonymous" => {
                edit.map("defaultArguments", |node| self.expressions(node));
                edit.map("job", |node| self.job(node));
            }
            "If" => self.if_then(&mut edit),
            "CaseWhen" => self.case_when(&mut edit),
            "Fork" => edit.map("branches", |node| self.branches(node)),
            "ForkList" => self.fork_list(&mut edit),
            "Lock" => self.lock(&mut edit),
            "PostNotice" | "PostNotices" => self.post_notices(&mut edit),
            name @ ("ExpectNotice" | "ExpectNotices" | "ReadNotice" | "ReadNotices") => {
                self.expect_notices(&mut edit, if name.ends_with('s') { name } else { "ExpectNotices" });
            }
            "ConsumeNotice" | "ConsumeNotices" => self.expect_notices(&mut edit, "ConsumeNotices"),
            "AddOrder" => self.add_order(&mut edit),
            "Fail" => edit.rename("outcome", "namedValues", self.report),
            "Finish" => finish(&mut edit),
            "Cycle" => self.first_cycle.set(self.first_cycle.get().or(Some(node.place))),
            "StickySubagent" => {
                self.agent(&mut edit);
                self.subagent_cluster(&mut edit);
            }
            "AdmissionTime" => {
                edit.rename("skipIfNoAdmissionForOrderDay", "skipIfNoAdmissionStartForOrderDay", self.report);
            }
            _ => {}
        }
        edit.finish()
    }

    fn if_then(&self, edit: &mut Edit<'_>) {
        if edit.has("ifThens") {
            edit.map("ifThens", |node| self.alternatives(node));
            return;
        }
        let place = edit.place;
        let mut alternative = Edit::empty(place);
        for name in ["predicate", "then"] {
            if let Some(node) = edit.take(name) {
                alternative.put(name, node.into_owned());
            }
        }
        edit.put("ifThens", list(Vec::from([alternative.finish()]), place));
    }

    fn case_when(&self, edit: &mut Edit<'_>) {
        let place = edit.place;
        edit.put_text("TYPE", "If", place);
        edit.map("cases", |node| self.alternatives(node));
        edit.rename("cases", "ifThens", self.report);
    }

    fn alternatives(&self, node: &Node) -> Node {
        self.each(node, |alternative| alternative.map("then", |node| self.block(node)))
    }

    fn branches(&self, node: &Node) -> Node {
        self.each(node, |branch| {
            branch.map("workflow", |node| self.block(node));
            // The result of a branch belongs to its block.
            if let Some(result) = branch.take("result") {
                let result = self.expressions(&result);
                branch.map("workflow", |node| match Edit::of(node) {
                    Some(mut block) => {
                        block.put("result", result);
                        block.finish()
                    }
                    None => node.clone(),
                });
            }
        })
    }

    fn each(&self, node: &Node, change: impl Fn(&mut Edit<'_>)) -> Node {
        let NodeKind::List(nodes) = &node.kind else { return node.clone() };
        let changed = nodes.iter().map(|node| match Edit::of(node) {
            Some(mut edit) => {
                change(&mut edit);
                edit.finish()
            }
            None => node.clone(),
        });
        list(changed.collect(), node.place)
    }

    fn fork_list(&self, edit: &mut Edit<'_>) {
        self.agent(edit);
        let place = edit.place;
        let variable = edit.take("subagentIdVariable");
        let variable = variable.as_ref().and_then(|node| node.as_str()).unwrap_or(SUBAGENT_VARIABLE);
        if let Some(cluster) = self.take_subagent_cluster(edit) {
            let expression = cluster.as_str().unwrap_or_default();
            edit.put_text("children", &format!("subagentIds({expression})"), cluster.place);
            edit.put_text("childToId", "(x) => $x", place);
            edit.put_text("childToArguments", &format!("(x) => {{{variable}: $x}}"), place);
            return;
        }
        if !self.quotes {
            return;
        }
        edit.map("children", |node| match node.as_str() {
            Some(name) if is_name(name) => string(&format!("${name}"), node.place),
            _ => node.clone(),
        });
        match edit.get("childToId").and_then(Node::as_str) {
            None => edit.put_text("childToId", "(x, i) => ($i + 1) ++ \"\"", place),
            Some(field) if is_name(field) => {
                let function = format!("(x, i) => ($i + 1) ++ \".\" ++ $x.{field}");
                edit.map("childToId", |node| string(&function, node.place));
            }
            Some(_) => {}
        }
        if !edit.has("childToArguments") {
            edit.put_text("childToArguments", "(x) => $x", place);
        }
    }

    fn lock(&self, edit: &mut Edit<'_>) {
        for old in ["lockName", "lockId"] {
            edit.rename(old, "lockPath", self.report);
        }
        edit.map("demands", |node| {
            self.each(node, |demand| {
                for old in ["lockName", "lockId"] {
                    demand.rename(old, "lockPath", self.report);
                }
                demand.map("lockPath", bare_name);
            })
        });
        if let Some(path) = edit.take("lockPath") {
            let mut demand = Edit::empty(path.place);
            demand.put("lockPath", bare_name(&path));
            if let Some(count) = edit.take("count") {
                demand.put("count", count.into_owned());
            }
            edit.put("demands", list(Vec::from([demand.finish()]), path.place));
        }
    }

    fn post_notices(&self, edit: &mut Edit<'_>) {
        let place = edit.place;
        edit.put_text("TYPE", "PostNotices", place);
        for old in ["noticeBoardNames", "noticeBoardName", "boardPath"] {
            edit.rename(old, "boardPaths", self.report);
        }
        edit.map("boardPaths", |node| bare_names(&list(elements(node).to_vec(), node.place)));
    }

    /// One name is a board; several names in one text are an expression already.
    fn expect_notices(&self, edit: &mut Edit<'_>, type_name: &str) {
        let place = edit.place;
        edit.put_text("TYPE", type_name, place);
        edit.map("noticeBoardName", quoted_name);
        edit.map("boardPath", quoted_name);
        edit.map("noticeBoardNames", all_of);
        for old in ["noticeBoardNames", "noticeBoardName", "boardPath"] {
            edit.rename(old, "boardPaths", self.report);
        }
    }

    fn add_order(&self, edit: &mut Edit<'_>) {
        edit.rename("workflowName", "workflowPath", self.report);
        edit.map("workflowPath", bare_name);
        edit.rename("endPositions", "stopPositions", self.report);
        edit.rename("blockPosition", "innerBlock", self.report);
        edit.map("arguments", |node| self.expressions(node));
        edit.drop(&["tags"]);
        let place = edit.place;
        match edit.take("remainWhenTerminated") {
            Some(remains) => match remains.kind {
                NodeKind::Boolean(remains_so) => edit.put("deleteWhenTerminated", boolean(!remains_so, remains.place)),
                _ => edit.put("deleteWhenTerminated", remains.into_owned()),
            },
            None if self.quotes && !edit.has("deleteWhenTerminated") => {
                edit.put("deleteWhenTerminated", boolean(true, place));
            }
            None => {}
        }
        if self.quotes
            && !edit.has("orderId")
            && let Some(workflow) = edit.get("workflowPath").and_then(Node::as_str)
        {
            let zone = quoted(&self.time_zone);
            let pattern = quoted(&format!("#D%05d-{}", workflow.rsplit('/').next().unwrap_or_default()));
            let id = format!("uniqueOrderId('#' ++ now(format='yyyy-MM-dd', timezone={zone}) ++ {pattern})");
            edit.put_text("orderId", &id, place);
        }
    }
}

/// The instructions of a Segment.
fn segment(node: &Node) -> Option<&[Node]> {
    if !node.get("TYPE")?.as_str()?.eq_ignore_ascii_case("Segment") {
        return None;
    }
    let block = ["instructions", "block", "workflow"].iter().find_map(|name| node.get(name))?;
    match &block.get("instructions").unwrap_or(block).kind {
        NodeKind::List(nodes) => Some(nodes),
        _ => None,
    }
}

/// Message and failure of a Finish become an outcome.
fn finish(edit: &mut Edit<'_>) {
    let message = edit.take("message");
    let unsuccessful = edit.take("unsuccessful");
    if (message.is_none() && unsuccessful.is_none()) || edit.has("outcome") {
        return;
    }
    let place = unsuccessful.as_ref().or(message.as_ref()).map_or(edit.place, |node| node.place);
    let is_failed = unsuccessful.is_some_and(|node| node.kind == NodeKind::Boolean(true));
    let mut outcome = Edit::empty(place);
    outcome.put_text("TYPE", if is_failed { "Failed" } else { "Succeeded" }, place);
    if let Some(message) = message.filter(|_| is_failed) {
        outcome.put("message", constant_text(&message));
    }
    let mut values = Edit::empty(place);
    values.put("returnCode", integer(i64::from(is_failed), place));
    outcome.put("namedValues", values.finish());
    edit.put("outcome", outcome.finish());
}

/// The text which a quoted text gives.
fn constant_text(node: &Node) -> Node {
    match node.as_str().and_then(|text| Expression::parse(text).ok()).and_then(|e| e.as_constant()) {
        Some(Value::String(text)) => string(&text, node.place),
        _ => node.clone(),
    }
}

fn quoted_name(node: &Node) -> Node {
    match bare_name(node).as_str() {
        Some(name) => string(&quoted(name), node.place),
        None => node.clone(),
    }
}

/// A list of boards means all of them.
fn all_of(node: &Node) -> Node {
    match &node.kind {
        NodeKind::List(nodes) => match nodes.iter().map(|n| Some(quoted(n.as_str()?))).collect::<Option<Vec<String>>>()
        {
            Some(names) => string(&names.join(" && "), node.place),
            None => node.clone(),
        },
        NodeKind::String(name) if is_name(name) => quoted_name(node),
        _ => node.clone(),
    }
}

/// Whether a text is a bare name and no expression.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-' || c == '.')
}
