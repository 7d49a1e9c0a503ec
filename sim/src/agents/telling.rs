//! What happens in a world, as a number that proves that two runs are the same, and in words.

use super::network::{Item, Use};
use super::{Event, World};
use crate::cluster::digest::hash_of;
use baton_machine::codec::{Assembly, MESSAGE_VERSIONS, decode_message};
use baton_machine::message::{FromAgent, FromSubagent, Message, ToAgent, ToSubagent};
use baton_protocol::frame;
use baton_protocol::pair::message::Envelope;
use baton_protocol::record::Record;
use baton_protocol::time::Instant;

/// Two runs in which the same marks come at the same times, are the same.
pub(super) fn mark_of(event: &Event) -> u64 {
    match event {
        Event::Arrive { end, item } => match item {
            Item::Up(_) => hash_of(&(0, end.0)),
            Item::Bytes(bytes) => hash_of(&(1, end.0, &bytes[..])),
            Item::Down => hash_of(&(2, end.0)),
        },
        Event::Dial { place, life, target, .. } => hash_of(&(3, place, life, target)),
        Event::Failed { place, life, refused, .. } => hash_of(&(4, place, life, refused)),
        Event::Synced { place, life } => hash_of(&(5, place, life)),
        Event::Wake { place, life } => hash_of(&(6, place, life)),
        Event::RollBack { place, life, to } => hash_of(&(7, place, life, to)),
        Event::Process { attempt, .. } => hash_of(&(8, attempt.number.0, attempt.order_id.as_str())),
        Event::Start(place) => hash_of(&(9, place)),
        Event::PowerOn(computer) => hash_of(&(10, computer)),
        Event::Resume(computer) => hash_of(&(11, computer)),
        Event::Unstall(place) => hash_of(&(12, place)),
        Event::Mend(from, to) => hash_of(&(13, from, to)),
        Event::Happen(kind) => hash_of(&(14, kind)),
        Event::Do(_) => 15,
        Event::Ask { number, attempt } => hash_of(&(16, number, attempt)),
        Event::Compare => 17,
        Event::Tell { place, life, .. } => hash_of(&(19, place, life)),
        Event::LeaseEnds(place) => hash_of(&(20, place)),
        Event::Hasten(from, to) => hash_of(&(18, from, to)),
    }
}

impl World {
    pub(super) fn words_of(&self, event: &Event) -> String {
        let seconds = self.now.since(Instant::ZERO).as_secs_f64();
        let words = match event {
            Event::Arrive { end, item } => match self.network.ends.get(end) {
                Some(found) => {
                    let what = match item {
                        Item::Bytes(bytes) if found.purpose == Use::Link => message(bytes),
                        Item::Bytes(bytes) => format!("{:?}", Envelope::decode(bytes)),
                        other => format!("{other:?}"),
                    };
                    let is_held = !found.held.is_empty() || self.network.is_cut(found.other, found.place);
                    let held = if is_held { "(held) " } else { "" };
                    format!("{} -> {} {held}over {}: {what}", found.other, found.place, end.0)
                }
                None => format!("over {}, which is gone: {}", end.0, matches!(item, Item::Down)),
            },
            other => format!("{other:?}"),
        };
        let standing = match self.computer_of(event).filter(|computer| self.paused.contains_key(computer)) {
            Some(_) => " (it stands still)",
            None => "",
        };
        format!("{seconds:.6} {words}{standing}")
    }
}

/// The events of records, in words.
pub(super) fn events_of(records: &[Record]) -> Vec<String> {
    let mut assembly = Assembly::default();
    let assembled = records.iter().filter_map(|record| assembly.add(record).ok().flatten());
    assembled
        .flat_map(|assembled| assembled.transaction.events)
        .map(|stamped| format!("{} {:?}", stamped.event_id, stamped.event))
        .collect()
}

fn message(bytes: &[u8]) -> String {
    let Ok(frame) = frame::decode(bytes, MESSAGE_VERSIONS) else { return "?".to_owned() };
    fn shown<M: Message + core::fmt::Debug>(frame: &frame::Frame) -> String {
        decode_message::<M>(frame).map_or_else(|error| error.to_string(), |message| format!("{message:?}"))
    }
    match frame.kind {
        ToAgent::KIND => shown::<ToAgent>(&frame),
        FromAgent::KIND => shown::<FromAgent>(&frame),
        ToSubagent::KIND => shown::<ToSubagent>(&frame),
        FromSubagent::KIND => shown::<FromSubagent>(&frame),
        kind => format!("kind {kind}"),
    }
}
