//! The outcomes of what an order did.
//!
//! A list which grows at its end and shares its beginning: adding, cloning and forking cost nothing however long it is, and
//! the latest outcome, where values are looked up first, is reached at once.

use super::order::HistoricOutcome;
use crate::json::schema::Schemas;
use crate::json::{Doc, Json};
use crate::value::Value;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Outcomes from the first to the latest.
#[derive(Clone, Default)]
pub struct History(Option<Arc<Link>>);

struct Link {
    outcome: HistoricOutcome,
    previous: History,
    count: usize,
}

impl History {
    /// Number of outcomes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |link| link.count)
    }

    /// Whether there is no outcome.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The latest outcome.
    #[must_use]
    pub fn last(&self) -> Option<&HistoricOutcome> {
        self.0.as_ref().map(|link| &link.outcome)
    }

    /// Adds an outcome at the end.
    pub fn push(&mut self, outcome: HistoricOutcome) {
        let previous = Self(self.0.take());
        let count = previous.len() + 1;
        self.0 = Some(Arc::new(Link { outcome, previous, count }));
    }

    /// Removes the latest outcome.
    pub fn pop(&mut self) {
        self.0 = self.0.as_ref().and_then(|link| link.previous.0.clone());
    }

    /// The outcomes, the latest first.
    pub fn latest_first(&self) -> impl Iterator<Item = &HistoricOutcome> {
        core::iter::successors(self.0.as_deref(), |link| link.previous.0.as_deref()).map(|link| &link.outcome)
    }

    /// The outcomes, the first one first.
    #[must_use]
    pub fn to_vec(&self) -> Vec<HistoricOutcome> {
        let mut outcomes: Vec<HistoricOutcome> = self.latest_first().cloned().collect();
        outcomes.reverse();
        outcomes
    }
}

impl Drop for History {
    /// Without recursion, whatever the length.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(link) = next {
            next = Arc::into_inner(link).and_then(|mut link| link.previous.0.take());
        }
    }
}

impl FromIterator<HistoricOutcome> for History {
    fn from_iter<I: IntoIterator<Item = HistoricOutcome>>(outcomes: I) -> Self {
        let mut history = Self::default();
        for outcome in outcomes {
            history.push(outcome);
        }
        history
    }
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.latest_first().eq(other.latest_first())
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.to_vec()).finish()
    }
}

impl serde::Serialize for History {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_vec().serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for History {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|outcomes| outcomes.into_iter().collect())
    }
}

impl Json for History {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        doc.list(HistoricOutcome::read).map(|outcomes| outcomes.into_iter().collect())
    }

    fn write(&self) -> Value {
        Value::list(self.to_vec().iter().map(Json::write))
    }

    fn schema(schemas: &mut Schemas) -> Value {
        Vec::<HistoricOutcome>::schema(schemas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Outcome;
    use crate::position::Position;

    fn outcome(nr: u32) -> HistoricOutcome {
        HistoricOutcome { position: Position::root(nr), outcome: Outcome::succeeded() }
    }

    #[test]
    fn shares_the_beginning() {
        let mut parent: History = (0..3).map(outcome).collect();
        let mut child = parent.clone();
        child.push(outcome(7));
        parent.push(outcome(8));
        assert_eq!(child.to_vec(), [0, 1, 2, 7].map(outcome));
        assert_eq!(parent.to_vec(), [0, 1, 2, 8].map(outcome));
        parent.pop();
        assert_eq!(parent, (0..3).map(outcome).collect());
    }

    #[test]
    fn drops_a_million_without_recursion() {
        drop((0..1_000_000).map(outcome).collect::<History>());
    }
}
