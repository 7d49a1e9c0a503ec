//! Workflows of all instructions, nested to a small depth. Most of them are right.

use super::choices::Choices;
use super::expression;
use baton_workflow::value::Value;

/// The workflows.
pub(super) const WORKFLOWS: [&str; 3] = ["W", "V", "U"];
/// The agents. The first character of a job's name says which.
pub(super) const AGENTS: [&str; 2] = ["A1", "A2"];
/// The locks.
pub(super) const LOCKS: [&str; 2] = ["L", "M"];
/// The boards: a global one and one for plans.
pub(super) const BOARDS: [&str; 2] = ["G", "P"];

const DEEPEST: usize = 4;

/// An object with a `TYPE`.
pub(super) fn typed<'a>(kind: &str, members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::object([("TYPE", Value::from(kind))].into_iter().chain(members))
}

/// A workflow.
pub(super) fn workflow(choices: &mut Choices<'_>, path: &str) -> Value {
    let mut maker = Maker { choices, labels: 0 };
    let instructions = maker.instructions(0, Around::default());
    let mut members = vec![
        ("path", Value::from(path)),
        ("calendarPath", Value::from("C")),
        ("instructions", instructions),
        ("jobs", Value::object([("1", job(AGENTS[0])), ("2", job(AGENTS[1]))])),
    ];
    if maker.choices.once_in(8) {
        members.push(("timeZone", Value::from("Europe/Berlin")));
    }
    if maker.choices.once_in(8) {
        let parameters = Value::object([
            ("n", Value::object([("type", Value::from("Number")), ("default", Value::from("1"))])),
            ("x", Value::object([("default", Value::from("'yes'"))])),
        ]);
        let undeclared = Value::from(maker.choices.once_in(2));
        members
            .push(("orderPreparation", Value::object([("parameters", parameters), ("allowUndeclared", undeclared)])));
    }
    typed("Workflow", members)
}

fn job(agent: &str) -> Value {
    Value::object([
        ("agentPath", Value::from(agent)),
        ("executable", typed("ShellScriptExecutable", [("script", Value::from(":"))])),
        ("processLimit", Value::from(100)),
    ])
}

#[derive(Clone, Copy, Default)]
struct Around {
    in_catch: bool,
    in_cycle: bool,
}

struct Maker<'c, 'd> {
    choices: &'c mut Choices<'d>,
    labels: usize,
}

impl Maker<'_, '_> {
    fn block(&mut self, depth: usize, around: Around) -> Value {
        let mut members = vec![("instructions", self.instructions(depth, around))];
        if self.choices.once_in(16) {
            members.push(("jobs", Value::object([("1", job(AGENTS[1]))])));
        }
        Value::object(members)
    }

    fn instructions(&mut self, depth: usize, around: Around) -> Value {
        let count = self.choices.below(4);
        let instructions: Vec<Value> = (0..count).map(|_| self.instruction(depth, around)).collect();
        Value::list(instructions)
    }

    fn instruction(&mut self, depth: usize, around: Around) -> Value {
        let instruction = if depth < DEEPEST && self.choices.once_in(2) {
            self.nesting(depth + 1, around)
        } else {
            self.simple(around)
        };
        match instruction {
            Value::Object(fields) if self.choices.once_in(6) => {
                self.labels += 1;
                let label = Value::from(format!("l{}", self.labels).as_str());
                Value::Object(fields.overridden_by(&[("label".into(), label)].into_iter().collect()))
            }
            instruction => instruction,
        }
    }

    fn simple(&mut self, around: Around) -> Value {
        match self.choices.below(20) {
            0 => typed("EmptyInstruction", []),
            1 | 2 => typed("Execute.Named", [("jobName", Value::from(self.choices.of(&["1", "2"])))]),
            3 => {
                let agent = self.choices.of(&AGENTS);
                typed("Execute.Anonymous", [("job", job(agent))])
            }
            4 => {
                let uncatchable = Value::from(self.choices.once_in(4));
                typed("Fail", [("message", expression::text(self.choices)), ("uncatchable", uncatchable)])
            }
            5 => self.finish(),
            6 => typed("Stop", []),
            7 if around.in_cycle => typed("Break", []),
            8 | 9 if around.in_catch => typed("Retry", []),
            10 => typed("Sleep", [("duration", expression::number(self.choices))]),
            11 => typed("Say", [("what", expression::text(self.choices))]),
            12 => typed("Prompt", [("question", expression::text(self.choices))]),
            13 => self.add_order(),
            14 => typed("PostNotices", [("boardPaths", self.boards())]),
            15 | 16 => typed("ExpectNotices", self.expected()),
            17 => typed("BreakOrder", []),
            _ => typed("Execute.Named", [("jobName", Value::from("1"))]),
        }
    }

