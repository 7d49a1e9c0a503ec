//! The language as a whole: syntax, normal form, evaluation, and that nothing is unbounded.

use super::evaluation::{MAX_DEPTH, MAX_TEXT};
use super::scope::*;
use super::*;
use crate::problem::Problem;
use crate::value::Fields;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use proptest::prelude::*;

mod generated;
mod scopes;

/// The stack of the smallest thread the engine may run in.
const STACK: usize = 512 * 1024;

fn parse(source: &str) -> Expression {
    Expression::parse(source).unwrap_or_else(|problem| panic!("{source}: {problem}"))
}

fn named_values() -> Fields {
    let object = Value::object([("k", "v".into()), ("f", Value::list(["deep".into()]))]);
    let values = [
        ("n", Value::from(3)),
        ("s", "a-b".into()),
        ("l", Value::list([1.into(), 2.into()])),
        ("o", object),
        ("r", "7".into()),
        ("WEIRD/NAME", "weird".into()),
        ("none", Value::Missing),
        ("1", "one".into()),
    ];
    values.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

fn eval(source: &str) -> Checked<Value> {
    parse(source).eval(&FieldsScope(&named_values()))
}

fn problem(source: &str) -> Problem {
    match eval(source) {
        Ok(value) => panic!("{source} should fail, but gives {value:?}"),
        Err(problem) => problem,
    }
}

fn on_a_small_stack(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(STACK).spawn(body).unwrap().join().unwrap();
}

#[test]
fn values() {
    let list = |values: &[i64]| Value::list(values.iter().map(|v| Value::from(*v)));
    for (source, value) in [
        ("$n + 1", Value::from(4)),
        ("\"$n+1\"", "3+1".into()),
        ("\"$($n + 1)th\"", "4th".into()),
        ("$s ++ $n", "a-b3".into()),
        ("$n == \"3\"", false.into()),
        ("$n == 3.0", true.into()),
        ("$unknown ? 'dflt'", "dflt".into()),
        ("$unknown? == missing", true.into()),
        ("toNumber($r) * 2", 14.into()),
        ("$r.toNumber + 1", 8.into()),
        ("$s matches '[a-z]-[a-z]'", true.into()),
        ("$s matches 'a'", false.into()),
        ("missing matches \"\"", true.into()),
        ("replaceAll($s, '([a-z])-([a-z])', '$2-$1')", "b-a".into()),
        ("match($s, '(.)-(.)', '$2')", "b".into()),
        ("$l(1)", 2.into()),
        ("$o.k", "v".into()),
        ("${o.k}", "v".into()),
        ("\"${o.k}\"", "v".into()),
        ("$o.f(0)", "deep".into()),
        ("$n in $l ++ [3]", true.into()),
        ("missing in [missing]", true.into()),
        ("if $n > 2 then 'big' else 'small'", "big".into()),
        ("if false then 1 else if false then 2 else 3", 3.into()),
        ("!($n == 3) || missing", Value::Missing),
        ("mkString(['a', missing, 1, true, [1, 'x'], {a: 'b'}])", "a1true[1, \"x\"]{\"a\":\"b\"}".into()),
        ("\"Zeile1\\n\" ++ 'roh\\n'", "Zeile1\nroh\\n".into()),
        ("{a: 1, b: [2]}.b(0)", 2.into()),
        ("''It's''", "It's".into()),
        ("'''a''b'''", "a''b".into()),
        ("\"\"", "".into()),
        ("'a\r\nb'", "a\nb".into()),
        ("1 - 2 - 3", (-4).into()),
        ("12 / 3 / 2", 2.into()),
        ("2 + 3 * 4", 14.into()),
        ("-$n * 2", (-6).into()),
        ("+5", 5.into()),
        ("[1] ++ [2, 3]", list(&[1, 2, 3])),
        ("1 < 2 == true", true.into()),
        ("true == 1 < 2", true.into()),
        ("'A' < 'a'", true.into()),
        ("'\u{10000}' < '\u{FFFF}'", true.into()),
        ("max(1, 2.5)", Value::Number("2.5".parse().unwrap())),
        ("toBoolean('true') && toBoolean(1) && !toBoolean(0)", true.into()),
        ("toNumber(true)", 1.into()),
        ("stripMargin('  |ONE\n  |TWO\nTHREE')", "ONE\nTWO\nTHREE".into()),
        ("substring('aäb', 1, 2)", "ä".into()),
        ("impure(1)", 1.into()),
        ("$`WEIRD/NAME`", "weird".into()),
        ("$1", "one".into()),
        ("\"$1$(1)\"", "one1".into()),
        ("1 /* comment // */ + // comment\n 2", 3.into()),
        ("1+/**/2", 3.into()),
        ("error('x') ? 1", 1.into()),
        ("\"$(error('x')?)\"", "".into()),
        ("'a' in ['b'] || 'c' in ['c']", false.into()),
    ] {
        if source.ends_with("['c']") {
            // `in` binds weaker than `||`: a list is no operand of it.
            assert_eq!(problem(source).code, "UnexpectedValueType");
        } else {
            assert_eq!(eval(source), Ok(value), "{source}");
        }
    }
}

#[test]
fn missing_propagates() {
    for source in [
        "missing + 1",
        "1 - missing",
        "missing * missing",
        "missing < 1",
        "'a' >= missing",
        "missing ++ 'a'",
        "[1] ++ missing",
        "!missing",
        "-missing",
        "missing && true",
        "true && missing",
        "false || missing",
        "missing || true",
        "missing(0)",
        "$l(missing)",
        "missing.f",
        "1 in missing",
        "toNumber(missing)",
        "toBoolean(missing)",
        "substring('a', missing)",
        "min(1, missing)",
        "if missing then 1 else 2",
        "'a' matches missing",
        "missing?",
        "stripMargin(missing)",
        "missing || error('x')",
        "replaceAll(missing, 'a', 'b')",
        "match('a', missing, 'b')",
        "$none",
        "$none + 1",
        "impure(missing)",
    ] {
        assert_eq!(eval(source), Ok(Value::Missing), "{source}");
    }
    assert_eq!(eval("false && missing"), Ok(false.into()));
    assert_eq!(eval("true || missing"), Ok(true.into()));
    assert_eq!(eval("missing == missing && missing != 1"), Ok(true.into()));
    assert_eq!(eval("[missing + 1]"), Ok(Value::list([Value::Missing])));
    assert_eq!(eval("mkString(missing) == \"\""), Ok(true.into()));
}

#[test]
fn problems() {
    for source in [
        "error('x') + missing",
        "missing + error('x')",
        "missing == error('x')",
        "[1, error('x')]",
        "error('x') && false",
        "missing < error('x')",
        "\"$(error('x'))\"",
        "mkString([error('x')])",
        "min(missing, error('x'))",
    ] {
        assert_eq!(problem(source).code, "ErrorInExpression", "{source}");
        assert_eq!(problem(source).message, "x");
    }
    for source in [
        "1 + 'a'",
        "'a' && true",
        "false || 1",
        "!1",
        "-'a'",
        "1 in 2",
        "[1] ++ 'a'",
        "[1] matches 'a'",
        "1(0)",
        "$l('a')",
        "1.f.g",
        "$o(0)",
        "if 1 then 2 else 3",
        "toNumber([1])",
        "min('a', 1)",
        "substring(1, 2)",
    ] {
        assert_eq!(problem(source).code, "UnexpectedValueType", "{source}");
    }
    for (source, message) in [
        ("1 / 0", "ArithmeticException: Division by zero"),
        ("0 / 0", "ArithmeticException: Division undefined"),
        ("$l(1.5)", "ArithmeticException: Rounding necessary"),
        ("$l(2)", "Index 2 out of range 0...1"),
        ("$l(-1)", "Index -1 out of range 0...1"),
        ("$unknown", "No such named value: unknown"),
        ("argument('n')", "No such named value: n"),
        ("UNKNOWN(1)", "Unknown function: UNKNOWN"),
        ("tryCount", "Unknown function: tryCount"),
        ("JobResource:A/B:c", "JobResources are not accessible here: JobResource:A/B:c"),
        ("jobResourceVariables('A')", "JobResources are not accessible here: JobResource:A"),
        ("1 < 'a'", "Number and String are not comparable (only two numbers or two texts are)"),
        ("$o.x", "Unknown object field: x"),
        ("toNumber('x')", "Not a valid number: \"x\""),
        ("toBoolean('x')", "Not a Boolean value (true, false, 1 or 0): \"x\""),
        ("1 + 'a'", "Expected a value of type Number, but got a String: \"a\""),
        ("substring('abc', 1, 9)", "Index 9 out of range 0...3 of a text"),
        ("match('ab', 'a', 'x')", "Does not match the pattern \"a\": \"ab\""),
        ("subagentIds()", "The subagentIds function is available only for ForkList statement running at an Agent"),
    ] {
        assert_eq!(problem(source).message, message, "{source}");
    }
    for source in
        ["'a' matches '('", "replaceAll('a', '(', 'x')", "substring('abc', 2, 1)", "substring('\u{10000}', 1)"]
    {
        problem(source);
    }
}

#[test]
fn normal_form() {
    for (source, text) in [
        ("1+2", "1 + 2"),
        ("((1 + (2)) + 3) * 4", "(1 + 2 + 3) * 4"),
        ("1 - (2 - 3)", "1 - (2 - 3)"),
        ("($a == $b) < $c", "($a == $b) < $c"),
        ("$a == ($b < $c)", "$a == $b < $c"),
        ("\"a\"", "'a'"),
        ("''It's''", "\"It's\""),
        ("\"\"", "\"\""),
        ("\"a\\\\b$x-$(1+1)$`y z`a${x}y\"", "\"a\\\\b$x-$(1 + 1)${`y z`}a${x}y\""),
        ("\"$1$(  $1)2\"", "\"$1$($1)2\""),
        ("\"a$('b')c\"", "'abc'"),
        ("[ 1,2 ]", "[1, 2]"),
        ("{ a:1 , `b c`:2 }", "{a: 1, `b c`: 2}"),
        ("${a.b}.c", "$a.b.c"),
        ("$a.`toNumber`", "$a.`toNumber`"),
        ("$a.toNumber", "toNumber($a)"),
        ("(JobResource:A).b", "(JobResource:A).b"),
        ("JobResource:A.b:`c d`", "JobResource:A.b:`c d`"),
        ("(orderId)(0)", "(orderId)(0)"),
        ("orderId(0)", "orderId(0)"),
        ("(1)(0)", "(1)(0)"),
        ("-(1)", "-(1)"),
        ("- $a", "-$a"),
        ("!(-1)", "!(-1)"),
        ("!($a && $b)", "!($a && $b)"),
        ("a(b = 1, 2)", "a(b=1, 2)"),
        ("a(b= -$c)", "a(b= -$c)"),
        ("`toNumber`(1)", "`toNumber`(1)"),
        ("$a ?", "$a?"),
        ("$a ? missing", "$a?"),
        ("($a? ?) ? 1", "$a? ? ? 1"),
        ("variable('a', label=L, default=1)", "variable('a', label=L, default=1)"),
        ("variable(default= -$x, key='a', job='my-job')", "variable('a', job=`my-job`, default= -$x)"),
        ("if $a then 1 else (if $b then 2 else 3)", "if $a then 1 else if $b then 2 else 3"),
        ("(if $a then 1 else 2) + 1", "(if $a then 1 else 2) + 1"),
        ("if (if $a then true else false) then 1 else 2", "if (if $a then true else false) then 1 else 2"),
        ("0.10", "0.10"),
        ("$_x", "$_x"),
    ] {
        assert_eq!(parse(source).to_string(), text);
        assert_eq!(parse(text), parse(source));
    }
}

#[test]
fn syntax_errors() {
    for source in [
        "",
        " ",
        "1 +",
        "+ 1 2",
        "a",
        "UNKNOWN",
        "1==-1",
        "1 ==-1",
        "true&&!true",
        "1+-1",
        "$a?-1",
        "{x:-1}",
        "!!$a",
        "! !$a",
        "(1/0) ??",
        "--1",
        "(1",
        "1)",
        "[1,",
        "[1,]",
        "{a}",
        "{a: 1, a: 2}",
        "{1: 2}",
        "''",
        "'a",
        "\"a",
        "\"\\x\"",
        "\"$\"",
        "$",
        "$ a",
        "${",
        "${}",
        "${1}",
        "$``",
        "$`a",
        "$`a\nb`",
        "1 if",
        "if 1 then 2",
        "if 1 else 2",
        "1 + if true then 1 else 2",
        "then",
        "in",
        "1 in",
        "toNumber()",
        "toNumber(1, 2)",
        "min(1)",
        "toNumber(x=1)",
        "variable()",
        "argument()",
        "argument('a', label=L)",
        "variable('a', label=$l)",
        "variable('a', label=L, job=J)",
        "variable('a', 'b', 'c')",
        "/* ",
        "1 /* ",
        "JobResource:",
        "JobResource:A.",
        "JobResource:A:",
        "JobResource:-",
        "1.",
        "1e3",
        ".5",
        "a..b",
        "$a.",
        "@",
        "1 ! 2",
        "\u{0}",
        "if(true) then 1 els 2",
        "iftrue then 1 else 2",
        "true false",
        "a(1 2)",
        "a(b=)",
    ] {
        assert!(Expression::parse(source).is_err(), "{source}");
    }
    let message = Expression::parse("1 +\n 2 3").unwrap_err().message;
    assert_eq!(
        message,
        "Parsing failed at position 8 (line 2, column 4) “1 +\\n 2 ❓3”: Expected an operator or the end, but got '3'"
    );
    let message = Expression::parse("1 ==-1").unwrap_err().message;
    assert!(message.contains("two operators need a blank between them"), "{message}");
}

#[test]
fn tells_what_it_depends_on() {
    let pure = |source: &str| parse(source).is_pure();
    for source in ["1 + 1", "['a', toNumber('1')]", "if true then missing else error('x')", "!true"] {
        assert!(pure(source), "{source}");
    }
    for source in
        ["$a", "!$a", "error($a)", "now('y')", "orderId", "JobResource:A", "impure(1)", "1 + [argument('a')](0)"]
    {
        assert!(!pure(source), "{source}");
    }
    let names = |source: &str| parse(source).named_values().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names("$a + \"$b\" ++ variable('c', default=$d) ++ argument($e)"), ["a", "b", "c", "d", "e"]);
    let paths = parse("JobResource:B:x ++ [JobResource:A](0)").job_resource_paths();
    assert_eq!(paths.iter().map(ToString::to_string).collect::<Vec<_>>(), ["A", "B"]);
    assert!(parse("1 + now('y')").calls("now"));
    assert_eq!(parse("'x'").as_constant(), Some("x".into()));
    assert_eq!(parse("-7").as_constant(), Some((-7).into()));
    assert_eq!(parse("missing").as_constant(), Some(Value::Missing));
    assert_eq!(parse("1 + 1").as_constant(), None);
}

