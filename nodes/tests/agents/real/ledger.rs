//! What jobs tell when they begin and end: a line each, appended to one file. Each job holds a lock that belongs to its order for as
//! long as anything of it lives, so two at a time are noticed whatever their lines say.

use super::Failure;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file with the lines.
pub(crate) struct Ledger {
    file: PathBuf,
    locks: PathBuf,
}

/// What the ledger says of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    /// Where its jobs began, one after the other.
    pub(crate) begun: Vec<String>,
    /// Where they came to their end.
    pub(crate) ended: Vec<String>,
    /// When they began, in nanoseconds since 1970.
    pub(crate) times: Vec<u128>,
}

impl Ledger {
    /// In a folder.
    pub(crate) fn new(folder: &Path) -> std::io::Result<Self> {
        let locks = folder.join("locks");
        std::fs::create_dir_all(&locks)?;
        Ok(Self { file: folder.join("ledger"), locks })
    }

    /// The script of a job which sleeps for some seconds: those at the end of its order's id, after an underscore; else none.
    ///
    /// Its lines are `begun ORDER PLACE NANOSECONDS`, `overlap …` and `ended …`.
    pub(crate) fn script(&self) -> String {
        let (file, locks) = (self.file.display(), self.locks.display());
        format!(
            "exec 9>>'{locks}'/\"$WHO\"\n\
             line=begun; flock -n 9 || line=overlap\n\
             echo \"$line $WHO $BATON_TEST $(date +%s%N)\" >> '{file}'\n\
             case $WHO in *_*) sleep \"${{WHO##*_}}\";; esac\n\
             echo \"ended $WHO $BATON_TEST $(date +%s%N)\" >> '{file}'\n"
        )
    }

    /// What was told until now.
    ///
    /// # Errors
    /// When two processes of an order ran at a time.
    pub(crate) fn read(&self) -> Result<BTreeMap<String, Entries>, Failure> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let mut found: BTreeMap<String, Entries> = BTreeMap::new();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let mut words = line.split(' ');
            let (Some(what), Some(order), Some(place), Some(time)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(format!("the ledger has a line that nobody wrote: {line:?}").into());
            };
            let entries = found.entry(order.to_owned()).or_default();
            match what {
                "begun" => {
                    entries.begun.push(place.to_owned());
                    entries.times.push(time.parse()?);
                }
                "ended" => entries.ended.push(place.to_owned()),
                _ => return Err(format!("two processes of an order ran at a time: {line}; {entries:?}").into()),
            }
        }
        Ok(found)
    }

    /// What was told of one order.
    pub(crate) fn of(&self, order: &str) -> Result<Entries, Failure> {
        Ok(self.read()?.remove(order).unwrap_or_default())
    }
}