    fn finish(&mut self) -> Value {
        match self.choices.below(3) {
            0 => typed("Finish", []),
            1 => typed("Finish", [("outcome", typed("Succeeded", []))]),
            _ => typed("Finish", [("outcome", typed("Failed", []))]),
        }
    }

    fn add_order(&mut self) -> Value {
        let id = self.choices.of(&["'T'", "'#2025-01-01#T'", "$js7OrderId ++ 'x'", "'A'", "1 / 0", "'a|b'"]);
        let mut members = vec![
            ("orderId", Value::from(id)),
            ("workflowPath", Value::from(self.choices.of(&WORKFLOWS))),
            ("deleteWhenTerminated", Value::from(self.choices.once_in(2))),
        ];
        if self.choices.once_in(3) {
            members.push(("planId", Value::from(self.choices.of(&["['D', 'p']", "['D', 'q']", "[]"]))));
        }
        if self.choices.once_in(3) {
            members.push(("arguments", Value::object([("n", expression::number(self.choices))])));
        }
        typed("AddOrder", members)
    }

    fn boards(&mut self) -> Value {
        let count = 1 + self.choices.below(2);
        Value::list(BOARDS.iter().take(count).map(|board| Value::from(*board)))
    }

    fn expected(&mut self) -> Vec<(&'static str, Value)> {
        let boards = self.choices.of(&["'G'", "'P'", "'G' && 'P'", "'G' || 'P'"]);
        let when = self.choices.of(&["Wait", "SkipWhenNoNotice", "DontWait"]);
        vec![("boardPaths", Value::from(boards)), ("whenNotAnnounced", Value::from(when))]
    }

    fn nesting(&mut self, depth: usize, around: Around) -> Value {
        let inner = Around { in_catch: false, ..around };
        match self.choices.below(16) {
            0 | 1 => self.if_(depth, around),
            2..=4 => self.try_(depth, around),
            5 | 6 => self.fork(depth),
            7 => self.fork_list(depth),
            8 | 9 => self.lock(depth, inner),
            10 => typed("Options", [("stopOnFailure", Value::from(true)), ("block", self.block(depth, inner))]),
            11 => self.cycle(depth),
            12 => typed(
                "AdmissionTime",
                [
                    ("admissionTimeScheme", self.admission()),
                    ("skipIfNoAdmissionStartForOrderDay", Value::from(self.choices.once_in(2))),
                    ("block", self.block(depth, inner)),
                ],
            ),
            13 => typed(
                "StickySubagent",
                [("agentPath", Value::from(self.choices.of(&AGENTS))), ("subworkflow", self.block(depth, inner))],
            ),
            _ => {
                let mut members = self.expected();
                members.push(("subworkflow", self.block(depth, inner)));
                typed("ConsumeNotices", members)
            }
        }
    }

    fn if_(&mut self, depth: usize, around: Around) -> Value {
        let count = 1 + self.choices.below(2);
        let alternatives: Vec<Value> = (0..count)
            .map(|_| {
                Value::object([("predicate", expression::condition(self.choices)), ("then", self.block(depth, around))])
            })
            .collect();
        let mut members = vec![("ifThens", Value::list(alternatives))];
        if self.choices.once_in(2) {
            members.push(("else", self.block(depth, around)));
        }
        typed("If", members)
    }

    /// A Retry without end and without delay would run for ever, as it should; so there is none.
    fn try_(&mut self, depth: usize, around: Around) -> Value {
        let tried = self.block(depth, around);
        let retry = typed("Retry", []);
        if self.choices.once_in(2) {
            return typed("Try", [("try", tried), ("catch", self.block(depth, around))]);
        }
        let catch = match self.choices.below(3) {
            0 => Value::list([retry]),
            1 => {
                let then = Value::object([("instructions", Value::list([retry]))]);
                let alternative = Value::object([("predicate", expression::condition(self.choices)), ("then", then)]);
                Value::list([typed("If", [("ifThens", Value::list([alternative]))])])
            }
            _ => Value::list([self.instruction(depth, Around { in_catch: true, ..around }), retry]),
        };
        let mut members = vec![
            ("try", tried),
            ("catch", Value::object([("instructions", catch)])),
            ("maxTries", Value::from(1 + self.choices.below(4) as i64)),
        ];
        if self.choices.once_in(2) {
            let delays: Vec<Value> =
                (0..1 + self.choices.below(2)).map(|_| Value::from(self.choices.of(&[0, 1, 60]))).collect();
            members.push(("retryDelays", Value::list(delays)));
        }
        typed("Try", members)
    }

