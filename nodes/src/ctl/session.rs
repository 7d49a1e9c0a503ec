//! Hosts the [client](baton_machine::client) of controllers over HTTP: sends what it says, and tells it what it hears.

use super::target::{Endpoint, Target};
use crate::driver::{Alarm, Clock, random_seed};
use baton_machine::client::{
    CallId, Client, ClientOutput, ClientTiming, ExchangeId, GaveUp, Heard, NodeNumber, Request,
};
use baton_net::http::client::HttpError;
use baton_net::http::events::ReadLimits;
use baton_protocol::event_id::EventId;
use baton_protocol::time::Instant;
use baton_workflow::id::CommandId;
use baton_workflow::json::{self, Node, parse};
use baton_workflow::problem::Problem;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, StatusCode};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Things heard that wait to be told.
const HEARD: usize = 64;

/// Events that came while something else was asked, and wait to be taken. When there are more, they are read again later.
const WAITING: usize = 10_000;

/// Longest line of a stream of events, in bytes.
const LINE: usize = 64 << 20;

/// An exchange with HTTP is over somewhat earlier than the client takes it for silent, so that it can say why.
const EXCHANGE: Duration = Duration::from_secs(9);

/// After so long without an answer a person is told why.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked of a controller.
#[derive(Clone, Debug)]
pub struct Ask {
    /// How.
    pub method: Method,
    /// The path, with the query.
    pub path: String,
    /// The body, which is JSON.
    pub body: Option<String>,
    /// The id of a command.
    pub id: Option<CommandId>,
}

/// What a controller answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The status.
    pub status: StatusCode,
    /// The body, as text.
    pub text: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Nobody answered in time.
    #[error("no controller has answered in time; the last trouble: {last}")]
    Nobody {
        /// The last trouble.
        last: String,
    },
    /// It is not known whether it is done.
    #[error("whether it is done is not known: {last}")]
    MayBeDone {
        /// The last trouble.
        last: String,
    },
    /// Events cannot be read on.
    #[error("the events cannot be read on: {0}")]
    Torn(Problem),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    NoSeed(std::io::Error),
}

/// What the tasks say.
enum Said {
    Heard(ExchangeId, Heard<Answered>, String),
    Event(ExchangeId, EventId, String),
    Life(ExchangeId),
    Torn(ExchangeId, Problem),
}

/// What a step has led to.
enum Step {
    Nothing,
    Torn(Problem),
}

/// Talks to controllers.
pub struct Session {
    target: Arc<Target>,
    client: Client<Ask>,
    clock: Clock,
    alarm: Alarm,
    tasks: BTreeMap<ExchangeId, AbortHandle>,
    say: mpsc::Sender<Said>,
    said: mpsc::Receiver<Said>,
    last_call: u64,
    done: Vec<(CallId, Result<Answered, GaveUp>)>,
    events: VecDeque<String>,
    /// No more events are read until those which wait are taken; then those after this one.
    paused: Option<EventId>,
    trouble: String,
    /// Tells a person what is waited for.
    tell: fn(&str),
}

impl Session {
    /// With these controllers.
    ///
    /// # Errors
    /// When the operating system gives no random number.
    pub fn new(target: Target, tell: fn(&str)) -> Result<Self, Unanswered> {
        let clock = Clock::start();
        let (say, said) = mpsc::channel(HEARD);
        let seed = random_seed().map_err(Unanswered::NoSeed)?;
        Ok(Self {
            client: Client::new(target.controllers.len(), ClientTiming::DEFAULT, seed),
            target: Arc::new(target),
            clock,
            alarm: Alarm::new(clock),
            tasks: BTreeMap::new(),
            say,
            said,
            last_call: 0,
            done: Vec::new(),
            events: VecDeque::new(),
            paused: None,
            trouble: "none".to_owned(),
            tell,
        })
    }

