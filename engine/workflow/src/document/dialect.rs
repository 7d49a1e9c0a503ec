//! Whose names a document uses.

use super::Dialect;
use super::kind::Found;
use crate::json::{Doc, Node, NodeKind};
use alloc::format;

/// Names which only the inventory has.
const INVENTORY: &[&str] = &[
    "agentName",
    "agentId",
    "subagentClusterId",
    "subagentClusterIdExpr",
    "withSubagentClusterIdExpr",
    "taskLimit",
    "graceTimeout",
    "jobResourceNames",
    "criticality",
    "warnIfShorter",
    "warnIfLonger",
    "warnOnErrWritten",
    "jobTemplate",
    "orderRequirements",
    "workflowName",
    "remainWhenTerminated",
    "endPositions",
    "blockPosition",
    "lockName",
    "lockId",
    "noticeBoardName",
    "noticeBoardNames",
    "subagentIdVariable",
    "unsuccessful",
    "cases",
    "listParameters",
    "boardType",
    "toNotice",
    "readingOrderToNoticeId",
    "objectType",
    "dayOffset",
];

/// Names which only the controller has.
const CONTROLLER: &[&str] = &[
    "agentPath",
    "subagentBundleIdExpr",
    "subagentBundleId",
    "sigkillDelay",
    "jobResourcePaths",
    "workflowPath",
    "deleteWhenTerminated",
    "stopPositions",
    "innerBlock",
    "forceAdmission",
    "lockPath",
    "boardPath",
    "boardPaths",
    "ifThens",
    "namedValues",
    "versionId",
    "postOrderToNoticeKey",
    "expectOrderToNoticeKey",
    "directoryExpr",
];

/// Members whose names are free: names in them tell nothing.
const FREE: &[&str] = &[
    "arguments",
    "defaultArguments",
    "env",
    "variables",
    "namedValues",
    "jobArguments",
    "outcome",
    "result",
    "notification",
    "default",
    "final",
];

/// Members whose own names are free, but not those of their values.
const NAMED: &[&str] = &["jobs", "parameters", "listParameters"];

/// The dialect of an item: the demanded one, or the one whose names it uses. With names of both, texts are read as the
/// controller does, where both would be possible.
pub(super) fn choose(found: &Found<'_>, demanded: Option<Dialect>, doc: &Doc<'_>) -> Chosen {
    if let Some(dialect) = demanded {
        return match dialect {
            Dialect::Controller => Chosen { renames: false, quotes: false },
            Dialect::Inventory => Chosen { renames: true, quotes: true },
        };
    }
    let mut seen = Seen { inventory: found.sign_of_the_cockpit, controller: None };
    seen.look(found.node);
    match (seen.inventory, seen.controller) {
        (None, _) => Chosen { renames: true, quotes: false },
        (Some(_), None) => Chosen { renames: true, quotes: true },
        (Some(inventory), Some(controller)) => {
            doc.warn(format!(
                "uses names of the inventory ('{inventory}') and of the controller ('{controller}'): texts which may be \
                 expressions are read as expressions"
            ));
            Chosen { renames: true, quotes: false }
        }
    }
}

/// What is done with the inventory's forms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    /// They are turned into those of the controller.
    pub(super) renames: bool,
    /// Texts where the controller has expressions are quoted when they do not look like one, and members which the
    /// controller needs get the cockpit's defaults.
    pub(super) quotes: bool,
}

struct Seen {
    inventory: Option<&'static str>,
    controller: Option<&'static str>,
}

impl Seen {
    /// Recursion is bounded by the nesting limit of documents.
    fn look(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::List(nodes) => nodes.iter().for_each(|node| self.look(node)),
            NodeKind::Object(members) => {
                for (name, _, value) in members {
                    let find = |names: &[&'static str]| names.iter().find(|n| ***n == **name).copied();
                    self.inventory = self.inventory.or_else(|| find(INVENTORY));
                    self.controller = self.controller.or_else(|| find(CONTROLLER));
                    if NAMED.contains(&&**name) {
                        if let NodeKind::Object(named) = &value.kind {
                            named.iter().for_each(|(_, _, value)| self.look(value));
                        }
                    } else if !FREE.contains(&&**name) {
                        self.look(value);
                    }
                }
            }
            NodeKind::Null | NodeKind::Boolean(_) | NodeKind::Number(_) | NodeKind::String(_) => {}
        }
    }
}
