//! Callers of all kinds, the good one and the others, and what both sides hear. The same over real sockets and simulated ones.

use crate::world::{
    Log, NOW, authority, caller, clock, frame, hosts, introduction, listener, node, secured, serve, tls,
};
use baton_net::accept::Limits;
use baton_net::address::Address;
use baton_net::certificate::Authority;
use baton_net::dial::Dialler;
use baton_net::handshake::{Introduction, Role};
use baton_net::name::ClusterId;
use baton_net::network::Network;
use baton_net::tls::{Security, Tls, TlsPem, WallClock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Who is visited.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Door {
    Encrypted,
    Plain,
    /// Its certificate is of an authority that the callers do not know, and it trusts all.
    Foreign,
    /// It knows versions 1 and 2.
    Newer,
}

pub(crate) const DOORS: [Door; 4] = [Door::Encrypted, Door::Plain, Door::Foreign, Door::Newer];

/// A caller, and what is expected to be heard at both sides.
struct Visit {
    what: &'static str,
    security: Security,
    me: Introduction,
    to: &'static str,
    door: Door,
    caller_hears: &'static str,
    listener_hears: &'static str,
}

/// What takes part. Drawn once: certificates may be many.
#[derive(Clone)]
pub(crate) struct Cast {
    doors: [Security; 4],
    callers: [Security; 6],
}

impl Cast {
    pub(crate) fn new() -> Self {
        let ours = authority();
        let theirs = authority();
        let both = [ours.certificate(), theirs.certificate()].concat().into_bytes();
        let of = |authority: &Authority, name: &str| authority.issue_pem(&node(name), &hosts(), NOW).unwrap();
        let foreign = TlsPem { authorities: both.clone(), ..of(&theirs, "listener") };
        // It has expired an hour ago, since it was loaded.
        let late = NOW - Duration::from_secs(7_200);
        let is_loaded = AtomicBool::new(false);
        let passing = WallClock::new(move || if is_loaded.swap(true, Ordering::Relaxed) { NOW } else { late });
        let own = ours.issue(&node("caller"), &[], late, Duration::from_secs(3_600)).unwrap();
        let expired = TlsPem { authorities: ours.certificate().into(), own: Some(own) };
        let nameless = TlsPem { authorities: ours.certificate().into(), own: None };
        let stranger = TlsPem { authorities: both, ..of(&theirs, "caller") };
        Self {
            doors: [secured(&ours, "listener"), Security::Plain, tls(foreign), secured(&ours, "listener")],
            callers: [
                secured(&ours, "caller"),
                Security::Plain,
                Security::Tls(Tls::from_pem(expired, passing).unwrap()),
                Security::Tls(Tls::from_pem(nameless, clock()).unwrap()),
                tls(stranger),
                secured(&ours, "somebody"),
            ],
        }
    }

    /// Listens at each of the doors, from the port on.
    pub(crate) async fn listen(&self, network: Network, port: u16, limits: Limits, log: &Log) -> Vec<u16> {
        let mut ports = Vec::new();
        for (n, door) in DOORS.into_iter().enumerate() {
            let newest = if door == Door::Newer { 2 } else { 1 };
            let port = if port == 0 { 0 } else { port + n as u16 };
            let acceptor = listener(network, port, self.doors[n].clone(), newest, limits).await;
            ports.push(acceptor.local_address().unwrap().port());
            tokio::spawn(serve(acceptor, log.clone()));
        }
        ports
    }

    fn visits(&self) -> Vec<Visit> {
        let [good, plain, expired, nameless, stranger, somebody] = &self.callers;
        let visit = |what, security: &Security, door, caller_hears, listener_hears| Visit {
            what,
            security: security.clone(),
            me: caller(),
            to: "listener",
            door,
            caller_hears,
            listener_hears,
        };
        let other_cluster = Introduction { cluster: ClusterId::new("other").unwrap(), ..caller() };
        vec![
            visit("all is well", good, Door::Encrypted, "version 1", "caller has come, version 1"),
            visit("all is well without encryption", plain, Door::Plain, "version 1", "caller has come, version 1"),
            visit("an older version", good, Door::Newer, "version 1", "caller has come, version 1"),
            Visit {
                me: introduction("caller", Role::Controller, 2, 3),
                ..visit("a newer version", good, Door::Newer, "version 2", "caller has come, version 2")
            },
            Visit {
                me: introduction("caller", Role::Controller, 2, 3),
                ..visit(
                    "no common version",
                    good,
                    Door::Encrypted,
                    "the peer refuses: messages of versions 1 to 1 are understood here, you understand 2 to 3",
                    "the peer is refused: messages of versions 1 to 1",
                )
            },
            Visit {
                me: other_cluster,
                ..visit(
                    "another cluster",
                    good,
                    Door::Encrypted,
                    "this is cluster test, you belong to cluster other",
                    "this is cluster test, you belong to cluster other",
                )
            },
            Visit {
                me: introduction("caller", Role::Subagent, 1, 1),
                ..visit("another role", good, Door::Encrypted, "you are a subagent", "you are a subagent")
            },
            visit(
                "the certificate of another node",
                somebody,
                Door::Encrypted,
                "you say that you are node caller, your certificate is for somebody",
                "you say that you are node caller, your certificate is for somebody",
            ),
            Visit {
                to: "elsewhere",
                ..visit(
                    "another node is wanted, encrypted",
                    good,
                    Door::Encrypted,
                    "the peer's certificate is for listener, localhost",
                    "the peer refuses our certificate: it cannot be used, or has another name",
                )
            },
            Visit {
                to: "elsewhere",
                ..visit(
                    "another node is wanted, plain",
                    plain,
                    Door::Plain,
                    "here is node listener, wanted was node elsewhere",
                    "here is node listener, wanted was node elsewhere",
                )
            },
            visit(
                "an expired certificate",
                expired,
                Door::Encrypted,
                "the peer refuses our certificate: it has expired",
                "the certificate has expired 60 minutes ago",
            ),
            visit(
                "no certificate",
                nameless,
                Door::Encrypted,
                "the peer refuses our certificate: we have none",
                "the peer shows no certificate",
            ),
            visit(
                "a caller of an unknown authority",
                stranger,
                Door::Encrypted,
                "the peer refuses our certificate: ",
                "the certificate was issued by none of the authorities in the given authorities",
            ),
            visit(
                "a listener of an unknown authority",
                good,
                Door::Foreign,
                "the certificate was issued by none of the authorities in the given authorities",
                "the peer refuses our certificate: ",
            ),
            visit(
                "plain text to an encrypted door",
                plain,
                Door::Encrypted,
                "the peer speaks TLS",
                "does not speak TLS",
            ),
            visit("encryption at a plain door", good, Door::Plain, "does not speak TLS", "the peer speaks TLS"),
        ]
    }

    /// All visits, one after the other. Checks what is heard.
    pub(crate) async fn visit(&self, network: Network, host: &str, ports: &[u16], log: &Log) {
        for visit in self.visits() {
            let port = ports[DOORS.iter().position(|&door| door == visit.door).unwrap()];
            let dialler = Dialler::new(network, visit.security.clone());
            log.add(format!("# {}", visit.what));
            let seen = log.lines().len();
            let heard = match dialler.dial(&Address::new(host, port), &node(visit.to), &visit.me).await {
                Ok(connection) => {
                    let version = connection.agreement.version;
                    assert_eq!(connection.identity.is_some(), matches!(visit.security, Security::Tls(_)));
                    let (sender, mut receiver) = connection.open();
                    if version == 1 {
                        sender.send(frame(b"hello")).unwrap();
                        assert_eq!(receiver.next().await.unwrap().payload, b"hello");
                    }
                    format!("version {version}")
                }
                // The port is another one in each run.
                Err(error) => error.to_string().replace(&port.to_string(), "PORT"),
            };
            assert!(heard.contains(visit.caller_hears), "{}: the caller hears \"{heard}\"", visit.what);
            log.wait_for(seen, visit.listener_hears).await;
            if heard.starts_with("version") {
                log.wait_for(seen, "has left").await;
            }
            log.add(heard);
        }
    }
}

/// Something that is no node, and ends in time.
pub(crate) async fn rubbish(network: Network, host: &str, ports: &[u16], log: &Log) {
    let texts: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\0\0\0\0\0\0\0", b"BATN", &[0x16, 3, 1], &[0xff; 100_000]];
    let seen = log.lines().len();
    for (port, text) in ports.iter().take(2).flat_map(|port| texts.map(|text| (port, text))) {
        let to = network.resolve(&Address::new(host, *port)).await.unwrap()[0];
        let mut stream = network.connect(to).await.unwrap();
        // The other side may have had enough before the end.
        let _ = stream.write_all(text).await;
        let mut answer = Vec::new();
        let reading = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(reading.is_ok(), "the listener goes on listening to rubbish");
        assert!(answer.len() < 1000);
    }
    log.wait(|lines| lines[seen..].iter().filter(|line| line.contains("turned away")).count() == 2 * texts.len()).await;
}

#[tokio::test]
async fn all_kinds_of_callers_over_real_sockets() {
    let cast = Cast::new();
    let log = Log::default();
    let ports = cast.listen(Network::Sockets, 0, Limits::default(), &log).await;
    cast.visit(Network::Sockets, "127.0.0.1", &ports, &log).await;
}

#[tokio::test]
async fn rubbish_over_real_sockets() {
    let cast = Cast::new();
    let log = Log::default();
    let limits = Limits { deadline: Duration::from_millis(100), ..Limits::default() };
    let ports = cast.listen(Network::Sockets, 0, limits, &log).await;
    rubbish(Network::Sockets, "127.0.0.1", &ports, &log).await;
}
