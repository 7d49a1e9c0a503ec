//! What a process is started with: everything is evaluated here, with the environment of the subagent, and never journaled.

use super::Director;
use super::subagent_link::SubagentLink;
use crate::process::{FILES_DIRECTORY, ProcessSpec, Program, SpecFile};
use crate::replica::Turn;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use baton_workflow::id::{JobResourcePath, OrderId};
use baton_workflow::model::item::JobResource;
use baton_workflow::model::job::Executable;
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::scope::{Host, ProcessScope, TemporaryFiles};

impl Director {
    /// What the process of an order is started with.
    pub(super) fn process_spec(&self, turn: Turn<'_>, id: &OrderId) -> Checked<ProcessSpec> {
        let gone = || Problem::new(format!("Order:{id}, or its workflow, is not here any more"));
        let state = self.replica.state();
        let order = state.order(id).ok_or_else(gone)?;
        let flow = state.flow(&order.workflow_position.workflow_id).ok_or_else(gone)?;
        let job_at = flow.job_at(order.position())?;
        let empty = BTreeMap::new();
        let process = self.replica.relations().processes.get(id);
        let subagent = process.and_then(|process| self.subagents.get(&process.subagent_id));
        let env = subagent.map_or(&empty, |subagent: &SubagentLink| &subagent.environment);
        let host = Host { controller_id: state.controller_id(), env, zone: &flow.workflow().time_zone };
        let find = |path: &str| -> Option<&JobResource> {
            state.items().job_resource(&JobResourcePath::new(path)).map(|resource| &**resource)
        };
        let files = TemporaryFiles::new(FILES_DIRECTORY);
        let job_name = ProcessScope::job_name(order, &job_at);
        let here = order.position().normalized();
        let executed = order.historic_outcomes.latest_first().filter(|past| past.position.normalized() == here).count();
        let count = u32::try_from(executed).unwrap_or(u32::MAX).saturating_add(1);
        let (environment, program) = {
            let scope = ProcessScope::new(order, flow, &job_at, &job_name, count, host, turn.around.now, &find, &files);
            let program = match &job_at.job.executable {
                Executable::PathExecutable { path, .. } => Program::File(path.clone()),
                Executable::ShellScriptExecutable { script, .. } => Program::Script(script.clone()),
                Executable::CommandLineExecutable { command, .. } => Program::Command(command.eval(&scope)?),
                Executable::InternalExecutable { class_name, script, job_arguments, .. } => Program::BuiltIn {
                    name: class_name.clone(),
                    script: script.clone(),
                    job_arguments: job_arguments.clone(),
                    arguments: scope.arguments()?,
                },
            };
            (scope.environment()?, program)
        };
        let environment: Vec<_> =
            environment.into_iter().map(|(name, value)| (name, value.map(|value| value.to_string()))).collect();
        let files = files
            .into_files()
            .into_iter()
            .map(|file| SpecFile {
                name: file.path.rsplit('/').next().map(String::from).unwrap_or_default(),
                content: file.content.to_string(),
            })
            .collect();
        Ok(ProcessSpec {
            label: format!("Order:{id} {job_name}"),
            program,
            environment,
            files,
            working_directory: None,
            v1_compatible: job_at.job.executable.is_v1_compatible(),
        })
    }
}
