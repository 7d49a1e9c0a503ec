//! The order which a file watch makes of a file.

use super::Host;
use crate::decimal::Decimal;
use crate::expression::evaluation::Evaluation;
use crate::expression::pattern::Pattern;
use crate::expression::scope::{EnvScope, NowScope, Scope, Scopes};
use crate::id::{ExternalOrderName, OrderId, OrderWatchPath, PlanKey, PlanSchemaId};
use crate::model::order::ExternalOrderKey;
use crate::model::plan::PlanId;
use crate::model::watch::{DEFAULT_PATTERN, FileWatch};
use crate::problem::{Checked, Problem};
use crate::time::Timestamp;
use crate::value::Value;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

/// What is derived from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileOrder {
    /// Id of the order.
    pub order_id: OrderId,
    /// Its plan.
    pub plan_id: PlanId,
    /// Its priority.
    pub priority: Decimal,
}

/// The names of the files which a watch takes.
#[must_use]
pub fn file_pattern(watch: &FileWatch) -> Pattern {
    Pattern::new(watch.pattern.as_deref().unwrap_or(DEFAULT_PATTERN).into())
}

/// The order for a file. `pattern` is [`file_pattern`] of the watch.
///
/// # Errors
/// `FileWatchPatternDoesntMatch`; the expression fails or gives something else than `orderId`, `planId` and `priority`.
pub fn file_order(
    watch: &FileWatch,
    pattern: &Pattern,
    name: &ExternalOrderName,
    host: Host<'_>,
    now: Timestamp,
) -> Checked<FileOrder> {
    let Some(groups) = pattern.groups(name.as_str())? else {
        return Err(Problem::coded(
            "FileWatchPatternDoesntMatch",
            [("orderWatchPath", watch.path.to_string()), ("externalOrderName", name.to_string())],
            format!(
                "The file name '{name}' does not match the pattern {} of FileWatch:{}",
                pattern.source(),
                watch.path
            ),
        ));
    };
    let file = FileScope { path: &watch.path, groups };
    let scope = Scopes(&[&file, &EnvScope(host.env), &NowScope { now, zone: host.zone }]);
    let described = match (&watch.order_expr, &watch.order_id_expression) {
        (Some(expression), _) => match expression.eval(&scope)? {
            object @ Value::Object(_) => object,
            other => return Err(wrong(watch, &format!("gives a {}, not an object", other.type_name()))),
        },
        (None, Some(expression)) => Value::object([("orderId", Value::String(expression.eval_to_string(&scope)?))]),
        (None, None) => Value::object([]),
    };
    Ok(FileOrder {
        order_id: match described.get("orderId") {
            None | Some(Value::Missing) => {
                ExternalOrderKey { order_watch_path: watch.path.clone(), name: name.clone() }.default_order_id()
            }
            Some(Value::String(id)) => OrderId::given(id)?,
            Some(_) => return Err(wrong(watch, "gives an orderId which is no text")),
        },
        plan_id: match described.get("planId") {
            None | Some(Value::Missing) => PlanId::Global,
            Some(value) => plan_id(value)?.ok_or_else(|| wrong(watch, "gives a planId which is not [schema, key]"))?,
        },
        priority: match described.get("priority") {
            None | Some(Value::Missing) => Decimal::ZERO,
            Some(Value::Number(priority)) => priority.clone(),
            Some(_) => return Err(wrong(watch, "gives a priority which is no number")),
        },
    })
}

fn plan_id(value: &Value) -> Checked<Option<PlanId>> {
    let Value::List(parts) = value else {
        return Ok(None);
    };
    match &**parts {
        [] => Ok(Some(PlanId::Global)),
        [Value::String(schema), Value::String(key)] => {
            Ok(Some(PlanId::Of(PlanSchemaId::checked(schema)?, PlanKey::checked(key)?)))
        }
        _ => Ok(None),
    }
}

fn wrong(watch: &FileWatch, what: &str) -> Problem {
    Problem::new(format!("The orderExpr of FileWatch:{} {what}", watch.path))
}

/// `$0`, `$1`, …, `$orderWatchPath`
struct FileScope<'a> {
    path: &'a OrderWatchPath,
    /// Matched groups, the whole name first. A group which takes no part in the match is empty.
    groups: Vec<Option<&'a str>>,
}

impl Scope for FileScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        if name == "orderWatchPath" {
            return Some(Ok(Value::String(self.path.to_arc())));
        }
        let group = self.groups.get(name.parse::<usize>().ok()?)?;
        Some(Ok(Value::string(group.unwrap_or(""))))
    }
}
