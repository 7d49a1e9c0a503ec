//! The controller as one of a pair: what only a controller has to do about it. The rest is that of every [`Officer`].

use super::{Controller, ControllerInput, hang_up};
use crate::alarms::Alarms;
use crate::host::{Act, Lane, Outgoing};
use crate::office::{Matter, Office, Officer};
use crate::replica::{Replica, Turn};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use baton_protocol::deadline::Deadlines;
use baton_protocol::outbox::Outbox;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{Pair, PairHint, PairLane, Paired};
use baton_protocol::random::Random;
use baton_protocol::register::Seat;
use baton_workflow::id::OrderId;
use baton_workflow::model::event::{Event, NodeEvent};
use baton_workflow::problem::Problem;

impl Controller {
    /// Makes it a node of a pair. Its journal is one that follows
    /// ([`Journal::following`](baton_protocol::journal::Journal::following)).
    #[must_use]
    pub fn with_pair(mut self, pair: Pair) -> Self {
        self.office.pair = Some(pair);
        self
    }

    /// Tells readers where the first and the second node are reached.
    #[must_use]
    pub fn with_uris(mut self, uris: [String; 2]) -> Self {
        self.office.uris = uris;
        self
    }

    /// Its part in the pair, if it is in one.
    #[must_use]
    pub fn pair(&self) -> Option<&Pair> {
        self.office.pair.as_ref()
    }

    /// Whether it is the one that commands and readers should turn to, as far as it knows.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.office.is_active()
    }

    /// Whether it takes commands now. An active one does not while it becomes active, hands over or stops.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.office.is_working()
    }

    /// Whether the replica is what the journal makes up: not while it has to go back, nor in the middle of a transaction which
    /// the active is sending. Only then an image may be taken.
    #[must_use]
    pub fn may_be_imaged(&self) -> bool {
        self.office.is_settled() && self.replica.is_whole()
    }

    /// A command is not taken.
    pub(super) fn unfit_for_commands(&self) -> Option<Problem> {
        if self.is_working() {
            return None;
        }
        Some(if self.is_active() {
            let message = "The controller is handing over, stopping or becoming active. Try again in a moment";
            Problem::coded("Busy", [], message)
        } else {
            self.office.is_not_active()
        })
    }
}

impl Paired for Controller {
    fn pair_hint(hint: PairHint) -> Act {
        Act::Pair(hint)
    }

    fn pair_promise(to: Seat, envelope: Envelope) -> Outgoing {
        Outgoing::Pair(to, envelope)
    }

    fn pair_lane(lane: PairLane) -> Lane {
        Lane::Pair(lane)
    }
}

impl Officer for Controller {
    const WHAT: &'static str = "controller";

    fn office(&self) -> &Office {
        &self.office
    }

    fn office_mut(&mut self) -> (&mut Office, &mut Replica) {
        (&mut self.office, &mut self.replica)
    }

    fn matter(input: ControllerInput) -> Result<Matter, ControllerInput> {
        match input {
            ControllerInput::Pair(input) => Ok(Matter::Pair(input)),
            ControllerInput::Order { caller, order } => Ok(Matter::Order { caller, order }),
            ControllerInput::RolledBack(replica) => Ok(Matter::RolledBack(replica)),
            input => Err(input),
        }
    }

    fn begin(&mut self, turn: Turn<'_>) {
        if !self.replica.relations().journal_id.is_empty() {
            return;
        }
        let journal_id = format!("{:016x}", Random::new(self.seed).child("journal id").next());
        let node_id = self.config.node_id.clone();
        let event = NodeEvent::JournalInitialized { node_id, journal_id, seed: self.seed.to_string() };
        self.replica.take(turn, Event::Node(event));
        let controller_id = self.config.controller_id.clone();
        self.replica.take(turn, Event::Node(NodeEvent::ControllerInitialized { controller_id }));
    }

    fn take_up(&mut self, turn: Turn<'_>, is_ready: bool) {
        if is_ready {
            self.replica.take(turn, Event::Node(NodeEvent::NodeReady { timezone: turn.around.zone.to_string() }));
        }
        let orders: Vec<OrderId> = self.state().orders().map(|order| order.id.clone()).collect();
        for id in &orders {
            self.set_alarm(id);
        }
        self.replica.sweep();
        self.go_on_with_resets();
        self.refresh_agents(turn);
    }

    fn lay_down(&mut self, out: &mut Outbox<'_, Self>) {
        for link in core::mem::take(&mut self.links).into_keys() {
            hang_up(link, "this node of the cluster does not work now", out);
        }
        self.agents.clear();
        self.unnamed.clear();
        self.deadlines = Deadlines::new();
        self.alarms = Alarms::new();
        self.returning.clear();
        self.current = None;
    }

    fn forget_askers(&mut self) {
        self.readers.clear();
        self.reading.clear();
        self.waiting.clear();
    }
}
