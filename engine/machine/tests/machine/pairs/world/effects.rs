//! What machines ask of their host: messages to other voters, links, records to read, directories, processes.

use super::Name::{D1, D2, S1, S2, S3};
use super::{Arrival, Name, World};
use crate::process::{Act as ProcessAct, Process};
use baton_machine::attempt::Attempt;
use baton_machine::host::{Act, Lane, Outgoing};
use baton_machine::link::{Ending, LinkHint, LinkId, LinkInput, Peer};
use baton_machine::message::Voting;
use baton_machine::process::{Ended, ProcessSpec, Signal};
use baton_machine::subagent::SubagentInput;
use baton_protocol::frame;
use baton_protocol::outbox::Effect;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{PairHint, PairInput};
use baton_protocol::register::Seat;
use baton_workflow::value::Fields;
use std::sync::Arc;

impl World {
    pub(super) fn carry_out(&mut self, name: Name, effects: Vec<Effect<Act, Lane, Outgoing>>) {
        for effect in effects {
            match self.disks.get_mut(&name).unwrap().take(effect) {
                Ok(is_first) => self.begin_sync(name, is_first),
                Err(Effect::Hint(act)) => self.act(name, act),
                Err(Effect::Promise { lane, promise }) => match (lane, promise) {
                    (Lane::Link(link), Outgoing::Frame(frame)) => self.send(name, link, &frame),
                    (Lane::Caller(caller), Outgoing::Reply(reply)) => {
                        self.replies.insert(caller, reply);
                    }
                    (_, Outgoing::Pair(to, envelope)) => self.tell(name, to, &envelope),
                    (lane, promise) => panic!("{promise:?} for {lane:?}"),
                },
                Err(effect) => panic!("{effect:?}"),
            }
        }
    }

    fn act(&mut self, name: Name, act: Act) {
        match act {
            Act::Link(hint) => self.link_hint(name, hint),
            Act::Reply { caller, reply } => {
                self.replies.insert(caller, reply);
            }
            Act::Pair(PairHint::Send(to, envelope)) => self.tell(name, to, &envelope),
            Act::Pair(PairHint::Read { number, from, .. }) => {
                self.arrive(name, Arrival::Pair(PairInput::Read { number, from, records: Vec::new() }));
            }
            Act::Pair(PairHint::ReadImage { at, from, .. }) => {
                self.arrive(name, Arrival::Pair(PairInput::ImageRead { at, from, piece: None }));
            }
            Act::Pair(PairHint::KeepPiece { from, bytes }) => self.disks.get_mut(&name).unwrap().collect(from, &bytes),
            Act::Pair(PairHint::DropPieces) => self.disks.get_mut(&name).unwrap().collect(0, &[]),
            Act::ReadRecords { reader, from } => self.arrive(name, Arrival::Records(reader, from)),
            // Storage cuts first.
            Act::RollBack { .. } => {
                self.arrive(name, Arrival::Synced);
                self.arrive(name, Arrival::RolledBack);
            }
            Act::Watch { watch, .. } => {
                self.watching.insert((name, watch.clone()));
                self.arrive(name, Arrival::Directory(watch));
            }
            Act::Unwatch { watch } => {
                self.watching.remove(&(name, watch));
            }
            Act::WatchLink(Some(link)) => {
                self.watch_links.insert(name, link);
            }
            Act::WatchLink(None) => {
                self.watch_links.remove(&name);
            }
            Act::Deposed => {}
            act => panic!("{act:?}"),
        }
    }

    pub(super) fn begin_sync(&mut self, name: Name, is_first: bool) {
        if is_first {
            self.arrive(name, Arrival::Synced);
        }
    }

    /// To another voter.
    pub(super) fn tell(&mut self, name: Name, to: Seat, envelope: &Envelope) {
        if let Some(link) = self.watch_links.get(&name).copied().filter(|_| to == Seat::Watch) {
            let frame = Voting::frame(envelope).expect("a frame");
            return self.send(name, link, &frame);
        }
        let (cluster, _) = name.seat().expect("a voter");
        let other = cluster[to as usize];
        if !self.is_cut(name, other) && self.is_running(other) {
            let envelope = Envelope::decode(&envelope.encode()).expect("an envelope");
            self.arrive(other, Arrival::Pair(PairInput::Received(envelope)));
        }
    }

