//! Watches directories for a director.
//!
//! A directory is looked at once a second: that works with every file system, and needs nothing of the kernel that could be
//! used up. A directory that cannot be read is taken for empty of news until it can, and the operator is warned.

use crate::driver::Operator;
use baton_machine::director::DirectorInput;
use baton_workflow::id::{ExternalOrderName, OrderWatchPath};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How often a directory is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// What is seen of a file: when it changes, the file has changed.
type Look = (Option<SystemTime>, u64);

/// The directories that are being watched.
pub(super) struct Watches {
    operator: Operator,
    tasks: BTreeMap<OrderWatchPath, JoinHandle<()>>,
}

impl Watches {
    /// None yet. Who operates the node is told when a directory cannot be read.
    pub(super) fn new(operator: Operator) -> Self {
        Self { operator, tasks: BTreeMap::new() }
    }

    /// Watches a directory, from now on or anew, and tells what is there, and what changes.
    pub(super) fn watch<R>(&mut self, watch: OrderWatchPath, directory: String, requests: mpsc::Sender<R>)
    where
        R: From<DirectorInput> + Send + 'static,
    {
        let task = tokio::spawn(look_for_ever(watch.clone(), directory.into(), requests, self.operator.clone()));
        if let Some(before) = self.tasks.insert(watch, task) {
            before.abort();
        }
    }

    /// Watches no more.
    pub(super) fn unwatch(&mut self, watch: &OrderWatchPath) {
        if let Some(task) = self.tasks.remove(watch) {
            task.abort();
        }
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }
}

async fn look_for_ever<R: From<DirectorInput>>(
    watch: OrderWatchPath,
    directory: PathBuf,
    requests: mpsc::Sender<R>,
    operator: Operator,
) {
    let mut failure = None;
    let mut known: Option<BTreeMap<ExternalOrderName, Look>> = None;
    loop {
        let path = directory.clone();
        let looked = tokio::task::spawn_blocking(move || look(&path)).await;
        let looked = looked.unwrap_or_else(|error| Err(io::Error::other(error)));
        let is_new = |error: &io::Error| failure != Some(error.kind());
        if let Some(error) = looked.as_ref().err().filter(|error| is_new(error)) {
            operator.warn(format!("{watch} finds no files, {} cannot be read: {error}", directory.display()));
        }
        failure = looked.as_ref().err().map(io::Error::kind);
        if let Ok(found) = looked {
            for input in news(&watch, known.as_ref(), &found) {
                if requests.send(input.into()).await.is_err() {
                    return;
                }
            }
            known = Some(found);
        }
        sleep(PERIOD).await;
    }
}

/// What has changed between two looks.
fn news(
    watch: &OrderWatchPath,
    known: Option<&BTreeMap<ExternalOrderName, Look>>,
    found: &BTreeMap<ExternalOrderName, Look>,
) -> Vec<DirectorInput> {
    let Some(known) = known else {
        return vec![DirectorInput::Directory { watch: watch.clone(), names: found.keys().cloned().collect() }];
    };
    let gone = known.keys().filter(|name| !found.contains_key(*name));
    let gone = gone.map(|name| DirectorInput::FileGone { watch: watch.clone(), name: name.clone() });
    let changed = found.iter().filter(|(name, look)| known.get(*name) != Some(*look));
    let changed = changed.map(|(name, _)| DirectorInput::FileFound { watch: watch.clone(), name: name.clone() });
    gone.chain(changed).collect()
}

/// The files of a directory, but no directories, and nothing whose name is not text.
fn look(directory: &Path) -> io::Result<BTreeMap<ExternalOrderName, Look>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // It may have gone already.
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
            found.insert(ExternalOrderName::new(&name), (metadata.modified().ok(), metadata.len()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_what_differs() {
        let watch = OrderWatchPath::new("W");
        let name = ExternalOrderName::new;
        let look = |length| (None, length);
        let before = BTreeMap::from([(name("gone"), look(1)), (name("same"), look(1)), (name("grown"), look(1))]);
        let after = BTreeMap::from([(name("new"), look(1)), (name("same"), look(1)), (name("grown"), look(2))]);
        let news: Vec<String> = news(&watch, Some(&before), &after)
            .into_iter()
            .map(|input| match input {
                DirectorInput::FileFound { name, .. } => format!("+{name}"),
                DirectorInput::FileGone { name, .. } => format!("-{name}"),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(news, ["-gone", "+grown", "+new"]);
    }
}
