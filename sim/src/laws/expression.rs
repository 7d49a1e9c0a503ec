//! Small expressions, right and wrong ones.

use super::choices::Choices;
use baton_workflow::value::Value;

const CONDITIONS: [&str; 12] = [
    "true",
    "false",
    "$returnCode == 0",
    "$n > 1",
    "$x == 'yes'",
    "$try_again ?",
    "$js7TryCount < 2",
    "tryCount < 3",
    "$missing",
    "'text'",
    "variable('n', default=0) == 0",
    "$js7OrderId == 'A'",
];
const TEXTS: [&str; 8] =
    ["'text'", "\"\"", "$orderId", "$js7OrderId", "missing", "1", "'#2025-01-02#' ++ 'T'", "$x ++ $n"];
const NUMBERS: [&str; 9] = ["0", "1", "2", "60", "$n", "$n + 1", "1 / 0", "'1'", "missing"];
const LISTS: [&str; 6] = ["[]", "['a']", "['a', 'b', 'c']", "[1, 1]", "$list", "'no list'"];

/// An expression for a predicate.
pub(super) fn condition(choices: &mut Choices<'_>) -> Value {
    let text = match choices.below(6) {
        0 => format!("!({})", choices.of(&CONDITIONS)),
        1 => format!("({}) && ({})", choices.of(&CONDITIONS), choices.of(&CONDITIONS)),
        2 => format!("if {} then true else {}", choices.of(&CONDITIONS), choices.of(&CONDITIONS)),
        _ => choices.of(&CONDITIONS).to_string(),
    };
    Value::from(text.as_str())
}

/// An expression for a text.
pub(super) fn text(choices: &mut Choices<'_>) -> Value {
    Value::from(choices.of(&TEXTS))
}

/// An expression for a number.
pub(super) fn number(choices: &mut Choices<'_>) -> Value {
    Value::from(choices.of(&NUMBERS))
}

/// An expression for a list.
pub(super) fn list(choices: &mut Choices<'_>) -> Value {
    Value::from(choices.of(&LISTS))
}
