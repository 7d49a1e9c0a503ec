//! The expression language of workflows: conditions, computed arguments, environment variables, messages, ids.
//!
//! An [`Expression`] is parsed once ([`Expression::parse`]), prints itself in a normal form which parses to the same
//! expression again, and is evaluated in a [`Scope`], which knows the names. Everything is bounded: the nesting by
//! [`MAX_NESTING`], the effort and the size of a result by the limits of [`evaluation`]. So neither a hostile text
//! nor a hostile expression can exhaust stack, memory or time.
//!
//! A missing value is no failure: it propagates through most operations (see [`evaluation`]).

use crate::decimal::Decimal;
use crate::problem::Checked;
use crate::value::{Name, Value};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

pub mod board;
mod builtin;
pub mod command_line;
pub mod conversion;
mod date_format;
pub mod evaluation;
pub mod function;
mod parser;
pub mod pattern;
mod pattern_syntax;
mod printer;
pub mod scope;
#[cfg(test)]
mod tests;

use crate::text::serde_text::serialize_as_text;
use board::BoardExpression;
use builtin::Builtin;
use command_line::CommandLine;
use evaluation::Evaluation;
use function::ExprFunction;
use pattern::Pattern;
use scope::Scope;

/// How deep an expression may be nested, counting operators, brackets and calls within each other. A chain of operators
/// of the same precedence counts once, however long it is.
pub const MAX_NESTING: usize = 30;

/// Longest source text of an expression, in bytes.
pub const MAX_SOURCE_LENGTH: usize = 1024 * 1024;

/// An expression. Cheap to clone.
#[derive(Clone, PartialEq)]
pub struct Expression(Arc<Node>);

#[derive(PartialEq)]
struct Node {
    /// Levels of nodes, this one included.
    height: usize,
    syntax: Syntax,
}

/// What an expression is made of.
#[derive(PartialEq)]
enum Syntax {
    Constant(Value),
    /// A constant text used as regular expression.
    Pattern(Pattern),
    List(Vec<Expression>),
    Object(Vec<(Name, Expression)>),
    /// `"a $b"`: the parts are joined.
    Interpolation(Vec<Expression>),
    /// `$name`
    NamedValue(Name),
    /// `variable(name, label=…, default=…)`
    Variable {
        name: Expression,
        origin: Origin,
        default: Option<Expression>,
    },
    /// `argument(name, default=…)`
    Argument {
        name: Expression,
        default: Option<Expression>,
    },
    /// `JobResource:path` or `JobResource:path:variable`
    JobResource {
        path: Name,
        variable: Option<Name>,
    },
    /// A function of the language.
    Builtin(Builtin, Vec<Expression>),
    /// A function or (without arguments) a symbol of the scope.
    Call {
        name: Name,
        arguments: Option<Vec<Argument>>,
    },
    /// `base.field(index)`
    Selection {
        base: Expression,
        steps: Vec<Step>,
    },
    Not(Expression),
    Negation(Expression),
    /// Left-associative operators of the same precedence.
    Chain {
        first: Expression,
        rest: Vec<(Operator, Expression)>,
    },
    /// The cases are condition and result.
    If {
        cases: Vec<(Expression, Expression)>,
        otherwise: Expression,
    },
}

/// Where the value of `variable()` comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As of `$name`.
    Any,
    /// The last outcome at the position of this label.
    Label(Name),
    /// The last outcome of this job.
    Job(Name),
}

/// An argument of a call.
#[derive(PartialEq)]
struct Argument {
    keyword: Option<Name>,
    value: Expression,
}

#[derive(Clone, PartialEq)]
enum Step {
    Field(Name),
    Index(Expression),
}

/// A binary operator. The order of the levels is that of the precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    Matches,
    Or,
    And,
    Equal,
    NotEqual,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
    Concat,
    Add,
    Subtract,
    Multiply,
    Divide,
    /// `a ? b`, and `a?` which is `a ? missing`.
    OrElse,
}

/// How strongly the parts of an expression are bound together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence {
    If,
    Word,
    Or,
    And,
    Equality,
    Comparison,
    Sum,
    Product,
    Prefix,
    OrElse,
    Selection,
    Factor,
}

