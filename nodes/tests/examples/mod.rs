//! The examples do what their heads say.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs an example to its end.
fn run(file: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_baton"))
        .arg("run")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(file))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Checks the exit status, that these texts are in the output, and that those are not.
fn check(file: &str, arguments: &[&str], status: i32, present: &[&str], absent: &[&str]) {
    let output = run(file, arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    let told = format!("{file} {arguments:?}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{told}");
    for expected in present {
        assert!(text.contains(expected), "{expected:?} is missing: {told}");
    }
    for unexpected in absent {
        assert!(!text.contains(unexpected), "{unexpected:?} is there: {told}");
    }
}

#[test]
fn nightly_import_succeeds_at_the_third_try() {
    check("nightly-import.yaml", &[], 0, &["try 1", "try 3", "imported 42 records"], &["ALARM"]);
}

#[test]
fn nightly_import_alarms_when_it_fails_for_good() {
    let alarm = ["try 3", "ALARM: the nightly import has failed for good", "no import tonight"];
    check("nightly-import.yaml", &["--arg", "answers=never"], 1, &alarm, &["imported"]);
}

#[test]
fn fan_out_counts_all_shops() {
    check("fan-out.yaml", &[], 0, &["counting in Wien", "OrderLocksQueued", "all shops are counted: 6544"], &[]);
    let shops = "shops=[\"Rome\",\"Oslo\"]";
    check("fan-out.yaml", &["--arg", shops], 0, &["all shops are counted: 44"], &["Wien"]);
}

#[test]
fn an_arriving_file_is_processed() {
    check("file-arrival.yaml", &[], 0, &["a file is delivered", "order.csv: 100 units"], &[]);
}

#[test]
fn books_are_closed_at_the_end_of_the_month_or_by_force() {
    let present = ["the forced order closes the books", "NoAdmissionPeriodStart", "a report is sent"];
    check("month-end.yaml", &[], 0, &present, &["the regular order closes the books"]);
}

#[test]
fn payment_waits_for_approval() {
    check("approval.yaml", &["--yes"], 0, &["Pay 5000 €?", "paid 5000"], &[]);
    check("approval.yaml", &["--arg", "amount=20"], 0, &["paid 20"], &["Pay"]);
}

#[test]
fn branches_give_their_results() {
    check("branches.yaml", &[], 0, &["counting the stock", "stock 5, ordered 6"], &[]);
}

#[test]
fn a_release_waits_for_a_yes() {
    check("release.yaml", &["--yes"], 0, &["Release it?", "released by"], &[]);
}
