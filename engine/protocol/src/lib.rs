//! The replicating half of the engine: journal, fences, gate, deadlines, randomness and framing, as deterministic state
//! machines that know nothing of the application they replicate.
//!
//! # The contract
//!
//! **Step.** Everything is a [`machine::Machine`]: one input, run to completion, carry out all effects in order, then the next
//! input. The host (the driver in production, the simulator, the explorer, a fuzzer) hosts it as [`node::Node`]. Since a
//! step depends on nothing but its arguments, a run can be repeated, searched and shrunk, and what is tested is what runs.
//!
//! **Persist before send.** The worst mistake of such a system is to tell what a crash then takes back. It cannot be
//! written here: what asserts something about the journal is a *promise* and needs a [`fence::Fence`], which only the
//! [`outbox::Outbox`] makes; the [`gate`] inside the node holds the promise until storage, and the standby when there is one,
//! have confirmed. A host sees only what may happen now. What asserts nothing is a *hint* and leaves at once, so the standby
//! can write while the active's disk does.
//!
//! **Identity.** A record is named by epoch, offset and running checksum ([`record::RecordId`]), so that an acknowledgement
//! of a record that was lost never counts for another one that came to stand at its offset.
//!
//! **Time and randomness** are values: [`time::Now`] with each input, one seed at the start. The crate is `no_std` and has
//! no dependencies, so clocks, threads, files and hash-order cannot even be named. Floats are not used.
//!
//! **Bounds.** Everything that grows has a bound in [`limit`].
//!
//! **Invariants.** [`node::Node::step`] checks them after every step, in every build; they cost a few comparisons.
//!
//! # Example
//!
//! A counter that journals each increment and answers when it is committed:
//!
//! ```
//! use baton_protocol::journal::{Generation, Journal, Recovered, Stored};
//! use baton_protocol::machine::{Input, Machine};
//! use baton_protocol::outbox::{Effect, Outbox};
//! use baton_protocol::record::Offset;
//! use baton_protocol::time::{Instant, Now, Timestamp};
//! use baton_protocol::{gate::Promise, limit::Limits, node::Node};
//!
//! #[derive(Default)]
//! struct Counter {
//!     total: u64,
//! }
//!
//! /// Somebody wants to add.
//! struct Add {
//!     caller: u32,
//!     amount: u8,
//! }
//!
//! #[derive(Debug, PartialEq)]
//! enum Reply {
//!     Total(u64),
//!     /// Nothing was added.
//!     Busy,
//!     /// Added, but there is no room to wait for the disk.
//!     Unknown,
//! }
//!
//! impl Promise for Reply {}
//!
//! impl Counter {
//!     /// Folds a record into the state. Replay and a standby use this alone.
//!     fn apply(&mut self, payload: &[u8]) {
//!         self.total += payload.iter().map(|&amount| u64::from(amount)).sum::<u64>();
//!     }
//! }
//!
//! impl Machine for Counter {
//!     type Input = Add;
//!     type Lane = u32;
//!     type Hint = (u32, Reply);
//!     type Promise = Reply;
//!
//!     fn step(&mut self, _now: Now, input: Input<Add>, out: &mut Outbox<'_, Self>) {
//!         let Input::Arrived(Add { caller, amount }) = input else { return };
//!         if out.is_congested() || out.append([amount]).is_err() {
//!             return out.hint((caller, Reply::Busy));
//!         }
//!         self.apply(&[amount]);
//!         if out.promise(out.committed(), caller, Reply::Total(self.total)).is_err() {
//!             out.hint((caller, Reply::Unknown));
//!         }
//!     }
//!
//!     fn deadline(&self) -> Option<Instant> {
//!         None
//!     }
//!
//!     fn check(&self) {}
//! }
//!
//! let mut node = Node::new(Counter::default(), Journal::alone(Recovered::default(), Limits::DEFAULT));
//! let now = Now { instant: Instant::ZERO, timestamp: Timestamp::EPOCH };
//! let mut effects = Vec::new();
//! node.step(now, Input::Start { seed: 1 }, &mut effects);
//!
//! // The record goes to storage; the answer is held.
//! node.step(now, Input::Arrived(Add { caller: 7, amount: 3 }), &mut effects);
//! assert!(matches!(effects[..], [Effect::Append { .. }]));
//! effects.clear();
//!
//! // Storage confirms; the answer leaves.
//! let stored = Stored { generation: Generation(0), durable: Offset(1), puts: 0 };
//! node.step(now, Input::Stored(stored), &mut effects);
//! assert_eq!(effects, [Effect::Promise { lane: 7, promise: Reply::Total(3) }]);
//! ```
#![no_std]
#![deny(clippy::float_arithmetic)]

extern crate alloc;

mod bytes;
pub mod checksum;
mod confirmation;
pub mod deadline;
pub mod event_id;
pub mod fence;
pub mod frame;
pub mod gate;
pub mod journal;
pub mod limit;
pub mod machine;
pub mod node;
pub mod outbox;
pub mod pair;
pub mod random;
pub mod record;
pub mod register;
mod tail;
pub mod time;
pub mod watch;
