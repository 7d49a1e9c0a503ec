//! Controller and agent: how they find each other again after outages, and what they do when one of them has lost its memory.

use crate::agents::place::Computer;
use crate::agents::stage::{CONTROLLER, DIRECTOR, Stage, TWO};
use baton_machine::planted::Bugs;

const JOB: (&str, &str) = ("JOB", "$JOB($A, |takes 1000)");
const TWO_JOBS: (&str, &str) = ("TWO", "$JOB($A, |takes 1000), $JOB($A, |takes 1000)");

/// The agent has forgotten what the controller has adopted already: nothing is done on that ground, until it is reset.
pub(super) fn an_agent_from_a_backup_is_not_followed() {
    let mut stage = Stage::new(&[JOB]);
    let backup = stage.backup();
    stage.order("A", "JOB");
    stage.until("it has ended", |stage| stage.has_ended("A"));
    stage.kill(DIRECTOR);
    stage.restore(backup);
    stage.start(DIRECTOR);
    stage.run(5.0);
    assert!(stage.problem_of_agent().contains("has no event"), "{}", stage.problem_of_agent());
    assert_eq!(stage.line("A"), "Started, starts at A-1, succeeds, Finished");
    stage.command(r#"{"TYPE": "ResetAgent", "agentPath": "A", "force": true}"#);
    stage.until("all are coupled", Stage::is_coupled);
    stage.order("B", "JOB");
    stage.until("it has ended", |stage| stage.has_ended("B"));
    assert_eq!(stage.state("B"), "Finished");
}

/// Everything dies and comes back again and again, at other moments each time. Each order has the same story.
pub(super) fn everything_restarts_again_and_again() {
    for step in 1..12 {
        let mut stage = Stage::new(&[TWO_JOBS]);
        stage.order("A", "TWO");
        for place in [CONTROLLER, DIRECTOR, CONTROLLER, DIRECTOR] {
            stage.run(0.15 * f64::from(step));
            stage.kill(place);
            stage.run(0.3);
            stage.start(place);
        }
        stage.until("it has ended", |stage| stage.has_ended("A"));
        let places: String = stage.line("A").replace("A-2", "A-1");
        assert_eq!(places, "Started, starts at A-1, succeeds, starts at A-1, succeeds, Finished");
        assert_eq!(stage.starts("A"), 2);
    }
}

/// An agent that is unreachable takes nothing from anybody else: commands are answered, and the order goes on when it is back.
pub(super) fn orders_wait_for_an_agent_that_is_not_there() {
    let mut stage = Stage::new(&[JOB]);
    stage.switch_off(Computer::Agent(0, 1));
    stage.order("A", "JOB");
    stage.run(30.0);
    assert_eq!(stage.state("A"), "Fresh");
    stage.kill(CONTROLLER);
    stage.start(CONTROLLER);
    stage.order("B", "JOB");
    stage.switch_on(Computer::Agent(0, 1));
    stage.until("they have ended", |stage| stage.has_ended("A") && stage.has_ended("B"));
    assert_eq!((stage.state("A"), stage.state("B")), ("Finished".into(), "Finished".into()));
}

/// While the controller is away, the agent works on, and gives up no event before it was adopted.
pub(super) fn an_agent_keeps_what_was_not_adopted() {
    let mut stage = Stage::with_images(&[("LONG", "$JOB($A, |output 15), $JOB($A, |output 15), $JOB($A, |output 15)")]);
    stage.order("A", "LONG");
    stage.until("it runs", |stage| !stage.runs("A").is_empty());
    stage.kill(CONTROLLER);
    let before = stage.director_keeps_from();
    stage.until("all three have run", |stage| stage.starts("A") == 3 && stage.runs("A").is_empty());
    stage.run(20.0);
    assert_eq!(stage.director_keeps_from(), before, "events were released that nobody has adopted");
    stage.start(CONTROLLER);
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert!(stage.line("A").ends_with("succeeds, Finished"), "{}", stage.line("A"));
}

/// A second agent at the address of the first one is refused, and the first one does not notice.
pub(super) fn two_agents_at_one_address() {
    let mut stage = Stage::new(&[JOB]);
    stage.command(
        r#"{"TYPE": "UpdateItems", "operations": [
            {"TYPE": "AddOrChangeSimple", "item": {"TYPE": "AgentRef", "path": "B", "directors": ["A-1"]}}]}"#,
    );
    stage.run(3.0);
    stage.order("A", "JOB");
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.line("A"), "Started, starts at A-1, succeeds, Finished");
    assert!(stage.is_coupled());
}

