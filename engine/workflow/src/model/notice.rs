//! Notices and the boards they are posted on.

use super::forms;
use super::plan::PlanId;
use crate::expression::Expression;
use crate::id::{BoardPath, NoticeKey, PlanKey, PlanSchemaId};
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json, Node, NodeKind};
use crate::time::Timestamp;
use crate::value::Value;
use core::fmt;

/// Identifies a notice: plan, board, key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct NoticeId {
    /// The plan.
    pub plan_id: PlanId,
    /// The board.
    pub board_path: BoardPath,
    /// The key within plan and board, maybe empty.
    pub notice_key: NoticeKey,
}

impl NoticeId {
    /// The id without the board.
    #[must_use]
    pub fn planned_key(&self) -> PlannedNoticeKey {
        PlannedNoticeKey { plan_id: self.plan_id.clone(), notice_key: self.notice_key.clone() }
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice:")?;
        if let PlanId::Of(schema, key) = &self.plan_id {
            write!(f, "{schema}╱{key}╱")?;
        }
        write!(f, "{}", self.board_path)?;
        if !self.notice_key.as_str().is_empty() {
            write!(f, "╱{}", self.notice_key)?;
        }
        Ok(())
    }
}

/// The last element of a list of parts, if the list has it, else an empty key.
fn key_at(doc: &Doc<'_>, parts: &[Node], at: usize) -> Option<NoticeKey> {
    parts.get(at).map_or_else(|| Some(NoticeKey::new("")), |node| NoticeKey::read(&doc.element(at, node)))
}

fn plan_at(doc: &Doc<'_>, parts: &[Node]) -> Option<PlanId> {
    let schema = PlanSchemaId::read(&doc.element(0, &parts[0]));
    let key = PlanKey::read(&doc.element(1, &parts[1]));
    Some(PlanId::Of(schema?, key?))
}

fn plan_parts(plan_id: &PlanId) -> alloc::vec::Vec<Value> {
    match plan_id {
        PlanId::Global => alloc::vec::Vec::new(),
        PlanId::Of(schema, key) => alloc::vec::Vec::from([schema.write(), key.write()]),
    }
}

impl Json for NoticeId {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let what = "a notice: [\"board\", \"key\"] or [\"schema\", \"plan\", \"board\", \"key\"]";
        let NodeKind::List(parts) = &doc.node.kind else {
            return doc.expected(what);
        };
        match parts.len() {
            1 | 2 => {
                let board_path = BoardPath::read(&doc.element(0, &parts[0]));
                let notice_key = key_at(doc, parts, 1);
                Some(Self { plan_id: PlanId::Global, board_path: board_path?, notice_key: notice_key? })
            }
            3 | 4 => {
                let plan_id = plan_at(doc, parts);
                let board_path = BoardPath::read(&doc.element(2, &parts[2]));
                let notice_key = key_at(doc, parts, 3);
                Some(Self { plan_id: plan_id?, board_path: board_path?, notice_key: notice_key? })
            }
            _ => doc.expected(what),
        }
    }

    fn write(&self) -> Value {
        let mut parts = plan_parts(&self.plan_id);
        parts.push(self.board_path.write());
        if !self.notice_key.as_str().is_empty() {
            parts.push(self.notice_key.write());
        }
        Value::list(parts)
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("array")
    }
}

/// Identifies a notice on a given board: plan and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct PlannedNoticeKey {
    /// The plan.
    pub plan_id: PlanId,
    /// The key within plan and board, maybe empty.
    pub notice_key: NoticeKey,
}

impl Json for PlannedNoticeKey {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match &doc.node.kind {
            NodeKind::String(key) => Some(Self { plan_id: PlanId::Global, notice_key: NoticeKey::new(key) }),
            NodeKind::List(parts) if parts.len() == 2 || parts.len() == 3 => {
                let plan_id = plan_at(doc, parts);
                let notice_key = key_at(doc, parts, 2);
                Some(Self { plan_id: plan_id?, notice_key: notice_key? })
            }
            _ => doc.expected("a notice key: \"key\" or [\"schema\", \"plan\", \"key\"]"),
        }
    }

    fn write(&self) -> Value {
        if self.plan_id.is_global() {
            return self.notice_key.write();
        }
        let mut parts = plan_parts(&self.plan_id);
        if !self.notice_key.as_str().is_empty() {
            parts.push(self.notice_key.write());
        }
        Value::list(parts)
    }

    fn schema(_: &mut Schemas) -> Value {
        Value::Boolean(true)
    }
}

