//! The controller as the cluster watch of its agents' pairs of directors.
//!
//! Its vote about a pair is in its journal, so a controller that takes over votes on with the same memory: for the
//! directors it is the same watch, in the same process. An answer leaves when the vote is committed; so a controller that has been
//! replaced cannot answer. What the watch sees of the directors' lives are the links that the controller has with
//! them, and their hosts' refusals.

use super::Controller;
use super::agent_link::AgentReason;
use crate::host::{Act, Lane, Outgoing};
use crate::link::{LinkHint, LinkId};
use crate::message::Voting;
use crate::replica::Turn;
use alloc::string::String;
use alloc::vec::Vec;
use baton_protocol::frame::Frame;
use baton_protocol::outbox::Outbox;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::planted::Bugs;
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{Pair, PairInput};
use baton_protocol::random::Random;
use baton_protocol::record::Offset;
use baton_protocol::register::Seat;
use baton_protocol::watch::{Said, Watch};
use baton_workflow::id::AgentPath;
use baton_workflow::model::event::{AgentEvent, Event};

/// A watch whose name is not committed yet.
pub(super) type Unnamed = Option<Offset>;

/// Where a director sits, by its place in the item.
pub(super) const fn seat_of(number: usize) -> Seat {
    if number == 0 { Seat::First } else { Seat::Second }
}

/// Bytes as text.
fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Inverse of [`hex`].
fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

impl Controller {
    /// A watch for an agent that has two directors, with what it has voted before.
    pub(super) fn appoint_watch(&mut self, turn: Turn<'_>, path: &AgentPath) {
        let vote = self.replica.relations().agents.get(path).and_then(|agent| agent.vote.as_deref()).and_then(unhex);
        let timing = self.pair().map_or(Timing::DEFAULT, |pair: &Pair| pair.config().timing);
        // A vote that is not understood was written by a newer program. Without memory it is another watch, which the nodes take in.
        let watch = Watch::new(timing, Bugs::NONE, vote.as_deref()).or_else(|_| Watch::new(timing, Bugs::NONE, None));
        let Ok(mut watch) = watch else { return };
        let number = self.replica.last_event_id().0;
        let incarnation = Random::new(self.seed).child("watch").numbered_child(path.as_str(), number).next();
        watch.start(turn.now, 0, incarnation);
        if let Some(agent) = self.agents.get_mut(path) {
            agent.watch = Some(watch);
        }
        if self.keep_vote(turn, path) {
            self.unnamed.insert(path.clone(), None);
        }
        self.arm(turn, path, AgentReason::Watch, core::time::Duration::ZERO);
    }

    /// Something about a director for the watch.
    pub(super) fn tell_watch(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        input: PairInput,
        out: &mut Outbox<'_, Self>,
    ) {
        let has_room = !out.is_congested();
        if let Some(watch) = self.watch_mut(path) {
            watch.take(turn.now.instant, input, has_room);
            self.attend_watch(turn, path, out);
        }
    }

    pub(super) fn watch_is_due(&mut self, turn: Turn<'_>, path: &AgentPath, out: &mut Outbox<'_, Self>) {
        let Some(watch) = self.watch_mut(path) else { return };
        watch.due(turn.now);
        let pause = watch.next_beat().since(turn.now.instant);
        self.attend_watch(turn, path, out);
        self.arm(turn, path, AgentReason::Watch, pause);
    }

    /// A director speaks to the watch.
    pub(super) fn voting_arrived(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        link: LinkId,
        frame: &Frame,
        out: &mut Outbox<'_, Self>,
    ) {
        let number = self.agents.get(path).and_then(|agent| agent.director_at(link));
        let Some(seat) = number.map(seat_of) else { return };
        match Voting::read(frame) {
            Ok(Some(envelope)) if envelope.from == seat => {
                self.tell_watch(turn, path, PairInput::Received(envelope), out);
            }
            Ok(Some(_)) => {
                let reason = "this director has the place of the other one: the directors of an agent are to be named in the \
                              order in which the pair is configured";
                self.give_up(turn, path, link, reason, out);
            }
            Ok(None) => self.give_up(turn, path, link, "what it says to the watch is not understood", out),
            Err(error) => self.give_up(turn, path, link, &alloc::format!("{error}"), out),
        }
    }

    /// After a step was written: who the new watches are, may be told when that is committed.
    pub(super) fn name_watches(&mut self, out: &mut Outbox<'_, Self>) {
        let (end, committed) = (out.journal().end().offset, out.journal().watermarks().committed);
        let mut named = Vec::new();
        for (path, written) in &mut self.unnamed {
            if *written.get_or_insert(end) <= committed {
                named.push(path.clone());
            }
        }
        for path in named {
            self.unnamed.remove(&path);
            if let Some(watch) = self.watch_mut(&path) {
                watch.named();
                let said = watch.said();
                self.say_for_watch(&path, said, out);
            }
        }
    }

    fn watch_mut(&mut self, path: &AgentPath) -> Option<&mut Watch> {
        self.agents.get_mut(path)?.watch.as_mut()
    }

    /// Keeps what the watch votes, and lets out what it says.
    fn attend_watch(&mut self, turn: Turn<'_>, path: &AgentPath, out: &mut Outbox<'_, Self>) {
        self.keep_vote(turn, path);
        let said = self.watch_mut(path).map(Watch::said).unwrap_or_default();
        self.say_for_watch(path, said, out);
    }

    fn keep_vote(&mut self, turn: Turn<'_>, path: &AgentPath) -> bool {
        let Some(vote) = self.watch_mut(path).and_then(Watch::to_keep) else { return false };
        let event = AgentEvent::AgentClusterWatchVoted { vote: hex(&vote) };
        self.replica.take(turn, Event::Agent(path.clone(), event));
        true
    }

    fn say_for_watch(&mut self, path: &AgentPath, said: Vec<Said>, out: &mut Outbox<'_, Self>) {
        for said in said {
            match said {
                Said::Hint(to, envelope) => {
                    if let Some((link, frame)) = self.frame_for(path, to, &envelope) {
                        out.hint(Act::Link(LinkHint::Send { link, frame }));
                    }
                }
                Said::Vote(to, envelope) => {
                    if let Some((link, frame)) = self.frame_for(path, to, &envelope) {
                        self.outgoing.push((Lane::Link(link), Outgoing::Frame(frame)));
                    }
                }
                Said::Trouble(trouble) => out.hint(Act::AgentTrouble { agent: path.clone(), trouble }),
            }
        }
    }

    fn frame_for(&self, path: &AgentPath, to: Seat, envelope: &Envelope) -> Option<(LinkId, alloc::sync::Arc<[u8]>)> {
        let link = self.agents.get(path)?.link_to(to as usize)?;
        Some((link, Voting::frame(envelope)?))
    }
}
