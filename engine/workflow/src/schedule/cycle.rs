//! When the next cycle of an order starts.
//!
//! A pure function of the schedule, the state of the cycling so far and the time. Missed cycles are not caught up: of a
//! fixed grid only the latest missed one is started. Where periods overlap, the change from one to another starts no second
//! cycle at the same time, else two periods could alternate for ever while the clock stands still.

use super::admission::{Admission, FIND_LIMIT};
use super::grid::LocalGrid;
use super::interval::Interval;
use super::repeat::{Repeat, Schedule};
use super::zone::TimeZone;
use crate::time::{Duration, Timestamp};
use serde::{Deserialize, Serialize};

crate::json_struct! {
    /// How far the cycling of an order has come.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub struct CycleState {
        /// No cycle starts from here on: the end of the order day.
        end: Timestamp => "end";
        /// Number of the scheme of the next cycle; −1 before the first one.
        scheme_index: i64 => "schemeIndex", default 0;
        /// Number of the period within the scheme; −1 before the first one.
        period_index: i64 => "periodIndex", default 0;
        /// Number of the next cycle, counted from 1 in each period; 0 before the first one.
        index: i64 => "index", shown 0;
        /// When the next cycle starts; [`Timestamp::EPOCH`] means at once.
        next: Timestamp => "next", shown Timestamp::EPOCH;
    }
}

/// What to do when a cycle is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueCycle {
    /// It is too early.
    KeepWaiting,
    /// The cycle starts now.
    StartCycle {
        /// For how long ticks have been missed; zero if none.
        skipped: Duration,
    },
    /// It is too late for this cycle: wait for that one, or if there is none, end the cycling.
    ChangeCycleState(Option<CycleState>),
}

/// The calculation for a Cycle instruction.
#[derive(Clone, Copy, Debug)]
pub struct CycleCalculator<'a> {
    /// When cycles start.
    pub schedule: &'a Schedule,
    /// The zone of the schedule's local times.
    pub zone: &'a TimeZone,
    /// How long after midnight the order day starts.
    pub date_offset: Duration,
    /// Whether the cycling ends with its first admission period.
    pub only_one_period: bool,
}

impl CycleState {
    /// Before the first cycle of an order day.
    #[must_use]
    pub const fn initial(order_day: Interval) -> Self {
        Self { end: order_day.end, scheme_index: -1, period_index: -1, index: 0, next: order_day.start }
    }

    const fn is_initial(&self) -> bool {
        self.scheme_index < 0
    }
}

