//! A controller or a director as one of a pair: when it works, what it does when its part changes, and what a person may order.
//!
//! A node without a pair always works. One of a pair works while it is active and no hand-over or stop is under way; otherwise it
//! dials nobody, sets no alarm, takes no command and writes nothing. What it has to do follows from the state, so it can lay
//! down its work at any time and take it up again; how, is all that the two kinds of nodes say for themselves ([`Officer`]).
//!
//! Not active, it folds the records of the active into its replica. When the pair cuts the journal, the replica knows too much:
//! the host builds the one of the shorter journal and hands it in; and likewise when the journal begins anew with an image,
//! because the records which this node needs are released. What can fail: a record of the active is not understood, because
//! it is of a newer program, or contradicts the state. Then this node must not acknowledge it, and panics.

use crate::host::{Act, CallerId, Lane, Outgoing, Reply};
use crate::replica::{Replica, Turn};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use baton_protocol::journal::Role;
use baton_protocol::machine::Input;
use baton_protocol::outbox::Outbox;
use baton_protocol::pair::{Happened, Mandate, Order, Pair, PairInput, Paired, Unfit};
use baton_protocol::record::{Position, Record};
use baton_protocol::register::{Incarnation, Mode, Seat};
use baton_protocol::time::{Duration, Instant, Now};
use baton_workflow::decimal::Decimal;
use baton_workflow::model::command::Response;
use baton_workflow::model::event::{ClusterSetting, ClusterTiming, Event, JournalPosition, NodeEvent};
use baton_workflow::problem::{Checked, Problem};

/// The code of the problem that a node is not the active one of its pair.
pub(crate) const NOT_ACTIVE: &str = "ClusterNodeIsNotActive";

/// The part of a node in its pair, if it has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Office {
    pub(crate) pair: Option<Pair>,
    /// Where the nodes are reached, for readers.
    pub(crate) uris: [String; 2],
    /// It dials others, has alarms and writes.
    is_working: bool,
    /// It became active, and has not written so yet.
    mandate: Option<Mandate>,
    /// Who waits for what was ordered.
    ordered: Option<(CallerId, Order)>,
    /// Who has ordered the stop that the journal is to know of before the pair pursues it.
    stopping: Option<CallerId>,
    /// The replica is not what the journal makes up: records were cut off, or it begins anew with an image.
    is_rolling_back: bool,
}

/// What of the inputs of a node concerns its part in the pair only.
pub(crate) enum Matter {
    /// For the pair itself.
    Pair(PairInput),
    /// Somebody orders something.
    Order { caller: CallerId, order: Order },
    /// The replica of the journal as it ends now.
    RolledBack(Box<Replica>),
}

impl Office {
    pub(crate) fn is_working(&self) -> bool {
        self.is_working
    }

    pub(crate) fn is_active(&self) -> bool {
        self.pair.as_ref().is_none_or(Pair::is_active)
    }

    /// Whether the replica is what the journal makes up, as far as the pair is concerned.
    pub(crate) fn is_settled(&self) -> bool {
        !self.is_rolling_back
    }

    /// Whether it may write; it does when it works.
    fn may_write(&self) -> bool {
        self.pair.as_ref().is_none_or(Pair::is_writing)
    }

    /// Whether this node can be sure that no other one was active a moment ago: see [`Pair::is_sure`]. One that cannot must not
    /// keep alive what its successor may take for dead.
    pub(crate) fn is_sure(&self, now: Instant, role: Role) -> bool {
        self.pair.as_ref().is_none_or(|pair| pair.is_sure(now, role))
    }

    /// For how long one that has been replaced may take itself for active, after its successor took over.
    pub(crate) fn doubt(&self) -> Duration {
        self.pair.as_ref().map_or(Duration::ZERO, |pair| pair.config().timing.silence)
    }

    /// Why it takes nothing in now.
    pub(crate) fn is_not_active(&self) -> Problem {
        let pair = self.pair.as_ref();
        if self.is_active() {
            let message =
                "This node of the cluster is handing over, stopping or becoming active. Try again in a moment";
            return Problem::coded(NOT_ACTIVE, [], message);
        }
        let active = pair.and_then(Pair::known).map(|known| known.active);
        let whom = match active.filter(|active| pair.is_none_or(|pair| pair.config().seat != *active)) {
            Some(active) => format!("{} is active, as far as is known here", name_of(active)),
            None => String::from("It is not known here which one is active"),
        };
        Problem::coded(NOT_ACTIVE, [], format!("This node of the cluster is not active. {whom}"))
    }

