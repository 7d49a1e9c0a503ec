//! Reads expressions and functions.
//!
//! A recursive descent whose depth is bounded by [`MAX_NESTING`]; chains of operators are read in a loop. Every reading
//! method starts at a token and also reads the white space after it.

use super::builtin::Builtin;
use super::pattern::Pattern;
use super::{Argument, Expression, MAX_NESTING, MAX_SOURCE_LENGTH, Operator, Origin, Precedence, Step, Syntax};
use crate::problem::{Checked, Problem};
use crate::text::cursor::Cursor;
use crate::value::{Name, Value};
use alloc::format;
use alloc::vec::Vec;

mod lexical;

/// Characters which must not follow an operator directly.
const OPERATOR_CHARACTERS: &str = "!#%&*+-/:<=>?@^|~";

/// Names which may be used without parentheses.
const SYMBOLS: [&str; 10] = [
    "controllerId",
    "job",
    "label",
    "maxTries",
    "orderId",
    "timedOut",
    "tryCount",
    "workflow",
    "workflowPath",
    "workflowPosition",
];

/// Words between operands.
const INFIX_WORDS: [&str; 4] = ["in", "matches", "then", "else"];

/// Words which begin an operand of their own kind.
const PREFIX_WORDS: [&str; 7] = ["if", "true", "false", "missing", "error", "argument", "variable"];

/// Longer symbols come before those they begin with.
const OPERATORS: [Operator; 15] = [
    Operator::In,
    Operator::Matches,
    Operator::Or,
    Operator::And,
    Operator::Equal,
    Operator::NotEqual,
    Operator::LessOrEqual,
    Operator::GreaterOrEqual,
    Operator::Less,
    Operator::Greater,
    Operator::Concat,
    Operator::Add,
    Operator::Subtract,
    Operator::Multiply,
    Operator::Divide,
];

pub(super) fn expression(source: &str) -> Checked<Expression> {
    complete(source, |parser| parser.expression())
}

/// Parameters and body of a function.
pub(super) fn function(source: &str) -> Checked<(Vec<Name>, Expression)> {
    complete(source, |parser| parser.function())
}

/// Reads an interpolated part at a `$`, as in a double-quoted text, and nothing after it.
pub(super) fn interpolated(cursor: &mut Cursor<'_>) -> Checked<Expression> {
    let mut parser = Parser { cursor: cursor.clone(), depth: 0 };
    let part = parser.interpolated_part()?;
    cursor.reset(parser.cursor.position());
    bounded(part)
}

pub(super) fn too_deep() -> Problem {
    Problem::new(format!("An expression must not be nested deeper than {MAX_NESTING} levels"))
}

/// Whether a name can be written without backticks.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_identifier_start) && chars.all(is_identifier_part)
}

pub(super) fn is_identifier_part(c: char) -> bool {
    unicode_ident::is_xid_continue(c)
}

/// Whether a function of this name must be quoted, not to be taken for something else.
pub(super) fn is_reserved(name: &str) -> bool {
    INFIX_WORDS.contains(&name) || PREFIX_WORDS.contains(&name) || Builtin::of_name(name).is_some()
}

/// Whether this sole suffix is the old notation of a function, `$x.toNumber`.
pub(super) fn old_suffix(name: &str) -> Option<Builtin> {
    Builtin::of_name(name).filter(|builtin| {
        matches!(builtin, Builtin::ToNumber | Builtin::ToBoolean | Builtin::StripMargin | Builtin::MkString)
    })
}

fn is_identifier_start(c: char) -> bool {
    unicode_ident::is_xid_start(c) || c == '_'
}

