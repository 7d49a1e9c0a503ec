//! What machines ask of their host: links, records to read, answers, processes.

use super::{Name, Task, World};
use crate::process::Process;
use baton_machine::attempt::Attempt;
use baton_machine::controller::ControllerInput;
use baton_machine::director::DirectorInput;
use baton_machine::host::{Act, Lane, Outgoing, RecordReader};
use baton_machine::link::{Ending, LinkHint, LinkId, LinkInput, Peer};
use baton_machine::process::{Ended, ProcessSpec, Signal};
use baton_machine::subagent::SubagentInput;
use baton_protocol::frame;
use baton_protocol::machine::Input;
use baton_protocol::record::{Offset, Record};
use baton_workflow::value::Fields;
use std::sync::Arc;

impl World {
    pub(super) fn act(&mut self, name: Name, act: Act) {
        match act {
            Act::Link(hint) => self.link_hint(name, hint),
            Act::Reply { caller, reply } => {
                self.replies.insert(caller, reply);
            }
            Act::NoEvents { .. } => self.unserved += 1,
            Act::Released { until, .. } => self.released_until = Some(until),
            Act::Watch { .. } => self.watches += 1,
            Act::Unwatch { .. } => {}
            Act::ReadRecords { reader, from } => self.read(name, reader, from),
            act @ (Act::Pair(_)
            | Act::RollBack { .. }
            | Act::Deposed
            | Act::Trouble(_)
            | Act::AgentTrouble { .. }
            | Act::WatchLink(_)) => panic!("no pair: {act:?}"),
        }
    }

    fn read(&mut self, name: Name, reader: RecordReader, from: Offset) {
        let part = |records: &[Record]| records.iter().skip(from.0 as usize).take(1_000).cloned().collect::<Vec<_>>();
        self.tasks.push_back(match name {
            Name::Controller => {
                let records = part(&self.controller.records);
                Task::Controller(Input::Arrived(ControllerInput::Records { reader, records }))
            }
            _ => {
                let records = part(&self.director.records);
                Task::Director(Input::Arrived(DirectorInput::Records { reader, records }))
            }
        });
    }

    pub(super) fn promise(&mut self, name: Name, lane: Lane, promise: Outgoing) {
        match (lane, promise) {
            (Lane::Link(link), Outgoing::Frame(frame)) => self.send(name, link, &frame),
            (Lane::Caller(caller), Outgoing::Reply(reply)) => {
                assert!(self.replies.insert(caller, reply).is_none(), "answered twice");
            }
            (Lane::Caller(caller), Outgoing::Seen) => {
                assert!(self.seen.insert(caller), "shown twice");
            }
            (Lane::Reader(_), Outgoing::Events(events)) => {
                let on_disk = self.events(Name::Controller);
                assert!(
                    events.iter().all(|event| on_disk.contains(event)),
                    "events were shown that are not on the disk"
                );
                self.read_events.push(events);
            }
            (lane, promise) => panic!("{promise:?} for {lane:?}"),
        }
    }

    pub(super) fn link_hint(&mut self, name: Name, hint: LinkHint) {
        match hint {
            LinkHint::Dial { peer, address } => self.dial(name, peer, &address),
            LinkHint::HangUp { link, .. } => {
                if let Some((a, b)) = self.links.remove(&link) {
                    let other = if a == name { b } else { a };
                    if !self.silent.contains(&name) && !self.silent.contains(&other) {
                        self.link_input(other, LinkInput::Down { link, ending: Ending::Lost });
                    }
                }
            }
            LinkHint::Send { link, frame } => self.send(name, link, &frame),
        }
    }

    fn dial(&mut self, name: Name, peer: Peer, address: &str) {
        let other = match Name::of(address) {
            Some(other) => other,
            None if address == "nowhere" => {
                return self.link_input(name, LinkInput::Failed { peer, ending: Ending::Refused });
            }
            None => panic!("nobody has the address {address}"),
        };
        if self.silent.contains(&name) || self.silent.contains(&other) {
            return;
        }
        let is_alive = match other {
            Name::Controller => false,
            Name::Director => self.director.node.is_some(),
            Name::First => self.first.is_some(),
            Name::Second => self.second.is_some(),
        };
        if !is_alive {
            return self.link_input(name, LinkInput::Failed { peer, ending: Ending::Refused });
        }
        self.last_link += 1;
        let link = LinkId(self.last_link);
        self.links.insert(link, (name, other));
        self.link_input(other, LinkInput::Up { link, dialled: None });
        self.link_input(name, LinkInput::Up { link, dialled: Some(peer) });
    }

    fn send(&mut self, name: Name, link: LinkId, bytes: &Arc<[u8]>) {
        let Some((a, b)) = self.links.get(&link).copied() else { return };
        let other = if a == name { b } else { a };
        if self.silent.contains(&name) || self.silent.contains(&other) {
            return;
        }
        self.told += bytes.len();
        let frame = frame::decode(bytes, 1..=1).expect("a frame");
        if self.doubles {
            self.link_input(other, LinkInput::Received { link, frame: frame.clone() });
        }
        self.link_input(other, LinkInput::Received { link, frame });
    }

    pub(super) fn link_input(&mut self, name: Name, input: LinkInput) {
        self.tasks.push_back(match name {
            Name::Controller => Task::Controller(Input::Arrived(ControllerInput::Link(input))),
            Name::Director => Task::Director(Input::Arrived(DirectorInput::Link(input))),
            Name::First | Name::Second => Task::Subagent(name, Input::Arrived(SubagentInput::Link(input))),
        });
    }

    pub(super) fn launch(&mut self, name: Name, attempt: Attempt, spec: &ProcessSpec) {
        assert_eq!(self.runs(attempt.order_id.as_str()), None, "a second process for {attempt}");
        assert!(self.director.ids.contains(&attempt.number), "{attempt} was launched before its start was on the disk");
        *self.starts.entry(attempt.order_id.clone()).or_default() += 1;
        self.processes.insert((name, attempt.clone()), Process::new(self.now.instant, spec));
        let input = SubagentInput::Started { attempt, pid: self.processes.len() as u32 };
        self.tasks.push_back(Task::Subagent(name, Input::Arrived(input)));
    }

    pub(super) fn signal(&mut self, name: Name, attempt: Attempt, signal: Signal) {
        let key = (name, attempt);
        let Some(process) = self.processes.get(&key) else { return };
        if signal == Signal::Terminate && process.ignores_terminate {
            return;
        }
        let duration = self.now.instant.since(process.started);
        self.processes.remove(&key);
        let how = Ended::Signaled { signal: if signal == Signal::Kill { 9 } else { 15 } };
        let input = SubagentInput::Ended { attempt: key.1, how, return_values: Ok(Fields::default()), duration };
        self.tasks.push_back(Task::Subagent(name, Input::Arrived(input)));
    }
}
