//! The HTTP API of both nodes, as an operator reaches it.

use super::Failure;
use super::installation::{Installation, NODES};
use super::lines::{number, text};
use baton_net::address::Address;
use baton_net::http::client::{Client, HttpError};
use baton_net::http::events::{Lines, ReadLimits};
use baton_net::network::Network;
use baton_net::tls::{Security, Tls, TlsFiles, WallClock};
use baton_nodes::api::{COMMAND_ID, EVENT_ID};
use baton_nodes::driver::wall_clock;
use baton_protocol::register::Seat;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response};
use std::time::Duration;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(1);

/// Reads events. Signs of life are asked for twice in this time.
const READ_LIMITS: ReadLimits = ReadLimits { line: 1 << 20, silence: Duration::from_secs(2) };

/// To ask both nodes.
pub(crate) struct Access {
    clients: [Client; 2],
    authorization: HeaderValue,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// The last event of what the command did.
    pub(crate) event_id: u64,
}

/// How a node says that it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    pub(crate) is_active: bool,
    pub(crate) is_ready: bool,
    pub(crate) is_coupled: bool,
    pub(crate) is_linked: bool,
    pub(crate) epoch: u64,
    pub(crate) text: String,
}

impl Access {
    /// To an installation, with connections of its own.
    pub(crate) fn new(installation: &Installation) -> Result<Self, Failure> {
        let folder = installation.folder();
        let token = std::fs::read_to_string(folder.join("operator.token"))?;
        let files = TlsFiles { authorities: folder.join("tls/authority.pem"), own: None };
        let tls = Security::Tls(Tls::from_files(files, WallClock::new(wall_clock))?);
        let client = |node| {
            let address = Address::new("127.0.0.1", installation.api_port(node));
            Client::new(Network::Sockets, tls.clone(), address)
        };
        let clients = [client(NODES[0])?, client(NODES[1])?];
        Ok(Self { clients, authorization: HeaderValue::from_str(&format!("Bearer {}", token.trim()))? })
    }

    fn request(&self, method: Method, path: &str, key: Option<&str>, body: &str) -> Result<Request<Bytes>, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(AUTHORIZATION, &self.authorization);
        if let Some(key) = key {
            request = request.header(COMMAND_ID, key);
        }
        Ok(request.header(CONTENT_TYPE, "application/json").body(Bytes::from(body.to_owned()))?)
    }

    async fn exchange(&self, node: Seat, request: Request<Bytes>) -> Result<Answer, HttpError> {
        let response = self.clients[node as usize].exchange(request, DEADLINE).await?;
        let event_id = response.headers().get(EVENT_ID).and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
        Ok(Answer {
            status: response.status().as_u16(),
            event_id: event_id.unwrap_or_default(),
            text: String::from_utf8_lossy(response.body()).into_owned(),
        })
    }

    /// Asks a node to do something.
    pub(crate) async fn post(&self, node: Seat, path: &str, key: Option<&str>, body: &str) -> Result<Answer, Failure> {
        Ok(self.exchange(node, self.request(Method::POST, path, key, body)?).await?)
    }

    /// The events after one, as lines.
    pub(crate) async fn events(&self, node: Seat, parameters: &str) -> Result<Response<Lines>, Failure> {
        let path = format!("/controller/api/event?heartbeat=1&{parameters}");
        let request = self.request(Method::GET, &path, None, "")?;
        Ok(self.clients[node as usize].open(request, DEADLINE, READ_LIMITS).await?)
    }

    /// How a node stands.
    pub(crate) async fn status(&self, node: Seat) -> Result<Status, Failure> {
        let request = self.request(Method::GET, "/controller/api/cluster", None, "")?;
        let told = self.exchange(node, request).await?.text;
        let is = |member: &str, value: &str| told.contains(&format!("\"{member}\":{value}"));
        Ok(Status {
            is_active: is("isActive", "true"),
            is_ready: is("isReady", "true"),
            is_coupled: text(&told, "TYPE") == Some("Coupled"),
            is_linked: is("peerIsLinked", "true") && is("watchIsLinked", "true"),
            epoch: number(&told, "epoch").unwrap_or_default(),
            text: told,
        })
    }
}
