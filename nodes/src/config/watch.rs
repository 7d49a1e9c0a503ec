//! The configuration of a cluster watch.

use super::findings::{Findings, Setting};
use super::parts::{Common, Member, listen, timing};
use super::reader::{Environment, Section, read_file};
use baton_net::address::Address;
use baton_protocol::pair::timing::Timing;
use std::path::Path;

/// Where a watch answers HTTP, when its section is there but says nothing else.
const HTTP: &str = "127.0.0.1:4464";

/// The configuration of a cluster watch.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    /// What every daemon has.
    pub common: Common,
    /// The pair.
    pub nodes: Nodes,
    /// Where health and metrics are told by HTTP; none: nowhere.
    pub http: Option<Address>,
    /// The times of the pair.
    pub timing: Timing,
    /// All settings, with where they came from.
    pub settings: Vec<Setting>,
    /// What somebody should look at.
    pub warnings: Findings,
}

/// The two nodes of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// The node that is active at first.
    pub first: Member,
    /// The other one.
    pub second: Member,
}

impl WatchConfig {
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
        let is_secured = section.has("tls");
        let member = |section: &Section<'_>| Member::read(section, is_secured);
        let nodes = section.section("nodes", |section| {
            let (first, second) = (section.section("first", member), section.section("second", member));
            Some(Nodes { first: first?, second: second? })
        });
        let http = section.optional_section("http", |section| listen(section, HTTP, is_secured));
        let timing = section.section("timing", timing);
        let config = Self {
            common: common?,
            nodes: nodes?,
            http: http?,
            timing: timing?,
            settings: Vec::new(),
            warnings: Findings::default(),
        };
        config.relate(section).then_some(config)
    }

    /// Whether the sections fit each other.
    fn relate(&self, section: &Section<'_>) -> bool {
        let Self { common, nodes: Nodes { first, second }, http, .. } = self;
        let mut fits = true;
        let mut complain = |key: &str, message: String| {
            section.complain(key, message);
            fits = false;
        };
        if http.as_ref() == Some(&common.links) && common.links.port() != 0 {
            complain("http", format!("HTTP and links cannot both listen at {}; expected are two ports", common.links));
        }
        for (name, member) in [("first", first), ("second", second)] {
            if member.node == common.node {
                complain(
                    "nodes",
                    format!("{name} is called {}, as this watch is; expected are three nodes", member.node),
                );
            }
            if member.address == common.links {
                complain("nodes", format!("{name} is at {}, where this watch listens itself", member.address));
            }
        }
        if first.node == second.node {
            complain("nodes", format!("both are called {}; expected are two nodes", first.node));
        }
        if first.address == second.address {
            complain("nodes", format!("both are at {}; expected are two addresses", first.address));
        }
        fits
    }
}
