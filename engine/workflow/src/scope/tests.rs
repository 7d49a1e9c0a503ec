use super::*;
use crate::expression::Expression;
use crate::expression::scope::Scope;
use crate::flow::Flow;
use crate::id::{ExternalOrderName, OrderId, SubagentId};
use crate::json::from_text;
use crate::model::item::JobResource;
use crate::model::order::{Order, OrderState};
use crate::position::WorkflowPosition;
use crate::preparation::{prepare_arguments, with_constant_defaults};
use crate::problem::Checked;
use crate::time::Timestamp;
use crate::value::{Fields, Value};
use alloc::sync::Arc;
use alloc::vec::Vec;

struct World {
    controller_id: ControllerId,
    env: BTreeMap<String, String>,
    zone: TimeZone,
    flow: Flow,
    order: Order,
    resources: Vec<JobResource>,
}

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn world(job: &str) -> World {
    let workflow = alloc::format!(
        r#"{{"path": "W", "versionId": "1", "timeZone": "Europe/Mariehamn", "jobResourcePaths": ["R2"],
        "orderPreparation": {{"parameters": {{
            "given": {{"type": "Number"}}, "constant": {{"default": "'C'"}},
            "pure": {{"final": "1 + 1"}}, "late": {{"default": "$given * 2"}}}}, "allowUndeclared": true}},
        "instructions": [
          {{"TYPE": "Try", "maxTries": 5, "try": {{"instructions": [
             {{"TYPE": "Execute.Named", "label": "L", "jobName": "J", "defaultArguments": {{"d": "'instruction'", "self": "$d"}}}}]}},
            "catch": {{"instructions": [{{"TYPE": "Retry"}}]}}}}],
        "jobs": {{"J": {job}}}}}"#
    );
    let flow = Flow::new(Arc::new(from_text(&workflow).unwrap()));
    let workflow_position = WorkflowPosition { workflow_id: flow.id().clone(), position: "0/try+1:0".parse().unwrap() };
    let mut order = Order::fresh(OrderId::new("O"), workflow_position);
    order.state = OrderState::Ready;
    order.arguments = from_text(r#"{"given": 7, "shadowed": "argument"}"#).unwrap();
    order.historic_outcomes = from_text(
        r#"[{"position": [0, "try+0", 0], "outcome": {"TYPE": "Failed", "namedValues": {"shadowed": "result", "r": 1, "old": 0}}},
            {"position": [0, "try+1", 0], "outcome": {"TYPE": "TimedOut", "outcome": {"TYPE": "Failed", "namedValues": {"r": 2}}}},
            {"position": [0, "catch+1", 0], "outcome": {"TYPE": "Caught"}}]"#,
    )
    .unwrap();
    let resource = |path: &str| {
        from_text(&alloc::format!(
            r#"{{"path": "{path}", "variables": {{"v": "'{path}:' ++ $js7OrderId", "leak": "$given"}},
                "env": {{"SHARED": "$v", "{path}": "\"$js7JobName $js7EpochSecond\"", "UNSET": "missing"}}}}"#
        ))
        .unwrap()
    };
    World {
        controller_id: ControllerId::new("CONTROLLER"),
        env: BTreeMap::from([("HOME".into(), "/home".into())]),
        zone: TimeZone::utc(),
        flow,
        order,
        resources: ["R1", "R2"].map(resource).into(),
    }
}

const JOB: &str = r#"{"agentPath": "A", "processLimit": 3, "jobResourcePaths": ["R1"],
    "defaultArguments": {"d": "'job'", "e": "'job'", "given": "'never'"},
    "executable": {"TYPE": "ShellScriptExecutable", "script": ":", "v1Compatible": true,
      "env": {"SHARED": "'executable'", "UNSET": "'executable'", "D": "$d", "E": "$e", "GIVEN": "$given", "FILE": "toFile('text', 'x-*.txt')"}}}"#;

impl World {
    fn host(&self) -> Host<'_> {
        Host { controller_id: &self.controller_id, env: &self.env, zone: &self.zone }
    }

    fn resource(&self, path: &str) -> Option<&JobResource> {
        self.resources.iter().find(|resource| resource.path.as_str() == path)
    }

    fn process<T>(&self, body: impl FnOnce(&ProcessScope<'_>) -> T) -> (T, Vec<TemporaryFile>) {
        let find = |path: &str| self.resource(path);
        let files = TemporaryFiles::new("/tmp/p");
        let job_at = self.flow.job_at(self.order.position()).unwrap();
        let name = ProcessScope::job_name(&self.order, &job_at);
        let result =
            body(&ProcessScope::new(&self.order, &self.flow, &job_at, &name, 4, self.host(), NOW, &find, &files));
        (result, files.into_files())
    }
}

