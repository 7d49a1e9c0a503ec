//! The kinds `position`, `branch-id`, `order-id`, `return-code-meaning` and `range-set`: small units of the engine.

use super::input::{self, flag, integer, list, member, need, read, text, value_of};
use super::matching::Matcher;
use super::verdict::{Cases, Difference, Fault, Verdict, equal};
use super::{Kind, Vector, form_of};
use baton_workflow::id::OrderId;
use baton_workflow::json::{Json, Node};
use baton_workflow::position::{BranchId, BranchPath, Position};
use baton_workflow::problem::Problem;
use baton_workflow::text::range_set::RangeSet;
use baton_workflow::text::return_code::ReturnCodeMeaning;
use baton_workflow::value::Value;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "position",
        members: &["cases"],
        case: &[
            "position",
            "text",
            "tryCount",
            "catchCount",
            "nextRetry",
            "parent",
            "inFork",
            "forkBranch",
            "branchPath",
            "static",
            "branchPaths",
            "common",
        ],
        check: |vector, cases| vector.each_case(cases, |case| position(vector.matcher(), case)),
    },
    Kind {
        name: "branch-id",
        members: &["cases"],
        case: &["branchId", "cycleState", "error"],
        check: |vector, cases| vector.each_case(cases, |case| branch_id(vector.matcher(), case)),
    },
    Kind {
        name: "order-id",
        members: &["cases"],
        case: &["orderId", "parents", "root"],
        check: |vector, cases| vector.each_case(cases, |case| order_id(vector.matcher(), case)),
    },
    Kind {
        name: "return-code-meaning",
        members: &["cases"],
        case: &["meaning", "successes", "failures", "same"],
        check: |vector, cases| vector.each_case(cases, return_code_meaning),
    },
    Kind { name: "range-set", members: &["cases"], case: &["text", "values", "canonical", "error"], check: range_sets },
];

fn matches<T: Json>(matcher: Matcher, case: &Node, name: &str, actual: Option<T>) -> Verdict {
    match member(case, name) {
        Some(expected) => {
            let actual = actual.as_ref().map(Json::write);
            matcher.maybe(expected, actual.as_ref()).map_err(|d| d.within(name).into())
        }
        None => Ok(()),
    }
}

fn position(matcher: Matcher, case: &Node) -> Verdict {
    match form_of(case, &["position", "branchPath", "branchPaths"])? {
        "position" => {
            let position: Position = read(case, "position")?;
            matches(matcher, case, "text", Some(position.to_string()))?;
            matches(matcher, case, "tryCount", Some(position.try_count()))?;
            matches(matcher, case, "catchCount", Some(position.catch_count()))?;
            matches(matcher, case, "nextRetry", position.next_try().ok())?;
            matches(matcher, case, "parent", position.parent())?;
            if member(case, "inFork").is_some() {
                equal("inFork", &flag(case, "inFork")?, &position.is_in_fork())?;
            }
            matches(matcher, case, "forkBranch", Some(position.block.fork_branch()))?;
            matches(matcher, case, "static", Some(position.normalized()))
        }
        "branchPath" => {
            let path: BranchPath = read(case, "branchPath")?;
            need(case, "static")?;
            matches(matcher, case, "static", Some(path.normalized()))
        }
        _ => {
            let [a, b]: [BranchPath; 2] = read::<Vec<BranchPath>>(case, "branchPaths")?
                .try_into()
                .map_err(|_| Fault::malformed("branchPaths are two branch paths"))?;
            need(case, "common")?;
            matches(matcher, case, "common", Some(a.common(&b)))
        }
    }
}

fn branch_id(matcher: Matcher, case: &Node) -> Verdict {
    let id = BranchId::parse(text(case, "branchId")?);
    match form_of(case, &["cycleState", "error"])? {
        "cycleState" => match id.cycle_state() {
            Ok(state) => equal("cycleState", &read(case, "cycleState")?, state),
            Err(problem) => Err(Difference::new("a cycle state", problem.message).into()),
        },
        _ => rejected(matcher, need(case, "error")?, id.cycle_state().map(Json::write)),
    }
}

/// Expects a problem.
pub(super) fn rejected(matcher: Matcher, expected: &Node, actual: Result<Value, Problem>) -> Verdict {
    match actual {
        Err(problem) => matcher.problem(expected, &problem).map_err(Fault::from),
        Ok(value) => {
            let expected = format!("the problem {}", input::show(expected));
            Err(Difference::new(expected, baton_workflow::json::print(&value)).into())
        }
    }
}

fn order_id(matcher: Matcher, case: &Node) -> Verdict {
    let id: OrderId = read(case, "orderId")?;
    let mut parents: Vec<OrderId> = id.ancestors().collect();
    parents.reverse();
    need(case, "parents")?;
    matches(matcher, case, "parents", Some(parents))?;
    matches(matcher, case, "root", Some(id.root()))
}

fn return_code_meaning(case: &Node) -> Verdict {
    let meaning: ReturnCodeMeaning = read(case, "meaning")?;
    for (name, expected) in [("successes", true), ("failures", false)] {
        for (i, code) in member(case, name).map_or(&[][..], input::elements).iter().enumerate() {
            let code = i32::try_from(integer(code)?).map_err(|_| Fault::malformed("a return code has 32 bits"))?;
            equal(&format!("{name}[{i}]: whether {code} is a success"), &expected, &meaning.is_success(code))?;
        }
    }
    match member(case, "same") {
        Some(same) => equal("same", &value_of::<ReturnCodeMeaning>(same)?, &meaning),
        None => Ok(()),
    }
}

/// Most integers of a set which are listed.
const MAX_LISTED: usize = 100_000;

fn range_sets(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    vector.each_case(cases, |case| {
        let parsed = text(case, "text")?.parse::<RangeSet>();
        match form_of(case, &["values", "error"])? {
            "values" => {
                let set = parsed.map_err(|problem| Difference::new("a set of integers", problem.message))?;
                let found: Vec<i64> = set
                    .ranges()
                    .iter()
                    .flat_map(|(from, to)| i64::from(*from)..=i64::from(*to))
                    .take(MAX_LISTED)
                    .collect();
                let expected: Vec<i64> = list(case, "values")?.iter().map(integer).collect::<Result<_, _>>()?;
                equal("values", &expected, &found)?;
                matches(vector.matcher(), case, "canonical", Some(set.to_string()))
            }
            _ => rejected(vector.matcher(), need(case, "error")?, parsed.map(|set| Value::from(&*set.to_string()))),
        }
    })
}
