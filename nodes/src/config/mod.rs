//! How daemons are configured: a TOML file for each, and over it variables of the environment.
//!
//! - A setting `key` of the section `[section]` is set by the variable `BATON_SECTION_KEY`, too; the variable counts. One at the top
//!   of the file is set by `BATON_KEY`. What stands in lists of sections (`[[api.users]]`) is set in the file only.
//! - Paths are relative to the folder of the file, wherever they come from.
//! - Everything unknown is a mistake: a misspelt setting that is passed over does harm much later.
//! - All mistakes are told at once, each with its place, and what would be right. Secrets are never told.
//! - Each value remembers where it came from ([`Setting`]).
//!
//! Reading looks at the file only. What it names is looked at by [`Checked::check`], for `--check-config` and once a day.

mod agent;
mod api;
mod check;
mod controller;
mod director_pair;
mod findings;
mod hosted_watch;
mod parts;
mod reader;
mod secret;
#[cfg(test)]
mod tests;
mod watch;

pub use agent::{AgentConfig, Jobs, SubagentConfig};
pub use api::{Api, Permission, User};
pub use check::{Checked, keep_checking, main};
pub use controller::{ControllerConfig, Pair};
pub use director_pair::DirectorPair;
pub use findings::{Finding, Findings, Origin, Place, Setting, Severity};
pub use hosted_watch::HostedWatch;
pub use parts::{API, Common, LINKS, Level, Log, LogFormat, Member};
pub use reader::Environment;
pub use secret::SecretHash;
pub use watch::{Nodes, WatchConfig};
