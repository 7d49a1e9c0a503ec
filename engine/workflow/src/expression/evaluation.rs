//! Evaluates expressions, with bounded effort.
//!
//! **A missing value propagates.** An operation that needs a value of some type and gets `missing` is itself `missing`, without a
//! problem. A problem in any operand counts more. Only these look at a missing value: `==`, `!=`, `in` (as an element), `?`,
//! interpolation and `mkString` (as the empty text), and the left side of `matches` (likewise).
//!
//! **Effort.** Every evaluation, including whatever the scope evaluates for it, may visit [`MAX_EFFORT`] nodes, list elements
//! and pieces of 16 bytes of text, and nest [`MAX_DEPTH`] deep; a text may get [`MAX_TEXT`] bytes long and a list
//! [`MAX_ELEMENTS`] elements. More is a problem.

use super::conversion::{append_any, arithmetic, as_boolean, as_integer, as_list, as_number, as_object, to_text};
use super::pattern::Pattern;
use super::scope::{Call, Scope};
use super::{Expression, Operator, Origin, Step, Syntax};
use crate::problem::{Checked, Problem};
use crate::value::{self, Fields, Name, Value};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// Most steps of one evaluation.
pub const MAX_EFFORT: u32 = 5_000_000;

/// How deep evaluations may nest, also where one named value is computed from another one.
pub const MAX_DEPTH: usize = 100;

/// Longest text which an operation may yield, in bytes.
pub const MAX_TEXT: usize = 1024 * 1024;

/// Longest list which an operation may yield.
pub const MAX_ELEMENTS: usize = 100_000;

/// Bytes of text that count as one step.
const TEXT_STEP: usize = 16;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Something needed is missing: so is the result.
    Missing,
    /// The evaluation fails.
    Problem(Problem),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// A running evaluation: the scope it looks names up in, and the effort left.
pub struct Evaluation<'a> {
    scope: &'a dyn Scope,
    budget: &'a mut Budget,
}

struct Budget {
    effort: u32,
    depth: usize,
}

impl<'a> Evaluation<'a> {
    /// Runs something with the whole effort at its disposal.
    pub fn run<T>(scope: &dyn Scope, body: impl FnOnce(&mut Evaluation<'_>) -> T) -> T {
        let mut budget = Budget { effort: MAX_EFFORT, depth: 0 };
        body(&mut Evaluation { scope, budget: &mut budget })
    }

    /// The scope of the expression being evaluated.
    #[must_use]
    pub fn scope(&self) -> &'a dyn Scope {
        self.scope
    }

    /// Continues in another scope, at the same expense.
    pub fn within<'b>(&'b mut self, scope: &'b dyn Scope) -> Evaluation<'b> {
        Evaluation { scope, budget: self.budget }
    }

    /// Evaluates an expression.
    pub fn eval(&mut self, expression: &Expression) -> Checked<Value> {
        self.charge(1)?;
        if self.budget.depth == MAX_DEPTH {
            return Err(Problem::new(format!("The evaluation is nested deeper than {MAX_DEPTH} levels")));
        }
        self.budget.depth += 1;
        // What evaluates operands is not inlined: one frame of everything would make deep expressions overflow the stack.
        let result = self.node(&expression.0.syntax);
        self.budget.depth -= 1;
        match result {
            Ok(value) => Ok(value),
            Err(Failure::Missing) => Ok(Value::Missing),
            Err(Failure::Problem(problem)) => Err(problem),
        }
    }

    /// Accounts for so many steps.
    pub fn charge(&mut self, steps: usize) -> Checked<()> {
        let left = u32::try_from(steps).ok().and_then(|steps| self.budget.effort.checked_sub(steps));
        self.budget.effort = left.unwrap_or(0);
        match left {
            Some(_) => Ok(()),
            None => Err(Problem::new(format!("The evaluation takes more than {MAX_EFFORT} steps"))),
        }
    }

    /// Accounts for handling a text of so many bytes.
    pub(super) fn charge_text(&mut self, length: usize) -> Checked<()> {
        self.charge(1 + length / TEXT_STEP)
    }

    /// Accounts for matching a text with a pattern.
    pub(super) fn charge_match(&mut self, text: &str, pattern: &str) -> Checked<()> {
        self.charge(1 + (text.len() + 1).saturating_mul(pattern.len() + 1) / TEXT_STEP)
    }

    /// A text value, if not too long.
    pub(super) fn text(&mut self, text: String) -> Result<Value, Failure> {
        if text.len() > MAX_TEXT {
            return Err(Problem::new(format!("The text is longer than {MAX_TEXT} bytes")).into());
        }
        self.charge_text(text.len())?;
        Ok(Value::String(text.into()))
    }

