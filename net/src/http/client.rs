//! A client for our own interfaces: one server, every exchange with a deadline.
//!
//! Connections are kept and used again: one for all requests with HTTP/2 (which TLS agrees on), several for HTTP/1.1. A request that
//! was not sent because the kept connection had just ended is sent over a new one; any other failure is the caller's to
//! judge, since the request may have been carried out.

use super::BoxError;
use super::events::{Lines, ReadLimits};
use super::idle::Idle;
use crate::address::Address;
use crate::connect::{ConnectError, connect};
use crate::name::NodeId;
use crate::network::Network;
use crate::tls::{Purpose, Security, SessionError};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// So many connections of HTTP/1.1 are kept.
const KEPT: usize = 8;

/// A connection over which nothing travels for so long ends.
const IDLE: Duration = Duration::from_secs(600);

/// Longest body of an answer that is read as a whole, in bytes.
pub const LONGEST_ANSWER: usize = 64 << 20;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection cannot be encrypted.
    #[error("{0}")]
    Security(SessionError),
    /// The address cannot be the name in a certificate.
    #[error("the host of {0} cannot stand in a certificate")]
    Name(Address),
    /// There was no answer within the deadline. The request may have been carried out.
    #[error("there is no answer within {after:?}")]
    Silent {
        /// The deadline.
        after: Duration,
    },
    /// The answer, or a line of it, is too long.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// What is allowed.
        limit: usize,
    },
    /// The connection broke, or what comes is not HTTP. The request may have been carried out.
    #[error("the exchange failed: {0}")]
    Broken(String),
}

impl HttpError {
    /// Whether the host says that no process listens: see [`ConnectError::Refused`].
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Connect(error) if error.is_refused())
    }

    pub(super) fn of(error: &hyper::Error) -> Self {
        let mut causes = vec![error.to_string()];
        let mut next = error.source();
        while let Some(error) = next {
            causes.push(error.to_string());
            next = error.source();
        }
        Self::Broken(causes.join(": "))
    }
}

/// A client of one server.
pub struct Client {
    network: Network,
    security: Security,
    address: Address,
    name: ServerName<'static>,
    /// Host and port.
    authority: String,
    kept: Mutex<Kept>,
}

/// Connections that can be used again.
#[derive(Default)]
struct Kept {
    http1: Vec<Link>,
    http2: Option<Link>,
}

/// A connection.
struct Link {
    sender: Sender,
    /// What TLS says when it fails.
    failure: Arc<OnceLock<SessionError>>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    /// Of a server whose certificate is for its host.
    ///
    /// # Errors
    /// When the host cannot be in a certificate.
    pub fn new(network: Network, security: Security, address: Address) -> Result<Self, HttpError> {
        let name = ServerName::try_from(address.host().to_owned()).map_err(|_| HttpError::Name(address.clone()))?;
        Self::with_name(network, security, address, name)
    }

    /// Of a node, whose certificate is for its name, wherever it runs.
    ///
    /// # Errors
    /// When the host cannot be in a URL.
    pub fn of_node(network: Network, security: Security, address: Address, node: &NodeId) -> Result<Self, HttpError> {
        Self::with_name(network, security, address, node.to_server_name())
    }

    fn with_name(
        network: Network,
        security: Security,
        address: Address,
        name: ServerName<'static>,
    ) -> Result<Self, HttpError> {
        let authority = address.to_string();
        if Uri::try_from(&authority).is_err() || HeaderValue::from_str(&authority).is_err() {
            return Err(HttpError::Name(address));
        }
        Ok(Self { network, security, address, name, authority, kept: Mutex::default() })
    }

    /// An exchange: the request, with a path as its URI, and the whole answer, all within the deadline.
    ///
    /// # Errors
    /// When there is no answer, or it is longer than [`LONGEST_ANSWER`].
    pub async fn exchange(&self, request: Request<Bytes>, deadline: Duration) -> Result<Response<Bytes>, HttpError> {
        let exchange = async {
            let (response, link) = self.send(request, deadline).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(broken_body)?.to_bytes();
            self.keep(link);
            Ok(Response::from_parts(head, body))
        };
        timeout(deadline, Box::pin(exchange)).await.unwrap_or(Err(HttpError::Silent { after: deadline }))
    }

