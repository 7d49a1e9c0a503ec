//! All conformance vectors of the repository pass, except those which `KNOWN.md` lists with a reason.

mod mutation;

use baton_sim::conformance::{Settings, loader, run};
use std::collections::BTreeSet;
use std::path::Path;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/conformance"))
}

/// The names in `KNOWN.md`: lines like "- `name`: reason".
fn known() -> BTreeSet<String> {
    let text = std::fs::read_to_string(folder().join("KNOWN.md")).expect("KNOWN.md is there");
    text.lines()
        .filter_map(|line| line.strip_prefix("- `"))
        .map(|rest| {
            let (name, reason) = rest.split_once("`: ").expect("a name is followed by a reason");
            assert!(!reason.trim().is_empty(), "{name} has no reason");
            name.to_owned()
        })
        .collect()
}

#[test]
fn all_vectors_but_the_known_ones_pass() {
    let vectors = loader::load(folder()).expect("the vectors are there");
    let report =
        run(&vectors, Settings { start_world: Some(baton_sim::world::conformance::start), ..Settings::default() });
    let known = known();
    let mut wrong = Vec::new();
    for outcome in report.outcomes() {
        match (outcome.passed(), known.contains(&outcome.name)) {
            (true, true) => wrong.push(format!("{} passes: take it out of KNOWN.md", outcome.name)),
            (false, false) => wrong.push(format!("{} ({}) fails", outcome.name, outcome.kind)),
            (false, true) if outcome.kind != "workflow" => {
                wrong.push(format!(
                    "{} ({}) must not fail: only workflow vectors may be known to",
                    outcome.name, outcome.kind
                ));
            }
            (true, false) | (false, true) => {}
        }
    }
    let names: BTreeSet<&str> = report.outcomes().iter().map(|outcome| outcome.name.as_str()).collect();
    wrong.extend(known.iter().filter(|name| !names.contains(&***name)).map(|name| format!("{name} is no vector")));
    assert!(wrong.is_empty(), "{}\n{}", report.text(), wrong.join("\n"));
}
