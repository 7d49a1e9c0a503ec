//! What kind of item an object is, when it does not say so itself in the controller's words.

use crate::json::{Doc, Node, NodeKind};
use alloc::format;
use alloc::string::String;

/// Kinds of objects in documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Workflow,
    Lock,
    GlobalBoard,
    PlannableBoard,
    PlanSchema,
    JobResource,
    Calendar,
    AgentRef,
    SubagentItem,
    SubagentBundle,
    FileWatch,
    WorkflowPathControl,
    WorkflowControl,
    IncludeScript,
    Schedule,
    DayCalendar,
    JobTemplate,
    Report,
    Folder,
}

/// Names of the kinds, lower case. The first of a kind which is an item is its `TYPE`, apart from the case.
const NAMES: &[(&str, Kind, &str)] = &[
    ("workflow", Kind::Workflow, "Workflow"),
    ("lock", Kind::Lock, "Lock"),
    ("globalboard", Kind::GlobalBoard, "GlobalBoard"),
    ("board", Kind::GlobalBoard, "GlobalBoard"),
    ("noticeboard", Kind::GlobalBoard, "GlobalBoard"),
    ("plannableboard", Kind::PlannableBoard, "PlannableBoard"),
    ("planschema", Kind::PlanSchema, "PlanSchema"),
    ("jobresource", Kind::JobResource, "JobResource"),
    ("calendar", Kind::Calendar, "Calendar"),
    ("agentref", Kind::AgentRef, "AgentRef"),
    ("subagentitem", Kind::SubagentItem, "SubagentItem"),
    ("subagentref", Kind::SubagentItem, "SubagentItem"),
    ("subagentbundle", Kind::SubagentBundle, "SubagentBundle"),
    ("subagentselection", Kind::SubagentBundle, "SubagentBundle"),
    ("filewatch", Kind::FileWatch, "FileWatch"),
    ("fileordersource", Kind::FileWatch, "FileWatch"),
    ("workflowpathcontrol", Kind::WorkflowPathControl, "WorkflowPathControl"),
    ("workflowcontrol", Kind::WorkflowControl, "WorkflowControl"),
    ("includescript", Kind::IncludeScript, "IncludeScript"),
    ("schedule", Kind::Schedule, "Schedule"),
    ("workingdayscalendar", Kind::DayCalendar, "WorkingDaysCalendar"),
    ("nonworkingdayscalendar", Kind::DayCalendar, "NonWorkingDaysCalendar"),
    ("jobtemplate", Kind::JobTemplate, "JobTemplate"),
    ("report", Kind::Report, "Report"),
    ("folder", Kind::Folder, "Folder"),
];

/// Members which only one kind has, for objects without `TYPE`.
const TELLING: &[(&str, Kind)] = &[
    ("instructions", Kind::Workflow),
    ("boardType", Kind::GlobalBoard),
    ("postOrderToNoticeKey", Kind::GlobalBoard),
    ("postOrderToNoticeId", Kind::GlobalBoard),
    ("toNotice", Kind::GlobalBoard),
    ("unknownPlanIsOpenFunction", Kind::PlanSchema),
    ("directoryExpr", Kind::FileWatch),
    ("directory", Kind::FileWatch),
    ("subagentToPriority", Kind::SubagentBundle),
    ("orderIdPattern", Kind::Calendar),
    ("directors", Kind::AgentRef),
    ("variables", Kind::JobResource),
];

impl Kind {
    fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        NAMES.iter().find(|(n, _, _)| *n == name).map(|(_, kind, _)| *kind)
    }

    /// The `TYPE`, as the controller says it.
    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, kind, _)| *kind == self).map_or("item", |(_, _, name)| *name)
    }

    /// Whether the engine has no such item.
    pub(super) fn is_of_the_cockpit_only(self) -> bool {
        matches!(
            self,
            Self::IncludeScript | Self::Schedule | Self::DayCalendar | Self::JobTemplate | Self::Report | Self::Folder
        )
    }
}

/// An object whose kind is known.
pub(super) struct Found<'a> {
    /// The object which has the members of the item.
    pub(super) node: &'a Node,
    pub(super) kind: Kind,
    /// What tells that it comes from the cockpit, besides its members' names.
    pub(super) sign_of_the_cockpit: Option<&'static str>,
    /// The item's name, where it is not a member of the item itself: from the surrounding object or from the file.
    pub(super) name: Option<String>,
}

/// Sees what an object is. Only the single object of a file is what the file's name says.
pub(super) fn recognize<'a>(node: &'a Node, file: &str, is_alone: bool) -> Option<Found<'a>> {
    // What the cockpit exports and stores: {"objectType": …, "path": …, "configuration": {…}}
    let (body, stated) = match (node.get("configuration"), node.get("objectType")) {
        (Some(body @ Node { kind: NodeKind::Object(_), .. }), Some(stated)) => (body, Some(stated)),
        _ => (node, node.get("TYPE")),
    };
    let (stem, ending) = if is_alone { file_name(file) } else { (None, None) };
    let own_name =
        |node: &Node| ["path", "id", "name"].iter().find_map(|member| Some(String::from(node.get(member)?.as_str()?)));
    let name = own_name(node).or_else(|| own_name(body)).or(stem);
    let kind = match stated {
        Some(stated) => Kind::named(stated.as_str()?)?,
        None => match ending {
            Some(kind) => kind,
            None => TELLING.iter().find(|(member, _)| body.get(member).is_some()).map(|(_, kind)| *kind)?,
        },
    };
    let is_stated = |name: &str| stated.and_then(Node::as_str).is_some_and(|stated| stated.eq_ignore_ascii_case(name));
    let sign_of_the_cockpit = if !core::ptr::eq(body, node) {
        Some("objectType")
    } else if kind == Kind::JobResource && body.get("arguments").is_some() {
        Some("arguments")
    } else {
        ["FileOrderSource", "NoticeBoard"].into_iter().find(|name| is_stated(name))
    };
    Some(Found { node: body, kind, sign_of_the_cockpit, name })
}

/// Name and kind which a file name tells: `NAME.workflow.json`.
fn file_name(file: &str) -> (Option<String>, Option<Kind>) {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = [".json", ".yaml", ".yml"].iter().find_map(|ending| base.strip_suffix(ending)).unwrap_or(base);
    let (name, kind) = match stem.rsplit_once('.') {
        Some((name, kind)) => match Kind::named(kind) {
            Some(kind) => (name, Some(kind)),
            None => (stem, None),
        },
        None => (stem, None),
    };
    let name = (!name.is_empty() && name != "-").then(|| String::from(name));
    (name, kind)
}

/// Reports that an object is of no known kind.
pub(super) fn refuse<T>(doc: &Doc<'_>) -> Option<T> {
    let known = [
        "Workflow",
        "Lock",
        "GlobalBoard",
        "PlannableBoard",
        "PlanSchema",
        "JobResource",
        "Calendar",
        "AgentRef",
        "SubagentItem",
        "SubagentBundle",
        "FileWatch",
        "FileOrderSource",
        "NoticeBoard",
        "IncludeScript",
    ];
    match doc.node.get("objectType").or_else(|| doc.node.get("TYPE")) {
        Some(node) => match node.as_str() {
            Some(name) => doc.unknown_type(name, &known),
            None => doc.member("TYPE", node).expected("a type name (a string)"),
        },
        None => doc.fail(crate::problem::Problem::new(format!(
            "member 'TYPE' is missing, and nothing else tells what this is; known are: {}",
            known.join(", ")
        ))),
    }
}