/// The orders of an agent that is reset fail, their processes are ended, and it starts anew.
pub(super) fn a_reset_agent_starts_anew() {
    let lock =
        r#"{"TYPE": "Lock", "demands": [{"lockPath": "L"}], "lockedWorkflow": {"instructions": [$JOB($A, |hang)]}}"#;
    let mut stage = Stage::new(&[("LOCK", lock), ("HANG", "$JOB($A, |hang)"), JOB]);
    stage.order("A", "LOCK");
    stage.order("B", "HANG");
    stage.until("they run", |stage| !stage.runs("A").is_empty() && !stage.runs("B").is_empty());
    stage.command(r#"{"TYPE": "ResetAgent", "agentPath": "A"}"#);
    stage.until("nothing runs", |stage| stage.runs("A").is_empty() && stage.runs("B").is_empty());
    stage.until("all are coupled", Stage::is_coupled);
    assert!(
        stage.line("A").contains("is disrupted") && stage.line("A").contains("LocksReleased"),
        "{}",
        stage.line("A")
    );
    assert_eq!((stage.state("A"), stage.state("B")), ("Failed".into(), "Failed".into()));
    stage.order("C", "JOB");
    stage.until("it has ended", |stage| stage.has_ended("C"));
    assert_eq!(stage.state("C"), "Finished");
}

/// The same when the agent cannot be reached: the orders fail at once, and it is reset when it is back.
pub(super) fn an_unreachable_agent_is_reset_later() {
    let mut stage = Stage::new(&[("HANG", "$JOB($A, |hang)"), JOB]);
    stage.order("A", "HANG");
    stage.until("it runs", |stage| !stage.runs("A").is_empty());
    stage.cut(DIRECTOR, CONTROLLER);
    stage.command(r#"{"TYPE": "CancelOrders", "orderIds": ["A"], "mode": {"TYPE": "FreshOrStarted"}}"#);
    stage.command(r#"{"TYPE": "ResetAgent", "agentPath": "A"}"#);
    stage.run(1.0);
    assert_eq!(stage.state("A"), "Cancelled");
    assert_eq!(stage.runs("A").len(), 1, "nobody has told the agent");
    stage.mend(DIRECTOR, CONTROLLER);
    stage.until("nothing runs", |stage| stage.runs("A").is_empty());
    stage.until("all are coupled", Stage::is_coupled);
}

/// The last word of a controller that was replaced meanwhile, held up on its way, is not heard.
pub(super) fn the_last_word_of_a_replaced_controller() {
    the_last_word(Bugs::NONE);
}

/// The same with nodes that have a fault, for tests of this story.
///
/// # Panics
/// When they obey.
pub fn the_last_word(bugs: Bugs) {
    let mut stage = Stage::with_two_controllers(&[JOB], bugs);
    stage.kill(DIRECTOR);
    stage.run(0.2);
    stage.start(DIRECTOR);
    stage.until_exactly("the controller has dialled", |stage| stage.is_about_to_couple(CONTROLLER));
    // What it says now, comes later.
    stage.cut(CONTROLLER, DIRECTOR);
    stage.run(0.1);
    stage.kill(CONTROLLER);
    stage.until("the other one is coupled", Stage::is_coupled);
    stage.mend(CONTROLLER, DIRECTOR);
    stage.run(3.0);
    stage.order("A", "JOB");
    stage.until("it has ended", |stage| stage.has_ended("A"));
}

/// A mark that was given while the agent was away, arrives when it is back; and the process is ended.
pub(super) fn a_cancellation_reaches_an_agent_that_was_away() {
    let mut stage = Stage::new(&[("HANG", "$JOB($A, |hang)")]);
    stage.order("A", "HANG");
    stage.until("it runs", |stage| !stage.runs("A").is_empty());
    stage.cut(DIRECTOR, CONTROLLER);
    stage.cut(CONTROLLER, DIRECTOR);
    let kill = r#"{"TYPE": "CancelOrders", "orderIds": ["A"], "mode": {"TYPE": "FreshOrStarted", "kill": {}}}"#;
    stage.command(kill);
    stage.run(15.0);
    assert_eq!(stage.runs("A").len(), 1);
    stage.mend(DIRECTOR, CONTROLLER);
    stage.mend(CONTROLLER, DIRECTOR);
    stage.until("it has ended", |stage| stage.has_ended("A"));
    let story =
        "Started, starts at A-1, CancellationMarked, CancellationMarkedOnAgent, is killed, ProcessingKilled, Cancelled";
    assert_eq!(stage.line("A"), story);
}

/// An item that is changed while its former revision is on the way, arrives in the last one.
pub(super) fn an_item_is_changed_while_it_is_on_its_way() {
    let mut stage = Stage::new(&[JOB]);
    let put = |disabled: bool| {
        format!(
            r#"{{"TYPE": "UpdateItems", "operations": [{{"TYPE": "AddOrChangeSimple", "item": {{"TYPE": "SubagentItem",
                "id": "A-1", "agentPath": "A", "uri": "world:A-1", "disabled": {disabled}}}}}]}}"#
        )
    };
    stage.cut(CONTROLLER, DIRECTOR);
    stage.command(&put(true));
    stage.command(&put(false));
    stage.mend(CONTROLLER, DIRECTOR);
    stage.run(2.0);
    stage.kill(TWO);
    stage.order("A", "JOB");
    stage.until("it has ended", |stage| stage.has_ended("A"));
    assert_eq!(stage.line("A"), "Started, starts at A-1, succeeds, Finished");
    assert_eq!(stage.runs("A"), []);
}
