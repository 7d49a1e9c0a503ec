//! The host of a director: its links, and the directories it watches.

use super::links::{Links, Remote};
use super::local::Local;
use super::peek::Peek;
use super::watch::Watches;
use crate::driver::{self, Entrance, Halt, Host, Opened, Operator, Reading, Running, Surroundings};
use baton_machine::director::{Director, DirectorConfig, DirectorInput};
use baton_machine::host::{Act, Lane, Outgoing};
use baton_machine::link::LinkInput;
use baton_protocol::node::Node;
use baton_protocol::record::Position;
use tokio::sync::mpsc;

/// What a director is asked.
pub enum DirectorRequest {
    /// An input for the machine.
    Input(DirectorInput),
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

/// Starts a director on its journal.
///
/// # Errors
/// When the journal cannot be replayed.
pub fn start(
    config: DirectorConfig,
    opened: Opened,
    local: Local,
    remote: Option<Remote>,
    operator: Operator,
) -> Result<Started, Halt> {
    let Opened { journal, recovered, image, records, notes, .. } = opened;
    notes.into_iter().for_each(|note| operator.warn(note));
    let machine = Director::recover(config, image.as_deref(), &records)?;
    let entrance = Entrance::new();
    let links = Links::new(local, remote, entrance.requests());
    let host =
        DirectorHost { links: links.clone(), watches: Watches::new(operator.clone()), requests: entrance.requests() };
    let node = driver::alone(machine, recovered);
    let running = driver::start(node, journal, host, entrance, operator, Surroundings::real()?);
    Ok(Started { running, links })
}

struct DirectorHost {
    links: Links<DirectorRequest>,
    watches: Watches,
    requests: mpsc::Sender<DirectorRequest>,
}

impl Host for DirectorHost {
    type Machine = Director;
    type Request = DirectorRequest;

    fn request(&mut self, node: &Node<Director>, request: DirectorRequest) -> Option<DirectorInput> {
        match request {
            DirectorRequest::Input(input) => Some(input),
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
            // Nobody gives commands to a director, or reads its events.
            Act::Reply { .. } | Act::NoEvents { .. } | Act::Released { .. } => {}
            // It is not a node of a pair.
            Act::Pair(_)
            | Act::RollBack { .. }
            | Act::Deposed
            | Act::Trouble(_)
            | Act::AgentTrouble { .. }
            | Act::WatchLink(_) => {}
        }
    }

    fn promise(&mut self, lane: Lane, promise: Outgoing) {
        if let (Lane::Link(link), Outgoing::Frame(frame)) = (lane, promise) {
            self.links.send(link, frame);
        }
    }

    fn image(machine: &Director) -> Option<Vec<u8>> {
        Some(machine.replica().image())
    }

    fn imaged(&mut self, at: Position) -> Option<DirectorInput> {
        Some(DirectorInput::Imaged { at })
    }
}

impl Drop for DirectorHost {
    fn drop(&mut self) {
        self.links.close();
    }
}
