//! Older forms of documents and records, which are still accepted: each is turned into the present form before it is
//! read. `None` means that the node has the present form already.

use crate::json::{Node, NodeKind, Place};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

type Members = Vec<(Arc<str>, Place, Node)>;

fn members(node: &Node) -> Option<&Members> {
    match &node.kind {
        NodeKind::Object(members) => Some(members),
        NodeKind::Null | NodeKind::Boolean(_) | NodeKind::Number(_) | NodeKind::String(_) | NodeKind::List(_) => None,
    }
}

fn type_name(node: &Node) -> Option<&str> {
    node.get("TYPE")?.as_str()
}

fn string(text: &str, place: Place) -> Node {
    Node { kind: NodeKind::String(text.into()), place }
}

fn list(nodes: Vec<Node>, place: Place) -> Node {
    Node { kind: NodeKind::List(nodes), place }
}

fn object(members: Members, place: Place) -> Node {
    Node { kind: NodeKind::Object(members), place }
}

fn member(name: &str, node: Node) -> (Arc<str>, Place, Node) {
    (name.into(), node.place, node)
}

/// The object without some members, and with others.
fn changed(node: &Node, without: &[&str], with: Members) -> Option<Node> {
    let kept = members(node)?.iter().filter(|(name, _, _)| !without.contains(&&**name)).cloned();
    Some(object(kept.chain(with).collect(), node.place))
}

/// Quotes a text as an expression which gives that text.
pub(crate) fn quoted(text: &str) -> alloc::string::String {
    if text.is_empty() || text.contains(['\'', '\r', '\n']) {
        let mut quoted = alloc::string::String::from("\"");
        for c in text.chars() {
            match c {
                '\\' | '"' | '$' => quoted.extend(['\\', c]),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                c => quoted.push(c),
            }
        }
        quoted.push('"');
        quoted
    } else {
        format!("'{text}'")
    }
}

/// A text member becomes a quoted expression under a new name.
fn quote_member(node: &Node, old: &str, new: &str) -> Option<Node> {
    let text = node.get(old)?;
    let quoted = string(&quoted(text.as_str()?), text.place);
    changed(node, &[old], vec![member(new, quoted)])
}

/// `unknownPlanIsClosedFunction` is the inverse of the present function.
pub(super) fn plan_schema(node: &Node) -> Option<Node> {
    let old = node.get("unknownPlanIsClosedFunction")?;
    let (parameter, body) = old.as_str()?.split_once("=>")?;
    let function = string(&format!("{parameter}=> !({body})"), old.place);
    changed(node, &["unknownPlanIsClosedFunction"], vec![member("unknownPlanIsOpenFunction", function)])
}

/// `boardPath` and a bare key are the notice of a global plan.
fn board_and_key(node: &Node, key_name: &str) -> Option<Node> {
    let board = node.get("boardPath")?;
    let key = node.get(key_name)?;
    key.as_str()?;
    Some(list(vec![board.clone(), key.clone()], key.place))
}

pub(super) fn notice(node: &Node) -> Option<Node> {
    let id = board_and_key(node, "id")?;
    changed(node, &["boardPath", "id"], vec![member("id", id)])
}

pub(super) fn notice_place(node: &Node) -> Option<Node> {
    let id = board_and_key(node, "noticeId")?;
    changed(node, &["boardPath", "noticeId"], vec![member("noticeId", id)])
}

pub(super) fn notice_event(node: &Node) -> Option<Node> {
    let notice = node.get("notice")?;
    let key = notice.get("id")?.clone();
    let end_of_life = notice.get("endOfLife").map(|end| member("endOfLife", end.clone()));
    changed(node, &["notice"], [member("plannedNoticeKey", key)].into_iter().chain(end_of_life).collect())
}

pub(super) fn job(node: &Node) -> Option<Node> {
    quote_member(node, "subagentBundleId", "subagentBundleIdExpr")
        .or_else(|| quote_member(node, "subagentSelectionId", "subagentBundleIdExpr"))
}

pub(super) fn file_watch(node: &Node) -> Option<Node> {
    quote_member(node, "directory", "directoryExpr")
}

