//! The kind `item-operations`: which transactions of item operations are refused.

use super::Kind;
use super::basics::rejected;
use super::input::{decode, need};
use baton_workflow::json::Json as _;
use baton_workflow::model::operation::{ItemOperation, check_operations};

pub(super) const KINDS: &[Kind] = &[Kind {
    name: "item-operations",
    members: &["cases"],
    case: &["operations", "error"],
    check: |vector, cases| {
        vector.each_case(cases, |case| {
            let operations = decode::<Vec<ItemOperation>>(need(case, "operations")?);
            let checked = operations.and_then(|operations| check_operations(&operations).map(|()| operations.write()));
            rejected(vector.matcher(), need(case, "error")?, checked)
        })
    },
}];
