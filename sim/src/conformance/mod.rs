//! The conformance runner: feeds vectors (facts about the language, as data) to the engine and compares what comes out.
//!
//! Each kind of vector has a small adapter to the engine. Nothing is skipped silently: an unknown kind, an unknown member, a file
//! which is no vector and a panic of the engine are failures which say what they are.

pub mod input;
pub mod loader;
pub mod matching;
pub mod report;
pub mod verdict;
pub mod workflow;

mod arguments;
mod basics;
mod decoding;
mod engine_scope;
mod expression;
mod expression_scope;
mod items;
mod lock;
mod order_state;
mod order_step;
mod plan;
mod schedule;
mod structure;
mod validation;
mod wire;

use baton_workflow::json::Node;
use input::{list, member, members};
use loader::Loaded;
use matching::Matcher;
use report::{Outcome, Report};
use verdict::{Cases, Fault, Verdict};

/// What the runner needs besides the vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// How values and problems are compared.
    pub matcher: Matcher,
    /// Makes the worlds in which `workflow` vectors are run. `None`: they fail.
    pub start_world: Option<workflow::world::StartWorld>,
}

/// A kind of vectors, and how they are checked.
struct Kind {
    name: &'static str,
    /// Members of a vector besides those which all have.
    members: &'static [&'static str],
    /// Members of a case.
    case: &'static [&'static str],
    check: fn(&Vector<'_>, &Cases) -> Verdict,
}

/// Members which all vectors have.
const GENERAL: &[&str] = &["kind", "name", "source", "about"];

/// All kinds.
const KINDS: &[&[Kind]] = &[
    arguments::KINDS,
    basics::KINDS,
    expression::KINDS,
    items::KINDS,
    lock::KINDS,
    order_state::KINDS,
    order_step::KINDS,
    plan::KINDS,
    schedule::KINDS,
    structure::KINDS,
    validation::KINDS,
    wire::KINDS,
    workflow::KINDS,
];

fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().flatten().find(|kind| kind.name == name)
}

/// A vector being checked.
struct Vector<'a> {
    node: &'a Node,
    kind: &'static Kind,
    settings: Settings,
}

impl Vector<'_> {
    fn matcher(&self) -> Matcher {
        self.settings.matcher
    }

    /// Checks each of the `cases`.
    fn each_case(&self, cases: &Cases, check: impl Fn(&Node) -> Verdict) -> Verdict {
        for (i, case) in list(self.node, "cases")?.iter().enumerate() {
            cases.case(format!("cases[{i}]"), || {
                known_members(case, self.kind.case)?;
                check(case)
            });
        }
        Ok(())
    }
}

/// Refuses members which nobody would look at.
fn known_members(node: &Node, known: &[&str]) -> Verdict {
    match members(node).iter().find(|(name, _, _)| !known.contains(&&**name)) {
        None => Ok(()),
        Some((name, _, _)) => Err(Fault::malformed(format!("unknown member '{name}'"))),
    }
}

/// Runs all vectors.
#[must_use]
pub fn run(vectors: &[Loaded], settings: Settings) -> Report {
    let mut report = Report::default();
    let mut names = std::collections::BTreeMap::new();
    for vector in vectors {
        let cases = match &vector.content {
            Ok(node) => check(node, settings),
            Err(why) => failed(Fault::malformed(why.clone())),
        };
        let node = vector.content.as_ref().ok();
        let text = |name| node.and_then(|n| n.get(name)).and_then(Node::as_str);
        let mut outcome = Outcome {
            file: vector.file.clone(),
            name: text("name").unwrap_or("?").to_owned(),
            kind: text("kind").unwrap_or("?").to_owned(),
            cases,
        };
        if let Some(first) = names.insert(outcome.name.clone(), vector.file.clone()) {
            outcome.cases.extend(failed(Fault::malformed(format!("{first} has the same name"))));
        }
        report.add(outcome);
    }
    report
}

fn failed(fault: Fault) -> Vec<(String, Verdict)> {
    vec![(String::from("vector"), Err(fault))]
}

fn check(node: &Node, settings: Settings) -> Vec<(String, Verdict)> {
    let form = || {
        input::text(node, "name")?;
        let name = input::text(node, "kind")?;
        let kind = kind(name).ok_or_else(|| Fault::malformed(format!("unknown kind '{name}'")))?;
        known_members(node, &[GENERAL, kind.members].concat())?;
        Ok(kind)
    };
    let kind = match form() {
        Ok(kind) => kind,
        Err(fault) => return failed(fault),
    };
    let cases = Cases::default();
    let setup = Cases::default();
    setup.case("vector", || (kind.check)(&Vector { node, kind, settings }, &cases));
    let mut cases = cases.into_vec();
    cases.extend(setup.into_vec().into_iter().filter(|(_, verdict)| verdict.is_err()));
    if cases.is_empty() {
        return failed(Fault::malformed("there are no cases"));
    }
    cases
}

/// Exactly one of these members, which tells what a case asserts.
fn form_of<'k>(case: &Node, forms: &[&'k str]) -> Result<&'k str, Fault> {
    let found: Vec<&str> = forms.iter().copied().filter(|form| member(case, form).is_some()).collect();
    match found.as_slice() {
        [form] => Ok(form),
        _ => Err(Fault::malformed(format!("a case has exactly one of {}", forms.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::Difference;

    fn run_text(text: &str) -> Vec<(String, Verdict)> {
        check(&baton_workflow::json::parse(text).unwrap(), Settings::default())
    }

    #[test]
    fn nothing_is_skipped_silently() {
        for (text, why) in [
            ("{}", "member 'name' is missing"),
            (r#"{"name": "x"}"#, "member 'kind' is missing"),
            (r#"{"name": "x", "kind": "y"}"#, "unknown kind 'y'"),
            (r#"{"name": "x", "kind": "order-id"}"#, "member 'cases' is missing"),
            (r#"{"name": "x", "kind": "order-id", "cases": []}"#, "there are no cases"),
            (r#"{"name": "x", "kind": "order-id", "cases": [], "more": 1}"#, "unknown member 'more'"),
            (r#"{"name": "x", "kind": "order-id", "cases": [{"orderId": "A", "more": 1}]}"#, "unknown member 'more'"),
        ] {
            assert_eq!(run_text(text)[0].1, Err(Fault::malformed(why)), "{text}");
        }
    }

    #[test]
    fn cases_pass_and_fail_one_by_one() {
        let verdicts = run_text(
            r#"{"name": "x", "kind": "order-id", "cases": [
                {"orderId": "A|B", "parents": ["A"], "root": "A"}, {"orderId": "A|B", "parents": ["B"], "root": "A"}]}"#,
        );
        assert_eq!(verdicts[0].1, Ok(()));
        let difference = Difference::new("\"B\"", "\"A\"").within("[0]").within("parents");
        assert_eq!(verdicts[1].1, Err(Fault::Differs(difference)));
    }
}
