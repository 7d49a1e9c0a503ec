//! The host of a director: its links, the directories it watches, and its pair if it is in one.

use super::links::{Links, Remote};
use super::local::Local;
use super::pairing::{self, Left};
use super::peek::Peek;
use super::standing::Standing;
use super::voters::Voters;
use super::watch::Watches;
use crate::driver::{self, Entrance, Halt, Host, Opened, Operator, Reading, Running, Surroundings};
use baton_machine::director::{Director, DirectorConfig, DirectorInput};
use baton_machine::host::{Act, CallerId, Lane, Outgoing, Reply};
use baton_machine::link::{LinkId, LinkInput};
use baton_machine::message::Voting;
use baton_protocol::node::Node;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{EPOCHS_CELL, Order, Pair, PairConfig, PairInput, Part, Trouble, VOTE_CELL};
use baton_protocol::record::Position;
use baton_protocol::register::Seat;
use baton_protocol::time::Now;
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

/// What a director is asked.
pub enum DirectorRequest {
    /// An input for the machine.
    Input(DirectorInput),
    /// An order about the pair.
    Order {
        /// Which.
        order: Order,
        /// Gets the answer.
        reply: oneshot::Sender<Reply>,
    },
    /// Somebody wants to look at the node as it is.
    Peek(Peek<Director>),
}

impl From<DirectorInput> for DirectorRequest {
    fn from(input: DirectorInput) -> Self {
        Self::Input(input)
    }
}

impl From<LinkInput> for DirectorRequest {
    fn from(input: LinkInput) -> Self {
        Self::Input(DirectorInput::Link(input))
    }
}

impl From<PairInput> for DirectorRequest {
    fn from(input: PairInput) -> Self {
        Self::Input(DirectorInput::Pair(input))
    }
}

impl From<Peek<Director>> for DirectorRequest {
    fn from(peek: Peek<Director>) -> Self {
        Self::Peek(peek)
    }
}

/// A director that runs.
pub struct Started {
    /// It.
    pub running: Running<DirectorRequest>,
    /// Takes what other nodes have dialled.
    pub links: Links<DirectorRequest>,
}

/// The place of a director in a pair.
pub struct PairPlace {
    /// Its seat and times.
    pub config: PairConfig,
    /// The voters it has links of its own with: the other director, and the watch if that stands alone.
    pub voters: Voters,
    /// Whether the controller is the watch.
    pub is_watched_by_controller: bool,
    /// Where the links of the first and the second node are reached, for readers of the journal.
    pub addresses: [String; 2],
}

/// Starts a director on its journal, alone or as one of a pair.
///
/// # Errors
/// When the journal cannot be replayed.
pub fn start(
    config: DirectorConfig,
    pair: Option<PairPlace>,
    opened: Opened,
    (local, remote): (Local, Option<Remote>),
    entrance: Entrance<DirectorRequest>,
    operator: Operator,
) -> Result<Started, Halt> {
    let Opened { journal, recovered, image, records, cells, notes } = opened;
    notes.into_iter().for_each(|note| operator.warn(note));
    let machine = Director::recover(config, image.as_deref(), &records)?;
    let links = Links::new(local, remote, entrance.requests());
    let mut host = DirectorHost {
        links: links.clone(),
        watches: Watches::new(operator.clone()),
        requests: entrance.requests(),
        voters: None,
        watch_link: None,
        last: 0,
        callers: BTreeMap::new(),
        trouble: None,
        standing: Standing::NONE,
    };
    let node = match pair {
        None => driver::alone(machine, recovered),
        Some(PairPlace { config, voters, is_watched_by_controller, addresses }) => {
            host.voters = Some(voters);
            let cell = |name| cells.get(name).map(Vec::as_slice);
            let pair = Pair::new(config, cell(VOTE_CELL), cell(EPOCHS_CELL), recovered.end)?;
            let machine = machine.with_pair(pair).with_uris(addresses);
            let machine = if is_watched_by_controller { machine.with_controller_as_watch() } else { machine };
            driver::one_of_two(machine, recovered)
        }
    };
    let running = driver::start(node, journal, host, entrance, operator, Surroundings::real()?);
    Ok(Started { running, links })
}

