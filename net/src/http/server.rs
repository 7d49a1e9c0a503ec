//! A server of HTTP for any service: 1.1 without TLS, and 1.1 or 2 with it, as the caller wants.
//!
//! The service is one of hyper's, or one of tower's (an axum router) in `hyper_util::service::TowerToHyperService`. It finds
//! who calls in the request's extensions, as [`Caller`].
//!
//! A connection that is one too many waits until another ends. Idle ones end by themselves, so nobody can keep others out for
//! long without doing something all the time.

use super::idle::Idle;
use super::{BoxError, RequestBody};
use crate::accept::{BindError, PAUSE, listen};
use crate::address::Address;
use crate::network::{Listener, Network, Stream};
use crate::tls::{ClientCertificate, Identity, Purpose, Security, SessionError};
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What callers may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest head of a request, in bytes. At least 8192.
    pub head: usize,
    /// Longest body of a request, in bytes.
    pub body: usize,
    /// So many connections are open at most.
    pub connections: usize,
    /// So many requests go on in one connection of HTTP/2 at most.
    pub streams: u32,
    /// How long encryption may take to be agreed.
    pub security_time: Duration,
    /// How long a head may take to arrive, and the next request of a connection of HTTP/1.1 to come.
    pub head_time: Duration,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// How long nothing may travel over a connection. Streams of events must say something more often, and answers come earlier.
    pub idle: Duration,
}

impl Default for Limits {
    /// 64 KiB for heads, 32 MiB for bodies, 1024 connections of 128 requests; 5 s for encryption, 30 s for heads, 2 min for bodies,
    /// 2 min of silence.
    fn default() -> Self {
        Self {
            head: 64 << 10,
            body: 32 << 20,
            connections: 1024,
            streams: 128,
            security_time: Duration::from_secs(5),
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(120),
            idle: Duration::from_secs(120),
        }
    }
}

/// Who calls. Found in the extensions of each request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// From where.
    pub address: SocketAddr,
    /// The certificate, if one was shown.
    pub identity: Option<Identity>,
}

/// A server that listens.
pub struct Server {
    listener: Listener,
    security: Security,
    clients: ClientCertificate,
    limits: Limits,
    report: Report,
}

/// Hears what an operator should know.
type Report = Box<dyn Fn(&Trouble) + Send + Sync>;

/// Somebody could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A connection could not be encrypted.
    #[error("{from}: {error}")]
    Security {
        /// From where.
        from: SocketAddr,
        /// Why.
        error: SessionError,
    },
    /// The system cannot accept now: it lacks file descriptors, or memory. It is tried again.
    #[error("connections cannot be accepted now: {0}")]
    Accept(io::Error),
}

impl Server {
    /// Listens. With TLS, callers must or may show certificates. Without, only addresses of this machine alone are allowed.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn bind(
        network: Network,
        at: &Address,
        security: Security,
        clients: ClientCertificate,
        limits: Limits,
    ) -> Result<Self, BindError> {
        let listener = listen(network, at, &security).await?;
        Ok(Self { listener, security, clients, limits, report: Box::new(|_| {}) })
    }

    /// Tells `report` what an operator should know.
    #[must_use]
    pub fn reporting(mut self, report: impl Fn(&Trouble) + Send + Sync + 'static) -> Self {
        self.report = Box::new(report);
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }

    /// Serves until `stop` is ready. Then no more connections are accepted, requests that go on get `grace` to be answered, and what
    /// is left is cut off. Returns how many connections were. Streams of events do not end by themselves: end them when
    /// stopping.
    pub async fn serve<S, B>(self, service: S, stop: impl Future<Output = ()>, grace: Duration) -> usize
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Self { listener, security, clients, limits, report } = self;
        let server = Arc::new(Connecting::new(security, clients, limits, report));
        let slots = Arc::new(Semaphore::new(limits.connections));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepting = async {
                // It is never closed.
                let slot = Arc::clone(&slots).acquire_owned().await.ok();
                (slot, listener.accept().await)
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                // A service that panics ends its connection, no other.
                Some(_) = connections.join_next() => {}
                (slot, accepted) = accepting => match accepted {
                    Ok((stream, address)) => {
                        let connection =
                            Arc::clone(&server).connection(stream, address, service.clone(), graceful.watcher());
                        connections.spawn(async move {
                            connection.await;
                            drop(slot);
                        });
                    }
                    Err(error) => {
                        (server.report)(&Trouble::Accept(error));
                        sleep(PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        let all_end = async { while connections.join_next().await.is_some() {} };
        let ended = timeout(grace, async { tokio::join!(graceful.shutdown(), all_end) }).await;
        let left = if ended.is_ok() { 0 } else { connections.len() };
        connections.shutdown().await;
        left
    }
}

/// What each connection needs.
struct Connecting {
    security: Security,
    clients: ClientCertificate,
    limits: Limits,
    report: Report,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Connecting {
    fn new(security: Security, clients: ClientCertificate, limits: Limits, report: Report) -> Self {
        /// The least which hyper accepts.
        const LEAST_HEAD: usize = 8192;

        let head = limits.head.max(LEAST_HEAD);
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(limits.head_time).max_buf_size(head);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .max_concurrent_streams(limits.streams);
        Self { security, clients, limits, report, http1, http2 }
    }

    /// A connection, to its end. How it ends then is the caller's concern.
    async fn connection<S, B>(self: Arc<Self>, stream: Stream, address: SocketAddr, service: S, watcher: Watcher)
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let limits = self.limits;
        let secured = self.security.accept(stream, Purpose::Http, self.clients, limits.security_time).await;
        let secured = match secured {
            Ok(secured) => secured,
            Err(error) => return (self.report)(&Trouble::Security { from: address, error }),
        };
        let caller = Caller { address, identity: secured.identity };
        let service = service_fn(move |request: Request<Incoming>| {
            let is_too_long = request.body().size_hint().lower() > limits.body as u64;
            let mut request = request.map(|body| RequestBody::new(body, limits.body, limits.body_time));
            request.extensions_mut().insert(caller.clone());
            let answering = (!is_too_long).then(|| service.call(request));
            async move {
                match answering {
                    Some(answering) => answering.await.map(|response| response.map(Either::Left)),
                    None => {
                        let text = format!("the body of the request is longer than {} bytes\n", limits.body);
                        let mut response = Response::new(Either::Right(Full::new(Bytes::from(text))));
                        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                        Ok(response)
                    }
                }
            }
        });
        let stream = TokioIo::new(Idle::new(secured.stream, limits.head_time, limits.idle));
        let _ = match secured.is_http2 {
            true => watcher.watch(self.http2.serve_connection(stream, service)).await,
            false => watcher.watch(self.http1.serve_connection(stream, service)).await,
        };
    }
}
