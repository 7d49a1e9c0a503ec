//! What the jobs of a vector do: which behaviour the first, second, … call of a script has.

use crate::conformance::input::{
    self, elements, flag, iso_duration, member, members, need, read_optional, text, value_of,
};
use crate::conformance::known_members;
use crate::conformance::matching::Matcher;
use crate::conformance::verdict::{Difference, Fault};
use baton_workflow::expression::Expression;
use baton_workflow::id::OrderId;
use baton_workflow::json::Node;
use baton_workflow::model::outcome::Outcome;
use baton_workflow::time::Duration;
use baton_workflow::value::{Fields, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The jobs of a vector, by their scripts.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    jobs: BTreeMap<String, Job>,
    calls: BTreeMap<(String, Option<OrderId>), usize>,
}

#[derive(Clone, Debug)]
enum Job {
    /// Behaviours of all calls, the last one repeats.
    All(Vec<Arc<Behaviour>>),
    /// The calls of each order are counted by themselves.
    ByOrder(BTreeMap<OrderId, Vec<Arc<Behaviour>>>),
}

/// What a process does.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How it ends by itself.
    pub end: End,
    /// Values which the job returns, added to those of the outcome.
    pub outputs: Fields,
    /// Written in one piece after the start.
    pub stdout: Option<String>,
    /// Written in one piece after the start, after `stdout`.
    pub stderr: Option<String>,
    /// When it ends.
    pub lasts: Lasts,
    /// What SIGTERM does.
    pub on_sigterm: Reaction,
    /// What SIGKILL does.
    pub on_sigkill: Reaction,
    /// Gives the file which the process deletes before it ends.
    pub deletes_file: Option<Expression>,
    env: Vec<(String, Node)>,
}

/// How a process ends.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// With this return code, whose meaning the job knows.
    ReturnCode(i32),
    /// With this outcome, verbatim.
    Outcome(Outcome),
}

/// When a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// At the time of its start.
    NoTime,
    /// So long after its start.
    For(Duration),
    /// When it is released.
    UntilReleased,
}

/// What a signal does.
#[derive(Clone, Debug, PartialEq)]
pub enum Reaction {
    /// Nothing.
    Ignored,
    /// The process ends.
    Ends {
        /// What it writes before.
        stdout: Option<String>,
        /// How it ends.
        end: End,
    },
}

impl Jobs {
    /// Reads the member `jobs` of a vector.
    ///
    /// # Errors
    /// Says what is malformed.
    pub fn read(jobs: Option<&Node>) -> Result<Self, Fault> {
        let jobs = jobs
            .map_or(&[][..], members)
            .iter()
            .map(|(script, _, job)| Ok((script.to_string(), Job::read(job)?)))
            .collect::<Result<_, Fault>>()?;
        Ok(Self { jobs, calls: BTreeMap::new() })
    }

    /// The behaviour of the next call of a script, for this order. `None`: the vector says nothing about it.
    pub fn call(&mut self, script: &str, order_id: &OrderId) -> Option<Arc<Behaviour>> {
        let (behaviours, counted_by) = match self.jobs.get(script)? {
            Job::All(behaviours) => (behaviours, None),
            Job::ByOrder(orders) => (orders.get(order_id)?, Some(order_id.clone())),
        };
        let calls = self.calls.entry((script.to_owned(), counted_by)).or_default();
        let behaviour = behaviours.get(*calls).or(behaviours.last());
        *calls += 1;
        behaviour.cloned()
    }
}

impl Job {
    fn read(node: &Node) -> Result<Self, Fault> {
        let Some(orders) = member(node, "byOrder") else {
            return behaviours(node).map(Self::All);
        };
        known_members(node, &["byOrder"])?;
        members(orders)
            .iter()
            .map(|(order_id, _, node)| Ok((OrderId::new(order_id), behaviours(node)?)))
            .collect::<Result<_, Fault>>()
            .map(Self::ByOrder)
    }
}

fn behaviours(node: &Node) -> Result<Vec<Arc<Behaviour>>, Fault> {
    let behaviours: Vec<_> =
        elements(node).iter().map(|node| Behaviour::read(node).map(Arc::new)).collect::<Result<_, Fault>>()?;
    if behaviours.is_empty() {
        return Err(Fault::malformed("a job has at least one behaviour"));
    }
    Ok(behaviours)
}

fn end(node: &Node, default: i32) -> Result<End, Fault> {
    match (read_optional(node, "outcome")?, read_optional(node, "returnCode")?) {
        (Some(_), Some(_)) => Err(Fault::malformed("outcome and returnCode exclude each other")),
        (Some(outcome), None) => Ok(End::Outcome(outcome)),
        (None, return_code) => Ok(End::ReturnCode(return_code.unwrap_or(default))),
    }
}

fn reaction(node: &Node, name: &str, default: i32) -> Result<Reaction, Fault> {
    let Some(node) = node.get(name) else {
        return Ok(Reaction::Ends { stdout: None, end: End::ReturnCode(default) });
    };
    known_members(node, &["ignored", "returnCode", "outcome", "stdout"])?;
    if flag(node, "ignored")? {
        return Ok(Reaction::Ignored);
    }
    Ok(Reaction::Ends { stdout: read_optional(node, "stdout")?, end: end(node, default)? })
}