#[test]
fn constants_become_expressions() {
    let value = Value::object([("a", Value::list([1.into(), "x".into(), Value::Missing])), ("b c", true.into())]);
    let expression = Expression::constant(value.clone()).unwrap();
    assert_eq!(expression.to_string(), "{a: [1, 'x', missing], `b c`: true}");
    assert_eq!(expression.eval(&EmptyScope), Ok(value));
    let deep = (0..MAX_NESTING).fold(Value::Missing, |value, _| Value::list([value]));
    assert!(Expression::constant(deep).is_err());
}

#[test]
fn travels_as_text() {
    let config = bincode::config::standard();
    let original = parse("$a + 1");
    let bytes = bincode::serde::encode_to_vec(&original, config).unwrap();
    assert_eq!(bytes, b"\x06$a + 1");
    let (decoded, _): (Expression, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
    assert_eq!(decoded, original);
    assert!(bincode::serde::decode_from_slice::<Expression, _>(b"\x02$a +", config).is_ok());
    assert!(bincode::serde::decode_from_slice::<Expression, _>(b"\x04$a +", config).is_err());
}

#[test]
fn required_types() {
    assert_eq!(parse("1 + 1").eval_to_string(&EmptyScope).as_deref(), Ok("2"));
    assert_eq!(parse("1 == 1").eval_to_boolean(&EmptyScope), Ok(true));
    assert_eq!(parse("1 / 2").eval_to_number(&EmptyScope), Ok("0.5".parse().unwrap()));
    for source in ["missing", "[1]"] {
        assert!(parse(source).eval_to_number(&EmptyScope).is_err(), "{source}");
        assert!(parse(source).eval_to_string(&EmptyScope).is_err(), "{source}");
        assert!(parse(source).eval_to_boolean(&EmptyScope).is_err(), "{source}");
    }
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{a: ", "}"), ("$a(", ")"), ("f(", ")"), ("\"$(", ")\""), ("1 + 2 * -(", ")")]
    {
        let source = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(Expression::parse(&source(8)).is_ok(), "{open}");
        for depth in [31, 1000, 100_000] {
            assert!(Expression::parse(&source(depth)).is_err(), "{open}");
        }
        assert!(Expression::parse(&open.repeat(100_000)).is_err(), "{open}");
    }
    assert!(Expression::parse(&"if true then ".repeat(100_000)).is_err());
    assert!(Expression::parse(&"!".repeat(1_000_000)).is_err());
    assert!(Expression::parse(&"a".repeat(1_000_001)).is_err());
}

