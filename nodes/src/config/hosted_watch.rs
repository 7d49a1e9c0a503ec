//! The part of an agent's configuration that makes it the cluster watch of a pair of controllers.

use super::parts::{Common, Member, listen};
use super::reader::Section;
use super::watch::Nodes;
use baton_net::address::Address;

/// Where the controllers talk to the watch, when nothing else is said.
const LISTEN: &str = "127.0.0.1:4457";

/// The watch of a pair of controllers in the process of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedWatch {
    /// Where the controllers connect.
    pub listen: Address,
    /// The controllers.
    pub nodes: Nodes,
}

/// Reads the section `[watch]`.
pub(super) fn watch(section: &Section<'_>, is_secured: bool) -> Option<HostedWatch> {
    let member = |section: &Section<'_>| Member::read(section, is_secured);
    let listen = listen(section, LISTEN, is_secured);
    let (first, second) = (section.section("first", member), section.section("second", member));
    Some(HostedWatch { listen: listen?, nodes: Nodes { first: first?, second: second? } })
}

/// Whether it fits the rest of the configuration.
pub(super) fn relate(section: &Section<'_>, common: &Common, watch: &HostedWatch, others: &[&Address]) -> bool {
    let HostedWatch { listen, nodes: Nodes { first, second } } = watch;
    let mut fits = true;
    let mut complain = |message: String| {
        section.complain("watch", message);
        fits = false;
    };
    if listen.port() != 0 && (common.links == *listen || others.contains(&listen)) {
        complain(format!("something else listens at {listen}, too; expected are different ports"));
    }
    for (name, member) in [("first", first), ("second", second)] {
        if member.node == common.node {
            complain(format!("{name} is called {}, as this node is; expected are three nodes", member.node));
        }
    }
    if first.node == second.node {
        complain(format!("both are called {}; expected are two nodes", first.node));
    }
    fits
}
