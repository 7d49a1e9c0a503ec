//! Which items a workflow needs.

use super::Flow;
use crate::expression::Expression;
use crate::expression::scope::EmptyScope;
use crate::id::{AgentPath, BoardPath, JobName, JobResourcePath, SubagentBundleId};
use crate::model::instruction::Instruction;
use crate::model::job::{Executable, Expressions, WorkflowJob};
use crate::model::key::ItemKey;
use crate::value::Value;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

type Keys = BTreeSet<ItemKey>;

impl Flow {
    /// The items which must exist before the workflow: locks, boards, job resources (also those which expressions name
    /// literally), the calendar, the agents of all jobs, and the subagent bundles (or subagents) given as constants. Not the agents of Fork,
    /// ForkList and StickySubagent, nor the workflows of AddOrder.
    #[must_use]
    pub fn referenced_items(&self) -> BTreeSet<ItemKey> {
        let mut keys = Keys::new();
        let workflow = &self.workflow;
        keys.extend(workflow.job_resource_paths.iter().cloned().map(ItemKey::JobResource));
        keys.extend(workflow.calendar_path.iter().cloned().map(ItemKey::Calendar));
        for parameter in workflow.order_preparation.iter().flat_map(|preparation| preparation.parameters.values()) {
            parameter
                .default
                .iter()
                .chain(&parameter.fixed)
                .for_each(|expression| add_expression(expression, &mut keys));
        }
        add_jobs(&workflow.jobs, &mut keys);
        add_all(workflow.result.as_ref(), &mut keys);
        self.visit(&mut |_, _, statement| add_instruction(&statement.instruction, &mut keys));
        keys
    }

    /// Whether a job of the workflow runs at this agent.
    #[must_use]
    pub fn uses_agent(&self, agent_path: &AgentPath) -> bool {
        self.referenced_items().contains(&ItemKey::Agent(agent_path.clone()))
    }
}

fn add_instruction(instruction: &Instruction, keys: &mut Keys) {
    for (_, block) in super::branches(instruction) {
        add_jobs(&block.jobs, keys);
        add_all(block.result.as_ref(), keys);
    }
    match instruction {
        Instruction::ExecuteNamed { default_arguments, .. } => add_all([default_arguments], keys),
        Instruction::ExecuteAnonymous { job, default_arguments } => {
            add_all([default_arguments], keys);
            add_job(job, keys);
        }
        Instruction::If { if_thens, .. } => {
            if_thens.iter().for_each(|if_then| add_expression(&if_then.predicate, keys));
        }
        Instruction::ForkList { children, child_to_id, child_to_arguments, .. } => {
            [children, child_to_id.body(), child_to_arguments.body()].into_iter().for_each(|e| add_expression(e, keys));
        }
        Instruction::Lock { demands, .. } => {
            keys.extend(demands.iter().map(|demand| ItemKey::Lock(demand.lock_path.clone())));
        }
        Instruction::PostNotices { board_paths } => keys.extend(board_paths.iter().cloned().map(ItemKey::Board)),
        Instruction::ExpectNotices { board_paths, .. } | Instruction::ConsumeNotices { board_paths, .. } => {
            keys.extend(board_paths.boards().iter().map(|path| ItemKey::Board(BoardPath::new(path))));
        }
        Instruction::AddOrder { order_id, plan_id, arguments, .. } => {
            add_expression(order_id, keys);
            plan_id.iter().for_each(|expression| add_expression(expression, keys));
            add_all([arguments], keys);
        }
        Instruction::Fail { message: Some(expression), .. }
        | Instruction::Prompt { question: expression }
        | Instruction::StickySubagent { subagent_bundle_id_expr: Some(expression), .. }
        | Instruction::Sleep { duration: expression }
        | Instruction::Say { what: expression } => add_expression(expression, keys),
        _ => {}
    }
}

fn add_jobs(jobs: &BTreeMap<JobName, Arc<WorkflowJob>>, keys: &mut Keys) {
    jobs.values().for_each(|job| add_job(job, keys));
}

fn add_job(job: &WorkflowJob, keys: &mut Keys) {
    keys.insert(ItemKey::Agent(job.agent_path.clone()));
    keys.extend(job.job_resource_paths.iter().cloned().map(ItemKey::JobResource));
    if let Some(expression) = &job.subagent_bundle_id_expr {
        add_expression(expression, keys);
        if let Some(bundle_id) = constant_bundle(expression) {
            keys.insert(ItemKey::SubagentBundle(bundle_id));
        }
    }
    add_all([&job.default_arguments], keys);
    add_all(job.executable.env(), keys);
    match &job.executable {
        Executable::CommandLineExecutable { command, .. } => {
            command.expressions().for_each(|expression| add_expression(expression, keys));
        }
        Executable::InternalExecutable { arguments, .. } => add_all([arguments], keys),
        Executable::PathExecutable { .. } | Executable::ShellScriptExecutable { .. } => {}
    }
}

/// The bundle which a pure expression names. An empty name means the director's own subagent.
fn constant_bundle(expression: &Expression) -> Option<SubagentBundleId> {
    if !expression.is_pure() {
        return None;
    }
    match expression.eval(&EmptyScope) {
        Ok(Value::String(name)) if !name.is_empty() => Some(SubagentBundleId::new(&name)),
        _ => None,
    }
}

fn add_all<'a>(expressions: impl IntoIterator<Item = &'a Expressions>, keys: &mut Keys) {
    expressions.into_iter().flat_map(BTreeMap::values).for_each(|expression| add_expression(expression, keys));
}

fn add_expression(expression: &Expression, keys: &mut Keys) {
    let paths = expression.job_resource_paths();
    keys.extend(paths.iter().map(|path| ItemKey::JobResource(JobResourcePath::new(path))));
}
