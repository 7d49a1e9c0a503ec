//! The controller's HTTP API: who may ask what, and how it is answered. `docs/api.md` describes it for users.
//!
//! Its own router of a dozen paths stands directly on the [server](baton_net::http::server): a framework would bring more code
//! than it saves. Everything is bounded: bodies, connections, requests at a time, pages, streams, and the time of each exchange
//! ([`DEADLINE`]). What is shown is committed (see [`Client::look`]); only what is said of the node itself (status, metrics,
//! cluster) is as it is just now.

mod access;
mod answer;
mod command;
mod events;
mod listing;
mod query;
mod routes;
mod status;

pub use access::{FAILURES, PERIOD};
pub use answer::EVENT_ID;
pub use command::{COMMAND_ID, LONGEST_BODY};
pub use query::encode;
pub use status::Status;

use crate::config::User;
use crate::daemon::stop::Control;
use crate::driver::wall_clock;
use crate::host::controller::{Client, Unanswered};
use access::Access;
use answer::{Answer, Refusal};
use baton_machine::controller::Controller;
use baton_net::accept::BindError;
use baton_net::address::Address;
use baton_net::http::RequestBody;
use baton_net::http::server::{Limits, Server};
use baton_net::network::Network;
use baton_net::tls::{ClientCertificate, Security};
use baton_protocol::event_id::EventId;
use baton_protocol::register::Seat;
use baton_workflow::problem::Problem;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Every exchange is over within this time, except streams of events, which must go on.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// So many requests are being answered at a time; others wait.
const REQUESTS: usize = 256;

/// So many long bodies are read at a time; others wait.
const LONG_BODIES: usize = 4;

/// So many read events at a time; others are refused.
pub const STREAMS: usize = 500;

/// So many connections are open at a time; others wait.
const CONNECTIONS: usize = 1_000;

/// So many requests of one connection go on at a time.
const REQUESTS_OF_CONNECTION: u32 = 32;

/// So long answers may take when the server is to stop.
const GRACE: Duration = Duration::from_secs(5);

/// What makes one API differ from another.
pub struct ApiConfig {
    /// The sockets.
    pub network: Network,
    /// Where it answers.
    pub listen: Address,
    /// How connections are secured. Callers may show certificates, but need not.
    pub security: Security,
    /// Who may use it.
    pub users: Vec<User>,
    /// How callers reach the first and the second node, such as `https://a.example:4444`: told by a node that is not active. None
    /// if not known, or the node is alone.
    pub urls: [Option<String>; 2],
    /// The text of `/metrics`.
    pub metrics: MetricsText,
    /// Ends the daemon.
    pub control: Control,
}

/// Makes the text of `/metrics`.
pub type MetricsText = Arc<dyn Fn(&Status) -> String + Send + Sync>;

/// An API that answers.
pub struct Serving {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: JoinHandle<usize>,
}

/// Why an API does not answer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen.
    #[error("API: {0}")]
    Bind(#[from] BindError),
    /// The system does not tell where it listens.
    #[error("API: the system does not tell where it listens: {0}")]
    Address(io::Error),
}

/// Answers requests from now on.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(config: ApiConfig, client: Client) -> Result<Serving, ServeError> {
    let ApiConfig { network, listen, security, users, urls, metrics, control } = config;
    // What the server refuses is no JSON, so bodies are measured here.
    let limits = Limits {
        body: usize::MAX,
        connections: CONNECTIONS,
        streams: REQUESTS_OF_CONNECTION,
        body_time: DEADLINE,
        ..Limits::default()
    };
    let server = Server::bind(network, &listen, security, ClientCertificate::Optional, limits).await?;
    let server = server.reporting(|trouble| tracing::debug!("API: {trouble}"));
    let address = server.local_address().map_err(ServeError::Address)?;
    let (stop, stopping) = watch::channel(false);
    let mut stopped = stopping.clone();
    let api = Arc::new(Api {
        access: Access::new(users),
        client,
        urls,
        metrics,
        control,
        started_at: wall_clock().as_millis(),
        requests: Semaphore::new(REQUESTS),
        long_bodies: Semaphore::new(LONG_BODIES),
        streams: Arc::new(Semaphore::new(STREAMS)),
        stopping,
    });
    let service = service_fn(move |request: Request<RequestBody>| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(Box::pin(api.answer(request)).await) }
    });
    let ended = tokio::spawn(server.serve(
        service,
        async move {
            // Who could stop it is gone.
            let _ = stopped.wait_for(|is_stopping| *is_stopping).await;
        },
        GRACE,
    ));
    Ok(Serving { address, stop, ended })
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends streams of events with a last word, lets requests be answered for a few seconds, and ends.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // A panic of the server is told by its task.
        let _ = self.ended.await;
    }
}

/// What all requests need.
struct Api {
    access: Access,
    client: Client,
    urls: [Option<String>; 2],
    metrics: MetricsText,
    control: Control,
    /// In milliseconds since 1970.
    started_at: i64,
    requests: Semaphore,
    long_bodies: Semaphore,
    streams: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

/// What was seen, and the last event that it shows.
struct Shown<T> {
    seen: T,
    event_id: EventId,
}

impl Api {
    async fn answer(self: Arc<Self>, request: Request<RequestBody>) -> Answer {
        let answering = timeout(DEADLINE, Box::pin(self.route(request)));
        let answer = answering.await.unwrap_or_else(|_| {
            let message =
                format!("There is no answer within {DEADLINE:?}. What was asked for may be done, now or later");
            Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, "OutcomeUnknown", message))
        });
        answer.unwrap_or_else(|mut refusal| {
            *refusal.problem = self.complete(*refusal.problem);
            refusal.into_answer()
        })
    }

    /// Looks at the state.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Controller) -> T + Send + 'static,
    ) -> Result<Shown<T>, Refusal> {
        let look =
            |controller: &Controller| Shown { seen: look(controller), event_id: controller.replica().last_event_id() };
        Ok(self.client.look(look).await??)
    }

    async fn status(&self) -> Result<Status, Refusal> {
        Ok(Status::ask(&self.client, self.started_at).await?)
    }

    /// A problem that says that this node is not active, says also which one is.
    fn complete(&self, mut problem: Problem) -> Problem {
        if problem.code == "ClusterNodeIsNotActive"
            && let Some(pair) = self.client.standing().borrow().pair
            && let Some(active) = pair.known.map(|known| known.active).filter(|active| *active != pair.seat)
        {
            problem.arguments.push(("activeId".into(), status::node_id(active).to_owned()));
            let url = match active {
                Seat::First => self.urls[0].clone(),
                Seat::Second => self.urls[1].clone(),
                Seat::Watch => None,
            };
            problem.arguments.extend(url.map(|url| ("activeUri".into(), url)));
        }
        problem
    }
}

impl From<Unanswered> for Refusal {
    fn from(error: Unanswered) -> Self {
        match error {
            Unanswered::Gone => {
                let message = "This node has ended, or is not active any more. Whether it did what was asked for is not known: ask \
                               again, with the same Idempotency-Key, at the active node";
                Self::from(Problem::coded("OutcomeUnknown", [], message))
            }
            Unanswered::NoEvents | Unanswered::Released { .. } => {
                Self::from(Problem::coded("Busy", [], error.to_string()))
            }
        }
    }
}