serialize_as_text!(
    Expression: Expression::parse,
    ExprFunction: ExprFunction::parse,
    BoardExpression: BoardExpression::parse,
    CommandLine: CommandLine::parse,
);

impl Precedence {
    /// The next stronger one.
    fn next(self) -> Self {
        match self {
            Self::If => Self::Word,
            Self::Word => Self::Or,
            Self::Or => Self::And,
            Self::And => Self::Equality,
            Self::Equality => Self::Comparison,
            Self::Comparison => Self::Sum,
            Self::Sum => Self::Product,
            Self::Product => Self::Prefix,
            Self::Prefix => Self::OrElse,
            Self::OrElse => Self::Selection,
            Self::Selection | Self::Factor => Self::Factor,
        }
    }
}

impl Operator {
    fn precedence(self) -> Precedence {
        match self {
            Self::In | Self::Matches => Precedence::Word,
            Self::Or => Precedence::Or,
            Self::And => Precedence::And,
            Self::Equal | Self::NotEqual => Precedence::Equality,
            Self::LessOrEqual | Self::GreaterOrEqual | Self::Less | Self::Greater => Precedence::Comparison,
            Self::Concat | Self::Add | Self::Subtract => Precedence::Sum,
            Self::Multiply | Self::Divide => Precedence::Product,
            Self::OrElse => Precedence::OrElse,
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Matches => "matches",
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::Concat => "++",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::OrElse => "?",
        }
    }
}

impl Expression {
    /// Reads an expression. The problem says where and why the text is none.
    pub fn parse(source: &str) -> Checked<Self> {
        parser::expression(source)
    }

    /// The value in this scope.
    pub fn eval(&self, scope: &dyn Scope) -> Checked<Value> {
        Evaluation::run(scope, |evaluation| evaluation.eval(self))
    }

    /// The value in this scope, which must be a text, number or boolean, as text.
    pub fn eval_to_string(&self, scope: &dyn Scope) -> Checked<Arc<str>> {
        conversion::required_string(self.eval(scope)?)
    }

    /// The value in this scope, which must be a text, number or boolean, as text; `None` when it is missing.
    pub fn eval_to_optional_string(&self, scope: &dyn Scope) -> Checked<Option<Arc<str>>> {
        match self.eval(scope)? {
            Value::Missing => Ok(None),
            value => conversion::required_string(value).map(Some),
        }
    }

    /// The value in this scope, which must be a boolean.
    pub fn eval_to_boolean(&self, scope: &dyn Scope) -> Checked<bool> {
        conversion::required_boolean(&self.eval(scope)?)
    }

    /// The value in this scope, which must be a number, such as a number of seconds.
    pub fn eval_to_number(&self, scope: &dyn Scope) -> Checked<Decimal> {
        conversion::required_number(self.eval(scope)?)
    }

    /// An expression which just has this value: missing, a boolean, number or text. Lists and objects become
    /// list and object expressions, as far as they are not nested deeper than [`MAX_NESTING`].
    pub fn constant(value: Value) -> Checked<Self> {
        Self::constant_at(value, 0)
    }

    fn constant_at(value: Value, depth: usize) -> Checked<Self> {
        if depth >= MAX_NESTING {
            return Err(parser::too_deep());
        }
        let syntax = match value {
            Value::Missing | Value::Boolean(_) | Value::Number(_) | Value::String(_) => Syntax::Constant(value),
            Value::List(values) => {
                Syntax::List(values.iter().map(|v| Self::constant_at(v.clone(), depth + 1)).collect::<Checked<_>>()?)
            }
            Value::Object(fields) => Syntax::Object(
                fields
                    .iter()
                    .map(|(name, v)| Ok((name.clone(), Self::constant_at(v.clone(), depth + 1)?)))
                    .collect::<Checked<_>>()?,
            ),
        };
        Ok(Self::new(syntax))
    }

    /// The expression `$name`.
    #[must_use]
    pub fn named_value(name: impl Into<Name>) -> Self {
        Self::new(Syntax::NamedValue(name.into()))
    }

    /// The value of an expression which is nothing but a text, number, boolean or `missing`.
    #[must_use]
    pub fn as_constant(&self) -> Option<Value> {
        match &self.0.syntax {
            Syntax::Constant(value) => Some(value.clone()),
            Syntax::Pattern(pattern) => Some(Value::String(pattern.source().clone())),
            _ => None,
        }
    }