    /// The controllers.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Asks the active controller, as long as it takes, but not longer than this.
    ///
    /// # Errors
    /// When there is no answer, or it is not known whether it is done.
    pub async fn ask(&mut self, request: Request<Ask>, time: Duration) -> Result<Answered, Unanswered> {
        self.last_call += 1;
        let call = CallId(self.last_call);
        let now = self.clock.instant();
        let mut out = Vec::new();
        self.client.call(now, call, request, now + time, &mut out);
        self.carry_out(out);
        let tell_at = now + PATIENCE;
        let mut is_told = false;
        loop {
            if let Some(at) = self.done.iter().position(|(done, _)| *done == call) {
                let last = self.trouble.clone();
                return self.done.swap_remove(at).1.map_err(|gave_up| match gave_up {
                    GaveUp::Deadline { may_be_done: false } | GaveUp::TooMany => Unanswered::Nobody { last },
                    GaveUp::Deadline { may_be_done: true } | GaveUp::MayBeDone => Unanswered::MayBeDone { last },
                });
            }
            if !is_told && self.clock.instant() >= tell_at {
                is_told = true;
                (self.tell)(&format!("waiting for the active controller: {}", self.trouble));
            }
            self.step((!is_told).then_some(tell_at)).await;
        }
    }

    /// Asks one node of the target, once.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask_one(&self, node: &Endpoint, ask: Ask) -> Result<Answered, String> {
        exchange(&self.target, node, ask).await.map_err(|error| error.to_string())
    }

    /// Reads events from now on.
    pub fn follow(&mut self, after: EventId) {
        self.events.clear();
        self.paused = None;
        let mut out = Vec::new();
        self.client.follow(self.clock.instant(), after, &mut out);
        self.carry_out(out);
    }

    /// The next event, as JSON.
    ///
    /// # Errors
    /// When the events that follow are not there any more.
    pub async fn event(&mut self) -> Result<String, Unanswered> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            if let Some(after) = self.paused.take() {
                self.follow(after);
            }
            if let Step::Torn(problem) = self.step(None).await {
                return Err(Unanswered::Torn(problem));
            }
        }
    }

    /// Waits until something happens, or this instant.
    async fn step(&mut self, until: Option<Instant>) -> Step {
        let deadline = self.client.deadline().into_iter().chain(until).min();
        let mut out = Vec::new();
        let step = tokio::select! {
            biased;
            Some(said) = self.said.recv() => {
                let now = self.clock.instant();
                match said {
                    Said::Heard(exchange, heard, trouble) => {
                        self.tasks.remove(&exchange);
                        if !trouble.is_empty() {
                            self.trouble = trouble;
                        }
                        self.client.heard(now, exchange, heard, &mut out);
                        Step::Nothing
                    }
                    Said::Event(exchange, id, event) if self.client.event(now, exchange, id) => {
                        self.events.push_back(event);
                        if self.events.len() >= WAITING {
                            self.paused = Some(id);
                            self.client.unfollow(&mut out);
                        }
                        Step::Nothing
                    }
                    Said::Life(exchange) => {
                        self.client.sign_of_life(now, exchange);
                        Step::Nothing
                    }
                    Said::Torn(exchange, problem) if self.client.sign_of_life(now, exchange) => Step::Torn(problem),
                    Said::Event(..) | Said::Torn(..) => Step::Nothing,
                }
            }
            () = self.alarm.reach(deadline) => {
                self.client.due(self.clock.instant(), &mut out);
                Step::Nothing
            }
        };
        self.carry_out(out);
        step
    }

    fn carry_out(&mut self, out: Vec<ClientOutput<Ask, Answered>>) {
        for output in out {
            match output {
                ClientOutput::Send { exchange: id, to, request } => {
                    let (target, say) = (Arc::clone(&self.target), self.say.clone());
                    let task = tokio::spawn(async move {
                        let (heard, trouble) =
                            hear(&target, exchange(&target, &target.controllers[to.0], request).await);
                        // Whoever would hear it has gone.
                        let _ = say.send(Said::Heard(id, heard, trouble)).await;
                    });
                    self.tasks.insert(id, task.abort_handle());
                }
                ClientOutput::Open { exchange, to, after } => {
                    let (target, say) = (Arc::clone(&self.target), self.say.clone());
                    let task = tokio::spawn(read_events(target, to, after, exchange, say));
                    self.tasks.insert(exchange, task.abort_handle());
                }
                ClientOutput::Drop { exchange } => {
                    if let Some(task) = self.tasks.remove(&exchange) {
                        task.abort();
                    }
                }
                ClientOutput::Done { call, outcome } => self.done.push((call, outcome)),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.tasks.values().for_each(AbortHandle::abort);
    }
}

fn request(target: &Target, ask: Ask) -> Result<hyper::Request<Bytes>, HttpError> {
    let mut request = hyper::Request::builder().method(ask.method).uri(ask.path);
    if let Some(authorization) = &target.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    if let Some(id) = ask.id {
        request = request.header(crate::api::COMMAND_ID, id.as_str());
    }
    if ask.body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let request = request.body(Bytes::from(ask.body.unwrap_or_default()));
    request.map_err(|error| HttpError::Broken(error.to_string()))
}

async fn exchange(target: &Target, to: &Endpoint, ask: Ask) -> Result<Answered, HttpError> {
    let response = to.http.exchange(request(target, ask)?, EXCHANGE).await?;
    let (head, body) = response.into_parts();
    Ok(Answered { status: head.status, text: String::from_utf8_lossy(&body).into_owned() })
}

/// What an answer means for who asks the active controller, and what is to be told of it.
fn hear(target: &Target, answer: Result<Answered, HttpError>) -> (Heard<Answered>, String) {
    match answer {
        Ok(answered) => match answered.status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                let problem = answered.problem();
                (hear_problem(target, &problem), problem.message)
            }
            _ => (Heard::Answer(answered), String::new()),
        },
        Err(error) => (hear_error(&error), error.to_string()),
    }
}

