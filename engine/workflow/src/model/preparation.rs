//! Which arguments the orders of a workflow have.

use crate::expression::Expression;
use crate::json::Doc;
use crate::json::Json;
use crate::json::schema::Schemas;
use crate::value::{Name, Value};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

crate::json_struct! {
    /// Which arguments the orders of a workflow have.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct OrderPreparation {
        /// The parameters by name.
        parameters: BTreeMap<Name, Parameter> => "parameters", default BTreeMap::new();
        /// Whether orders may have other arguments, too.
        allow_undeclared: bool => "allowUndeclared", default false;
    }
}

crate::json_struct! {
    /// A parameter: required, optional (with default), or final.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Parameter {
        /// The type of given values. Absent: any.
        value_type: Option<ValueType> => "type", default None;
        /// The value when none is given.
        default: Option<Expression> => "default", default None;
        /// The value; none may be given.
        fixed: Option<Expression> => "final", default None;
    }
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueType {
    /// Any value.
    Any,
    /// A text.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of elements of this type.
    List(Box<Self>),
    /// An object with exactly these fields.
    Object(BTreeMap<Name, Self>),
}

impl Json for ValueType {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let what = "a type: \"String\", \"Number\", \"Boolean\", \"Any\", or an object with TYPE List or Object";
        if let Some(name) = doc.node.as_str() {
            return match name {
                "String" => Some(Self::String),
                "Number" => Some(Self::Number),
                "Boolean" => Some(Self::Boolean),
                "Any" => Some(Self::Any),
                _ => doc.expected(what),
            };
        }
        match doc.node.get("TYPE").and_then(|t| t.as_str()) {
            Some("List") => Some(Self::List(Box::new(doc.object()?.required("elementType", &[])?))),
            Some("Object") => {
                let fields = doc.members(|name, member| {
                    if name == "TYPE" {
                        Some((Name::from(""), Self::Any))
                    } else {
                        Some((name.into(), Self::read(member)?))
                    }
                })?;
                Some(Self::Object(fields.into_iter().filter(|(name, _)| !name.is_empty()).collect()))
            }
            _ => doc.expected(what),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Any => Value::from("Any"),
            Self::String => Value::from("String"),
            Self::Number => Value::from("Number"),
            Self::Boolean => Value::from("Boolean"),
            Self::List(element) => Value::object([("TYPE", Value::from("List")), ("elementType", element.write())]),
            Self::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, t)| (name.clone(), t.write()))
                    .chain([("TYPE".into(), Value::from("Object"))])
                    .collect(),
            ),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        Value::object([("type", Value::list([Value::from("string"), Value::from("object")]))])
    }
}