    /// A request whose answer is a stream: its head within the deadline, then lines within their limits.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn open(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
        limits: ReadLimits,
    ) -> Result<Response<Lines>, HttpError> {
        let opening = Box::pin(self.send(request, deadline));
        let (response, _) = timeout(deadline, opening).await.unwrap_or(Err(HttpError::Silent { after: deadline }))?;
        Ok(response.map(|body| Lines::new(body, limits)))
    }

    async fn send(&self, request: Request<Bytes>, deadline: Duration) -> Result<(Response<Incoming>, Link), HttpError> {
        let mut request = request.map(Full::new);
        while let Some(mut link) = self.take().await {
            self.direct(&mut request, &link.sender);
            match link.send(request).await {
                Ok(response) => return Ok((response, link)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => {
                        self.kept().http2 = None;
                        request = unsent;
                    }
                    None => return Err(link.explain(error.error())),
                },
            }
        }
        // Silence while connecting is told before the whole time is over.
        let mut link = self.connect(deadline / 2).await?;
        self.direct(&mut request, &link.sender);
        match link.send(request).await {
            Ok(response) => Ok((response, link)),
            Err(error) => Err(link.explain(error.error())),
        }
    }

    /// Each version has the server's name at another place.
    fn direct(&self, request: &mut Request<Full<Bytes>>, sender: &Sender) {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        // The host was checked in the beginning, and the path was in a URI before.
        match sender {
            Sender::Http1(_) => {
                *request.version_mut() = Version::HTTP_11;
                if let Ok(host) = HeaderValue::from_str(&self.authority) {
                    request.headers_mut().insert(HOST, host);
                }
                *request.uri_mut() = Uri::try_from(path).unwrap_or_default();
            }
            Sender::Http2(_) => {
                *request.version_mut() = Version::HTTP_2;
                request.headers_mut().remove(HOST);
                let uri = Uri::builder().scheme("https").authority(self.authority.as_str()).path_and_query(path);
                *request.uri_mut() = uri.build().unwrap_or_default();
            }
        }
    }

    async fn connect(&self, deadline: Duration) -> Result<Link, HttpError> {
        let (stream, _) = connect(self.network, &self.address, &self.security, deadline).await?;
        let secured = self
            .security
            .connect(stream, self.name.clone(), Purpose::Http, deadline)
            .await
            .map_err(HttpError::Security)?;
        let stream = Idle::new(secured.stream, IDLE, IDLE);
        let failure = stream.failure();
        let stream = TokioIo::new(stream);
        if !secured.is_http2 {
            let (sender, connection) = http1::handshake(stream).await.map_err(|error| HttpError::of(&error))?;
            // How it ends is told to who waits for an answer.
            tokio::spawn(connection);
            return Ok(Link { sender: Sender::Http1(sender), failure });
        }
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new());
        let (sender, connection) = http.handshake(stream).await.map_err(|error| HttpError::of(&error))?;
        tokio::spawn(connection);
        self.kept().http2 = Some(Link { sender: Sender::Http2(sender.clone()), failure: Arc::clone(&failure) });
        Ok(Link { sender: Sender::Http2(sender), failure })
    }

    /// A connection that was kept and seems to live.
    async fn take(&self) -> Option<Link> {
        {
            let mut kept = self.kept();
            kept.http2.take_if(|link| link.is_closed());
            if let Some(Link { sender: Sender::Http2(sender), failure }) = &kept.http2 {
                return Some(Link { sender: Sender::Http2(sender.clone()), failure: Arc::clone(failure) });
            }
        }
        loop {
            let mut link = self.kept().http1.pop()?;
            // It becomes ready when it has done with the last answer.
            if let Sender::Http1(sender) = &mut link.sender
                && sender.ready().await.is_ok()
            {
                return Some(link);
            }
        }
    }

    fn keep(&self, link: Link) {
        let mut kept = self.kept();
        if matches!(link.sender, Sender::Http1(_)) && kept.http1.len() < KEPT && !link.is_closed() {
            kept.http1.push(link);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        match &mut self.sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        }
    }

    fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    fn explain(&self, error: &hyper::Error) -> HttpError {
        match self.failure.get() {
            Some(failure) => HttpError::Security(failure.clone()),
            None => HttpError::of(error),
        }
    }
}

fn broken_body(error: BoxError) -> HttpError {
    match error.downcast::<hyper::Error>() {
        Ok(error) => HttpError::of(&error),
        Err(error) if error.is::<LengthLimitError>() => HttpError::TooLong { limit: LONGEST_ANSWER },
        Err(error) => HttpError::Broken(error.to_string()),
    }
}
