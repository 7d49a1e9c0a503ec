use super::*;

type Output = ClientOutput<&'static str, &'static str>;
type Outputs = Vec<Output>;

const FIRST: NodeNumber = NodeNumber(0);
const SECOND: NodeNumber = NodeNumber(1);

struct Test {
    client: Client<&'static str>,
    now: Instant,
}

impl Test {
    fn new(nodes: usize) -> Self {
        Self { client: Client::new(nodes, ClientTiming::DEFAULT, 7), now: Instant::ZERO }
    }

    fn call(&mut self, request: Request<&'static str>) -> Outputs {
        let mut out = Vec::new();
        let deadline = self.now + Duration::from_secs(60);
        self.client.call(self.now, CallId(1), request, deadline, &mut out);
        out
    }

    fn heard(&mut self, exchange: ExchangeId, heard: Heard<&'static str>) -> Outputs {
        let mut out = Vec::new();
        self.client.heard(self.now, exchange, heard, &mut out);
        out
    }

    /// Waits for the next deadline.
    fn wait(&mut self) -> (Duration, Outputs) {
        let at = self.client.deadline().expect("a deadline");
        let time = at.since(self.now);
        self.now = at;
        let mut out = Vec::new();
        self.client.due(at, &mut out);
        (time, out)
    }
}

/// The one sending.
fn sent(out: &Outputs) -> (ExchangeId, NodeNumber) {
    match out.as_slice() {
        [ClientOutput::Send { exchange, to, .. }] => (*exchange, *to),
        other => panic!("{other:?}"),
    }
}

fn opened(out: &Outputs) -> (ExchangeId, NodeNumber, EventId) {
    match out.as_slice() {
        [ClientOutput::Open { exchange, to, after }] => (*exchange, *to, *after),
        other => panic!("{other:?}"),
    }
}

fn outcome(out: &Outputs) -> Result<&'static str, GaveUp> {
    match out.last() {
        Some(ClientOutput::Done { call: CallId(1), outcome }) => *outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_named_node_is_asked_at_once_and_first_from_then_on() {
    let mut test = Test::new(2);
    let (exchange, to) = sent(&test.call(Request::Repeatable("a")));
    assert_eq!(to, FIRST);
    let (exchange, to) = sent(&test.heard(exchange, Heard::NotActive { active: Some(SECOND) }));
    assert_eq!(to, SECOND);
    assert_eq!(outcome(&test.heard(exchange, Heard::Answer("b"))), Ok("b"));
    assert_eq!(test.client.deadline(), None, "nothing is left");
    assert_eq!(sent(&test.call(Request::Repeatable("c"))).1, SECOND);
}

#[test]
fn nodes_have_their_turns_with_growing_pauses() {
    let mut test = Test::new(2);
    let (mut exchange, mut to) = sent(&test.call(Request::Repeatable("a")));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert_eq!(to, FIRST);
        (exchange, to) = sent(&test.heard(exchange, Heard::Unreached));
        assert_eq!(to, SECOND);
        assert_eq!(test.heard(exchange, Heard::NotActive { active: None }), []);
        let (pause, out) = test.wait();
        pauses.push(pause);
        (exchange, to) = sent(&out);
    }
    assert!(pauses[0] <= Duration::from_millis(100) && pauses[0] >= Duration::from_millis(50), "{pauses:?}");
    assert!(pauses[7] >= Duration::from_secs(1) && pauses[7] <= Duration::from_secs(2), "{pauses:?}");
}

#[test]
fn who_is_busy_is_asked_again_after_a_pause() {
    let mut test = Test::new(2);
    let (exchange, _) = sent(&test.call(Request::Once("a")));
    assert_eq!(test.heard(exchange, Heard::Busy), []);
    assert_eq!(sent(&test.wait().1).1, FIRST);
}

#[test]
fn silence_is_taken_for_a_broken_connection() {
    let mut test = Test::new(2);
    let (exchange, _) = sent(&test.call(Request::Repeatable("a")));
    let (time, out) = test.wait();
    assert_eq!(time, ClientTiming::DEFAULT.silence);
    assert_eq!(out[0], ClientOutput::Drop { exchange });
    let (again, to) = sent(&out[1..].to_vec());
    assert_eq!(to, SECOND);
    // A late answer of an exchange that was given up is of no interest.
    assert_eq!(test.heard(exchange, Heard::Answer("late")), []);
    assert_eq!(outcome(&test.heard(again, Heard::Answer("b"))), Ok("b"));
}

#[test]
fn what_must_not_be_done_twice_is_not_repeated() {
    let mut test = Test::new(2);
    let (exchange, _) = sent(&test.call(Request::Once("a")));
    let (exchange, _) = sent(&test.heard(exchange, Heard::Unreached));
    assert_eq!(outcome(&test.heard(exchange, Heard::Broken)), Err(GaveUp::MayBeDone));
    assert_eq!(test.client.deadline(), None);
}

#[test]
fn a_call_ends_with_its_deadline() {
    let mut test = Test::new(1);
    let (mut exchange, _) = sent(&test.call(Request::Repeatable("a")));
    loop {
        assert_eq!(test.heard(exchange, Heard::Unreached), []);
        let (_, out) = test.wait();
        if let [ClientOutput::Done { .. }] = out.as_slice() {
            assert_eq!(outcome(&out), Err(GaveUp::Deadline { may_be_done: false }));
            break;
        }
        (exchange, _) = sent(&out);
    }
    assert_eq!(test.now.since(Instant::ZERO), Duration::from_secs(60));
    assert_eq!(test.client.deadline(), None);
}

#[test]
fn a_stream_goes_on_at_the_other_node_after_the_last_event() {
    let mut test = Test::new(2);
    let mut out = Outputs::new();
    test.client.follow(test.now, EventId(10), &mut out);
    let (exchange, to, after) = opened(&out);
    assert_eq!((to, after), (FIRST, EventId(10)));
    assert!(test.client.event(test.now, exchange, EventId(11)));
    assert!(test.client.event(test.now, exchange, EventId(15)));
    assert!(!test.client.event(test.now, exchange, EventId(15)), "seen already");
    let (other, to, after) = opened(&test.heard(exchange, Heard::NotActive { active: Some(SECOND) }));
    assert_eq!((to, after), (SECOND, EventId(15)));
    assert!(!test.client.event(test.now, exchange, EventId(16)), "of the old stream");
    assert!(test.client.event(test.now, other, EventId(16)));
    // A stream that keeps silent is opened elsewhere.
    let (_, out) = test.wait();
    assert_eq!(out[0], ClientOutput::Drop { exchange: other });
    assert_eq!(opened(&out[1..].to_vec()).2, EventId(16));
    let mut out = Outputs::new();
    test.client.unfollow(&mut out);
    assert_eq!(test.client.deadline(), None);
}