    fn fork(&mut self, depth: usize) -> Value {
        let count = self.choices.below(4);
        let branches: Vec<Value> = ["a", "b", "c"]
            .iter()
            .take(count)
            .map(|id| {
                let block = self.block(depth, Around::default());
                let block = match block {
                    Value::Object(fields) if self.choices.once_in(4) => {
                        let result = Value::object([(*id, expression::number(self.choices))]);
                        Value::Object(fields.overridden_by(&[("result".into(), result)].into_iter().collect()))
                    }
                    block => block,
                };
                Value::object([("id", Value::from(*id)), ("workflow", block)])
            })
            .collect();
        let mut members = vec![("branches", Value::list(branches))];
        self.fork_options(&mut members);
        typed("Fork", members)
    }

    fn fork_list(&mut self, depth: usize) -> Value {
        let to_id = self.choices.of(&["(element) => $element", "(element, i) => $i", "() => 'x'"]);
        let mut members = vec![
            ("children", expression::list(self.choices)),
            ("childToId", Value::from(to_id)),
            ("workflow", self.block(depth, Around::default())),
        ];
        if self.choices.once_in(2) {
            members.push(("childToArguments", Value::from("(element) => { x: $element }")));
        }
        self.fork_options(&mut members);
        typed("ForkList", members)
    }

    fn fork_options(&mut self, members: &mut Vec<(&str, Value)>) {
        if self.choices.once_in(2) {
            members.push(("joinIfFailed", Value::from(true)));
        }
        if self.choices.once_in(4) {
            members.push(("agentPath", Value::from(self.choices.of(&AGENTS))));
        }
    }

    fn lock(&mut self, depth: usize, around: Around) -> Value {
        let count = 1 + self.choices.below(2);
        let first = self.choices.below(2);
        let demands: Vec<Value> = (0..count)
            .map(|i| {
                let path = Value::from(LOCKS[(first + i) % 2]);
                match self.choices.below(4) {
                    0 | 1 => Value::object([("lockPath", path)]),
                    n => Value::object([("lockPath", path), ("count", Value::from(n as i64 - 1))]),
                }
            })
            .collect();
        typed("Lock", [("demands", Value::list(demands)), ("lockedWorkflow", self.block(depth, around))])
    }

    fn cycle(&mut self, depth: usize) -> Value {
        let repeat = match self.choices.below(4) {
            0 => typed("Continuous", [("pause", Value::from(self.choices.of(&[1, 60, 3600])))]),
            1 => typed("Continuous", [("pause", Value::from(0)), ("limit", Value::from(2))]),
            2 => typed("Ticking", [("interval", Value::from(self.choices.of(&[1, 60, 3600])))]),
            _ => {
                let offsets = Value::list([Value::from(600), Value::from(1200)]);
                typed("Periodic", [("period", Value::from(3600)), ("offsets", offsets)])
            }
        };
        let scheme = Value::object([("admissionTimeScheme", self.admission()), ("repeat", repeat)]);
        typed(
            "Cycle",
            [
                ("schedule", Value::object([("schemes", Value::list([scheme]))])),
                ("onlyOnePeriod", Value::from(self.choices.once_in(3))),
                ("cycleWorkflow", self.block(depth, Around { in_catch: false, in_cycle: true })),
            ],
        )
    }

    fn admission(&mut self) -> Value {
        let period = match self.choices.below(4) {
            0 | 1 => ("DailyPeriod", "secondOfDay", self.choices.of(&[0, 43_200, 50_000]), 86_400),
            2 => ("WeekdayPeriod", "secondOfWeek", self.choices.of(&[93_600, 446_400]), 3600),
            _ => ("SpecificDatePeriod", "secondsSinceLocalEpoch", self.choices.of(&[1_735_732_800, 0]), 3600),
        };
        let (kind, start, second, duration) = period;
        let duration = if self.choices.once_in(2) { 60 } else { duration };
        let period = typed(kind, [(start, Value::from(second)), ("duration", Value::from(duration))]);
        Value::object([("periods", Value::list([period]))])
    }
}
