//! Generated expressions and arbitrary texts.

use super::*;
use alloc::vec;

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,4}",
        "[a-z `.'-]{1,4}",
        prop::sample::select(&["in", "if", "true", "toNumber", "error", "variable", "label", "then"][..])
            .prop_map(String::from),
    ]
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn leaves() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("missing".to_owned()),
        Just("true".to_owned()),
        Just("orderId".to_owned()),
        (-99..99_i32).prop_map(|n| n.to_string()),
        "[0-9]{1,3}\\.[0-9]{1,3}",
        "'[a-z \"$\\\\\n\r]{0,5}'",
        "''[a-z]'[a-z]''",
        "\"([a-z '\r]|\\\\[\\\\\"$trn]|\\$[a-z]|\\$[0-9]|\\$\\{[a-z]\\}){0,5}\"",
        names().prop_map(|name| format!("${}", quoted(&name))),
        "\\$[0-9]{1,2}",
        "JobResource:[a-z]{1,3}(/[a-z.]{1,3}x)?(:[a-z]{1,2})?",
        names().prop_map(|name| format!("{}()", quoted(&name))),
    ]
}

const OPERATORS: [&str; 16] =
    ["in", "matches", "||", "&&", "==", "!=", "<", "<=", ">", ">=", "++", "+", "-", "*", "/", "?"];

/// Sources with all kinds of syntax. Brackets are everywhere; the printer drops most of them.
fn sources() -> impl Strategy<Value = String> {
    leaves().prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(&OPERATORS[..]), inner.clone())
                .prop_map(|(a, operator, b)| format!("({a}) {operator} ({b})")),
            (inner.clone(), prop::sample::select(&OPERATORS[..]), leaves())
                .prop_map(|(a, operator, b)| format!("{a} {operator} {b}")),
            inner.clone().prop_map(|a| format!("({a})?")),
            inner.clone().prop_map(|a| format!("!({a})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            (inner.clone(), names()).prop_map(|(a, name)| format!("({a}).{}", quoted(&name))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})({b})")),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
            (names(), inner.clone()).prop_map(|(name, a)| format!("{{{}: {a}}}", quoted(&name))),
            (names(), inner.clone(), inner.clone()).prop_map(|(n, a, b)| format!("{0}({0} = {a}, {b})", quoted(&n))),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("(if ({a}) then {b} else {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("\"a$({a})b$({b})c\"")),
            (inner.clone(), names(), inner.clone())
                .prop_map(|(a, n, b)| format!("variable({a}, label={}, default = {b})", quoted(&n))),
            inner.clone().prop_map(|a| format!("argument({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("replaceAll({a}, {b}, 'x')")),
            inner.prop_map(|a| format!("toNumber({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn printing_and_parsing_again_gives_the_same(source in sources()) {
        // Bare `if` and prefix operators cannot be operands everywhere: such sources are skipped.
        if let Ok(expression) = Expression::parse(&source) {
            let text = expression.to_string();
            let again = Expression::parse(&text);
            prop_assert_eq!(again.as_ref(), Ok(&expression), "{} -> {}", source, text);
            prop_assert_eq!(again.unwrap().to_string(), text.clone());
            prop_assert_eq!(parse(&text).eval(&EmptyScope), expression.eval(&EmptyScope));
        }
    }

    #[test]
    fn arbitrary_texts_never_panic(source in ".{0,40}") {
        let _ = Expression::parse(&source);
        let _ = ExprFunction::parse(&source);
        let _ = CommandLine::parse(&source);
    }

    #[test]
    fn texts_of_the_alphabet_never_panic(source in "[-a-c0-9+*/=<>!?&|.,:(){}\\[\\]'\"`$\\\\ \n]{0,30}") {
        if let Ok(expression) = Expression::parse(&source) {
            let text = expression.to_string();
            prop_assert_eq!(Expression::parse(&text), Ok(expression.clone()), "{}", text);
            let _ = expression.eval(&FieldsScope(&named_values()));
        }
        let _ = CommandLine::parse(&source);
    }
}

#[test]
fn most_generated_sources_are_valid() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let valid = (0..300).filter(|_| {
        let source = sources().new_tree(&mut runner).unwrap().current();
        Expression::parse(&source).is_ok()
    });
    assert!(valid.count() > 200);
}