impl CycleCalculator<'_> {
    /// The state in which an order waits for the cycle after the one which `state` is about. `None`: there is no further cycle.
    #[must_use]
    pub fn next_cycle_state(&self, state: &CycleState, now: Timestamp) -> Option<CycleState> {
        let mut earliest: Option<CycleState> = None;
        for (scheme_index, scheme) in (0..).zip(&self.schedule.schemes) {
            let admission =
                Admission { scheme: &scheme.admission_time_scheme, zone: self.zone, date_offset: self.date_offset };
            for candidate in admission.intervals(now, state.end.min(now + FIND_LIMIT)) {
                let Interval { start, end } = candidate.interval;
                // Cycles of periods to come are later.
                if start > now && earliest.is_some_and(|earliest| earliest.next <= start) {
                    break;
                }
                let period_index = i64::try_from(candidate.period_index).unwrap_or(i64::MAX);
                let is_first = (scheme_index, period_index) != (state.scheme_index, state.period_index);
                let period = Interval { start, end: end.min(state.end) };
                if let Some(next) = self.next_in_period(&scheme.repeat, period, state, is_first, now)
                    && earliest.is_none_or(|earliest| next < earliest.next)
                {
                    let index = if is_first { 1 } else { state.index.saturating_add(1) };
                    earliest = Some(CycleState { end: state.end, scheme_index, period_index, index, next });
                }
            }
        }
        let other_period = earliest
            .is_some_and(|next| (next.scheme_index, next.period_index) != (state.scheme_index, state.period_index));
        earliest.filter(|_| !(self.only_one_period && other_period && !state.is_initial()))
    }

    /// What to do about an order which waits for the cycle of `state`.
    #[must_use]
    pub fn on_next_cycle_is_due(&self, state: &CycleState, now: Timestamp) -> DueCycle {
        let scheme = usize::try_from(state.scheme_index).ok().and_then(|i| self.schedule.schemes.get(i));
        let skipped = match scheme.map(|scheme| &scheme.repeat) {
            Some(Repeat::Ticking { interval }) => {
                let interval = interval.as_millis_rounded_up().max(1);
                Duration::from_millis((now - state.next).as_millis().max(0) / interval * interval)
            }
            Some(Repeat::Periodic { .. } | Repeat::Continuous { .. }) | None => Duration::ZERO,
        };
        if now < state.next + skipped {
            return DueCycle::KeepWaiting;
        }
        let is_permitted = scheme.is_some_and(|scheme| {
            let scheme = &scheme.admission_time_scheme;
            Admission { scheme, zone: self.zone, date_offset: self.date_offset }.is_permitted(now)
        });
        if is_permitted {
            DueCycle::StartCycle { skipped }
        } else {
            DueCycle::ChangeCycleState(self.next_cycle_state(state, now))
        }
    }

    /// When the next cycle within a period starts, if one still does.
    fn next_in_period(
        &self,
        repeat: &Repeat,
        period: Interval,
        state: &CycleState,
        is_first: bool,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let last = state.next.max(period.start);
        // Whether a cycle may start with the period, or even with the order day. A cycle which started at once was in a period.
        let at_once = state.is_initial() || (state.next < period.start && (is_first || state.next != Timestamp::EPOCH));
        let next = match repeat {
            Repeat::Periodic { period: length, offsets } => {
                let grid = LocalGrid { zone: self.zone, period: *length, offsets };
                let from = if at_once { last } else { last + Duration::from_millis(1) };
                let before_end = period.end - Duration::from_millis(1);
                grid.last(from, now.min(before_end)).or_else(|| grid.first(from, period.end))?
            }
            Repeat::Ticking { interval } => {
                let interval = interval.as_millis_rounded_up().max(1);
                let ticks = (now - last).as_millis().div_euclid(interval).max(i64::from(!at_once));
                last + Duration::from_millis(ticks.saturating_mul(interval))
            }
            Repeat::Continuous { pause, limit } => {
                let index = if is_first { 0 } else { state.index };
                if limit.is_some_and(|limit| index >= limit) {
                    return None;
                }
                let pause = if at_once { Duration::ZERO } else { *pause };
                let next = now.max(period.start) + Duration::from_millis(pause.as_millis_rounded_up());
                if next <= now { Timestamp::EPOCH } else { next }
            }
        };
        (next < period.end).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{AdmissionPeriod, AdmissionTimeScheme, ScheduleScheme};
    use alloc::string::{String, ToString};
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const HOUR: i64 = 3600;

    fn secs(seconds: i64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A period each day, in minutes.
    fn daily(start: i64, duration: i64) -> AdmissionPeriod {
        AdmissionPeriod::Daily { second_of_day: start * 60, duration: secs(duration * 60) }
    }

    fn scheme(periods: Vec<AdmissionPeriod>, repeat: Repeat) -> ScheduleScheme {
        ScheduleScheme { admission_time_scheme: AdmissionTimeScheme::unrestricted(periods), repeat }
    }

    fn periodic(offsets: &[i64]) -> Repeat {
        Repeat::periodic(secs(HOUR), offsets.iter().map(|o| secs(o * 60)).collect()).unwrap()
    }

    fn ticking(minutes: i64) -> Repeat {
        Repeat::ticking(secs(minutes * 60)).unwrap()
    }

    fn continuous(pause: i64, limit: Option<i64>) -> Repeat {
        Repeat::continuous(secs(pause * 60), limit).unwrap()
    }

    /// An order which cycles on 2021-10-01 in UTC.
    struct Day {
        schedule: Schedule,
        zone: TimeZone,
        only_one_period: bool,
        /// How long each cycle lasts.
        cycle: Duration,
    }

    impl Day {
        fn new(schemes: Vec<ScheduleScheme>) -> Self {
            Self {
                schedule: Schedule { schemes },
                zone: TimeZone::utc(),
                only_one_period: false,
                cycle: Duration::ZERO,
            }
        }

        fn calculator(&self) -> CycleCalculator<'_> {
            CycleCalculator {
                schedule: &self.schedule,
                zone: &self.zone,
                date_offset: Duration::ZERO,
                only_one_period: self.only_one_period,
            }
        }

        fn states(&self, arrival: &str) -> Vec<CycleState> {
            let order_day = Interval { start: at("00:00"), end: at("00:00") + Duration::from_days(1) };
            let (mut state, mut now) = (CycleState::initial(order_day), at(arrival));
            let mut states = Vec::new();
            while let Some(next) = self.calculator().next_cycle_state(&state, now) {
                now = now.max(next.next) + self.cycle;
                state = next;
                states.push(state);
                if states.len() == 2000 {
                    break;
                }
            }
            states
        }

        /// Each cycle as `scheme/period#index time`.
        fn cycles(&self, arrival: &str) -> Vec<String> {
            let print =
                |s: CycleState| alloc::format!("{}/{}#{} {}", s.scheme_index, s.period_index, s.index, clock(s.next));
            self.states(arrival).into_iter().map(print).collect()
        }

        fn due(&self, (scheme_index, period_index, index): (i64, i64, i64), next: &str, now: &str) -> DueCycle {
            let end = at("00:00") + Duration::from_days(1);
            let state = CycleState { end, scheme_index, period_index, index, next: at(next) };
            self.calculator().on_next_cycle_is_due(&state, at(now))
        }
    }

    fn at(time: &str) -> Timestamp {
        alloc::format!("2021-10-01T{time}Z").parse().unwrap()
    }

    fn clock(time: Timestamp) -> String {
        if time == Timestamp::EPOCH { "now".into() } else { time.to_string()[11..16].into() }
    }

    #[test]
    fn periodic_cycles_keep_to_the_clock() {
        let mut day = Day::new(vec![scheme(vec![daily(540, 80), daily(720, 16)], periodic(&[10, 20]))]);
        let all = ["0/0#1 09:10", "0/0#2 09:20", "0/0#3 10:10", "0/1#1 12:10"];
        assert_eq!(day.cycles("00:00"), all);
        day.cycle = secs(12 * 60);
        assert_eq!(day.cycles("09:30"), ["0/0#1 09:20", "0/0#2 10:10", "0/1#1 12:10"], "a missed cycle comes late");
        day.cycle = secs(65 * 60);
        assert_eq!(
            day.cycles("00:00"),
            ["0/0#1 09:10", "0/0#2 10:10", "0/1#1 12:10"],
            "of several missed ones the latest"
        );
        day.only_one_period = true;
        assert_eq!(day.cycles("00:00"), ["0/0#1 09:10", "0/0#2 10:10"]);
        assert_eq!(day.cycles("12:15"), ["0/1#1 12:10"]);
        assert!(day.cycles("12:16").is_empty());
    }

    #[test]
    fn ticking_cycles_keep_their_distance_from_the_start() {
        let mut day = Day::new(vec![scheme(vec![daily(547, 30)], ticking(15))]);
        assert_eq!(day.cycles("00:00"), ["0/0#1 09:07", "0/0#2 09:22"]);
        assert_eq!(day.cycles("09:30"), ["0/0#1 09:22"], "the missed first tick is skipped");
        day.cycle = secs(16 * 60);
        assert_eq!(day.cycles("00:00"), ["0/0#1 09:07", "0/0#2 09:22"]);
    }

    #[test]
    fn continuous_cycles_pause() {
        let mut day = Day::new(vec![
            scheme(vec![daily(540, 30)], continuous(10, None)),
            scheme(vec![daily(600, 30)], continuous(1, Some(3))),
            scheme(vec![daily(660, 30)], continuous(0, Some(0))),
        ]);
        day.cycle = secs(5 * 60);
        assert_eq!(
            day.cycles("00:00"),
            ["0/0#1 09:00", "0/0#2 09:15", "1/0#1 10:00", "1/0#2 10:06", "1/0#3 10:12"],
            "the pause follows the end of a cycle"
        );
        assert_eq!(day.cycles("09:03")[..2], ["0/0#1 now", "0/0#2 09:18"]);
    }

    #[test]
    fn cycles_end_with_the_order_day() {
        let day = Day::new(vec![scheme(vec![daily(1380, 120)], periodic(&[0, 30]))]);
        assert_eq!(day.cycles("00:00"), ["0/0#1 00:00", "0/0#2 00:30", "0/0#3 23:00", "0/0#4 23:30"]);
        assert!(Day::new(vec![]).cycles("00:00").is_empty());
    }

    #[test]
    fn overlapping_periods_start_no_cycle_twice() {
        let day = Day::new(vec![
            scheme(vec![daily(540, 60), daily(550, 60)], periodic(&[0, 30])),
            scheme(vec![daily(540, 60)], ticking(20)),
        ]);
        let times: Vec<String> = day.states("00:00").iter().map(|s| clock(s.next)).collect();
        assert_eq!(times, ["09:00", "09:20", "09:30", "09:50", "10:00"]);
    }

    #[test]
    fn milliseconds_count() {
        let half = Repeat::periodic(secs(1), vec![Duration::from_millis(250), Duration::from_millis(750)]).unwrap();
        let period = AdmissionPeriod::Daily { second_of_day: 9 * HOUR, duration: secs(1) };
        let day = Day::new(vec![scheme(vec![period.clone()], half)]);
        let times: Vec<String> = day.states("00:00").iter().map(|s| s.next.to_string()).collect();
        assert_eq!(times, ["2021-10-01T09:00:00.250Z", "2021-10-01T09:00:00.750Z"]);
        let day = Day::new(vec![scheme(vec![period], Repeat::ticking(Duration::from_nanos(1)).unwrap())]);
        assert_eq!(day.states("00:00").len(), 1000, "a tick is at least a millisecond");
    }

    #[test]
    fn the_grid_follows_the_rule_for_daylight_saving_time() {
        let mut day = Day::new(vec![scheme(vec![AdmissionPeriod::all_day()], periodic(&[0, 30]))]);
        day.zone = TimeZone::get("Europe/Berlin").unwrap();
        let nexts = |from: &str, count: usize| {
            let start: Timestamp = from.parse().unwrap();
            let mut state = CycleState::initial(Interval { start, end: start + Duration::from_days(1) });
            let mut times = Vec::new();
            for _ in 0..count {
                state = day.calculator().next_cycle_state(&state, state.next).unwrap();
                times.push(clock(state.next));
            }
            times
        };
        // In local time 02:30 would be followed by 02:00 and 02:30 again, or precedes 03:00 and 03:30.
        assert_eq!(nexts("2021-10-30T23:30:00Z", 5), ["23:30", "00:00", "00:30", "02:00", "02:30"]);
        assert_eq!(nexts("2021-03-28T00:30:00Z", 4), ["00:30", "01:00", "01:30", "02:00"]);
    }

    #[test]
    fn what_to_do_when_a_cycle_is_due() {
        let day = Day::new(vec![
            scheme(vec![daily(540, 60)], periodic(&[0])),
            scheme(vec![daily(907, 30), daily(720, 60)], ticking(15)),
        ]);
        let start = |minutes: i64| DueCycle::StartCycle { skipped: secs(minutes * 60) };
        for (next, now, expected) in [
            ("12:00", "11:59", DueCycle::KeepWaiting),
            ("12:00", "12:00", start(0)),
            ("12:15", "12:14", DueCycle::KeepWaiting),
            ("12:15", "12:29", start(0)),
            ("12:15", "12:30", start(15)),
            ("12:15", "12:59", start(30)),
        ] {
            assert_eq!(day.due((1, 1, 1), next, now), expected, "{next} {now}");
        }
        let DueCycle::ChangeCycleState(Some(later)) = day.due((1, 1, 1), "12:15", "13:00") else {
            panic!("the period has ended");
        };
        assert_eq!((later.scheme_index, later.period_index, later.index, clock(later.next)), (1, 0, 1, "15:07".into()));
        assert_eq!(day.due((1, 0, 1), "15:07", "15:37"), DueCycle::ChangeCycleState(None));
        assert_eq!(day.due((0, 0, 1), "09:00", "09:59"), start(0));
        let DueCycle::ChangeCycleState(Some(known)) = day.due((7, 0, 1), "09:00", "11:00") else {
            panic!("there is no such scheme");
        };
        assert_eq!((known.scheme_index, known.period_index), (1, 1));
    }

    #[test]
    fn absurd_states_do_no_harm() {
        let day = Day::new(vec![
            scheme(vec![daily(0, 1)], continuous(1, Some(0))),
            scheme(vec![daily(0, 1)], ticking(15)),
            scheme(vec![daily(0, 1)], periodic(&[0])),
        ]);
        for (end, next) in
            [(Timestamp::MAX, Timestamp::MIN), (Timestamp::MIN, Timestamp::MAX), (Timestamp::MAX, Timestamp::MAX)]
        {
            for index in [i64::MIN, 0, 1, i64::MAX] {
                let state = CycleState { end, scheme_index: index, period_index: index, index, next };
                for now in [Timestamp::MIN, at("09:00"), Timestamp::MAX] {
                    let _ = day.calculator().next_cycle_state(&state, now);
                    let _ = day.calculator().on_next_cycle_is_due(&state, now);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn cycles_of_a_clock_go_on_in_time(
            kinds in proptest::collection::vec((any::<bool>(), 0..1440i64, 1..1440i64, 1..300i64), 1..5),
            cycle in 0..100i64,
        ) {
            let mut day = Day::new(kinds.into_iter().map(|(is_ticking, start, minutes, interval)| {
                let repeat = if is_ticking { ticking(interval) } else { periodic(&[interval % 60]) };
                scheme(vec![daily(start, minutes), daily(start / 2, minutes)], repeat)
            }).collect());
            day.cycle = secs(cycle);
            let states = day.states("00:00");
            prop_assert!(states.windows(2).all(|pair| pair[0].next < pair[1].next));
            for state in states {
                let period = &day.schedule.schemes[usize::try_from(state.scheme_index).unwrap()].admission_time_scheme;
                prop_assert!(Admission::new(period, &day.zone).is_permitted(state.next));
                prop_assert!(state.next < state.end);
            }
        }
    }
}
