//! The director's link to its controller: coupling, commands, and the stream of its events.
//!
//! The controller dials. A new coupling ends the one before; a controller of a lower epoch than one seen before, or with
//! another journal, is refused. Events are sent up to a bound ahead of their acknowledgement, each part when it is
//! committed.

use super::{Director, Reason, hang_up, say_now};
use crate::codec;
use crate::feed::Following;
use crate::host::{Act, Lane, Outgoing, RecordReader};
use crate::link::LinkId;
use crate::message::{AgentCommand, AgentCoupling, CausedCommand, FromAgent, ToAgent};
use crate::planted::Bug;
use crate::reading::{Found, StoredReading};
use crate::replica::Turn;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::outbox::Outbox;
use baton_protocol::record::{Offset, Record};
use baton_workflow::id::OrderId;
use baton_workflow::model::event::{Event, NodeEvent};
use baton_workflow::model::item::Item;
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::operation::ItemEvent;
use baton_workflow::model::order::{Order, OrderMark};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::step::{OrderStep, Resumption};

/// Parts of events on their way at a time.
const PARTS_AHEAD: usize = 8;

/// Orders in one part of the inventory.
const INVENTORY_PART: usize = 10_000;

/// How the controller is reached now.
#[derive(Clone, Debug, Default)]
pub(super) struct ControllerLink {
    sessions: u64,
    session: Option<Session>,
    /// The controller has adopted our events until here.
    pub(super) adopted: EventId,
}

/// A coupling that lasts.
#[derive(Clone, Debug)]
pub(super) struct Session {
    link: LinkId,
    number: u64,
    /// Number of the last message with commands.
    executed: u64,
    /// Where the journal ended when it began. A part of events does not reach across.
    end: EventId,
    /// Events until here have been sent.
    sent: EventId,
    /// The last events of the parts on their way.
    ahead: VecDeque<EventId>,
    /// What the host reads for this session.
    reading: Option<StoredReading>,
}

impl ControllerLink {
    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    pub(super) fn link(&self) -> Option<LinkId> {
        self.session.as_ref().map(|session| session.link)
    }
}

impl Director {
    pub(super) fn on_controller_message(
        &mut self,
        turn: Turn<'_>,
        link: LinkId,
        message: ToAgent,
        out: &mut Outbox<'_, Self>,
    ) {
        let session = match message {
            ToAgent::Couple(coupling) => return self.couple(turn, link, coupling, out),
            ToAgent::Execute { session, .. } | ToAgent::Adopted { session, .. } | ToAgent::Beat { session } => session,
        };
        let is_current = |current: &&mut Session| current.link == link && current.number == session;
        let Some(current) = self.controller.session.as_mut().filter(is_current) else { return };
        self.deadlines.set(Reason::ControllerSilence, turn.now.instant + self.config.timing.agent_silence);
        match message {
            ToAgent::Execute { number, commands, .. } => {
                if number <= current.executed {
                    return;
                }
                if number != current.executed + 1 {
                    let reason = format!("message {number} follows message {}", current.executed);
                    return self.hang_up_controller(link, &reason, out);
                }
                current.executed = number;
                for command in commands {
                    self.execute(turn, link, session, command);
                }
            }
            ToAgent::Adopted { until, .. } => {
                if until > current.sent {
                    let reason = format!("event {until} was adopted, but events until {} only were sent", current.sent);
                    return self.hang_up_controller(link, &reason, out);
                }
                while current.ahead.front().is_some_and(|last| *last <= until) {
                    current.ahead.pop_front();
                }
                self.controller.adopted = self.controller.adopted.max(until);
            }
            ToAgent::Couple(_) | ToAgent::Beat { .. } => {}
        }
    }

