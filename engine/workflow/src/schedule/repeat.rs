//! The schedule of a cycle, as data: in which periods, and how often in these.

use super::scheme::AdmissionTimeScheme;
use crate::json::{Node, NodeKind};
use crate::problem::{Checked, Problem};
use crate::time::Duration;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

crate::json_struct! {
    /// When cycles start: each scheme adds its cycles.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Schedule {
        /// Any order, may overlap.
        schemes: Vec<ScheduleScheme> => "schemes";
    }
}

crate::json_struct! {
    /// Cycles which start within admission periods.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct ScheduleScheme {
        /// The periods.
        admission_time_scheme: AdmissionTimeScheme => "admissionTimeScheme";
        /// How often cycles start in a period.
        repeat: Repeat => "repeat";
    }
}

crate::json_union! {
    /// How often cycles start in a period. Points in time are calculated to the millisecond.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Repeat {
        /// At fixed local times, such as 10 and 40 minutes past each hour. Counted from 1970-01-01T00:00 local time.
        Periodic => "Periodic" {
            /// Positive.
            period: Duration => "period";
            /// Ascending and distinct, each not negative and less than the period, at least one.
            offsets: Vec<Duration> => "offsets";
        };
        /// From the start of the admission period on, in equal intervals.
        Ticking => "Ticking" {
            /// Positive.
            interval: Duration => "interval";
        };
        /// From the start of the admission period on, with a pause after each cycle.
        Continuous => "Continuous" {
            /// Not negative; positive if there is no limit.
            pause: Duration => "pause";
            /// Greatest number of cycles in a period.
            limit: Option<i64> => "limit", default None;
        };
    }
    check Repeat::check;
    rewrite sort_offsets;
}

/// Offsets may be written in any order.
fn sort_offsets(node: &Node) -> Option<Node> {
    let NodeKind::Object(members) = &node.kind else {
        return None;
    };
    let mut members = members.clone();
    for (name, _, member) in &mut members {
        if let (NodeKind::List(offsets), "offsets") = (&mut member.kind, &**name) {
            offsets.sort_by(|a, b| match (&a.kind, &b.kind) {
                (NodeKind::Number(a), NodeKind::Number(b)) => a.cmp(b),
                _ => core::cmp::Ordering::Equal,
            });
        }
    }
    Some(Node { kind: NodeKind::Object(members), place: node.place })
}

impl Repeat {
    /// Fixed local times; the offsets may have any order.
    ///
    /// # Errors
    /// When the period is not positive, there are no offsets, or they are not distinct or not within the period.
    pub fn periodic(period: Duration, mut offsets: Vec<Duration>) -> Checked<Self> {
        offsets.sort_unstable();
        checked(Self::Periodic { period, offsets })
    }

    /// Equal intervals.
    ///
    /// # Errors
    /// When the interval is not positive.
    pub fn ticking(interval: Duration) -> Checked<Self> {
        checked(Self::Ticking { interval })
    }

    /// Pauses between cycles.
    ///
    /// # Errors
    /// When pause or limit are negative, or there is neither.
    pub fn continuous(pause: Duration, limit: Option<i64>) -> Checked<Self> {
        checked(Self::Continuous { pause, limit })
    }

    /// Says whether the numbers are in their ranges.
    ///
    /// # Errors
    /// Names what is not.
    pub fn check(&self) -> Checked<()> {
        match self {
            Self::Periodic { period, offsets } => {
                let ascending = offsets.is_sorted_by(|a, b| a < b);
                let within = offsets.iter().all(|offset| !offset.is_negative() && offset < period);
                if *period > Duration::ZERO && !offsets.is_empty() && ascending && within {
                    return Ok(());
                }
                Err(Problem::new("Invalid Periodic arguments"))
            }
            Self::Ticking { interval } if *interval > Duration::ZERO => Ok(()),
            Self::Ticking { .. } => Err(Problem::new("Invalid Ticking interval")),
            Self::Continuous { pause, limit } => {
                if pause.is_negative() || limit.is_some_and(|limit| limit < 0) {
                    Err(Problem::new("Invalid Continuous arguments"))
                } else if pause.is_zero() && limit.is_none() {
                    Err(Problem::new("Continuous: limit or pause must be set"))
                } else {
                    Ok(())
                }
            }
        }
    }
}

impl Schedule {
    /// Says whether all periods and repetitions are valid.
    ///
    /// # Errors
    /// Names everything which is not.
    pub fn check(&self) -> Checked<()> {
        let problems = self
            .schemes
            .iter()
            .flat_map(|scheme| [scheme.admission_time_scheme.check().err(), scheme.repeat.check().err()])
            .flatten();
        Problem::combine(problems).map_or(Ok(()), Err)
    }
}

fn checked(repeat: Repeat) -> Checked<Repeat> {
    repeat.check()?;
    Ok(repeat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec;

    fn secs(seconds: i64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn message(repeat: Checked<Repeat>) -> String {
        repeat.unwrap_err().to_string()
    }

    #[test]
    fn periodic_offsets_are_distinct_and_within_the_period() {
        let sorted = Repeat::periodic(secs(3600), vec![secs(3599), secs(0)]).unwrap();
        assert_eq!(sorted, Repeat::Periodic { period: secs(3600), offsets: vec![secs(0), secs(3599)] });
        for offsets in [vec![], vec![secs(3600)], vec![secs(-1)], vec![secs(1), secs(1)], vec![secs(0), secs(3600)]] {
            assert_eq!(message(Repeat::periodic(secs(3600), offsets)), "Invalid Periodic arguments");
        }
        assert!(Repeat::periodic(secs(0), vec![secs(0)]).is_err());
    }

    #[test]
    fn ticking_needs_an_interval() {
        assert!(Repeat::ticking(Duration::from_nanos(1)).is_ok());
        assert!(Repeat::ticking(secs(0)).is_err());
        assert!(Repeat::ticking(secs(-1)).is_err());
    }

    #[test]
    fn continuous_needs_a_pause_or_a_limit() {
        assert_eq!(message(Repeat::continuous(secs(0), None)), "Continuous: limit or pause must be set");
        assert_eq!(message(Repeat::continuous(secs(0), Some(-1))), "Invalid Continuous arguments");
        assert_eq!(message(Repeat::continuous(secs(-1), None)), "Invalid Continuous arguments");
        assert!(Repeat::continuous(secs(0), Some(0)).is_ok());
        assert!(Repeat::continuous(secs(1), None).is_ok());
    }
}
