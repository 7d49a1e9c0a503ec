//! What a run of the vectors came to, for people and for programs.

use super::verdict::{Fault, Verdict};
use baton_workflow::json::print;
use baton_workflow::value::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most failed cases of a vector which are shown; programs get all.
const SHOWN_CASES: usize = 4;
/// Longest shown value, characters; programs get all.
const SHOWN_LENGTH: usize = 600;

/// What became of a vector.
#[derive(Debug)]
pub struct Outcome {
    /// Its file.
    pub file: String,
    /// Its name, `?` if it has none.
    pub name: String,
    /// Its kind, `?` if it has none.
    pub kind: String,
    /// Its cases.
    pub cases: Vec<(String, Verdict)>,
}

impl Outcome {
    /// The cases which failed.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Fault)> {
        self.cases.iter().filter_map(|(name, verdict)| verdict.as_ref().err().map(|fault| (name.as_str(), fault)))
    }

    /// Whether all cases hold.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }
}

/// Numbers of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Passed vectors.
    pub files_passed: usize,
    /// Failed vectors.
    pub files_failed: usize,
    /// Passed cases.
    pub cases_passed: usize,
    /// Failed cases.
    pub cases_failed: usize,
    /// Failed cases in which only the wording of a message differs.
    pub wordings: usize,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    outcomes: Vec<Outcome>,
}

impl Report {
    /// Adds what became of a vector.
    pub fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    /// What became of each vector.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Whether all vectors passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outcomes.iter().all(Outcome::passed)
    }

    /// The numbers by kind.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&str, Count> {
        let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
        for outcome in &self.outcomes {
            let count = counts.entry(&outcome.kind).or_default();
            let failed = outcome.failures().count();
            count.cases_passed += outcome.cases.len() - failed;
            count.cases_failed += failed;
            count.wordings += outcome.failures().filter(|(_, fault)| is_wording(fault)).count();
            if failed == 0 {
                count.files_passed += 1;
            } else {
                count.files_failed += 1;
            }
        }
        counts
    }

    /// For people: each failure with its first difference, then the numbers.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for outcome in self.outcomes.iter().filter(|outcome| !outcome.passed()) {
            for (case, fault) in outcome.failures().take(SHOWN_CASES) {
                let _ = writeln!(out, "FAILED {} ({}) {case}{}", outcome.file, outcome.kind, show(fault));
            }
            let more = outcome.failures().count().saturating_sub(SHOWN_CASES);
            if more > 0 {
                let _ = writeln!(out, "FAILED {} ({}) … and {more} more cases", outcome.file, outcome.kind);
            }
        }
        let row = |out: &mut String, name: &str, count: Count| {
            let Count { files_passed, files_failed, cases_passed, cases_failed, wordings } = count;
            let _ = write!(out, "{name:<22}{files_passed:>7}{files_failed:>7}   {cases_passed:>7}{cases_failed:>7}");
            if wordings > 0 {
                let _ = write!(out, "  ({wordings} differ in wording only)");
            }
            out.push('\n');
        };
        let _ = writeln!(out, "\n{:<22}{:>7}{:>7}   {:>7}{:>7}", "kind", "files", "failed", "cases", "failed");
        let mut total = Count::default();
        for (kind, count) in self.counts() {
            row(&mut out, kind, count);
            total.files_passed += count.files_passed;
            total.files_failed += count.files_failed;
            total.cases_passed += count.cases_passed;
            total.cases_failed += count.cases_failed;
            total.wordings += count.wordings;
        }
        row(&mut out, "total (passed, failed)", total);
        out
    }

    /// For programs: `passed`, `kinds` with their numbers, `failures`.
    #[must_use]
    pub fn json(&self) -> String {
        let number = |n: usize| Value::from(i64::try_from(n).unwrap_or(i64::MAX));
        let kinds = self.counts().into_iter().map(|(kind, count)| {
            let numbers = [
                ("filesPassed", count.files_passed),
                ("filesFailed", count.files_failed),
                ("casesPassed", count.cases_passed),
                ("casesFailed", count.cases_failed),
                ("casesFailedInWordingOnly", count.wordings),
            ];
            (kind, Value::object(numbers.map(|(name, n)| (name, number(n)))))
        });
        let failures = self.outcomes.iter().flat_map(|outcome| {
            outcome.failures().map(|(case, fault)| {
                let about =
                    [("vector", &*outcome.name), ("file", &outcome.file), ("kind", &outcome.kind), ("case", case)];
                Value::object(about.into_iter().chain(facts(fault)).map(|(name, text)| (name, Value::from(text))))
            })
        });
        print(&Value::object([
            ("passed", Value::from(self.passed())),
            ("kinds", Value::object(kinds)),
            ("failures", Value::list(failures)),
        ]))
    }
}

fn is_wording(fault: &Fault) -> bool {
    matches!(fault, Fault::Differs(difference) if difference.is_wording)
}

fn facts(fault: &Fault) -> Vec<(&'static str, &str)> {
    match fault {
        Fault::Differs(difference) => Vec::from([
            ("fault", if difference.is_wording { "wording" } else { "differs" }),
            ("path", &*difference.path),
            ("expected", &difference.expected),
            ("found", &difference.found),
        ]),
        Fault::Malformed(why) => Vec::from([("fault", "malformed"), ("message", why)]),
        Fault::Panicked(message) => Vec::from([("fault", "panicked"), ("message", message)]),
    }
}

fn show(fault: &Fault) -> String {
    match fault {
        Fault::Differs(difference) => {
            let place = if difference.path.is_empty() { String::new() } else { format!(" at {}", difference.path) };
            format!("{place}\n    expected: {}\n    found:    {}", cut(&difference.expected), cut(&difference.found))
        }
        Fault::Malformed(why) => format!("\n    not understood: {}", cut(why)),
        Fault::Panicked(message) => format!("\n    panicked: {}", cut(message)),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_LENGTH) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Difference;
    use super::*;

    fn report() -> Report {
        let outcome = |name: &str, cases| Outcome {
            file: format!("{name}.json"),
            name: name.into(),
            kind: String::from("wire"),
            cases,
        };
        let wording = Difference { is_wording: true, ..Difference::new("a", "b").within("message") };
        let mut report = Report::default();
        report.add(outcome("good", vec![(String::from("cases[0]"), Ok(()))]));
        report.add(outcome(
            "bad",
            vec![
                (String::from("cases[0]"), Ok(())),
                (String::from("cases[1]"), Err(Fault::Differs(wording))),
                (String::from("cases[2]"), Err(Fault::Panicked("oh".into()))),
            ],
        ));
        report
    }

    #[test]
    fn counts_files_and_cases() {
        let report = report();
        let expected = Count { files_passed: 1, files_failed: 1, cases_passed: 2, cases_failed: 2, wordings: 1 };
        assert_eq!(report.counts()["wire"], expected);
        assert!(!report.passed());
    }

    #[test]
    fn shows_each_failure() {
        let text = report().text();
        assert!(
            text.contains("FAILED bad.json (wire) cases[1] at message\n    expected: a\n    found:    b\n"),
            "{text}"
        );
        assert!(text.contains("FAILED bad.json (wire) cases[2]\n    panicked: oh\n"), "{text}");
        let json = baton_workflow::json::parse(&report().json()).unwrap().to_value();
        let failures = json.get("failures").unwrap();
        let Value::List(failures) = failures else { panic!() };
        assert_eq!(failures.len(), 2);
        assert_eq!(failures[1].get("message"), Some(&Value::from("oh")));
    }
}
