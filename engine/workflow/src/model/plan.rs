//! Plans: what belongs together, like the orders and notices of a day.

use crate::expression::function::ExprFunction;
use crate::id::{PlanKey, PlanSchemaId};
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json, NodeKind};
use crate::time::{Duration, Timestamp};
use crate::value::{Fields, Value};
use core::fmt;

/// Identifies a plan. Orders which belong to no other plan belong to the global one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum PlanId {
    /// The plan which is always there and open.
    #[default]
    Global,
    /// A plan of a plan schema.
    Of(PlanSchemaId, PlanKey),
}

impl PlanId {
    /// Whether this is the global plan.
    #[must_use]
    pub fn is_global(&self) -> bool {
        *self == Self::Global
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("Plan:Global"),
            Self::Of(schema, key) => write!(f, "Plan:{schema}╱{key}"),
        }
    }
}

impl Json for PlanId {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let NodeKind::List(parts) = &doc.node.kind else {
            return doc.expected("a plan: [] or [\"schema\", \"key\"]");
        };
        match parts.as_slice() {
            [] => Some(Self::Global),
            [schema, key] => {
                let schema = PlanSchemaId::read(&doc.element(0, schema));
                let key = PlanKey::read(&doc.element(1, key));
                Some(Self::Of(schema?, key?))
            }
            _ => doc.expected("a plan: [] or [\"schema\", \"key\"]"),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Global => Value::list([]),
            Self::Of(schema, key) => Value::list([schema.write(), key.write()]),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("array")
    }
}

/// Whether a plan takes orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PlanStatus {
    /// Takes orders.
    Open,
    /// Takes no more orders from outside; those it has go on.
    Closed,
    /// Closed, and its last order has been deleted.
    Finished {
        /// Since when.
        at: Timestamp,
    },
    /// Forgotten.
    Deleted,
}

impl fmt::Display for PlanStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Closed => "Closed",
            Self::Finished { .. } => "Finished",
            Self::Deleted => "Deleted",
        })
    }
}

impl Json for PlanStatus {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match doc.node.as_str() {
            Some("Open") => Some(Self::Open),
            Some("Closed") => Some(Self::Closed),
            Some("Deleted") => Some(Self::Deleted),
            None if doc.node.get("TYPE").and_then(|t| t.as_str()) == Some("Finished") => {
                let object = doc.object()?;
                Some(Self::Finished { at: object.required("at", &[])? })
            }
            _ => {
                doc.expected("a plan status: \"Open\", \"Closed\", \"Deleted\" or {\"TYPE\": \"Finished\", \"at\": …}")
            }
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Open => Value::from("Open"),
            Self::Closed => Value::from("Closed"),
            Self::Deleted => Value::from("Deleted"),
            Self::Finished { at } => Value::object([("TYPE", Value::from("Finished")), ("at", at.write())]),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("string")
    }
}

crate::json_struct! {
    /// Rules for plans of one kind.
    #[derive(Clone, Debug, PartialEq)]
    pub struct PlanSchema {
        /// Its id.
        id: PlanSchemaId => "id";
        /// Whether a plan which was never mentioned is open: a function of the plan key.
        unknown_plan_is_open_function: ExprFunction => "unknownPlanIsOpenFunction";
        /// Values which the function sees.
        named_values: Fields => "namedValues", default Fields::default();
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
    check check_plan_schema;
    rewrite super::legacy::plan_schema;
}

fn check_plan_schema(schema: &PlanSchema) -> crate::problem::Checked<()> {
    if schema.id.as_str() == "Global" {
        return Err(crate::problem::Problem::new("PlanSchema:Global is built in and cannot be changed"));
    }
    schema.unknown_plan_is_open_function.restrict("unknownPlanIsOpenFunction", 1, 1).map(|_| ())
}

crate::json_union! {
    /// What happens to a plan.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum PlanEvent {
        /// It is open again.
        PlanOpened => "PlanOpened";
        /// It takes no more orders from outside.
        PlanClosed => "PlanClosed";
        /// The last order of the closed plan is gone.
        PlanFinished => "PlanFinished" {
            /// When.
            at: Timestamp => "at";
        };
        /// It is forgotten, with its notices.
        PlanDeleted => "PlanDeleted";
    }
}

crate::json_union! {
    /// What happens to a plan schema.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum PlanSchemaEvent {
        /// Values were changed.
        PlanSchemaChanged => "PlanSchemaChanged" {
            /// How long finished plans are kept.
            finished_plan_retention_period: Option<Duration> => "finishedPlanRetentionPeriod", default None;
            /// The new values which the schema's function sees.
            named_values: Option<Fields> => "namedValues", default None;
        };
    }
}
