//! Of what happens in a world in which something is wrong: what is needed for that.

use super::plan::{Kind, Plan};
use super::{pass_plan, plan_of};
use baton_machine::planted::Bugs;

/// A world in which something is wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its seed.
    pub seed: u64,
    /// What is wrong.
    pub violation: String,
    /// What need not happen for that.
    pub without: Vec<Kind>,
    /// What is left.
    pub plan: Plan,
}

/// The invariant that a violation names.
fn invariant(violation: &str) -> &str {
    violation.split_once(':').map_or(violation, |(name, _)| name)
}

/// Leaves out one kind of happening after the other, as long as the same invariant is violated.
#[must_use]
pub fn shrink(seed: u64, bugs: Bugs, violation: String) -> Finding {
    let mut finding = Finding { seed, violation, without: Vec::new(), plan: plan_of(seed, bugs) };
    for kind in finding.plan.kinds().collect::<Vec<_>>() {
        let plan = finding.plan.without(kind);
        if let Some(violation) = pass_plan(seed, &plan).violation
            && invariant(&violation) == invariant(&finding.violation)
        {
            finding.without.push(kind);
            (finding.plan, finding.violation) = (plan, violation);
        }
    }
    finding
}
