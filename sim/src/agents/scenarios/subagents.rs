//! Director and subagents: deaths, silence, leases, stops, resets, moves; what runs is found again, or is lost once.

use crate::agents::place::Computer;
use crate::agents::stage::{CONTROLLER, DIRECTOR, ONE, SPARE, Stage, TWO};

const JOB: (&str, &str) = ("JOB", "$JOB($A, |takes 2000)");
const FIXED: (&str, &str) =
    ("FIXED", r#"$JOB($A, "processLimit": 9, "subagentBundleIdExpr": "'$A-FIXED'", |takes 2000)"#);
const ONCE: (&str, &str) = ("ONCE", r#"$JOB($A, "isNotRestartable": true, |takes 2000)"#);

fn disable(number: u8, disabled: bool) -> String {
    moved(number, number, disabled)
}

fn moved(number: u8, at: u8, disabled: bool) -> String {
    format!(
        r#"{{"TYPE": "UpdateItems", "operations": [{{"TYPE": "AddOrChangeSimple", "item": {{"TYPE": "SubagentItem",
            "id": "A-{number}", "agentPath": "A", "uri": "world:A-{at}", "disabled": {disabled}}}}}]}}"#
    )
}

/// The director is away while a process runs and ends: the next one gets its end, once.
pub(super) fn a_process_outlives_its_director() {
    for away in [0.5, 4.0] {
        let mut stage = Stage::new(&[JOB]);
        stage.order("A", "JOB");
        stage.until("it runs", |stage| !stage.runs("A").is_empty());
        stage.kill(DIRECTOR);
        stage.run(away);
        stage.start(DIRECTOR);
        stage.until("it has ended", |stage| stage.has_ended("A"));
        assert_eq!(stage.line("A"), "Started, starts at A-1, succeeds, Finished");
        assert_eq!(stage.starts("A"), 1);
    }
}

/// The subagent dies and is back at once: the process is lost, and repeated.
pub(super) fn a_subagent_is_restarted() {
    let mut stage = Stage::new(&[FIXED]);
    stage.order("A", "FIXED");
    stage.until("it runs", |stage| stage.runs("A") == [ONE]);
    stage.kill(ONE);
    stage.start(ONE);
    stage.until("it has ended", |stage| stage.has_ended("A"));
    let line = stage.line("A").replace("A-2", "A-1");
    assert_eq!(line, "Started, starts at A-1, is lost, starts at A-1, succeeds, Finished");
}

/// The subagent dies for good: the next one of the cluster goes on within a second.
pub(super) fn a_subagent_dies_and_the_next_one_goes_on() {
    let mut stage = Stage::new(&[FIXED]);
    stage.order("A", "FIXED");
    stage.until("it runs", |stage| stage.runs("A") == [ONE]);
    stage.kill(ONE);
    stage.run(1.2);
    assert_eq!(stage.runs("A"), [TWO]);
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.line("A"), "Started, starts at A-1, is lost, starts at A-2, succeeds, Finished");
}

/// Director and subagent die together.
pub(super) fn director_and_subagent_are_restarted() {
    let mut stage = Stage::new(&[FIXED]);
    stage.order("A", "FIXED");
    stage.until("it runs", |stage| stage.runs("A") == [ONE]);
    stage.kill(DIRECTOR);
    stage.kill(ONE);
    stage.start(ONE);
    stage.run(0.5);
    stage.start(DIRECTOR);
    stage.until("it has ended", |stage| stage.has_ended("A"));
    let line = stage.line("A").replace("A-2", "A-1");
    assert_eq!(line, "Started, starts at A-1, is lost, starts at A-1, succeeds, Finished");
}

/// A job that must not be repeated, is not; the order fails, and a person decides.
pub(super) fn a_job_that_must_not_be_repeated() {
    let mut stage = Stage::new(&[ONCE]);
    stage.order("A", "ONCE");
    stage.until("it runs", |stage| stage.runs("A") == [ONE]);
    stage.kill(ONE);
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.line("A"), "Started, starts at A-1, is disrupted, Failed");
    assert_eq!(stage.starts("A"), 1);
}