    fn couple(&mut self, turn: Turn<'_>, link: LinkId, coupling: AgentCoupling, out: &mut Outbox<'_, Self>) {
        if self.controller.session.as_ref().is_some_and(|session| session.link == link) {
            return;
        }
        if !self.is_working() {
            // It may ask again over the same link.
            self.deadlines.set(Reason::Uncoupled(link), turn.now.instant + self.config.timing.agent_silence);
            return say_now(link, &FromAgent::Refused { problem: self.office.is_not_active() }, out);
        }
        if let Err(problem) = self.check_coupling(&coupling, out.journal().released()) {
            return say_now(link, &FromAgent::Refused { problem }, out);
        }
        // One that belongs to nobody may have lost its journal; then its subagents belong to its former identity.
        let relations = self.replica.relations();
        let is_as_new = relations.dedication.is_none() && relations.begin > EventId::BEFORE_FIRST;
        if coupling.reset.is_some() && !is_as_new {
            self.reset(turn, out);
        }
        if let Some(old) = self.controller.link() {
            self.hang_up_controller(old, "the controller has coupled anew", out);
        }
        if self.replica.relations().dedication.is_none() {
            let event = NodeEvent::DirectorDedicated {
                agent_path: coupling.agent_path,
                controller_id: coupling.controller_id,
                controller_run_id: coupling.controller_run_id,
                agent_run_id: self.replica.relations().journal_id.clone(),
            };
            self.replica.take(turn, Event::Node(event));
        }
        if coupling.epoch > self.replica.relations().superior_epoch {
            let epoch = i64::try_from(coupling.epoch.0).unwrap_or(i64::MAX);
            self.replica.take(turn, Event::Node(NodeEvent::SuperiorObserved { epoch }));
        }

        self.controller.sessions += 1;
        self.controller.adopted = coupling.adopted;
        let (number, end) = (self.controller.sessions, self.replica.last_event_id());
        self.controller.session = Some(Session {
            link,
            number,
            executed: 0,
            end,
            sent: coupling.adopted.max(self.replica.relations().begin),
            ahead: VecDeque::new(),
            reading: None,
        });
        self.deadlines.cancel(&Reason::Uncoupled(link));
        self.deadlines.set(Reason::ControllerBeat, turn.now.instant + self.config.timing.heartbeat);
        self.deadlines.set(Reason::ControllerSilence, turn.now.instant + self.config.timing.agent_silence);

        let agent_run_id = self.replica.relations().journal_id.clone();
        let items = self.state().items().all().map(|item| (item.key(), item.revision())).collect();
        let begin = self.replica.relations().begin;
        let epoch = turn.epoch;
        self.say(turn, link, &FromAgent::Coupled { session: number, agent_run_id, begin, end, items, epoch });
        let mut orders: Vec<OrderId> = self.state().orders().map(|order| order.id.clone()).collect();
        loop {
            let rest = orders.split_off(orders.len().min(INVENTORY_PART));
            let is_complete = rest.is_empty();
            self.say(turn, link, &FromAgent::Inventory { session: number, orders, is_complete });
            if is_complete {
                break;
            }
            orders = rest;
        }
    }

    fn check_coupling(&self, coupling: &AgentCoupling, released: Offset) -> Checked<()> {
        let relations = self.replica.relations();
        if coupling.reset == Some(true) {
            return Ok(());
        }
        let Some(dedication) = &relations.dedication else {
            return match &coupling.agent_run_id {
                // A reset that was done already, in a session that ended too early to tell.
                _ if coupling.reset.is_some() => Ok(()),
                None => Ok(()),
                Some(_) => {
                    let message = "The agent belongs to no controller: it has lost its journal, or is another one. ResetAgent lets \
                                   it start anew; the orders which were there fail then";
                    Err(Problem::coded("AgentNotDedicated", [], message))
                }
            };
        };
        if dedication.agent_path != coupling.agent_path {
            let message = format!("Here is Agent:{}, not Agent:{}", dedication.agent_path, coupling.agent_path);
            return Err(Problem::coded("AgentPathMismatch", [], message));
        }
        if dedication.controller_run_id != coupling.controller_run_id {
            let message = format!(
                "The agent belongs to Controller:{} with the journal {}",
                dedication.controller_id, dedication.controller_run_id
            );
            return Err(Problem::coded("AgentWrongController", [], message));
        }
        if coupling.agent_run_id.as_ref().is_some_and(|run_id| *run_id != dedication.agent_run_id) {
            let message = format!("The agent has the journal {}", dedication.agent_run_id);
            return Err(Problem::coded("AgentRunIdMismatch", [], message));
        }
        if coupling.epoch < relations.superior_epoch && !self.bugs.has(Bug::ObeyTheOld) {
            let message = format!("A controller of epoch {} has coupled already", relations.superior_epoch);
            return Err(Problem::coded("ControllerSuperseded", [], message));
        }
        // After a restart from a backup there may be later ones than the one that is missing.
        if !self.replica.feed().has(coupling.adopted) {
            let last = self.replica.last_event_id();
            let message = format!(
                "The agent's last event is {last}, and it has no event {}, which its controller has adopted: it comes from a \
                 backup, probably. ResetAgent lets it start anew; its orders fail then",
                coupling.adopted
            );
            return Err(Problem::coded("UnknownEventId", [], message));
        }
        let wanted = coupling.adopted.max(relations.begin);
        if self.replica.feed().is_released(wanted, released) {
            let until = self.replica.feed().released_until(released);
            let message = format!(
                "The agent has released its events until {until}, since a controller had adopted them, but those after {wanted} \
                 are wanted. The controller comes from a backup, probably. ResetAgent lets the agent start anew"
            );
            return Err(Problem::coded("EventsReleased", [], message));
        }
        Ok(())
    }