#[test]
fn long_chains_are_no_nesting() {
    on_a_small_stack(|| {
        let sum = parse(&format!("0{}", " + 1".repeat(10_000)));
        assert_eq!(sum.eval(&EmptyScope), Ok(10_000.into()));
        assert_eq!(parse(&sum.to_string()), sum);
        let fallbacks = parse(&format!("missing{} ? 7", "? ".repeat(10_000)));
        assert_eq!(fallbacks.eval(&EmptyScope), Ok(7.into()));
        let conditions = parse(&format!("{}7", "if false then 1 else ".repeat(10_000)));
        assert_eq!(conditions.eval(&EmptyScope), Ok(7.into()));
        assert_eq!(parse(&conditions.to_string()), conditions);
    });
}

#[test]
fn the_deepest_expressions_fit_into_a_small_stack() {
    for (open, close) in [
        ("[", "]"),
        ("{a: ", "}"),
        ("f(", ")"),
        ("$a(", ")"),
        ("1 + (2 * ", ")"),
        ("if true then ", " else 2"),
        ("!(", ")"),
        ("\"$(", ")\""),
        ("toNumber(", ")"),
        ("argument(", ")"),
        ("(", " == 1 ? 2)"),
        ("((((", "))))"),
        ("1 + 2 * -(", ")"),
    ] {
        on_a_small_stack(move || {
            let deepest = (0..=MAX_NESTING)
                .rev()
                .find_map(|depth| Expression::parse(&format!("{}1{}", open.repeat(depth), close.repeat(depth))).ok());
            let deepest = deepest.unwrap();
            let _ = deepest.eval(&EmptyScope);
            assert_eq!(parse(&deepest.to_string()), deepest);
            assert!(deepest.named_values().len() < 2);
            let _ = deepest.is_pure();
            drop(deepest);
        });
    }
}

