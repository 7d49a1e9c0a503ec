//! The JSON Schema of documents, for editors: what the declarations of the items tell, and the names of the inventory.

use crate::json::Json as _;
use crate::json::schema::{self, Schemas};
use crate::model::item::Item;
use crate::model::workflow::Workflow;
use crate::value::{Name, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

/// Object or instruction, the controller's member, the inventory's names of it. A member which the inventory says in
/// another form, or may leave out, has no other name here.
type Alias = (&'static str, &'static str, &'static [&'static str]);

/// Members which are not required, because the inventory says them otherwise.
const ALIASES: &[Alias] = &[
    ("WorkflowJob", "agentPath", &["agentName", "agentId"]),
    ("WorkflowJob", "subagentBundleIdExpr", &["subagentClusterIdExpr", "subagentClusterId"]),
    ("WorkflowJob", "processLimit", &["taskLimit"]),
    ("WorkflowJob", "sigkillDelay", &["graceTimeout"]),
    ("WorkflowJob", "jobResourcePaths", &["jobResourceNames"]),
    ("Workflow", "path", &[]),
    ("Workflow", "jobResourcePaths", &["jobResourceNames"]),
    ("Workflow", "orderPreparation", &["orderRequirements"]),
    ("LockDemand", "lockPath", &["lockName"]),
    ("Lock", "path", &[]),
    ("JobResource", "path", &[]),
    ("JobResource", "variables", &["arguments"]),
    ("GlobalBoard", "path", &[]),
    ("GlobalBoard", "postOrderToNoticeKey", &["toNotice"]),
    ("GlobalBoard", "expectOrderToNoticeKey", &["readingOrderToNoticeId"]),
    ("PlannableBoard", "path", &[]),
    ("Calendar", "path", &[]),
    ("AgentRef", "path", &[]),
    ("PlanSchema", "id", &[]),
    ("SubagentItem", "id", &[]),
    ("SubagentBundle", "id", &[]),
    ("FileWatch", "path", &[]),
    ("FileWatch", "workflowPath", &["workflowName"]),
    ("FileWatch", "agentPath", &["agentName"]),
    ("FileWatch", "directoryExpr", &["directory"]),
    ("ForkList", "agentPath", &["agentName"]),
    ("ForkList", "children", &["subagentClusterId", "subagentClusterIdExpr"]),
    ("ForkList", "childToId", &[]),
    ("AddOrder", "workflowPath", &["workflowName"]),
    ("AddOrder", "orderId", &[]),
    ("AddOrder", "stopPositions", &["endPositions"]),
    ("AddOrder", "innerBlock", &["blockPosition"]),
    ("AddOrder", "deleteWhenTerminated", &["remainWhenTerminated"]),
    ("Lock", "demands", &[]),
    ("PostNotices", "boardPaths", &["noticeBoardNames"]),
    ("ExpectNotices", "boardPaths", &["noticeBoardNames"]),
    ("ConsumeNotices", "boardPaths", &["noticeBoardNames"]),
    ("Fail", "namedValues", &["outcome"]),
    ("StickySubagent", "agentPath", &["agentName"]),
    ("StickySubagent", "subagentBundleIdExpr", &["subagentClusterIdExpr", "subagentClusterId"]),
    ("If", "ifThens", &[]),
];

/// Instructions which only the inventory has, and older ones, with their members.
const FURTHER_INSTRUCTIONS: &[(&str, &str, &[&str])] = &[
    ("CaseWhen", "Executes the first block whose predicate is true.", &["cases", "else"]),
    ("Segment", "Groups instructions.", &["instructions"]),
    ("PostNotice", "Posts a notice.", &["noticeBoardName", "boardPath"]),
    ("ExpectNotice", "Waits for a notice.", &["noticeBoardName", "boardPath"]),
    ("ReadNotice", "Waits for a notice.", &["noticeBoardName", "boardPath"]),
];

/// The schema (draft 2020-12) of a document: an item, a list of items, or a workflow which does not say that it is one.
#[must_use]
pub fn schema() -> Value {
    let mut schemas = Schemas::default();
    let item = Item::schema(&mut schemas);
    let workflow = Workflow::schema(&mut schemas);
    schemas.alter(|name, definition| match name {
        "Instruction" => further_instructions(definition),
        "Item" => definition,
        _ => with_aliases(name, definition),
    });
    let untyped = Value::object([("not", Value::object([("required", Value::list([Value::from("TYPE")]))]))]);
    let list = Value::object([("type", Value::from("array")), ("items", item.clone())]);
    let untyped_workflow = Value::object([("allOf", Value::list([untyped, workflow]))]);
    let root = Value::object([("anyOf", Value::list([item, list, untyped_workflow]))]);
    schemas.document("Baton: workflows and other items", root)
}

fn members(value: &Value) -> BTreeMap<Name, Value> {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        _ => BTreeMap::new(),
    }
}

/// An object schema which also knows the inventory's names. What has another name or a default there is not required.
fn with_aliases(name: &str, definition: Value) -> Value {
    let mut schema = members(&definition);
    let mut properties = schema.get("properties").map(members).unwrap_or_default();
    let mut required: Vec<Value> = match schema.get("required") {
        Some(Value::List(required)) => required.to_vec(),
        _ => Vec::new(),
    };
    for (_, member, aliases) in ALIASES.iter().filter(|(n, _, _)| *n == name) {
        if !properties.contains_key(*member) {
            continue;
        }
        required.retain(|name| name.as_str() != Some(member));
        for alias in *aliases {
            let mut schema = properties.get(*member).map(members).unwrap_or_default();
            schema
                .insert("description".into(), Value::from(&*format!("Name of `{member}` in the cockpit's inventory.")));
            properties.insert((*alias).into(), Value::Object(schema.into_iter().collect()));
        }
    }
    if properties.is_empty() {
        return definition;
    }
    schema.insert("properties".into(), Value::Object(properties.into_iter().collect()));
    schema.remove("required");
    if !required.is_empty() {
        schema.insert("required".into(), Value::list(required));
    }
    Value::Object(schema.into_iter().collect())
}

