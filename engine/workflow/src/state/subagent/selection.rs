//! The choice of a subagent for a process.

use super::{SubagentState, Subagents};
use crate::decimal::Decimal;
use crate::expression::evaluation::Evaluation;
use crate::expression::scope::{Scope, unknown_key};
use crate::id::{AgentPath, SubagentBundleId, SubagentId};
use crate::model::item::Priority;
use crate::model::order::StickySubagent;
use crate::problem::Checked;
use crate::value::Value;
use alloc::format;
use alloc::vec::Vec;

/// Where a process may run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum SubagentTarget {
    /// At any subagent of the agent.
    Any,
    /// At a subagent of a bundle.
    Bundle(SubagentBundleId),
    /// At this subagent.
    One(SubagentId),
}

/// A choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubagentSelection {
    /// The process can start.
    Selected {
        /// Here.
        subagent_id: SubagentId,
        /// Chosen from this bundle; absent for a subagent which was named.
        subagent_bundle_id: Option<SubagentBundleId>,
    },
    /// It has to wait.
    Wait(SubagentWait),
}

/// Why a process has to wait for a subagent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubagentWait {
    /// None is coupled and enabled.
    NoneAvailable,
    /// Some are, but none has a priority at present.
    NoneWithPriority,
}

/// What a subagent said about its machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metering {
    /// Load of the processors, 0 to 1.
    pub cpu_load: Option<Decimal>,
    /// Bytes of virtual memory which are promised to processes.
    pub committed_virtual_memory_size: i64,
    /// Bytes of free memory.
    pub free_memory_size: i64,
    /// Bytes of memory.
    pub total_memory_size: i64,
}

impl Subagents {
    /// Where a job wants to run, and whether its order sticks to the subagent which is going to be chosen. `name` is what
    /// the job names: a bundle, a subagent, empty for the director's own, which is `local`, `None` for any. `sticky` is the
    /// innermost StickySubagent block of the order.
    ///
    /// # Errors
    /// The job names nothing known.
    pub fn target(
        &self,
        agent_path: &AgentPath,
        local: &SubagentId,
        name: Option<&str>,
        sticky: Option<&StickySubagent>,
    ) -> Checked<(SubagentTarget, bool)> {
        let sticky = sticky.filter(|sticky| sticky.agent_path == *agent_path).filter(|sticky| {
            let bundle_id = sticky.subagent_bundle_id.as_ref().map(SubagentBundleId::as_str);
            name.is_none() || bundle_id.is_none() || name == bundle_id
        });
        let Some(sticky) = sticky else { return Ok((self.named_target(local, name)?, false)) };
        match &sticky.stuck_subagent_id {
            Some(id) if self.subagents.contains_key(id) => Ok((SubagentTarget::One(id.clone()), false)),
            Some(id) => Err(unknown_key("SubagentId", &format!("Subagent:{id}"))),
            None => {
                let bundle_id = sticky.subagent_bundle_id.as_ref().map(SubagentBundleId::as_str);
                Ok((self.named_target(local, name.or(bundle_id))?, true))
            }
        }
    }

    fn named_target(&self, local: &SubagentId, name: Option<&str>) -> Checked<SubagentTarget> {
        let Some(name) = name else { return Ok(SubagentTarget::Any) };
        if name.is_empty() {
            return Ok(SubagentTarget::One(local.clone()));
        }
        if let Some((id, _)) = self.bundles.get_key_value(name) {
            return Ok(SubagentTarget::Bundle(id.clone()));
        }
        match self.subagents.get_key_value(name) {
            Some((id, _)) => Ok(SubagentTarget::One(id.clone())),
            None => Err(unknown_key("SubagentId", &format!("Subagent:{name}"))),
        }
    }

    /// Chooses a subagent. `metering` tells what is known of a subagent's machine, `None` when that is too old. Costs a look
    /// at each subagent in question.
    #[must_use]
    pub fn select(
        &self,
        target: &SubagentTarget,
        metering: &dyn Fn(&SubagentId) -> Option<Metering>,
    ) -> SubagentSelection {
        match target {
            SubagentTarget::One(id) => match self.subagents.get(id) {
                Some(state) if state.is_reachable() => {
                    SubagentSelection::Selected { subagent_id: id.clone(), subagent_bundle_id: None }
                }
                _ => SubagentSelection::Wait(SubagentWait::NoneAvailable),
            },
            SubagentTarget::Any => {
                let group: Vec<&SubagentId> =
                    self.iter().filter(|(_, state)| state.is_selectable()).map(|(id, _)| id).collect();
                match next_in_turn(&group, &self.arrival.iter().collect::<Vec<_>>(), self.last_used.as_ref()) {
                    Some(id) => SubagentSelection::Selected { subagent_id: id.clone(), subagent_bundle_id: None },
                    None => SubagentSelection::Wait(SubagentWait::NoneAvailable),
                }
            }
            SubagentTarget::Bundle(bundle_id) => self.select_from_bundle(bundle_id, metering),
        }
    }

