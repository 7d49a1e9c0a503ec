//! What the tests look at: orders, events, processes, and whether replay leads to the same.

use crate::disk::events_in;
use crate::setup::{controller_config, director_config};
use crate::world::{Name, World};
use baton_machine::codec::Stamped;
use baton_machine::controller::Controller;
use baton_machine::director::Director;
use baton_workflow::id::OrderId;
use baton_workflow::model::event::Event;
use baton_workflow::model::order::Order;

impl World {
    pub(crate) fn order(&self, id: &str) -> Option<&Order> {
        self.controller().state().order(&OrderId::new(id))
    }

    /// The names of the controller's events of an order, without those of output.
    pub(crate) fn events_of(&self, id: &str) -> Vec<&'static str> {
        self.events(Name::Controller)
            .iter()
            .filter(|stamped| matches!(&stamped.event, Event::Order(order_id, _) if order_id.as_str() == id))
            .map(|stamped| stamped.event.type_name())
            .collect()
    }

    /// All events on the disk of a node.
    pub(crate) fn events(&self, name: Name) -> Vec<Stamped> {
        let records = match name {
            Name::Controller => &self.controller.records,
            Name::Director => &self.director.records,
            Name::First | Name::Second => panic!("no journal"),
        };
        events_in(records)
    }

    /// Whether the process of an order runs somewhere.
    pub(crate) fn runs(&self, id: &str) -> Option<Name> {
        self.processes.keys().find(|(_, attempt)| attempt.order_id.as_str() == id).map(|(name, _)| *name)
    }

    /// Whether nothing would be lost in a crash.
    pub(crate) fn is_synced(&self) -> bool {
        self.controller.unsynced.is_empty() && self.director.unsynced.is_empty()
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// Replays both journals and compares what comes out with the live state; and images.
    pub(crate) fn check_replay(&self) {
        let replayed = Controller::recover(controller_config(), None, &self.controller.records).expect("recovery");
        replayed.replica().check_equal(self.controller().replica());
        let image = self.controller().replica().image();
        let imaged = Controller::recover(controller_config(), Some(&image), []).expect("recovery");
        imaged.replica().check_equal(self.controller().replica());

        let replayed = Director::recover(director_config(), None, &self.director.records).expect("recovery");
        replayed.replica().check_equal(self.director().replica());
        let half = self.director.records.len() / 2;
        let early = Director::recover(director_config(), None, &self.director.records[..half]).expect("recovery");
        let image = early.replica().image();
        let later =
            Director::recover(director_config(), Some(&image), &self.director.records[half..]).expect("recovery");
        later.replica().check_equal(self.director().replica());
    }

    pub(crate) fn describe(&self) -> String {
        let orders: Vec<String> = self
            .controller
            .node
            .iter()
            .flat_map(|node| node.machine().state().orders())
            .map(|order| format!("{} {:?} {:?}", order.id, order.state, order.attached_state))
            .collect();
        let tail: Vec<String> =
            self.events(Name::Controller).iter().rev().take(12).map(|e| format!("\n  C {:?}", e.event)).collect();
        let agent: Vec<String> =
            self.events(Name::Director).iter().rev().take(12).map(|e| format!("\n  A {:?}", e.event)).collect();
        format!("{orders:?}{}{}", tail.concat(), agent.concat())
    }
}
