//! What is to be seen of the nodes: what they know, what is on their disks, and whether both of a pair know the same.

use super::Name::{C1, C2, D1, D2};
use super::{Name, Running, World};
use crate::disk::events_in;
use crate::setup::controller_config;
use baton_machine::codec::Stamped;
use baton_machine::controller::Controller;
use baton_machine::director::Director;
use baton_machine::replica::Replica;
use baton_protocol::pair::Pair;
use baton_protocol::register::Mode;
use baton_protocol::time::Duration;
use baton_workflow::id::OrderId;
use baton_workflow::model::event::Event;
use baton_workflow::model::order::{Order, OrderState};

impl World {
    pub(crate) fn controller(&self, name: Name) -> &Controller {
        let Some(Running::Controller(node)) = self.nodes.get(&name) else { panic!("{name:?} does not run") };
        node.machine()
    }

    pub(super) fn controllers(&self) -> impl Iterator<Item = &Controller> {
        [C1, C2].into_iter().filter(|name| self.nodes.contains_key(name)).map(|name| self.controller(name))
    }

    pub(crate) fn director(&self, name: Name) -> &Director {
        let Some(Running::Director(node)) = self.nodes.get(&name) else { panic!("{name:?} does not run") };
        node.machine()
    }

    pub(crate) fn is_running(&self, name: Name) -> bool {
        self.nodes.contains_key(&name)
    }

    /// Whether it is the active one of a coupled pair.
    pub(crate) fn is_coupled_pair(&self, name: Name) -> bool {
        let pair = match self.nodes.get(&name) {
            Some(Running::Controller(node)) if node.machine().is_working() => node.machine().pair(),
            Some(Running::Director(node)) if node.machine().is_working() => node.machine().pair(),
            _ => None,
        };
        pair.and_then(Pair::known).is_some_and(|known| known.mode == Mode::Coupled)
    }

    /// Whether a command can be given now: there is one controller that works, and its pair is coupled.
    pub(crate) fn has_controller(&self) -> bool {
        [C1, C2].into_iter().filter(|name| self.is_coupled_pair(*name)).count() == 1
    }

    /// All events on the disk of a node.
    pub(crate) fn events(&self, name: Name) -> Vec<Stamped> {
        events_in(&self.disks[&name].records)
    }

    /// The events of an order on the disk of a node.
    pub(crate) fn events_of(&self, name: Name, id: &str) -> Vec<&'static str> {
        let is_its = |event: &Event| matches!(event, Event::Order(order_id, _) if order_id.as_str() == id);
        self.events(name).iter().filter(|it| is_its(&it.event)).map(|it| it.event.type_name()).collect()
    }

    pub(crate) fn is_finished(&self, id: &str) -> bool {
        let id = OrderId::new(id);
        let is_finished = |order: &Order| matches!(order.state, OrderState::Finished);
        self.controllers().any(|controller| controller.state().order(&id).is_some_and(is_finished))
    }

    /// Where the process of an order runs.
    pub(crate) fn runs(&self, id: &str) -> Option<Name> {
        self.processes.keys().find(|(_, attempt)| attempt.order_id.as_str() == id).map(|(name, _)| *name)
    }

    /// Both nodes of a pair know the same, and what is on their disks says so.
    pub(crate) fn check_equal(&mut self, one: Name, other: Name) {
        self.run_for(Duration::from_millis(100));
        let (ours, theirs) = (&self.disks[&one], &self.disks[&other]);
        assert_eq!(ours.end(), theirs.end());
        // What both have not released.
        let both = ours.recovered().released.max(theirs.recovered().released);
        assert_eq!(ours.records_from(both), theirs.records_from(both));
        let events = self.events(one);
        assert!(events.is_sorted_by(|a, b| a.event_id < b.event_id), "event ids do not increase at {one:?}");
        let live = |name| match name {
            C1 | C2 => self.controller(name).replica(),
            _ => self.director(name).replica(),
        };
        live(one).check_equal(live(other));
        live(one).check_equal(&self.rebuild(other));
    }

    pub(super) fn rebuild(&self, name: Name) -> Replica {
        let (image, records) = self.disks[&name].content();
        match name {
            C1 | C2 => Controller::rebuild(&controller_config(), image, records).expect("recovery"),
            _ => Director::rebuild(image, records).expect("recovery"),
        }
    }

    pub(crate) fn describe(&self) -> String {
        let parts = [C1, C2, D1, D2].into_iter().filter(|name| self.is_running(*name)).map(|name| match name {
            C1 | C2 => format!("{name:?} {:?}", self.controller(name).pair().map(Pair::part)),
            _ => format!("{name:?} {:?}", self.director(name).pair().map(Pair::part)),
        });
        format!(
            "{} {:?}",
            parts.collect::<Vec<_>>().join(", "),
            self.events(C1).iter().rev().take(5).collect::<Vec<_>>()
        )
    }
}
