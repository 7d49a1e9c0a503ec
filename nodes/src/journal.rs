//! `baton journal`: looks into the journals of nodes that do not run, checks them, and opens damaged ones with a loss.
//!
//! What is printed are JSON objects, one per line; messages for people go to standard error. Opening a journal cuts off a
//! write that a crash interrupted, as the start of its node would. The exit status is 0 when all is well, 1 when a journal is
//! damaged, 2 when there is no journal, or it is in use.

use crate::cli::{CatArguments, JournalArguments, JournalCommand};
use baton_machine::codec::{Assembly, CodecError, Stamped};
use baton_machine::replica::{RecoveryError, Replica};
use baton_protocol::record::{Epoch, Offset, Position, Record};
use baton_storage::fjall::{FjallAccess, FjallStore, Options};
use baton_storage::{Access as _, Error, Recovered, Store as _};
use baton_workflow::id::{AgentPath, ControllerId};
use baton_workflow::json::print;
use baton_workflow::state::State;
use baton_workflow::value::Value;
use std::fmt::Write as _;
use std::io::{self, BufWriter, StdoutLock, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The name of a controller's journal.
pub const CONTROLLER_NAME: &str = "controller";

/// The names of agents' journals begin so.
const AGENT: &str = "agent ";

/// The name of an agent's journal.
#[must_use]
pub fn agent_name(path: &AgentPath) -> String {
    format!("{AGENT}{path}")
}

/// Why a journal was not looked into, or is not well.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// There is none.
    #[error("{} is not the folder of a journal, and has none below", .0.display())]
    NoJournal(PathBuf),
    /// The folder cannot be read.
    #[error("cannot read {}: {error}", .folder.display())]
    Unreadable {
        /// Which.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] Error),
    /// A record is not understood.
    #[error("record {0} cannot be read: {1}")]
    Record(Offset, CodecError),
    /// The events do not follow from each other.
    #[error(transparent)]
    Replay(#[from] RecoveryError),
    /// Nobody takes the output.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Self::NoJournal(_) | Self::Unreadable { .. } => 2,
            Self::Store(Error::Damaged(_)) | Self::Record(..) | Self::Replay(_) | Self::Output(_) => 1,
            Self::Store(_) => 2,
        }
    }
}

type Out = BufWriter<StdoutLock<'static>>;

/// Does what the command line says.
#[must_use]
pub fn main(command: &JournalCommand) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let directory = match command {
        JournalCommand::Ls(JournalArguments { directory })
        | JournalCommand::Verify(JournalArguments { directory })
        | JournalCommand::AcceptLoss(JournalArguments { directory })
        | JournalCommand::Cat(CatArguments { journal: JournalArguments { directory }, .. }) => directory,
    };
    let folders = match journals(directory) {
        Ok(folders) => folders,
        Err(failure) => return complain(&failure),
    };
    let mut status = ExitCode::SUCCESS;
    for folder in folders {
        let done = match command {
            JournalCommand::Ls(_) => list(&folder, &mut out),
            JournalCommand::Cat(arguments) => cat(&folder, arguments, &mut out),
            JournalCommand::Verify(_) => verify(&folder, &mut out),
            JournalCommand::AcceptLoss(_) => accept_loss(&folder, &mut out),
        };
        match done.and_then(|()| out.flush().map_err(Failure::Output)) {
            Ok(()) => {}
            // A reader which closes the pipe early has got what it wanted.
            Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return status,
            Err(failure) => status = complain(&failure),
        }
    }
    status
}

fn complain(failure: &Failure) -> ExitCode {
    // Where nobody can be told, the status must do.
    let _ = writeln!(io::stderr(), "baton journal: {failure}");
    ExitCode::from(failure.status())
}