    /// Appends a value as text.
    pub(super) fn append(&mut self, out: &mut String, value: &Value) -> Checked<()> {
        let before = out.len();
        append_any(out, value, MAX_TEXT);
        if out.len() > MAX_TEXT {
            return Err(Problem::new(format!("The text is longer than {MAX_TEXT} bytes")));
        }
        self.charge_text(out.len() - before)
    }

    fn node(&mut self, syntax: &Syntax) -> Result<Value, Failure> {
        match syntax {
            Syntax::Constant(value) => Ok(value.clone()),
            Syntax::Pattern(pattern) => Ok(Value::String(pattern.source().clone())),
            Syntax::List(elements) => self.list(elements),
            Syntax::Object(fields) => self.object(fields),
            Syntax::Interpolation(parts) => self.interpolation(parts),
            Syntax::NamedValue(name) => self.named_value(name),
            Syntax::Variable { name, origin, default } => self.variable(name, origin, default.as_ref()),
            Syntax::Argument { name, default } => self.argument(name, default.as_ref()),
            Syntax::JobResource { path, variable } => self.job_resource(path, variable.as_deref()),
            Syntax::Builtin(builtin, operands) => builtin.apply(operands, self),
            Syntax::Call { name, arguments } => self.call(&Call::new(name, arguments.as_deref().unwrap_or(&[]))),
            Syntax::Selection { base, steps } => self.selection(base, steps),
            Syntax::Not(operand) => Ok(Value::Boolean(!as_boolean(&self.eval(operand)?)?)),
            Syntax::Negation(operand) => Ok(Value::Number(as_number(&self.eval(operand)?)?.negated())),
            Syntax::Chain { first, rest } => self.chain(first, rest),
            Syntax::If { cases, otherwise } => self.conditional(cases, otherwise),
        }
    }

    #[inline(never)]
    fn list(&mut self, elements: &[Expression]) -> Result<Value, Failure> {
        let values = elements.iter().map(|element| self.eval(element)).collect::<Checked<Vec<Value>>>()?;
        self.nestable(Value::List(values.into()))
    }

    #[inline(never)]
    fn object(&mut self, fields: &[(Name, Expression)]) -> Result<Value, Failure> {
        let fields = fields.iter().map(|(name, value)| Ok((name.clone(), self.eval(value)?)));
        let fields = fields.collect::<Checked<Fields>>()?;
        self.nestable(Value::Object(fields))
    }

    /// The value, if not nested too deep.
    #[inline(never)]
    fn nestable(&mut self, value: Value) -> Result<Value, Failure> {
        self.check_nesting(&value, 0)?;
        Ok(value)
    }

