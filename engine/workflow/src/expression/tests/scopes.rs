//! The pieces of scopes, and how they are joined.

use super::*;
use crate::expression::scope::{
    ArgumentScope, EnvScope, HistoryScope, JobResourceScope, LazyScope, NowScope, ScheduledScope, Scopes,
    SubagentIdsScope, SymbolScope, UniqueOrderIdScope,
};
use crate::schedule::TimeZone;
use crate::time::{Duration, Timestamp};
use alloc::collections::BTreeMap;

/// 2021-08-16 12:00 UTC.
const NOW: Timestamp = Timestamp::from_millis(1_629_115_200_000);

fn fields(entries: &[(&str, &str)]) -> Fields {
    entries.iter().map(|(name, value)| ((*name).into(), Value::string(value))).collect()
}

fn expressions(entries: &[(&str, &str)]) -> Vec<(Name, Expression)> {
    entries.iter().map(|(name, source)| ((*name).into(), parse(source))).collect()
}

fn check(scope: &dyn Scope, cases: &[(&str, Result<Value, &str>)]) {
    for (source, expected) in cases {
        let actual = parse(source).eval(scope);
        let actual = actual.as_ref().map_err(|problem| problem.message.as_str());
        assert_eq!(actual, expected.as_ref().map_err(|message| *message), "{source}");
    }
}

#[test]
fn the_first_scope_that_knows_a_name_wins() {
    let arguments = fields(&[("a", "argument"), ("b", "argument")]);
    let outcomes = [fields(&[("b", "latest"), ("c", "latest")]), fields(&[("c", "older"), ("d", "older")])];
    let latest = |origin: &Origin| match origin {
        Origin::Label(label) if **label == *"L" => Some(fields(&[("c", "at L")])),
        Origin::Job(job) if **job == *"J" => Some(fields(&[("c", "of J")])),
        _ => None,
    };
    let history = HistoryScope { outcomes: &outcomes, latest: &latest };
    let symbols = fields(&[("orderId", "ORDER")]);
    check(
        &Scopes(&[&ArgumentScope(&arguments), &history, &SymbolScope(&symbols)]),
        &[
            ("$a", Ok("argument".into())),
            ("$b", Ok("argument".into())),
            ("$c", Ok("latest".into())),
            ("$d", Ok("older".into())),
            ("variable('d')", Ok("older".into())),
            ("variable(key='c', label=L)", Ok("at L".into())),
            ("variable('c', job=J)", Ok("of J".into())),
            ("variable('a', label=L)", Err("No such named value: a")),
            ("variable('c', label=X, default=5)", Ok("5".into())),
            ("argument('a')", Ok("argument".into())),
            ("argument('c')", Err("No such named value: c")),
            (
                "argument('c', default=[1])",
                Err("Expected a value of type String, but got a List: a list of 1 elements"),
            ),
            ("argument(missing)", Ok(Value::Missing)),
            ("orderId", Ok("ORDER".into())),
            ("orderId()", Ok("ORDER".into())),
            ("orderId(1)", Err("Unknown function: orderId")),
            ("workflowPath", Err("Unknown function: workflowPath")),
        ],
    );
}

#[test]
fn lazy_values() {
    let expressions = expressions(&[("a", "$b ++ '!'"), ("b", "'B'"), ("c", "$d"), ("d", "$c"), ("e", "$x")]);
    let given = fields(&[("x", "X")]);
    let lazy = LazyScope::new(&expressions, None);
    check(
        &Scopes(&[&FieldsScope(&given), &lazy]),
        &[
            ("$a", Ok("B!".into())),
            ("$c", Err("The value of $c depends on itself")),
            ("$e ++ $e", Ok("XX".into())),
            ("$f", Err("No such named value: f")),
        ],
    );
    check(
        &LazyScope::new(&expressions, Some(&EmptyScope)),
        &[("$b", Ok("B".into())), ("$a", Err("No such named value: b"))],
    );
}

#[test]
fn lazy_values_are_evaluated_once() {
    let expressions: Vec<(Name, Expression)> = (0..30)
        .map(|i| (format!("v{i}").into(), parse(&format!("$v{0} + $v{0}", i + 1))))
        .chain([("v30".into(), parse("1"))])
        .collect();
    let value = parse("$v0").eval(&LazyScope::new(&expressions, None));
    assert_eq!(value, Ok((1_i64 << 30).into()));
}

