//! What a pair asks of the storage of its node, the same for controllers and directors.

use crate::driver::{Host, InputOf, Reading};
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{PairHint, PairInput, Trouble};
use baton_protocol::register::Seat;

/// What is left to be done by the host.
pub(super) enum Left {
    /// To be sent.
    Send(Seat, Envelope),
    /// A person has to look.
    Trouble(Trouble),
    /// Nothing.
    Nothing,
}

/// Reads and collects what the pair wants; `wrap` makes inputs of the answers.
pub(super) fn hint<H: Host>(hint: PairHint, reading: &mut Reading<'_, H>, wrap: fn(PairInput) -> InputOf<H>) -> Left {
    match hint {
        PairHint::Send(to, envelope) => return Left::Send(to, envelope),
        PairHint::Trouble(trouble) => return Left::Trouble(trouble),
        PairHint::Read { number, from, bytes: _ } => {
            reading.records(from, move |records| wrap(PairInput::Read { number, from, records }));
        }
        PairHint::ReadImage { at, from, bytes } => {
            reading.image_piece(at, from, bytes, move |piece| wrap(PairInput::ImageRead { at, from, piece }));
        }
        PairHint::KeepPiece { from, bytes } => reading.keep_piece(from, bytes),
        PairHint::DropPieces => reading.drop_pieces(),
    }
    Left::Nothing
}
