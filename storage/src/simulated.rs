//! A disk for the simulator: a journal that keeps the contract exactly as badly as it allows.
//!
//! [`SimDisk`] lives outside the simulated host, as a disk outlives its machine. The host opens it and gets a
//! [`SimStore`]; when the host dies, the world calls [`SimDisk::crash`] and chooses what of the changes that were under way
//! reaches the disk. Dropping a store writes nothing: destructors that run when a simulated host is dropped change nothing.
//! A store that was left over from before a crash is refused by the disk ever after.
//!
//! Nothing here has a clock, a thread or a random source: who simulates decides what happens and when. A sync is begun
//! ([`SimStore::begin_sync`]) and completed ([`SimDisk::complete_sync`]) by two calls, between which simulated time may
//! pass and the host may die. [`Store::sync`] does both at once.
//!
//! Faults: a crash with any part of the tail, a torn record, a stalled disk, a full or broken disk, silent damage of
//! records, images and cells, a lost tail, a wiped disk. What opening does about them is decided by
//! [`crate::recover`], as for every store.

use crate::recover::{Defect, verify};
use crate::{Access, Chunks, Cut, Damage, Error, IMAGE_CHUNK, Image, Records, Recovered, Store, Synced, check_cell};
use baton_protocol::checksum::Checksum;
use baton_protocol::record::{Chain, Offset, Position, Record};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much of what was handed over, but not synced, reaches the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// So many changes (records, cells, truncations, installations, releases), in their order.
    pub keep: usize,
    /// Whether of the next change, if it is a record, a part reaches the disk.
    pub torn: bool,
}

/// Why a sync fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No room is left.
    Full,
    /// The device reports an error.
    Broken,
}

/// A sync under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Ticket {
    session: u64,
    through: u64,
}

/// A simulated disk with one journal. Clones are the same disk; [`SimDisk::fork`] makes another one.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    durable: Journal,
    /// Bytes of a record that was being written when the host died.
    torn: Option<u64>,
    /// What the host handed over and no sync has completed.
    pending: VecDeque<Change>,
    /// Number of changes that have left `pending` in this session.
    done: u64,
    /// The end with everything pending.
    end: Position,
    /// Number of truncations and installations in this session, pending ones included.
    generation: u64,
    /// Number of times that the disk was opened or its host died: older stores are refused.
    session: u64,
    held: bool,
    poisoned: bool,
    stalled: bool,
    fault: Option<(Fault, usize)>,
}

/// What survives.
#[derive(Clone, Debug, Default)]
struct Journal {
    /// The mark.
    confirmed: Position,
    released: Position,
    records: VecDeque<Record>,
    images: BTreeMap<u64, StoredImage>,
    cells: BTreeMap<String, Vec<u8>>,
    /// How many times cells were set, and how many times that was confirmed.
    versions: u64,
    confirmed_versions: u64,
}

#[derive(Clone, Debug)]
struct StoredImage {
    image: Image,
    chunks: Arc<[Vec<u8>]>,
    damaged: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Append(Record),
    Put(String, Vec<u8>),
    Truncate(Position),
    Install(StoredImage, String, Vec<u8>),
    Release(Offset),
}

impl Change {
    /// Whether it takes records back.
    fn takes_back(&self) -> bool {
        matches!(self, Self::Truncate(_) | Self::Install(..))
    }
}

impl StoredImage {
    /// Takes all chunks.
    fn of(at: Position, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<Self, Error> {
        let (mut taken, mut whole, mut bytes) = (Vec::new(), Checksum::new(0), 0);
        for chunk in chunks {
            if chunk.len() > IMAGE_CHUNK {
                return Err(Error::Chunk { bytes: chunk.len() });
            }
            whole.update(&chunk);
            bytes += chunk.len() as u64;
            taken.push(chunk);
        }
        Ok(Self { image: Image { at, bytes, checksum: whole.finish() }, chunks: taken.into(), damaged: false })
    }
}

impl Journal {
    fn end(&self) -> Position {
        self.records.back().map_or(self.released, |record| record.id.after())
    }