/// A written `ImplicitEnd` at the end of a block is not kept.
pub(super) fn block(node: &Node) -> Option<Node> {
    let instructions = node.get("instructions")?;
    let NodeKind::List(nodes) = &instructions.kind else {
        return None;
    };
    let (last, others) = nodes.split_last()?;
    if type_name(last) != Some("ImplicitEnd") || last.get("label").is_some() {
        return None;
    }
    changed(node, &["instructions"], vec![member("instructions", list(others.to_vec(), instructions.place))])
}

pub(super) fn instruction(node: &Node) -> Option<Node> {
    match type_name(node)? {
        "If" => {
            let predicate = node.get("predicate")?;
            let then = node.get("then")?;
            let if_then =
                object(vec![member("predicate", predicate.clone()), member("then", then.clone())], predicate.place);
            if node.get("ifThens").is_some() {
                return None;
            }
            changed(node, &["predicate", "then"], vec![member("ifThens", list(vec![if_then], predicate.place))])
        }
        "Lock" => {
            let path = node.get("lockPath")?;
            let count = node.get("count").map(|count| member("count", count.clone()));
            let demand = object([member("lockPath", path.clone())].into_iter().chain(count).collect(), path.place);
            changed(node, &["lockPath", "count"], vec![member("demands", list(vec![demand], path.place))])
        }
        "PostNotice" => {
            let board = node.get("boardPath")?;
            changed(
                node,
                &["TYPE", "boardPath"],
                vec![
                    member("TYPE", string("PostNotices", node.place)),
                    member("boardPaths", list(vec![board.clone()], board.place)),
                ],
            )
        }
        "ExpectNotice" | "ReadNotice" => {
            let board = node.get("boardPath")?;
            changed(
                node,
                &["TYPE", "boardPath"],
                vec![
                    member("TYPE", string("ExpectNotices", node.place)),
                    member("boardPaths", string(&quoted(board.as_str()?), board.place)),
                ],
            )
        }
        "StickySubagent" => quote_member(node, "subagentBundleId", "subagentBundleIdExpr"),
        _ => None,
    }
}

/// `[{"boardPath": …, "noticeId": …}]` becomes a list of notice ids.
fn expected(node: &Node, old: &str) -> Option<Node> {
    let expected = node.get(old)?;
    let NodeKind::List(nodes) = &expected.kind else {
        return None;
    };
    let ids = nodes.iter().map(|n| board_and_key(n, "noticeId")).collect::<Option<Vec<_>>>()?;
    changed(node, &[old], vec![member("noticeIds", list(ids, expected.place))])
}

pub(super) fn order_state(node: &Node) -> Option<Node> {
    (type_name(node)? == "ExpectingNotices").then(|| expected(node, "expected")).flatten()
}

pub(super) fn order_event(node: &Node) -> Option<Node> {
    match type_name(node)? {
        kind @ ("OrderLockAcquired" | "OrderLockQueued") => {
            let path = node.get("lockPath")?;
            let count = node.get("count").map(|count| member("count", count.clone()));
            let demand = object([member("lockPath", path.clone())].into_iter().chain(count).collect(), path.place);
            let present = if kind == "OrderLockAcquired" { "OrderLocksAcquired" } else { "OrderLocksQueued" };
            changed(
                node,
                &["TYPE", "lockPath", "count"],
                vec![member("TYPE", string(present, node.place)), member("demands", list(vec![demand], path.place))],
            )
        }
        "OrderLockReleased" => {
            let path = node.get("lockPath")?;
            changed(
                node,
                &["TYPE", "lockPath"],
                vec![
                    member("TYPE", string("OrderLocksReleased", node.place)),
                    member("lockPaths", list(vec![path.clone()], path.place)),
                ],
            )
        }
        "OrderNoticesExpected" => expected(node, "expected"),
        "OrderNoticesConsumptionStarted" => expected(node, "consumptions"),
        "OrderNoticePosted" => {
            let notice = node.get("notice")?;
            let id = board_and_key(notice, "id")?;
            let end_of_life = notice.get("endOfLife").map(|end| member("endOfLife", end.clone()));
            changed(node, &["notice"], [member("noticeId", id)].into_iter().chain(end_of_life).collect())
        }
        _ => None,
    }
}
