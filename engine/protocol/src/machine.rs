//! What a machine is: the one shape of everything in the engine.
//!
//! # The contract
//!
//! - A host delivers one input, the machine runs it to completion, the host carries out all effects in order; then comes
//!   the next input. No `await`, no callbacks, nothing is left half done.
//! - A step depends on nothing but the machine, `now` and the input. The same steps give the same effects, everywhere.
//! - `now.instant` never goes back; `now.timestamp` may jump.
//! - There is no result. A peer's nonsense ends its link with a reason, an operator's mistake is a refused reply, a broken
//!   invariant panics, and an error of storage halts the node before it comes here.
//! - *Decide and apply*: a machine looks at its state and at `now`, decides on events, appends them as one record, and
//!   folds them into its state by a function that is total and sees no clock. Replay and the standby use that function
//!   only.
//! - What leaves follows from the record: a [`Machine::Promise`] names by its fence what must be sure first; a
//!   [`Machine::Hint`] asserts nothing about the journal. What was promised in memory is lost in a crash, so whoever
//!   starts or takes over derives what is still to be done from the state.

use crate::gate::Promise;
use crate::journal::Stored;
use crate::outbox::Outbox;
use crate::time::{Instant, Now};
use core::fmt::Debug;

/// A deterministic state machine. Hosted as [`crate::node::Node`].
pub trait Machine: Sized {
    /// What comes from outside, in the application's words: messages, commands, ends of processes, links up and down.
    type Input;
    /// To whom a promise goes. Promises of one lane leave in order. A lane belongs to a session rather than to a peer, so
    /// that what was promised to a lost session does not appear in the next one.
    type Lane: Clone + Ord + Debug;
    /// What may leave at once, since it asserts nothing about the journal: heartbeats, questions, records offered for
    /// copying, orders to the host (dial, hang up, kill a process).
    type Hint: Debug;
    /// What must not leave before the journal says so: acknowledgements, replies to callers, process launches.
    type Promise: Promise;

    /// Takes one input and says what follows from it.
    fn step(&mut self, now: Now, input: Input<Self::Input>, out: &mut Outbox<'_, Self>);

    /// When [`Input::Due`] wants to be delivered. Asked after every step; costs little.
    fn deadline(&self) -> Option<Instant>;

    /// Panics if an invariant is broken. Called after every step, so it looks only at what is cheap.
    fn check(&self);
}

/// What a machine reacts to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<I> {
    /// The first input, once. The machine has been built from what storage recovered.
    Start {
        /// The only randomness there is.
        seed: u64,
    },
    /// The deadline is reached. May come late, and for a deadline that has been moved meanwhile.
    Due,
    /// Storage has confirmed; the marks of the journal have been moved already.
    Stored(Stored),
    /// Whatever else arrives.
    Arrived(I),
}
