//! What `baton ctl` takes.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `baton ctl`
#[derive(Debug, Args)]
pub struct CtlArguments {
    /// The URL of a controller, as http://localhost:4444. Repeatable: the active one of a pair is found. Else `BATON_URL`.
    #[arg(long = "url", value_name = "URL", global = true)]
    pub urls: Vec<String>,
    /// A file with `urls`, `nodes`, `token_file`, `authorities`, `certificate` and `key`, as `baton init cluster` writes it. Else
    /// `BATON_CTL_CONFIG`.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// A file with the token. Else `BATON_TOKEN` is the token.
    #[arg(long, value_name = "FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// The certificates of the authorities that are trusted, in PEM.
    #[arg(long, value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
    /// A certificate to be shown, in PEM.
    #[arg(long, value_name = "FILE", global = true, requires = "key")]
    pub certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, value_name = "FILE", global = true, requires = "certificate")]
    pub key: Option<PathBuf>,
    /// How long to go on trying, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, global = true, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: CtlCommand,
}

/// What `baton ctl` can do.
#[derive(Debug, Subcommand)]
pub enum CtlCommand {
    /// Show how each controller is, or agents and subagents that are in the file of --config.
    Status(StatusArguments),
    /// Add an order.
    Add(AddArguments),
    /// List orders, workflows, agents, subagents or other items.
    List(ListArguments),
    /// List agents: whether each is coupled, since when not, and what it lacks.
    Agents,
    /// List subagents: whether each gets jobs, since when not, and why.
    Subagents,
    /// Let subagents get no more jobs; those which run there come to their end.
    Disable(Ids),
    /// Let subagents get jobs again.
    Enable(Ids),
    /// Let an agent start anew: its processes are killed, its orders fail.
    ResetAgent(ResetArguments),
    /// Let a subagent start anew: its processes are killed, and lost.
    ResetSubagent(ResetArguments),
    /// Show orders, by their ids, or items, by their keys, as in Workflow:PATH.
    Show(Ids),
    /// Show events as they happen.
    Watch(WatchArguments),
    /// Cancel orders.
    Cancel(KillArguments),
    /// Suspend orders.
    Suspend(KillArguments),
    /// Let suspended, failed or stopped orders go on.
    Resume(Ids),
    /// Answer the question with which an order waits.
    Answer(Ids),
    /// Add or change items, from JSON or YAML files or folders with them; and delete others.
    Deploy(DeployArguments),
    /// Let the standby become the active controller; or with --at an agent, let the other director of its pair become active.
    SwitchOver(AtNode),
    /// Let the active controller stop without a take-over.
    Stop(Confirmation),
    /// End the process of a controller, agent or subagent. What that means for the others is asked for.
    Terminate(TerminateArguments),
    /// Let this controller take over from the other one, which was stopped.
    Appoint(AtNode),
    /// Let this controller take over from the other one, which is lost and was active alone: what only that one knows is lost.
    AcceptLoss(AtNode),
    /// Let this first controller begin a cluster although the second one is not there yet.
    Found(AtNode),
    /// Let this controller be active although the other one and the cluster watch are lost.
    Force(AtNode),
}

/// `baton ctl add`
#[derive(Debug, Args)]
pub struct AddArguments {
    /// The path of the workflow.
    pub workflow: String,
    /// The id of the order. Else one is made of the workflow's name and the time.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// An argument of the order. The value is JSON, or else a text. Repeatable.
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = crate::cli::argument)]
    pub arguments: Vec<(String, String)>,
    /// When it starts, as 2026-01-31T12:00:00Z; or in how long, as +90s, +10m, +2h or +1d. Else at once.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Ignore admission times.
    #[arg(long)]
    pub force_admission: bool,
    /// Delete the order when it is finished or cancelled.
    #[arg(long)]
    pub delete: bool,
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listed {
    /// Orders.
    Orders,
    /// Workflows, and how many orders they have.
    Workflows,
    /// Agents, and whether they are coupled.
    Agents,
    /// Subagents, and whether they get jobs.
    Subagents,
    /// All items.
    Items,
}

