//! Jobs: what is executed, where, and within which limits.

use crate::expression::Expression;
use crate::expression::command_line::CommandLine;
use crate::id::{AgentPath, JobName, JobResourcePath, WorkflowId};
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json};
use crate::position::{BranchPath, Position};
use crate::problem::{Checked, Problem};
use crate::schedule::AdmissionTimeScheme;
use crate::text::return_code::ReturnCodeMeaning;
use crate::time::Duration;
use crate::value::{Fields, Name, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Expressions by the name of what they give the value to.
pub type Expressions = BTreeMap<Name, Expression>;

crate::json_struct! {
    /// A job of a workflow.
    #[derive(Clone, Debug, PartialEq)]
    pub struct WorkflowJob {
        /// The agent that runs it.
        agent_path: AgentPath => "agentPath";
        /// The subagent bundle or subagent; empty string: the director's own; absent: any subagent of the agent.
        subagent_bundle_id_expr: Option<Expression> => "subagentBundleIdExpr" | "subagentSelectionIdExpr", default None;
        /// What is executed.
        executable: Executable => "executable";
        /// Values of arguments which nothing else gives.
        default_arguments: Expressions => "defaultArguments", default Expressions::new();
        /// Job resources, the first has priority.
        job_resource_paths: Vec<JobResourcePath> => "jobResourcePaths", default Vec::new();
        /// How many processes of the job may run at a time.
        process_limit: u32 => "processLimit" | "parallelism", shown 1;
        /// How long after SIGTERM a process gets SIGKILL.
        sigkill_delay: Option<Duration> => "sigkillDelay", default None;
        /// How long a process may run.
        timeout: Option<Duration> => "timeout", default None;
        /// Whether a process is ended with its admission period.
        kill_at_end_of_admission_period: bool => "killAtEndOfAdmissionPeriod", default false;
        /// Whether writing to stderr means failure.
        fail_on_err_written: bool => "failOnErrWritten", default false;
        /// When the job may start.
        admission_time_scheme: Option<AdmissionTimeScheme> => "admissionTimeScheme", default None;
        /// Whether orders skip the job when no admission period starts on their day.
        skip_if_no_admission_start_for_order_day: bool =>
            "skipIfNoAdmissionStartForOrderDay" | "skipIfNoAdmissionForOrderDay", default false;
        /// Whether the job must not be started again after its process was lost.
        is_not_restartable: bool => "isNotRestartable", default false;
    }
    check check_job;
    rewrite super::legacy::job;
}

fn check_job(job: &WorkflowJob) -> Checked<()> {
    super::check::unique("JobResource", job.job_resource_paths.iter())
}

crate::json_union! {
    /// What a job executes.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Executable {
        /// A program file: absolute, or below the agent's `config/executables`.
        PathExecutable => "PathExecutable" | "ExecutablePath" {
            /// The file.
            path: String => "path";
            /// Environment variables.
            env: Expressions => "env", default Expressions::new();
            /// The user to run as.
            login: Option<Login> => "login", default None;
            /// Which return codes mean success.
            return_code_meaning: ReturnCodeMeaning => "returnCodeMeaning", default ReturnCodeMeaning::default();
            /// Whether all order values are given as `SCHEDULER_PARAM_…` variables.
            v1_compatible: bool => "v1Compatible", default false;
        };
        /// A shell script.
        ShellScriptExecutable => "ShellScriptExecutable" | "ScriptExecutable" | "ExecutableScript" {
            /// The script.
            script: Arc<str> => "script";
            /// Environment variables.
            env: Expressions => "env", default Expressions::new();
            /// The user to run as.
            login: Option<Login> => "login", default None;
            /// Which return codes mean success.
            return_code_meaning: ReturnCodeMeaning => "returnCodeMeaning", default ReturnCodeMeaning::default();
            /// Whether all order values are given as `SCHEDULER_PARAM_…` variables.
            v1_compatible: bool => "v1Compatible", default false;
        };
        /// A program with arguments.
        CommandLineExecutable => "CommandLineExecutable" {
            /// Program and arguments, with expressions.
            command: CommandLine => "command";
            /// Environment variables.
            env: Expressions => "env", default Expressions::new();
            /// The user to run as.
            login: Option<Login> => "login", default None;
            /// Which return codes mean success.
            return_code_meaning: ReturnCodeMeaning => "returnCodeMeaning", default ReturnCodeMeaning::default();
        };
        /// A job built into the agent.
        InternalExecutable => "InternalExecutable" {
            /// Name of the built-in job.
            class_name: String => "className";
            /// Text for the built-in job.
            script: Arc<str> => "script", default Arc::from("");
            /// Constant arguments, given once.
            job_arguments: Fields => "jobArguments", default Fields::default();
            /// Arguments, evaluated for each order.
            arguments: Expressions => "arguments", default Expressions::new();
        };
    }
    check check_executable;
}

