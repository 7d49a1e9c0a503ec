//! The host of a director: its links, and the directories it watches.

use super::links::Links;
use super::local::Local;
use super::watch::Watches;
use crate::driver::{self, Entrance, Halt, Host, Opened, Operator, Reading, Running, Surroundings};
use baton_machine::director::{Director, DirectorConfig, DirectorInput};
use baton_machine::host::{Act, Lane, Outgoing};
use baton_machine::link::{LinkInput, Peer};
use baton_protocol::node::Node;
use baton_protocol::record::Position;
use tokio::sync::mpsc;

/// What a director is asked.
pub struct DirectorRequest(DirectorInput);

impl From<DirectorInput> for DirectorRequest {
    fn from(input: DirectorInput) -> Self {
        Self(input)
    }
}

impl From<LinkInput> for DirectorRequest {
    fn from(input: LinkInput) -> Self {
        Self(DirectorInput::Link(input))
    }
}

/// Starts a director on its journal. It is dialled as `peer`.
///
/// # Errors
/// When the journal cannot be replayed.
pub fn start(
    config: DirectorConfig,
    opened: Opened,
    peer: Peer,
    local: Local,
    operator: Operator,
) -> Result<Running<DirectorRequest>, Halt> {
    let Opened { journal, recovered, image, records, notes, .. } = opened;
    notes.into_iter().for_each(|note| operator.warn(note));
    let machine = Director::recover(config, image.as_deref(), &records)?;
    let entrance = Entrance::new();
    let links = Links::new(local, entrance.requests());
    let host =
        DirectorHost { links: links.clone(), watches: Watches::new(operator.clone()), requests: entrance.requests() };
    let running =
        driver::start(driver::alone(machine, recovered), journal, host, entrance, operator, Surroundings::real()?);
    links.listen(peer);
    Ok(running)
}

struct DirectorHost {
    links: Links<DirectorRequest>,
    watches: Watches,
    requests: mpsc::Sender<DirectorRequest>,
}

impl Host for DirectorHost {
    type Machine = Director;
    type Request = DirectorRequest;

    fn request(&mut self, _: &Node<Director>, request: DirectorRequest) -> Option<DirectorInput> {
        Some(request.0)
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
            Act::Pair(_) | Act::RollBack { .. } | Act::Deposed | Act::Trouble(_) => {}
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
