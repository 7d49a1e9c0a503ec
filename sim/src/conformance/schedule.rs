//! The kinds `schedule`, `schedule-check`, `cycle-schedule` and `calendar`: when orders may run.

use super::basics::rejected;
use super::input::{self, flag, list, member, need, read, read_optional, text, time};
use super::verdict::{Cases, Difference, Fault, Verdict, equal};
use super::{Kind, Vector, form_of};
use baton_workflow::json::{Json as _, Node};
use baton_workflow::model::item;
use baton_workflow::schedule::{
    Admission, AdmissionPeriod, AdmissionTimeScheme, CycleCalculator, CycleState, Date, DueCycle, FIND_LIMIT, Interval,
    Schedule, TimeZone,
};
use baton_workflow::time::{Duration, Timestamp};
use baton_workflow::value::Value;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "schedule",
        members: &["scheme", "zone", "dateOffset", "dateOffsets", "cases"],
        case: &["from", "until", "periods", "next", "limit", "nextMerged", "day", "hasStart", "at", "permitted"],
        check: schedule,
    },
    Kind {
        name: "schedule-check",
        members: &["cases"],
        case: &["period", "dateOffset", "crossesDayBoundary"],
        check: |vector, cases| {
            vector.each_case(cases, |case| {
                let period: AdmissionPeriod = read(case, "period")?;
                let crosses = period.crosses_day_boundary(read(case, "dateOffset")?);
                need(case, "crossesDayBoundary")?;
                equal("crossesDayBoundary", &flag(case, "crossesDayBoundary")?, &crosses)
            })
        },
    },
    Kind {
        name: "cycle-schedule",
        members: &["schedule", "zone", "dateOffset", "onlyOnePeriod", "cases"],
        case: &[
            "about",
            "from",
            "until",
            "cycleDuration",
            "cycles",
            "firstNexts",
            "cycleState",
            "now",
            "next",
            "due",
            "skipped",
            "to",
        ],
        check: cycle_schedule,
    },
    Kind {
        name: "calendar",
        members: &["calendar", "zone", "cases"],
        case: &["orderId", "start", "duration", "ok", "problem"],
        check: calendar,
    },
];

/// A time of a case: local in the zone unless it has a `Z`.
fn zoned(case: &Node, name: &str, zone: &TimeZone) -> Result<Timestamp, Fault> {
    match need(case, name)?.as_str() {
        Some(text) if !text.ends_with('Z') => {
            zone.parse_local(text).map_err(|error| Fault::malformed(format!("{name}: {error}")))
        }
        _ => time(case, name),
    }
}

fn schedule(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let scheme: AdmissionTimeScheme = read(vector.node, "scheme")?;
    let zone: TimeZone = read(vector.node, "zone")?;
    let date_offsets: Vec<Duration> = match read_optional(vector.node, "dateOffsets")? {
        Some(offsets) => offsets,
        None => vec![read_optional(vector.node, "dateOffset")?.unwrap_or(Duration::ZERO)],
    };
    vector.each_case(cases, |case| {
        for &date_offset in &date_offsets {
            let admission = Admission { scheme: &scheme, zone: &zone, date_offset };
            schedule_case(&admission, case).map_err(|fault| match fault {
                Fault::Differs(d) => Fault::Differs(d.within(&format!("dateOffset {}s", date_offset.to_seconds()))),
                other => other,
            })?;
        }
        Ok(())
    })
}

fn schedule_case(admission: &Admission<'_>, case: &Node) -> Verdict {
    let from = || zoned(case, "from", admission.zone);
    let limit = || read_optional(case, "limit").map(|limit| limit.unwrap_or(FIND_LIMIT));
    match form_of(case, &["periods", "next", "nextMerged", "hasStart", "permitted"])? {
        "periods" => {
            let mut found = admission.intervals(from()?, zoned(case, "until", admission.zone)?);
            for (i, expected) in list(case, "periods")?.iter().enumerate() {
                let actual = found.next().map(|f| (f.interval, Some(f.period_index)));
                period(admission.zone, &format!("periods[{i}]"), Some(expected), actual)?;
            }
            period(admission.zone, "after the periods", None, found.next().map(|f| (f.interval, Some(f.period_index))))
        }
        "next" => {
            let found = admission.find_time_interval(from()?, limit()?);
            let found = found.map(|f| (f.interval, Some(f.period_index)));
            period(admission.zone, "next", case.get("next"), found)
        }
        "nextMerged" => {
            let found = admission.find_long_time_interval(from()?, limit()?);
            period(admission.zone, "nextMerged", case.get("nextMerged"), found.map(|f| (f, None)))
        }
        "hasStart" => {
            let day: Date = text(case, "day")?.parse().map_err(|error| Fault::malformed(format!("day: {error}")))?;
            equal("hasStart", &flag(case, "hasStart")?, &admission.has_period_start_for_day(day))
        }
        _ => {
            let at = zoned(case, "at", admission.zone)?;
            equal("permitted", &flag(case, "permitted")?, &admission.is_permitted(at))
        }
    }
}