    /// Forgets everything: the director is as new, with another identity. Its subagents are taken over by force then, which
    /// ends what they run.
    fn reset(&mut self, turn: Turn<'_>, out: &mut Outbox<'_, Self>) {
        for link in self.links.keys() {
            hang_up(*link, "the agent is being reset", out);
        }
        self.forget_work();
        let number = self.replica.last_event_id().0;
        let agent_run_id = format!("{:016x}", self.random.numbered_child("journal id", number).next());
        self.replica.take(turn, Event::Node(NodeEvent::DirectorReset { agent_run_id }));
    }

    fn execute(&mut self, turn: Turn<'_>, link: LinkId, session: u64, command: CausedCommand) {
        let CausedCommand { cause, command } = command;
        let order_id = match &command {
            AgentCommand::AttachOrder(order) => Some(order.id.clone()),
            AgentCommand::DetachOrder(id) | AgentCommand::MarkOrder { order_id: id, .. } => Some(id.clone()),
            AgentCommand::AttachItem(_) | AgentCommand::DetachItem(_) | AgentCommand::ResetSubagent { .. } => None,
        };
        let done = match command {
            AgentCommand::AttachItem(item) => self.attach_item(turn, item),
            AgentCommand::DetachItem(key) => self.detach_item(turn, key),
            AgentCommand::AttachOrder(order) => self.attach_order(turn, &order),
            AgentCommand::DetachOrder(id) => self.detach_order(turn, &id),
            AgentCommand::MarkOrder { order_id, mark } => self.mark_order(turn, &order_id, &mark),
            AgentCommand::ResetSubagent { subagent_id, force } => self.reset_subagent(turn, &subagent_id, force),
        };
        if let Err(problem) = done {
            self.say(turn, link, &FromAgent::Rejected { session, cause, order_id, problem });
        }
    }

    fn attach_item(&mut self, turn: Turn<'_>, item: Item) -> Checked<()> {
        if let Item::FileWatch(watch) = &item {
            return self.attach_file_watch(turn, watch);
        }
        let event = ItemEvent::ItemAttachedToMe { item };
        self.replica.try_take(turn, turn.around.now, Event::Item(event))
    }

    fn detach_item(&mut self, turn: Turn<'_>, key: ItemKey) -> Checked<()> {
        if let ItemKey::Subagent(id) = &key
            && !self.replica.relations().processes_of(id).is_empty()
        {
            // It follows when the last process has ended.
            let event = ItemEvent::ItemDetachingFromMe { key };
            return self.replica.try_take(turn, turn.around.now, Event::Item(event));
        }
        self.item_detached(turn, key)
    }

    pub(super) fn item_detached(&mut self, turn: Turn<'_>, key: ItemKey) -> Checked<()> {
        let Some(agent_path) = self.agent_path().cloned() else { return Ok(()) };
        if let ItemKey::OrderWatch(path) = &key {
            self.detach_file_watch(turn, path);
        }
        let event = ItemEvent::ItemDetached { key, agent_path };
        self.replica.try_take(turn, turn.around.now, Event::Item(event))
    }

    fn attach_order(&mut self, turn: Turn<'_>, order: &Order) -> Checked<()> {
        let Some(agent_path) = self.agent_path().cloned() else { return Ok(()) };
        if self.state().order(&order.id).is_some() {
            return Ok(());
        }
        let workflow_id = &order.workflow_position.workflow_id;
        if self.state().flow(workflow_id).is_none() {
            return Err(Problem::new(format!("Workflow:{workflow_id} is not at Agent:{agent_path}")));
        }
        let event = order.attached_to_agent_event(agent_path);
        self.replica.try_take(turn, turn.around.now, Event::Order(order.id.clone(), event))?;
        self.replica.steps(turn, [order.id.clone()]);
        Ok(())
    }

    fn detach_order(&mut self, turn: Turn<'_>, id: &OrderId) -> Checked<()> {
        if self.state().order(id).is_none() {
            return Ok(());
        }
        self.replica.try_take(turn, turn.around.now, Event::Order(id.clone(), OrderEvent::OrderDetached))
    }

    fn mark_order(&mut self, turn: Turn<'_>, id: &OrderId, mark: &OrderMark) -> Checked<()> {
        let Some(order) = self.state().order(id).filter(|order| order.is_attached()) else { return Ok(()) };
        if order.mark.as_ref() == Some(mark) {
            return Ok(());
        }
        let Some(step) = OrderStep::of(self.replica.state(), turn.around, id) else { return Ok(()) };
        let events = match mark {
            OrderMark::Cancelling { mode } => step.cancel(mode)?,
            OrderMark::Suspending { mode } => step.suspend(mode)?,
            OrderMark::Resuming { position, history_operations, as_succeeded, restart_killed_job } => {
                step.resume(&Resumption {
                    position: position.clone(),
                    history_operations: history_operations.clone(),
                    as_succeeded: *as_succeeded,
                    restart_killed_job: Some(*restart_killed_job),
                })?
            }
            OrderMark::Go { position } => step.go(position)?,
        };
        for event in events {
            self.replica.take(turn, event);
        }
        self.replica.steps(turn, [id.clone()]);
        Ok(())
    }