fn hear_problem(target: &Target, problem: &Problem) -> Heard<Answered> {
    match &*problem.code {
        "ClusterNodeIsNotActive" => {
            let url = problem.arguments.iter().find(|(name, _)| name == "activeUri").map(|(_, url)| url.as_str());
            let active = url.and_then(|url| {
                target.controllers.iter().position(|known| known.url.trim_end_matches('/') == url.trim_end_matches('/'))
            });
            Heard::NotActive { active: active.map(NodeNumber) }
        }
        "Busy" => Heard::Busy,
        _ => Heard::Unknown,
    }
}

fn hear_error(error: &HttpError) -> Heard<Answered> {
    match error {
        HttpError::Connect(_) | HttpError::Security(_) | HttpError::Name(_) => Heard::Unreached,
        HttpError::Silent { .. } | HttpError::TooLong { .. } | HttpError::Broken(_) => Heard::Broken,
    }
}

async fn read_events(target: Arc<Target>, from: NodeNumber, after: EventId, id: ExchangeId, say: mpsc::Sender<Said>) {
    let ask = Ask {
        method: Method::GET,
        path: format!("/controller/api/event?heartbeat=2&after={}", after.0),
        body: None,
        id: None,
    };
    let limits = ReadLimits { line: LINE, silence: EXCHANGE };
    let (heard, trouble) = match request(&target, ask) {
        Ok(request) => match target.controllers[from.0].http.open(request, EXCHANGE, limits).await {
            Ok(response) => {
                let status = response.status();
                let mut lines = response.into_body();
                loop {
                    match lines.next().await {
                        Ok(Some(line)) if line.is_empty() => drop(say.send(Said::Life(id)).await),
                        Ok(Some(line)) => {
                            let line = String::from_utf8_lossy(&line).into_owned();
                            if status == StatusCode::OK
                                && let Some(event_id) = event_id(&line)
                            {
                                drop(say.send(Said::Event(id, event_id, line)).await);
                                continue;
                            }
                            let problem = Answered { status, text: line }.problem();
                            let is_torn = !matches!(
                                &*problem.code,
                                "ClusterNodeIsNotActive" | "Busy" | "OutcomeUnknown" | "ShuttingDown" | "SlowReader"
                            );
                            if is_torn {
                                drop(say.send(Said::Torn(id, problem.clone())).await);
                            }
                            break (hear_problem(&target, &problem), problem.message);
                        }
                        Ok(None) => break (Heard::Broken, "the stream of events ended".to_owned()),
                        Err(error) => break (hear_error(&error), error.to_string()),
                    }
                }
            }
            Err(error) => (hear_error(&error), error.to_string()),
        },
        Err(error) => (hear_error(&error), error.to_string()),
    };
    // Whoever would hear it has gone.
    let _ = say.send(Said::Heard(id, heard, trouble)).await;
}

fn event_id(line: &str) -> Option<EventId> {
    let node = parse(line).ok()?;
    let id: i64 = json::from_node(node.get("eventId")?).ok()?;
    u64::try_from(id).ok().map(EventId)
}

impl Answered {
    /// The body as JSON, if it is.
    #[must_use]
    pub fn json(&self) -> Option<Node> {
        parse(&self.text).ok()
    }

    /// The problem that was answered.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let problem = self.json().and_then(|node| json::from_node::<Problem>(&node).ok());
        problem.unwrap_or_else(|| {
            let text: String = self.text.chars().take(200).collect();
            Problem::new(format!("the answer is {}: {text}", self.status))
        })
    }
}