/// Identifies a notice within a given plan: board and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct BoardNoticeKey {
    /// The board.
    pub board_path: BoardPath,
    /// The key within plan and board, maybe empty.
    pub notice_key: NoticeKey,
}

impl Json for BoardNoticeKey {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match &doc.node.kind {
            NodeKind::List(parts) if parts.len() == 1 || parts.len() == 2 => {
                let board_path = BoardPath::read(&doc.element(0, &parts[0]));
                let notice_key = key_at(doc, parts, 1);
                Some(Self { board_path: board_path?, notice_key: notice_key? })
            }
            _ => doc.expected("a board with a notice key: [\"board\", \"key\"]"),
        }
    }

    fn write(&self) -> Value {
        let mut parts = alloc::vec::Vec::from([self.board_path.write()]);
        if !self.notice_key.as_str().is_empty() {
            parts.push(self.notice_key.write());
        }
        Value::list(parts)
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("array")
    }
}

crate::json_struct! {
    /// A board whose notices are the same for all plans.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GlobalBoard {
        /// Its path.
        path: BoardPath => "path";
        /// The key of the notice which an order posts.
        post_order_to_notice_key: Expression => "postOrderToNoticeKey" | "postOrderToNoticeId";
        /// The key of the notice which an order expects.
        expect_order_to_notice_key: Expression => "expectOrderToNoticeKey" | "expectOrderToNoticeId";
        /// When a posted notice is deleted: milliseconds since 1970, or missing for never.
        end_of_life: Expression => "endOfLife", default forms::missing();
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
}

crate::json_struct! {
    /// A board whose notices belong to the plan of the order.
    #[derive(Clone, Debug, PartialEq)]
    pub struct PlannableBoard {
        /// Its path.
        path: BoardPath => "path";
        /// The key of the notice which an order posts.
        post_order_to_notice_key: Expression => "postOrderToNoticeKey", shown forms::empty_string();
        /// The key of the notice which an order expects.
        expect_order_to_notice_key: Expression => "expectOrderToNoticeKey", shown forms::empty_string();
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
}

crate::json_struct! {
    /// A posted notice.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub struct Notice {
        /// Its id.
        id: NoticeId => "id";
        /// When it is deleted by itself.
        end_of_life: Option<Timestamp> => "endOfLife", default None;
    }
    rewrite super::legacy::notice;
}

crate::json_struct! {
    /// A place on a board for one notice, posted or not.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub struct NoticePlace {
        /// Which notice.
        notice_id: NoticeId => "noticeId";
        /// Whether an order of the plan will post it.
        is_announced: bool => "isAnnounced", default false;
        /// Whether orders are consuming it, and it has not been posted again meanwhile.
        is_in_consumption: bool => "isInConsumption", default false;
        /// How many orders are consuming it.
        consumption_count: u32 => "consumptionCount", default 0;
    }
    rewrite super::legacy::notice_place;
}

crate::json_union! {
    /// What happens on a board.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum NoticeEvent {
        /// A notice was posted by command.
        NoticePosted => "NoticePosted" {
            /// Which.
            planned_notice_key: PlannedNoticeKey => "plannedNoticeKey";
            /// When it is deleted by itself.
            end_of_life: Option<Timestamp> => "endOfLife", default None;
        };
        /// A notice was deleted.
        NoticeDeleted => "NoticeDeleted" {
            /// Which.
            planned_notice_key: PlannedNoticeKey => "plannedNoticeKey" | "noticeId";
        };
        /// A notice got another key, because the board changed its type.
        NoticeMoved => "NoticeMoved" {
            /// The former key.
            from_planned_notice_key: PlannedNoticeKey => "fromPlannedNoticeKey";
            /// The new key.
            to_planned_notice_key: PlannedNoticeKey => "toPlannedNoticeKey";
            /// When it is deleted by itself.
            end_of_life: Option<Timestamp> => "endOfLife", default None;
        };
    }
    rewrite super::legacy::notice_event;
}
