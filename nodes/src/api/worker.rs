//! The HTTP API of an agent or a subagent: how it is, its metrics, and how it is told to end. Work comes over links only.
//!
//! | path | |
//! |---|---|
//! | `GET /healthz`, `/readyz` | for anybody: 200 while it serves; 200 while its superior is coupled and it takes jobs |
//! | `GET /metrics` | for Prometheus |
//! | `GET /agent/api`, `/subagent/api` | how it is; an agent answers both, the latter for the subagent of its own process |
//! | `GET …/process` | the processes that run, by attempt, in pages |
//! | `POST …/terminate` | ends it: `manner` of `stop`, `abort` and `kill`; `restart`; `signal` for its jobs |
//! | `POST …/command` | the same in the words of the reference: `ShutDown`, `EmergencyStop`, `NoOperation` |

use super::access::{Access, permit};
use super::answer::{Answer, Refusal, number, object, ok, text_of};
use super::command::{form, no_body, read};
use super::query::Query;
use super::routes::cluster_order;
use super::server::{self, Answering, ServeError, Serving};
use super::worker_status::{Questions, WorkerStatus};
use crate::config::User;
use crate::daemon::stop::{Control, Manner, StopRequest};
use crate::host::director::DirectorRequest;
use crate::host::peek::peek;
use crate::host::{director, subagent};
use baton_machine::attempt::Attempt;
use baton_machine::process::Signal;
use baton_machine::subagent::Subagent;
use baton_net::address::Address;
use baton_net::http::RequestBody;
use baton_net::network::Network;
use baton_net::tls::Security;
use baton_protocol::event_id::EventId;
use baton_protocol::node::Node;
use baton_protocol::pair::Order;
use baton_protocol::record::Epoch;
use baton_workflow::id::OrderId;
use baton_workflow::json::{Json as _, from_node, parse};
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::value::Value;
use hyper::header::ALLOW;
use hyper::{Method, Request, StatusCode};
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot, watch};

/// So many requests are being answered at a time; others wait.
const REQUESTS: usize = 64;

/// Processes of a page, if nothing else is asked for.
const PAGE: usize = 100;

/// Processes of a page at most.
const LONGEST_PAGE: usize = 1_000;

/// What makes one API differ from another.
pub struct WorkerApiConfig {
    /// The sockets.
    pub network: Network,
    /// Where it answers.
    pub listen: Address,
    /// How connections are secured. Callers may show certificates, but need not.
    pub security: Security,
    /// Who may use it.
    pub users: Vec<User>,
    /// The name of the cluster.
    pub cluster: String,
    /// The name of the node.
    pub node: String,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn(&WorkerStatus) -> String + Send + Sync>,
    /// Ends the daemon.
    pub control: Control,
}

struct WorkerApi {
    access: Access,
    questions: Questions,
    metrics: Arc<dyn Fn(&WorkerStatus) -> String + Send + Sync>,
    control: Control,
    requests: Semaphore,
    long_bodies: Semaphore,
}

/// Answers requests about a subagent, and about the director beside it, from now on.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(
    config: WorkerApiConfig,
    subagent: &subagent::Started,
    director: Option<&director::Started>,
) -> Result<Serving, ServeError> {
    let WorkerApiConfig { network, listen, security, users, cluster, node, metrics, control } = config;
    let director = director.map(|director| (director.running.requests(), director.links.clone()));
    let questions = Questions { director, ..Questions::of(cluster, node, subagent) };
    let (requests, long_bodies) = (Semaphore::new(REQUESTS), Semaphore::new(1));
    let api = WorkerApi { access: Access::new(users), questions, metrics, control, requests, long_bodies };
    server::start(network, &listen, security, watch::Sender::new(false), Arc::new(api)).await
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Metrics,
    Agent,
    Subagent,
    Processes,
    Terminate,
    Command,
    /// About the pair of directors.
    Cluster(Order),
}