    /// The records from an offset on.
    fn from(&self, offset: Offset) -> impl Iterator<Item = &Record> {
        let skip = offset.0.saturating_sub(self.released.offset.0);
        self.records.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    fn position_before(&self, offset: Offset) -> Option<Position> {
        if offset == self.released.offset {
            return Some(self.released);
        }
        let last = Offset(offset.0.checked_sub(1).filter(|&last| last >= self.released.offset.0)?);
        self.from(last).next().map(|record| record.id.after())
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Append(record) => self.records.push_back(record),
            Change::Put(cell, value) => {
                self.versions += 1;
                self.cells.insert(cell, value);
            }
            Change::Truncate(to) => {
                self.confirmed = if to.offset < self.confirmed.offset { to } else { self.confirmed };
                self.images.retain(|&at, _| at <= to.offset.0);
                let keep = to.offset.0.saturating_sub(self.released.offset.0);
                self.records.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
            }
            Change::Install(image, cell, value) => {
                let at = image.image.at;
                (self.confirmed, self.released) = (at, at);
                self.records.clear();
                self.images = BTreeMap::from([(at.offset.0, image)]);
                self.versions += 1;
                self.cells.insert(cell, value);
            }
            Change::Release(before) => {
                self.images.retain(|&at, _| at >= before.0);
                while let Some(record) = self.records.pop_front_if(|record| record.id.offset < before) {
                    self.released = record.id.after();
                }
            }
        }
    }
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another disk with the same content, in the same condition, with nobody using it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut disk = self.lock().clone();
        disk.held = false;
        disk.session += 1;
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// Opens the journal. What a host before this one handed over and did not sync is lost.
    ///
    /// # Errors
    /// [`Error::Locked`] while another store is open; [`Error::Damaged`]; [`Error::Full`], [`Error::Broken`].
    pub fn open(&self) -> Result<(SimStore, Recovered), Error> {
        let mut disk = self.lock();
        if disk.held {
            return Err(Error::Locked(PathBuf::from("simulated")));
        }
        let recovered = disk.recover()?;
        disk.end_session();
        disk.held = true;
        disk.end = recovered.end;
        let session = disk.session;
        Ok((SimStore { disk: self.clone(), session }, recovered))
    }

    /// The host dies. Of what it handed over and did not sync, `tail` says what reaches the disk.
    pub fn crash(&self, tail: Tail) {
        let mut disk = self.lock();
        for _ in 0..tail.keep {
            let Some(change) = disk.pending.pop_front() else { break };
            disk.durable.apply(change);
        }
        if let (true, Some(Change::Append(record))) = (tail.torn, disk.pending.front()) {
            disk.torn = Some(record.encoded_len() as u64);
        }
        disk.end_session();
    }

    /// Number of changes that a crash now could keep or lose.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    /// Completes a sync that the host has begun. None while the disk is stalled.
    pub fn complete_sync(&self, ticket: Ticket) -> Option<Result<Synced, Error>> {
        let mut disk = self.lock();
        if disk.stalled {
            return None;
        }
        Some(disk.alive(ticket.session).and_then(|()| disk.sync(ticket.through)))
    }

    /// A stalled disk completes no sync until it is no longer stalled.
    pub fn stall(&self, stalled: bool) {
        self.lock().stalled = stalled;
    }

    /// The next sync makes so many changes durable and then fails; so does opening, until [`SimDisk::mend`].
    pub fn fail(&self, fault: Fault, keep: usize) {
        self.lock().fault = Some((fault, keep));
    }

    /// There is room again, or the device works again. A store that has failed remains poisoned.
    pub fn mend(&self) {
        self.lock().fault = None;
    }

