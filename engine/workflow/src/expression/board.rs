//! Which notices an order waits for: `'A' && ('B' || 'C')`.

use super::{MAX_NESTING, parser};
use crate::problem::Checked;
use crate::text::cursor::Cursor;
use crate::value::Name;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Whether a notice is there, and whether a combination of notices is. The order is that of the logic: `&&` is the
/// minimum, `||` the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Availability {
    /// Announced, but not posted.
    False,
    /// Neither posted nor announced.
    Unknown,
    /// Posted.
    True,
}

/// A combination of the notices of boards. Cheap to clone.
#[derive(Clone, PartialEq)]
pub struct BoardExpression(Arc<Syntax>);

#[derive(PartialEq)]
enum Syntax {
    Board(Name),
    And(Vec<BoardExpression>),
    Or(Vec<BoardExpression>),
}

impl BoardExpression {
    /// Reads an expression. The problem says where and why the text is none.
    pub fn parse(source: &str) -> Checked<Self> {
        let mut cursor = Cursor::new(source);
        skip_space(&mut cursor);
        let expression = or(&mut cursor, 0)?;
        if cursor.is_at_end() { Ok(expression) } else { Err(cursor.expected("&&, || or the end")) }
    }

    /// The expression of a single board.
    #[must_use]
    pub fn board(path: impl Into<Name>) -> Self {
        Self(Arc::new(Syntax::Board(path.into())))
    }

    /// The availability of the combination, from that of the boards. Asks only until the result is known.
    pub fn eval(&self, available: &mut dyn FnMut(&str) -> Availability) -> Availability {
        match &*self.0 {
            Syntax::Board(path) => available(path),
            Syntax::And(operands) => first_or_extreme(operands, Availability::False, Ord::min, available),
            Syntax::Or(operands) => first_or_extreme(operands, Availability::True, Ord::max, available),
        }
    }

    /// The boards, each once, in the order of their first occurrence.
    #[must_use]
    pub fn boards(&self) -> Vec<Name> {
        let mut boards = Vec::new();
        let mut seen = alloc::collections::BTreeSet::new();
        self.visit(&mut |path| {
            if seen.insert(path.clone()) {
                boards.push(path.clone());
            }
        });
        boards
    }

    fn visit(&self, visitor: &mut dyn FnMut(&Name)) {
        match &*self.0 {
            Syntax::Board(path) => visitor(path),
            Syntax::And(operands) | Syntax::Or(operands) => operands.iter().for_each(|operand| operand.visit(visitor)),
        }
    }
}

/// Combines the operands, until the result cannot change any more.
fn first_or_extreme(
    operands: &[BoardExpression],
    decisive: Availability,
    combine: fn(Availability, Availability) -> Availability,
    available: &mut dyn FnMut(&str) -> Availability,
) -> Availability {
    let mut result = match decisive {
        Availability::False => Availability::True,
        Availability::Unknown | Availability::True => Availability::False,
    };
    for operand in operands {
        result = combine(result, operand.eval(available));
        if result == decisive {
            break;
        }
    }
    result
}

fn or(cursor: &mut Cursor<'_>, depth: usize) -> Checked<BoardExpression> {
    let mut operands = Vec::new();
    loop {
        let operand = and(cursor, depth)?;
        match &*operand.0 {
            Syntax::Or(inner) => operands.extend_from_slice(inner),
            Syntax::Board(_) | Syntax::And(_) => operands.push(operand),
        }
        if !skip(cursor, "||") {
            return Ok(single_or(operands, Syntax::Or));
        }
    }
}

fn and(cursor: &mut Cursor<'_>, depth: usize) -> Checked<BoardExpression> {
    let mut operands = Vec::new();
    loop {
        let operand = factor(cursor, depth)?;
        match &*operand.0 {
            Syntax::And(inner) => operands.extend_from_slice(inner),
            Syntax::Board(_) | Syntax::Or(_) => operands.push(operand),
        }
        if !skip(cursor, "&&") {
            return Ok(single_or(operands, Syntax::And));
        }
    }
}

