//! What can happen to a cluster: faults drawn at random, each a few steps at their times.

use baton_protocol::random::Random;
use baton_protocol::register::Seat;
use std::fmt;
use std::time::Duration;

/// Something that is done to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// SIGKILL.
    Kill(Seat),
    /// Starts it, if it does not run.
    Start(Seat),
    /// SIGSTOP.
    Pause(Seat),
    /// SIGCONT.
    GoOn(Seat),
    /// Cuts the link over which one sends to another.
    Cut(Seat, Seat),
    /// Opens it.
    Open(Seat, Seat),
    /// Ends the connections of the link.
    Break(Seat, Seat),
    /// Asks a node, by HTTP, to end or to do something with the pair.
    Ask(Seat, &'static str),
    /// SIGTERM.
    Terminate(Seat),
}

macro_rules! kinds {
    ($($kind:ident $weight:literal $words:literal;)+) => {
        /// The kinds of faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind { $(#[doc = $words] $kind),+ }

        impl Kind {
            /// All, and how often each is drawn.
            pub(crate) const ALL: &[(Self, u64)] = &[$((Self::$kind, $weight)),+];
        }

        impl fmt::Display for Kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$kind => $words),+ })
            }
        }
    };
}

kinds! {
    KillActive 16 "active killed";
    KillStandby 5 "standby killed";
    KillWatch 4 "watch killed";
    KillBoth 6 "both killed";
    KillAll 4 "all killed";
    PauseActive 12 "active paused";
    PauseStandby 6 "standby paused";
    PauseWatch 4 "watch paused";
    PauseBoth 4 "both paused";
    CutActive 8 "active cut off";
    CutStandby 5 "standby cut off";
    CutWatch 3 "watch cut off";
    CutPair 8 "nodes cut from each other";
    CutOneWay 8 "one direction cut";
    Break 4 "connections broken";
    SwitchOver 6 "switched over";
    EndSwitchingOver 4 "active ended, switching over";
    EndActive 4 "active stopped in order";
    EndStandby 4 "standby stopped in order";
    AbortActive 4 "active aborted";
    EndWatch 3 "watch stopped in order";
    Storm 12 "several at once";
}

impl Kind {
    /// One of all, drawn by their weights.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let all: u64 = Self::ALL.iter().map(|(_, weight)| weight).sum();
        let mut draw = random.below(all);
        for (kind, weight) in Self::ALL {
            match draw.checked_sub(*weight) {
                Some(rest) => draw = rest,
                None => return *kind,
            }
        }
        Self::Storm
    }

    /// Whether it is a single failure: then commands are answered again within the promised time, however long it lasts.
    pub(crate) fn is_single(self) -> bool {
        !matches!(self, Self::KillBoth | Self::KillAll | Self::PauseBoth | Self::EndActive | Self::Storm)
    }
}

/// What happens: steps and when, in order.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) steps: Vec<(Duration, Step)>,
}

impl Fault {
    /// A fault of a kind, that is over after a time of at most `longest`.
    pub(crate) fn draw(kind: Kind, active: Seat, longest: Duration, random: &mut Random) -> Self {
        let standby = active.peer();
        let mut times = || time(longest, random);
        let (t, u, v) = (times(), times(), times());
        let at_once = Duration::ZERO;
        let killed = |seat, until| vec![(at_once, Step::Kill(seat)), (until, Step::Start(seat))];
        let paused = |seat, until| vec![(at_once, Step::Pause(seat)), (until, Step::GoOn(seat))];
        let cut = |from, to| vec![(at_once, Step::Cut(from, to)), (t, Step::Open(from, to))];
        let cut_off =
            |seat: Seat| seat.others().into_iter().flat_map(|to| [cut(seat, to), cut(to, seat)]).flatten().collect();
        let asked = |path| vec![(at_once, Step::Ask(active, path)), (t, Step::Start(active))];
        let mut steps: Vec<(Duration, Step)> = match kind {
            Kind::KillActive => killed(active, t),
            Kind::KillStandby => killed(standby, t),
            Kind::KillWatch => killed(Seat::Watch, t),
            Kind::KillBoth => [killed(active, t), killed(standby, u)].concat(),
            Kind::KillAll => [killed(active, t), killed(standby, u), killed(Seat::Watch, v)].concat(),
            Kind::PauseActive => paused(active, t),
            Kind::PauseStandby => paused(standby, t),
            Kind::PauseWatch => paused(Seat::Watch, t),
            Kind::PauseBoth => [paused(active, t), paused(standby, u)].concat(),
            Kind::CutActive => cut_off(active),
            Kind::CutStandby => cut_off(standby),
            Kind::CutWatch => cut_off(Seat::Watch),
            Kind::CutPair => [cut(active, standby), cut(standby, active)].concat(),
            Kind::CutOneWay => {
                let (from, to) = link(random);
                cut(from, to)
            }
            Kind::Break => {
                let broken = |n: u64| {
                    let (from, to) = link(random);
                    (Duration::from_millis(n * 150), Step::Break(from, to))
                };
                (0..10).map(broken).collect()
            }
            Kind::SwitchOver => vec![(at_once, Step::Ask(active, "cluster/switch-over"))],
            Kind::EndSwitchingOver => asked("terminate?manner=switch-over"),
            Kind::EndActive => asked("terminate?manner=stop"),
            Kind::EndStandby => vec![(at_once, Step::Terminate(standby)), (t, Step::Start(standby))],
            Kind::AbortActive => asked("terminate?manner=abort&restart=true"),
            Kind::EndWatch => vec![(at_once, Step::Terminate(Seat::Watch)), (t, Step::Start(Seat::Watch))],
            Kind::Storm => Self::storm(active, longest, random),
        };
        steps.sort_by_key(|(at, _)| *at);
        Self { steps }
    }

    /// Some faults that begin one after the other, while those before may last.
    fn storm(active: Seat, longest: Duration, random: &mut Random) -> Vec<(Duration, Step)> {
        let mut steps = Vec::new();
        let mut begin = Duration::ZERO;
        for _ in 0..random.between(2, 5) {
            let kind = Kind::draw(random);
            // A storm in a storm adds nothing.
            if kind != Kind::Storm {
                let fault = Self::draw(kind, if random.chance(1, 2) { active } else { active.peer() }, longest, random);
                steps.extend(fault.steps.into_iter().map(|(at, step)| (begin + at, step)));
            }
            begin += time(longest, random) / 4;
        }
        steps
    }
}

/// A link that is drawn: from whom, to whom.
fn link(random: &mut Random) -> (Seat, Seat) {
    let from = random.pick(&super::installation::SEATS).copied().unwrap_or(Seat::First);
    let to = random.pick(&from.others()).copied().unwrap_or(Seat::Second);
    (from, to)
}

/// How long something lasts: mostly short, so that what comes back meets what is under way.
fn time(longest: Duration, random: &mut Random) -> Duration {
    let most = match random.below(10) {
        0..4 => 600,
        4..7 => 3_000,
        7..9 => 9_000,
        _ => 20_000,
    };
    Duration::from_millis(random.between(100, most)).min(longest)
}
