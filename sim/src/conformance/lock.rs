//! The kind `lock-state`: who gets a lock, and who waits for it.

use super::basics::rejected;
use super::input::{member, need, read, read_optional, text};
use super::verdict::{Cases, Difference, Fault, Verdict, equal};
use super::{Kind, Vector, form_of};
use baton_workflow::id::{LockPath, OrderId};
use baton_workflow::json::Json as _;
use baton_workflow::model::item::Lock;
use baton_workflow::state::lock::LockState;

pub(super) const KINDS: &[Kind] = &[Kind {
    name: "lock-state",
    members: &["limit", "cases"],
    case: &["acquired", "queue", "do", "order", "count", "result", "resultQueue", "problem"],
    check: |vector, cases| check(vector, cases),
}];

fn check(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let lock = Lock { path: LockPath::new("LOCK"), limit: read(vector.node, "limit")?, item_revision: None };
    vector.each_case(cases, |case| {
        let queue: Vec<OrderId> = read_optional(case, "queue")?.unwrap_or_default();
        let mut state = LockState::with(&lock, read(case, "acquired")?, queue);
        let (order_id, count): (OrderId, Option<i32>) = (read(case, "order")?, read_optional(case, "count")?);
        let done = match text(case, "do")? {
            "acquire" => state.acquire(&order_id, count),
            "enqueue" => state.enqueue(&order_id, count),
            "release" => state.release(&order_id),
            other => return Err(Fault::malformed(format!("unknown do '{other}'"))),
        };
        match form_of(case, &["result", "problem"])? {
            "problem" => rejected(vector.matcher(), need(case, "problem")?, done.map(|()| state.acquired().write())),
            _ => {
                done.map_err(|problem| Difference::new("no problem", problem.message))?;
                vector
                    .matcher()
                    .value(need(case, "result")?, &state.acquired().write())
                    .map_err(|difference| difference.within("result"))?;
                let found: Vec<OrderId> = state.queue().cloned().collect();
                match member(case, "resultQueue") {
                    Some(_) => equal("resultQueue", &read::<Vec<OrderId>>(case, "resultQueue")?, &found),
                    None => equal("resultQueue", &Vec::new(), &found),
                }
            }
        }
    })
}
