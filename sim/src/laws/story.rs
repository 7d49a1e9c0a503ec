//! What happens in a run, in words: for people who look for the cause of a failure.

use std::cell::RefCell;
use std::rc::Rc;

/// The lines so far, if anybody wants to read them.
#[derive(Clone)]
pub(super) struct Story(Option<Rc<RefCell<Vec<String>>>>);

impl Story {
    pub(super) fn told() -> Self {
        Self(Some(Rc::default()))
    }

    pub(super) fn untold() -> Self {
        Self(None)
    }

    pub(super) fn tell(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.0 {
            lines.borrow_mut().push(line());
        }
    }

    pub(super) fn text(&self) -> String {
        self.0.as_ref().map_or_else(String::new, |lines| lines.borrow().join("\n"))
    }
}
