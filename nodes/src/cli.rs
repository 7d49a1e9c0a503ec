//! The command line of `baton`: which sub-commands there are and what they take.
//!
//! Only reading the command line is done here; each sub-command has a module with a function `main` which gets its
//! arguments and returns the exit status. Exit statuses are the same everywhere: 0 is success, 1 failure, 2 a call which
//! makes no sense; 3 is a run that broke off.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::ctl::arguments::CtlArguments;
use crate::daemon::DaemonArguments;
use crate::{check, ctl, daemon, init, journal, process, run, schema};

/// Workload automation: runs workflows of jobs.
#[derive(Debug, Parser)]
#[command(name = "baton", version, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a workflow now, and show what happens.
    Run(RunArguments),
    /// Check documents: tell everything that is wrong, without running anything.
    Check(CheckArguments),
    /// Write what is needed to begin with.
    #[command(subcommand)]
    Init(InitCommand),
    /// Run a controller: a daemon, alone or one of a pair.
    Controller(DaemonArguments),
    /// Run an agent: a daemon, a director with a subagent.
    Agent(DaemonArguments),
    /// Run a subagent: a daemon that runs jobs for a director elsewhere.
    Subagent(DaemonArguments),
    /// Run a cluster watch: a daemon, the third voter of a pair.
    Watch(DaemonArguments),
    /// Operate controllers and agents: see how they are, add and look after orders, deploy items, switch over.
    Ctl(CtlArguments),
    /// Look into journals, check and repair them.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Print a JSON Schema of workflows and other items, for editors.
    Schema,
    /// Watch over the processes of a `baton` process, and kill them when it ends.
    #[command(name = process::GUARD_COMMAND, hide = true)]
    Guard(GuardArguments),
}

/// `baton run`
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The workflow: a JSON or YAML file.
    pub file: PathBuf,
    /// A folder of further items: locks, boards, job resources, workflows …
    #[arg(long, value_name = "DIR")]
    pub items: Option<PathBuf>,
    /// An argument of the order. The value is JSON, or else a text. Repeatable.
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = argument)]
    pub arguments: Vec<(String, String)>,
    /// The id of the order.
    #[arg(long, value_name = "ID")]
    pub order_id: Option<String>,
    /// Where the journal is kept. Without it nothing is kept.
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
    /// Go on with the orders of the journal.
    #[arg(long, requires = "journal")]
    pub resume: bool,
    /// Print events as JSON, one per line. So it is when standard output is no terminal.
    #[arg(long)]
    pub json: bool,
    /// Answer all questions of the workflow.
    #[arg(long)]
    pub yes: bool,
}

/// `baton check`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The documents; `-` is standard input, a folder all JSON and YAML files below it. They are checked together, as one set of items.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How the documents are written. Else the file name tells, and if it does not, the text.
    #[arg(long)]
    pub format: Option<Format>,
    /// Whose names the documents use. Else the names themselves tell.
    #[arg(long)]
    pub dialect: Option<Dialect>,
    /// Print the findings as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML 1.2.
    Yaml,
}

/// Whose names a document uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// Those of the controller.
    Controller,
    /// Those of the cockpit's inventory.
    Inventory,
}

/// `baton init`
#[derive(Debug, Subcommand)]
pub enum InitCommand {
    /// Write a new cluster: configurations, certificates and an operator, ready to be started.
    Cluster(ClusterArguments),
    /// Issue a new certificate to a node, by the authority of a cluster that was written so.
    Certificate(CertificateArguments),
}

/// `baton init cluster`
#[derive(Debug, Args)]
pub struct ClusterArguments {
    /// The folder to write, empty or not there.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The name of the cluster.
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub cluster: String,
    /// The hosts of the first controller, the second, the watch, and of agents. Without it all are on this machine.
    #[arg(long, value_name = "HOST,HOST,HOST,…", value_delimiter = ',')]
    pub hosts: Vec<String>,
    /// So many agents, when all are on this machine.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, conflicts_with = "hosts")]
    pub agents: u8,
    /// Each agent has two directors: one takes over from the other. Of --hosts two after each other are those of one agent.
    #[arg(long)]
    pub director_pairs: bool,
    /// The first of six ports in a row, and two for each agent, or three for each director of a pair. Without it the usual ones are taken, or others that are free.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

/// `baton init certificate`
#[derive(Debug, Args)]
pub struct CertificateArguments {
    /// The folder with authority.pem and authority.key. Certificate and key of the node are written there, too; old ones are replaced.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The node.
    #[arg(value_name = "NODE")]
    pub node: String,
    /// The name of the cluster.
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub cluster: String,
    /// The hosts where the node runs, for who calls it by HTTP.
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    pub hosts: Vec<String>,
}

/// `baton journal`
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// List what a journal has: its epochs and its newest image, as JSON, one per line.
    Ls(JournalArguments),
    /// Print the events of a journal as JSON, one per line.
    Cat(CatArguments),
    /// Check a journal, and tell what is intact. The exit status is 1 if it is damaged.
    Verify(JournalArguments),
    /// Open a damaged journal with what is intact, and give up the rest for good.
    AcceptLoss(JournalArguments),
}

/// Which journal.
#[derive(Debug, Args)]
pub struct JournalArguments {
    /// The folder of the journal, or of the journals of a run. No node may be using it.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// `baton journal cat`
#[derive(Debug, Args)]
pub struct CatArguments {
    /// Which.
    #[command(flatten)]
    pub journal: JournalArguments,
    /// Only events from this one on.
    #[arg(long, value_name = "EVENT-ID", default_value_t = 0)]
    pub from: u64,
    /// Print the records as they are, in hexadecimal digits.
    #[arg(long)]
    pub raw: bool,
}

/// `baton bench`
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// What to measure; all if none is named.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
struct GuardArguments {
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Does what the command line of this process says.
pub fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Run(arguments) => run::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),
        Command::Init(command) => init::main(&command),
        Command::Controller(arguments) => daemon::controller_main(&arguments),
        Command::Agent(arguments) => daemon::agent_main(&arguments),
        Command::Subagent(arguments) => daemon::subagent_main(&arguments),
        Command::Watch(arguments) => daemon::watch_main(&arguments),
        Command::Ctl(arguments) => ctl::main(&arguments),
        Command::Journal(command) => journal::main(&command),
        Command::Schema => schema::main(),
        Command::Guard(GuardArguments { directory }) => process::guard_main(Path::new(&directory)),
    }
}

/// `NAME=VALUE`
pub(crate) fn argument(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("expected NAME=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn arguments_of_orders_have_a_name() {
        assert_eq!(argument("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert!(argument("a").is_err());
        assert!(argument("=a").is_err());
    }
}
