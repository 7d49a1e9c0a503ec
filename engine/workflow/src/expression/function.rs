//! Functions: `(a, b) => $a + $b`. They stand where an item asks for one, and are called by the engine.

use super::evaluation::Evaluation;
use super::scope::{Scope, Scopes};
use super::{Expression, parser, printer};
use crate::problem::{Checked, Problem};
use crate::value::{Name, Value};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

/// A function of named parameters. Cheap to clone.
#[derive(Clone, PartialEq)]
pub struct ExprFunction {
    parameters: Arc<[Name]>,
    body: Expression,
    /// The name and the number of arguments, where a context restricts them.
    restriction: Option<Arc<Restriction>>,
}

#[derive(PartialEq)]
struct Restriction {
    name: Name,
    arguments: RangeInclusive<usize>,
}

impl ExprFunction {
    /// Reads a function. The problem says where and why the text is none.
    pub fn parse(source: &str) -> Checked<Self> {
        let (parameters, body) = parser::function(source)?;
        Ok(Self { parameters: parameters.into(), body, restriction: None })
    }

    /// The names of the parameters.
    #[must_use]
    pub fn parameters(&self) -> &[Name] {
        &self.parameters
    }

    /// The expression of the result.
    #[must_use]
    pub fn body(&self) -> &Expression {
        &self.body
    }

    /// The function as it is used under this name, with a number of parameters and arguments between `minimum` and
    /// `maximum`. A problem when it declares another number of parameters.
    pub fn restrict(&self, name: &str, minimum: usize, maximum: usize) -> Checked<Self> {
        if !(minimum..=maximum).contains(&self.parameters.len()) {
            let expected = if minimum == maximum {
                format!("exactly {minimum}")
            } else {
                format!("between {minimum} and {maximum}")
            };
            let message = format!("The '{name}' function is expected to accept {expected} parameters");
            return Err(Problem::new(message));
        }
        let restriction = Restriction { name: name.into(), arguments: minimum..=maximum };
        Ok(Self { restriction: Some(Arc::new(restriction)), ..self.clone() })
    }

    /// The result for these arguments. The parameters hide equal names of the scope. Arguments beyond the parameters are dropped,
    /// a parameter without an argument stays unknown.
    pub fn apply(&self, arguments: &[Value], scope: &dyn Scope) -> Checked<Value> {
        if let Some(Restriction { name, arguments: allowed }) = self.restriction.as_deref()
            && !allowed.contains(&arguments.len())
        {
            let (first, last) = (allowed.start(), allowed.end());
            let required = if first == last { format!("{first}") } else { format!("{first}...{last}") };
            return Err(Problem::new(format!(
                "Number of arguments={} does not match required number of function parameters={required} in '{name}' function",
                arguments.len(),
            )));
        }
        let parameters = FunctionScope { names: &self.parameters, values: arguments };
        self.body.eval(&Scopes(&[&parameters, scope]))
    }
}

/// The parameters of a function being called.
pub struct FunctionScope<'a> {
    /// The names of the parameters.
    pub names: &'a [Name],
    /// The arguments in the same order.
    pub values: &'a [Value],
}

impl Scope for FunctionScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        let index = self.names.iter().position(|parameter| **parameter == *name)?;
        self.values.get(index).cloned().map(Ok)
    }
}

impl fmt::Display for ExprFunction {
    /// The normal form: it parses to the same function.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.parameters.iter().map(|name| printer::quoted_name(name)).collect();
        match names.as_slice() {
            [name] => write!(f, "{name} => {}", self.body),
            names => write!(f, "({}) => {}", names.join(","), self.body),
        }
    }
}

impl fmt::Debug for ExprFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::scope::{EmptyScope, FieldsScope};
    use crate::value::Fields;
    use alloc::string::ToString;

    fn function(source: &str) -> ExprFunction {
        ExprFunction::parse(source).unwrap()
    }

    #[test]
    fn applies() {
        let context: Fields =
            [("a".into(), Value::from(100)), ("context".into(), Value::from(7))].into_iter().collect();
        for (source, arguments, value) in [
            ("() => 1", &[][..], 1),
            ("a => $a + 1", &[2], 3),
            ("(a) => $a + 1", &[2, 99], 3),
            ("(a, b) => $a + 2 * $b", &[10, 3], 16),
            ("x => $context", &[1], 7),
            ("b => $a", &[1], 100),
        ] {
            let arguments: Vec<Value> = arguments.iter().map(|i: &i64| (*i).into()).collect();
            assert_eq!(function(source).apply(&arguments, &FieldsScope(&context)), Ok(value.into()), "{source}");
        }
        assert_eq!(function("a => $a + missing").apply(&[2.into()], &EmptyScope), Ok(Value::Missing));
        assert_eq!(
            function("(a, b) => $b").apply(&[2.into()], &EmptyScope),
            Err(Problem::new("No such named value: b"))
        );
    }

    #[test]
    fn prints() {
        for (source, text) in [("()=>1", "() => 1"), ("( a )=>$a", "a => $a"), ("(a,`b c`) => 1", "(a,`b c`) => 1")] {
            assert_eq!(function(source).to_string(), text);
            assert_eq!(function(text), function(source));
        }
    }

    #[test]
    fn refuses() {
        for source in ["", "a", "1", "=> 1", "a =>", "(a => 1", "(a, a) => 1", "a =>-1", "(a b) => 1", "a b => 1"] {
            assert!(ExprFunction::parse(source).is_err(), "{source}");
        }
    }

    #[test]
    fn restricts() {
        let f = function("(a, b) => \"$a,$b\"");
        let message = |result: Checked<ExprFunction>| result.unwrap_err().message;
        assert_eq!(message(f.restrict("f", 1, 1)), "The 'f' function is expected to accept exactly 1 parameters");
        assert_eq!(message(f.restrict("f", 3, 4)), "The 'f' function is expected to accept between 3 and 4 parameters");
        let restricted = f.restrict("f", 1, 2).unwrap();
        assert_eq!(restricted.apply(&["A".into(), "B".into()], &EmptyScope), Ok("A,B".into()));
        assert_eq!(
            restricted.apply(&[], &EmptyScope).unwrap_err().message,
            "Number of arguments=0 does not match required number of function parameters=1...2 in 'f' function"
        );
        assert_eq!(
            f.restrict("f", 2, 2).unwrap().apply(&[1.into(), 2.into(), 3.into()], &EmptyScope).unwrap_err().message,
            "Number of arguments=3 does not match required number of function parameters=2 in 'f' function"
        );
    }
}