#[test]
fn job_resources() {
    let simple = expressions(&[("X", "'XXX'"), ("Y-Z", "$orderId"), ("SELF", "$X")]);
    let only = expressions(&[("dot", "'DOT'")]);
    let variables = |path: &str| match path {
        "SIMPLE" => Some(simple.as_slice()),
        "WITH.DOT" => Some(only.as_slice()),
        _ => None,
    };
    let own = fields(&[("orderId", "ORDER")]);
    check(
        &JobResourceScope { variables: &variables, scope: &FieldsScope(&own) },
        &[
            ("JobResource:SIMPLE:X", Ok("XXX".into())),
            ("JobResource:SIMPLE:`Y-Z`", Ok("ORDER".into())),
            ("jobResourceVariable('SIMPLE', 'Y-Z')", Ok("ORDER".into())),
            ("JobResource:SIMPLE:SELF", Err("No such named value: X")),
            ("JobResource:WITH.DOT", Ok(Value::object([("dot", "DOT".into())]))),
            ("(JobResource:WITH.DOT).dot", Ok("DOT".into())),
            ("jobResourceVariables('WITH.DOT').dot", Ok("DOT".into())),
            ("JobResource:UNKNOWN:X", Err("Unknown JobResource: UNKNOWN")),
            ("JobResource:SIMPLE:U", Err("Unknown JobResource variable: SIMPLE:U")),
            ("jobResourceVariable('SIMPLE')", Err("jobResourceVariable needs the argument 'key'")),
            ("jobResourceVariable(missing, 'X')", Ok(Value::Missing)),
        ],
    );
}

#[test]
fn environment() {
    let env = BTreeMap::from([("A".to_owned(), "B".to_owned()), ("B".to_owned(), "RESULT".to_owned())]);
    check(
        &EnvScope(&env),
        &[
            ("env(env('A'))", Ok("RESULT".into())),
            ("env('unknown')", Err("Unknown environment variable: unknown")),
            ("env('unknown', env('unknown', 'DEFAULT'))", Ok("DEFAULT".into())),
            ("env('unknown', default='DEFAULT')", Ok("DEFAULT".into())),
            ("env('B', env('unknown'))", Ok("RESULT".into())),
            ("env(missing)", Ok(Value::Missing)),
            ("env()", Err("env needs the argument 'name'")),
            ("env(1, 2, 3)", Err("env has at most 2 arguments, not 3")),
            ("env(nam='A', 'B')", Err("env has no argument named nam")),
        ],
    );
}

#[test]
fn times() {
    let mariehamn = TimeZone::get("Europe/Mariehamn").unwrap();
    let now = NowScope { now: NOW, zone: &mariehamn };
    let utc = TimeZone::utc();
    let scheduled = ScheduledScope { scheduled_for: Some(NOW + Duration::from_millis(999)), zone: &utc };
    check(
        &Scopes(&[&now, &scheduled]),
        &[
            ("now('yyyy-MM-dd HH:mm')", Ok("2021-08-16 15:00".into())),
            ("now(format='HH:mm', timezone='Antarctica/Troll')", Ok("14:00".into())),
            ("now(format='HH:mm', 'UTC')", Ok("12:00".into())),
            ("now(timezone='UTC', format='HH')", Ok("12".into())),
            ("now('HH', missing)", Ok(Value::Missing)),
            (
                "now('HH', 'X/Y')",
                Err("Unknown time zone 'X/Y', an IANA name like 'Europe/Berlin' or 'UTC' is expected"),
            ),
            ("scheduledOrEmpty('ss.SSS')", Ok("00.999".into())),
            ("$js7EpochMilli", Ok(NOW.as_millis().into())),
            ("$js7EpochSecond", Ok((NOW.as_millis() / 1000).into())),
        ],
    );
    let unscheduled = ScheduledScope { scheduled_for: None, zone: &utc };
    check(&unscheduled, &[("scheduledOrEmpty(format='yyyy')", Ok("".into()))]);
}

#[test]
fn unique_order_ids() {
    let exists = |id: &str| ["A-001", "A-002"].contains(&id);
    check(
        &UniqueOrderIdScope { exists: &exists },
        &[("uniqueOrderId('A-%03d')", Ok("A-003".into())), ("uniqueOrderId('B%d')", Ok("B1".into()))],
    );
    check(
        &UniqueOrderIdScope { exists: &|_| true },
        &[("uniqueOrderId('%d')", Err("uniqueOrderId: all ids %d from 1 to 100000 are used"))],
    );
}

#[test]
fn subagents() {
    let ids = |bundle: Option<&str>| match bundle {
        None => Ok(["A".into(), "B".into()].into()),
        Some("BUNDLE") => Ok(["B".into()].into()),
        Some(other) => Err(unknown_key("SubagentBundleId", other)),
    };
    check(
        &SubagentIdsScope { ids: &ids },
        &[
            ("subagentIds()", Ok(Value::list(["A".into(), "B".into()]))),
            ("subagentIds('BUNDLE')", Ok(Value::list(["B".into()]))),
            ("subagentIds('X')", Err("Unknown SubagentBundleId: X")),
            ("subagentIds(missing)", Ok(Value::Missing)),
        ],
    );
}