fn period(zone: &TimeZone, path: &str, expected: Option<&Node>, found: Option<(Interval, Option<usize>)>) -> Verdict {
    let show = |start: Timestamp, duration: Duration, index: Option<usize>| {
        let index = index.map_or_else(String::new, |index| format!(", period {index}"));
        format!("{start} for {}s{index}", duration.to_seconds())
    };
    let is_indexed = expected.is_some_and(|expected| expected.get("index").is_some());
    let expected = match expected {
        None => String::from("no period"),
        Some(expected) => {
            let index = read_optional::<u32>(expected, "index")?.map(|index| index as usize);
            show(zoned(expected, "start", zone)?, read(expected, "duration")?, index)
        }
    };
    let found = found.map_or_else(
        || String::from("no period"),
        |(found, index)| show(found.start, found.duration(), index.filter(|_| is_indexed)),
    );
    if expected == found { Ok(()) } else { Err(Difference::new(expected, found).within(path).into()) }
}

fn cycle_schedule(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let schedule: Schedule = read(vector.node, "schedule")?;
    let zone: TimeZone = read(vector.node, "zone")?;
    let calculator = CycleCalculator {
        schedule: &schedule,
        zone: &zone,
        date_offset: read(vector.node, "dateOffset")?,
        only_one_period: flag(vector.node, "onlyOnePeriod")?,
    };
    vector.each_case(cases, |case| match form_of(case, &["cycles", "firstNexts", "next", "due"])? {
        "cycles" => cycles(&calculator, case),
        "firstNexts" => first_nexts(&calculator, case),
        "next" => {
            let found = calculator.next_cycle_state(&read(case, "cycleState")?, time(case, "now")?);
            equal("next", &read_optional::<CycleState>(case, "next")?, &found)
        }
        _ => {
            let found = calculator.on_next_cycle_is_due(&read(case, "cycleState")?, time(case, "now")?);
            equal("due", &due(case)?, &found)
        }
    })
}

fn due(case: &Node) -> Result<DueCycle, Fault> {
    match text(case, "due")? {
        "KeepWaiting" => Ok(DueCycle::KeepWaiting),
        "StartCycle" => Ok(DueCycle::StartCycle { skipped: read_optional(case, "skipped")?.unwrap_or(Duration::ZERO) }),
        "ChangeCycleState" => Ok(DueCycle::ChangeCycleState(read_optional(case, "to")?)),
        other => Err(Fault::malformed(format!("unknown due '{other}'"))),
    }
}

/// The cycles of an order: when it arrives, and the state calculated then.
fn walk<'a>(
    calculator: &'a CycleCalculator<'_>,
    case: &Node,
) -> Result<impl Iterator<Item = (Timestamp, CycleState)> + 'a, Fault> {
    let (from, until) = (zoned(case, "from", calculator.zone)?, zoned(case, "until", calculator.zone)?);
    let duration: Duration = read(case, "cycleDuration")?;
    let mut arrival = from;
    let mut state = CycleState::initial(Interval { start: from, end: until });
    Ok(std::iter::from_fn(move || {
        let arrived = arrival;
        state = calculator.next_cycle_state(&state, arrived)?;
        arrival = arrived.max(state.next) + duration;
        Some((arrived, state))
    }))
}

fn cycles(calculator: &CycleCalculator<'_>, case: &Node) -> Verdict {
    let mut walk = walk(calculator, case)?;
    for (i, expected) in list(case, "cycles")?.iter().enumerate() {
        let path = format!("cycles[{i}]");
        let Some((arrival, state)) = walk.next() else {
            return Err(Difference::new(input::show(expected), "no further cycle").within(&path).into());
        };
        equal(&format!("{path}.arrival"), &zoned(expected, "arrival", calculator.zone)?, &arrival)?;
        equal(&format!("{path}.next"), &zoned(expected, "next", calculator.zone)?, &state.next)?;
        let numbers =
            [("schemeIndex", state.scheme_index), ("periodIndex", state.period_index), ("index", state.index)];
        for (name, found) in numbers {
            if let Some(expected) = member(expected, name) {
                equal(&format!("{path}.{name}"), &input::integer(expected)?, &found)?;
            }
        }
        if member(expected, "end").is_some() {
            equal(&format!("{path}.end"), &zoned(expected, "end", calculator.zone)?, &state.end)?;
        }
    }
    equal("after the cycles", &None, &walk.next())
}

/// The cycles after the arrival; one which starts with the arrival is not among them.
fn first_nexts(calculator: &CycleCalculator<'_>, case: &Node) -> Verdict {
    let from = zoned(case, "from", calculator.zone)?;
    let mut nexts = walk(calculator, case)?.map(|(_, state)| state.next).filter(|next| *next > from);
    for (i, expected) in list(case, "firstNexts")?.iter().enumerate() {
        let next = nexts.next().map(|next| next.to_string());
        let expected = input::value_of::<Timestamp>(expected)?.to_string();
        equal(&format!("firstNexts[{i}]"), &Some(expected), &next)?;
    }
    Ok(())
}

fn calendar(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let calendar: item::Calendar = read(vector.node, "calendar")?;
    let zone: TimeZone = read(vector.node, "zone")?;
    let days = calendar.rules().compile().map_err(|problem| Fault::malformed(problem.message))?;
    vector.each_case(cases, |case| {
        let day = days.order_day(calendar.path.as_str(), text(case, "orderId")?, &zone);
        match form_of(case, &["start", "ok", "problem"])? {
            "problem" => {
                let found = day.map(|day| Value::list([day.start.write(), day.end.write()]));
                rejected(vector.matcher(), need(case, "problem")?, found)
            }
            form => {
                let day = day.map_err(|problem| Difference::new("an order day", problem.message))?;
                if form == "ok" {
                    return Ok(());
                }
                equal("start", &zoned(case, "start", &zone)?, &day.start)?;
                equal("duration", &read(case, "duration")?, &day.duration())
            }
        }
    })
}
