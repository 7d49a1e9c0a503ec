//! The controller as one of a pair: when it works, what it does when its part changes, and what a person may order.
//!
//! A controller without a pair always works. One of a pair works while it is active and no hand-over or stop is under way;
//! otherwise it dials no agent, sets no alarm, takes no command and writes nothing. What it has to do follows from the state,
//! so it can lay down its work at any time and take it up again.
//!
//! Not active, it folds the records of the active into its replica. When the pair cuts the journal, the replica knows too much:
//! the host builds the one of the shorter journal ([`Controller::rebuild`]) and hands it in; and likewise when the journal
//! begins anew with an image, because the records which this node needs are released. What can fail: a record of the
//! active is not understood, because it is of a newer program, or contradicts the state. Then this node must not acknowledge
//! it, and panics.

use super::{Controller, ControllerInput, Reply, hang_up};
use crate::host::{Act, CallerId, Lane, Outgoing};
use crate::replica::{Replica, Turn};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use baton_protocol::deadline::Deadlines;
use baton_protocol::machine::Input;
use baton_protocol::outbox::Outbox;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{Happened, Mandate, Order, Pair, PairHint, PairInput, PairLane, Paired, Unfit};
use baton_protocol::record::Record;
use baton_protocol::register::{Incarnation, Mode, Seat};
use baton_protocol::time::{Duration, Now};
use baton_workflow::decimal::Decimal;
use baton_workflow::model::command::Response;
use baton_workflow::model::event::{ClusterSetting, ClusterTiming, Event, JournalPosition, NodeEvent};
use baton_workflow::problem::{Checked, Problem};

/// The part of a controller in its pair, if it has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Office {
    pub(super) pair: Option<Pair>,
    /// It dials agents, has alarms and writes.
    pub(super) is_working: bool,
    /// It became active, and has not written so yet.
    mandate: Option<Mandate>,
    /// Who waits for what was ordered.
    ordered: Option<(CallerId, Order)>,
    /// Who has ordered the stop that the journal is to know of before the pair pursues it.
    stopping: Option<CallerId>,
    /// Where the nodes are reached, for readers.
    uris: [String; 2],
    /// The replica is not what the journal makes up: records were cut off, or it begins anew with an image.
    is_rolling_back: bool,
}

impl Office {
    /// Whether it may write; it does when it works.
    fn may_write(&self) -> bool {
        self.pair.as_ref().is_none_or(Pair::is_writing)
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
        self.office.pair.as_ref().is_none_or(Pair::is_active)
    }

