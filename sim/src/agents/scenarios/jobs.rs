//! What processes do and suffer: output, times, signals, limits, clocks.

use crate::agents::stage::{CONTROLLER, DIRECTOR, ONE, Stage};

fn cancel(order: &str, immediately: bool) -> String {
    format!(
        r#"{{"TYPE": "CancelOrders", "orderIds": ["{order}"],
            "mode": {{"TYPE": "FreshOrStarted", "kill": {{"immediately": {immediately}}}}}}}"#
    )
}

/// SIGTERM, and SIGKILL for who does not hear it; at once if it is wanted so.
pub(super) fn a_process_is_ended_by_command() {
    let stubborn = r#"$JOB($A, "processLimit": 9, "sigkillDelay": 3, |stubborn)"#;
    let mut stage = Stage::new(&[("HANG", r#"$JOB($A, "processLimit": 9, |hang)"#), ("STUBBORN", stubborn)]);
    for (order, workflow) in [("A", "HANG"), ("B", "STUBBORN"), ("C", "STUBBORN")] {
        stage.order(order, workflow);
        stage.until("it runs", |stage| !stage.runs(order).is_empty());
    }
    stage.command(&cancel("A", false));
    stage.command(&cancel("B", false));
    stage.command(&cancel("C", true));
    stage.run(0.2);
    assert!(stage.runs("A").is_empty() && !stage.runs("B").is_empty() && stage.runs("C").is_empty());
    stage.run(3.0);
    assert!(stage.runs("B").is_empty());
    stage.until("all have ended", |stage| ["A", "B", "C"].iter().all(|order| stage.has_ended(order)));
    for order in ["A", "B", "C"] {
        assert_eq!(stage.state(order), "Cancelled");
    }
}

/// Its time is over, and the workflow catches that.
pub(super) fn a_process_is_ended_when_its_time_is_over() {
    let text =
        r#"{"TYPE": "Try", "try": {"instructions": [$JOB($A, "timeout": 2, |hang)]}, "catch": {"instructions": []}}"#;
    let mut stage = Stage::new(&[("TIMEOUT", text)]);
    stage.order("A", "TIMEOUT");
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.line("A"), "Started, starts at A-1, is timed out, Caught, Finished");
}

/// All output comes before the end of its process, in order, also when director and controller die meanwhile.
pub(super) fn output_is_whole() {
    let mut stage = Stage::new(&[("OUTPUT", "$JOB($A, |output 40)")]);
    stage.order("A", "OUTPUT");
    stage.until("it runs", |stage| stage.runs("A") == [ONE]);
    for place in [DIRECTOR, CONTROLLER] {
        stage.run(0.4);
        stage.kill(place);
        stage.run(0.4);
        stage.start(place);
    }
    stage.until("it has ended", |stage| stage.has_ended("A"));
    let story = stage.story("A");
    let writes = story.iter().filter(|event| *event == "StdoutWritten").count();
    assert!(writes > 1 && story.ends_with(&["succeeds".into(), "Finished".into()]), "{story:?}");
    assert_eq!(stage.starts("A"), 1);
}

/// The limits of a job and of the agent are kept, also when the limit of the agent goes down while an order waits for a subagent.
pub(super) fn limits_are_kept() {
    let mut stage = Stage::new(&[("TWICE", r#"$JOB($A, "processLimit": 2, |takes 1000)"#)]);
    for order in ["A", "B", "C"] {
        stage.order(order, "TWICE");
    }
    stage.until("two run", |stage| ["A", "B", "C"].iter().filter(|order| !stage.runs(order).is_empty()).count() == 2);
    stage.until("all have ended", |stage| ["A", "B", "C"].iter().all(|order| stage.has_ended(order)));
    stage.kill(ONE);
    stage.kill(crate::agents::stage::TWO);
    stage.run(1.0);
    stage.order("D", "TWICE");
    stage.run(1.0);
    let limit = |limit: &str| {
        format!(
            r#"{{"TYPE": "UpdateItems", "operations": [{{"TYPE": "AddOrChangeSimple",
                "item": {{"TYPE": "AgentRef", "path": "A", "directors": ["A-1"]{limit}}}}}]}}"#
        )
    };
    stage.command(&limit(r#", "processLimit": 0"#));
    stage.start(ONE);
    stage.run(5.0);
    assert_eq!(stage.starts("D"), 0);
    stage.command(&limit(""));
    stage.until("it has ended", |stage| stage.has_ended("D"));
}

/// The wall clocks jump: what waits for a time of day comes once, and leases do not care.
pub(super) fn clocks_jump() {
    let nap = r#"$JOB($A, |takes 100), {"TYPE": "Sleep", "duration": "3600"}, $JOB($A, |takes 5000)"#;
    let mut stage = Stage::new(&[("NAP", nap)]);
    stage.order("A", "NAP");
    stage.run(2.0);
    for place in [CONTROLLER, DIRECTOR] {
        stage.jump(place, -7_200_000);
    }
    stage.run(30.0);
    assert_eq!(stage.starts("A"), 1);
    for place in [CONTROLLER, DIRECTOR] {
        stage.jump(place, 4 * 3_600_000);
    }
    stage.until("the second one runs", |stage| stage.starts("A") == 2);
    stage.jump(DIRECTOR, -7_200_000);
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.starts("A"), 2);
    assert_eq!(stage.line("A").matches("succeeds").count(), 2);
}