fn further_instructions(definition: Value) -> Value {
    let mut schema = members(&definition);
    let Some(Value::List(variants)) = schema.get("oneOf") else { return definition };
    let mut all: Vec<Value> = variants.iter().map(|v| with_aliases(&type_name(v), v.clone())).collect();
    for (name, doc, names) in FURTHER_INSTRUCTIONS {
        let names = names.iter().map(|name| schema::Member {
            name,
            aliases: &[],
            doc: "As in the cockpit's inventory.".into(),
            schema: Value::object([]),
            required: false,
        });
        all.push(schema::object(doc, &[name], names.collect()));
    }
    schema.insert("oneOf".into(), Value::list(all));
    Value::Object(schema.into_iter().collect())
}

/// The `TYPE` of a variant.
fn type_name(variant: &Value) -> alloc::string::String {
    let properties = members(variant).get("properties").map(members).unwrap_or_default();
    let constant = properties.get("TYPE").map(members).unwrap_or_default();
    match (constant.get("const"), constant.get("enum")) {
        (Some(Value::String(name)), _) => (**name).into(),
        (_, Some(Value::List(names))) => names.first().and_then(Value::as_str).unwrap_or_default().into(),
        _ => "".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    use alloc::string::String;

    /// As much of a validator as this schema needs.
    fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
        let Value::Object(keywords) = schema else { return *schema == Value::Boolean(true) };
        let list = |value: &Value| match value {
            Value::List(values) => values.to_vec(),
            other => Vec::from([other.clone()]),
        };
        keywords.iter().all(|(keyword, argument)| match &**keyword {
            "$schema" | "title" | "$defs" | "description" | "uniqueItems" => true,
            "$ref" => {
                let name = argument.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                accepts(root, members(root)["$defs"].clone().get(name).unwrap(), value)
            }
            "allOf" => list(argument).iter().all(|s| accepts(root, s, value)),
            "anyOf" => list(argument).iter().any(|s| accepts(root, s, value)),
            "oneOf" => list(argument).iter().filter(|s| accepts(root, s, value)).count() == 1,
            "not" => !accepts(root, argument, value),
            "const" => argument == value,
            "enum" => list(argument).contains(value),
            "type" => list(argument).iter().any(|name| match name.as_str().unwrap() {
                "object" => matches!(value, Value::Object(_)),
                "array" => matches!(value, Value::List(_)),
                "string" => matches!(value, Value::String(_)),
                "number" | "integer" => matches!(value, Value::Number(_)),
                "boolean" => matches!(value, Value::Boolean(_)),
                other => panic!("unknown type {other}"),
            }),
            "required" => match value {
                Value::Object(fields) => list(argument).iter().all(|name| fields.get(name.as_str().unwrap()).is_some()),
                _ => true,
            },
            "properties" => match value {
                Value::Object(fields) => {
                    fields.iter().all(|(name, v)| members(argument).get(name).is_none_or(|s| accepts(root, s, v)))
                }
                _ => true,
            },
            "additionalProperties" => match value {
                Value::Object(fields) => fields.iter().all(|(_, v)| accepts(root, argument, v)),
                _ => true,
            },
            "items" => match value {
                Value::List(values) => values.iter().all(|v| accepts(root, argument, v)),
                _ => true,
            },
            other => panic!("unknown keyword {other}"),
        })
    }

    fn valid(text: &str) -> bool {
        let schema = schema();
        accepts(&schema, &schema, &parse(text).unwrap().to_value())
    }

    #[test]
    fn accepts_both_dialects() {
        for (name, controller, inventory) in crate::document::tests::dialects::PAIRS {
            assert!(valid(controller), "{name}");
            if inventory.contains("\"instructions\"") {
                assert!(valid(inventory), "{name}");
            }
        }
        assert!(valid(r#"[{"TYPE": "Lock", "path": "L"}]"#));
    }

    #[test]
    fn refuses_what_the_reader_refuses() {
        for text in [
            "7",
            r#"{"TYPE": "Worflow", "path": "W", "instructions": []}"#,
            r#"{"path": "W", "instructions": 3}"#,
            r#"{"path": "W", "instructions": [{"TYPE": "Nothing"}]}"#,
            r#"{"path": "W", "instructions": [{"TYPE": "Prompt"}]}"#,
            r#"{"path": "W", "instructions": [], "jobs": {"J": {"agentPath": "A"}}}"#,
        ] {
            assert!(!valid(text), "{text}");
            assert!(crate::document::tests::document("w.json", text).has_errors(), "{text}");
        }
    }

    #[test]
    fn describes_members() {
        let schema = schema();
        let definitions = members(&members(&schema)["$defs"]);
        let mut undescribed: Vec<String> = Vec::new();
        for (name, definition) in &definitions {
            for (member, schema) in definition.get("properties").map(members).unwrap_or_default() {
                if &*member != "TYPE" && schema.get("description").is_none() {
                    undescribed.push(format!("{name}.{member}"));
                }
            }
        }
        assert_eq!(undescribed, Vec::<String>::new());
        assert!(definitions.len() > 20);
    }
}
