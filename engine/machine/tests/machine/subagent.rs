//! A subagent alone, and a director that says what the test says.

use baton_machine::attempt::{Attempt, RunId};
use baton_machine::codec::{decode_message, encode_message};
use baton_machine::link::{LinkHint, LinkId, LinkInput};
use baton_machine::message::{AttemptState, FromSubagent, Reported, SubagentCoupling, SubagentRefusal, ToSubagent};
use baton_machine::process::{Ended, KillCause, ProcessSpec, Program, Signal};
use baton_machine::subagent::{Subagent, SubagentConfig, SubagentHint, SubagentInput};
use baton_machine::timing::Timing;
use baton_protocol::event_id::EventId;
use baton_protocol::frame;
use baton_protocol::journal::{Journal, Recovered};
use baton_protocol::limit::Limits;
use baton_protocol::machine::Input;
use baton_protocol::node::Node;
use baton_protocol::outbox::Effect;
use baton_protocol::record::Epoch;
use baton_protocol::time::{Instant, Now, Timestamp};
use baton_workflow::id::{AgentPath, OrderId, SubagentId};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) struct Bench {
    node: Node<Subagent>,
    numbers: u64,
    session: u64,
}

pub(crate) const LINK: LinkId = LinkId(1);

impl Bench {
    pub(crate) fn new() -> Self {
        let config = SubagentConfig { environment: BTreeMap::new(), timing: Timing::DEFAULT };
        let journal = Journal::alone(Recovered::default(), Limits::DEFAULT);
        let mut bench = Self { node: Node::new(Subagent::new(config), journal), numbers: 0, session: 1 };
        bench.step(Input::Start { seed: 1 });
        bench
    }

    fn step(&mut self, input: Input<SubagentInput>) -> Vec<SubagentHint> {
        self.step_at(Instant::ZERO, input)
    }

    fn step_at(&mut self, instant: Instant, input: Input<SubagentInput>) -> Vec<SubagentHint> {
        let mut effects = Vec::new();
        let now = Now { instant, timestamp: Timestamp::from_millis(0) };
        self.node.step(now, input, &mut effects);
        let hints = effects.into_iter().map(|effect| match effect {
            Effect::Hint(hint) => hint,
            other => panic!("{other:?}"),
        });
        hints.collect()
    }

    pub(crate) fn input(&mut self, input: SubagentInput) -> Vec<SubagentHint> {
        self.step(Input::Arrived(input))
    }

    pub(crate) fn say_over(&mut self, link: LinkId, message: &ToSubagent) -> Vec<SubagentHint> {
        let frame = frame::decode(&encode_message(message).unwrap(), 1..=1).unwrap();
        self.input(SubagentInput::Link(LinkInput::Received { link, frame }))
    }

    pub(crate) fn say(&mut self, message: &ToSubagent) -> Vec<SubagentHint> {
        self.say_over(LINK, message)
    }

    pub(crate) fn couple(
        &mut self,
        link: LinkId,
        run_id: Option<RunId>,
        received: u64,
        force: bool,
    ) -> Vec<FromSubagent> {
        self.input(SubagentInput::Link(LinkInput::Up { link, dialled: None }));
        let coupling = SubagentCoupling {
            agent_path: AgentPath::new("AGENT"),
            agent_run_id: "0".into(),
            subagent_id: SubagentId::new("S"),
            epoch: Epoch(1),
            run_id,
            received,
            attempts: Vec::new(),
            force,
        };
        said(&self.say_over(link, &ToSubagent::Couple(coupling)))
    }

    pub(crate) fn launch(&mut self, attempt: &Attempt) -> Vec<SubagentHint> {
        self.numbers += 1;
        let spec = ProcessSpec {
            label: "label".into(),
            program: Program::Script("script".into()),
            environment: Vec::new(),
            files: Vec::new(),
            working_directory: None,
            v1_compatible: false,
        };
        let (session, number) = (self.session, self.numbers);
        self.say(&ToSubagent::Launch { session, number, attempt: attempt.clone(), spec })
    }

    pub(crate) fn kill(&mut self, attempt: &Attempt) -> Vec<SubagentHint> {
        self.numbers += 1;
        let (session, number) = (self.session, self.numbers);
        self.say(&ToSubagent::Kill {
            session,
            number,
            attempt: attempt.clone(),
            signal: Signal::Terminate,
            grace: Duration::from_secs(15),
            cause: KillCause::Command,
        })
    }

    pub(crate) fn ended(&mut self, attempt: &Attempt) -> Vec<SubagentHint> {
        self.input(SubagentInput::Ended {
            attempt: attempt.clone(),
            how: Ended::Exited { code: 0 },
            return_values: Ok([].into_iter().collect()),
            duration: Duration::ZERO,
        })
    }
}

pub(crate) fn attempt(number: u64) -> Attempt {
    Attempt { number: EventId(number), epoch: Epoch(1), order_id: OrderId::new("A") }
}

/// What is sent.
pub(crate) fn said(hints: &[SubagentHint]) -> Vec<FromSubagent> {
    hints
        .iter()
        .filter_map(|hint| match hint {
            SubagentHint::Link(LinkHint::Send { frame, .. }) => {
                Some(decode_message(&frame::decode(frame, 1..=1).unwrap()).unwrap())
            }
            _ => None,
        })
        .collect()
}

fn started(hints: &[SubagentHint]) -> Vec<u64> {
    hints
        .iter()
        .filter_map(|hint| match hint {
            SubagentHint::Start { attempt, .. } => Some(attempt.number.0),
            _ => None,
        })
        .collect()
}