    fn select_from_bundle(
        &self,
        bundle_id: &SubagentBundleId,
        metering: &dyn Fn(&SubagentId) -> Option<Metering>,
    ) -> SubagentSelection {
        let Some(bundle) = self.bundles.get(bundle_id) else {
            return SubagentSelection::Wait(SubagentWait::NoneAvailable);
        };
        let priorities = &bundle.item.subagent_to_priority;
        let mut is_any_available = false;
        let mut group: Vec<&SubagentId> = Vec::new();
        let mut highest: Option<Decimal> = None;
        for (id, priority) in priorities {
            let Some(state) = self.subagents.get(id).filter(|state| state.is_selectable()) else { continue };
            is_any_available = true;
            let Some(priority) = self.priority(bundle_id, id, state, priority, metering) else { continue };
            if highest.as_ref().is_none_or(|highest| priority > *highest) {
                group.clear();
                highest = Some(priority.clone());
            }
            if highest.as_ref() == Some(&priority) {
                group.push(id);
            }
        }
        match next_in_turn(&group, &priorities.keys().collect::<Vec<_>>(), bundle.last_used.as_ref()) {
            Some(id) => SubagentSelection::Selected {
                subagent_id: id.clone(),
                subagent_bundle_id: Some(bundle_id.clone()).filter(|bundle_id| bundle_id.as_str() != id.as_str()),
            },
            None if is_any_available => SubagentSelection::Wait(SubagentWait::NoneWithPriority),
            None => SubagentSelection::Wait(SubagentWait::NoneAvailable),
        }
    }

    /// The priority in a bundle, `None` when it is missing or cannot be calculated.
    fn priority(
        &self,
        bundle_id: &SubagentBundleId,
        id: &SubagentId,
        state: &SubagentState,
        priority: &Priority,
        metering: &dyn Fn(&SubagentId) -> Option<Metering>,
    ) -> Option<Decimal> {
        let count = self.process_counts.get(bundle_id).and_then(|counts| counts.get(id)).copied().unwrap_or_default();
        let scope = PriorityScope {
            process_count: i64::try_from(state.process_count()).unwrap_or(i64::MAX),
            bundle_process_count: count.into(),
            bundled_process_count: self.bundled_process_count.into(),
            metering: &|| metering(id),
        };
        match priority.0.eval(&scope) {
            Ok(Value::Number(priority)) => Some(priority),
            Ok(_) | Err(_) => None,
        }
    }
}

/// The first of `group` after the last used one, in the cyclic order of `all`; the first at all when none was used.
fn next_in_turn<'a>(
    group: &[&'a SubagentId],
    all: &[&SubagentId],
    last_used: Option<&SubagentId>,
) -> Option<&'a SubagentId> {
    let position = |id: &SubagentId| all.iter().position(|other| *other == id);
    let last = last_used.and_then(position);
    let after = group.iter().find(|id| last.is_some_and(|last| position(id) > Some(last)));
    after.or_else(|| group.first()).copied()
}

/// What the expression of a priority sees.
struct PriorityScope<'a> {
    process_count: i64,
    bundle_process_count: i64,
    bundled_process_count: i64,
    metering: &'a dyn Fn() -> Option<Metering>,
}

impl Scope for PriorityScope<'_> {
    fn named_value(&self, name: &str, _: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        let value: Value = match name {
            "js7SubagentProcessCount" => self.process_count.into(),
            "js7ClusterSubagentProcessCount" => self.bundle_process_count.into(),
            "js7ClusterProcessCount" => self.bundled_process_count.into(),
            "js7CpuLoad" => (self.metering)()?.cpu_load?.into(),
            "js7CommittedVirtualMemorySize" => (self.metering)()?.committed_virtual_memory_size.into(),
            "js7FreeMemorySize" => (self.metering)()?.free_memory_size.into(),
            "js7TotalMemorySize" => (self.metering)()?.total_memory_size.into(),
            _ => return None,
        };
        Some(Ok(value))
    }
}
