//! The host of a cluster watch: its links, and the folder of what it must not forget.

use super::standing;
use super::voters::Voters;
use crate::driver::{self, Entrance, Halt, Host, Opened, Operator, Reading, Running, Surroundings};
use baton_protocol::node::Node;
use baton_protocol::pair::planted::Bugs;
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{PairHint, PairInput, PairLane, VOTE_CELL};
use baton_protocol::record::Position;
use baton_protocol::register::{EpochRecord, Seat};
use baton_protocol::time::Now;
use baton_protocol::watch::{Outgoing, Watch, WatchMachine};
use tokio::sync::watch;

/// How a watch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchStatus {
    /// The newest epoch record that it knows to be decided.
    pub known: Option<EpochRecord>,
    /// Whether there are links to the first and the second node.
    pub is_linked: [bool; 2],
}

/// Starts a watch on its folder.
///
/// # Errors
/// When what it must not forget is not understood.
pub fn start(
    opened: Opened,
    timing: Timing,
    voters: Voters,
    entrance: Entrance<PairInput>,
    operator: Operator,
    surroundings: Surroundings,
) -> Result<(Running<PairInput>, watch::Receiver<WatchStatus>), Halt> {
    let Opened { journal, recovered, cells, notes, .. } = opened;
    notes.into_iter().for_each(|note| operator.warn(note));
    let machine = WatchMachine(Watch::new(timing, Bugs::NONE, cells.get(VOTE_CELL).map(Vec::as_slice))?);
    let (status, shown) = watch::channel(WatchStatus::default());
    let host = WatchHost { voters, status };
    let node = driver::one_of_two(machine, recovered);
    Ok((driver::start(node, journal, host, entrance, operator, surroundings), shown))
}

struct WatchHost {
    voters: Voters,
    status: watch::Sender<WatchStatus>,
}

impl Host for WatchHost {
    type Machine = WatchMachine;
    type Request = PairInput;

    fn request(&mut self, _: &Node<WatchMachine>, request: PairInput) -> Option<PairInput> {
        Some(request)
    }

    fn hint(&mut self, hint: PairHint, _: &mut Reading<'_, Self>) {
        match hint {
            PairHint::Send(to, envelope) => self.voters.send(to, &envelope),
            PairHint::Trouble(trouble) => tracing::error!("a person has to look: {}", standing::advice(trouble)),
            // It has no records.
            PairHint::Read { .. } | PairHint::ReadImage { .. } | PairHint::KeepPiece { .. } | PairHint::DropPieces => {}
        }
    }

    fn promise(&mut self, _: PairLane, Outgoing { to, envelope }: Outgoing) {
        self.voters.send(to, &envelope);
    }

    fn image(_: &WatchMachine) -> Option<Vec<u8>> {
        None
    }

    fn imaged(&mut self, _: Position) -> Option<PairInput> {
        None
    }

    fn stepped(&mut self, node: &Node<WatchMachine>, _: Now) {
        let WatchMachine(watch) = node.machine();
        let is_linked = [Seat::First, Seat::Second].map(|seat| watch.is_linked(seat));
        let status = WatchStatus { known: watch.known(), is_linked };
        let before = *self.status.borrow();
        if before == status {
            return;
        }
        self.status.send_replace(status);
        if let Some(known) = status.known.filter(|_| before.known != status.known) {
            self.voters.set_epoch(known.epoch.0);
            let active = self.voters.name(known.active);
            tracing::info!(epoch = known.epoch.0, %active, mode = %known.mode, "the cluster has decided");
        }
    }
}

impl Drop for WatchHost {
    fn drop(&mut self) {
        self.voters.close();
    }
}
