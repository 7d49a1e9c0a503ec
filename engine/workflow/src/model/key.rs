//! Keys of items, as text: `Lock:A`, `Workflow:W~1`.

use crate::id::{
    AgentPath, BoardPath, CalendarPath, JobResourcePath, LockPath, OrderWatchPath, PlanSchemaId, SubagentBundleId,
    SubagentId, VersionId, WorkflowId, WorkflowPath,
};
use crate::json::basic::Text;
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json};
use crate::problem::{Checked, Problem};
use crate::value::Value;
use alloc::format;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use core::fmt;

macro_rules! item_keys {
    ($($(#[doc = $doc:literal])* $variant:ident($type:ty) => $prefix:literal $(| $alias:literal)*;)*) => {
        /// Identifies an item, of whatever kind. For workflows the path without version.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum ItemKey {
            $($(#[doc = $doc])* $variant($type),)*
            /// A workflow in a version.
            WorkflowVersion(WorkflowId),
            /// The control (breakpoints) of a workflow version.
            WorkflowControl(WorkflowId),
        }

        impl fmt::Display for ItemKey {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(name) => write!(f, "{}:{name}", $prefix),)*
                    Self::WorkflowVersion(id) => write!(f, "Workflow:{id}"),
                    Self::WorkflowControl(id) => write!(f, "WorkflowControl:{id}"),
                }
            }
        }

        impl ItemKey {
            /// Reads a key.
            ///
            /// # Errors
            /// Unknown kind of item, invalid name.
            pub fn parse(text: &str) -> Checked<Self> {
                let Some((kind, name)) = text.split_once(':') else {
                    return Err(Problem::new(format!("Not an item key: {text}; one looks like Lock:NAME")));
                };
                match (kind, name.split_once('~')) {
                    ("Workflow", Some((path, version))) => Ok(Self::WorkflowVersion(workflow_id(path, version)?)),
                    ("WorkflowControl", Some((path, version))) => Ok(Self::WorkflowControl(workflow_id(path, version)?)),
                    $(($prefix $(| $alias)*, _) => Ok(Self::$variant(<$type>::checked(name)?)),)*
                    _ => Err(Problem::new(format!("Unknown kind of item '{kind}' in key {text}"))),
                }
            }

            /// The name without the kind.
            #[must_use]
            pub fn name(&self) -> Arc<str> {
                match self {
                    $(Self::$variant(name) => name.to_arc(),)*
                    Self::WorkflowVersion(id) | Self::WorkflowControl(id) => id.to_string().into(),
                }
            }

            /// The kind of item, as in keys.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $prefix,)*
                    Self::WorkflowVersion(_) => "Workflow",
                    Self::WorkflowControl(_) => "WorkflowControl",
                }
            }
        }
    };
}

item_keys! {
    /// A workflow, all its versions.
    Workflow(WorkflowPath) => "Workflow";
    /// The control (suspension, skipped labels) of a workflow, all its versions.
    WorkflowPathControl(WorkflowPath) => "WorkflowPathControl";
    /// A lock.
    Lock(LockPath) => "Lock";
    /// A notice board.
    Board(BoardPath) => "Board";
    /// A plan schema.
    PlanSchema(PlanSchemaId) => "PlanSchema";
    /// A job resource.
    JobResource(JobResourcePath) => "JobResource";
    /// A calendar.
    Calendar(CalendarPath) => "Calendar";
    /// An agent.
    Agent(AgentPath) => "Agent" | "AgentRef";
    /// A subagent.
    Subagent(SubagentId) => "Subagent" | "SubagentItem";
    /// A subagent bundle.
    SubagentBundle(SubagentBundleId) => "SubagentBundle" | "SubagentSelection";
    /// A file watch.
    OrderWatch(OrderWatchPath) => "OrderWatch" | "FileWatch";
}

fn workflow_id(path: &str, version: &str) -> Checked<WorkflowId> {
    Ok(WorkflowId { path: WorkflowPath::checked(path)?, version_id: VersionId::checked(version)? })
}

impl Text for ItemKey {
    fn from_json_text(text: &str) -> Checked<Self> {
        Self::parse(text)
    }

    fn to_json_text(&self) -> Arc<str> {
        self.to_string().into()
    }
}

impl Json for ItemKey {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match Self::parse(doc.string()?) {
            Ok(key) => Some(key),
            Err(problem) => doc.fail(problem),
        }
    }

    fn write(&self) -> Value {
        Value::String(self.to_json_text())
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("string")
    }
}
