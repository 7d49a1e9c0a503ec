//! Texts of the inventory which the controller reads as expressions.

use super::edit::string;
use crate::decimal::Decimal;
use crate::expression::Expression;
use crate::json::{Node, NodeKind};
use crate::model::quoted;
use alloc::string::String;

/// The text as an expression: what has no quote and no `$`, and is neither number nor boolean, means itself.
/// The rest is an expression if it can be read as one, else it means itself, too.
pub(super) fn as_expression(text: &str) -> String {
    let text = text.replace("$epochMilli", "$js7EpochMilli").replace("$epochSecond", "$js7EpochSecond");
    let is_literal = !text.contains(['"', '\'', '$'])
        && text.parse::<Decimal>().is_err()
        && !matches!(text.as_str(), "true" | "false");
    if is_literal || Expression::parse(&text).is_err() { literal(&text) } else { text }
}

/// An expression which gives this text.
fn literal(text: &str) -> String {
    quoted(text)
}

/// The same for a value of a document: numbers and booleans are expressions already.
pub(super) fn value_as_expression(node: &Node) -> Node {
    match &node.kind {
        NodeKind::String(text) => string(&as_expression(text), node.place),
        _ => node.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_does_not_look_like_an_expression() {
        for (text, expression) in [
            ("", "\"\""),
            ("plain text", "'plain text'"),
            ("now()", "'now()'"),
            ("12", "12"),
            ("true", "true"),
            ("$a ++ 'x'", "$a ++ 'x'"),
            ("\"x $a\"", "\"x $a\""),
            ("it's", "\"it's\""),
            ("costs $ 5", "'costs $ 5'"),
            ("$epochMilli", "$js7EpochMilli"),
        ] {
            assert_eq!(as_expression(text), expression, "{text}");
            assert!(Expression::parse(expression).is_ok(), "{expression}");
        }
    }
}