impl Behaviour {
    fn read(node: &Node) -> Result<Self, Fault> {
        const MEMBERS: &[&str] = &[
            "returnCode",
            "outputs",
            "outcome",
            "stdout",
            "stderr",
            "duration",
            "waits",
            "onSIGTERM",
            "onSIGKILL",
            "expect",
            "deletesFile",
        ];
        known_members(node, MEMBERS)?;
        let lasts = match (node.get("duration"), flag(node, "waits")?) {
            (None, false) => Lasts::NoTime,
            (None, true) => Lasts::UntilReleased,
            (Some(_), false) => Lasts::For(iso_duration(text(node, "duration")?)?),
            (Some(_), true) => return Err(Fault::malformed("duration and waits exclude each other")),
        };
        let env = match node.get("expect") {
            Some(expect) => {
                known_members(expect, &["env"])?;
                members(need(expect, "env")?).iter().map(|(name, _, value)| (name.to_string(), value.clone())).collect()
            }
            None => Vec::new(),
        };
        Ok(Self {
            end: end(node, 0)?,
            outputs: read_optional(node, "outputs")?.unwrap_or_default(),
            stdout: read_optional(node, "stdout")?,
            stderr: read_optional(node, "stderr")?,
            lasts,
            on_sigterm: reaction(node, "onSIGTERM", 128 + 15)?,
            on_sigkill: reaction(node, "onSIGKILL", 128 + 9)?,
            deletes_file: node.get("deletesFile").map(value_of).transpose()?,
            env,
        })
    }

    /// Checks the environment variables which the process gets.
    ///
    /// # Errors
    /// The first one which differs.
    pub fn check_env(&self, matcher: Matcher, env: &BTreeMap<String, String>) -> Result<(), Difference> {
        for (name, expected) in &self.env {
            let found = env.get(name).map(|value| Value::from(value.as_str()));
            match (input::is_null(expected), &found) {
                (true, None) => {}
                (true, Some(found)) => {
                    return Err(Difference::new("no such variable", baton_workflow::json::print(found)).within(name));
                }
                (false, found) => {
                    matcher.maybe(expected, found.as_ref()).map_err(|difference| difference.within(name))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_workflow::json::parse;

    fn jobs(text: &str) -> Jobs {
        Jobs::read(Some(&parse(text).unwrap())).unwrap()
    }

    fn ends(jobs: &mut Jobs, script: &str, order_id: &str) -> Option<End> {
        jobs.call(script, &OrderId::new(order_id)).map(|behaviour| behaviour.end.clone())
    }

    #[test]
    fn the_last_behaviour_repeats() {
        let mut jobs = jobs(r#"{":a": [{"returnCode": 1}, {}]}"#);
        let codes: Vec<_> = (0..3).map(|i| ends(&mut jobs, ":a", &format!("{i}")).unwrap()).collect();
        assert_eq!(codes, [End::ReturnCode(1), End::ReturnCode(0), End::ReturnCode(0)]);
        assert_eq!(ends(&mut jobs, ":b", "A"), None);
    }

    #[test]
    fn calls_may_be_counted_by_order() {
        let mut jobs =
            jobs(r#"{":a": {"byOrder": {"A": [{"returnCode": 1}, {"returnCode": 2}], "B": [{"returnCode": 3}]}}}"#);
        let codes: Vec<_> = ["A", "B", "A"].into_iter().map(|id| ends(&mut jobs, ":a", id).unwrap()).collect();
        assert_eq!(codes, [1, 3, 2].map(End::ReturnCode));
        assert_eq!(ends(&mut jobs, ":a", "C"), None);
    }

    #[test]
    fn signals_have_defaults() {
        let mut jobs = jobs(r#"{":a": [{"waits": true, "onSIGTERM": {"ignored": true}}, {"duration": "PT10S"}]}"#);
        let id = OrderId::new("A");
        let first = jobs.call(":a", &id).unwrap();
        assert_eq!((first.lasts, &first.on_sigterm), (Lasts::UntilReleased, &Reaction::Ignored));
        assert_eq!(first.on_sigkill, Reaction::Ends { stdout: None, end: End::ReturnCode(137) });
        let second = jobs.call(":a", &id).unwrap();
        assert_eq!(second.lasts, Lasts::For(Duration::from_secs(10)));
        assert_eq!(second.on_sigterm, Reaction::Ends { stdout: None, end: End::ReturnCode(143) });
    }

    #[test]
    fn contradictions_are_malformed() {
        for text in [
            r#"{":a": []}"#,
            r#"{":a": [{"duration": "PT1S", "waits": true}]}"#,
            r#"{":a": [{"returnCode": 1, "outcome": {"TYPE": "Succeeded"}}]}"#,
            r#"{":a": [{"more": 1}]}"#,
        ] {
            assert!(Jobs::read(Some(&parse(text).unwrap())).is_err(), "{text}");
        }
    }

    #[test]
    fn the_environment_is_checked() {
        let mut jobs = jobs(r#"{":a": [{"expect": {"env": {"A": "1", "B": null, "C": {"$match": "^x"}}}}]}"#);
        let behaviour = jobs.call(":a", &OrderId::new("A")).unwrap();
        let check = |env: &[(&str, &str)]| {
            let env = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            behaviour.check_env(Matcher::default(), &env).map_err(|difference| difference.path)
        };
        assert_eq!(check(&[("A", "1"), ("C", "xy"), ("D", "")]), Ok(()));
        assert_eq!(check(&[("A", "1")]), Err("C".into()));
        assert_eq!(check(&[("A", "1"), ("C", "xy"), ("B", "")]), Err("B".into()));
    }
}
