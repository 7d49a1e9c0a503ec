//! What an expression sees: scopes, and the pieces they are composed of.
//!
//! [`Scopes`] joins scopes: the first one that knows a name wins. The pieces hold plain data, or borrow it. Which of them are
//! joined for an instruction, a process or an order to be added is decided by whoever evaluates.

use super::date_format::{self, Zone};
use super::evaluation::{Evaluation, Failure};
use super::{Argument, Expression, Origin};
use crate::problem::{Checked, Problem};
use crate::schedule::TimeZone;
use crate::time::Timestamp;
use crate::value::{Fields, Name, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

/// Most numbers which `uniqueOrderId` tries.
pub const MAX_UNIQUE_TRIES: u32 = 100_000;

/// Knows the names in an expression. Every method returns `None` when this scope does not know the name. What a scope
/// evaluates to answer, it evaluates with the [`Evaluation`] it is given, so that effort and nesting stay bounded.
pub trait Scope {
    /// The value of `$name`.
    fn named_value(&self, _name: &str, _evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        None
    }

    /// The value of `argument(name)`.
    fn argument(&self, _name: &str, _evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        None
    }

    /// The value of `variable(name, label=…)` or `variable(name, job=…)`; the origin is never [`Origin::Any`].
    fn historic_value(
        &self,
        _origin: &Origin,
        _name: &str,
        _evaluation: &mut Evaluation<'_>,
    ) -> Option<Checked<Value>> {
        None
    }

    /// The value of `JobResource:path:variable`, or of `JobResource:path`, which is an object of all its variables.
    fn job_resource(
        &self,
        _path: &str,
        _variable: Option<&str>,
        _evaluation: &mut Evaluation<'_>,
    ) -> Option<Checked<Value>> {
        None
    }

    /// The result of a function; or the value of a symbol, which is called without arguments.
    fn call(&self, _call: &Call<'_>, _evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        None
    }
}

/// A call of a function or symbol which is not part of the language itself.
pub struct Call<'a> {
    name: &'a str,
    arguments: &'a [Argument],
}

impl<'a> Call<'a> {
    pub(super) fn new(name: &'a str, arguments: &'a [Argument]) -> Self {
        Self { name, arguments }
    }

    /// The name of the function or symbol.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Whether there are no arguments, as with a symbol.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.arguments.is_empty()
    }

    /// The argument with this keyword, or else the one at this place (from 0), not yet evaluated.
    #[must_use]
    pub fn argument(&self, index: usize, keyword: &str) -> Option<&'a Expression> {
        let by_name = self.arguments.iter().find(|argument| argument.keyword.as_deref() == Some(keyword));
        let by_place = || self.arguments.get(index).filter(|argument| argument.keyword.is_none());
        by_name.or_else(by_place).map(|argument| &argument.value)
    }

    /// Fails if there are more arguments, or keywords other than these.
    pub fn accept(&self, count: usize, keywords: &[&str]) -> Checked<()> {
        if self.arguments.len() > count {
            let given = self.arguments.len();
            return Err(Problem::new(format!("{} has at most {count} arguments, not {given}", self.name)));
        }
        let unknown = self.arguments.iter().flat_map(|a| &a.keyword).find(|keyword| !keywords.contains(&&***keyword));
        match unknown {
            Some(keyword) => Err(Problem::new(format!("{} has no argument named {keyword}", self.name))),
            None => Ok(()),
        }
    }

    /// The value of an argument, which must be given.
    pub fn value(&self, index: usize, keyword: &str, evaluation: &mut Evaluation<'_>) -> Result<Value, Failure> {
        match self.argument(index, keyword) {
            Some(expression) => Ok(evaluation.eval(expression)?),
            None => Err(Problem::new(format!("{} needs the argument '{keyword}'", self.name)).into()),
        }
    }

    /// The text of an argument, which must be given.
    pub fn text(&self, index: usize, keyword: &str, evaluation: &mut Evaluation<'_>) -> Result<Arc<str>, Failure> {
        super::conversion::to_text(&self.value(index, keyword, evaluation)?)
    }
}

