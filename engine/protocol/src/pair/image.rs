//! Catching up from an image: what a standby gets when the records that it needs are released.
//!
//! The active answers its joining with an offer: the position of its newest image. The standby asks for piece after piece, a
//! few at a time, and hands them over to its host in order; what is lost is asked for again. When the image is whole, the
//! journal is *installed*: storage gives up what was there and begins anew with the image, in one change. Then the
//! application is built anew, and the standby joins as always.
//!
//! What can fail: messages are lost or late; the active ends, or releases the image, and then the standby starts over with
//! the next one; the standby ends, and then it has its old journal or the new one. Pieces that were collected belong to an
//! image, not to a stream, so a new stream of the same image goes on where the last one was.
//!
//! Why nothing is lost by it (see J10 to J12 in `PROTOCOL.md`): an image is of committed records only; it is offered only by
//! an active that is alone, so nothing that the standby has counts for a commit; and it is installed only if it is not behind
//! what the standby itself knows to be committed.

use super::message::{ImagePiece, Message, Session};
use super::planted::Bug;
use super::{Duty, EPOCHS_CELL, Happened, Pair, PairHint, Paired, Reason, Trouble};
use crate::checksum::Checksum;
use crate::limit::IMAGE_PIECE;
use crate::outbox::Outbox;
use crate::pair::epochs::Epochs;
use crate::record::{Epoch, Offset, Position};
use crate::register::Mode;
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// So many pieces are under way at a time.
const PIECES: u64 = 8;

/// By how many doublings the wait for a piece grows.
const MOST_PATIENCE: u32 = 3;

/// So many times the owner may want to release records, in vain because the standby needs them; then it gets a newer image.
/// An owner does so with each new image, so the journal grows to so many times the length at which one is taken.
const MOST_HELD: u32 = 4;

/// An image that the active sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sending {
    pub(super) at: Position,
    /// The pieces that storage is reading, by their first bytes.
    reading: BTreeSet<u64>,
}

/// An image that the standby gets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fetch {
    /// The stream in which it is offered now.
    session: Option<Session>,
    at: Position,
    epochs: Vec<(Epoch, Offset)>,
    /// Length and checksum, as the first piece has told them.
    whole: Option<(u64, u64)>,
    /// Everything before has been handed over to the host.
    kept: u64,
    /// Of what was handed over.
    sum: Checksum,
    /// Everything before has been asked for.
    asked: u64,
    /// Pieces that have overtaken others.
    early: BTreeMap<u64, Vec<u8>>,
    /// How often in a row nothing has come in time.
    attempts: u32,
}

/// What waits to be released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Held {
    /// The owner needs nothing before.
    releasable: Offset,
    /// How often it has said so in vain.
    times: u32,
}

impl Sending {
    pub(super) const fn new(at: Position) -> Self {
        Self { at, reading: BTreeSet::new() }
    }
}

impl Fetch {
    fn new(session: Session, at: Position, epochs: Vec<(Epoch, Offset)>) -> Self {
        let (session, early) = (Some(session), BTreeMap::new());
        Self { session, at, epochs, whole: None, kept: 0, sum: Checksum::new(0), asked: 0, early, attempts: 0 }
    }

    /// Goes on with an image that was offered again.
    fn go_on(&mut self, session: Session, epochs: Vec<(Epoch, Offset)>) {
        (self.session, self.epochs, self.asked, self.attempts) = (Some(session), epochs, self.kept, 0);
    }

    /// The next pieces to ask for.
    fn ask(&mut self, piece: u64) -> Vec<u64> {
        // How long it is, is known from the first piece on.
        let length = self.whole.map_or(1, |(length, _)| length);
        let mut wanted = Vec::new();
        while self.asked < length && self.asked < self.kept + PIECES * piece {
            if !self.early.contains_key(&self.asked) {
                wanted.push(self.asked);
            }
            self.asked += piece;
        }
        wanted
    }

    /// Takes a piece in. What can be handed over now, in order; none if it is of no use.
    fn take(&mut self, from: u64, piece: ImagePiece, size: u64) -> Vec<(u64, Vec<u8>)> {
        let whole = (piece.length, piece.checksum);
        if *self.whole.get_or_insert(whole) != whole {
            // Another image of the same state: that of another node, or of another program.
            let (at, epochs, session) = (self.at, core::mem::take(&mut self.epochs), self.session);
            *self = Self { session, whole: Some(whole), ..Self::new(Session::default(), at, epochs) };
        }
        let is_expected = from < self.asked && from >= self.kept && from.is_multiple_of(size);
        if !is_expected || piece.bytes.len() as u64 != size.min(piece.length.saturating_sub(from)) {
            return Vec::new();
        }
        self.attempts = 0;
        self.early.insert(from, piece.bytes);
        let mut ready = Vec::new();
        while let Some(bytes) = self.early.remove(&self.kept) {
            let first = self.kept;
            self.sum.update(&bytes);
            self.kept += bytes.len() as u64;
            ready.push((first, bytes));
        }
        ready
    }