    /// Flips a bit of the record at this offset. False if there is none.
    pub fn damage_record(&self, offset: Offset) -> bool {
        let mut disk = self.lock();
        let first = disk.durable.released.offset.0;
        let index = offset.0.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        let Some(record) = index.and_then(|index| disk.durable.records.get_mut(index)) else { return false };
        if record.payload.is_empty() {
            record.id.chain = Chain(record.id.chain.0 ^ 1);
        } else {
            let mut payload = record.payload.to_vec();
            payload[0] ^= 1;
            record.payload = payload.into();
        }
        true
    }

    /// Damages the image at this offset. False if there is none.
    pub fn damage_image(&self, offset: Offset) -> bool {
        self.lock().durable.images.get_mut(&offset.0).is_some_and(|image| !std::mem::replace(&mut image.damaged, true))
    }

    /// Loses all records from this offset on, confirmed or not, as a log does that is damaged in its middle.
    pub fn lose_tail(&self, from: Offset) {
        self.lock().durable.records.retain(|record| record.id.offset < from);
    }

    /// Loses all cells.
    pub fn lose_cells(&self) {
        let mut disk = self.lock();
        disk.durable.cells.clear();
        disk.durable.versions = 0;
    }

    /// The host dies and the disk is replaced by an empty one.
    pub fn wipe(&self) {
        let mut disk = self.lock();
        disk.end_session();
        (disk.durable, disk.torn) = (Journal::default(), None);
    }

    /// What is on the disk, for an audit of what its host has promised: the end of the durable journal.
    #[must_use]
    pub fn durable_end(&self) -> Position {
        self.lock().durable.end()
    }

    /// For an audit: the durable record at an offset.
    #[must_use]
    pub fn durable_record(&self, offset: Offset) -> Option<Record> {
        let disk = self.lock();
        if offset < disk.durable.released.offset { None } else { disk.durable.from(offset).next().cloned() }
    }

    /// For an audit: the durable value of a cell.
    #[must_use]
    pub fn durable_cell(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().durable.cells.get(name).cloned()
    }