    fn check_nesting(&mut self, value: &Value, depth: usize) -> Checked<()> {
        if depth > value::MAX_DEPTH {
            return Err(Problem::new(format!("A value must not be nested deeper than {} levels", value::MAX_DEPTH)));
        }
        match value {
            Value::List(values) => {
                self.charge(values.len())?;
                values.iter().try_for_each(|element| self.check_nesting(element, depth + 1))
            }
            Value::Object(fields) => {
                self.charge(fields.len())?;
                fields.iter().try_for_each(|(_, field)| self.check_nesting(field, depth + 1))
            }
            Value::Missing | Value::Boolean(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    #[inline(never)]
    fn interpolation(&mut self, parts: &[Expression]) -> Result<Value, Failure> {
        let mut text = String::new();
        for part in parts {
            let value = self.eval(part)?;
            self.append(&mut text, &value)?;
        }
        self.text(text)
    }

    #[inline(never)]
    fn named_value(&mut self, name: &str) -> Result<Value, Failure> {
        let found = self.scope.named_value(name, self);
        Ok(found.unwrap_or_else(|| Err(no_such_value(name)))?)
    }

    #[inline(never)]
    fn variable(&mut self, name: &Expression, origin: &Origin, default: Option<&Expression>) -> Result<Value, Failure> {
        let name = to_text(&self.eval(name)?)?;
        let found = match origin {
            Origin::Any => self.scope.named_value(&name, self),
            Origin::Label(_) | Origin::Job(_) => self.scope.historic_value(origin, &name, self),
        };
        self.found_or_default(&name, found, default)
    }

    #[inline(never)]
    fn argument(&mut self, name: &Expression, default: Option<&Expression>) -> Result<Value, Failure> {
        let name = to_text(&self.eval(name)?)?;
        let found = self.scope.argument(&name, self);
        self.found_or_default(&name, found, default)
    }

    #[inline(never)]
    fn found_or_default(
        &mut self,
        name: &str,
        found: Option<Checked<Value>>,
        default: Option<&Expression>,
    ) -> Result<Value, Failure> {
        match (found, default) {
            (Some(value), _) => Ok(value?),
            (None, Some(default)) => Ok(Value::String(to_text(&self.eval(default)?)?)),
            (None, None) => Err(no_such_value(name).into()),
        }
    }

    #[inline(never)]
    fn job_resource(&mut self, path: &str, variable: Option<&str>) -> Result<Value, Failure> {
        let found = self.scope.job_resource(path, variable, self);
        Ok(found.unwrap_or_else(|| {
            let variable = variable.map(|name| format!(":{name}")).unwrap_or_default();
            Err(Problem::new(format!("JobResources are not accessible here: JobResource:{path}{variable}")))
        })?)
    }

    #[inline(never)]
    fn call(&mut self, call: &Call<'_>) -> Result<Value, Failure> {
        if let Some(result) = self.scope.call(call, self) {
            return result;
        }
        match call.name() {
            "jobResourceVariable" => {
                let path = call.text(0, "jobResource", self)?;
                let name = call.text(1, "key", self)?;
                call.accept(2, &["jobResource", "key"])?;
                self.job_resource(&path, Some(&name))
            }
            "jobResourceVariables" => {
                let path = call.text(0, "jobResource", self)?;
                call.accept(1, &["jobResource"])?;
                self.job_resource(&path, None)
            }
            "subagentIds" => Err(Problem::new(
                "The subagentIds function is available only for ForkList statement running at an Agent",
            )
            .into()),
            name => Err(Problem::new(format!("Unknown function: {name}")).into()),
        }
    }

    #[inline(never)]
    fn selection(&mut self, base: &Expression, steps: &[Step]) -> Result<Value, Failure> {
        let mut value = self.eval(base)?;
        for step in steps {
            value = match step {
                Step::Field(name) => field(&value, name)?,
                Step::Index(index) => {
                    let index = self.eval(index)?;
                    element(&value, &index)?
                }
            };
        }
        Ok(value)
    }

    #[inline(never)]
    fn conditional(&mut self, cases: &[(Expression, Expression)], otherwise: &Expression) -> Result<Value, Failure> {
        for (condition, result) in cases {
            if as_boolean(&self.eval(condition)?)? {
                return Ok(self.eval(result)?);
            }
        }
        Ok(self.eval(otherwise)?)
    }

    #[inline(never)]
    fn chain(&mut self, first: &Expression, rest: &[(Operator, Expression)]) -> Result<Value, Failure> {
        if let Some((Operator::OrElse, _)) = rest.first() {
            return self.first_present(first, rest);
        }
        let mut left = self.eval(first)?;
        for (operator, right) in rest {
            left = match self.binary(&left, *operator, right) {
                Err(Failure::Missing) => Value::Missing,
                result => result?,
            };
        }
        Ok(left)
    }

    /// The first value that is neither missing nor a problem; else the last one.
    #[inline(never)]
    fn first_present(&mut self, first: &Expression, rest: &[(Operator, Expression)]) -> Result<Value, Failure> {
        let mut result = self.eval(first);
        for (_, fallback) in rest {
            if !matches!(result, Err(_) | Ok(Value::Missing)) {
                break;
            }
            result = self.eval(fallback);
        }
        Ok(result?)
    }

    #[inline(never)]
    fn binary(&mut self, left: &Value, operator: Operator, right: &Expression) -> Result<Value, Failure> {
        match operator {
            Operator::And if !as_boolean(left)? => return Ok(Value::Boolean(false)),
            Operator::Or if as_boolean(left)? => return Ok(Value::Boolean(true)),
            _ => {}
        }
        let value = self.eval(right)?;
        self.combine(left, operator, &value, right.as_pattern())
    }

    #[inline(never)]
    fn combine(
        &mut self,
        left: &Value,
        operator: Operator,
        right: &Value,
        pattern: Option<&Pattern>,
    ) -> Result<Value, Failure> {
        match operator {
            Operator::And | Operator::Or => Ok(Value::Boolean(as_boolean(right)?)),
            Operator::Equal => Ok(Value::Boolean(self.equal(left, right)?)),
            Operator::NotEqual => Ok(Value::Boolean(!self.equal(left, right)?)),
            Operator::In => self.contains(left, right),
            Operator::Matches => self.matches(left, right, pattern),
            Operator::Less => self.compare(left, right, Ordering::is_lt),
            Operator::LessOrEqual => self.compare(left, right, Ordering::is_le),
            Operator::Greater => self.compare(left, right, Ordering::is_gt),
            Operator::GreaterOrEqual => self.compare(left, right, Ordering::is_ge),
            Operator::Concat => self.concat(left, right),
            Operator::Add => calculate(as_number(left)?.checked_add(as_number(right)?)),
            Operator::Subtract => calculate(as_number(left)?.checked_sub(as_number(right)?)),
            Operator::Multiply => calculate(as_number(left)?.checked_mul(as_number(right)?)),
            Operator::Divide => calculate(as_number(left)?.checked_div(as_number(right)?)),
            // Chains of `?` do not come here, see `first_present`.
            Operator::OrElse => Ok(if *left == Value::Missing { right.clone() } else { left.clone() }),
        }
    }

    /// Compares like `==` of Rust does, but accounts for the effort.
    #[inline(never)]
    fn equal(&mut self, left: &Value, right: &Value) -> Checked<bool> {
        self.charge(1)?;
        match (left, right) {
            (Value::String(a), Value::String(b)) => {
                self.charge_text(a.len().min(b.len()))?;
                Ok(a == b)
            }
            (Value::List(a), Value::List(b)) if a.len() == b.len() => {
                for (a, b) in a.iter().zip(b.iter()) {
                    if !self.equal(a, b)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
                for ((name, a), (other, b)) in a.iter().zip(b.iter()) {
                    self.charge_text(name.len())?;
                    if name != other || !self.equal(a, b)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::List(_), Value::List(_)) | (Value::Object(_), Value::Object(_)) => Ok(false),
            _ => Ok(left == right),
        }
    }

    #[inline(never)]
    fn contains(&mut self, element: &Value, list: &Value) -> Result<Value, Failure> {
        for candidate in as_list(list)?.iter() {
            if self.equal(element, candidate)? {
                return Ok(Value::Boolean(true));
            }
        }
        Ok(Value::Boolean(false))
    }

    #[inline(never)]
    fn matches(&mut self, text: &Value, source: &Value, pattern: Option<&Pattern>) -> Result<Value, Failure> {
        let text = if *text == Value::Missing { "".into() } else { to_text(text)? };
        let source = to_text(source)?;
        self.charge_match(&text, &source)?;
        let matches = match pattern {
            Some(pattern) => pattern.matches(&text)?,
            None => Pattern::new(source).matches(&text)?,
        };
        Ok(Value::Boolean(matches))
    }

    #[inline(never)]
    fn compare(&mut self, left: &Value, right: &Value, accept: fn(Ordering) -> bool) -> Result<Value, Failure> {
        let ordering = match (left, right) {
            (Value::Missing, _) | (_, Value::Missing) => return Err(Failure::Missing),
            (Value::Number(a), Value::Number(b)) => a.cmp(b),
            (Value::String(a), Value::String(b)) => {
                self.charge_text(a.len().min(b.len()))?;
                a.encode_utf16().cmp(b.encode_utf16())
            }
            _ => {
                let (left, right) = (left.type_name(), right.type_name());
                let message = format!("{left} and {right} are not comparable (only two numbers or two texts are)");
                return Err(Problem::new(message).into());
            }
        };
        Ok(Value::Boolean(accept(ordering)))
    }

    #[inline(never)]
    fn concat(&mut self, left: &Value, right: &Value) -> Result<Value, Failure> {
        if let (Value::List(a), Value::List(b)) = (left, right) {
            let length = a.len() + b.len();
            if length > MAX_ELEMENTS {
                return Err(Problem::new(format!("The list has more than {MAX_ELEMENTS} elements")).into());
            }
            self.charge(length)?;
            return Ok(Value::List(a.iter().chain(b.iter()).cloned().collect()));
        }
        if *left == Value::Missing || *right == Value::Missing {
            return Err(Failure::Missing);
        }
        let (a, b) = (to_text(left)?, to_text(right)?);
        if a.len() + b.len() > MAX_TEXT {
            return Err(Problem::new(format!("The text is longer than {MAX_TEXT} bytes")).into());
        }
        self.text(format!("{a}{b}"))
    }
}

#[inline(never)]
fn no_such_value(name: &str) -> Problem {
    Problem::new(format!("No such named value: {name}"))
}

#[inline(never)]
fn calculate(result: Result<crate::decimal::Decimal, crate::decimal::ArithmeticError>) -> Result<Value, Failure> {
    Ok(Value::Number(result.map_err(arithmetic)?))
}

#[inline(never)]
fn field(value: &Value, name: &str) -> Result<Value, Failure> {
    as_object(value)?.get(name).cloned().ok_or_else(|| super::scope::unknown_key("object field", name).into())
}

#[inline(never)]
fn element(list: &Value, index: &Value) -> Result<Value, Failure> {
    let values = as_list(list)?;
    let index = as_integer(index)?;
    usize::try_from(index).ok().and_then(|i| values.get(i)).cloned().ok_or_else(|| {
        let message = match values.len() {
            0 => format!("Index {index} out of range: the list is empty"),
            length => format!("Index {index} out of range 0...{}", length - 1),
        };
        Problem::new(message).into()
    })
}