fn eval(scope: &dyn Scope, source: &str) -> Checked<Value> {
    Expression::parse(source).unwrap().eval(scope)
}

fn check(scope: &dyn Scope, cases: &[(&str, Result<Value, &str>)]) {
    for (source, expected) in cases {
        let actual = eval(scope, source);
        let actual = actual.as_ref().map_err(|problem| problem.message.as_str());
        assert_eq!(actual, expected.as_ref().map_err(|message| *message), "{source}");
    }
}

#[test]
fn an_order_knows_itself() {
    let world = world(JOB);
    check(
        &OrderScope::new(&world.order, &world.flow, world.host()),
        &[
            ("$given", Ok(7.into())),
            ("$constant", Ok("C".into())),
            ("argument('constant')", Ok("C".into())),
            ("argument('r')", Err("No such named value: r")),
            ("$shadowed", Ok("argument".into())),
            ("$r", Ok(2.into())),
            ("$old", Ok(0.into())),
            ("variable('r', label=L)", Ok(2.into())),
            ("variable('old', job=J)", Err("No such named value: old")),
            ("tryCount", Ok(2.into())),
            ("$js7MaxTries", Ok(5.into())),
            ("label", Ok("L".into())),
            ("workflowPosition", Ok("W~1:0/try+1:0".into())),
            ("timedOut", Ok(true.into())),
            ("workflow.timezone", Ok("Europe/Mariehamn".into())),
            ("env('HOME')", Ok("/home".into())),
            ("scheduledOrEmpty('yyyy')", Ok("".into())),
            ("now('yyyy')", Err("Unknown function: now")),
            ("JobResource:R1:v", Err("JobResources are not accessible here: JobResource:R1:v")),
        ],
    );
    check(
        &MinimalOrderScope::new(&world.order, &world.flow, world.host()),
        &[
            ("$given", Ok(7.into())),
            ("\"$js7OrderId $js7ControllerId $js7WorkflowPath\"", Ok("O CONTROLLER W".into())),
            ("$r", Err("No such named value: r")),
            ("tryCount", Err("Unknown function: tryCount")),
        ],
    );
}

#[test]
fn a_fresh_order_waits_for_what_depends_on_time() {
    let mut world = world(JOB);
    let expression = "now('ss', 'UTC') ? 'fallback'";
    let find = |path: &str| world.resource(path);
    let scope = InstructionScope::new(&world.order, &world.flow, world.host(), NOW, &find);
    check(
        &scope,
        &[
            (expression, Ok("40".into())),
            ("$js7EpochMilli", Ok(1_000_000.into())),
            ("JobResource:R1:v", Ok("R1:O".into())),
            ("JobResource:R1:leak", Err("No such named value: given")),
            ("JobResource:X:v", Err("Unknown JobResource: X")),
        ],
    );
    assert!(!scope.is_too_early());
    world.order.state = OrderState::Fresh;
    let find = |path: &str| world.resource(path);
    for source in [expression, "$js7EpochSecond ? 0", "JobResource:R1:v ? 0"] {
        let scope = InstructionScope::new(&world.order, &world.flow, world.host(), NOW, &find);
        assert_eq!(eval(&scope, "$given + 1"), Ok(8.into()));
        assert!(!scope.is_too_early());
        let _ = eval(&scope, source);
        assert!(scope.is_too_early(), "{source}");
    }
}

#[test]
fn a_process_gets_its_environment() {
    let world = world(JOB);
    let (environment, files) = world.process(|process| process.environment().unwrap());
    let get = |name: &str| environment.get(name).map(|value| value.as_deref());
    for (name, value) in [
        ("SHARED", "R1:O"),
        ("R1", "J 1000"),
        ("R2", "J 1000"),
        ("D", "instruction"),
        ("E", "job"),
        ("GIVEN", "7"),
        ("FILE", "/tmp/p/x-1.txt"),
        ("SCHEDULER_PARAM_GIVEN", "7"),
        ("SCHEDULER_PARAM_SHADOWED", "result"),
        ("SCHEDULER_PARAM_R", "2"),
    ] {
        assert_eq!(get(name), Some(Some(value)), "{name}");
    }
    assert_eq!(get("UNSET"), Some(None));
    assert_eq!(files, [TemporaryFile { path: "/tmp/p/x-1.txt".into(), content: "text".into() }]);
}

