//! What must hold in the world.

use super::host::{Host, arrived};
use super::{COMPARE, Event, Sometimes, World};
use baton_machine::codec::Assembly;
use baton_machine::controller::Controller;
use baton_protocol::event_id::EventId;
use baton_protocol::pair::Pair;
use baton_protocol::pair::message::Message;
use baton_protocol::record::{Offset, Position};
use baton_protocol::register::{Incarnation, Mode, Seat};
use baton_workflow::id::OrderId;
use baton_workflow::model::event::{Event as WorkflowEvent, NodeEvent};
use baton_workflow::model::order::OrderState;
use baton_workflow::model::order_event::OrderEvent;
use std::collections::BTreeSet;

/// What the journal has told readers about the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// The active works alone: appointed, after the loss of the standby, handed over to.
    Alone,
    Coupled,
    ShutDown,
}

impl Told {
    /// The events that may follow each other, as the reference has them; coupling is not prepared, and who was appointed after a
    /// stop has failed over.
    fn follow(&mut self, event: &NodeEvent) -> Result<(), String> {
        let next = match (*self, event.type_name()) {
            (Self::Nothing, "ClusterNodesAppointed") => Self::Alone,
            (Self::Alone, "ClusterCoupled") => Self::Coupled,
            (Self::Coupled, "ClusterPassiveLost" | "ClusterSwitchedOver") => Self::Alone,
            (Self::Coupled | Self::ShutDown | Self::Alone, "ClusterFailedOver") => Self::Alone,
            (Self::Coupled, "ClusterActiveNodeShutDown") => Self::ShutDown,
            (Self::ShutDown, "ClusterActiveNodeRestarted") => Self::Alone,
            (told, "ClusterWatchRegistered") if told != Self::Nothing => told,
            (told, name) if !name.starts_with("Cluster") => told,
            (told, name) => return Err(format!("readers were told {told:?}, and then {name}")),
        };
        *self = next;
        Ok(())
    }
}

impl World {
    pub(super) fn is_well(&self) -> bool {
        let known: Vec<_> = self.hosts.iter().filter_map(|host| host.controller()?.pair()?.known()).collect();
        let is_coupled = known.len() == 2 && known[0] == known[1] && known[0].mode == Mode::Coupled;
        let Some(active) = self.active() else { return false };
        let Some(controller) = self.hosts[active as usize].controller() else { return false };
        let is_finished =
            |id: &OrderId| controller.state().order(id).is_some_and(|order| order.state == OrderState::Finished);
        let all_are_answered = self.answers_since_heal.len() == self.clients.len();
        let is_reader_served = self.reader.after() > EventId::BEFORE_FIRST;
        is_coupled
            && all_are_answered
            && !self.reader.events.is_empty()
            && is_reader_served
            && self.answered_before_heal.iter().all(is_finished)
    }

    pub(super) fn state(&self) -> String {
        let node = |host: &Host| match (host.node(), host.controller()) {
            (Some(node), Some(controller)) => format!(
                "active: {}, {}, {:?}, {} orders of which {} are finished",
                controller.is_active(),
                controller.pair().and_then(Pair::known).map_or_else(|| "knows nothing".to_owned(), |it| it.to_string()),
                node.journal().watermarks(),
                controller.state().orders().count(),
                controller.state().orders().filter(|order| order.state == OrderState::Finished).count(),
            ),
            _ => "does not run".to_owned(),
        };
        let [first, second] = &self.hosts;
        format!("first {}; second {}; answered {}", node(first), node(second), self.answered.len())
    }

    /// The states that are to be equal.
    pub(super) fn compare(&mut self) -> Result<(), String> {
        self.at(COMPARE, Event::Compare);
        let mut whole: Vec<(&Controller, Position)> = Vec::new();
        for host in &self.hosts {
            let (Some(controller), Some(node)) = (host.controller(), host.node()) else { continue };
            if !controller.may_be_imaged() {
                continue;
            }
            let end = node.journal().end();
            if !host.disk.is_busy() && host.disk.end() == end {
                controller.replica().check_equal(&host.recover()?);
            }
            whole.push((controller, end));
        }
        if let [(first, end), (second, other)] = whole[..]
            && end == other
            && end != Position::ORIGIN
        {
            first.replica().check_equal(second.replica());
            self.see(Sometimes::Compared);
        }
        Ok(())
    }

    /// Keeps what is committed: nodes release it.
    pub(super) fn remember_committed(&mut self, seat: Seat) {
        let host = &self.hosts[seat as usize];
        let committed = host.node().map_or(0, |node| node.journal().watermarks().committed.0);
        while (self.history.len() as u64) < committed
            && let Some(record) = host.disk.record(Offset(self.history.len() as u64))
        {
            self.history.push(record.clone());
        }
    }

    /// At the end: no order was added twice, and the reader has seen everything.
    pub(super) fn look_back(&mut self) -> Result<(), String> {
        let (mut assembly, mut events) = (Assembly::default(), Vec::new());
        for record in &self.history {
            let assembled = assembly.add(record).map_err(|error| error.to_string())?;
            events.extend(assembled.into_iter().flat_map(|assembled| assembled.transaction.events));
        }
        let (mut added, mut told) = (BTreeSet::new(), Told::Nothing);
        for stamped in &events {
            match &stamped.event {
                WorkflowEvent::Order(id, OrderEvent::OrderAdded { .. }) if !added.insert(id.clone()) => {
                    return Err(format!("S10: {id} was added twice"));
                }
                WorkflowEvent::Node(event) => {
                    told.follow(event)?;
                    match event.type_name() {
                        "ClusterFailedOver" => self.see(Sometimes::FailedOver),
                        "ClusterSwitchedOver" => self.see(Sometimes::SwitchedOver),
                        "ClusterPassiveLost" => self.see(Sometimes::PassiveLost),
                        "ClusterActiveNodeRestarted" => self.see(Sometimes::RestartedAfterStop),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        let is_missed = |id: &EventId| self.reader.missed.iter().any(|(after, until)| after < id && id <= until);
        let ids = events.iter().map(|event| event.event_id).filter(|id| !is_missed(id));
        if !ids.take(self.reader.events.len()).eq(self.reader.events.iter().copied()) {
            return Err("S7: the reader has seen other events than those of the journal".to_owned());
        }
        Ok(())
    }

    /// S3: an acknowledgement covers only what is durable at its sender.
    pub(super) fn acknowledges_what_is_durable(&self, seat: Seat, bytes: &[u8]) -> Result<(), String> {
        let Message::Acknowledged { position, .. } = arrived(bytes)?.message else { return Ok(()) };
        let disk = &self.hosts[seat as usize].disk;
        if disk.end() == position || disk.position(position.offset) == Some(position) {
            return Ok(());
        }
        Err(format!("S3: {seat} acknowledges {}, which it has not", position.offset))
    }

    pub(super) fn see_founding(&mut self, seat: Seat) {
        let known = self.hosts[seat as usize].controller().and_then(|controller| controller.pair()?.known());
        if known.is_some_and(|known| known.members.at(Seat::Second) == Incarnation::default()) {
            self.see(Sometimes::FoundedByTwo);
        }
    }

    /// What was answered is there.
    pub(super) fn activated(&mut self, seat: Seat) -> Result<(), String> {
        let Some(controller) = self.hosts[seat as usize].controller() else { return Ok(()) };
        match self.answered.iter().find(|id| controller.state().order(id).is_none()) {
            None => Ok(()),
            Some(id) => Err(format!("S2: {id} was answered, but {seat}, which is active now, does not have it")),
        }
    }
}
