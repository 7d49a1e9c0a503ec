//! The configuration of a controller.

use super::api::{Api, api, url};
use super::findings::{Findings, Setting};
use super::parts::{API, Common, Member, one_of, timing};
use super::reader::{Environment, Section, read_file};
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat;
use std::path::Path;

/// The configuration of a controller.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// What every daemon has.
    pub common: Common,
    /// The HTTP API.
    pub api: Api,
    /// The pair it is one of; none if it is alone.
    pub pair: Option<Pair>,
    /// The times of the pair.
    pub timing: Timing,
    /// All settings, with where they came from.
    pub settings: Vec<Setting>,
    /// What somebody should look at.
    pub warnings: Findings,
}

/// A pair of controllers and its watch, seen from one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Which of the two this is: first or second.
    pub seat: Seat,
    /// The other one.
    pub peer: Member,
    /// How its API is reached, as [`Api::url`] says there.
    pub peer_url: Option<String>,
    /// The cluster watch.
    pub watch: Member,
}

impl ControllerConfig {
    /// Reads a configuration from a file, and over it the environment. Reads that file only.
    ///
    /// # Errors
    /// With all mistakes that it has.
    pub fn read(file: &Path, environment: &Environment) -> Result<Self, Findings> {
        let read = read_file(file, environment, Self::of)?;
        Ok(Self { settings: read.settings, warnings: read.warnings, ..read.value })
    }

    /// How the APIs of the first and the second node of the pair are reached, where that is known; both unknown if there is no pair.
    #[must_use]
    pub fn urls(&self) -> [Option<String>; 2] {
        let own = self.api.url.clone();
        match &self.pair {
            None => [None, None],
            Some(Pair { seat: Seat::First, peer_url, .. }) => [own, peer_url.clone()],
            Some(Pair { peer_url, .. }) => [peer_url.clone(), own],
        }
    }

    pub(super) fn of(section: &Section<'_>) -> Option<Self> {
        let common = Common::read(section);
        let is_secured = section.has("tls");
        let api = section.section("api", |section| api(section, API, is_secured));
        let pair = section.optional_section("pair", |section| pair(section, is_secured));
        let timing = section.section("timing", timing);
        let config = Self {
            common: common?,
            api: api?,
            pair: pair?,
            timing: timing?,
            settings: Vec::new(),
            warnings: Findings::default(),
        };
        config.relate(section).then_some(config)
    }

    /// Whether the sections fit each other.
    fn relate(&self, section: &Section<'_>) -> bool {
        let Self { common, api, pair, .. } = self;
        let mut fits = api.relate(section, common);
        let mut complain = |key: &str, message: String| {
            section.complain(key, message);
            fits = false;
        };
        if let Some(pair) = pair {
            for (name, member) in [("peer", &pair.peer), ("watch", &pair.watch)] {
                if member.node == common.node {
                    complain(
                        "pair",
                        format!("{name} is called {}, as this node is; expected are three nodes", member.node),
                    );
                }
                if member.address == common.links {
                    complain("pair", format!("{name} is at {}, where this node listens itself", member.address));
                }
            }
            if pair.peer.node == pair.watch.node {
                complain(
                    "pair",
                    format!("peer and watch are both called {}; expected are three nodes", pair.peer.node),
                );
            }
            if pair.peer.address == pair.watch.address {
                complain(
                    "pair",
                    format!("peer and watch are both at {}; expected are two addresses", pair.peer.address),
                );
            }
        }
        fits
    }
}

fn pair(section: &Section<'_>, is_secured: bool) -> Option<Pair> {
    let seat = section.required("seat", |text| one_of(text, &[("first", Seat::First), ("second", Seat::Second)]));
    let peer = section.section("peer", |section| {
        let (member, url) = (Member::read(section, is_secured), section.optional("url", url));
        Some((member?, url?))
    });
    let watch = section.section("watch", |section| Member::read(section, is_secured));
    let (peer, peer_url) = peer?;
    Some(Pair { seat: seat?, peer, peer_url, watch: watch? })
}
