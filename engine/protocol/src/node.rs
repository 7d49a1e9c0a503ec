//! A machine with its journal and its gate: what a host hosts.
//!
//! The host (the driver in production, the simulator, the explorer) builds a node from what storage recovered, delivers
//! inputs, and carries out effects. It cannot tell what is held back, and so it cannot let it out too early.

use crate::gate::Gate;
use crate::journal::{Generation, Journal, Watermarks};
use crate::machine::{Input, Machine};
use crate::outbox::{EffectOf, Outbox};
use crate::time::{Instant, Now};
use alloc::vec::Vec;

/// A hosted machine. Dropping it is a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node<M: Machine> {
    machine: M,
    journal: Journal,
    gate: Gate<M::Lane, M::Promise>,
    /// When the last step was; none before the start.
    last_step: Option<Instant>,
}

impl<M: Machine> Node<M> {
    /// A node that has not been started: a machine in the state of the end of its journal. The limits of the journal are
    /// those of the gate too.
    #[must_use]
    pub fn new(machine: M, journal: Journal) -> Self {
        let gate = Gate::new(journal.limits());
        Self { machine, journal, gate, last_step: None }
    }

    /// Delivers an input, and adds to `effects` what is to be done now.
    ///
    /// # Panics
    /// When the host breaks the contract: effects of the step before are left, the monotonic clock went back, the start is
    /// missing or repeated, storage confirms what it was not told. And when an invariant is broken.
    pub fn step(&mut self, now: Now, input: Input<M::Input>, effects: &mut Vec<EffectOf<M>>) {
        assert!(effects.is_empty(), "the effects of a step are to be carried out before the next one");
        let starts = matches!(input, Input::Start { .. });
        assert_eq!(starts, self.last_step.is_none(), "a node is started once, before everything else");
        assert!(self.last_step.is_none_or(|last| last <= now.instant), "the monotonic clock went back");
        self.last_step = Some(now.instant);

        let before = self.marks();
        let mut outbox = Outbox::new(&mut self.journal, &mut self.gate, effects);
        if let Input::Stored(stored) = input {
            outbox.stored(stored);
        }
        self.machine.step(now, input, &mut outbox);

        let after = self.marks();
        after.1.check_after(&before.1, before.0 != after.0);
        self.check();
    }

    /// For searches that compare states: brings what differs but never makes a difference into one form. `machine` does that
    /// with the machine. When storage `is_idle`, it begins to count anew, with what [`Self::journal`] says.
    #[cfg(feature = "planted")]
    pub fn canonize(&mut self, is_idle: bool, machine: impl FnOnce(&mut M)) {
        machine(&mut self.machine);
        if is_idle {
            self.journal.canonize();
        }
    }

    /// When [`Input::Due`] is to be delivered.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    /// The machine, to look at.
    #[must_use]
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The journal, to look at.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Number of promises held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.gate.len()
    }

    /// The invariants of the journal, the gate and the machine. Cheap; [`Self::step`] calls it.
    ///
    /// # Panics
    /// When one is broken.
    pub fn check(&self) {
        self.journal.check();
        self.gate.check(&self.journal.watermarks());
        self.machine.check();
    }

    fn marks(&self) -> (Generation, Watermarks) {
        (self.journal.generation(), self.journal.watermarks())
    }
}
