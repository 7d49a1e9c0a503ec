//! Commands on plans.

use super::Decision;
use crate::id::PlanSchemaId;
use crate::model::plan::{PlanId, PlanStatus};
use crate::problem::Checked;
use crate::state::State;
use crate::step::Surroundings;
use crate::time::Duration;
use crate::value::Fields;
use alloc::vec::Vec;

pub(super) fn change(
    state: &State,
    around: Surroundings<'_>,
    plan_id: &PlanId,
    status: PlanStatus,
) -> Checked<Decision> {
    let events = state.plans().decide_change(plan_id, status, state.notices(), around.now)?;
    Ok(Decision { events, ..Decision::default() })
}

pub(super) fn change_schema(
    state: &State,
    id: &PlanSchemaId,
    named_values: Option<&Fields>,
    retention: Option<Duration>,
) -> Checked<Decision> {
    let event = state.plans().decide_change_schema(id, named_values.cloned(), retention)?;
    Ok(Decision { events: Vec::from([event]), ..Decision::default() })
}
