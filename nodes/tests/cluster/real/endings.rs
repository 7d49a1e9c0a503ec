//! Stops a whole cluster in order, and compares what everybody keeps: both journals, and what was read from them.

use super::Failure;
use super::installation::{Installation, NODES, name};
use super::lines::{number, without_number};
use super::oracle::{Oracle, READERS};
use baton_protocol::checksum::checksum;
use baton_protocol::register::Seat;
use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// What a process may take to end when it is told to.
const ENDING: Duration = Duration::from_secs(30);

/// Ends all processes: the active first, which waits until the standby has everything.
pub(crate) async fn stop_all(installation: &mut Installation, active: Seat) -> Result<(), Failure> {
    for seat in [active, active.peer(), Seat::Watch] {
        installation.terminate(seat)?;
        if !installation.ended(seat, ENDING).await? {
            return Err(format!("{} was told to end, and has not after {ENDING:?}", name(seat)).into());
        }
    }
    Ok(())
}

/// Compares the journals of a cluster that is stopped with each other, and with what was read of them.
///
/// # Errors
/// When they differ.
pub(crate) fn compare(installation: &Installation, oracle: &Oracle) -> Result<u64, Failure> {
    for node in NODES {
        let verified = installation.journal("verify", node)?;
        if !verified.status.success() {
            let (out, err) = (String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
            return Err(format!("the journal of {} is not good: {out}{err}", name(node)).into());
        }
    }
    let records = compare_records(installation)?;
    for reader in 0..READERS {
        compare_events(installation, oracle, reader)?;
    }
    Ok(records)
}

/// What `baton journal cat` prints.
struct Cat {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Cat {
    fn start(installation: &Installation, node: Seat, options: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command.args(["journal", "cat"]).args(options).arg(installation.data(node));
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().ok_or("there is no pipe")?;
        Ok(Self { process, lines: BufReader::new(stdout).lines() })
    }

    fn next(&mut self) -> Result<Option<String>, Failure> {
        Ok(self.lines.next().transpose()?)
    }

    fn end(mut self) -> Result<(), Failure> {
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(format!("baton journal cat: {status}").into()) }
    }
}

fn compare_records(installation: &Installation) -> Result<u64, Failure> {
    let [mut first, mut second] =
        [Cat::start(installation, NODES[0], &["--raw"])?, Cat::start(installation, NODES[1], &["--raw"])?];
    let offset = |line: &Option<String>| line.as_deref().and_then(|line| number(line, "offset"));
    let (mut left, mut right) = (first.next()?, second.next()?);
    // One may have released more than the other, or begun with an image.
    while offset(&left).zip(offset(&right)).is_some_and(|(left, right)| left < right) {
        left = first.next()?;
    }
    while offset(&left).zip(offset(&right)).is_some_and(|(left, right)| left > right) {
        right = second.next()?;
    }
    let mut count = 0;
    while left.is_some() || right.is_some() {
        if left != right {
            return Err(format!(
                "the journals differ: {} has {left:?}, {} has {right:?}",
                name(NODES[0]),
                name(NODES[1])
            )
            .into());
        }
        count += 1;
        (left, right) = (first.next()?, second.next()?);
    }
    first.end()?;
    second.end()?;
    Ok(count)
}

/// Everything that was read is in the journal, and nothing in between.
fn compare_events(installation: &Installation, oracle: &Oracle, reader: usize) -> Result<(), Failure> {
    let mut journal = Cat::start(installation, NODES[reader % NODES.len()], &[])?;
    let read = oracle.events(reader);
    let mut next = journal.next()?;
    let first = next.as_deref().and_then(|line| number(line, "eventId")).unwrap_or_default();
    let begins = read.partition_point(|event| event.id < first);
    for event in &read[begins..] {
        let Some(line) = next else {
            return Err(format!("reader {reader} has read event {}, which is in no journal", event.id).into());
        };
        let told = without_number(&line, "offset");
        if checksum(0, told.as_bytes()) != event.checksum {
            return Err(format!("where reader {reader} has read event {}, the journal has: {told}", event.id).into());
        }
        next = journal.next()?;
    }
    // What follows was told to nobody, or will be read when the cluster works again: that is waited for.
    while journal.next()?.is_some() {}
    journal.end()
}