impl Endpoint {
    fn of(path: &str, is_agent: bool) -> Option<Self> {
        if path == "/metrics" {
            return Some(Self::Metrics);
        }
        let (kind, rest) = path.strip_prefix('/')?.split_once("/api")?;
        if !matches!((kind, is_agent), ("agent", true) | ("subagent", _)) {
            return None;
        }
        match rest {
            "" | "/" if kind == "agent" => Some(Self::Agent),
            "" | "/" => Some(Self::Subagent),
            "/process" => Some(Self::Processes),
            "/terminate" => Some(Self::Terminate),
            "/command" => Some(Self::Command),
            rest if kind == "agent" => cluster_order(rest.strip_prefix("/cluster/")?).map(Self::Cluster),
            _ => None,
        }
    }

    fn method(self) -> Method {
        if matches!(self, Self::Terminate | Self::Command | Self::Cluster(_)) { Method::POST } else { Method::GET }
    }

    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Terminate => &["manner", "restart", "signal"],
            Self::Processes => &["after", "limit"],
            Self::Metrics | Self::Agent | Self::Subagent | Self::Command | Self::Cluster(_) => &[],
        }
    }
}

impl Answering for WorkerApi {
    async fn answer(self: Arc<Self>, request: Request<RequestBody>) -> Result<Answer, Refusal> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let looks = head.method == Method::GET || head.method == Method::HEAD;
        match path {
            "/healthz" if looks => return Ok(text_of(StatusCode::OK, "text/plain", "ok\n".to_owned())),
            "/readyz" if looks => return self.readiness().await,
            _ => {}
        }
        let user = self.access.caller(&head)?;
        let Some(endpoint) = Endpoint::of(path, self.questions.director.is_some()) else {
            let message = format!("there is nothing at '{}'", path.chars().take(100).collect::<String>());
            return Err(Refusal::new(StatusCode::NOT_FOUND, "UnknownPath", message));
        };
        if head.method != endpoint.method() && !(looks && endpoint.method() == Method::GET) {
            let allow = if endpoint.method() == Method::POST { "POST" } else { "GET, HEAD" };
            let message = format!("the method {} is not for this path; expected is {allow}", head.method);
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).header(ALLOW, allow));
        }
        permit(user, &head)?;
        // Never closed.
        let _place = self.requests.acquire().await;
        let query = Query::read(head.uri.query(), endpoint.parameters())?;
        match endpoint {
            Endpoint::Metrics => {
                let text = (self.metrics)(&self.status().await?);
                Ok(text_of(StatusCode::OK, crate::metrics::CONTENT_TYPE, text))
            }
            Endpoint::Agent => Ok(ok(&self.status().await?.to_json())),
            Endpoint::Subagent if self.questions.director.is_none() => Ok(ok(&self.status().await?.to_json())),
            Endpoint::Subagent => Ok(ok(&self.questions.ask_subagent().await.ok_or_else(has_ended)?.to_json())),
            Endpoint::Processes => self.processes(&query).await,
            Endpoint::Terminate => {
                no_body(&self.long_bodies, &head.headers, body).await?;
                self.end(asked_by(&query)?).await
            }
            Endpoint::Command => {
                form(&head.headers, false)?;
                match read(&self.long_bodies, body, |text| command(&text)).await? {
                    Asked::Stop(request) => self.end(request).await,
                    Asked::Order(order) => self.order(order).await,
                    Asked::Nothing => Ok(accepted(StatusCode::OK)),
                }
            }
            Endpoint::Cluster(order) => {
                no_body(&self.long_bodies, &head.headers, body).await?;
                self.order(order).await
            }
        }
    }
}

impl WorkerApi {
    async fn status(&self) -> Result<WorkerStatus, Refusal> {
        self.questions.ask().await.ok_or_else(has_ended)
    }