    /// For an audit: everything before this position was released.
    #[must_use]
    pub fn durable_released(&self) -> Position {
        self.lock().durable.released
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn alive(&self, session: u64) -> Result<(), Error> {
        if self.poisoned || session != self.session { Err(Error::Poisoned) } else { Ok(()) }
    }

    fn end_session(&mut self) {
        self.session += 1;
        self.pending.clear();
        self.done = 0;
        self.generation = 0;
        self.held = false;
        self.poisoned = false;
    }

    /// The position at an offset, with everything pending.
    fn position_before(&self, offset: Offset) -> Option<Position> {
        for change in self.pending.iter().rev() {
            match change {
                Change::Append(record) if record.id.after().offset == offset => return Some(record.id.after()),
                Change::Truncate(to) if to.offset == offset => return Some(*to),
                Change::Truncate(to) if to.offset < offset => return None,
                Change::Install(image, ..) => return Some(image.image.at).filter(|at| at.offset == offset),
                _ => {}
            }
        }
        self.durable.position_before(offset)
    }

    fn fault(&self) -> Result<(), Error> {
        match self.fault {
            None => Ok(()),
            Some((Fault::Full, _)) => Err(Error::Full),
            Some((Fault::Broken, _)) => Err(Error::Broken),
        }
    }

    fn sync(&mut self, through: u64) -> Result<Synced, Error> {
        let fault = self.fault();
        let keep = match (&fault, self.fault) {
            (Err(_), Some((_, keep))) => keep as u64,
            _ => u64::MAX,
        };
        let mut kept = 0;
        while self.done < through && kept < keep {
            let Some(change) = self.pending.pop_front() else { break };
            self.durable.apply(change);
            self.done += 1;
            kept += 1;
        }
        self.poisoned = fault.is_err();
        fault?;
        self.durable.confirmed = self.durable.end();
        self.durable.confirmed_versions = self.durable.versions;
        // The truncations that are still pending are not in what is confirmed now.
        let pending = self.pending.iter().filter(|change| change.takes_back()).count() as u64;
        Ok(Synced { end: self.durable.confirmed, generation: self.generation - pending })
    }

    fn sync_all(&mut self) -> Result<Synced, Error> {
        self.sync(self.done + self.pending.len() as u64)
    }

    fn recover(&mut self) -> Result<Recovered, Error> {
        self.fault()?;
        let durable = &mut self.durable;
        let damaged = |intact, reason: String| {
            let confirmed = Some(durable.confirmed);
            let damage = Damage {
                folder: None,
                intact: Some(intact),
                intact_time: None,
                confirmed,
                confirmed_time: None,
                reason,
                saved: None,
            };
            Error::Damaged(Box::new(damage))
        };
        let torn = self.torn.map(|bytes| Err(Defect::torn("a record that was not written to its end", bytes)));
        let records = durable.records.iter().cloned().map(Ok).chain(torn);
        let mut whole = durable.images.values().filter(|image| !image.damaged);
        let marks: Vec<_> = whole.clone().map(|image| image.image.at).chain([durable.confirmed]).collect();
        let image = whole.next_back().map(|image| image.image);
        let verified = verify(durable.released, marks, records);
        let verified = verified.map_err(|refused| damaged(refused.intact, refused.reason))?;
        if durable.versions < durable.confirmed_versions {
            return Err(damaged(verified.end, "cells are missing".to_owned()));
        }
        if image.is_none() && durable.released != Position::ORIGIN {
            let reason =
                format!("no image is intact, and the records before {} were released", durable.released.offset);
            return Err(damaged(verified.end, reason));
        }
        let broken = durable.images.extract_if(.., |_, image| image.damaged);
        let notes =
            broken.map(|(at, _)| format!("the image at offset {at} was damaged and has been removed")).collect();
        let end = verified.end;
        self.torn = None;
        durable.confirmed = end;
        durable.confirmed_versions = durable.versions;
        Ok(Recovered {
            released: durable.released,
            end,
            image,
            cells: durable.cells.clone(),
            cut: verified.torn.map(|defect| Cut { end, bytes: defect.bytes, reason: defect.reason }),
            notes,
        })
    }
}

/// The journal on a simulated disk, in the hands of a simulated host.
#[derive(Debug)]
pub struct SimStore {
    disk: SimDisk,
    session: u64,
}

impl SimStore {
    /// Begins to sync everything handed over until now.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn begin_sync(&mut self) -> Result<Ticket, Error> {
        let disk = self.alive()?;
        Ok(Ticket { session: self.session, through: disk.done + disk.pending.len() as u64 })
    }

    fn alive(&self) -> Result<MutexGuard<'_, Disk>, Error> {
        let disk = self.disk.lock();
        disk.alive(self.session)?;
        Ok(disk)
    }
}

impl Drop for SimStore {
    /// Gives the disk free. What is pending stays so: whether it reaches the disk is the world's choice.
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.session == self.session {
            disk.held = false;
        }
    }
}

impl Store for SimStore {
    type Access = SimAccess;

    fn access(&self) -> SimAccess {
        SimAccess { disk: self.disk.clone(), session: self.session }
    }

    fn end(&self) -> Position {
        self.disk.lock().end
    }

    fn append(&mut self, records: &[Record]) -> Result<(), Error> {
        let mut disk = self.alive()?;
        for record in records {
            disk.end = record.follows(disk.end).map_err(Error::Misplaced)?;
            disk.pending.push_back(Change::Append(record.clone()));
        }
        Ok(())
    }

    fn put(&mut self, cell: &str, value: &[u8]) -> Result<(), Error> {
        let mut disk = self.alive()?;
        check_cell(cell, value)?;
        disk.pending.push_back(Change::Put(cell.to_owned(), value.to_vec()));
        Ok(())
    }

    fn truncate(&mut self, to: Position) -> Result<(), Error> {
        let mut disk = self.alive()?;
        if disk.position_before(to.offset) != Some(to) {
            return Err(Error::NoSuchPosition(to));
        }
        disk.generation += 1;
        disk.pending.push_back(Change::Truncate(to));
        disk.end = to;
        Ok(())
    }

