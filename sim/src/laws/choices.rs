//! Choices made of bytes: one byte per choice. When they are used up, every choice is the first.

/// What is left of the bytes.
pub(super) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn are_used_up(&self) -> bool {
        self.rest.is_empty()
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        match self.rest.split_first() {
            Some((first, rest)) if bound > 0 => {
                self.rest = rest;
                usize::from(*first) % bound
            }
            _ => 0,
        }
    }

    /// True once in `times`; false when the bytes are used up.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) + 1 == times
    }

    /// One of these.
    pub(super) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// One of these, if there are any.
    pub(super) fn of_any<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| self.of(all))
    }
}
