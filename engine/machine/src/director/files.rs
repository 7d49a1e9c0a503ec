//! File watches: what the host finds in directories becomes events, which the controller turns into orders.
//!
//! The host only tells names; which of them count, whether they are new and whether they are old enough is decided here. What has been
//! reported is in the state, so a restart or another director reports nothing twice: the first reading of the directory
//! tells what has changed meanwhile.

use super::{Alarm, Director};
use crate::host::Act;
use crate::replica::Turn;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_protocol::outbox::Outbox;
use baton_workflow::expression::pattern::Pattern;
use baton_workflow::expression::scope::{EnvScope, NowScope, Scopes};
use baton_workflow::id::{ExternalOrderName, OrderWatchPath};
use baton_workflow::model::event::Event;
use baton_workflow::model::item::Item;
use baton_workflow::model::operation::ItemEvent;
use baton_workflow::model::watch::{FileWatch, OrderWatchEvent};
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::scope::file_pattern;
use baton_workflow::time::Duration;

/// Most files of which one reading of a directory tells something new.
const MAX_FOUND: usize = 10_000;

/// The directory of a watch.
fn directory_of(turn: Turn<'_>, watch: &FileWatch) -> Checked<String> {
    let scopes: Scopes<'_> =
        Scopes(&[&EnvScope(turn.around.env), &NowScope { now: turn.around.now, zone: turn.around.zone }]);
    let directory = watch.directory_expr.eval_to_string(&scopes)?;
    if directory.is_empty() {
        return Err(Problem::new(format!("FileWatch:{}: the directory is an empty text", watch.path)));
    }
    Ok(directory.to_string())
}

impl Director {
    /// After a start: all watches which this director has.
    pub(super) fn watch_all_files(&mut self, turn: Turn<'_>) {
        let watches: Vec<Arc<FileWatch>> = self.state().file_watches().map(|found| found.item().clone()).collect();
        for watch in watches {
            if let Ok(directory) = directory_of(turn, &watch) {
                self.acts.push(Act::Watch { watch: watch.path.clone(), directory });
            }
        }
    }

    /// When storage is not behind any more: the directories are read again in which something was not looked at.
    pub(super) fn read_unread(&mut self, turn: Turn<'_>, out: &Outbox<'_, Self>) {
        if out.is_congested() {
            return;
        }
        while let Some(path) = self.unread.pop_first() {
            if let Some((_, directory, _)) = self.watch_of(turn, &path) {
                self.acts.push(Act::Watch { watch: path, directory });
            }
        }
    }

    pub(super) fn attach_file_watch(&mut self, turn: Turn<'_>, watch: &Arc<FileWatch>) -> Checked<()> {
        let directory = directory_of(turn, watch)?;
        let vanished = match self.state().file_watch(&watch.path) {
            Some(known) => known.decide_change(watch, &file_pattern(watch))?,
            None => Vec::new(),
        };
        self.take_file_events(turn, &watch.path, vanished);
        let item = Item::FileWatch(watch.clone());
        self.replica.try_take(turn, turn.around.now, Event::Item(ItemEvent::ItemAttachedToMe { item }))?;
        self.resting.remove(&watch.path);
        self.acts.push(Act::Watch { watch: watch.path.clone(), directory });
        Ok(())
    }

    pub(super) fn detach_file_watch(&mut self, turn: Turn<'_>, path: &OrderWatchPath) {
        let vanished = self.state().file_watch(path).map_or_else(Vec::new, |found| found.decide_all_vanished());
        self.take_file_events(turn, path, vanished);
        self.resting.remove(path);
        self.unread.remove(path);
        self.alarms.set(Alarm::Files(path.clone()), None);
        self.acts.push(Act::Unwatch { watch: path.clone() });
    }

    fn take_file_events(&mut self, turn: Turn<'_>, path: &OrderWatchPath, events: Vec<OrderWatchEvent>) {
        for event in events {
            self.replica.take(turn, Event::OrderWatch(path.clone(), event));
        }
    }

    /// The watch with its directory and pattern; none if it is not here any more.
    fn watch_of(&self, turn: Turn<'_>, path: &OrderWatchPath) -> Option<(Arc<FileWatch>, String, Pattern)> {
        let watch = self.state().file_watch(path)?.item().clone();
        let directory = directory_of(turn, &watch).ok()?;
        let pattern = file_pattern(&watch);
        Some((watch, directory, pattern))
    }

    pub(super) fn directory_read(&mut self, turn: Turn<'_>, path: &OrderWatchPath, names: &[ExternalOrderName]) {
        let Some((watch, directory, pattern)) = self.watch_of(turn, path) else { return };
        let is_patient = watch.delay > Duration::ZERO;
        let Some(found) = self.state().file_watch(path) else { return };
        let mut new = Vec::new();
        let decided = found.decide_scan(&directory, &pattern, names, &mut |name| {
            if is_patient {
                new.push(name.clone());
            }
            !is_patient
        });
        let mut decided = decided.unwrap_or_default();
        if decided.len() > MAX_FOUND {
            // The others are met when it is read again.
            decided.truncate(MAX_FOUND);
            self.unread.insert(path.clone());
        }
        self.take_file_events(turn, path, decided);
        for name in &new {
            self.rest(turn, path, name, watch.delay);
        }
    }

    pub(super) fn file_found(&mut self, turn: Turn<'_>, path: &OrderWatchPath, name: &ExternalOrderName) {
        let Some((watch, directory, pattern)) = self.watch_of(turn, path) else { return };
        if watch.delay > Duration::ZERO {
            return self.rest(turn, path, name, watch.delay);
        }
        self.report_found(turn, path, &directory, &pattern, name);
    }

    fn report_found(
        &mut self,
        turn: Turn<'_>,
        path: &OrderWatchPath,
        directory: &str,
        pattern: &Pattern,
        name: &ExternalOrderName,
    ) {
        let Some(found) = self.state().file_watch(path) else { return };
        let decided = found.decide_found(directory, pattern, name);
        self.take_file_events(turn, path, decided.ok().flatten().into_iter().collect());
    }

    pub(super) fn file_gone(&mut self, turn: Turn<'_>, path: &OrderWatchPath, name: &ExternalOrderName) {
        if let Some(resting) = self.resting.get_mut(path) {
            resting.gone(name);
        }
        let decided = self.state().file_watch(path).and_then(|found| found.decide_gone(name));
        self.take_file_events(turn, path, decided.into_iter().collect());
    }

    /// The file must be unchanged for some time.
    fn rest(&mut self, turn: Turn<'_>, path: &OrderWatchPath, name: &ExternalOrderName, delay: Duration) {
        let resting = self.resting.entry(path.clone()).or_default();
        resting.touched(name, turn.around.now, delay);
        let due = resting.next_due();
        self.alarms.set(Alarm::Files(path.clone()), due);
    }

    pub(super) fn files_are_old_enough(&mut self, turn: Turn<'_>, path: &OrderWatchPath) {
        let Some((_, directory, pattern)) = self.watch_of(turn, path) else { return };
        while let Some(name) = self.resting.get_mut(path).and_then(|resting| resting.take_due(turn.around.now)) {
            self.report_found(turn, path, &directory, &pattern, &name);
        }
        let due = self.resting.get(path).and_then(|resting| resting.next_due());
        self.alarms.set(Alarm::Files(path.clone()), due);
    }
}