    /// Whether it takes commands now. An active one does not while it becomes active, hands over or stops.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.office.is_working
    }

    /// Whether the replica is what the journal makes up: not while it has to go back, nor in the middle of a transaction which
    /// the active is sending. Only then an image may be taken.
    #[must_use]
    pub fn may_be_imaged(&self) -> bool {
        !self.office.is_rolling_back && self.replica.is_whole()
    }

    /// What concerns the pair comes first, since it decides what may be done about the rest.
    pub(super) fn step_pair(
        &mut self,
        now: Now,
        input: Input<ControllerInput>,
        out: &mut Outbox<'_, Self>,
    ) -> Input<ControllerInput> {
        let input = match input {
            Input::Arrived(ControllerInput::Order { caller, order }) => {
                if order == Order::Stop && self.office.is_working && self.office.ordered.is_none() {
                    self.office.stopping = Some(caller);
                } else {
                    self.order(now, caller, order, out);
                }
                Input::Arrived(ControllerInput::Pair(PairInput::Ordered(order)))
            }
            Input::Arrived(ControllerInput::RolledBack(replica)) => {
                self.roll_back(now, replica, out);
                Input::Arrived(ControllerInput::Pair(PairInput::RolledBack))
            }
            input => {
                if let Some(pair) = &mut self.office.pair {
                    match &input {
                        Input::Start { seed } => pair.start(now, *seed, out),
                        Input::Due => pair.due(now, out),
                        // These come with more than the pair has to know.
                        Input::Arrived(ControllerInput::Pair(PairInput::RolledBack | PairInput::Ordered(_))) => {}
                        Input::Arrived(ControllerInput::Pair(input)) => pair.take(now, input.clone(), out),
                        Input::Stored(_) | Input::Arrived(_) => {}
                    }
                }
                input
            }
        };
        self.look_at_pair(out);
        input
    }

    /// Lets the pair do what has become possible in this step.
    pub(super) fn settle_pair(&mut self, now: Now, out: &mut Outbox<'_, Self>) {
        if let Some(caller) = self.office.stopping.take() {
            self.order(now, caller, Order::Stop, out);
            self.look_at_pair(out);
        }
        if let Some(pair) = &mut self.office.pair {
            pair.settle(now, out);
        }
        self.look_at_pair(out);
        if self.office.is_working && !self.office.may_write() {
            self.lay_down(out);
        }
        self.give_up_order(out);
    }

    /// Takes up its work, or lays it down; and writes what readers are to know of the pair.
    pub(super) fn follow_office(&mut self, turn: Turn<'_>, out: &mut Outbox<'_, Self>) {
        let may_write = self.office.may_write();
        if self.office.is_working && !may_write {
            self.lay_down(out);
        }
        if !may_write || (self.office.pair.is_some() && out.is_congested()) {
            return;
        }
        let mandate = self.office.mandate.take();
        let is_new = !self.office.is_working;
        if is_new && (mandate.is_some() || self.office.pair.is_none()) {
            self.initialize(turn);
        }
        for event in self.cluster_events(mandate, out) {
            self.replica.take(turn, Event::Node(event));
        }
        if self.office.stopping.is_some() && self.replica.relations().cluster.is_coupled {
            self.replica.take(turn, Event::Node(NodeEvent::ClusterActiveNodeShutDown));
        }
        if is_new {
            self.office.is_working = true;
            self.take_up(turn, mandate.is_some() || self.office.pair.is_none());
        }
    }

    /// A command is not taken.
    pub(super) fn unfit_for_commands(&self) -> Option<Problem> {
        if self.office.is_working {
            return None;
        }
        Some(if self.is_active() {
            let message = "The controller is handing over, stopping or becoming active. Try again in a moment";
            Problem::coded("Busy", [], message)
        } else {
            self.is_not_active()
        })
    }

    pub(super) fn is_not_active(&self) -> Problem {
        let pair = self.office.pair.as_ref();
        let active = pair.and_then(Pair::known).map(|known| known.active);
        let whom = match active.filter(|active| pair.is_none_or(|pair| pair.config().seat != *active)) {
            Some(active) => format!("{} is active, as far as is known here", name_of(active)),
            None => String::from("It is not known here which one is active"),
        };
        Problem::coded("ClusterNodeIsNotActive", [], format!("This node of the cluster is not active. {whom}"))
    }

    fn look_at_pair(&mut self, out: &mut Outbox<'_, Self>) {
        while let Some(pair) = &mut self.office.pair {
            let happened = pair.happened();
            if happened.is_empty() {
                return;
            }
            for happened in happened {
                self.react_to_pair(happened, out);
            }
        }
    }

    fn react_to_pair(&mut self, happened: Happened, out: &mut Outbox<'_, Self>) {
        match happened {
            Happened::Adopted(record) => self.adopt_record(&record),
            Happened::Cut(to) | Happened::Installed(to) => {
                self.office.is_rolling_back = true;
                out.hint(Act::RollBack { to });
            }
            Happened::Activated(_, mandate) => {
                assert!(!self.office.is_rolling_back, "active in a state that the journal does not make up");
                self.office.mandate = Some(mandate);
                self.answer_order(Ok(Response::Accepted), out);
            }
            // What follows from it is seen in the record of the epoch. Who was active already and was forced to go on, does.
            Happened::EpochBegan(_) => {
                if matches!(self.office.ordered, Some((_, Order::Force))) {
                    self.answer_order(Ok(Response::Accepted), out);
                }
            }
            Happened::Deposed => {
                let seat = self.office.pair.as_ref().map(|pair| pair.config().seat.peer());
                let active = self.office.pair.as_ref().and_then(Pair::known).map(|known| known.active);
                let answer = if active == seat { Ok(Response::Accepted) } else { Err(self.is_not_active()) };
                // Who ordered it is answered; who waits for anything else gets no answer from here.
                self.answer_order(answer, out);
                self.resign(out);
            }
            Happened::Stopped => {
                self.answer_order(Ok(Response::Accepted), out);
                self.resign(out);
            }
            Happened::Refused(order, unfit) => {
                if self.office.ordered.is_some_and(|(_, ordered)| ordered == order) {
                    let problem = self.refusal(order, unfit);
                    self.answer_order(Err(problem), out);
                }
            }
            Happened::Trouble(trouble) => out.hint(Act::Trouble(trouble)),
        }
    }

    #[expect(clippy::panic, reason = "what is not applied must not be acknowledged")]
    fn adopt_record(&mut self, record: &Record) {
        if let Err(error) = self.replica.apply(record) {
            panic!("a record of the active node cannot be applied here, perhaps its program is newer: {error}");
        }
    }

    fn roll_back(&mut self, now: Now, mut replica: Box<Replica>, out: &mut Outbox<'_, Self>) {
        let Some(pair) = self.office.pair.as_mut().filter(|_| self.office.is_rolling_back) else { return };
        replica.set_slice(self.replica.slice());
        self.replica = *replica;
        self.office.is_rolling_back = false;
        pair.take(now, PairInput::RolledBack, out);
    }

    /// Lays down its work for good: another node is active, or none. Who waits for an answer gets none here.
    fn resign(&mut self, out: &mut Outbox<'_, Self>) {
        self.office.mandate = None;
        self.lay_down(out);
        self.readers.clear();
        self.reading.clear();
        self.waiting.clear();
        out.hint(Act::Deposed);
    }

    /// Hangs up all agents, and forgets what it was about to do.
    fn lay_down(&mut self, out: &mut Outbox<'_, Self>) {
        self.office.is_working = false;
        for link in core::mem::take(&mut self.links).into_keys() {
            hang_up(link, "this node of the cluster does not work now", out);
        }
        self.agents.clear();
        self.deadlines = Deadlines::new();
        self.alarms = crate::alarms::Alarms::new();
        self.returning.clear();
        self.current = None;
        self.replica.forget_agenda();
    }

    /// What the journal does not say yet about the pair, in the words of the reference.
    fn cluster_events(&self, mandate: Option<Mandate>, out: &Outbox<'_, Self>) -> Vec<NodeEvent> {
        let Some(pair) = &self.office.pair else { return Vec::new() };
        let Some(known) = pair.known() else { return Vec::new() };
        let mut events = Vec::new();
        let (active_id, passive_id) = (name_of(known.active), name_of(known.active.peer()));
        let said = &self.replica.relations().cluster;
        let mut is_coupled = said.is_coupled;
        if said.active_id.is_empty() {
            events.push(NodeEvent::ClusterNodesAppointed { setting: self.cluster_setting(pair, active_id) });
        } else if said.active_id != active_id {
            // The active had no time to write so.
            let was_coupled = matches!(mandate, Some(Mandate::SwitchedOver | Mandate::TookOver));
            if was_coupled && !is_coupled {
                events.push(NodeEvent::ClusterCoupled { active_id: said.active_id.clone() });
            }
            is_coupled = false;
            events.push(match mandate {
                Some(Mandate::SwitchedOver) => NodeEvent::ClusterSwitchedOver { activated_id: active_id.into() },
                _ => NodeEvent::ClusterFailedOver {
                    failed_active_id: said.active_id.clone(),
                    activated_id: active_id.into(),
                    failed_at: JournalPosition {
                        file_event_id: i64::try_from(self.replica.last_event_id().0).unwrap_or(i64::MAX),
                        position: i64::try_from(out.journal().end().offset.0).unwrap_or(i64::MAX),
                    },
                },
            });
        } else if said.is_shut_down {
            is_coupled = false;
            events.push(NodeEvent::ClusterActiveNodeRestarted);
        }
        let watch = known.members.at(Seat::Watch);
        let watch_id = format!("{}/{:016x}", name_of(Seat::Watch), watch.0);
        if watch != Incarnation::default() && said.watch_id != watch_id {
            events.push(NodeEvent::ClusterWatchRegistered { cluster_watch_id: watch_id });
        }
        match (is_coupled, known.mode == Mode::Coupled) {
            (false, true) => events.push(NodeEvent::ClusterCoupled { active_id: active_id.into() }),
            (true, false) => events.push(NodeEvent::ClusterPassiveLost { id: passive_id.into() }),
            _ => {}
        }
        events
    }

    fn cluster_setting(&self, pair: &Pair, active_id: &str) -> ClusterSetting {
        let seconds = |duration: Duration| {
            Decimal::from_parts(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX), 3)
                .unwrap_or_else(|| Decimal::integer(i64::MAX))
        };
        let timing = pair.config().timing;
        let ids = [name_of(Seat::First), name_of(Seat::Second)];
        ClusterSetting {
            id_to_uri: ids.into_iter().map(Into::into).zip(self.office.uris.clone()).collect(),
            active_id: active_id.into(),
            timing: ClusterTiming { heartbeat: seconds(timing.heartbeat), heartbeat_timeout: seconds(timing.silence) },
            cluster_watch_id: None,
        }
    }

    /// A person orders.
    fn order(&mut self, now: Now, caller: CallerId, order: Order, out: &mut Outbox<'_, Self>) {
        if order == Order::Force
            && let Some((_, before)) = self.office.ordered
        {
            // It waits for voters who are lost.
            let problem = self.refusal(before, Unfit::Busy);
            self.answer_order(Err(problem), out);
        }
        let is_busy = self.office.ordered.is_some() || self.office.is_rolling_back;
        let problem = match &mut self.office.pair {
            None => Problem::coded("ClusterStateEmpty", [], "This controller is not a node of a cluster"),
            Some(_) if is_busy => {
                Problem::coded("Busy", [], "This node is still busy with what came before. Try again in a moment")
            }
            Some(pair) => {
                self.office.ordered = Some((caller, order));
                return pair.take(now, PairInput::Ordered(order), out);
            }
        };
        let reply = Reply { answer: Err(problem), event_id: self.replica.last_event_id() };
        out.hint(Act::Reply { caller, reply });
    }

    fn answer_order(&mut self, answer: Checked<Response>, out: &mut Outbox<'_, Self>) {
        if let Some((caller, _)) = self.office.ordered.take() {
            // That the epoch record says so is safe by now. It is not in the journal.
            out.hint(Act::Reply { caller, reply: Reply { answer, event_id: self.replica.last_event_id() } });
        }
    }

    /// The pair pursues an order no more, without a word, when others decide otherwise.
    fn give_up_order(&mut self, out: &mut Outbox<'_, Self>) {
        let (Some((_, order)), Some(pair)) = (self.office.ordered, &self.office.pair) else { return };
        let is_pursued = match order {
            Order::SwitchOver | Order::Stop => pair.is_leaving(),
            Order::Appoint | Order::AcceptLoss | Order::Found | Order::Force => pair.is_asking(),
        };
        if !is_pursued {
            let message = format!("{} is not possible: the other voters of the cluster do not agree", words_of(order));
            self.answer_order(Err(Problem::coded("ClusterCommandInapplicable", [], message)), out);
        }
    }

    fn refusal(&self, order: Order, unfit: Unfit) -> Problem {
        let (code, why) = match unfit {
            Unfit::NotActive => return self.is_not_active(),
            Unfit::Active => ("ClusterCommandInapplicable", String::from("this node is active already")),
            Unfit::NotCoupled => {
                ("ClusterSwitchOverButNotCoupled", String::from("there is no standby that has everything"))
            }
            Unfit::Busy => {
                ("Busy", String::from("this node is still busy with what came before. Try again in a moment"))
            }
            Unfit::NotStopped => (
                "ClusterCommandInapplicable",
                String::from("the active node was not stopped, so it takes over by itself"),
            ),
            Unfit::ActiveIsThere => {
                ("ClusterCommandInapplicable", String::from("the active node is there, and nothing needs to be lost"))
            }
            Unfit::Behind => (
                "ClusterCommandInapplicable",
                String::from("this node does not have all that was committed before the other one was stopped"),
            ),
            Unfit::NotAlone(seat) => {
                ("ClusterCommandInapplicable", format!("{seat} can be reached, so nothing needs to be forced"))
            }
            Unfit::Vote(refusal) => ("ClusterCommandInapplicable", format!("a voter refuses: {refusal:?}")),
        };
        Problem::coded(code, [], format!("{} is not possible: {why}", words_of(order)))
    }
}

/// The id of a node in events, as the reference has it.
fn name_of(seat: Seat) -> &'static str {
    match seat {
        Seat::First => "Primary",
        Seat::Second => "Backup",
        Seat::Watch => "Watch",
    }
}

fn words_of(order: Order) -> String {
    match order {
        Order::SwitchOver => "Switching over",
        Order::Stop => "Stopping without a take-over",
        Order::Appoint => "Appointing this node",
        Order::AcceptLoss => "Taking over with a loss of records",
        Order::Found => "Founding the cluster",
        Order::Force => "Forcing this node to be active",
    }
    .to_string()
}