    fn is_complete(&self) -> bool {
        self.whole.is_some_and(|(length, _)| self.kept == length)
    }

    fn is_intact(&self) -> bool {
        self.whole.is_some_and(|(_, checksum)| self.sum.finish() == checksum)
    }
}

/// The active's side.
impl Pair {
    /// The standby needs records from `needs` on, which are released: it gets the newest image.
    pub(super) fn offer<M: Paired>(&mut self, session: Session, needs: Offset, out: &mut Outbox<'_, M>) {
        let image = out.journal().image();
        let is_alone = matches!(self.duty, Duty::Active(active) if active.mode == Mode::Alone);
        let is_fit = is_alone && image.offset >= needs || self.config.bugs.has(Bug::InstallBehind);
        if image.offset == Offset::ZERO || !is_fit {
            self.stream = None;
            return self.happened.push(Happened::Trouble(Trouble::Released { needs }));
        }
        self.stream = Some(super::lead::Stream::of_image(session, image));
        self.hint_offer(session, image, out);
    }

    fn hint_offer<M: Paired>(&self, session: Session, at: Position, out: &mut Outbox<'_, M>) {
        let epochs = self.epochs.newest_before(at.offset);
        self.hint(self.config.seat.peer(), Message::Offer { session, at, epochs }, out);
    }

    /// The standby wants a piece of the image.
    pub(super) fn fetched<M: Paired>(
        &mut self,
        session: Session,
        at: Position,
        (from, bytes): (u64, u32),
        out: &mut Outbox<'_, M>,
    ) {
        let Duty::Active(_) = self.duty else { return };
        let Some(sending) = self.stream.as_mut().and_then(|stream| stream.image_of(session)) else { return };
        // A stream can change to a newer image, when a doubled message begins it once more.
        if sending.at != at {
            let at = sending.at;
            return self.hint_offer(session, at, out);
        }
        if sending.reading.len() as u64 >= PIECES || !sending.reading.insert(from) {
            return;
        }
        let bytes = usize::try_from(bytes).unwrap_or(IMAGE_PIECE).min(IMAGE_PIECE);
        out.hint(M::pair_hint(PairHint::ReadImage { at: sending.at, from, bytes }));
    }

    /// Storage has read a piece of an image.
    pub(super) fn image_read<M: Paired>(
        &mut self,
        at: Position,
        from: u64,
        piece: Option<ImagePiece>,
        out: &mut Outbox<'_, M>,
    ) {
        let Some(stream) = &mut self.stream else { return };
        let session = stream.session();
        let Some(sending) = stream.image_of(session).filter(|sending| sending.at == at) else { return };
        if !sending.reading.remove(&from) {
            return;
        }
        match piece {
            Some(piece) => self.hint(self.config.seat.peer(), Message::Piece { session, at, from, piece }, out),
            None => {
                // The standby asks anew, and gets a newer one.
                self.stream = None;
                if out.journal().image() == at {
                    self.happened.push(Happened::Trouble(Trouble::Released { needs: at.offset }));
                }
            }
        }
    }

    /// The owner needs the records and images before this no more: they are released as soon as the standby does not need them
    /// either, or sooner when it takes too long. Instead of [`Outbox::release`].
    pub fn release<M: Paired>(&mut self, now: crate::time::Now, before: Offset, out: &mut Outbox<'_, M>) {
        if out.journal().released().next() < self.held.releasable {
            self.held.times += 1;
        }
        self.held.releasable = self.held.releasable.max(before);
        self.release_records(now.instant, true, out);
    }

    /// Releases what can be released: something whenever the owner says so, and the rest when the standby has caught up.
    pub(super) fn release_records<M: Paired>(&mut self, now: Instant, is_news: bool, out: &mut Outbox<'_, M>) {
        let releasable = self.held.releasable;
        let needed = self.needed_by_standby(now).filter(|_| self.held.times <= MOST_HELD);
        let before = needed.map_or(releasable, |needed| needed.min(releasable));
        if before.next() >= releasable {
            self.held.times = 0;
        }
        if (is_news || before.next() >= releasable) && before > out.journal().released() {
            out.release(before);
            let image = self.stream.as_ref().and_then(super::lead::Stream::image);
            self.stream.take_if(|_| image.is_some_and(|at| at.offset < before));
        }
    }

    /// The first record that the standby may yet ask for, if it lives.
    fn needed_by_standby(&self, now: Instant) -> Option<Offset> {
        let stream = self.stream.as_ref().filter(|_| self.is_active() && !self.is_peer_lost(now))?;
        Some(stream.needs())
    }
}