/// The problem that something is not known.
#[must_use]
pub fn unknown_key(kind: &str, key: &str) -> Problem {
    let arguments = [("type", kind.to_string()), ("key", key.to_string())];
    Problem::coded("UnknownKey", arguments, format!("Unknown {kind}: {key}"))
}

/// Knows nothing.
pub struct EmptyScope;

impl Scope for EmptyScope {}

/// Several scopes: the first one that knows a name wins.
pub struct Scopes<'a>(pub &'a [&'a dyn Scope]);

impl Scope for Scopes<'_> {
    fn named_value(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.0.iter().find_map(|scope| scope.named_value(name, evaluation))
    }

    fn argument(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.0.iter().find_map(|scope| scope.argument(name, evaluation))
    }

    fn historic_value(&self, origin: &Origin, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.0.iter().find_map(|scope| scope.historic_value(origin, name, evaluation))
    }

    fn job_resource(
        &self,
        path: &str,
        variable: Option<&str>,
        evaluation: &mut Evaluation<'_>,
    ) -> Option<Checked<Value>> {
        self.0.iter().find_map(|scope| scope.job_resource(path, variable, evaluation))
    }

    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        self.0.iter().find_map(|scope| scope.call(call, evaluation))
    }
}

/// Named values: `$name`.
pub struct FieldsScope<'a>(pub &'a Fields);

impl Scope for FieldsScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.0.get(name).cloned().map(Ok)
    }
}

/// Order arguments: `$name` and `argument(name)`.
pub struct ArgumentScope<'a>(pub &'a Fields);

impl Scope for ArgumentScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.0.get(name).cloned().map(Ok)
    }

    fn argument(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.0.get(name).cloned().map(Ok)
    }
}

/// Results of earlier jobs, the latest first: `$name`, `variable(name, label=…)`, `variable(name, job=…)`.
pub struct HistoryScope<'a> {
    /// The values of the outcomes, the latest first. `$name` takes the first which has the name.
    pub outcomes: &'a [Fields],
    /// The values of the latest outcome of an origin; `None` when it has none.
    pub latest: &'a dyn Fn(&Origin) -> Option<Fields>,
}

impl Scope for HistoryScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.outcomes.iter().find_map(|values| values.get(name)).cloned().map(Ok)
    }

    fn historic_value(&self, origin: &Origin, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        (self.latest)(origin)?.get(name).cloned().map(Ok)
    }
}

/// Symbols: names used without `$`, such as `orderId`.
pub struct SymbolScope<'a>(pub &'a Fields);

impl Scope for SymbolScope<'_> {
    fn call(&self, call: &Call<'_>, _: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        if call.is_plain() { self.0.get(call.name()).cloned().map(Ok) } else { None }
    }
}

/// Names whose values are expressions, evaluated when they are needed and only once: `$name`. They see the scope of the
/// expression that names them, thus also each other; a cycle is a problem. For defaults, which must not see each other, give `within`.
pub struct LazyScope<'a> {
    expressions: &'a [(Name, Expression)],
    within: Option<&'a dyn Scope>,
    values: RefCell<BTreeMap<Name, Option<Checked<Value>>>>,
}

impl<'a> LazyScope<'a> {
    /// These expressions, evaluated in the scope of the expression that names them, or `within` another scope.
    #[must_use]
    pub fn new(expressions: &'a [(Name, Expression)], within: Option<&'a dyn Scope>) -> Self {
        Self { expressions, within, values: RefCell::default() }
    }
}

