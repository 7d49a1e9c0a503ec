//! Clients of the world, which add orders, and a reader who follows the events. Who is refused or not answered asks the other node.

use super::host;
use super::{Event, PATIENCE, Reader, Sometimes, World};
use baton_machine::codec::Stamped;
use baton_machine::controller::{Controller, ControllerInput};
use baton_machine::host::{CallerId, ReaderId, Reply};
use baton_protocol::event_id::EventId;
use baton_protocol::pair::Order;
use baton_protocol::register::Seat;
use baton_protocol::time::{Duration, Instant};
use baton_workflow::id::{CommandId, OrderId};
use baton_workflow::json::from_text;
use baton_workflow::model::command::{Command, Response};

impl World {
    pub(super) fn ask(&mut self, client: usize, attempt: u64) -> Result<(), String> {
        let state = &mut self.clients[client];
        if attempt <= state.attempt {
            return Ok(());
        }
        if state.is_busy {
            state.at = state.at.peer();
        }
        state.is_busy = true;
        state.attempt = attempt;
        let (seat, number) = (state.at, state.number);
        self.at(PATIENCE, Event::Ask { client, attempt: attempt + 1 });
        if !self.is_running(seat) {
            self.at(Duration::from_millis(50), Event::Ask { client, attempt: attempt + 1 });
            return Ok(());
        }
        self.callers += 1;
        let caller = CallerId(self.callers);
        self.waiting.insert(caller, (client, seat, attempt));
        // The same as before when it is asked for again: the answer of another attempt counts too.
        let at = *self.clients[client].since.get_or_insert(self.now);
        let command = if number == 0 { deployment() } else { addition(number, at) };
        let command: Command = from_text(&command).map_err(|problem| format!("{problem:?}"))?;
        let id = Some(CommandId::new(&format!("{client}-{number}")));
        let is_done =
            |controller: &Controller| controller.is_active() && controller.state().order(&order_id(number)).is_some();
        if self.hosts[seat as usize].controller().is_some_and(is_done) {
            self.see(Sometimes::DoneBefore);
        }
        self.input(seat, ControllerInput::Command { caller, id, command })
    }

    pub(super) fn replied(&mut self, seat: Seat, caller: CallerId, reply: &Reply) -> Result<(), String> {
        if let Some(order) = self.orders.remove(&caller) {
            if order == Order::Appoint && reply.answer.is_ok() {
                self.see(Sometimes::Appointed);
            }
            return Ok(());
        }
        let Some((client, _, attempt)) = self.waiting.remove(&caller) else { return Ok(()) };
        if self.clients[client].attempt != attempt {
            return Ok(());
        }
        let after = match &reply.answer {
            Ok(response) => {
                if matches!(response, Response::AddOrder { ignored_because_duplicate: true }) {
                    let number = self.clients[client].number;
                    return Err(format!("{} was added twice, although its command has an id", order_id(number)));
                }
                if self.healed {
                    self.answers_since_heal.insert(client);
                }
                let number = self.clients[client].number;
                if number == 0 {
                    self.deployed = self.history.len();
                    for other in 1..self.clients.len() {
                        self.at(Duration::ZERO, Event::Ask { client: other, attempt: 1 });
                    }
                } else {
                    let id = order_id(number);
                    let is_there =
                        self.hosts[seat as usize].controller().is_some_and(|it| it.state().order(&id).is_some());
                    if !is_there {
                        return Err(format!("S2: {id} was answered, but is not there"));
                    }
                    self.answered.insert(id);
                }
                self.next_number += 1;
                self.clients[client].number = self.next_number;
                self.clients[client].since = None;
                self.clients[client].is_busy = false;
                self.micros(10_000, self.pause)
            }
            Err(problem) => match &*problem.code {
                "ClusterNodeIsNotActive" => {
                    self.see(Sometimes::NotActive);
                    self.micros(20_000, 200_000)
                }
                "Busy" | "OutcomeUnknown" => self.micros(20_000, 200_000),
                _ => return Err(format!("a command is refused: {problem:?}")),
            },
        };
        self.at(after, Event::Ask { client, attempt: attempt + 1 });
        Ok(())
    }

    pub(super) fn read(&mut self, attempt: u64) -> Result<(), String> {
        if attempt <= self.reader.attempt {
            return Ok(());
        }
        if !self.hosts[self.reader.at as usize].is_active() {
            self.reader.at = self.reader.at.peer();
        }
        self.reader.attempt = attempt;
        let (seat, after) = (self.reader.at, self.reader.after());
        self.at(PATIENCE, Event::Read { attempt: attempt + 1 });
        self.input(seat, ControllerInput::Read { reader: ReaderId(attempt), after })
    }

    /// What it wants is released. In production it would begin with an image of the state.
    pub(super) fn has_missed(&mut self, until: EventId) {
        let after = self.reader.after();
        if until > after {
            self.reader.missed.push((after, until));
        }
        let attempt = self.reader.attempt + 1;
        self.at(Duration::from_millis(50), Event::Read { attempt });
    }

    pub(super) fn was_given(&mut self, events: &[Stamped]) -> Result<(), String> {
        // Who asks again may be answered twice.
        let is_old = events.first().is_some_and(|first| self.reader.after() >= first.event_id);
        if is_old {
            return Ok(());
        }
        let ids: Vec<EventId> = events.iter().map(|event| event.event_id).collect();
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err(format!("S7: the reader gets {ids:?}"));
        }
        self.reader.events.extend(ids);
        for host in &mut self.hosts {
            host.released = self.reader.after();
        }
        let attempt = self.reader.attempt + 1;
        self.at(Duration::from_millis(if events.is_empty() { 300 } else { 50 }), Event::Read { attempt });
        Ok(())
    }
}

impl Reader {
    /// What came after this event was never there.
    pub(super) fn forget_after(&mut self, last: EventId) {
        self.events.retain(|event| *event <= last);
        self.missed.retain(|(after, _)| *after < last);
        for (_, until) in &mut self.missed {
            *until = last.min(*until);
        }
    }

    /// Everything until this event it has, or cannot have.
    pub(super) fn after(&self) -> EventId {
        let last = self.events.last().copied().unwrap_or(EventId::BEFORE_FIRST);
        self.missed.last().map_or(last, |(_, until)| last.max(*until))
    }
}

fn order_id(number: u64) -> OrderId {
    OrderId::new(&format!("O-{number}"))
}

/// A workflow. Its version cannot be added twice, so that it is seen whether the command is carried out once.
fn deployment() -> String {
    r#"{"TYPE": "UpdateItems", "operations": [
        {"TYPE": "AddVersion", "versionId": "1"},
        {"TYPE": "AddOrChangeVersioned", "item": {"TYPE": "Workflow", "path": "W", "instructions": []}}
    ]}"#
    .to_owned()
}

/// An order that starts at once, or in a while.
fn addition(number: u64, now: Instant) -> String {
    let id = order_id(number);
    let at = i64::try_from(now.since(Instant::ZERO).as_millis()).unwrap_or(0) + host::START + 3_000;
    let scheduled = if number.is_multiple_of(2) { String::new() } else { format!(r#""scheduledFor": {at},"#) };
    format!(r#"{{"TYPE": "AddOrder", "order": {{"id": "{id}", {scheduled} "workflowPath": "W", "planId": []}}}}"#)
}