    /// Whether jobs are taken here now. For load balancers, which have no credential, so nothing else is told.
    async fn readiness(&self) -> Result<Answer, Refusal> {
        let (code, text) = if self.status().await?.is_ready() {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        };
        Ok(text_of(code, "text/plain", text.to_owned()))
    }

    /// Orders something about the pair of directors.
    async fn order(&self, order: Order) -> Result<Answer, Refusal> {
        let Some((requests, _)) = &self.questions.director else {
            return Err(Refusal::from(Problem::coded("ClusterStateEmpty", [], "There is no director here")));
        };
        let (reply, replied) = oneshot::channel();
        requests.send(DirectorRequest::Order { order, reply }).await.map_err(|_| has_ended())?;
        let reply = replied.await.map_err(|_| has_ended())?;
        Ok(ok(&reply.answer?.write()))
    }

    async fn is_in_pair(&self) -> Result<bool, Refusal> {
        Ok(self.status().await?.director.is_some_and(|director| director.pair.is_some()))
    }

    async fn end(&self, request: StopRequest) -> Result<Answer, Refusal> {
        if request.manner == Manner::SwitchOver && !self.is_in_pair().await? {
            return Err(Refusal::from(Problem::new("This node is not one of a pair, so nobody can take over from it")));
        }
        self.control.stop(request);
        Ok(accepted(StatusCode::ACCEPTED))
    }

    async fn processes(&self, query: &Query<'_>) -> Result<Answer, Refusal> {
        let limit = query.limit(PAGE, LONGEST_PAGE)?;
        let after = query.text("after").map(attempt_of).transpose()?;
        let look = move |node: &Node<Subagent>| {
            node.machine().running_after(after.as_ref()).take(limit + 1).cloned().collect::<Vec<_>>()
        };
        let mut attempts = peek(&self.questions.subagent, look).await.ok_or_else(has_ended)?;
        let has_more = attempts.len() > limit;
        attempts.truncate(limit);
        let next = attempts.last().filter(|_| has_more).map(name_of);
        let entries = attempts.iter().map(|attempt| {
            object([
                ("orderId", attempt.order_id.write()),
                ("attempt", number(attempt.number.0)),
                ("directorEpoch", number(attempt.epoch.0)),
            ])
        });
        let mut members = vec![("processes", Value::list(entries))];
        members.extend(next.map(|next| ("next", Value::from(next.as_str()))));
        Ok(ok(&Value::object(members)))
    }
}

fn accepted(code: StatusCode) -> Answer {
    text_of(code, super::answer::JSON, "{\"TYPE\":\"Accepted\"}\n".to_owned())
}

fn has_ended() -> Refusal {
    Refusal::from(Problem::coded("OutcomeUnknown", [], "This node has ended"))
}

/// An attempt in one word, for `after`.
fn name_of(attempt: &Attempt) -> String {
    format!("{}.{}.{}", attempt.number.0, attempt.epoch.0, attempt.order_id)
}

fn attempt_of(text: &str) -> Result<Attempt, Refusal> {
    let attempt = || {
        let (number, rest) = text.split_once('.')?;
        let (epoch, order_id) = rest.split_once('.')?;
        Some(Attempt {
            number: EventId(number.parse().ok()?),
            epoch: Epoch(epoch.parse().ok()?),
            order_id: OrderId::checked(order_id).ok()?,
        })
    };
    attempt().ok_or_else(|| Refusal::bad_request("the parameter 'after' is none that was given as 'next'"))
}

/// What the parameters of `terminate` ask for.
fn asked_by(query: &Query<'_>) -> Result<StopRequest, Refusal> {
    let manner = query.value::<Manner>("manner", "stop, switch-over, abort or kill")?.unwrap_or(Manner::Stop);
    let restarts = query.value("restart", "true or false")?.unwrap_or(false);
    let signal = query.text("signal").map(signal_of).transpose()?;
    checked(StopRequest { manner, restarts, signal }).map_err(Refusal::from)
}