    fn install(
        &mut self,
        at: Position,
        chunks: &mut dyn Iterator<Item = Vec<u8>>,
        cell: &str,
        value: &[u8],
    ) -> Result<(), Error> {
        check_cell(cell, value)?;
        let image = StoredImage::of(at, chunks);
        let mut disk = self.alive()?;
        disk.poisoned = image.is_err();
        disk.pending.push_back(Change::Install(image?, cell.to_owned(), value.to_vec()));
        disk.generation += 1;
        disk.end = at;
        Ok(())
    }

    fn release(&mut self, before: Offset) -> Result<(), Error> {
        let mut disk = self.alive()?;
        let durable = disk.durable.images.keys().copied();
        let pending = disk.pending.iter().filter_map(|change| match change {
            Change::Install(image, ..) => Some(image.image.at.offset.0),
            _ => None,
        });
        if !durable.chain(pending).any(|at| at >= before.0) {
            return Err(Error::NotCovered { before });
        }
        disk.pending.push_back(Change::Release(before));
        Ok(())
    }

    fn sync(&mut self) -> Result<Synced, Error> {
        self.alive()?.sync_all()
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.alive().map(drop)
    }
}

/// Access to the journal on a simulated disk, for the host that has opened it.
#[derive(Clone, Debug)]
pub struct SimAccess {
    disk: SimDisk,
    session: u64,
}

impl SimAccess {
    fn alive(&self) -> Result<MutexGuard<'_, Disk>, Error> {
        let disk = self.disk.lock();
        disk.alive(self.session)?;
        Ok(disk)
    }
}

impl Access for SimAccess {
    fn records(&self, from: Offset) -> Result<Records, Error> {
        let first = self.alive()?.durable.released.offset;
        if from < first {
            return Err(Error::Released { from, first });
        }
        let (access, mut next) = (self.clone(), from);
        Ok(Box::new(std::iter::from_fn(move || {
            let record = access.alive().map(|disk| disk.durable.from(next).next().cloned()).transpose()?;
            next = next.next();
            Some(record)
        })))
    }

    fn image(&self) -> Option<Image> {
        self.alive().ok()?.durable.images.values().next_back().map(|image| image.image)
    }

    fn image_at(&self, at: Position) -> Option<Image> {
        let disk = self.alive().ok()?;
        disk.durable.images.get(&at.offset.0).map(|image| image.image).filter(|image| image.at == at)
    }

    fn chunks(&self, at: Position) -> Result<Chunks, Error> {
        let disk = self.alive()?;
        let image = disk.durable.images.get(&at.offset.0).filter(|image| image.image.at == at);
        let image = image.ok_or(Error::NoImage(at))?;
        if image.damaged {
            return Err(Error::Broken);
        }
        let chunks = Arc::clone(&image.chunks);
        Ok(Box::new((0..chunks.len()).map(move |index| Ok(chunks[index].clone()))))
    }

    fn piece(&self, at: Position, from: u64, bytes: usize) -> Result<Vec<u8>, Error> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let whole: Vec<Vec<u8>> = self.chunks(at)?.collect::<Result<_, _>>()?;
        Ok(whole.concat().into_iter().skip(from).take(bytes).collect())
    }

    fn write_image(&self, at: Position, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<Image, Error> {
        // The chunks are taken before the disk is locked: they may come from someone who reads it.
        let stored = StoredImage::of(at, chunks)?;
        let mut disk = self.alive()?;
        disk.fault()?;
        let durable = disk.durable.end();
        if at.offset > durable.offset {
            return Err(Error::NotDurable { at, durable });
        }
        if disk.durable.position_before(at.offset) != Some(at) {
            return Err(Error::NoSuchPosition(at));
        }
        Ok(disk.durable.images.entry(at.offset.0).or_insert(stored).image)
    }

    fn cell(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.alive()?.durable.cells.get(name).cloned())
    }
}
