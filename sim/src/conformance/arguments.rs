//! The kinds `arguments`, `named-values` and `filewatch-order`: what an order gets when it is added, and which values it has.

use super::basics::rejected;
use super::engine_scope::{EngineScope, Surroundings};
use super::input::{member, need, read, text, time};
use super::matching::Matcher;
use super::verdict::{Cases, Difference, Fault, Verdict};
use super::{Kind, Vector, form_of};
use baton_workflow::id::ExternalOrderName;
use baton_workflow::json::{Json as _, Node};
use baton_workflow::model::preparation::OrderPreparation;
use baton_workflow::model::watch::FileWatch;
use baton_workflow::preparation::{prepare_arguments, with_constant_defaults};
use baton_workflow::problem::Checked;
use baton_workflow::scope::{file_order, file_pattern, named_values, v1_named_values};
use baton_workflow::value::{Fields, Value};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "arguments",
        members: &["orderPreparation", "scope", "cases"],
        case: &["arguments", "problem", "copied", "withDefaults"],
        check: arguments,
    },
    Kind {
        name: "named-values",
        members: &["scope", "cases"],
        case: &["namedValues", "v1CompatibleNamedValues"],
        check: values,
    },
    Kind {
        name: "filewatch-order",
        members: &["now", "cases"],
        case: &["fileWatch", "filename", "orderId", "planId", "priority", "problem"],
        check: file_orders,
    },
];

fn arguments(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let preparation: OrderPreparation = read(vector.node, "orderPreparation")?;
    let scope = EngineScope::read(need(vector.node, "scope")?)?;
    vector.each_case(cases, |case| {
        let given: Fields = read(case, "arguments")?;
        let prepared = || scope.with_added(|outer| prepare_arguments(Some(&preparation), &given, outer));
        if let Some(expected) = member(case, "problem") {
            return rejected(vector.matcher(), expected, prepared().map(Value::Object));
        }
        if let Some(expected) = member(case, "copied") {
            let copied = prepared().map_err(|problem| Difference::new("no problem", problem.message))?;
            compare(vector.matcher(), "copied", expected, copied)?;
        }
        if let Some(expected) = member(case, "withDefaults") {
            compare(vector.matcher(), "withDefaults", expected, with_constant_defaults(Some(&preparation), &given))?;
        }
        if member(case, "copied").is_none() && member(case, "withDefaults").is_none() {
            return Err(Fault::malformed("a case has one of problem, copied, withDefaults"));
        }
        Ok(())
    })
}

fn compare(matcher: Matcher, name: &str, expected: &Node, found: Fields) -> Verdict {
    Ok(matcher.value(expected, &Value::Object(found)).map_err(|difference| difference.within(name))?)
}

fn values(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let scope = EngineScope::read(need(vector.node, "scope")?)?;
    let (order, flow) = scope.order_and_flow()?;
    let preparation = flow.workflow().order_preparation.as_ref();
    vector.each_case(cases, |case| {
        let form = form_of(case, &["namedValues", "v1CompatibleNamedValues"])?;
        let found = match form {
            "namedValues" => named_values(&order, preparation),
            _ => v1_named_values(&order, preparation),
        };
        compare(vector.matcher(), form, need(case, form)?, found)
    })
}

fn file_orders(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let now = time(vector.node, "now")?;
    let surroundings = Surroundings::default();
    vector.each_case(cases, |case| {
        let watch: FileWatch = read(case, "fileWatch")?;
        let name = ExternalOrderName::new(text(case, "filename")?);
        let found: Checked<Value> =
            file_order(&watch, &file_pattern(&watch), &name, surroundings.host(), now).map(|order| {
                Value::object([
                    ("orderId", order.order_id.write()),
                    ("planId", order.plan_id.write()),
                    ("priority", order.priority.write()),
                ])
            });
        if let Some(expected) = member(case, "problem") {
            return rejected(vector.matcher(), expected, found);
        }
        let found = found.map_err(|problem| Difference::new("an order", problem.message))?;
        for name in ["orderId", "planId", "priority"] {
            vector.matcher().maybe(need(case, name)?, found.get(name)).map_err(|difference| difference.within(name))?;
        }
        Ok(())
    })
}
