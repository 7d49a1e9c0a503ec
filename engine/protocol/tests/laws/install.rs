//! Beginning anew with an image: nothing that is known to be committed is given up, and nothing of the image is sure before
//! storage says so.

use baton_protocol::gate::Promise;
use baton_protocol::journal::{Generation, Journal, Recovered, Stored};
use baton_protocol::limit::Limits;
use baton_protocol::machine::{Input, Machine};
use baton_protocol::node::Node;
use baton_protocol::outbox::{Effect, Outbox};
use baton_protocol::record::{Chain, Epoch, Offset, Position, Record};
use baton_protocol::time::{Instant, Now, Timestamp};
use std::sync::Arc;

const AT: Position = Position { epoch: Epoch(4), offset: Offset(10), chain: Chain(99) };

#[derive(Debug)]
enum Act {
    Adopt(Record),
    Told(u64),
    Install(Position),
    /// Tells somebody that all of the journal is durable here.
    Tell,
}

#[derive(Debug)]
struct Told(Position);

impl Promise for Told {}

#[derive(Debug, Default)]
struct Standby {
    is_refused: bool,
}

impl Machine for Standby {
    type Input = Act;
    type Lane = ();
    type Hint = ();
    type Promise = Told;

    fn step(&mut self, _: Now, input: Input<Act>, out: &mut Outbox<'_, Self>) {
        let Input::Arrived(act) = input else { return };
        self.is_refused = match act {
            Act::Adopt(record) => out.adopt(record).is_err(),
            Act::Told(before) => {
                out.told_committed(Offset(before));
                false
            }
            Act::Install(at) => out.install(at, "epochs", [1]).is_err(),
            Act::Tell => out.promise(out.durable(), (), Told(out.journal().end())).is_err(),
        };
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn check(&self) {}
}

struct Host {
    node: Node<Standby>,
    told: Vec<Position>,
    installs: usize,
}

impl Host {
    /// A node with three durable records, of which so many are committed.
    fn with(committed: u64) -> Self {
        let node = Node::new(Standby::default(), Journal::following(Recovered::default(), Limits::DEFAULT));
        let mut host = Self { node, told: Vec::new(), installs: 0 };
        host.step(Input::Start { seed: 1 });
        for payload in 1..=3 {
            let record = Record::write(host.end(), Epoch(1), Arc::from([payload])).unwrap();
            assert!(host.act(Act::Adopt(record)));
        }
        host.stored(0, 3);
        assert!(host.act(Act::Told(committed)));
        host
    }

    fn step(&mut self, input: Input<Act>) {
        let mut effects = Vec::new();
        self.node.step(Now { instant: Instant::ZERO, timestamp: Timestamp::EPOCH }, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Promise { promise: Told(end), .. } => self.told.push(end),
                Effect::Install { generation, cell, .. } => {
                    self.installs += 1;
                    assert_eq!((generation.0, cell), (self.installs as u64, "epochs"));
                }
                _ => {}
            }
        }
    }

    /// Whether it was not refused.
    fn act(&mut self, act: Act) -> bool {
        self.step(Input::Arrived(act));
        !self.node.machine().is_refused
    }

    fn stored(&mut self, generation: u64, durable: u64) {
        self.step(Input::Stored(Stored { generation: Generation(generation), durable: Offset(durable), puts: 0 }));
    }

    fn end(&self) -> Position {
        self.node.journal().end()
    }
}

#[test]
fn nothing_of_the_image_is_sure_before_storage_has_it() {
    let mut host = Host::with(2);
    assert!(host.act(Act::Install(AT)));
    assert_eq!((host.end(), host.node.journal().installing()), (AT, Some(AT)));
    assert!(host.act(Act::Tell));
    host.stored(0, 3);
    assert!(host.told.is_empty(), "a confirmation from before says nothing of it");
    let marks = host.node.journal().watermarks();
    assert_eq!(
        (marks.durable, marks.committed),
        (Offset(2), Offset(2)),
        "what is known to be committed is not taken back"
    );
    assert_eq!((host.node.journal().image(), host.node.journal().released()), (Position::ORIGIN, Offset::ZERO));

    host.stored(1, 10);
    assert_eq!(host.told, [AT]);
    assert_eq!((host.node.journal().image(), host.node.journal().released()), (AT, AT.offset));
    assert_eq!((host.node.journal().watermarks().committed, host.node.journal().installing()), (AT.offset, None));

    let next = Record::write(AT, Epoch(4), Arc::from([7])).unwrap();
    assert!(host.act(Act::Adopt(next.clone())));
    assert!(!host.act(Act::Adopt(next.clone())), "it follows the image, once");
    assert!(host.act(Act::Tell));
    host.stored(1, 11);
    assert_eq!(host.told, [AT, next.id.after()]);
}

#[test]
fn what_is_promised_about_the_journal_before_is_dropped() {
    let mut host = Host::with(0);
    let record = Record::write(host.end(), Epoch(1), Arc::from([4])).unwrap();
    assert!(host.act(Act::Adopt(record)));
    assert!(host.act(Act::Tell));
    assert!(host.act(Act::Install(AT)));
    host.stored(1, 10);
    assert!(host.told.is_empty());
    assert_eq!(host.node.held(), 0);
}

#[test]
fn committed_records_are_not_given_up() {
    let at = |offset| Position { offset: Offset(offset), ..AT };
    for committed in 0..=3 {
        for offset in 1..=6 {
            let mut host = Host::with(committed);
            let is_possible = host.act(Act::Install(at(offset)));
            // At the end, which is known, it would have to be the same position.
            let is_other = offset == committed && committed == 3;
            assert_eq!(is_possible, offset >= committed && !is_other, "{offset} behind {committed}");
            assert_eq!(host.installs, usize::from(is_possible));
        }
    }
    // Told of more than it has: the end is committed.
    let mut host = Host::with(9);
    assert!(!host.act(Act::Install(at(2))));
    let end = host.end();
    assert!(host.act(Act::Install(end)));
    assert!(!host.act(Act::Install(at(2))), "nor behind an image that is being installed");
}
