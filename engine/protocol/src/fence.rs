//! Fences: the condition under which a promise may leave.
//!
//! A message, a reply or a process launch that asserts something about the journal must not happen before the journal
//! says so on disk. The condition travels with the effect, as a value that only the [`Outbox`](crate::outbox::Outbox) makes:
//! *durable* means this node's storage has the record, *put* that it has the cells, *committed* that no single failure can
//! take the record back, and *confirmed* that besides this node was still the active one after the promise was made.
//!
//! A fence cannot be made elsewhere, and it cannot be kept beyond the step that made it (a record at its offset might be
//! another one by then). This machine compiles:
//!
//! ```
//! # use baton_protocol::{fence::Fence, machine::{Input, Machine}, outbox::Outbox, time::{Instant, Now}};
//! # #[derive(Debug)] struct Said;
//! # impl baton_protocol::gate::Promise for Said {}
//! struct Honest;
//! impl Machine for Honest {
//!     // …
//! #   type Input = ();
//! #   type Lane = ();
//! #   type Hint = ();
//! #   type Promise = Said;
//! #   fn deadline(&self) -> Option<Instant> { None }
//! #   fn check(&self) {}
//!     fn step(&mut self, _: Now, _: Input<()>, out: &mut Outbox<'_, Self>) {
//!         let fence: Fence<'_> = out.committed();
//!         let _ = out.promise(fence, (), Said);
//!     }
//! }
//! ```
//!
//! A forged fence does not compile:
//!
//! ```compile_fail,E0451
//! # use baton_protocol::fence::Fence;
//! # fn forge(real: Fence<'static>) {
//! let forged = Fence { after: unreachable!(), ..real };
//! # }
//! ```
//!
//! nor a promise without a fence:
//!
//! ```compile_fail,E0061
//! # use baton_protocol::{fence::Fence, machine::{Input, Machine}, outbox::Outbox, time::{Instant, Now}};
//! # #[derive(Debug)] struct Said;
//! # impl baton_protocol::gate::Promise for Said {}
//! struct Hasty;
//! impl Machine for Hasty {
//! #   type Input = ();
//! #   type Lane = ();
//! #   type Hint = ();
//! #   type Promise = Said;
//! #   fn deadline(&self) -> Option<Instant> { None }
//! #   fn check(&self) {}
//!     fn step(&mut self, _: Now, _: Input<()>, out: &mut Outbox<'_, Self>) {
//!         let _ = out.promise((), Said);
//!     }
//! }
//! ```
//!
//! nor a fence that is kept for later:
//!
//! ```compile_fail
//! # use baton_protocol::{fence::Fence, machine::{Input, Machine}, outbox::Outbox, time::{Instant, Now}};
//! # #[derive(Debug)] struct Said;
//! # impl baton_protocol::gate::Promise for Said {}
//! struct Hoarder(Option<Fence<'static>>);
//! impl Machine for Hoarder {
//! #   type Input = ();
//! #   type Lane = ();
//! #   type Hint = ();
//! #   type Promise = Said;
//! #   fn deadline(&self) -> Option<Instant> { None }
//! #   fn check(&self) {}
//!     fn step(&mut self, _: Now, _: Input<()>, out: &mut Outbox<'_, Self>) {
//!         self.0 = Some(out.committed());
//!     }
//! }
//! ```
//!
//! nor an outbox of one's own:
//!
//! ```compile_fail,E0624
//! # use baton_protocol::{machine::Machine, outbox::Outbox};
//! # fn steal<M: Machine>() {
//! let make = Outbox::<M>::new;
//! # }
//! ```

use crate::journal::{Generation, Watermarks};
use crate::record::Offset;
use core::marker::PhantomData;

/// What must be sure, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Level {
    /// This node's storage has the records before an offset. For acknowledgements: what this node alone asserts.
    Durable,
    /// No single failure takes the records before an offset back. For everything that the world outside sees.
    Committed,
    /// This node's storage has a number of puts. For votes.
    Put,
    /// A question to the standby is answered, and what was in the journal is committed. For what only shows the state.
    Confirmed,
}

impl Level {
    pub(crate) const ALL: [Self; 4] = [Self::Durable, Self::Committed, Self::Put, Self::Confirmed];
}

/// "After all records before an offset are durable", or committed, or "after this many puts are durable". Valid within the
/// step that made it.
#[derive(Clone, Copy, Debug)]
pub struct Fence<'step> {
    after: Condition,
    generation: Generation,
    step: PhantomData<&'step ()>,
}

impl Fence<'_> {
    pub(crate) fn new(level: Level, mark: u64, generation: Generation) -> Self {
        Self { after: Condition { level, mark }, generation, step: PhantomData }
    }

    /// Of the journal when the fence was made.
    pub(crate) fn generation(self) -> Generation {
        self.generation
    }

    pub(crate) fn condition(self) -> Condition {
        self.after
    }
}

/// The mark of a level has come to this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Condition {
    pub(crate) level: Level,
    /// An offset, or a number of puts or questions.
    pub(crate) mark: u64,
}

impl Condition {
    pub(crate) fn holds(self, marks: &Watermarks) -> bool {
        self.mark <= marks.at(self.level)
    }

    /// Whether this holds at the latest when `other` does: what is committed is durable, and so is what is before.
    pub(crate) fn is_implied_by(self, other: Self) -> bool {
        let weaker = self.level == other.level || (self.level, other.level) == (Level::Durable, Level::Committed);
        weaker && self.mark <= other.mark
    }

    /// Whether a journal that ends at `end` can ever fulfil this.
    pub(crate) fn is_within(self, end: Offset) -> bool {
        match self.level {
            Level::Durable | Level::Committed => self.mark <= end.0,
            Level::Put | Level::Confirmed => true,
        }
    }
}
