//! What goes wrong with a journal, said so that an operator knows what to do.

use baton_protocol::record::{Misplaced, Offset, Position};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused something.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What was being done, as in "writing".
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The database below reported an error while it was in use.
    #[error("{doing} the journal in {}: {reason}", .folder.display())]
    Database {
        /// What was being done, as in "syncing".
        doing: &'static str,
        /// The data folder.
        folder: PathBuf,
        /// What the database says.
        reason: String,
        /// Whether the reason is a full disk.
        full: bool,
    },
    /// The disk is full (of a simulated store).
    #[error("the disk is full")]
    Full,
    /// The disk failed (of a simulated store).
    #[error("the disk failed")]
    Broken,
    /// Something failed before, and nothing can be confirmed any more.
    #[error("the journal takes nothing more since a write failed; the node must be started again")]
    Poisoned,
    /// The database or its user has a bug.
    #[error("the journal's thread panicked: {0}")]
    Panicked(String),
    /// Another process uses the data folder.
    #[error("the data folder {} is in use by another process; stop it, or give this node a folder of its own", .0.display())]
    Locked(PathBuf),
    /// The data folder belongs to another node.
    #[error(
        "the data folder {} belongs to the journal {found:?}, this node keeps the journal {expected:?}; \
         name the right folder in the configuration",
        .folder.display()
    )]
    Foreign {
        /// The data folder.
        folder: PathBuf,
        /// The journal it belongs to.
        found: String,
        /// The journal that was asked for.
        expected: String,
    },
    /// The folder has content, but not that of a journal.
    #[error(
        "the folder {} is not empty and is not the data folder of a journal (it has no readable file {marker:?}); \
         name the right folder, or an empty one for a new journal",
        .folder.display()
    )]
    NotAJournal {
        /// The folder.
        folder: PathBuf,
        /// The file that marks a data folder.
        marker: &'static str,
    },
    /// The data folder was written by a version of Baton that uses another format.
    #[error("the data folder {} has format {found}, this version of Baton knows format {known}", .folder.display())]
    Format {
        /// The data folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this program.
        known: u32,
    },
    /// Something that was confirmed is missing or damaged.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// A record does not follow the one before it.
    #[error("a record handed to the journal does not fit: {0}")]
    Misplaced(Misplaced),
    /// The name of a cell is empty or too long, or its value is.
    #[error("the cell {name:?} with {bytes} bytes is beyond the bounds of cells")]
    Cell {
        /// The name.
        name: String,
        /// Length of the value.
        bytes: usize,
    },
    /// A chunk of an image is too long.
    #[error("an image chunk of {bytes} bytes is longer than {} bytes", crate::IMAGE_CHUNK)]
    Chunk {
        /// Its length.
        bytes: usize,
    },
    /// No record of this journal ends there.
    #[error("the journal has no position {} of epoch {} and chain {}", .0.offset, .0.epoch, .0.chain)]
    NoSuchPosition(Position),
    /// An image was to be written of a state that is not durable.
    #[error("an image at {} was asked for, but the journal is durable only up to {}", .at.offset, .durable.offset)]
    NotDurable {
        /// The position of the image.
        at: Position,
        /// The end of the durable journal.
        durable: Position,
    },
    /// A release was asked for that would leave a journal without a beginning.
    #[error("records before {before} cannot be released: there is no image at or after it")]
    NotCovered {
        /// The offset asked for.
        before: Offset,
    },
    /// Records were asked for that are gone.
    #[error("records before {first} have been released, {from} was asked for")]
    Released {
        /// The offset asked for.
        from: Offset,
        /// The first one that is still there.
        first: Offset,
    },
    /// There is no complete image at this position.
    #[error("there is no image at {}", .0.offset)]
    NoImage(Position),
}

impl Error {
    /// Whether more room on the disk would have helped.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full => true,
            Self::Io { source, .. } => is_full(source),
            Self::Database { full, .. } => *full,
            _ => false,
        }
    }
}

/// Whether the operating system had no room left.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// What is damaged, and what is intact. Printed, it is the message for the operator.
#[derive(Debug)]
pub struct Damage {
    /// The data folder; none for a simulated disk.
    pub folder: Option<PathBuf>,
    /// All records before this one are intact; none if the journal could not be read at all.
    pub intact: Option<Position>,
    /// When the last intact record was written.
    pub intact_time: Option<SystemTime>,
    /// Up to here the journal was confirmed as durable; none if the mark that says so is itself lost.
    pub confirmed: Option<Position>,
    /// When the mark was written.
    pub confirmed_time: Option<SystemTime>,
    /// What is wrong.
    pub reason: String,
    /// Where a part that had to be cut for reading was saved as it was found.
    pub saved: Option<PathBuf>,
}

impl std::error::Error for Damage {}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            Some(folder) => writeln!(f, "the journal in {} is damaged: {}", folder.display(), self.reason)?,
            None => writeln!(f, "the journal is damaged: {}", self.reason)?,
        }
        match self.intact {
            Some(end) if end.offset.0 > 0 => {
                write!(
                    f,
                    "intact: the records before offset {} (epoch {}, chain {}",
                    end.offset, end.epoch, end.chain
                )?;
                if let Some(time) = self.intact_time {
                    write!(f, ", written {}", Utc(time))?;
                }
                writeln!(f, ")")?;
            }
            Some(_) => writeln!(f, "intact: nothing")?,
            None => writeln!(f, "intact: unknown, the database does not open")?,
        }
        match self.confirmed {
            Some(end) => {
                write!(f, "confirmed: the records before offset {}", end.offset)?;
                if let Some(time) = self.confirmed_time {
                    write!(f, " (written {})", Utc(time))?;
                }
                if let Some(intact) = self.intact
                    && intact.offset < end.offset
                {
                    write!(f, "; {} confirmed records are missing or unreadable", end.offset.0 - intact.offset.0)?;
                }
                writeln!(f)?;
            }
            None => writeln!(f, "confirmed: unknown")?,
        }
        if let Some(saved) = &self.saved {
            writeln!(f, "saved: the damaged file as it was found is {}", saved.display())?;
        }
        write!(
            f,
            "The node does not start, so that nothing is answered wrongly. Ways out, best first: \
             (1) if the other node of the pair is alive, move this folder away and start with an empty one, it is copied; \
             (2) restore the folder from a backup that is not older than what others have seen; \
             (3) accept the loss of everything that is not intact with `baton journal accept-loss`"
        )
    }
}

/// A time for people, in UTC, to the second.
struct Utc(SystemTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Years are counted from March, so that the leap day is the last of its year.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_civil() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_795_289_505, "2026-11-21T19:31:45Z"),
        ] {
            assert_eq!(Utc(UNIX_EPOCH + Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