#[test]
fn lazy_values_nest_boundedly() {
    on_a_small_stack(|| {
        let expressions: Vec<(Name, Expression)> = (0..10_000)
            .map(|i| (format!("v{i}").into(), parse(&format!("if true then [$v{}](0) else 1", i + 1))))
            .collect();
        let scope = LazyScope::new(&expressions, None);
        let message = parse("$v0").eval(&scope).unwrap_err().message;
        assert_eq!(message, format!("The evaluation is nested deeper than {MAX_DEPTH} levels"));
    });
}

#[test]
fn effort_is_bounded() {
    let big: Fields = [
        ("t".to_owned(), Value::string(&"x".repeat(MAX_TEXT / 2))),
        ("l".to_owned(), Value::list((0..90_000).map(Value::from))),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value))
    .collect();
    let eval = |source: &str| parse(source).eval(&FieldsScope(&big));
    assert!(eval("$t ++ $t").is_ok());
    for source in ["$t ++ $t ++ 'x'", "\"$t$t$t\"", "$l ++ $l", "mkString([$t, $t, $t])", "replaceAll($t, 'x', 'yyy')"]
    {
        let message = eval(source).unwrap_err().message;
        assert!(message.contains("longer than") || message.contains("more than"), "{source}: {message}");
    }
    let many = |part: &str| format!("[{}]", [part; 2000].join(", "));
    for source in
        [many("-1 in $l"), many("$t ++ $t"), many("$t == $t ++ \"\""), many("$t matches '(x|y)*z'"), many("[$l, $l]")]
    {
        let message = eval(&source).unwrap_err().message;
        assert!(message.contains("takes more than"), "{message}");
        assert!(eval(&format!("{source} ? 1")).is_err());
    }
}
