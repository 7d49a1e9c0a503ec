//! What became of a case: it holds, or what is wrong with it.
//!
//! A case never ends the run: a difference, a vector that cannot be understood and a panic are all just the end of that case.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whether a case holds.
pub type Verdict = Result<(), Fault>;

/// Why a case does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Something else was expected.
    Differs(Difference),
    /// The vector is not understood: its form is wrong, or the engine does not read what it contains.
    Malformed(String),
    /// The engine panicked, with this message.
    Panicked(String),
}

/// The first difference between what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where in what was compared, like `events[2].outcome.message`. Empty: all of it.
    pub path: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Whether only the wording of a message differs.
    pub is_wording: bool,
}

impl Difference {
    /// A difference of what is compared as a whole.
    pub fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { path: String::new(), expected: expected.into(), found: found.into(), is_wording: false }
    }

    /// This difference, seen from the object or list which has it at `step`: a member name, or an index like `[2]`.
    #[must_use]
    pub fn within(mut self, step: &str) -> Self {
        if !self.path.is_empty() && !self.path.starts_with('[') {
            self.path.insert(0, '.');
        }
        self.path.insert_str(0, step);
        self
    }
}

impl From<Difference> for Fault {
    fn from(difference: Difference) -> Self {
        Self::Differs(difference)
    }
}

impl Fault {
    /// The vector is not understood.
    pub fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed(why.into())
    }
}

/// Fails unless both are equal, and shows both.
///
/// # Errors
/// A difference.
pub fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Verdict {
    if expected == found {
        Ok(())
    } else {
        Err(Difference::new(format!("{expected:?}"), format!("{found:?}")).within(what).into())
    }
}

/// The verdicts about the cases of a vector, in their order.
#[derive(Debug, Default)]
pub struct Cases(RefCell<Vec<(String, Verdict)>>);

impl Cases {
    /// Decides a case. A panic within is its fault.
    pub fn case(&self, name: impl Into<String>, check: impl FnOnce() -> Verdict) {
        let verdict = catch_unwind(AssertUnwindSafe(check))
            .unwrap_or_else(|panic| Err(Fault::Panicked(panic_message(panic.as_ref()))));
        self.0.borrow_mut().push((name.into(), verdict));
    }

    /// The cases with their verdicts.
    #[must_use]
    pub fn into_vec(self) -> Vec<(String, Verdict)> {
        self.0.into_inner()
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| String::from("a panic without a text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_grow_from_the_inside() {
        let difference = Difference::new("1", "2").within("message").within("[3]").within("events");
        assert_eq!(difference.path, "events[3].message");
    }

    #[test]
    fn a_panic_is_the_fault_of_its_case() {
        let cases = Cases::default();
        cases.case("a", || panic!("broken {}", 7));
        cases.case("b", || Ok(()));
        assert_eq!(
            cases.into_vec(),
            [(String::from("a"), Err(Fault::Panicked("broken 7".into()))), (String::from("b"), Ok(()))]
        );
    }
}
