//! What the end of a process means for its order.

use crate::process::{End, Ended, KillCause};
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use baton_workflow::model::job::{Executable, WorkflowJob};
use baton_workflow::model::order::Order;
use baton_workflow::model::outcome::{Completed, Disruption, Outcome};
use baton_workflow::problem::Problem;
use baton_workflow::text::return_code::ReturnCodeMeaning;
use baton_workflow::value::{Fields, Name, Value};

/// How often the process of an order may be lost at one position before that counts as failure of the job.
pub(super) const MAX_LOSSES: usize = 10;

/// On Unix, the return code of a process that was ended by a signal is this plus the signal's number.
const SIGNAL_BASE: i32 = 128;

/// The outcome of a process that has ended.
pub(super) fn of_end(job: &WorkflowJob, order: &Order, end: &End) -> Outcome {
    if let (Ended::Returned { outcome }, None) = (&end.how, end.killed) {
        return returned(outcome, end);
    }
    let completed = completed(job, end);
    match end.killed {
        None => completed.into(),
        Some(KillCause::Command) => Outcome::Killed { outcome: completed },
        Some(KillCause::Timeout) => Outcome::TimedOut { outcome: completed },
        // It never ran, so it can be started again, whatever the job says.
        Some(KillCause::Lost) if matches!(end.how, Ended::NotStarted { .. } | Ended::KilledBeforeStart) => {
            not_started(Problem::new("The subagent ended or lost its director before the process was started"))
        }
        Some(KillCause::Lost) => {
            let message = "The process was ended because its subagent ended or lost its director";
            of_loss(Some(job), order, Problem::coded("ProcessLostDueToSubagentEnd", [], message))
        }
    }
}

/// Marks the outcome of an attempt which certainly never ran: it is made again, and is no loss of a process.
const NOT_STARTED: &str = "ProcessNotStarted";

/// The outcome of an attempt which certainly never ran.
pub(super) fn not_started(problem: Problem) -> Outcome {
    Outcome::process_lost(Problem::coded(NOT_STARTED, [], problem.message))
}

fn may_have_run(outcome: &Outcome) -> bool {
    !matches!(
        outcome,
        Outcome::Disrupted { reason: Disruption::ProcessLost { problem: Some(problem) }, .. }
            if problem.code == NOT_STARTED
    )
}

/// The outcome of a process that is lost, and may have run.
pub(super) fn of_loss(job: Option<&WorkflowJob>, order: &Order, problem: Problem) -> Outcome {
    let position = &order.workflow_position.position;
    let losses = order
        .historic_outcomes
        .latest_first()
        .take_while(|historic| historic.position == *position && historic.outcome.is_process_lost())
        .filter(|historic| may_have_run(&historic.outcome))
        .take(MAX_LOSSES)
        .count();
    if job.is_none_or(|job| job.is_not_restartable) || losses >= MAX_LOSSES {
        Outcome::disrupted(problem)
    } else {
        Outcome::process_lost(problem)
    }
}

/// The outcome of a process that was to be killed before it was started.
pub(super) fn killed_before_start() -> Outcome {
    Outcome::Killed { outcome: failed("The process was cancelled before it was started", Fields::default()) }
}

fn completed(job: &WorkflowJob, end: &End) -> Completed {
    let code = match &end.how {
        Ended::Exited { code } => *code,
        Ended::Signaled { signal } => SIGNAL_BASE.saturating_add(*signal),
        Ended::NotStarted { reason } => return failed(reason, Fields::default()),
        Ended::KilledBeforeStart => {
            return failed("The process was cancelled before it was started", Fields::default());
        }
        Ended::Returned { outcome } => return completed_by(outcome),
    };
    let mut values: Vec<(Name, Value)> = Vec::new();
    if end.killed.is_none() {
        match &end.return_values {
            Ok(returned) => values.extend(returned.iter().map(|(name, value)| (name.clone(), value.clone()))),
            Err(problem) => return failed(&format!("The file with return values: {problem}"), Fields::default()),
        }
    }
    if !matches!(job.executable, Executable::InternalExecutable { .. }) {
        values.push(("returnCode".into(), i64::from(code).into()));
    }
    let named_values: Fields = values.into_iter().collect();
    if !meaning(job).is_success(code) {
        return Completed::Failed { message: None, named_values, uncatchable: false };
    }
    match &end.error_line {
        Some(line) if job.fail_on_err_written => failed(&format!("The job's error channel: {line}"), Fields::default()),
        _ => Completed::Succeeded { named_values },
    }
}

