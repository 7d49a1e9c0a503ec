//! The part of an agent's configuration that makes its director one of a pair.

use super::parts::{Common, Member, listen, one_of};
use super::reader::Section;
use baton_net::address::Address;
use baton_protocol::register::Seat;

/// Where the directors of a pair talk to each other, when nothing else is said.
const LISTEN: &str = "127.0.0.1:4456";

/// A pair of directors and its watch, seen from one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorPair {
    /// Which of the two this is: first or second, as in `directors` of the agent's item.
    pub seat: Seat,
    /// Where the other voters connect.
    pub listen: Address,
    /// The other director.
    pub peer: Member,
    /// The cluster watch, if it stands alone; else the active controller is the watch.
    pub watch: Option<Member>,
}

/// Reads the section `[pair]`.
pub(super) fn pair(section: &Section<'_>, is_secured: bool) -> Option<DirectorPair> {
    let seat = section.required("seat", |text| one_of(text, &[("first", Seat::First), ("second", Seat::Second)]));
    let listen = listen(section, LISTEN, is_secured);
    let peer = section.section("peer", |section| Member::read(section, is_secured));
    let watch = section.optional_section("watch", |section| Member::read(section, is_secured));
    Some(DirectorPair { seat: seat?, listen: listen?, peer: peer?, watch: watch? })
}

/// Whether it fits the rest of the configuration.
pub(super) fn relate(section: &Section<'_>, common: &Common, pair: &DirectorPair) -> bool {
    let mut fits = true;
    let mut complain = |message: String| {
        section.complain("pair", message);
        fits = false;
    };
    if pair.listen == common.links && common.links.port() != 0 {
        let message = "the pair and all other links cannot both listen at";
        complain(format!("{message} {}; expected are two ports", pair.listen));
    }
    let members = [Some(("peer", &pair.peer)), pair.watch.as_ref().map(|watch| ("watch", watch))];
    for (name, member) in members.into_iter().flatten() {
        if member.node == common.node {
            complain(format!("{name} is called {}, as this node is; expected are different nodes", member.node));
        }
        if member.address == pair.listen {
            complain(format!("{name} is at {}, where this node listens itself", member.address));
        }
    }
    if let Some(watch) = pair.watch.as_ref().filter(|watch| watch.node == pair.peer.node) {
        complain(format!("peer and watch are both called {}; expected are different nodes", watch.node));
    }
    fits
}
