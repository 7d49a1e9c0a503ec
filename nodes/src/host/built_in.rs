//! Jobs built into the subagent: what workflows name as classes, without their Java.
//!
//! A class is known by its last part, whatever its package. They are for trying workflows out: nothing is started for them. All
//! other classes are refused by name.

use baton_workflow::expression::conversion::duration_of;
use baton_workflow::model::outcome::Outcome;
use baton_workflow::value::{Fields, Value};
use std::time::Duration;

/// A job that has been understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BuiltIn {
    /// So long it takes.
    pub(super) lasts: Duration,
    /// What it comes to then.
    pub(super) outcome: Outcome,
}

/// The classes, for people.
const KNOWN: &str = "EmptyJob (does nothing), SleepJob (sleeps for the seconds in its argument \"sleep\"), \
    FailingJob (fails with the text in its argument \"message\")";

/// The job of this class with these arguments; of a name that is in both, the argument of the process counts.
///
/// # Errors
/// When there is no such class, or an argument makes no sense to it.
pub(super) fn find(class: &str, job_arguments: &Fields, arguments: &Fields) -> Result<BuiltIn, String> {
    let argument = |name: &str| arguments.get(name).or_else(|| job_arguments.get(name)).unwrap_or(&Value::Missing);
    let at_once = |outcome| Ok(BuiltIn { lasts: Duration::ZERO, outcome });
    match class.rsplit('.').next().unwrap_or_default() {
        "EmptyJob" => at_once(Outcome::succeeded()),
        "SleepJob" => {
            let lasts = duration_of(argument("sleep")).map_err(|problem| {
                format!("the argument \"sleep\" of {class} must be a number of seconds: {problem}")
            })?;
            let lasts = Duration::from_millis(u64::try_from(lasts.as_millis()).unwrap_or(0));
            Ok(BuiltIn { lasts, outcome: Outcome::succeeded() })
        }
        "FailingJob" => at_once(Outcome::failed(argument("message").as_str().unwrap_or("this job always fails"))),
        _ => Err(format!(
            "there is no built-in job {class:?}: Baton runs no Java, take a script or a program instead. Known are {KNOWN}"
        )),
    }
}

/// What a job comes to that was killed.
pub(super) fn killed() -> Outcome {
    Outcome::failed("Canceled")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(name: &str, value: Value) -> Fields {
        [(name.into(), value)].into_iter().collect()
    }

    #[test]
    fn classes_are_known_by_their_last_part() {
        let none = Fields::default();
        assert_eq!(find("a.b.EmptyJob", &none, &none), find("EmptyJob", &none, &none));
        let half = fields("sleep", Value::string("0.5"));
        let sleep = find("SleepJob", &fields("sleep", Value::from(9)), &half).unwrap();
        assert_eq!(sleep.lasts, Duration::from_millis(500));
        assert_eq!(find("SleepJob", &fields("sleep", Value::from(9)), &none).unwrap().lasts, Duration::from_secs(9));
        assert!(!find("x.FailingJob", &none, &none).unwrap().outcome.is_succeeded());
    }

    #[test]
    fn what_is_not_known_is_named() {
        let none = Fields::default();
        let reason = find("com.example.Special", &none, &none).unwrap_err();
        assert!(reason.contains("com.example.Special") && reason.contains("EmptyJob"), "{reason}");
        let reason = find("SleepJob", &none, &fields("sleep", Value::string("long"))).unwrap_err();
        assert!(reason.contains("number of seconds"), "{reason}");
    }
}
