//! Items: what is deployed to a controller, and by it to agents.

use super::job::Expressions;
use super::key::ItemKey;
use super::notice::{GlobalBoard, PlannableBoard};
use super::plan::PlanSchema;
use super::watch::FileWatch;
use super::workflow::Workflow;
use crate::expression::Expression;
use crate::id::{
    AgentPath, CalendarPath, JobResourcePath, Label, LockPath, SubagentBundleId, SubagentId, WorkflowId, WorkflowPath,
};
use crate::json::schema::Schemas;
use crate::json::{Doc, Json, from_text, to_text};
use crate::position::Position;
use crate::problem::{Checked, Problem};
use crate::time::Duration;
use crate::value::Value;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::de::Error as _;

crate::json_struct! {
    /// A lock with a number of units.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Lock {
        /// Its path.
        path: LockPath => "path";
        /// How many units there are.
        limit: i32 => "limit", shown 1;
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
    check check_lock;
}

fn check_lock(lock: &Lock) -> Checked<()> {
    if lock.limit < 0 {
        return Err(Problem::new(format!("Lock:{}: limit must not be below 0, but is {}", lock.path, lock.limit)));
    }
    Ok(())
}

crate::json_struct! {
    /// Variables and environment shared by jobs.
    #[derive(Clone, Debug, PartialEq)]
    pub struct JobResource {
        /// Its path.
        path: JobResourcePath => "path";
        /// Values for expressions.
        variables: Expressions => "variables", default Expressions::new();
        /// Environment variables of processes.
        env: Expressions => "env", default Expressions::new();
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
}

crate::json_struct! {
    /// Derives an order's day from its id.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Calendar {
        /// Its path.
        path: CalendarPath => "path";
        /// When the day begins, after midnight.
        date_offset: Duration => "dateOffset", default Duration::ZERO;
        /// Regular expression for the whole order id, with one group: the date.
        order_id_pattern: String => "orderIdPattern", default String::from("#([^#]+)#.*");
        /// How the date is written.
        period_date_pattern: String => "periodDatePattern", default String::from("yyyy-MM-dd");
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
    check check_calendar;
}

fn check_calendar(calendar: &Calendar) -> Checked<()> {
    calendar.rules().compile().map(|_| ())
}

impl Calendar {
    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> crate::schedule::Calendar {
        crate::schedule::Calendar {
            date_offset: self.date_offset,
            order_id_pattern: self.order_id_pattern.as_str().into(),
            period_date_pattern: self.period_date_pattern.as_str().into(),
        }
    }
}

crate::json_struct! {
    /// An agent: a director or a pair of directors with their subagents.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AgentRef {
        /// Its path.
        path: AgentPath => "path";
        /// The subagents of the one or two directors.
        directors: Vec<SubagentId> => "directors", default Vec::new();
        /// Address of the director, in the form without subagents.
        uri: Option<String> => "uri", default None;
        /// How many processes may run at a time.
        process_limit: Option<u32> => "processLimit", default None;
        /// Whether a person must confirm the loss of a director before a fail-over.
        require_failover_confirmation: bool => "requireFailoverConfirmation", default false;
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
    check check_agent;
}

fn check_agent(agent: &AgentRef) -> Checked<()> {
    match (agent.directors.len(), &agent.uri) {
        (0, None) => Err(Problem::new("Missing Director")),
        (1 | 2, None) => super::check::unique("Subagent", agent.directors.iter()),
        (0, Some(_)) => Ok(()),
        (_, Some(_)) => Err(Problem::new("An agent has either directors or a uri, not both")),
        (n, None) => Err(Problem::new(format!("An agent has one or two directors, not {n}"))),
    }
}

crate::json_struct! {
    /// A subagent: runs processes for the director of an agent.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SubagentItem {
        /// Its id.
        id: SubagentId => "id";
        /// The agent it belongs to.
        agent_path: AgentPath => "agentPath";
        /// Its address.
        uri: String => "uri";
        /// Whether no new processes are started.
        disabled: bool => "disabled", default false;
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
}

crate::json_struct! {
    /// A cluster of subagents.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SubagentBundle {
        /// Its id.
        id: SubagentBundleId => "id";
        /// Priorities: the highest is taken, equal ones in turn. Missing or failing: not taken.
        subagent_to_priority: BTreeMap<SubagentId, Priority> => "subagentToPriority", default BTreeMap::new();
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
}

/// The priority of a subagent in a bundle: an expression which gives a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Priority(pub Expression);

impl Json for Priority {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match &doc.node.kind {
            crate::json::NodeKind::Number(number) => super::forms::parsed(doc, &number.to_string()).map(Self),
            _ => Expression::read(doc).map(Self),
        }
    }

    fn write(&self) -> Value {
        match self.0.as_constant() {
            Some(Value::Number(number)) => Value::Number(number.clone()),
            _ => self.0.write(),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        Value::object([("type", Value::list([Value::from("number"), Value::from("string")]))])
    }
}

crate::json_struct! {
    /// How a workflow is controlled, in all its versions. Made by the command ControlWorkflowPath.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WorkflowPathControl {
        /// The workflow.
        path: WorkflowPath => "path";
        /// Whether no order makes a step.
        suspended: bool => "suspended", default false;
        /// Labels of instructions to skip.
        skip: BTreeSet<Label> => "skip", default BTreeSet::new();
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
}

crate::json_struct! {
    /// How a workflow version is controlled. Made by the command ControlWorkflow.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WorkflowControl {
        /// The workflow version.
        id: WorkflowId => "id";
        /// Positions, normalized, where arriving orders are suspended.
        breakpoints: BTreeSet<Position> => "breakpoints", default BTreeSet::new();
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
}

macro_rules! items {
    ($($(#[doc = $doc:literal])* $variant:ident => $type_name:literal $(| $alias:literal)*, |$item:ident| $key:expr;)*) => {
        /// An item of any kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Item {
            $($(#[doc = $doc])* $variant(Arc<$variant>),)*
        }

        impl Item {
            /// Its key. A workflow's key names the version.
            #[must_use]
            pub fn key(&self) -> ItemKey {
                match self {
                    $(Self::$variant($item) => $key,)*
                }
            }

            /// Its `TYPE`.
            #[must_use]
            pub fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $type_name,)*
                }
            }

            /// Number of the change, given by the controller.
            #[must_use]
            pub fn revision(&self) -> Option<u32> {
                match self {
                    $(Self::$variant(item) => item.item_revision,)*
                }
            }

            /// This item with another revision number.
            #[must_use]
            pub fn with_revision(&self, revision: Option<u32>) -> Self {
                match self {
                    $(Self::$variant(item) => {
                        let mut item = (**item).clone();
                        item.item_revision = revision;
                        Self::$variant(Arc::new(item))
                    })*
                }
            }
        }

        impl Json for Item {
            fn read(doc: &Doc<'_>) -> Option<Self> {
                let type_name = doc.type_name()?;
                match type_name {
                    $($type_name $(| $alias)* => Json::read(doc).map(Self::$variant),)*
                    _ => doc.unknown_type(type_name, &[$($type_name),*]),
                }
            }

            fn write(&self) -> Value {
                let fields = match self {
                    $(Self::$variant(item) => item.write(),)*
                };
                match fields {
                    Value::Object(fields) => Value::Object(
                        fields
                            .iter()
                            .map(|(n, v)| (n.clone(), v.clone()))
                            .chain([("TYPE".into(), Value::from(self.type_name()))])
                            .collect(),
                    ),
                    other => other,
                }
            }

            fn schema(schemas: &mut Schemas) -> Value {
                schemas.define("Item", |schemas| {
                    let items = [$(
                        Value::object([("allOf", Value::list([
                            Value::object([
                                ("properties", Value::object([
                                    ("TYPE", Value::object([("enum", Value::list(
                                        [Value::from($type_name) $(, Value::from($alias))*],
                                    ))])),
                                ])),
                                ("required", Value::list([Value::from("TYPE")])),
                            ]),
                            $variant::schema(schemas),
                        ]))]),
                    )*];
                    Value::object([("oneOf", Value::list(items))])
                })
            }
        }
    };
}

items! {
    /// A workflow.
    Workflow => "Workflow", |item| ItemKey::WorkflowVersion(item.id());
    /// A lock.
    Lock => "Lock", |item| ItemKey::Lock(item.path.clone());
    /// A board for all plans.
    GlobalBoard => "GlobalBoard" | "Board", |item| ItemKey::Board(item.path.clone());
    /// A board for each plan.
    PlannableBoard => "PlannableBoard", |item| ItemKey::Board(item.path.clone());
    /// A plan schema.
    PlanSchema => "PlanSchema", |item| ItemKey::PlanSchema(item.id.clone());
    /// A job resource.
    JobResource => "JobResource", |item| ItemKey::JobResource(item.path.clone());
    /// A calendar.
    Calendar => "Calendar", |item| ItemKey::Calendar(item.path.clone());
    /// An agent.
    AgentRef => "AgentRef", |item| ItemKey::Agent(item.path.clone());
    /// A subagent.
    SubagentItem => "SubagentItem" | "SubagentRef", |item| ItemKey::Subagent(item.id.clone());
    /// A cluster of subagents.
    SubagentBundle => "SubagentBundle" | "SubagentSelection", |item| ItemKey::SubagentBundle(item.id.clone());
    /// A file watch.
    FileWatch => "FileWatch", |item| ItemKey::OrderWatch(item.path.clone());
    /// How a workflow is controlled.
    WorkflowPathControl => "WorkflowPathControl", |item| ItemKey::WorkflowPathControl(item.path.clone());
    /// How a workflow version is controlled.
    WorkflowControl => "WorkflowControl", |item| ItemKey::WorkflowControl(item.id.clone());
}

/// In records, an item is its JSON text: workflows nest, and records must not.
impl serde::Serialize for Item {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_text(self))
    }
}

impl<'de> serde::Deserialize<'de> for Item {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        from_text(&text).map_err(D::Error::custom)
    }
}