/// What a command of the reference asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Stop(StopRequest),
    Order(Order),
    Nothing,
}

fn command(text: &str) -> Checked<Asked> {
    let node = parse(text)?;
    let flag = |name: &str| node.get(name).map(from_node::<bool>).transpose().map(Option::unwrap_or_default);
    let name = node.get("TYPE").and_then(|name| name.as_str()).unwrap_or_default();
    let manner = match name {
        "NoOperation" => return Ok(Asked::Nothing),
        "ClusterSwitchOver" => return Ok(Asked::Order(Order::SwitchOver)),
        "ShutDown" => Manner::Stop,
        "EmergencyStop" => Manner::Abort,
        _ => {
            let message = format!(
                "there is no command '{name}' here; known are ShutDown, EmergencyStop, ClusterSwitchOver and NoOperation"
            );
            return Err(Problem::coded("UnknownCommand", [], message));
        }
    };
    let signal = node.get("processSignal").and_then(|signal| signal.as_str()).map(signal_of).transpose()?;
    checked(StopRequest { manner, restarts: flag("restart")?, signal }).map(Asked::Stop)
}

fn signal_of(text: &str) -> Checked<Signal> {
    match text {
        "SIGTERM" => Ok(Signal::Terminate),
        "SIGKILL" => Ok(Signal::Kill),
        _ => Err(Problem::new(format!("{text:?} is no signal for jobs; expected is SIGTERM or SIGKILL"))),
    }
}

fn checked(request: StopRequest) -> Checked<StopRequest> {
    match request {
        StopRequest { manner: Manner::Kill, restarts: true, .. } => {
            Err(Problem::new("A process that kills itself cannot start again by itself; expected is abort"))
        }
        request => Ok(request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_answers_for_its_subagent_too() {
        assert_eq!(Endpoint::of("/agent/api", true), Some(Endpoint::Agent));
        assert_eq!(Endpoint::of("/subagent/api/", true), Some(Endpoint::Subagent));
        assert_eq!(Endpoint::of("/subagent/api/process", false), Some(Endpoint::Processes));
        for (path, is_agent) in [("/agent/api", false), ("/controller/api", true), ("/agent/apix", true), ("", true)] {
            assert_eq!(Endpoint::of(path, is_agent), None, "{path}");
        }
    }

    #[test]
    fn commands_of_the_reference_end_it() {
        let stop = |restarts, signal| StopRequest { manner: Manner::Stop, restarts, signal };
        assert_eq!(command(r#"{"TYPE":"ShutDown"}"#).unwrap(), Asked::Stop(stop(false, None)));
        let text = r#"{"TYPE":"ShutDown","processSignal":"SIGKILL","restart":true}"#;
        assert_eq!(command(text).unwrap(), Asked::Stop(stop(true, Some(Signal::Kill))));
        let abort = StopRequest { manner: Manner::Abort, ..stop(true, None) };
        assert_eq!(command(r#"{"TYPE":"EmergencyStop","restart":true}"#).unwrap(), Asked::Stop(abort));
        assert_eq!(command(r#"{"TYPE":"NoOperation"}"#).unwrap(), Asked::Nothing);
        assert_eq!(command(r#"{"TYPE":"ClusterSwitchOver"}"#).unwrap(), Asked::Order(Order::SwitchOver));
        for bad in [r#"{"TYPE":"AttachOrder"}"#, r#"{"TYPE":"ShutDown","processSignal":"SIGHUP"}"#, "{}", "x"] {
            assert!(command(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn attempts_have_names() {
        let attempt = Attempt { number: EventId(7), epoch: Epoch(2), order_id: OrderId::new("A.B|C") };
        assert_eq!(attempt_of(&name_of(&attempt)).unwrap(), attempt);
        assert!(attempt_of("7.2").is_err() && attempt_of("x.2.A").is_err());
    }
}
