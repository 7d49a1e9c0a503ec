//! The kind `validation`: which documents are accepted, and with which problem others are refused.

use super::basics::rejected;
use super::decoding::{Decoded, decoder};
use super::input::{flag, member, need, text};
use super::matching::Matcher;
use super::verdict::{Cases, Difference, Fault, Verdict, equal};
use super::{Kind, Vector, form_of};
use baton_workflow::json::Node;
use baton_workflow::value::Value;

pub(super) const KINDS: &[Kind] = &[Kind {
    name: "validation",
    members: &["of", "cases"],
    case: &["json", "of", "ok", "error", "labels", "fields", "absolute"],
    check: |vector: &Vector<'_>, cases: &Cases| {
        vector.each_case(cases, |case| {
            let of = text(if member(case, "of").is_some() { case } else { vector.node }, "of")?;
            let decode = decoder(of).ok_or_else(|| Fault::malformed(format!("unknown type '{of}'")))?;
            let json = need(case, "json")?;
            let decoded = decode(json);
            match form_of(case, &["ok", "error"])? {
                "error" => rejected(vector.matcher(), need(case, "error")?, decoded.map(|decoded| decoded.written)),
                _ => match decoded {
                    Ok(decoded) => accepted(vector.matcher(), case, json, &decoded),
                    Err(problem) => Err(Difference::new("it is accepted", problem.message).into()),
                },
            }
        })
    },
}];

/// What an accepted document means.
fn accepted(matcher: Matcher, case: &Node, json: &Node, decoded: &Decoded) -> Verdict {
    if let Some(fields) = member(case, "fields") {
        matcher.has(fields, Some(&decoded.written)).map_err(|d| d.within("fields"))?;
    }
    if member(case, "absolute").is_some() {
        let path = decoded.written.get("path").and_then(Value::as_str).or(decoded.written.as_str());
        let is_absolute = path.is_some_and(|path| path.starts_with('/'));
        equal("absolute", &flag(case, "absolute")?, &is_absolute)?;
    }
    match member(case, "labels") {
        Some(labels) => super::structure::labels(matcher, json, labels),
        None => Ok(()),
    }
}