/// `baton ctl status`
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// Names of agents and subagents in the file of --config. Else the controllers are meant.
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,
}

/// `baton ctl reset-agent` and `reset-subagent`
#[derive(Debug, Args)]
pub struct ResetArguments {
    /// The agent, or the subagent.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Even if it belongs to another controller or agent: what it runs for that one is killed.
    #[arg(long)]
    pub force: bool,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// `baton ctl list`
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Of what.
    #[arg(value_enum, default_value_t = Listed::Orders)]
    pub what: Listed,
    /// Only orders in this state, as Failed or Prompting. Repeatable.
    #[arg(long = "state", value_name = "STATE")]
    pub states: Vec<String>,
    /// Only orders of this workflow.
    #[arg(long, value_name = "PATH")]
    pub workflow: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub limit: usize,
}

impl ListArguments {
    /// All of them.
    #[must_use]
    pub fn all(what: Listed) -> Self {
        Self { what, states: Vec::new(), workflow: None, limit: usize::MAX }
    }
}

/// What is meant.
#[derive(Debug, Args)]
pub struct Ids {
    /// Their ids.
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
}

/// `baton ctl cancel` and `suspend`
#[derive(Debug, Args)]
pub struct KillArguments {
    /// The ids of the orders.
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// End a running process with SIGTERM, and later SIGKILL.
    #[arg(long)]
    pub kill: bool,
}

/// `baton ctl watch`
#[derive(Debug, Args)]
pub struct WatchArguments {
    /// Begin after this event. Else with what happens from now on.
    #[arg(long, value_name = "EVENT-ID")]
    pub after: Option<u64>,
    /// Only events of this order and its children.
    #[arg(long, value_name = "ID")]
    pub order: Option<String>,
    /// End after so many events.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u64>,
}

/// `baton ctl deploy`
#[derive(Debug, Args)]
pub struct DeployArguments {
    /// Files, or folders with JSON and YAML files in or below them; `-` is standard input.
    #[arg(value_name = "FILE", required_unless_present = "delete")]
    pub files: Vec<PathBuf>,
    /// The version of the workflows. Else one is made of the time.
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Delete the item with this key, as Workflow:PATH or Lock:PATH. Repeatable.
    #[arg(long, value_name = "KEY")]
    pub delete: Vec<String>,
}

/// What a person has to confirm.
#[derive(Debug, Args)]
pub struct Confirmation {
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// `baton ctl terminate`
#[derive(Debug, Args)]
pub struct TerminateArguments {
    /// Which.
    #[command(flatten)]
    pub node: AtNode,
    /// Of a controller: hand over to the standby before. If that is not possible, it goes on.
    #[arg(long, conflicts_with_all = ["abort", "kill"])]
    pub switch_over: bool,
    /// End at once: jobs are killed, and others take over.
    #[arg(long, conflicts_with = "kill")]
    pub abort: bool,
    /// As kill -9: like --abort, but nothing is told or written any more.
    #[arg(long, conflicts_with_all = ["restart", "signal"])]
    pub kill: bool,
    /// Start again.
    #[arg(long)]
    pub restart: bool,
    /// Of an agent or subagent: send this signal to its jobs, rather than waiting for their end.
    #[arg(long, value_name = "SIGNAL", conflicts_with = "abort", value_parser = ["SIGTERM", "SIGKILL"])]
    pub signal: Option<String>,
}

/// What is ordered of one of the controllers.
#[derive(Debug, Args)]
pub struct AtNode {
    /// The URL of the node that is to do it, or the name that an agent or subagent has in the file of --config. Not needed if
    /// only one URL is given.
    #[arg(long, value_name = "URL|NAME")]
    pub at: Option<String>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}
