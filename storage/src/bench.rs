//! Measures the journal against the bare disk: the same records, in batches of the same size, once through the writer's
//! thread into the journal, once as one append and one `fdatasync` to a plain file. Both are measured in turns of some
//! milliseconds, so that whatever else the machine does hits both alike, and the ratio means something.

use crate::Error;
use crate::fjall::{FjallStore, Options};
use crate::writer::{Change, Report, Writer};
use baton_protocol::record::{Epoch, Position, Record};
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Records per batch that are measured.
pub const BATCHES: [usize; 4] = [1, 10, 100, 1000];

/// Length of a payload, in bytes: a typical transaction.
pub const PAYLOAD: usize = 300;

/// One turn takes so long.
const TURN: Duration = Duration::from_millis(40);

/// The journal's name in the folder that is measured.
const NAME: &str = "bench";

/// How fast batches became durable.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    times: Vec<Duration>,
}

impl Rate {
    fn total(&self) -> f64 {
        self.times.iter().sum::<Duration>().as_secs_f64()
    }

    /// Batches per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.total().max(f64::EPSILON)
    }

    /// The time that so many thousandths of all batches took at most. Zero if there were none.
    #[must_use]
    pub fn permille(&self, permille: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let index = (times.len() * permille / 1000).min(times.len().saturating_sub(1));
        times.get(index).copied().unwrap_or_default()
    }
}

/// What was measured for one size of batch.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Records per batch.
    pub batch: usize,
    /// The plain file.
    pub raw: Rate,
    /// The journal.
    pub journal: Rate,
}

impl Figure {
    /// How many times longer than the plain file the journal takes for a batch, in the median.
    #[must_use]
    pub fn latency_ratio(&self) -> f64 {
        self.journal.permille(500).as_secs_f64() / self.raw.permille(500).as_secs_f64().max(f64::EPSILON)
    }

    /// Which part of the plain file's throughput the journal reaches, all pauses included.
    #[must_use]
    pub fn throughput_ratio(&self) -> f64 {
        self.journal.per_second() / self.raw.per_second().max(f64::EPSILON)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = |rate: &Rate| rate.per_second() * self.batch as f64;
        let micros = |rate: &Rate, permille| rate.permille(permille).as_micros();
        write!(
            f,
            "batch {:>4}: raw {:>9.0} records/s (p50 {:>6} µs, p99 {:>6} µs), journal {:>9.0} records/s (p50 {:>6} µs, p99 {:>6} µs): \
             {:.2} of the throughput, {:.2} times the latency",
            self.batch,
            records(&self.raw),
            micros(&self.raw, 500),
            micros(&self.raw, 990),
            records(&self.journal),
            micros(&self.journal, 500),
            micros(&self.journal, 990),
            self.throughput_ratio(),
            self.latency_ratio(),
        )
    }
}

/// Measures all sizes of batches in an empty or missing folder, each for so long.
///
/// # Errors
/// Whatever goes wrong with the disk.
pub fn run(folder: &Path, each: Duration) -> Result<Vec<Figure>, Error> {
    let (store, recovered) = FjallStore::open(&folder.join("journal"), NAME, Options::default())?;
    let path = folder.join("raw");
    let io = |source| Error::Io { doing: "measuring", path: path.clone(), source };
    let mut raw = File::create(&path).map_err(io)?;
    let (reporting, reports) = channel();
    let mut end = recovered.end;
    let started = Writer::start(store, move |report| drop(reporting.send(report)));
    let writer = started.map_err(io)?;
    let mut figures = Vec::new();
    for batch in BATCHES {
        let mut figure = Figure { batch, raw: Rate::default(), journal: Rate::default() };
        let until = Instant::now() + each;
        while Instant::now() < until || figure.journal.times.is_empty() {
            let turn = Instant::now();
            while turn.elapsed() < TURN {
                let bytes = encoded(&mut end.clone(), batch);
                let start = Instant::now();
                raw.write_all(&bytes).and_then(|()| raw.sync_data()).map_err(io)?;
                figure.raw.times.push(start.elapsed());
            }
            let turn = Instant::now();
            while turn.elapsed() < TURN {
                let records = records(&mut end, batch);
                let start = Instant::now();
                if writer.submit(Change::Append(records)).is_err() {
                    return Err(Error::Poisoned);
                }
                match reports.recv() {
                    Ok(Report::Failed(error)) => return Err(error),
                    Ok(_) => figure.journal.times.push(start.elapsed()),
                    Err(_) => return Err(Error::Poisoned),
                }
            }
        }
        figures.push(figure);
    }
    writer.close();
    Ok(figures)
}

/// The next records of a journal that ends at `end`: half of each payload is not compressible.
fn records(end: &mut Position, count: usize) -> Vec<Record> {
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let mut payload = [b'-'; PAYLOAD];
        let mut state = end.chain.0 | 1;
        for byte in &mut payload[..PAYLOAD / 2] {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
        let Ok(record) = Record::write(*end, Epoch(1), Arc::from(&payload[..])) else { break };
        *end = record.id.after();
        records.push(record);
    }
    records
}

/// The same, as bytes.
fn encoded(end: &mut Position, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records(end, count) {
        record.encode(&mut bytes);
    }
    bytes
}