    pub(super) fn links_of(&self, name: Name) -> Vec<LinkId> {
        let is_its = |(_, ends): &(&LinkId, &(Name, Name))| ends.0 == name || ends.1 == name;
        self.links.iter().filter(is_its).map(|(link, _)| *link).collect()
    }

    pub(super) fn end_link(&mut self, name: Name, link: LinkId) {
        let Some((a, b)) = self.links.remove(&link) else { return };
        let other = if a == name { b } else { a };
        if !self.is_cut(name, other) {
            self.arrive(other, Arrival::Link(LinkInput::Down { link, ending: Ending::Lost }));
        }
    }

    pub(super) fn link_hint(&mut self, name: Name, hint: LinkHint) {
        match hint {
            LinkHint::Dial { peer, address } => self.dial(name, peer, &address),
            LinkHint::HangUp { link, .. } => self.end_link(name, link),
            LinkHint::Send { link, frame } => self.send(name, link, &frame),
        }
    }

    fn dial(&mut self, name: Name, peer: Peer, address: &str) {
        let is_subagent = matches!(peer, Peer::Subagent(_));
        let other = match address {
            "d1" => [D1, S1][usize::from(is_subagent)],
            "d2" => [D2, S2][usize::from(is_subagent)],
            "s3" => S3,
            _ => panic!("nobody has the address {address}"),
        };
        if self.is_cut(name, other) {
            return;
        }
        if !self.is_running(other) {
            return self.arrive(name, Arrival::Link(LinkInput::Failed { peer, ending: Ending::Refused }));
        }
        let link = LinkId(self.count + 1);
        self.links.insert(link, (name, other));
        self.arrive(other, Arrival::Link(LinkInput::Up { link, dialled: None }));
        self.arrive(name, Arrival::Link(LinkInput::Up { link, dialled: Some(peer) }));
    }

    fn send(&mut self, name: Name, link: LinkId, bytes: &Arc<[u8]>) {
        let Some((a, b)) = self.links.get(&link).copied() else { return };
        let other = if a == name { b } else { a };
        if !self.is_cut(name, other) {
            let frame = frame::decode(bytes, 1..=1).expect("a frame");
            self.arrive(other, Arrival::Link(LinkInput::Received { link, frame }));
        }
    }

    pub(super) fn launch(&mut self, name: Name, attempt: Attempt, spec: &ProcessSpec) {
        assert_eq!(self.runs(attempt.order_id.as_str()), None, "a second process for {attempt}");
        *self.starts.entry(attempt.order_id.clone()).or_default() += 1;
        self.processes.insert((name, attempt.clone()), Process::new(self.now.instant, spec));
        self.arrive(name, Arrival::Process(SubagentInput::Started { attempt, pid: 1 }));
    }

    pub(super) fn signal(&mut self, name: Name, attempt: Attempt, signal: Signal) {
        let Some(process) = self.processes.remove(&(name, attempt.clone())) else { return };
        let how = Ended::Signaled { signal: if signal == Signal::Kill { 9 } else { 15 } };
        let duration = self.now.instant.since(process.started);
        let ended = SubagentInput::Ended { attempt, how, return_values: Ok(Fields::default()), duration };
        self.arrive(name, Arrival::Process(ended));
    }

    pub(super) fn run_processes(&mut self) {
        let now = self.now.instant;
        let (mut inputs, mut ended) = (Vec::new(), Vec::new());
        for ((name, attempt), process) in &mut self.processes {
            while process.acts.front().is_some_and(|(after, _)| process.started + *after <= now) {
                let Some((_, act)) = process.acts.pop_front() else { break };
                let attempt = attempt.clone();
                match act {
                    ProcessAct::Write(channel, chunk) => {
                        inputs.push((*name, SubagentInput::Output { attempt, channel, chunk }));
                    }
                    ProcessAct::Exit(code) => {
                        let (how, return_values) = (Ended::Exited { code }, Ok(Fields::default()));
                        let duration = now.since(process.started);
                        ended.push((*name, attempt.clone()));
                        inputs.push((*name, SubagentInput::Ended { attempt, how, return_values, duration }));
                        break;
                    }
                }
            }
        }
        for key in ended {
            self.processes.remove(&key);
        }
        for (name, input) in inputs {
            self.arrive(name, Arrival::Process(input));
        }
    }
}