impl Scope for LazyScope<'_> {
    fn named_value(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        let (name, expression) = self.expressions.iter().find(|(n, _)| **n == *name)?;
        match self.values.borrow().get(name) {
            Some(Some(value)) => return Some(value.clone()),
            Some(None) => {
                let message = format!("The value of ${name} depends on itself");
                return Some(Err(Problem::coded("RecursiveEvaluation", [("name", name.to_string())], message)));
            }
            None => {}
        }
        self.values.borrow_mut().insert(name.clone(), None);
        let value = match self.within {
            Some(scope) => evaluation.within(scope).eval(expression),
            None => evaluation.eval(expression),
        };
        self.values.borrow_mut().insert(name.clone(), Some(value.clone()));
        Some(value)
    }
}

/// Finds the variables of a JobResource by its path; `None` when there is none of this path.
pub type JobResourceVariables<'a> = dyn Fn(&str) -> Option<&'a [(Name, Expression)]> + 'a;

/// Variables of JobResources: `JobResource:path:variable`.
pub struct JobResourceScope<'a> {
    /// The JobResources.
    pub variables: &'a JobResourceVariables<'a>,
    /// What the expressions of the variables see.
    pub scope: &'a dyn Scope,
}

impl Scope for JobResourceScope<'_> {
    fn job_resource(
        &self,
        path: &str,
        variable: Option<&str>,
        evaluation: &mut Evaluation<'_>,
    ) -> Option<Checked<Value>> {
        let Some(variables) = (self.variables)(path) else { return Some(Err(unknown_key("JobResource", path))) };
        let mut inner = evaluation.within(self.scope);
        Some(match variable {
            Some(name) => match variables.iter().find(|(n, _)| **n == *name) {
                Some((_, expression)) => inner.eval(expression),
                None => Err(unknown_key("JobResource variable", &format!("{path}:{name}"))),
            },
            None => variables
                .iter()
                .map(|(name, expression)| Ok((name.clone(), inner.eval(expression)?)))
                .collect::<Checked<Fields>>()
                .map(Value::Object),
        })
    }
}

/// Environment variables: `env(name, default)`. The environment is data, taken once by the process.
pub struct EnvScope<'a>(pub &'a BTreeMap<String, String>);

impl Scope for EnvScope<'_> {
    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        (call.name() == "env").then(|| {
            call.accept(2, &["name", "default"])?;
            let name = call.text(0, "name", evaluation)?;
            match (self.0.get(&*name), call.argument(1, "default")) {
                (Some(value), _) => Ok(Value::string(value)),
                (None, Some(_)) => call.value(1, "default", evaluation),
                (None, None) => Err(unknown_key("environment variable", &name).into()),
            }
        })
    }
}

/// The time: `now(format, timezone)`, `$js7EpochMilli` and `$js7EpochSecond`.
pub struct NowScope<'a> {
    /// The same throughout an evaluation.
    pub now: Timestamp,
    /// The time zone if none is given.
    pub zone: &'a TimeZone,
}

impl Scope for NowScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        match name {
            "js7EpochMilli" => Some(Ok(self.now.as_millis().into())),
            "js7EpochSecond" => Some(Ok(self.now.as_millis().div_euclid(1000).into())),
            _ => None,
        }
    }

    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        (call.name() == "now").then(|| format_time(self.now, self.zone, call, evaluation))
    }
}

/// The time an order is scheduled for: `scheduledOrEmpty(format, timezone)`.
pub struct ScheduledScope<'a> {
    /// When the order is due, if not at once.
    pub scheduled_for: Option<Timestamp>,
    /// The time zone if none is given.
    pub zone: &'a TimeZone,
}

impl Scope for ScheduledScope<'_> {
    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        (call.name() == "scheduledOrEmpty").then(|| match self.scheduled_for {
            Some(time) => format_time(time, self.zone, call, evaluation),
            None => Ok(Value::string("")),
        })
    }
}

fn format_time(
    time: Timestamp,
    default_zone: &TimeZone,
    call: &Call<'_>,
    evaluation: &mut Evaluation<'_>,
) -> Result<Value, Failure> {
    call.accept(2, &["format", "timezone"])?;
    let format = call.text(0, "format", evaluation)?;
    let zone = match call.argument(1, "timezone") {
        Some(_) => Zone::of_name(&call.text(1, "timezone", evaluation)?)?,
        None => Zone::of(default_zone),
    };
    evaluation.charge_text(format.len())?;
    let text = date_format::format(time, &zone, &format)?;
    evaluation.text(text)
}

