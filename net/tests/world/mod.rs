//! What the tests need: clusters with certificates, a listener that logs who comes, a log.

use baton_net::accept::{Acceptor, Arrival, Limits};
use baton_net::address::Address;
use baton_net::certificate::{Authority, KeyKind};
use baton_net::dial::{Connection, Dialler};
use baton_net::handshake::{Introduction, Role, Versions};
use baton_net::name::{ClusterId, NodeId};
use baton_net::network::Network;
use baton_net::tls::{Security, Tls, TlsPem, WallClock};
use baton_protocol::frame;
use baton_protocol::time::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The time by which certificates are judged.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) fn clock() -> WallClock {
    WallClock::new(|| NOW)
}

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

/// Who issues certificates. Signatures of one length, so that runs can be compared.
pub(crate) fn authority() -> Authority {
    Authority::new(&ClusterId::new("test").unwrap(), KeyKind::Ed25519, NOW).unwrap()
}

pub(crate) fn hosts() -> Vec<String> {
    vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
}

pub(crate) fn tls(pem: TlsPem) -> Security {
    Security::Tls(Tls::from_pem(pem, clock()).unwrap())
}

/// The usual security of a node.
pub(crate) fn secured(authority: &Authority, name: &str) -> Security {
    tls(authority.issue_pem(&node(name), &hosts(), NOW).unwrap())
}

pub(crate) fn introduction(name: &str, role: Role, oldest: u16, newest: u16) -> Introduction {
    let versions = Versions { oldest, newest };
    Introduction { cluster: ClusterId::new("test").unwrap(), node: node(name), role, versions, epoch: 3, run: 7 }
}

pub(crate) fn caller() -> Introduction {
    introduction("caller", Role::Controller, 1, 1)
}

pub(crate) fn frame(payload: &[u8]) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    frame::encode(1, 1, payload, &mut bytes).unwrap();
    bytes.into()
}

/// What happens, in its order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Adds a line, with the time if it is simulated.
    pub(crate) fn add(&self, line: impl Into<String>) {
        let mut line = line.into();
        if let Some(elapsed) = turmoil::sim_elapsed() {
            line = format!("{line} ({elapsed:?})");
        }
        self.0.lock().unwrap().push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until the lines are as they should be.
    pub(crate) async fn wait(&self, are_fitting: impl Fn(&[String]) -> bool) {
        let waiting = async {
            while !are_fitting(&self.lines()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(5), waiting).await.is_err() {
            panic!("not as expected: {:#?}", self.lines());
        }
    }

    /// Waits for a line with the text, after those that were seen.
    pub(crate) async fn wait_for(&self, seen: usize, text: &str) {
        let waiting = self.wait(|lines| lines[seen..].iter().any(|line| line.contains(text)));
        if tokio::time::timeout(Duration::from_secs(4), waiting).await.is_err() {
            panic!("no \"{text}\" in {:#?}", &self.lines()[seen..]);
        }
    }
}

/// A node `listener` at any port of this machine, for controllers. Its security, and the versions that it knows.
pub(crate) async fn listener(network: Network, port: u16, security: Security, newest: u16, limits: Limits) -> Acceptor {
    let host = match network {
        Network::Sockets => "127.0.0.1",
        Network::Simulated => "0.0.0.0",
    };
    let me = move || introduction("listener", Role::Director, 1, newest);
    Acceptor::bind(network, &Address::new(host, port), security, me, &[Role::Controller], limits).await.unwrap()
}

/// Accepts for ever, logs who comes and how they leave, and sends all frames back.
pub(crate) async fn serve(mut acceptor: Acceptor, log: Log) {
    loop {
        match acceptor.accept().await {
            Arrival::Node(connection) => {
                tokio::spawn(echo(*connection, log.clone()));
            }
            Arrival::TurnedAway { why, .. } => log.add(format!("turned away: {why}")),
            Arrival::Failed(error) => panic!("{error}"),
        }
    }
}

async fn echo(connection: Connection, log: Log) {
    let who = connection.agreement.peer.node.clone();
    log.add(format!("{who} has come, version {}", connection.agreement.version));
    let (sender, mut receiver) = connection.open();
    let reason = loop {
        match receiver.next().await {
            Ok(received) => drop(sender.send(frame(&received.payload))),
            Err(reason) => break reason,
        }
    };
    log.add(format!("{who} has left: {reason}"));
}

/// Listens at a free port of this machine.
pub(crate) async fn start(security: Security, newest: u16, limits: Limits) -> (Address, Log) {
    let acceptor = listener(Network::Sockets, 0, security, newest, limits).await;
    let address = acceptor.local_address().unwrap().into();
    let log = Log::default();
    tokio::spawn(serve(acceptor, log.clone()));
    (address, log)
}

pub(crate) fn dialler(security: Security) -> Dialler {
    Dialler::new(Network::Sockets, security)
}