    /// Sends what follows what was sent, as far as it may be ahead. Less than a part waits while another one is on its way, so
    /// that a controller under load adopts many events with one record instead of each with its own.
    pub(super) fn send_events(&mut self, out: &mut Outbox<'_, Self>) {
        let Some(session) = &mut self.controller.session else { return };
        while session.ahead.len() < PARTS_AHEAD && session.reading.is_none() {
            if !session.ahead.is_empty() && !self.replica.feed().has_more_than_part(session.sent) {
                return;
            }
            let (events, end) = match self.replica.feed().after(session.sent) {
                Following::Nothing => return,
                Following::Events { events, end } => (events, end),
                Following::Stored { from } => {
                    session.reading = Some(StoredReading::new(session.sent, from));
                    return out.hint(Act::ReadRecords { reader: RecordReader::Link(session.link), from });
                }
            };
            let frame = session.part(events);
            let fence = out.committed_before(end);
            let lane = Lane::Link(session.link);
            let is_out = frame.is_some_and(|frame| out.promise(fence, lane, Outgoing::Frame(frame)).is_ok());
            if !is_out {
                let link = session.link;
                return self.hang_up_controller(link, "too much waits for the journal", out);
            }
        }
    }

    pub(super) fn on_records(&mut self, reader: RecordReader, records: &[Record], out: &mut Outbox<'_, Self>) {
        let RecordReader::Link(link) = reader else { return };
        let Some(session) = self.controller.session.as_mut().filter(|session| session.link == link) else { return };
        let Some(mut reading) = session.reading.take() else { return };
        let (events, end) = match reading.add(records) {
            Found::Events { events, end } => (events, end),
            Found::ReadOn { from } => {
                session.reading = Some(reading);
                return out.hint(Act::ReadRecords { reader: RecordReader::Link(link), from });
            }
            Found::Nothing => {
                return self.hang_up_controller(link, "the events which the controller needs cannot be read", out);
            }
        };
        let frame = session.part(events);
        let fence = out.committed_before(end);
        let is_out = frame.is_some_and(|frame| out.promise(fence, Lane::Link(link), Outgoing::Frame(frame)).is_ok());
        if !is_out {
            self.hang_up_controller(link, "too much waits for the journal", out);
        }
    }

    pub(super) fn beat_controller(&mut self, turn: Turn<'_>, out: &mut Outbox<'_, Self>) {
        let Some(session) = &self.controller.session else { return };
        self.deadlines.set(Reason::ControllerBeat, turn.now.instant + self.config.timing.heartbeat);
        say_now(session.link, &FromAgent::Beat { session: session.number }, out);
    }

    pub(super) fn controller_is_silent(&mut self, out: &mut Outbox<'_, Self>) {
        if let Some(link) = self.controller.link() {
            self.hang_up_controller(link, "the controller is silent", out);
        }
    }

    pub(super) fn hang_up_controller(&mut self, link: LinkId, reason: &str, out: &mut Outbox<'_, Self>) {
        self.forget_controller_link(link);
        self.forget_watch_link(link, out);
        hang_up(link, reason, out);
    }

    pub(super) fn forget_controller_link(&mut self, link: LinkId) {
        self.deadlines.cancel(&Reason::Uncoupled(link));
        if self.controller.session.as_ref().is_some_and(|session| session.link == link) {
            self.controller.session = None;
            self.deadlines.cancel(&Reason::ControllerBeat);
            self.deadlines.cancel(&Reason::ControllerSilence);
        }
    }
}

impl Session {
    pub(super) fn link(&self) -> LinkId {
        self.link
    }

    /// The next part: these events, but not beyond where the journal ended when the session began, if they reach across.
    fn part(&mut self, mut events: Vec<codec::Stamped>) -> Option<alloc::sync::Arc<[u8]>> {
        let after = self.sent;
        if after < self.end {
            events.truncate(events.partition_point(|event| event.event_id <= self.end));
        }
        loop {
            let last = events.last()?.event_id;
            let part = FromAgent::Events { session: self.number, after, events };
            if let Ok(frame) = codec::encode_message(&part) {
                self.sent = last;
                self.ahead.push_back(last);
                return Some(frame);
            }
            // Too long for a frame: half of it, and the rest with the next part.
            let FromAgent::Events { events: whole, .. } = part else { return None };
            events = whole;
            events.truncate(events.len() / 2);
        }
    }
}