/// Order ids: `uniqueOrderId("A-%03d")` gives the first id, counted from 1, which is not used.
pub struct UniqueOrderIdScope<'a> {
    /// Whether an order of this id exists.
    pub exists: &'a dyn Fn(&str) -> bool,
}

impl Scope for UniqueOrderIdScope<'_> {
    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        (call.name() == "uniqueOrderId").then(|| {
            call.accept(1, &["format"])?;
            let format = call.text(0, "format", evaluation)?;
            for number in 1..=MAX_UNIQUE_TRIES {
                evaluation.charge_text(format.len())?;
                let id = format_number(&format, number)?;
                if !(self.exists)(&id) {
                    return evaluation.text(id);
                }
            }
            let message = format!("uniqueOrderId: all ids {format} from 1 to {MAX_UNIQUE_TRIES} are used");
            Err(Problem::new(message).into())
        })
    }
}

/// The subagents of an agent: `subagentIds()`, or those of a bundle: `subagentIds(bundle)`.
pub struct SubagentIdsScope<'a> {
    /// The ids, of the bundle if one is given.
    pub ids: &'a dyn Fn(Option<&str>) -> Checked<Vec<Name>>,
}

impl Scope for SubagentIdsScope<'_> {
    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        (call.name() == "subagentIds").then(|| {
            call.accept(1, &["subagentBundleId"])?;
            let ids = match call.argument(0, "subagentBundleId") {
                Some(_) => (self.ids)(Some(&call.text(0, "subagentBundleId", evaluation)?))?,
                None => (self.ids)(None)?,
            };
            evaluation.charge(ids.len())?;
            Ok(Value::list(ids.into_iter().map(Value::String)))
        })
    }
}

/// Widest number in a format.
const MAX_WIDTH: usize = 20;

/// Replaces `%d`, `%3d`, `%03d`, `%-3d` and `%s` by the number, `%%` by a percent sign. There must be a number.
fn format_number(format: &str, number: u32) -> Checked<String> {
    let invalid =
        |why: &str| Problem::new(format!("uniqueOrderId: {why} in the format {format:?} (expected like A-%03d)"));
    let mut out = String::new();
    let mut has_number = false;
    let mut rest = format;
    while let Some((text, directive)) = rest.split_once('%') {
        out.push_str(text);
        let end = directive.find(|c: char| c != '-' && !c.is_ascii_digit()).ok_or_else(|| invalid("unclosed %"))?;
        let (options, after) = directive.split_at(end);
        let digits = options.strip_prefix('-').unwrap_or(options);
        let width = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| invalid("wrong width"))? };
        if width > MAX_WIDTH {
            return Err(invalid("too large width"));
        }
        if after.starts_with('%') && options.is_empty() {
            out.push('%');
        } else if after.starts_with(['d', 's']) {
            has_number = true;
            out.push_str(&match (options.starts_with('-'), options.starts_with('0')) {
                (true, _) => format!("{number:<width$}"),
                (false, true) => format!("{number:0width$}"),
                (false, false) => format!("{number:width$}"),
            });
        } else {
            return Err(invalid("unknown directive"));
        }
        rest = &after[1..];
    }
    out.push_str(rest);
    if has_number { Ok(out) } else { Err(invalid("no number")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_numbers() {
        for (format, text) in
            [("A-%03d", "A-007"), ("%d", "7"), ("%3d|", "  7|"), ("%-3d|", "7  |"), ("100%% %s", "100% 7")]
        {
            assert_eq!(format_number(format, 7).unwrap(), text);
        }
        for format in ["", "A", "%", "%x", "%99d", "%--d", "%%", "%é", "%99999999999999999999999d"] {
            assert!(format_number(format, 7).is_err(), "{format}");
        }
    }
}