#[test]
fn defaults_come_last_and_do_not_see_each_other() {
    let world = world(JOB);
    world.process(|process| {
        check(
            process,
            &[
                ("$d", Ok("instruction".into())),
                ("$e", Ok("job".into())),
                ("$self", Err("No such named value: d")),
                ("$js7Job.processLimit + $js7JobExecutionCount", Ok(7.into())),
                ("$js7Job.timeoutMillis", Ok(Value::Missing)),
                ("JobResource:R2:v", Ok("R2:O".into())),
            ],
        );
        check(
            &process.default_arguments(),
            &[
                ("$given", Ok(7.into())),
                ("$d", Err("No such named value: d")),
                ("now('ss')", Err("Unknown function: now")),
            ],
        );
    });
}

#[test]
fn files_have_distinct_plain_names() {
    let files = TemporaryFiles::new("/tmp/p");
    for (source, is_ok) in [
        ("toFile('a')", true),
        ("toFile('b')", true),
        ("toFile('c', 'name')", true),
        ("toFile('c', 'name')", false),
        ("toFile('c', '../name')", false),
        ("toFile('c', '..')", false),
        ("toFile('c', \"\")", false),
    ] {
        assert_eq!(eval(&files, source).is_ok(), is_ok, "{source}");
    }
    assert_eq!(eval(&files, "toFile(missing)"), Ok(Value::Missing));
    let paths: Vec<String> = files.into_files().into_iter().map(|file| file.path).collect();
    assert_eq!(paths, ["/tmp/p/1", "/tmp/p/2", "/tmp/p/name"]);
}

#[test]
fn subagents_are_listed() {
    let subagents = |bundle: Option<&str>| {
        Ok(bundle.map_or(Vec::from([SubagentId::new("A"), SubagentId::new("B")]), |b| Vec::from([SubagentId::new(b)])))
    };
    let scope = SubagentIdsScope { subagents: &subagents };
    check(
        &scope,
        &[("subagentIds()", Ok(Value::list(["A".into(), "B".into()]))), ("subagentIds('X')(0)", Ok("X".into()))],
    );
}

#[test]
fn arguments_are_completed_when_an_order_is_added() {
    let world = world(JOB);
    let preparation = world.flow.workflow().order_preparation.as_ref();
    let find = |path: &str| world.resource(path);
    let outer = FreshOrderScope::new(&world.order.id, &world.flow.id().path, None, world.host(), NOW, &find);
    let given: Fields = from_text(r#"{"given": 7}"#).unwrap();
    let prepared = prepare_arguments(preparation, &given, &outer).unwrap();
    // A default which is pure but no constant is evaluated, too.
    assert_eq!(prepared, from_text(r#"{"given": 7, "pure": 2, "late": 14}"#).unwrap());
    assert_eq!(with_constant_defaults(preparation, &given), from_text(r#"{"given": 7, "constant": "C"}"#).unwrap());
    let code = |arguments: &str| {
        prepare_arguments(preparation, &from_text(arguments).unwrap(), &outer).unwrap_err().code.into_owned()
    };
    assert_eq!(code(r#"{"given": 7, "pure": 3}"#), "FinalOrderArgument");
    assert_eq!(code(r#"{"given": "7", "late": 0}"#), "WrongValueType");
    assert_eq!(code(r#"{"given": null, "late": 0}"#), "WrongValueType");
    assert_eq!(code(r#"{"late": 0}"#), "MissingOrderArgument");
    assert_eq!(prepare_arguments(None, &given, &outer), Ok(given));
}

#[test]
fn files_become_orders() {
    let world = world(JOB);
    let order = |more: &str, name: &str| {
        let watch = alloc::format!(
            r#"{{"path": "F", "workflowPath": "W", "agentPath": "A", "directoryExpr": "'/tmp'" {more}}}"#
        );
        let watch = from_text(&watch).unwrap();
        file_order(&watch, &file_pattern(&watch), &ExternalOrderName::new(name), world.host(), NOW)
    };
    assert_eq!(order("", "x").unwrap().order_id.as_str(), "file:F:x");
    assert_eq!(order("", ".hidden").unwrap_err().code, "FileWatchPatternDoesntMatch");
    let with = |expression: &str| order(&alloc::format!(r#", "orderExpr": "{expression}""#), "x");
    assert_eq!(with("{priority: 1.5}").unwrap().priority, "1.5".parse().unwrap());
    assert_eq!(with("{orderId: $0 ++ $orderWatchPath, planId: []}").unwrap().order_id.as_str(), "xF");
    for wrong in ["'x'", "{orderId: 1}", "{orderId: 'a|b'}", "{planId: ['a']}", "{priority: 'x'}", "{orderId: $1}"] {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}
