//! Clients that give commands: each with an id of its own, repeated until there is an answer, at the node that answered last and, when
//! that fails or is slow, at both.

use super::access::Answer;
use super::oracle::{Oracle, Told};
use super::{Access, Failure};
use baton_protocol::random::Random;
use baton_protocol::register::Seat;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

/// When a node has not answered after this time, the other one is asked, too.
const HEAD_START: Duration = Duration::from_millis(100);

/// The pause before a node is asked again.
const AGAIN: Duration = Duration::from_millis(20);

/// An order's time to start that nobody lives to see, in milliseconds.
const NEVER: u64 = 4_000_000_000_000;

/// A client has so many orders at most.
const ORDERS: usize = 40;

/// So many commands of the past may be repeated.
const REPEATED: usize = 50;

/// In this many of a hundred cases a client does not wait for its answer for long.
const GIVE_UP: u64 = 4;

/// A command, as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    key: String,
    path: &'static str,
    body: String,
    /// The order that it adds.
    adds: Option<String>,
    /// It makes no sense.
    is_nonsense: bool,
}

impl Request {
    /// Deploys the workflows of the orders: one whose orders never start, one whose orders end at once.
    pub(crate) fn workflows() -> Self {
        let operations = ["WAITING", "ENDING"].map(|path| {
            format!(
                r#"{{"TYPE":"AddOrChangeVersioned","item":{{"TYPE":"Workflow","path":"{path}","versionId":"1","instructions":[]}}}}"#
            )
        });
        let body = format!(r#"[{{"TYPE":"AddVersion","versionId":"1"}},{}]"#, operations.join(","));
        Self { key: "workflows".to_owned(), path: "/controller/api/item", body, adds: None, is_nonsense: false }
    }

    /// Adds an order: one that waits, or one that ends at once.
    pub(crate) fn add(key: String, id: String, waits: bool) -> Self {
        let schedule = if waits { format!(r#","scheduledFor":{NEVER}"#) } else { String::new() };
        let workflow = if waits { "WAITING" } else { "ENDING" };
        let body =
            format!(r#"{{"id":"{id}","workflowPath":"{workflow}","planId":[],"deleteWhenTerminated":true{schedule}}}"#);
        Self { key, path: "/controller/api/order", body, adds: Some(id), is_nonsense: false }
    }

    /// Does something with an order.
    fn about(command: &str, key: String, order: &str) -> Self {
        let body = format!(r#"{{"TYPE":"{command}","orderIds":["{order}"]}}"#);
        Self { key, path: "/controller/api/command", body, adds: None, is_nonsense: false }
    }
}

/// How to give commands.
pub(crate) struct Caller {
    access: Access,
    /// Who answered last.
    active: Seat,
}

impl Caller {
    pub(crate) fn new(access: Access) -> Self {
        Self { access, active: Seat::First }
    }

    /// Gives a command until it is answered.
    pub(crate) async fn give(&mut self, request: &Request) -> Answer {
        let failed = Notify::new();
        let (first, second) = (self.active, self.active.peer());
        let at_second = async {
            tokio::select! {
                () = sleep(HEAD_START) => {}
                () = failed.notified() => {}
            }
            self.persist(second, request, None).await
        };
        let (active, answer) = tokio::select! {
            answer = self.persist(first, request, Some(&failed)) => (first, answer),
            answer = at_second => (second, answer),
        };
        self.active = active;
        answer
    }

    /// Asks one node, until it answers.
    async fn persist(&self, node: Seat, request: &Request, failed: Option<&Notify>) -> Answer {
        loop {
            match self.access.post(node, request.path, Some(&request.key), &request.body).await {
                // Not active, or not known.
                Ok(Answer { status: 503 | 504, .. }) | Err(_) => {}
                Ok(answer) => return answer,
            }
            failed.into_iter().for_each(Notify::notify_one);
            sleep(AGAIN).await;
        }
    }
}

/// A client that gives commands at random.
pub(crate) struct Client {
    name: String,
    caller: Caller,
    oracle: Arc<Oracle>,
    random: Random,
    /// Counts the commands.
    number: u64,
    orders: Vec<Order>,
    past: VecDeque<(Request, Answer)>,
}

/// An order of which the client was told that it is there.
struct Order {
    id: String,
    is_suspended: bool,
}

/// What a command changes in what the client knows.
enum Change {
    Nothing,
    Suspended(usize),
    Gone(usize),
}

impl Client {
    pub(crate) fn new(name: String, access: Access, oracle: Arc<Oracle>, random: Random) -> Self {
        let (orders, past) = (Vec::new(), VecDeque::new());
        Self { name, caller: Caller::new(access), oracle, random, number: 0, orders, past }
    }

    /// Gives commands until it is told to stop, with pauses of up to so many milliseconds.
    pub(crate) async fn run(mut self, longest_pause: u64, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(violation) = self.next().await {
                return self.oracle.accuse(format!("client {}: {violation}", self.name));
            }
            sleep(Duration::from_millis(self.random.between(0, longest_pause))).await;
        }
    }

    async fn next(&mut self) -> Result<(), Failure> {
        if self.random.chance(4, 100) && !self.past.is_empty() {
            return self.repeat().await;
        }
        self.number += 1;
        let (request, change) = self.draw();
        let began = Instant::now();
        let patience = if self.random.chance(GIVE_UP, 100) { self.random.between(1, 200) } else { 3_600_000 };
        let answer = timeout(Duration::from_millis(patience), self.caller.give(&request)).await;
        if let Ok(refused) = &answer
            && refused.status >= 300
            && !request.is_nonsense
        {
            return Err(format!("{} was refused: {refused:?}", request.key).into());
        }
        let told = match &answer {
            Ok(answer) if answer.status < 300 => Told::Done(answer.event_id),
            Ok(_) => Told::Refused,
            Err(_) => Told::Nothing,
        };
        self.oracle.told(&request.key, request.adds.as_deref(), told, began);
        match (told, change) {
            (Told::Done(_), Change::Nothing) => {
                if let Some(id) = request.adds.as_ref().filter(|_| request.body.contains("WAITING")) {
                    self.orders.push(Order { id: id.clone(), is_suspended: false });
                }
            }
            (Told::Done(_), Change::Suspended(order)) => self.orders[order].is_suspended ^= true,
            // Whatever the command has done to it, if anything: the client knows it no more.
            (_, Change::Gone(order)) | (Told::Nothing, Change::Suspended(order)) => drop(self.orders.remove(order)),
            _ => {}
        }
        let Ok(answer) = answer else { return Ok(()) };
        if (told == Told::Refused) != request.is_nonsense {
            return Err(format!("{request:?} was answered {answer:?}").into());
        }
        if told != Told::Refused {
            self.past.truncate(REPEATED - 1);
            self.past.push_front((request, answer));
        }
        Ok(())
    }

    /// Gives a command of the past once more.
    async fn repeat(&mut self) -> Result<(), Failure> {
        let index = self.random.below(self.past.len() as u64);
        let Some((request, before)) = usize::try_from(index).ok().and_then(|index| self.past.get(index)).cloned()
        else {
            return Ok(());
        };
        let answer = self.caller.give(&request).await;
        if (answer.status, &answer.text) != (before.status, &before.text) {
            return Err(format!("{request:?} was first answered {before:?}, and then {answer:?}").into());
        }
        self.oracle.repeated();
        Ok(())
    }

    fn draw(&mut self) -> (Request, Change) {
        let key = format!("{}-{}", self.name, self.number);
        let is_full = self.orders.len() >= ORDERS;
        let order = usize::try_from(self.random.below(self.orders.len().max(1) as u64)).unwrap_or_default();
        match (self.random.below(100), self.orders.get(order)) {
            (0..5, _) => {
                let mut request = Request::about("CancelOrders", key, "NOBODY");
                request.is_nonsense = true;
                (request, Change::Nothing)
            }
            (5..25, _) => (Request::add(key.clone(), key, false), Change::Nothing),
            (25..45, Some(found)) => {
                let command = if found.is_suspended { "ResumeOrders" } else { "SuspendOrders" };
                (Request::about(command, key, &found.id), Change::Suspended(order))
            }
            (draw, Some(found)) if is_full || draw < 60 => {
                (Request::about("CancelOrders", key, &found.id), Change::Gone(order))
            }
            _ => (Request::add(key.clone(), key, true), Change::Nothing),
        }
    }
}