impl Executable {
    /// The environment variables.
    #[must_use]
    pub fn env(&self) -> Option<&Expressions> {
        match self {
            Self::PathExecutable { env, .. }
            | Self::ShellScriptExecutable { env, .. }
            | Self::CommandLineExecutable { env, .. } => Some(env),
            Self::InternalExecutable { .. } => None,
        }
    }

    /// Whether all order values are given as `SCHEDULER_PARAM_…` variables.
    #[must_use]
    pub fn is_v1_compatible(&self) -> bool {
        match self {
            Self::PathExecutable { v1_compatible, .. } | Self::ShellScriptExecutable { v1_compatible, .. } => {
                *v1_compatible
            }
            Self::CommandLineExecutable { .. } | Self::InternalExecutable { .. } => false,
        }
    }
}

fn check_executable(executable: &Executable) -> Checked<()> {
    let Executable::PathExecutable { path, .. } = executable else {
        return Ok(());
    };
    if path.is_empty() {
        return Err(Problem::coded(
            "EmptyString",
            [("type", String::from("PathExecutable"))],
            "The path of an executable must not be empty",
        ));
    }
    if !path.starts_with('/') && (path.starts_with('.') || path.contains("/.") || path.contains('\\')) {
        return Err(Problem::coded(
            "InvalidName",
            [("type", String::from("PathExecutable")), ("name", path.clone())],
            format!(
                "Invalid executable path '{path}': a relative path must not start with '.', nor contain '/.' or '\\'"
            ),
        ));
    }
    Ok(())
}

crate::json_struct! {
    /// The user to run as.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Login {
        /// Names the credential in the agent's store.
        credential_key: String => "credentialKey";
        /// Whether the user's profile is loaded.
        with_user_profile: bool => "withUserProfile", default false;
    }
}

/// Identifies a job for its limits and its queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum JobKey {
    /// A named job of a block.
    Named {
        /// The workflow.
        workflow_id: WorkflowId,
        /// The block, normalized.
        block: BranchPath,
        /// The name.
        name: JobName,
    },
    /// The job of an instruction.
    Anonymous {
        /// The workflow.
        workflow_id: WorkflowId,
        /// The instruction, normalized.
        position: Position,
    },
}

impl Json for JobKey {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let object = doc.object()?;
        let workflow_id = object.required("workflowId", &[]);
        let key = if doc.node.get("jobName").is_some() {
            let block = object.optional("branchPath", &[], BranchPath::default);
            let name = object.required("jobName", &[]);
            Self::Named { workflow_id: workflow_id?, block: block?, name: name? }
        } else {
            let position = object.required("position", &[]);
            Self::Anonymous { workflow_id: workflow_id?, position: position? }
        };
        object.warn_of_unknown();
        Some(key)
    }

    fn write(&self) -> Value {
        match self {
            Self::Named { workflow_id, block, name } => Value::object([
                ("workflowId", workflow_id.write()),
                ("branchPath", block.write()),
                ("jobName", name.write()),
            ]),
            Self::Anonymous { workflow_id, position } => {
                Value::object([("workflowId", workflow_id.write()), ("position", position.write())])
            }
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("object")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{from_text, to_text};

    #[test]
    fn job_keys_have_a_json_form() {
        for text in [
            r#"{"branchPath":[0,"then"],"jobName":"J","workflowId":{"path":"W","versionId":"1"}}"#,
            r#"{"position":[1,"lock",2],"workflowId":{"path":"W","versionId":"1"}}"#,
        ] {
            let key: JobKey = from_text(text).unwrap();
            assert_eq!(from_text::<JobKey>(&to_text(&key)).unwrap(), key);
            assert_eq!(matches!(key, JobKey::Named { .. }), text.contains("jobName"));
        }
        assert!(from_text::<JobKey>(r#"{"workflowId":{"path":"W","versionId":"1"}}"#).is_err());
    }

    #[test]
    fn return_codes_may_be_given_as_ranges() {
        let meaning = |text| from_text::<ReturnCodeMeaning>(text);
        assert_eq!(meaning(r#"{"success": [1, [3, 9]]}"#).unwrap(), meaning(r#"{"success": "1,3..9"}"#).unwrap());
        for text in [r#"{"success": [[9, 3]]}"#, r#"{"success": [[1, 2, 3]]}"#, r#"{"success": [["a", "b"]]}"#] {
            assert!(meaning(text).is_err(), "{text}");
        }
    }
}