/// The folder itself, or those in it.
fn journals(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    if FjallStore::name_of(directory)?.is_some() {
        return Ok(vec![directory.to_owned()]);
    }
    let unreadable = |error| Failure::Unreadable { folder: directory.to_owned(), error };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() && FjallStore::name_of(&path)?.is_some() {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() { Err(Failure::NoJournal(directory.to_owned())) } else { Ok(found) }
}

/// A journal that is open.
struct Journal {
    name: String,
    folder: PathBuf,
    found: Recovered,
    access: FjallAccess,
    /// Holds the lock.
    _store: FjallStore,
}

impl Journal {
    fn open(folder: &Path) -> Result<Self, Failure> {
        Self::open_with(folder, FjallStore::open)
    }

    fn open_with(
        folder: &Path,
        open: impl FnOnce(&Path, &str, Options) -> Result<(FjallStore, Recovered), Error>,
    ) -> Result<Self, Failure> {
        let name = FjallStore::name_of(folder)?.ok_or_else(|| Failure::NoJournal(folder.to_owned()))?;
        let (store, found) = open(folder, &name, Options::default())?;
        Ok(Self { name, folder: folder.to_owned(), found, access: store.access(), _store: store })
    }

    /// What it has as a whole.
    fn summary(&self, kind: &'static str) -> Value {
        let mut notes: Vec<Value> = self.found.notes.iter().map(|note| Value::from(note.as_str())).collect();
        if let Some(cut) = &self.found.cut {
            notes.push(Value::from(
                format!("cut off {} bytes that were not confirmed: {}", cut.bytes, cut.reason).as_str(),
            ));
        }
        Value::object([
            ("TYPE", Value::from(kind)),
            ("name", Value::from(self.name.as_str())),
            ("folder", Value::from(self.folder.display().to_string().as_str())),
            ("from", number(self.found.released.offset.0)),
            ("until", number(self.found.end.offset.0)),
            ("epoch", number(self.found.end.epoch.0)),
            ("notes", Value::list(notes)),
        ])
    }
}

fn list(folder: &Path, out: &mut Out) -> Result<(), Failure> {
    let journal = Journal::open(folder)?;
    writeln!(out, "{}", print(&journal.summary("Journal")))?;
    if let Some(image) = journal.found.image {
        let members = [
            ("TYPE", Value::from("Image")),
            ("at", number(image.at.offset.0)),
            ("epoch", number(image.at.epoch.0)),
            ("bytes", number(image.bytes)),
        ];
        writeln!(out, "{}", print(&Value::object(members)))?;
    }
    let mut current: Option<EpochSummary> = None;
    let mut assembly = Assembly::default();
    for record in journal.access.records(journal.found.released.offset)? {
        let record = record?;
        let is_new = current.as_ref().is_none_or(|summary| summary.epoch != record.id.epoch);
        if is_new && let Some(done) = current.replace(EpochSummary::new(&record)) {
            writeln!(out, "{}", print(&done.to_json()))?;
        }
        if let Some(summary) = &mut current {
            summary.add(&record, events(&mut assembly, &record)?);
        }
    }
    if let Some(done) = current {
        writeln!(out, "{}", print(&done.to_json()))?;
    }
    Ok(())
}

/// What an epoch wrote.
struct EpochSummary {
    epoch: Epoch,
    from: Offset,
    until: Offset,
    bytes: u64,
    events: u64,
    first: Option<Stamped>,
    last: Option<Stamped>,
}

impl EpochSummary {
    fn new(record: &Record) -> Self {
        let (epoch, from) = (record.id.epoch, record.id.offset);
        Self { epoch, from, until: from, bytes: 0, events: 0, first: None, last: None }
    }

    fn add(&mut self, record: &Record, mut events: Vec<Stamped>) {
        self.until = record.id.offset.next();
        self.bytes += record.payload.len() as u64;
        self.events += events.len() as u64;
        if let Some(last) = events.pop() {
            let first = events.into_iter().next().unwrap_or_else(|| last.clone());
            self.first.get_or_insert(first);
            self.last = Some(last);
        }
    }

    fn to_json(&self) -> Value {
        let id = |event: &Option<Stamped>| event.as_ref().map_or(Value::Missing, |event| number(event.event_id.0));
        let time = |event: &Option<Stamped>| match event {
            Some(event) => Value::from(event.timestamp.to_string().as_str()),
            None => Value::Missing,
        };
        Value::object([
            ("TYPE", Value::from("Epoch")),
            ("epoch", number(self.epoch.0)),
            ("from", number(self.from.0)),
            ("until", number(self.until.0)),
            ("bytes", number(self.bytes)),
            ("events", number(self.events)),
            ("firstEventId", id(&self.first)),
            ("firstTime", time(&self.first)),
            ("lastEventId", id(&self.last)),
            ("lastTime", time(&self.last)),
        ])
    }
}

fn cat(folder: &Path, arguments: &CatArguments, out: &mut Out) -> Result<(), Failure> {
    let journal = Journal::open(folder)?;
    let mut assembly = Assembly::default();
    for record in journal.access.records(journal.found.released.offset)? {
        let record = record?;
        let events = match events(&mut assembly, &record) {
            // What is not understood can still be looked at.
            Err(_) if arguments.raw => Vec::new(),
            events => events?,
        };
        if arguments.raw {
            if events.last().is_none_or(|last| last.event_id.0 >= arguments.from) {
                writeln!(out, "{}", print(&raw(&record)))?;
            }
            continue;
        }
        for stamped in events.into_iter().filter(|event| event.event_id.0 >= arguments.from) {
            let members = [
                ("eventId", number(stamped.event_id.0)),
                ("timestamp", Value::from(stamped.timestamp.as_millis())),
                ("offset", number(record.id.offset.0)),
            ];
            let line = match (Value::object(members), stamped.event.to_json()) {
                (Value::Object(members), Value::Object(event)) => Value::Object(members.overridden_by(&event)),
                (_, event) => event,
            };
            writeln!(out, "{}", print(&line))?;
        }
    }
    Ok(())
}

fn raw(record: &Record) -> Value {
    let mut payload = String::with_capacity(2 * record.payload.len());
    for byte in record.payload.iter() {
        // Writing to a string does not fail.
        let _ = write!(payload, "{byte:02x}");
    }
    Value::object([
        ("offset", number(record.id.offset.0)),
        ("epoch", number(record.id.epoch.0)),
        ("chain", Value::from(record.id.chain.to_string().as_str())),
        ("payload", Value::from(payload.as_str())),
    ])
}

/// Everything that a start of the node would do with its journal.
fn verify(folder: &Path, out: &mut Out) -> Result<(), Failure> {
    let journal = Journal::open(folder)?;
    let mut image = None;
    if let Some(found) = journal.found.image {
        let mut bytes = Vec::new();
        for chunk in journal.access.chunks(found.at)? {
            bytes.extend(chunk?);
        }
        image = Some(bytes);
    }
    // What is before the image is for readers; it must be understood too.
    let start = journal.found.image.map_or(Position::ORIGIN, |image| image.at).offset;
    let mut replica = Replica::of_image(image.as_deref(), empty_state(&journal.name))?;
    let mut assembly = Assembly::default();
    for record in journal.access.records(journal.found.released.offset)? {
        let record = record?;
        if record.id.offset < start {
            events(&mut assembly, &record)?;
        } else {
            replica.apply(&record)?;
        }
    }
    writeln!(out, "{}", print(&journal.summary("Verified")))?;
    Ok(())
}

fn accept_loss(folder: &Path, out: &mut Out) -> Result<(), Failure> {
    let journal = Journal::open_with(folder, FjallStore::accept_loss)?;
    writeln!(out, "{}", print(&journal.summary("Opened")))?;
    Ok(())
}

fn empty_state(name: &str) -> State {
    let nobody = ControllerId::new("");
    match name.strip_prefix(AGENT) {
        Some(path) => State::agent(AgentPath::new(path), nobody),
        None => State::controller(nobody),
    }
}

/// The events of the transaction which the record completes.
fn events(assembly: &mut Assembly, record: &Record) -> Result<Vec<Stamped>, Failure> {
    let assembled = assembly.add(record).map_err(|error| Failure::Record(record.id.offset, error))?;
    Ok(assembled.map_or_else(Vec::new, |assembled| assembled.transaction.events))
}

fn number(number: u64) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}
