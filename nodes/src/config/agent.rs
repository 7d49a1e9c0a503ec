//! The configurations of those who work: agents with their directors, and subagents.

use super::api::{Api, api};
use super::director_pair::{self, DirectorPair};
use super::findings::{Findings, Setting};
use super::hosted_watch::{self, HostedWatch};
use super::parts::{Common, WORKER_API, timing};
use super::reader::{Environment, Section, quoted, read_file};
use baton_net::name::NodeId;
use baton_protocol::pair::timing::Timing;
use baton_workflow::id::SubagentId;
use std::path::{Path, PathBuf};

/// The configuration of an agent: its director, with the subagent of its own process.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// What every daemon has.
    pub common: Common,
    /// The controllers that may command it.
    pub controllers: Vec<NodeId>,
    /// The pair of directors that its director is one of; none if it is alone.
    pub pair: Option<DirectorPair>,
    /// The pair of controllers that it watches over, if any.
    pub watch: Option<HostedWatch>,
    /// The times of both pairs.
    pub timing: Timing,
    /// Its HTTP API; none: it answers no HTTP.
    pub api: Option<Api>,
    /// The jobs of its own subagent.
    pub jobs: Jobs,
    /// All settings, with where they came from.
    pub settings: Vec<Setting>,
    /// What somebody should look at.
    pub warnings: Findings,
}

/// The configuration of a subagent.
#[derive(Clone, Debug)]
pub struct SubagentConfig {
    /// What every daemon has.
    pub common: Common,
    /// The agents that may command it.
    pub directors: Vec<NodeId>,
    /// Its HTTP API; none: it answers no HTTP.
    pub api: Option<Api>,
    /// Its jobs.
    pub jobs: Jobs,
    /// All settings, with where they came from.
    pub settings: Vec<Setting>,
    /// What somebody should look at.
    pub warnings: Findings,
}

/// How jobs run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jobs {
    /// What the subagent is called in the items of the controller.
    pub subagent: SubagentId,
    /// Where relative paths of executables lead.
    pub executables: PathBuf,
    /// So many processes run at once at most; none: as many as the system allows.
    pub process_limit: Option<usize>,
}

impl AgentConfig {
    /// Reads a configuration from a file, and over it the environment. Reads that file only.
    ///
    /// # Errors
    /// With all mistakes that it has.
    pub fn read(file: &Path, environment: &Environment) -> Result<Self, Findings> {
        let read = read_file(file, environment, Self::of)?;
        Ok(Self { settings: read.settings, warnings: read.warnings, ..read.value })
    }

    pub(super) fn of(section: &Section<'_>) -> Option<Self> {
        let common = Common::read(section);
        let controllers = section.section("superiors", |section| superiors(section, "controllers", "controller"));
        let is_secured = section.has("tls");
        let pair = section.optional_section("pair", |section| director_pair::pair(section, is_secured));
        let watch = section.optional_section("watch", |section| hosted_watch::watch(section, is_secured));
        let timing = section.section("timing", timing);
        let (api, jobs) = (worker_api(section, common.as_ref()), jobs(section, common.as_ref()));
        let config = Self {
            common: common?,
            controllers: controllers?,
            pair: pair?,
            watch: watch?,
            timing: timing?,
            api: api?,
            jobs: jobs?,
            settings: Vec::new(),
            warnings: Findings::default(),
        };
        let Self { common, pair, watch, .. } = &config;
        let others: Vec<_> = pair.iter().map(|pair| &pair.listen).collect();
        let fits = [
            pair.as_ref().is_none_or(|pair| director_pair::relate(section, common, pair)),
            watch.as_ref().is_none_or(|watch| hosted_watch::relate(section, common, watch, &others)),
        ];
        (fits == [true; 2]).then_some(config)
    }
}

impl SubagentConfig {
    /// Reads a configuration from a file, and over it the environment. Reads that file only.
    ///
    /// # Errors
    /// With all mistakes that it has.
    pub fn read(file: &Path, environment: &Environment) -> Result<Self, Findings> {
        let read = read_file(file, environment, Self::of)?;
        Ok(Self { settings: read.settings, warnings: read.warnings, ..read.value })
    }

    pub(super) fn of(section: &Section<'_>) -> Option<Self> {
        let common = Common::read(section);
        let directors = section.section("superiors", |section| superiors(section, "directors", "agent"));
        let (api, jobs) = (worker_api(section, common.as_ref()), jobs(section, common.as_ref()));
        let (settings, warnings) = (Vec::new(), Findings::default());
        Some(Self { common: common?, directors: directors?, api: api?, jobs: jobs?, settings, warnings })
    }
}

/// Where it answers HTTP, if it does.
fn worker_api(section: &Section<'_>, common: Option<&Common>) -> Option<Option<Api>> {
    let is_secured = section.has("tls");
    let found = section.optional_section("api", |section| api(section, WORKER_API, is_secured))?;
    let fits = found.as_ref().zip(common).is_none_or(|(api, common)| api.relate(section, common));
    fits.then_some(found)
}

/// Who may command: at least one.
fn superiors(section: &Section<'_>, key: &'static str, what: &str) -> Option<Vec<NodeId>> {
    let found = section.texts(key, |text| NodeId::new(text).map_err(|error| error.to_string()))?;
    if found.is_empty() {
        section.complain(key, format!("nobody may command this node; expected is the name of at least one {what}"));
        return None;
    }
    Some(found)
}

fn jobs(section: &Section<'_>, common: Option<&Common>) -> Option<Jobs> {
    section.section("jobs", |section| {
        let name = common.map_or("", |common| common.node.as_str());
        let subagent =
            section.or("subagent", name, |text| SubagentId::checked(text).map_err(|problem| problem.to_string()));
        let executables = section.or("executables", "executables", |text| Ok(section.folder().join(text)));
        let process_limit = section.optional("process_limit", |text| match text.parse::<usize>() {
            Ok(limit) if limit > 0 => Ok(limit),
            _ => Err(format!("{} is no limit; expected is a number from 1 on", quoted(text))),
        });
        Some(Jobs { subagent: subagent?, executables: executables?, process_limit: process_limit? })
    })
}
