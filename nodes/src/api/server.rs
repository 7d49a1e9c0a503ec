//! What all HTTP APIs of daemons have in common: a server with bounds, and a deadline for each exchange.

use super::answer::{Answer, Refusal};
use baton_net::accept::BindError;
use baton_net::address::Address;
use baton_net::http::RequestBody;
use baton_net::http::server::{Limits, Server};
use baton_net::network::Network;
use baton_net::tls::{ClientCertificate, Security};
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Every exchange is over within this time, except streams of events, which must go on.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// So many connections are open at a time; others wait.
const CONNECTIONS: usize = 1_000;

/// So many requests of one connection go on at a time.
const REQUESTS_OF_CONNECTION: u32 = 32;

/// So long answers may take when the server is to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Answers requests.
pub(super) trait Answering: Send + Sync + 'static {
    /// Answers one, or refuses.
    fn answer(self: Arc<Self>, request: Request<RequestBody>) -> impl Future<Output = Result<Answer, Refusal>> + Send;
}

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

/// Answers from now on. `stop` tells who answers for long that the server is to stop.
pub(super) async fn start<A: Answering>(
    network: Network,
    listen: &Address,
    security: Security,
    stop: watch::Sender<bool>,
    api: Arc<A>,
) -> Result<Serving, ServeError> {
    // What the server refuses is no JSON, so bodies are measured elsewhere.
    let limits = Limits {
        body: usize::MAX,
        connections: CONNECTIONS,
        streams: REQUESTS_OF_CONNECTION,
        body_time: DEADLINE,
        ..Limits::default()
    };
    let server = Server::bind(network, listen, security, ClientCertificate::Optional, limits).await?;
    let server = server.reporting(|trouble| tracing::debug!("API: {trouble}"));
    let address = server.local_address().map_err(ServeError::Address)?;
    let mut stopped = stop.subscribe();
    let service = service_fn(move |request: Request<RequestBody>| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(Box::pin(answer(api, request)).await) }
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

async fn answer<A: Answering>(api: Arc<A>, request: Request<RequestBody>) -> Answer {
    let answer = timeout(DEADLINE, api.answer(request)).await.unwrap_or_else(|_| {
        let message = format!("There is no answer within {DEADLINE:?}. What was asked for may be done, now or later");
        Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, "OutcomeUnknown", message))
    });
    answer.unwrap_or_else(Refusal::into_answer)
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