fn launched_as(hints: &[SubagentHint]) -> Option<AttemptState> {
    said(hints).into_iter().find_map(|message| match message {
        FromSubagent::Launched { state, .. } => Some(state),
        _ => None,
    })
}

/// How attempts are reported to have ended.
fn ends(hints: &[SubagentHint]) -> Vec<(u64, Ended)> {
    let reports = said(hints).into_iter().flat_map(|message| match message {
        FromSubagent::Reports { reports, .. } => reports,
        _ => Vec::new(),
    });
    reports
        .filter_map(|report| match report.what {
            Reported::Ended(end) => Some((report.attempt.number.0, end.how)),
            _ => None,
        })
        .collect()
}

#[test]
fn an_attempt_waits_for_the_end_of_the_former_one() {
    let mut bench = Bench::new();
    bench.couple(LINK, None, 0, false);
    assert_eq!(started(&bench.launch(&attempt(1))), [1]);
    bench.input(SubagentInput::Started { attempt: attempt(1), pid: 1 });
    let hints = bench.launch(&attempt(2));
    assert_eq!(started(&hints), [0; 0]);
    assert_eq!(launched_as(&hints), Some(AttemptState::Running), "it is going to be started");
    assert!(hints.contains(&SubagentHint::Kill { attempt: attempt(1), signal: Signal::Kill }));
    // A third one takes its place, and the second is known never to have run.
    let hints = bench.launch(&attempt(3));
    assert_eq!(ends(&hints), [(2, Ended::KilledBeforeStart)]);
    assert_eq!(started(&bench.ended(&attempt(1))), [3]);
    assert_eq!(started(&bench.ended(&attempt(3))), [0; 0]);
}

#[test]
fn an_attempt_that_waits_can_be_cancelled() {
    let mut bench = Bench::new();
    bench.couple(LINK, None, 0, false);
    bench.launch(&attempt(1));
    bench.launch(&attempt(2));
    assert_eq!(ends(&bench.kill(&attempt(2))), [(2, Ended::KilledBeforeStart)]);
    assert_eq!(started(&bench.ended(&attempt(1))), [0; 0]);
}

#[test]
fn only_a_subagent_that_ends_does_not_start() {
    let mut bench = Bench::new();
    bench.couple(LINK, None, 0, false);
    bench.input(SubagentInput::Stop { signal: None });
    assert_eq!(launched_as(&bench.launch(&attempt(1))), Some(AttemptState::NotStarted));
}

#[test]
fn a_director_that_knows_more_than_was_told_gets_another_run() {
    let mut bench = Bench::new();
    let run_of = |said: &[FromSubagent]| match said.first() {
        Some(FromSubagent::Coupled { run_id, .. }) => Some(*run_id),
        _ => None,
    };
    let run = run_of(&bench.couple(LINK, None, 0, false)).expect("coupled");
    bench.launch(&attempt(1));
    bench.input(SubagentInput::Started { attempt: attempt(1), pid: 1 });
    let said = bench.couple(LinkId(2), Some(run), 1_000, false);
    assert_eq!(said.last(), Some(&FromSubagent::Refused(SubagentRefusal::Ending)), "nothing may run then");
    bench.ended(&attempt(1));
    let other = run_of(&bench.couple(LinkId(3), Some(run), 1_000, false)).expect("coupled");
    assert_ne!(run, other);
}

/// A director that is not sure to be active keeps the link alive, but not the processes; and then it can start nothing.
#[test]
fn without_a_lease_nothing_runs_and_nothing_is_started() {
    let mut bench = Bench::new();
    bench.couple(LINK, None, 0, false);
    let leased = bench.launch(&attempt(1));
    bench.input(SubagentInput::Started { attempt: attempt(1), pid: 1 });
    let lease = Timing::DEFAULT.reconnect_timeout;
    assert!(leased.contains(&SubagentHint::Lease { until: Instant::ZERO + lease }), "{leased:?}");
    // Signs of life that renew nothing.
    let mut at = Instant::ZERO;
    while at + Duration::from_secs(1) < Instant::ZERO + lease {
        at = at + Duration::from_secs(1);
        bench.step_at(at, Input::Due);
        let beat =
            frame::decode(&encode_message(&ToSubagent::Beat { session: 1, heard: None }).unwrap(), 1..=1).unwrap();
        let input = LinkInput::Received { link: LINK, frame: beat };
        let hints = bench.step_at(at, Input::Arrived(SubagentInput::Link(input)));
        assert_eq!(hints, [], "at {at:?}");
    }
    // What arrives when it is over comes too late, even if the deadline was not looked at before.
    bench.numbers += 1;
    let spec = ProcessSpec {
        label: "label".into(),
        program: Program::Script("script".into()),
        environment: Vec::new(),
        files: Vec::new(),
        working_directory: None,
        v1_compatible: false,
    };
    let launch = ToSubagent::Launch { session: 1, number: bench.numbers, attempt: attempt(2), spec };
    let launch = frame::decode(&encode_message(&launch).unwrap(), 1..=1).unwrap();
    let input = SubagentInput::Link(LinkInput::Received { link: LINK, frame: launch });
    let hints = bench.step_at(Instant::ZERO + lease, Input::Arrived(input));
    assert!(hints.contains(&SubagentHint::Kill { attempt: attempt(1), signal: Signal::Kill }), "{hints:?}");
    assert!(hints.iter().any(|hint| matches!(hint, SubagentHint::Link(LinkHint::HangUp { .. }))), "{hints:?}");
    assert!(!hints.iter().any(|hint| matches!(hint, SubagentHint::Start { .. })), "{hints:?}");
}
