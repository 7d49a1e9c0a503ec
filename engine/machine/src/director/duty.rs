//! The director as one of a pair: what only a director has to do about it. The rest is that of every [`Officer`].
//!
//! The processes of its jobs run at subagents and do not notice that another director is active now: that one couples with the
//! subagents, in its epoch, and asks for each process by its attempt. The subagent of a director's own host is one of them,
//! and the other director reaches it by its address.
//!
//! A director that has been replaced without knowing it must not keep processes alive which its successor takes for lost. So
//! it renews the leases of its subagents only while it is sure that it is the active one, and its successor waits a little longer
//! for subagents that it has not heard of yet ([`Office::is_sure`], [`Office::doubt`]).

use super::{Director, DirectorInput, Reason, hang_up, say_now};
use crate::alarms::Alarms;
use crate::host::{Act, Lane, Outgoing};
use crate::link::{LinkId, LinkInput};
use crate::message::{FromAgent, Voting};
use crate::office::{Matter, Office, Officer};
use crate::replica::{Replica, Turn};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use baton_protocol::machine::Input;
use baton_protocol::outbox::Outbox;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{Pair, PairHint, PairInput, PairLane, Paired};
use baton_protocol::register::Seat;
use baton_protocol::time::Now;
use baton_workflow::id::OrderId;
use baton_workflow::model::event::{Event, NodeEvent};
use baton_workflow::state::job_queue::{JobQueues, Parking};

/// The controller as the watch of the pair.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WatchLink {
    /// Whether it is.
    is_controller: bool,
    /// Where it speaks.
    link: Option<LinkId>,
    /// That link was given up in this step.
    is_gone: bool,
}

impl Director {
    /// Lets its controller be the watch of the pair.
    #[must_use]
    pub fn with_controller_as_watch(mut self) -> Self {
        self.watch.is_controller = true;
        self
    }

    /// What the watch says over a controller's link is for the pair, and comes before everything else.
    pub(super) fn hear_watch(
        &mut self,
        now: Now,
        input: Input<DirectorInput>,
        out: &mut Outbox<'_, Self>,
    ) -> Option<Input<DirectorInput>> {
        match &input {
            Input::Arrived(DirectorInput::Link(LinkInput::Received { link, frame })) if Voting::is_in(frame) => {
                let (link, envelope) = (*link, Voting::read(frame).ok().flatten());
                let Some(envelope) = envelope.filter(|envelope| envelope.from == Seat::Watch) else {
                    self.hang_up_controller(link, "what it says as the watch is not understood", out);
                    return None;
                };
                if !self.watch.is_controller || self.links.contains_key(&link) {
                    return None;
                }
                if self.deadlines.get(&Reason::Uncoupled(link)).is_some() {
                    self.deadlines.set(Reason::Uncoupled(link), now.instant + self.config.timing.agent_silence);
                }
                if self.watch.link.replace(link) != Some(link) {
                    out.hint(Act::WatchLink(Some(link)));
                    self.deal_with(now, Matter::Pair(PairInput::Up(Seat::Watch)), out);
                }
                return Some(Input::Arrived(DirectorInput::Pair(PairInput::Received(envelope))));
            }
            Input::Arrived(DirectorInput::Link(LinkInput::Down { link, .. })) => {
                self.forget_watch_link(*link, out);
                self.note_watch_is_gone(now, out);
            }
            _ => {}
        }
        Some(input)
    }

    pub(super) fn forget_watch_link(&mut self, link: LinkId, out: &mut Outbox<'_, Self>) {
        if self.watch.link == Some(link) {
            (self.watch.link, self.watch.is_gone) = (None, true);
            out.hint(Act::WatchLink(None));
        }
    }

    pub(super) fn note_watch_is_gone(&mut self, now: Now, out: &mut Outbox<'_, Self>) {
        if core::mem::take(&mut self.watch.is_gone) {
            self.deal_with(now, Matter::Pair(PairInput::Down { seat: Seat::Watch, refused: false }), out);
        }
    }

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

    /// Whether it is the one that its controller should turn to, as far as it knows.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.office.is_active()
    }

    /// Whether it makes the steps of its orders now. An active one does not while it becomes active, hands over or stops.
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

    /// Gives up all that is not in the journal: files are watched no more, and nobody has a slot or waits for a time.
    pub(super) fn forget_work(&mut self) {
        let watches = self.replica.state().file_watches().map(|found| found.item().path.clone());
        self.acts.extend(watches.map(|watch| Act::Unwatch { watch }));
        self.resting.clear();
        self.unread.clear();
        self.links.clear();
        self.subagents.clear();
        self.changed.clear();
        self.deadlines.retain(|reason| matches!(reason, Reason::Uncoupled(_)));
        self.alarms = Alarms::new();
        self.queues = JobQueues::default();
        self.parking = Parking::default();
        (self.may_unpark, self.may_start_more) = (false, false);
    }
}

impl Paired for Director {
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

impl Officer for Director {
    const WHAT: &'static str = "director";

    fn office(&self) -> &Office {
        &self.office
    }

    fn office_mut(&mut self) -> (&mut Office, &mut Replica) {
        (&mut self.office, &mut self.replica)
    }

    fn matter(input: DirectorInput) -> Result<Matter, DirectorInput> {
        match input {
            DirectorInput::Pair(input) => Ok(Matter::Pair(input)),
            DirectorInput::Order { caller, order } => Ok(Matter::Order { caller, order }),
            DirectorInput::RolledBack(replica) => Ok(Matter::RolledBack(replica)),
            input => Err(input),
        }
    }

    fn begin(&mut self, turn: Turn<'_>) {
        if !self.replica.relations().journal_id.is_empty() {
            return;
        }
        let journal_id = format!("{:016x}", self.random.child("journal id").next());
        let node_id = self.config.node_id.clone();
        let event = NodeEvent::JournalInitialized { node_id, journal_id, seed: self.seed.to_string() };
        self.replica.take(turn, Event::Node(event));
    }

    fn take_up(&mut self, turn: Turn<'_>, is_ready: bool) {
        if is_ready {
            self.replica.take(turn, Event::Node(NodeEvent::NodeReady { timezone: turn.around.zone.to_string() }));
        }
        let running: Vec<OrderId> = self.replica.relations().processes.keys().cloned().collect();
        for id in &running {
            self.watch_process(turn, id);
            self.recover_slot(id);
        }
        for id in self.orders_by_arrival() {
            self.order_changed(turn, &id);
        }
        self.replica.sweep();
        self.uncouple_all(turn);
        self.refresh_limit();
        self.refresh_subagents(turn);
        self.watch_all_files(turn);
    }

    fn lay_down(&mut self, out: &mut Outbox<'_, Self>) {
        const REASON: &str = "this director does not work now";
        for link in self.links.keys() {
            hang_up(*link, REASON, out);
        }
        if let Some(link) = self.controller.link() {
            // It may ask again over the same link, and may be the watch.
            out.withdraw(&Lane::Link(link));
            say_now(link, &FromAgent::Refused { problem: self.office.is_not_active() }, out);
            self.forget_controller_link(link);
            self.deadlines.set(Reason::Uncoupled(link), self.now + self.config.timing.agent_silence);
        }
        self.forget_work();
    }

    /// Nobody gives commands to a director, and its controller couples anew.
    fn forget_askers(&mut self) {}
}