/// Silence: new jobs go elsewhere within three seconds; what runs is ended there when the lease is over, and only then repeated.
pub(super) fn a_silent_subagent_keeps_what_it_runs_until_its_lease_is_over() {
    let mut stage = Stage::new(&[("HANG", r#"$JOB($A, "subagentBundleIdExpr": "'$A-FIXED'", |hang)"#), FIXED]);
    stage.order("A", "HANG");
    stage.until("it runs", |stage| stage.runs("A") == [ONE]);
    // The director is on the same computer, so it is the other one that is cut off.
    stage.command(&disable(1, true));
    stage.order("B", "FIXED");
    stage.until("it runs", |stage| stage.runs("B") == [TWO]);
    stage.until("it has ended", |stage| stage.has_ended("B"));
    stage.order("C", "HANG");
    stage.run(1.0);
    assert_eq!(stage.runs("C"), [], "the job has one slot");
    stage.command(r#"{"TYPE": "CancelOrders", "orderIds": ["A"], "mode": {"TYPE": "FreshOrStarted", "kill": {}}}"#);
    stage.until("it runs", |stage| stage.runs("C") == [TWO]);
    stage.command(&disable(1, false));
    stage.cut(TWO, DIRECTOR);
    stage.cut(DIRECTOR, TWO);
    stage.run(3.0);
    stage.order("D", "FIXED");
    stage.run(0.2);
    assert_eq!(stage.runs("D"), [ONE]);
    stage.run(55.0);
    assert_eq!(stage.runs("C"), [TWO], "its lease is not over");
    stage.run(5.0);
    assert_eq!(stage.runs("C"), [], "its lease is over");
    stage.until("it runs", |stage| stage.runs("C") == [ONE]);
    assert_eq!(stage.line("C"), "Started, starts at A-2, is lost, starts at A-1");
}

/// A short silence changes nothing for what runs.
pub(super) fn a_short_silence_changes_nothing() {
    let mut stage = Stage::new(&[("LONG", r#"$JOB($A, "subagentBundleIdExpr": "'$A-FIXED'", |takes 20000)"#)]);
    stage.command(&disable(1, true));
    stage.order("A", "LONG");
    stage.until("it runs", |stage| stage.runs("A") == [TWO]);
    stage.pause(TWO);
    stage.run(10.0);
    stage.resume(TWO);
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.line("A"), "Started, starts at A-2, succeeds, Finished");
}

/// The computer of a subagent loses power: nobody says anything, and the lease decides.
pub(super) fn the_power_of_a_subagent_is_lost() {
    let mut stage = Stage::new(&[FIXED]);
    stage.command(&disable(1, true));
    stage.order("A", "FIXED");
    stage.until("it runs", |stage| stage.runs("A") == [TWO]);
    stage.switch_off(Computer::Agent(0, 2));
    stage.command(&disable(1, false));
    stage.run(30.0);
    assert_eq!(stage.starts("A"), 1);
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.line("A"), "Started, starts at A-2, is lost, starts at A-1, succeeds, Finished");
}

/// A subagent is reset: what it runs is ended, lost, and repeated; nothing starts there meanwhile.
pub(super) fn a_subagent_is_reset_while_it_runs_something() {
    let mut stage = Stage::new(&[FIXED]);
    stage.order("A", "FIXED");
    stage.until("it runs", |stage| stage.runs("A") == [ONE]);
    stage.command(r#"{"TYPE": "ResetSubagent", "subagentId": "A-1", "force": true}"#);
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert!(stage.line("A").starts_with("Started, starts at A-1, is lost, starts at A-"), "{}", stage.line("A"));
    stage.until("all are coupled", Stage::is_coupled);
    stage.order("B", "FIXED");
    stage.until("it runs", |stage| stage.runs("B") == [ONE]);
}

/// A reset that was ordered before the agent knows its subagent, ends nevertheless.
pub(super) fn a_subagent_is_reset_before_its_agent_knows_it() {
    let mut stage = Stage::new(&[FIXED]);
    stage.kill(DIRECTOR);
    stage.command(r#"{"TYPE": "ResetAgent", "agentPath": "A", "force": true}"#);
    stage.command(r#"{"TYPE": "ResetSubagent", "subagentId": "A-2", "force": true}"#);
    stage.start(DIRECTOR);
    stage.until("all are coupled", Stage::is_coupled);
    stage.order("A", "FIXED");
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.state("A"), "Finished");
}

/// A subagent gets another address while it runs something: that comes to its end there, and new jobs start at the new place.
pub(super) fn a_subagent_moves_while_it_runs_something() {
    let mut stage = Stage::new(&[FIXED]);
    stage.command(&disable(1, true));
    stage.order("A", "FIXED");
    stage.until("it runs", |stage| stage.runs("A") == [TWO]);
    stage.command(&moved(2, 3, false));
    stage.order("B", "FIXED");
    stage.run(1.0);
    assert_eq!((stage.runs("A"), stage.runs("B")), (vec![TWO], vec![]));
    stage.until("it runs at the new place", |stage| stage.runs("B") == [SPARE]);
    stage.until("they have ended", |stage| stage.has_ended("A") && stage.has_ended("B"));
    assert_eq!(stage.line("A"), "Started, starts at A-2, succeeds, Finished");
    assert_eq!((stage.starts("A"), stage.starts("B")), (1, 1));
}

/// It moves there and back again before anything has ended.
pub(super) fn a_subagent_moves_there_and_back() {
    let mut stage = Stage::new(&[FIXED]);
    stage.command(&disable(1, true));
    stage.order("A", "FIXED");
    stage.until("it runs", |stage| stage.runs("A") == [TWO]);
    stage.command(&moved(2, 3, false));
    stage.run(0.2);
    stage.command(&moved(2, 2, false));
    stage.order("B", "FIXED");
    stage.run(0.2);
    assert_eq!(stage.runs("B"), [TWO], "it takes processes again");
    stage.until("they have ended", |stage| stage.has_ended("A") && stage.has_ended("B"));
}

/// A subagent is deleted while it runs something, and added again before that has ended.
pub(super) fn a_subagent_is_deleted_while_it_runs_something() {
    let mut stage = Stage::new(&[("JOB", "$JOB($A, |takes 2000)")]);
    stage.command(
        r#"{"TYPE": "UpdateItems", "operations": [{"TYPE": "DeleteSimple", "path": "SubagentBundle:A-FIXED"},
            {"TYPE": "DeleteSimple", "path": "SubagentBundle:A-ROUND"}]}"#,
    );
    stage.command(&disable(1, true));
    stage.order("A", "JOB");
    stage.until("it runs", |stage| stage.runs("A") == [TWO]);
    stage.command(r#"{"TYPE": "UpdateItems", "operations": [{"TYPE": "DeleteSimple", "path": "Subagent:A-2"}]}"#);
    stage.run(0.5);
    assert_eq!(stage.runs("A"), [TWO], "it finishes what it runs");
    stage.command(&disable(2, false));
    stage.until("it has ended", |stage| stage.has_ended("A"));
    stage.order("B", "JOB");
    stage.until("it has ended", |stage| stage.has_ended("B"));
    assert_eq!(stage.line("B"), "Started, starts at A-2, succeeds, Finished");
}

/// Fixed priority, and in turn.
pub(super) fn jobs_are_distributed_by_priority_and_in_turn() {
    let round = r#"$JOB($A, "processLimit": 9, "subagentBundleIdExpr": "'$A-ROUND'", |takes 100)"#;
    let mut stage = Stage::new(&[("ROUND", round), FIXED]);
    for order in ["A", "B", "C", "D"] {
        stage.order(order, "ROUND");
        stage.until("it has ended", |stage| stage.has_ended(order));
    }
    let places: Vec<String> = ["A", "B", "C", "D"].map(|order| stage.story(order)[1].clone()).into();
    assert_eq!(places, ["starts at A-1", "starts at A-2", "starts at A-1", "starts at A-2"]);
    for order in ["E", "F"] {
        stage.order(order, "FIXED");
        stage.until("it runs", |stage| stage.runs(order) == [ONE]);
    }
}

/// A disabled subagent finishes what it runs and gets nothing new, until it is enabled.
pub(super) fn a_disabled_subagent_gets_nothing_new() {
    let mut stage = Stage::new(&[JOB]);
    stage.order("A", "JOB");
    stage.until("it runs", |stage| stage.runs("A") == [ONE]);
    stage.command(&disable(1, true));
    stage.command(&disable(2, true));
    stage.order("B", "JOB");
    stage.until("it has ended", |stage| stage.has_ended("A"));
    stage.run(10.0);
    assert_eq!(stage.state("B"), "Fresh");
    stage.command(&disable(2, false));
    stage.until("it runs", |stage| stage.runs("B") == [TWO]);
}

/// All jobs of a block run at one subagent, although others have their turn.
pub(super) fn an_order_sticks_to_its_subagent() {
    let sticky = r#"{"TYPE": "StickySubagent", "agentPath": "$A", "subworkflow": {"instructions": [
        $JOB($A, |takes 100), $JOB($A, |takes 100), $JOB($A, |takes 100)]}}"#;
    let mut stage = Stage::new(&[("STICKY", sticky)]);
    stage.order("A", "STICKY");
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.line("A").matches("starts at A-1").count(), 3, "{}", stage.line("A"));
}

/// Controller, director and a subagent die while an order runs elsewhere: that one notices nothing.
pub(super) fn a_process_outlives_everybody_else() {
    let mut stage = Stage::new(&[("LONG", r#"$JOB($A, "subagentBundleIdExpr": "'$A-FIXED'", |takes 10000)"#)]);
    stage.command(&disable(1, true));
    stage.order("A", "LONG");
    stage.until("it runs", |stage| stage.runs("A") == [TWO]);
    for place in [CONTROLLER, DIRECTOR, ONE] {
        stage.kill(place);
        stage.run(1.0);
        stage.start(place);
        stage.run(1.0);
    }
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.line("A"), "Started, starts at A-2, succeeds, Finished");
}