fn complete<T: Bounded>(source: &str, read: fn(&mut Parser<'_>) -> Checked<T>) -> Checked<T> {
    if source.len() > MAX_SOURCE_LENGTH {
        return Err(Problem::new(format!("An expression must not be longer than {MAX_SOURCE_LENGTH} bytes")));
    }
    let mut parser = Parser { cursor: Cursor::new(source), depth: 0 };
    parser.space()?;
    let result = read(&mut parser)?;
    if parser.cursor.is_at_end() { bounded(result) } else { Err(parser.unexpected("an operator or the end")) }
}

trait Bounded {
    fn height(&self) -> usize;
}

impl Bounded for Expression {
    fn height(&self) -> usize {
        self.height()
    }
}

impl Bounded for (Vec<Name>, Expression) {
    fn height(&self) -> usize {
        self.1.height()
    }
}

fn bounded<T: Bounded>(result: T) -> Checked<T> {
    if result.height() > MAX_NESTING { Err(too_deep()) } else { Ok(result) }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    depth: usize,
}

impl Parser<'_> {
    fn function(&mut self) -> Checked<(Vec<Name>, Expression)> {
        let mut parameters = Vec::new();
        if self.token("(")? {
            while !self.token(")")? {
                if !parameters.is_empty() {
                    self.expect(",")?;
                }
                self.new_parameter(&mut parameters)?;
            }
        } else {
            self.new_parameter(&mut parameters)?;
        }
        if !self.symbol("=>")? {
            return Err(self.unexpected("'=>'"));
        }
        Ok((parameters, self.expression()?))
    }

    fn new_parameter(&mut self, parameters: &mut Vec<Name>) -> Checked<()> {
        let before = self.cursor.clone();
        let name = self.identifier("a parameter name")?;
        if parameters.contains(&name) {
            return Err(before.failure(&format!("Duplicate parameter: {name}")));
        }
        parameters.push(name);
        Ok(())
    }

    #[inline(never)]
    fn expression(&mut self) -> Checked<Expression> {
        self.nested(|parser| if parser.word("if")? { parser.conditional() } else { parser.operators(Precedence::Word) })
    }

    /// Reads what follows an `if`.
    #[inline(never)]
    fn conditional(&mut self) -> Checked<Expression> {
        let mut cases = Vec::new();
        loop {
            let condition = self.operators(Precedence::Word)?;
            self.expect_word("then")?;
            let result = self.expression()?;
            self.expect_word("else")?;
            cases.push((condition, result));
            if !self.word("if")? {
                break;
            }
        }
        let mut otherwise = self.operators(Precedence::Word)?;
        if let Syntax::If { cases: more, otherwise: last } = &otherwise.0.syntax {
            cases.extend_from_slice(more);
            otherwise = last.clone();
        }
        Ok(Expression::new(Syntax::If { cases, otherwise }))
    }

    /// Reads operands with operators that bind at least as strongly as `minimum`.
    #[inline(never)]
    fn operators(&mut self, minimum: Precedence) -> Checked<Expression> {
        let mut left = self.prefixed()?;
        while let Some(operator) = self.operator(|o| o.precedence() >= minimum)? {
            let level = operator.precedence();
            let mut rest = Vec::new();
            let mut next = Some(operator);
            while let Some(operator) = next {
                let mut right = self.nested(|parser| parser.operators(level.next()))?;
                if operator == Operator::Matches {
                    right = as_pattern(right);
                }
                rest.push((operator, right));
                next = self.operator(|o| o.precedence() == level)?;
            }
            left = chain(left, level, rest);
        }
        Ok(left)
    }

    #[inline(never)]
    fn prefixed(&mut self) -> Checked<Expression> {
        let negation = self.cursor.rest().strip_prefix('-').is_some_and(|rest| !rest.starts_with(is_digit));
        if self.symbol("!")? {
            Ok(Expression::new(Syntax::Not(self.with_fallbacks()?)))
        } else if negation && self.symbol("-")? {
            Ok(Expression::new(Syntax::Negation(self.with_fallbacks()?)))
        } else {
            self.with_fallbacks()
        }
    }

    /// Reads `a ? b?`.
    #[inline(never)]
    fn with_fallbacks(&mut self) -> Checked<Expression> {
        let first = self.selection()?;
        let mut rest = Vec::new();
        while self.symbol("?")? {
            let fallback = if self.is_at_operand() { self.selection()? } else { constant(Value::Missing) };
            rest.push((Operator::OrElse, fallback));
        }
        Ok(if rest.is_empty() { first } else { chain(first, Precedence::OrElse, rest) })
    }

    fn is_at_operand(&self) -> bool {
        let rest = self.cursor.rest();
        let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        let word = rest.split(|c| !is_identifier_part(c)).next().unwrap_or("");
        unsigned.starts_with(is_digit)
            || rest.starts_with(['(', '[', '{', '\'', '"', '$', '`'])
            || rest.starts_with(is_identifier_start) && !INFIX_WORDS.contains(&word) && word != "if"
    }

    #[inline(never)]
    fn selection(&mut self) -> Checked<Expression> {
        let base = self.factor()?;
        let mut steps = Vec::new();
        let mut suffix = None;
        loop {
            if self.token(".")? {
                let quoted = self.cursor.peek() == Some('`');
                let name = self.identifier("a field name")?;
                suffix = if quoted { None } else { old_suffix(&name) };
                steps.push(Step::Field(name));
            } else if self.token("(")? {
                steps.push(Step::Index(self.expression()?));
                self.expect(")")?;
            } else {
                break;
            }
        }
        Ok(match (suffix, steps.as_slice()) {
            (_, []) => base,
            (Some(builtin), [Step::Field(_)]) => Expression::new(Syntax::Builtin(builtin, Vec::from([base]))),
            _ => select(base, steps),
        })
    }

    #[inline(never)]
    fn factor(&mut self) -> Checked<Expression> {
        match self.cursor.peek() {
            Some('(') => self.bracketed(),
            Some('[') => self.list(),
            Some('{') => self.object(),
            Some('\'') => self.single_quoted(),
            Some('"') => self.double_quoted(),
            Some('$') => self.dollar_and_space(),
            Some('+' | '-' | '0'..='9') => self.number(),
            Some(c) if c == '`' || is_identifier_start(c) => self.named(),
            Some(_) | None => Err(self.unexpected("an expression")),
        }
    }

    #[inline(never)]
    fn bracketed(&mut self) -> Checked<Expression> {
        self.expect("(")?;
        let inner = self.expression()?;
        self.expect(")")?;
        Ok(inner)
    }

    #[inline(never)]
    fn list(&mut self) -> Checked<Expression> {
        self.expect("[")?;
        let mut elements = Vec::new();
        while !self.token("]")? {
            if !elements.is_empty() {
                self.expect(",")?;
            }
            elements.push(self.expression()?);
        }
        Ok(Expression::new(Syntax::List(elements)))
    }

    #[inline(never)]
    fn dollar_and_space(&mut self) -> Checked<Expression> {
        let value = self.dollar()?;
        self.space()?;
        Ok(value)
    }

    #[inline(never)]
    fn object(&mut self) -> Checked<Expression> {
        self.expect("{")?;
        let mut fields: Vec<(Name, Expression)> = Vec::new();
        let mut names = alloc::collections::BTreeSet::new();
        while !self.token("}")? {
            if !fields.is_empty() {
                self.expect(",")?;
            }
            let before = self.cursor.clone();
            let name = self.identifier("a field name")?;
            if !names.insert(name.clone()) {
                return Err(before.failure(&format!("Duplicate field: {name}")));
            }
            if !self.symbol(":")? {
                return Err(self.unexpected("':'"));
            }
            fields.push((name, self.expression()?));
        }
        Ok(Expression::new(Syntax::Object(fields)))
    }

    /// Reads what begins with a name: a constant, a call, a symbol or a JobResource.
    #[inline(never)]
    fn named(&mut self) -> Checked<Expression> {
        let before = self.cursor.clone();
        if self.cursor.skip("JobResource:") {
            return self.job_resource();
        }
        let quoted = self.cursor.peek() == Some('`');
        let name = self.identifier("an expression")?;
        let is_call = self.cursor.peek() == Some('(');
        match &*name {
            "true" if !quoted => Ok(constant(Value::Boolean(true))),
            "false" if !quoted => Ok(constant(Value::Boolean(false))),
            "missing" if !quoted => Ok(constant(Value::Missing)),
            "variable" | "argument" if !quoted && is_call => self.variable(&name),
            _ if !quoted
                && is_call
                && let Some(builtin) = Builtin::of_name(&name) =>
            {
                self.builtin(&before, builtin)
            }
            _ if !quoted && (INFIX_WORDS.contains(&&*name) || &*name == "if") => Err(before.expected("an expression")),
            _ if is_call => {
                let arguments = self.arguments()?;
                Ok(Expression::new(Syntax::Call { name, arguments: Some(arguments) }))
            }
            symbol if SYMBOLS.contains(&symbol) => Ok(Expression::new(Syntax::Call { name, arguments: None })),
            _ => Err(before.failure(&format!("Unknown symbol: {name} (a named value is written ${name})"))),
        }
    }

    #[inline(never)]
    fn job_resource(&mut self) -> Checked<Expression> {
        let start = self.cursor.position();
        loop {
            if !self.cursor.peek().is_some_and(|c| is_identifier_start(c) || is_digit(c)) {
                return Err(self.cursor.expected("the path of a JobResource"));
            }
            self.cursor.take_while(|c| is_identifier_part(c) || c == '-' || c == '.');
            let next_segment = self.cursor.rest().strip_prefix('/');
            if !next_segment.is_some_and(|rest| rest.starts_with(|c| is_identifier_start(c) || is_digit(c))) {
                break;
            }
            self.cursor.skip("/");
        }
        let end = self.cursor.position();
        let mut reader = self.cursor.clone();
        reader.reset(start);
        let path: Name = reader.rest()[..end - start].into();
        if path.ends_with('.') {
            return Err(self.cursor.failure("The path of a JobResource must not end with a dot"));
        }
        let variable = if self.cursor.skip(":") { Some(self.bare_identifier("a variable name")?) } else { None };
        self.space()?;
        Ok(Expression::new(Syntax::JobResource { path, variable }))
    }

    #[inline(never)]
    fn builtin(&mut self, before: &Cursor<'_>, builtin: Builtin) -> Checked<Expression> {
        let mut operands = Vec::new();
        for argument in self.arguments()? {
            if let Some(keyword) = argument.keyword {
                return Err(before.failure(&format!("{} has no argument named {keyword}", builtin.name())));
            }
            operands.push(argument.value);
        }
        let (minimum, maximum) = builtin.arity();
        if operands.len() < minimum || operands.len() > maximum {
            let arity = if minimum == maximum { format!("{minimum}") } else { format!("{minimum} to {maximum}") };
            return Err(before.failure(&format!("{} needs {arity} arguments, not {}", builtin.name(), operands.len())));
        }
        if let Builtin::ReplaceAll | Builtin::Match = builtin {
            operands[1] = as_pattern(operands[1].clone());
        }
        Ok(Expression::new(Syntax::Builtin(builtin, operands)))
    }

    #[inline(never)]
    fn arguments(&mut self) -> Checked<Vec<Argument>> {
        let mut arguments = Vec::new();
        self.expect("(")?;
        while !self.token(")")? {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            let keyword = self.keyword()?;
            arguments.push(Argument { keyword, value: self.expression()? });
        }
        Ok(arguments)
    }

    /// Reads `name=`, if it follows.
    #[inline(never)]
    fn keyword(&mut self) -> Checked<Option<Name>> {
        let start = self.cursor.position();
        if self.cursor.peek().is_some_and(|c| is_identifier_start(c) || c == '`') {
            let name = self.identifier("a name")?;
            if self.symbol("=")? {
                return Ok(Some(name));
            }
            self.cursor.reset(start);
        }
        Ok(None)
    }

    /// Reads the arguments of `variable` or `argument`.
    #[inline(never)]
    fn variable(&mut self, function: &str) -> Checked<Expression> {
        let (mut name, mut default, mut origin) = (None, None, Origin::Any);
        let is_variable = function == "variable";
        let mut first = true;
        self.expect("(")?;
        while !self.token(")")? {
            if !first {
                self.expect(",")?;
            }
            first = false;
            let before = self.cursor.clone();
            let place = match self.keyword()?.as_deref() {
                Some("label") if is_variable && origin == Origin::Any => {
                    origin = Origin::Label(self.literal_name("a label")?);
                    continue;
                }
                Some("job") if is_variable && origin == Origin::Any => {
                    origin = Origin::Job(self.literal_name("a job name")?);
                    continue;
                }
                None if name.is_none() => &mut name,
                Some("key") => &mut name,
                Some("default") | None => &mut default,
                Some(keyword) => return Err(before.failure(&format!("{function} has no further argument {keyword}"))),
            };
            if place.is_some() {
                return Err(before.failure("This argument has already been given"));
            }
            *place = Some(self.expression()?);
        }
        let Some(name) = name else {
            return Err(self.cursor.failure(&format!("{function} needs a name")));
        };
        Ok(Expression::new(if is_variable {
            Syntax::Variable { name, origin, default }
        } else {
            Syntax::Argument { name, default }
        }))
    }

    /// Reads a name or constant text.
    #[inline(never)]
    fn literal_name(&mut self, what: &str) -> Checked<Name> {
        if self.cursor.rest().starts_with(['\'', '"'])
            && let before = self.cursor.clone()
            && let Some(Value::String(text)) = self.factor()?.as_constant()
        {
            return if text.is_empty() { Err(before.expected(what)) } else { Ok(text) };
        }
        self.identifier(what)
    }

    /// Reads an operator which is accepted.
    fn operator(&mut self, accept: impl Fn(Operator) -> bool) -> Checked<Option<Operator>> {
        for operator in OPERATORS.into_iter().filter(|operator| accept(*operator)) {
            let found = match operator {
                Operator::In | Operator::Matches => self.word(operator.symbol())?,
                _ => self.symbol(operator.symbol())?,
            };
            if found {
                return Ok(Some(operator));
            }
        }
        Ok(None)
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Checked<T>) -> Checked<T> {
        if self.depth == MAX_NESTING {
            return Err(too_deep());
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn constant(value: Value) -> Expression {
    Expression::new(Syntax::Constant(value))
}

/// A constant text becomes a pattern that is compiled once.
fn as_pattern(expression: Expression) -> Expression {
    match &expression.0.syntax {
        Syntax::Constant(Value::String(text)) => Expression::new(Syntax::Pattern(Pattern::new(text.clone()))),
        _ => expression,
    }
}

/// Operators of the same precedence are one chain, however they were bracketed at the left.
fn chain(first: Expression, level: Precedence, mut rest: Vec<(Operator, Expression)>) -> Expression {
    match &first.0.syntax {
        Syntax::Chain { first, rest: inner } if inner.iter().all(|(operator, _)| operator.precedence() == level) => {
            rest.splice(0..0, inner.iter().cloned());
            Expression::new(Syntax::Chain { first: first.clone(), rest })
        }
        _ => Expression::new(Syntax::Chain { first, rest }),
    }
}

fn select(base: Expression, mut steps: Vec<Step>) -> Expression {
    match &base.0.syntax {
        Syntax::Selection { base, steps: inner } => {
            steps.splice(0..0, inner.iter().cloned());
            Expression::new(Syntax::Selection { base: base.clone(), steps })
        }
        _ => Expression::new(Syntax::Selection { base, steps }),
    }
}
