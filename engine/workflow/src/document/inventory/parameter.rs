//! Parameters of orders: the inventory knows lists of rows (`List` with `listParameters`) and maps.

use super::Rewriter;
use super::edit::{Edit, map_values, string};
use super::quoting::value_as_expression;
use crate::json::Node;

impl Rewriter<'_> {
    pub(super) fn order_preparation(&self, node: &Node) -> Node {
        let Some(mut edit) = Edit::of(node) else { return node.clone() };
        edit.map("parameters", |parameters| map_values(parameters, |parameter| self.parameter(parameter)));
        edit.finish()
    }

    fn parameter(&self, node: &Node) -> Node {
        let Some(mut edit) = Edit::of(node) else { return node.clone() };
        if let Some(value_type) = value_type(&edit) {
            edit.put("type", value_type);
        }
        // Choices and patterns are checked by the cockpit.
        edit.drop(&["listParameters", "mapParameters", "facet", "list", "message", "title"]);
        if self.quotes {
            edit.map("default", value_as_expression);
            edit.map("final", value_as_expression);
        }
        edit.finish()
    }
}

/// The controller's type of a `List` or `Map`. Other types are the same in both dialects.
fn value_type(parameter: &Edit<'_>) -> Option<Node> {
    let stated = parameter.get("type")?;
    let place = stated.place;
    let fields = parameter.get("listParameters").or_else(|| parameter.get("mapParameters"));
    let object = || {
        let mut object = match fields.and_then(Edit::of) {
            Some(mut object) => {
                for name in fields.map(names).unwrap_or_default() {
                    object.map(&name, |field| {
                        let stated = field.get("type").cloned().unwrap_or_else(|| string("Any", field.place));
                        Edit::of(field).and_then(|field| value_type(&field)).unwrap_or(stated)
                    });
                }
                object
            }
            None => Edit::empty(place),
        };
        object.put_text("TYPE", "Object", place);
        object.finish()
    };
    match stated.as_str()? {
        "List" => {
            let mut list = Edit::empty(place);
            list.put_text("TYPE", "List", place);
            list.put("elementType", if fields.is_some() { object() } else { string("Any", place) });
            Some(list.finish())
        }
        "Map" => Some(object()),
        _ => None,
    }
}

fn names(node: &Node) -> alloc::vec::Vec<alloc::sync::Arc<str>> {
    match &node.kind {
        crate::json::NodeKind::Object(members) => members.iter().map(|(name, _, _)| name.clone()).collect(),
        _ => alloc::vec::Vec::new(),
    }
}