    /// What the journal does not say yet about the pair, in the words of the reference.
    fn cluster_events(&self, mandate: Option<Mandate>, replica: &Replica, end: Position) -> Vec<NodeEvent> {
        let Some(pair) = &self.pair else { return Vec::new() };
        let Some(known) = pair.known() else { return Vec::new() };
        let mut events = Vec::new();
        let (active_id, passive_id) = (name_of(known.active), name_of(known.active.peer()));
        let said = &replica.relations().cluster;
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
                        file_event_id: i64::try_from(replica.last_event_id().0).unwrap_or(i64::MAX),
                        position: i64::try_from(end.offset.0).unwrap_or(i64::MAX),
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
            id_to_uri: ids.into_iter().map(Into::into).zip(self.uris.clone()).collect(),
            active_id: active_id.into(),
            timing: ClusterTiming { heartbeat: seconds(timing.heartbeat), heartbeat_timeout: seconds(timing.silence) },
            cluster_watch_id: None,
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

/// A node that may be one of a pair. What is required here is what a controller and a director do differently.
pub(crate) trait Officer: Paired<Lane = Lane, Hint = Act, Promise = Outgoing> {
    /// What it is called.
    const WHAT: &'static str;

    /// Its part in the pair.
    fn office(&self) -> &Office;

    /// The same, with what the journal makes up.
    fn office_mut(&mut self) -> (&mut Office, &mut Replica);

    /// Whether an input concerns its part in the pair only; else it is handed back.
    fn matter(input: Self::Input) -> Result<Matter, Self::Input>;

    /// Decides the first events of an empty journal.
    fn begin(&mut self, turn: Turn<'_>);

    /// Derives from the state what is to be done. `is_ready` says whether that is worth an event.
    fn take_up(&mut self, turn: Turn<'_>, is_ready: bool);

    /// Hangs up all whom it commands or obeys, and forgets what it was about to do.
    fn lay_down(&mut self, out: &mut Outbox<'_, Self>);

    /// Forgets who waits for an answer: it gets none here.
    fn forget_askers(&mut self);

    /// What concerns the pair comes first, since it decides what may be done about the rest, which is handed back.
    fn step_office(
        &mut self,
        now: Now,
        input: Input<Self::Input>,
        out: &mut Outbox<'_, Self>,
    ) -> Option<Input<Self::Input>> {
        let rest = match input {
            Input::Arrived(input) => match Self::matter(input) {
                Ok(matter) => {
                    self.deal_with(now, matter, out);
                    None
                }
                Err(input) => Some(Input::Arrived(input)),
            },
            input => {
                if let Some(pair) = &mut self.office_mut().0.pair {
                    match &input {
                        Input::Start { seed } => pair.start(now, *seed, out),
                        Input::Due => pair.due(now, out),
                        Input::Stored(_) | Input::Arrived(_) => {}
                    }
                }
                Some(input)
            }
        };
        self.look_at_pair(out);
        rest
    }

    /// About the pair.
    fn deal_with(&mut self, now: Now, matter: Matter, out: &mut Outbox<'_, Self>) {
        let (office, _) = self.office_mut();
        match matter {
            Matter::Order { caller, order: Order::Stop } if office.is_working && office.ordered.is_none() => {
                office.stopping = Some(caller);
            }
            Matter::Order { caller, order } => self.order(now, caller, order, out),
            Matter::RolledBack(replica) => self.roll_back(now, replica, out),
            // These come with more than the pair has to know.
            Matter::Pair(PairInput::RolledBack | PairInput::Ordered(_)) => {}
            Matter::Pair(input) => {
                if let Some(pair) = &mut office.pair {
                    pair.take(now, input, out);
                }
            }
        }
    }

    /// Lets the pair do what has become possible in this step.
    fn settle_office(&mut self, now: Now, out: &mut Outbox<'_, Self>) {
        if let Some(caller) = self.office_mut().0.stopping.take() {
            self.order(now, caller, Order::Stop, out);
            self.look_at_pair(out);
        }
        if let Some(pair) = &mut self.office_mut().0.pair {
            pair.settle(now, out);
        }
        self.look_at_pair(out);
        self.rest_unless_writing(out);
        self.give_up_order(out);
    }

    /// Takes up its work, or lays it down; and writes what readers are to know of the pair.
    fn follow_office(&mut self, turn: Turn<'_>, out: &mut Outbox<'_, Self>) {
        self.rest_unless_writing(out);
        let (office, _) = self.office_mut();
        if !office.may_write() || (office.pair.is_some() && out.is_congested()) {
            return;
        }
        let (mandate, is_new) = (office.mandate.take(), !office.is_working);
        let is_ready = mandate.is_some() || office.pair.is_none();
        if is_new && is_ready {
            self.begin(turn);
        }
        let (office, replica) = self.office_mut();
        for event in office.cluster_events(mandate, replica, out.journal().end()) {
            replica.take(turn, Event::Node(event));
        }
        if office.stopping.is_some() && replica.relations().cluster.is_coupled {
            replica.take(turn, Event::Node(NodeEvent::ClusterActiveNodeShutDown));
        }
        office.is_working = true;
        if is_new {
            self.take_up(turn, is_ready);
        }
    }

    /// Lays down its work when it must not write any more.
    fn rest_unless_writing(&mut self, out: &mut Outbox<'_, Self>) {
        if self.office().is_working && !self.office().may_write() {
            self.rest(out);
        }
    }

    fn rest(&mut self, out: &mut Outbox<'_, Self>) {
        self.lay_down(out);
        let (office, replica) = self.office_mut();
        office.is_working = false;
        replica.forget_agenda();
    }

    fn look_at_pair(&mut self, out: &mut Outbox<'_, Self>) {
        while let Some(pair) = &mut self.office_mut().0.pair {
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
                self.office_mut().0.is_rolling_back = true;
                out.hint(Act::RollBack { to });
            }
            Happened::Activated(_, mandate) => {
                let (office, _) = self.office_mut();
                assert!(!office.is_rolling_back, "active in a state that the journal does not make up");
                office.mandate = Some(mandate);
                self.answer_order(Ok(Response::Accepted), out);
            }
            // What follows from it is seen in the record of the epoch. Who was active already and was forced to go on, does.
            Happened::EpochBegan(_) => {
                if matches!(self.office().ordered, Some((_, Order::Force))) {
                    self.answer_order(Ok(Response::Accepted), out);
                }
            }
            Happened::Deposed => {
                let office = self.office();
                let seat = office.pair.as_ref().map(|pair| pair.config().seat.peer());
                let active = office.pair.as_ref().and_then(Pair::known).map(|known| known.active);
                let answer = if active == seat { Ok(Response::Accepted) } else { Err(office.is_not_active()) };
                // Who ordered it is answered; who waits for anything else gets no answer from here.
                self.answer_order(answer, out);
                self.resign(out);
            }
            Happened::Stopped => {
                self.answer_order(Ok(Response::Accepted), out);
                self.resign(out);
            }
            Happened::Refused(order, unfit) => {
                if self.office().ordered.is_some_and(|(_, ordered)| ordered == order) {
                    let problem = self.office().refusal(order, unfit);
                    self.answer_order(Err(problem), out);
                }
            }
            Happened::Trouble(trouble) => out.hint(Act::Trouble(trouble)),
        }
    }

    #[expect(clippy::panic, reason = "what is not applied must not be acknowledged")]
    fn adopt_record(&mut self, record: &Record) {
        if let Err(error) = self.office_mut().1.apply(record) {
            panic!("a record of the active node cannot be applied here, perhaps its program is newer: {error}");
        }
    }

    fn roll_back(&mut self, now: Now, mut replica: Box<Replica>, out: &mut Outbox<'_, Self>) {
        let (office, mine) = self.office_mut();
        let Some(pair) = office.pair.as_mut().filter(|_| office.is_rolling_back) else { return };
        replica.set_slice(mine.slice());
        *mine = *replica;
        office.is_rolling_back = false;
        pair.take(now, PairInput::RolledBack, out);
    }

    /// Lays down its work for good: another node is active, or none. Who waits for an answer gets none here.
    fn resign(&mut self, out: &mut Outbox<'_, Self>) {
        self.office_mut().0.mandate = None;
        self.rest(out);
        self.forget_askers();
        out.hint(Act::Deposed);
    }

    /// A person orders.
    fn order(&mut self, now: Now, caller: CallerId, order: Order, out: &mut Outbox<'_, Self>) {
        if order == Order::Force
            && let Some((_, before)) = self.office().ordered
        {
            // It waits for voters who are lost.
            let problem = self.office().refusal(before, Unfit::Busy);
            self.answer_order(Err(problem), out);
        }
        let (office, replica) = self.office_mut();
        let is_busy = office.ordered.is_some() || office.is_rolling_back;
        let problem = match &mut office.pair {
            None => {
                let message = format!("This {} is not a node of a cluster", Self::WHAT);
                Problem::coded("ClusterStateEmpty", [], message)
            }
            Some(_) if is_busy => {
                Problem::coded("Busy", [], "This node is still busy with what came before. Try again in a moment")
            }
            Some(pair) => {
                office.ordered = Some((caller, order));
                return pair.take(now, PairInput::Ordered(order), out);
            }
        };
        let reply = Reply { answer: Err(problem), event_id: replica.last_event_id() };
        out.hint(Act::Reply { caller, reply });
    }

    fn answer_order(&mut self, answer: Checked<Response>, out: &mut Outbox<'_, Self>) {
        let (office, replica) = self.office_mut();
        if let Some((caller, _)) = office.ordered.take() {
            // That the epoch record says so is safe by now. It is not in the journal.
            out.hint(Act::Reply { caller, reply: Reply { answer, event_id: replica.last_event_id() } });
        }
    }

    /// The pair pursues an order no more, without a word, when others decide otherwise.
    fn give_up_order(&mut self, out: &mut Outbox<'_, Self>) {
        let (Some((_, order)), Some(pair)) = (self.office().ordered, &self.office().pair) else { return };
        let is_pursued = match order {
            Order::SwitchOver | Order::Stop => pair.is_leaving(),
            Order::Appoint | Order::AcceptLoss | Order::Found | Order::Force => pair.is_asking(),
        };
        if !is_pursued {
            let message = format!("{} is not possible: the other voters of the cluster do not agree", words_of(order));
            self.answer_order(Err(Problem::coded("ClusterCommandInapplicable", [], message)), out);
        }
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
