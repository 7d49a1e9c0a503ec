//! What the tests deploy: the agent, and workflows with jobs.

use baton_machine::controller::ControllerConfig;
use baton_machine::director::DirectorConfig;
use baton_machine::replica::Locality;
use baton_machine::timing::Timing;
use baton_workflow::id::{AgentPath, ControllerId, SubagentId};

pub(crate) fn agent() -> AgentPath {
    AgentPath::new("AGENT")
}

/// A workflow with one job, whose script is given.
pub(crate) fn one_job(script: &str) -> String {
    job_with("", script)
}

/// A workflow with one job, with more members of the job.
pub(crate) fn job_with(members: &str, script: &str) -> String {
    format!(r#"{{"TYPE": "Workflow", "path": "W", "instructions": [{}]}}"#, execute(members, script))
}

/// An instruction with a job.
pub(crate) fn execute(members: &str, script: &str) -> String {
    format!(
        r#"{{"TYPE": "Execute.Anonymous", "job": {{"agentPath": "AGENT", {members} "processLimit": 10,
            "executable": {{"TYPE": "ShellScriptExecutable", "script": "{script}", "env": {{"PLACE": "env('WHERE')"}}}}}}}}"#
    )
}

pub(crate) fn controller_config() -> ControllerConfig {
    ControllerConfig {
        controller_id: ControllerId::new("Controller"),
        node_id: "Primary".into(),
        locality: Locality::default(),
        timing: Timing::DEFAULT,
    }
}

pub(crate) fn director_config() -> DirectorConfig {
    DirectorConfig {
        node_id: "Primary".into(),
        local_subagent: SubagentId::new("first"),
        locality: Locality::default(),
        timing: Timing::DEFAULT,
    }
}