/// The outcome of a built-in job, with the values it returned.
fn returned(outcome: &Outcome, end: &End) -> Outcome {
    let values = match &end.return_values {
        Ok(values) => values,
        Err(problem) => return Outcome::failed(problem.as_str()),
    };
    match outcome.clone() {
        Outcome::Succeeded { named_values } => Outcome::Succeeded { named_values: named_values.overridden_by(values) },
        Outcome::Failed { message, named_values, uncatchable } => {
            Outcome::Failed { message, named_values: named_values.overridden_by(values), uncatchable }
        }
        outcome => outcome,
    }
}

/// How a built-in job ended that was to be ended.
fn completed_by(outcome: &Outcome) -> Completed {
    match outcome.clone() {
        Outcome::Succeeded { named_values } => Completed::Succeeded { named_values },
        Outcome::Caught => Completed::Succeeded { named_values: Fields::default() },
        Outcome::Failed { message, named_values, uncatchable } => {
            Completed::Failed { message, named_values, uncatchable }
        }
        Outcome::TimedOut { outcome } | Outcome::Killed { outcome } => outcome,
        Outcome::Disrupted { .. } => failed("The job was disrupted", Fields::default()),
    }
}

fn failed(message: &str, named_values: Fields) -> Completed {
    Completed::Failed { message: Some(message.to_string()), named_values, uncatchable: false }
}

fn meaning(job: &WorkflowJob) -> ReturnCodeMeaning {
    match &job.executable {
        Executable::PathExecutable { return_code_meaning, .. }
        | Executable::ShellScriptExecutable { return_code_meaning, .. }
        | Executable::CommandLineExecutable { return_code_meaning, .. } => return_code_meaning.clone(),
        Executable::InternalExecutable { .. } => ReturnCodeMeaning::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use baton_workflow::id::OrderId;
    use baton_workflow::json::from_text;
    use baton_workflow::model::order::HistoricOutcome;
    use baton_workflow::model::order_event::OrderEvent;
    use core::time::Duration;

    fn job(is_not_restartable: bool) -> WorkflowJob {
        let text = format!(
            r#"{{"agentPath": "A", "isNotRestartable": {is_not_restartable},
                "executable": {{"TYPE": "ShellScriptExecutable", "script": "x"}}}}"#
        );
        from_text(&text).unwrap()
    }

    fn order_after(outcomes: &[Outcome]) -> Order {
        let added = r#"{"TYPE": "OrderAdded", "workflowId": {"path": "W", "versionId": "1"}}"#;
        let added: OrderEvent = from_text(added).unwrap();
        let mut order = Order::created_by(&OrderId::new("O"), &added).unwrap();
        for outcome in outcomes {
            let position = order.workflow_position.position.clone();
            order.historic_outcomes.push(HistoricOutcome { position, outcome: outcome.clone() });
        }
        order
    }

    fn problem() -> Problem {
        Problem::new("gone")
    }

    #[test]
    fn an_attempt_that_never_ran_is_made_again() {
        let end = End {
            how: Ended::KilledBeforeStart,
            killed: Some(KillCause::Lost),
            return_values: Ok(Fields::default()),
            error_line: None::<String>,
            duration: Duration::ZERO,
        };
        let order = order_after(&[]);
        assert!(of_end(&job(true), &order, &end).is_process_lost());
        let ran = End { how: Ended::Signaled { signal: 9 }, ..end };
        assert!(!of_end(&job(true), &order, &ran).is_process_lost());
        assert!(of_end(&job(false), &order, &ran).is_process_lost());
    }

    #[test]
    fn only_losses_of_processes_which_may_have_run_count() {
        let never = alloc::vec![not_started(problem()); 3 * MAX_LOSSES];
        assert!(of_loss(Some(&job(false)), &order_after(&never), problem()).is_process_lost());
        let lost = alloc::vec![Outcome::process_lost(problem()); MAX_LOSSES];
        assert!(!of_loss(Some(&job(false)), &order_after(&lost), problem()).is_process_lost());
        let both: Vec<Outcome> = lost.into_iter().chain(never).collect();
        assert!(!of_loss(Some(&job(false)), &order_after(&both), problem()).is_process_lost());
    }
}