    /// Whether the value depends on nothing but the expression itself: no name, symbol, function of the scope or
    /// JobResource, and no `impure()`.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        let reads_surroundings = matches!(
            &self.0.syntax,
            Syntax::NamedValue(_)
                | Syntax::Variable { .. }
                | Syntax::Argument { .. }
                | Syntax::JobResource { .. }
                | Syntax::Call { .. }
                | Syntax::Builtin(Builtin::Impure, _)
        );
        !reads_surroundings && self.all_children(&mut Self::is_pure)
    }

    /// The JobResources which the expression names literally (not those with a computed path).
    #[must_use]
    pub fn job_resource_paths(&self) -> BTreeSet<Name> {
        let mut paths = BTreeSet::new();
        self.visit(&mut |e| {
            if let Syntax::JobResource { path, .. } = &e.0.syntax {
                paths.insert(path.clone());
            }
        });
        paths
    }

    /// The names of the `$name` the expression contains (not of those with a computed name).
    #[must_use]
    pub fn named_values(&self) -> BTreeSet<Name> {
        let mut names = BTreeSet::new();
        self.visit(&mut |e| match &e.0.syntax {
            Syntax::NamedValue(name) => {
                names.insert(name.clone());
            }
            Syntax::Variable { name, .. } | Syntax::Argument { name, .. } => {
                if let Some(Value::String(name)) = name.as_constant() {
                    names.insert(name);
                }
            }
            _ => {}
        });
        names
    }

    /// Whether the expression calls this function or names this symbol.
    #[must_use]
    pub fn calls(&self, function: &str) -> bool {
        let mut found = false;
        self.visit(&mut |e| {
            found |= matches!(&e.0.syntax, Syntax::Call { name, .. } if **name == *function);
        });
        found
    }

    fn new(syntax: Syntax) -> Self {
        let mut height = 0;
        syntax.all_children(&mut |child| {
            height = height.max(child.height());
            true
        });
        Self(Arc::new(Node { height: height + 1, syntax }))
    }

    /// The compiled pattern of a constant text which is used as one.
    fn as_pattern(&self) -> Option<&Pattern> {
        match &self.0.syntax {
            Syntax::Pattern(pattern) => Some(pattern),
            _ => None,
        }
    }

    fn height(&self) -> usize {
        self.0.height
    }

    fn visit(&self, visitor: &mut dyn FnMut(&Self)) {
        visitor(self);
        self.all_children(&mut |child| {
            child.visit(visitor);
            true
        });
    }

    fn all_children(&self, predicate: &mut dyn FnMut(&Self) -> bool) -> bool {
        self.0.syntax.all_children(predicate)
    }
}

impl Syntax {
    /// Whether the predicate holds for all direct parts; stops at the first for which it does not.
    fn all_children(&self, predicate: &mut dyn FnMut(&Expression) -> bool) -> bool {
        match self {
            Self::Constant(_) | Self::Pattern(_) | Self::NamedValue(_) | Self::JobResource { .. } => true,
            Self::List(parts) | Self::Interpolation(parts) | Self::Builtin(_, parts) => parts.iter().all(predicate),
            Self::Object(fields) => fields.iter().all(|(_, value)| predicate(value)),
            Self::Variable { name, default, .. } | Self::Argument { name, default } => {
                predicate(name) && default.iter().all(predicate)
            }
            Self::Call { arguments, .. } => arguments.iter().flatten().all(|argument| predicate(&argument.value)),
            Self::Selection { base, steps } => {
                predicate(base)
                    && steps.iter().all(|step| match step {
                        Step::Field(_) => true,
                        Step::Index(index) => predicate(index),
                    })
            }
            Self::Not(operand) | Self::Negation(operand) => predicate(operand),
            Self::Chain { first, rest } => predicate(first) && rest.iter().all(|(_, operand)| predicate(operand)),
            Self::If { cases, otherwise } => {
                cases.iter().all(|(condition, result)| predicate(condition) && predicate(result))
                    && predicate(otherwise)
            }
        }
    }
}

impl fmt::Display for Expression {
    /// The normal form: it parses to the same expression.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        printer::print(self, f)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
