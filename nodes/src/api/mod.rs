//! The controller's HTTP API: who may ask what, and how it is answered. `docs/api.md` describes it for users.
//!
//! Its own router of a dozen paths stands directly on the [server](baton_net::http::server): a framework would bring more code
//! than it saves. Everything is bounded: bodies, connections, requests at a time, pages, streams, and the time of each exchange
//! ([`DEADLINE`]). What is shown is committed (see [`Client::look`]); only what is said of the node itself (status, metrics,
//! cluster) is as it is just now.

mod access;
mod agents;
mod answer;
mod command;
mod events;
mod listing;
mod query;
mod routes;
mod server;
mod status;
mod worker;
mod worker_status;

pub use access::{FAILURES, PERIOD};
pub use answer::EVENT_ID;
pub use command::{COMMAND_ID, LONGEST_BODY};
pub use query::encode;
pub use server::{DEADLINE, ServeError, Serving};
pub use status::Status;
pub use worker::{WorkerApiConfig, serve as serve_worker};
pub use worker_status::{DirectorStatus, SubagentStatus, WorkerStatus};

use crate::config::User;
use crate::daemon::stop::Control;
use crate::driver::wall_clock;
use crate::host::controller::{Client, Unanswered};
use access::Access;
use answer::{Answer, Refusal};
use baton_machine::controller::Controller;
use baton_net::address::Address;
use baton_net::http::RequestBody;
use baton_net::network::Network;
use baton_net::tls::Security;
use baton_protocol::event_id::EventId;
use baton_protocol::register::Seat;
use baton_workflow::problem::Problem;
use hyper::Request;
use server::Answering;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// So many requests are being answered at a time; others wait.
const REQUESTS: usize = 256;

/// So many long bodies are read at a time; others wait.
const LONG_BODIES: usize = 4;

/// So many read events at a time; others are refused.
pub const STREAMS: usize = 500;

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

/// Answers requests from now on.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(config: ApiConfig, client: Client) -> Result<Serving, ServeError> {
    let ApiConfig { network, listen, security, users, urls, metrics, control } = config;
    let (stop, stopping) = watch::channel(false);
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
    server::start(network, &listen, security, stop, api).await
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

impl Answering for Api {
    async fn answer(self: Arc<Self>, request: Request<RequestBody>) -> Result<Answer, Refusal> {
        Box::pin(self.route(request)).await.map_err(|mut refusal| {
            *refusal.problem = self.complete(*refusal.problem);
            refusal
        })
    }
}

impl Api {
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