fn single_or(mut operands: Vec<BoardExpression>, combine: fn(Vec<BoardExpression>) -> Syntax) -> BoardExpression {
    match (operands.pop(), operands.is_empty()) {
        (Some(single), true) => single,
        (last, _) => {
            operands.extend(last);
            BoardExpression(Arc::new(combine(operands)))
        }
    }
}

fn factor(cursor: &mut Cursor<'_>, depth: usize) -> Checked<BoardExpression> {
    if skip(cursor, "(") {
        if depth == MAX_NESTING {
            return Err(parser::too_deep());
        }
        let inner = or(cursor, depth + 1)?;
        if !skip(cursor, ")") {
            return Err(cursor.expected("')'"));
        }
        return Ok(inner);
    }
    let before = cursor.clone();
    let quote = if cursor.skip("'") {
        "'"
    } else if cursor.skip("\"") {
        "\""
    } else {
        return Err(cursor.expected("the quoted path of a board"));
    };
    let Some(path) = cursor.take_until(quote) else { return Err(before.failure("The closing quote is missing")) };
    if path.is_empty() || path.contains(['\'', '"', '\\', '$']) {
        return Err(before.failure("This is no path of a board"));
    }
    skip_space(cursor);
    Ok(BoardExpression::board(path))
}

fn skip(cursor: &mut Cursor<'_>, token: &str) -> bool {
    let found = cursor.skip(token);
    if found {
        skip_space(cursor);
    }
    found
}

fn skip_space(cursor: &mut Cursor<'_>) {
    cursor.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
}

impl fmt::Display for BoardExpression {
    /// The normal form: it parses to the same expression.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Syntax::Board(path) => write!(f, "'{path}'"),
            Syntax::And(operands) => {
                for (i, operand) in operands.iter().enumerate() {
                    f.write_str(if i > 0 { " && " } else { "" })?;
                    match &*operand.0 {
                        Syntax::Or(_) => write!(f, "({operand})")?,
                        Syntax::Board(_) | Syntax::And(_) => operand.fmt(f)?,
                    }
                }
                Ok(())
            }
            Syntax::Or(operands) => {
                for (i, operand) in operands.iter().enumerate() {
                    f.write_str(if i > 0 { " || " } else { "" })?;
                    operand.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for BoardExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Availability::{False, True, Unknown};
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn parse(source: &str) -> BoardExpression {
        BoardExpression::parse(source).unwrap()
    }

    #[test]
    fn reads_and_writes() {
        for (source, text) in [
            ("'A'", "'A'"),
            ("'A'||'B'&&'C'", "'A' || 'B' && 'C'"),
            ("( 'A' || \"B\" ) && 'C'", "('A' || 'B') && 'C'"),
            ("(('A' && 'B') && 'C')", "'A' && 'B' && 'C'"),
            ("'FOLDER/B_BOARD.2'", "'FOLDER/B_BOARD.2'"),
        ] {
            assert_eq!(parse(source).to_string(), text);
            assert_eq!(parse(text), parse(source));
        }
        assert_eq!(parse("'B' && ('A' || 'B')").boards(), ["B".into(), "A".into()]);
    }

    #[test]
    fn refuses() {
        for source in ["", "A", "''", "'A", "'A' 'B'", "'A' &&", "('A'", "'A')", "'A' & 'B'", "!'A'"] {
            assert!(BoardExpression::parse(source).is_err(), "{source}");
        }
        assert!(BoardExpression::parse(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn knows_three_truths() {
        let all = [False, Unknown, True];
        for (a, b, c) in (0..27).map(|i| (all[i / 9], all[i / 3 % 3], all[i % 3])) {
            let mut available = |path: &str| match path {
                "A" => a,
                "B" => b,
                _ => c,
            };
            assert_eq!(parse("'A' || 'B' && 'C'").eval(&mut available), a.max(b.min(c)));
            assert_eq!(parse("'A' && ('B' || 'C')").eval(&mut available), a.min(b.max(c)));
        }
    }

    proptest! {
        #[test]
        fn never_panics(source in "['AB\"&|() ]{0,30}") {
            if let Ok(expression) = BoardExpression::parse(&source) {
                prop_assert_eq!(parse(&expression.to_string()), expression);
            }
        }
    }
}
