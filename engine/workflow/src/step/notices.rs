//! Posting, expecting and consuming notices.

use super::order_step::OrderStep;
use crate::expression::board::{Availability, BoardExpression};
use crate::expression::scope::unknown_key;
use crate::id::{BoardPath, NoticeKey};
use crate::model::event::Event;
use crate::model::instruction::{Instruction, WhenNotAnnounced};
use crate::model::item::Item;
use crate::model::notice::NoticeId;
use crate::model::order::OrderState;
use crate::model::order_event::{MoveReason, OrderEvent};
use crate::model::plan::PlanId;
use crate::problem::{Checked, Problem};
use crate::time::Timestamp;
use crate::value::Value;
use alloc::format;
use alloc::vec::Vec;

impl OrderStep<'_> {
    pub(super) fn post_notices(&mut self, boards: &[BoardPath]) -> Checked<()> {
        if !self.at_controller_or_detach()? || !self.start()? {
            return Ok(());
        }
        for board in boards {
            let (notice_id, end_of_life) = self.notice_to_post(board)?;
            self.emit(OrderEvent::OrderNoticePosted { notice_id: Some(notice_id), end_of_life, notice: None })?;
        }
        let next = self.position().next();
        self.move_to(next, None)
    }

    fn board(&self, path: &BoardPath) -> Checked<&Item> {
        self.state.items().board(path).ok_or_else(|| unknown_key("BoardPath", &format!("Board:{path}")))
    }

    fn notice_to_post(&self, path: &BoardPath) -> Checked<(NoticeId, Option<Timestamp>)> {
        let (plan_id, key, end_of_life) = match self.board(path)? {
            Item::GlobalBoard(board) => {
                let key = self.evaluate(&board.post_order_to_notice_key)?;
                (PlanId::Global, key, end_of_life(&self.evaluate(&board.end_of_life)?)?)
            }
            Item::PlannableBoard(board) => {
                let key = self.evaluate_for_board(&board.post_order_to_notice_key)?;
                (self.order.plan_id.clone(), key, None)
            }
            _ => return Err(unknown_key("BoardPath", &format!("Board:{path}"))),
        };
        let notice_key = notice_key(&key)?;
        Ok((NoticeId { plan_id, board_path: path.clone(), notice_key }, end_of_life))
    }

    fn expected_notice(&self, path: &BoardPath) -> Checked<NoticeId> {
        let (plan_id, key) = match self.board(path)? {
            Item::GlobalBoard(board) => (PlanId::Global, self.evaluate_pure(&board.expect_order_to_notice_key)?),
            Item::PlannableBoard(board) => {
                (self.order.plan_id.clone(), self.evaluate_for_board(&board.expect_order_to_notice_key)?)
            }
            _ => return Err(unknown_key("BoardPath", &format!("Board:{path}"))),
        };
        Ok(NoticeId { plan_id, board_path: path.clone(), notice_key: notice_key(&key)? })
    }

    pub(super) fn expect_notices(&mut self, instruction: &Instruction) -> Checked<()> {
        let (boards, when_not_announced, consumes) = match instruction {
            Instruction::ExpectNotices { board_paths, when_not_announced } => (board_paths, *when_not_announced, false),
            Instruction::ConsumeNotices { board_paths, when_not_announced, .. } => {
                (board_paths, *when_not_announced, true)
            }
            _ => return Ok(()),
        };
        if !self.at_controller_or_detach()? || !self.start()? {
            return Ok(());
        }
        let (notice_ids, is_waiting) = match &self.order.state {
            OrderState::ExpectingNotices { notice_ids } => (notice_ids.clone(), true),
            _ => {
                let ids = boards
                    .boards()
                    .iter()
                    .map(|path| self.expected_notice(&BoardPath::checked(path)?))
                    .collect::<Checked<Vec<_>>>()?;
                (ids, false)
            }
        };
        let availability = self.availability(boards, &notice_ids, None);
        let notices = self.state.notices();
        let any_posted = notice_ids.iter().any(|id| notices.availability(id) == Availability::True);
        match (availability, when_not_announced) {
            (Availability::True, _) => self.take_notices(notice_ids, consumes, None),
            _ if is_waiting => Ok(()),
            (Availability::False, _) | (Availability::Unknown, WhenNotAnnounced::Wait) => {
                self.emit(OrderEvent::OrderNoticesExpected { notice_ids })
            }
            (Availability::Unknown, WhenNotAnnounced::SkipWhenNoNotice) if consumes && any_posted => {
                self.take_notices(notice_ids, true, None)
            }
            (Availability::Unknown, WhenNotAnnounced::DontWait) if consumes => {
                self.take_notices(notice_ids, true, None)
            }
            (Availability::Unknown, WhenNotAnnounced::SkipWhenNoNotice | WhenNotAnnounced::DontWait) => {
                self.take_notices(notice_ids, false, Some(MoveReason::NoNotice))
            }
        }
    }

    /// What the boards say; a notice which is being posted counts as posted.
    fn availability(
        &self,
        boards: &BoardExpression,
        notice_ids: &[NoticeId],
        posted: Option<&NoticeId>,
    ) -> Availability {
        let notices = self.state.notices();
        boards.eval(&mut |path| match notice_ids.iter().find(|id| id.board_path.as_str() == path) {
            None => Availability::Unknown,
            Some(id) if Some(id) == posted => Availability::True,
            Some(id) => notices.availability(id),
        })
    }

    /// What an order that waits for a notice does when a command posts this notice. It moves just behind its instruction: the
    /// command does not depend on what comes there.
    ///
    /// # Errors
    /// The order does not stand at an instruction which expects notices.
    pub(crate) fn on_notice_posted(mut self, posted: &NoticeId) -> Checked<Vec<Event>> {
        let OrderState::ExpectingNotices { notice_ids } = &self.order.state else { return Ok(Vec::new()) };
        let notice_ids = notice_ids.clone();
        let (boards, consumes) = match self.instruction()? {
            Instruction::ExpectNotices { board_paths, .. } => (board_paths, false),
            Instruction::ConsumeNotices { board_paths, .. } => (board_paths, true),
            other => return Err(Problem::new(format!("{} does not expect notices", other.type_name()))),
        };
        if self.availability(boards, &notice_ids, Some(posted)) != Availability::True {
            return Ok(Vec::new());
        }
        if consumes {
            self.emit(OrderEvent::OrderNoticesConsumptionStarted { notice_ids })?;
        } else {
            self.emit(OrderEvent::OrderNoticesRead)?;
            let to = self.position().next();
            self.emit(OrderEvent::OrderMoved { to, reason: None })?;
        }
        Ok(self.events)
    }

    fn take_notices(&mut self, notice_ids: Vec<NoticeId>, consumes: bool, reason: Option<MoveReason>) -> Checked<()> {
        if consumes {
            return self.emit(OrderEvent::OrderNoticesConsumptionStarted { notice_ids });
        }
        self.emit(OrderEvent::OrderNoticesRead)?;
        let next = self.position().next();
        self.move_to(next, reason)
    }
}

pub(crate) fn notice_key(value: &Value) -> Checked<NoticeKey> {
    match value {
        Value::String(key) => NoticeKey::checked(key),
        other => Err(Problem::new(format!("A notice key must be a string, not {}", crate::json::print(other)))),
    }
}

pub(crate) fn end_of_life(value: &Value) -> Checked<Option<Timestamp>> {
    match value {
        Value::Missing => Ok(None),
        Value::Number(number) => match number.to_i64() {
            Some(millis) => Ok(Some(Timestamp::from_millis(millis))),
            None => Err(Problem::new(format!("endOfLife must be milliseconds since 1970, not {number}"))),
        },
        other => Err(Problem::new(format!(
            "endOfLife must be a number of milliseconds since 1970, not {}",
            crate::json::print(other)
        ))),
    }
}