struct DirectorHost {
    links: Links<DirectorRequest>,
    watches: Watches,
    requests: mpsc::Sender<DirectorRequest>,
    voters: Option<Voters>,
    /// The controller that is the watch.
    watch_link: Option<LinkId>,
    /// The last number given to a caller.
    last: u64,
    callers: BTreeMap<CallerId, oneshot::Sender<Reply>>,
    trouble: Option<Trouble>,
    /// As it was told last.
    standing: Standing,
}

impl DirectorHost {
    fn send(&self, to: Seat, envelope: &Envelope) {
        match self.watch_link.filter(|_| to == Seat::Watch) {
            Some(link) => {
                if let Some(frame) = Voting::frame(envelope) {
                    self.links.send(link, frame);
                }
            }
            None => {
                if let Some(voters) = &self.voters {
                    voters.send(to, envelope);
                }
            }
        }
    }

    fn reply(&mut self, caller: CallerId, reply: Reply) {
        if let Some(waiting) = self.callers.remove(&caller) {
            // Who has gone does not want it.
            let _ = waiting.send(reply);
        }
    }
}

impl Host for DirectorHost {
    type Machine = Director;
    type Request = DirectorRequest;

    fn request(&mut self, node: &Node<Director>, request: DirectorRequest) -> Option<DirectorInput> {
        match request {
            DirectorRequest::Input(input) => Some(input),
            DirectorRequest::Order { order, reply } => {
                self.last += 1;
                let caller = CallerId(self.last);
                self.callers.insert(caller, reply);
                Some(DirectorInput::Order { caller, order })
            }
            DirectorRequest::Peek(peek) => {
                peek(node);
                None
            }
        }
    }

    fn hint(&mut self, hint: Act, reading: &mut Reading<'_, Self>) {
        match hint {
            Act::Link(hint) => self.links.hint(hint),
            Act::ReadRecords { reader, from } => {
                reading.records(from, move |records| DirectorInput::Records { reader, records });
            }
            Act::Watch { watch, directory } => self.watches.watch(watch, directory, self.requests.clone()),
            Act::Unwatch { watch } => self.watches.unwatch(&watch),
            Act::Reply { caller, reply } => self.reply(caller, reply),
            Act::Pair(hint) => match pairing::hint(hint, reading, DirectorInput::Pair) {
                Left::Send(to, envelope) => self.send(to, &envelope),
                Left::Trouble(trouble) => self.trouble = Some(trouble),
                Left::Nothing => {}
            },
            Act::RollBack { to } => reading.content(to, move |image, records| {
                let replica = Director::rebuild(image.as_deref(), &records)?;
                Ok(DirectorInput::RolledBack(Box::new(replica)))
            }),
            Act::Trouble(trouble) => self.trouble = Some(trouble),
            Act::WatchLink(link) => self.watch_link = link,
            // Who is dropped learns that there is no answer from here.
            Act::Deposed => self.callers.clear(),
            // Nobody reads its events, and it has no agents.
            Act::NoEvents { .. } | Act::Released { .. } | Act::AgentTrouble { .. } => {}
        }
    }

    fn promise(&mut self, lane: Lane, promise: Outgoing) {
        match (lane, promise) {
            (Lane::Link(link), Outgoing::Frame(frame)) => self.links.send(link, frame),
            (Lane::Pair(_), Outgoing::Pair(to, envelope)) => self.send(to, &envelope),
            // Nothing else is promised.
            _ => {}
        }
    }

    fn image(machine: &Director) -> Option<Vec<u8>> {
        machine.may_be_imaged().then(|| machine.replica().image())
    }

    fn imaged(&mut self, at: Position) -> Option<DirectorInput> {
        Some(DirectorInput::Imaged { at })
    }

    fn stepped(&mut self, node: &Node<Director>, _: Now) {
        let (Some(pair), Some(voters)) = (node.machine().pair(), &self.voters) else { return };
        if matches!(pair.part(), Part::Active | Part::Standby { is_following: true }) {
            self.trouble = None;
        }
        let standing = Standing::of(node, Some(pair), self.trouble);
        let before = std::mem::replace(&mut self.standing, standing);
        if let Some(pair) = standing.pair.filter(|_| standing.pair != before.pair) {
            pair.tell_changes(before.pair, voters);
            if let Some(known) = pair.known {
                voters.set_epoch(known.epoch.0);
            }
        }
    }
}

impl Drop for DirectorHost {
    fn drop(&mut self) {
        self.links.close();
        if let Some(voters) = &self.voters {
            voters.close();
        }
    }
}