/// The standby's side.
impl Pair {
    /// Whether an image is on its way to this node.
    #[must_use]
    pub fn is_fetching(&self) -> bool {
        self.fetch.as_ref().is_some_and(|fetch| fetch.session.is_some())
    }

    /// The stream in which an image is on its way.
    pub(super) fn fetching_in(&self) -> Option<Session> {
        self.fetch.as_ref()?.session
    }

    /// The active has an image instead of the records.
    pub(super) fn offered<M: Paired>(
        &mut self,
        now: Instant,
        session: Session,
        at: Position,
        epochs: Vec<(Epoch, Offset)>,
        out: &mut Outbox<'_, M>,
    ) {
        // In a stream only a newer image takes the place of the one before.
        let is_newer = |fetch: &Fetch| fetch.session != Some(session) || fetch.at.offset < at.offset;
        if !self.is_expected(session) || !self.fetch.as_ref().is_none_or(is_newer) {
            return;
        }
        if out.journal().may_install(at).is_err() {
            return self.diverged(at, out);
        }
        match &mut self.fetch {
            Some(fetch) if fetch.at == at => fetch.go_on(session, epochs),
            _ => {
                self.forget_image(out);
                self.fetch = Some(Fetch::new(session, at, epochs));
            }
        }
        self.ask_for_pieces(now, out);
    }

    /// A piece of the image has arrived.
    pub(super) fn piece_arrived<M: Paired>(
        &mut self,
        now: Instant,
        (session, at): (Session, Position),
        from: u64,
        piece: ImagePiece,
        out: &mut Outbox<'_, M>,
    ) {
        let size = self.piece_size() as u64;
        let is_wanted = matches!(self.duty, Duty::Standby(_)) && !self.is_rolling_back;
        let Some(fetch) =
            self.fetch.as_mut().filter(|fetch| is_wanted && fetch.session == Some(session) && fetch.at == at)
        else {
            return;
        };
        let ready = fetch.take(from, piece, size);
        let (is_complete, is_intact) = (fetch.is_complete(), fetch.is_intact());
        for (from, bytes) in ready {
            out.hint(M::pair_hint(PairHint::KeepPiece { from, bytes }));
        }
        if !is_complete {
            return self.ask_for_pieces(now, out);
        }
        if is_intact {
            return self.install(out);
        }
        self.forget_image(out);
        self.join(out);
    }

    /// Nothing has come for a while: what is missing is asked for again.
    pub(super) fn ask_for_pieces_again<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        let is_standby = matches!(self.duty, Duty::Standby(_));
        let Some(fetch) = self.fetch.as_mut().filter(|fetch| is_standby && fetch.session.is_some()) else { return };
        fetch.attempts = fetch.attempts.saturating_add(1);
        fetch.asked = fetch.kept;
        self.ask_for_pieces(now, out);
    }

    fn piece_size(&self) -> usize {
        self.config.piece.clamp(1, IMAGE_PIECE)
    }

    fn ask_for_pieces<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        let size = self.piece_size();
        let Some(fetch) = &mut self.fetch else { return };
        let Some(session) = fetch.session else { return };
        let at = fetch.at;
        let patience = self.config.timing.exchange * (1 << fetch.attempts.min(MOST_PATIENCE));
        self.deadlines.set(Reason::Fetch, now + patience);
        for from in fetch.ask(size as u64) {
            let message = Message::Fetch { session, at, from, bytes: u32::try_from(size).unwrap_or(u32::MAX) };
            self.hint(self.config.seat.peer(), message, out);
        }
    }

    /// The image is whole.
    fn install<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        let Some(fetch) = self.fetch.take() else { return };
        self.deadlines.cancel(&Reason::Fetch);
        let epochs = Epochs::told(&fetch.epochs);
        match out.install(fetch.at, EPOCHS_CELL, epochs.encode()) {
            Ok(()) => {
                self.epochs = epochs;
                self.is_rolling_back = true;
                self.happened.push(Happened::Installed(fetch.at));
            }
            Err(_) => {
                out.hint(M::pair_hint(PairHint::DropPieces));
                self.diverged(fetch.at, out);
            }
        }
    }

    /// Another stream begins, perhaps of the same image.
    pub(super) fn suspend_image(&mut self) {
        if let Some(fetch) = &mut self.fetch {
            fetch.session = None;
            self.deadlines.cancel(&Reason::Fetch);
        }
    }

    /// The image is not needed any more.
    pub(super) fn forget_image<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        if self.fetch.take().is_some() {
            self.deadlines.cancel(&Reason::Fetch);
            out.hint(M::pair_hint(PairHint::DropPieces));
        }
    }
}
