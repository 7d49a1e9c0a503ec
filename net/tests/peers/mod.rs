//! Peers that are silent, slow, many, or come back with other certificates; over real sockets.

use crate::world::{Log, NOW, authority, caller, clock, dialler, frame, hosts, listener, node, secured, serve, start};
use baton_net::accept::{Acceptor, BindError, Limits};
use baton_net::address::Address;
use baton_net::backoff::Backoff;
use baton_net::certificate::{NodeFiles, write_cluster};
use baton_net::connect::ConnectError;
use baton_net::dial::{DialError, Dialler};
use baton_net::handshake::HandshakeError;
use baton_net::link::Closed;
use baton_net::name::ClusterId;
use baton_net::network::Network;
use baton_net::tls::{Security, SessionError, Tls, TlsPem};
use baton_protocol::random::Random;
use std::fs;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn silent_connections_delay_nobody() {
    let limits = Limits { strangers: 8, deadline: Duration::from_secs(60) };
    let authority = authority();
    for security in [Security::Plain, secured(&authority, "listener")] {
        let calling = match security {
            Security::Plain => Security::Plain,
            Security::Tls(_) => secured(&authority, "caller"),
        };
        let (address, log) = start(security, 1, limits).await;
        let mut silent = Vec::new();
        for n in 0..50 {
            let mut stream = TcpStream::connect((address.host(), address.port())).await.unwrap();
            // Some begin.
            if n % 2 == 0 {
                stream.write_all(b"BAT").await.unwrap();
            }
            silent.push(stream);
        }
        for _ in 0..3 {
            dialler(calling.clone()).dial(&address, &node("listener"), &caller()).await.unwrap();
        }
        log.wait(|lines| lines.iter().filter(|line| line.contains("turned away")).count() >= 42).await;
    }
}

#[tokio::test]
async fn a_silent_connection_ends_at_its_deadline() {
    let limits = Limits { deadline: SHORT, ..Limits::default() };
    let (address, log) = start(Security::Plain, 1, limits).await;
    let _silent = TcpStream::connect((address.host(), address.port())).await.unwrap();
    log.wait_for(0, "did not complete the handshake within 100ms").await;
}

#[tokio::test]
async fn a_silent_listener_is_given_up_at_the_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = silent.local_addr().unwrap().into();
    let mut dialler = dialler(Security::Plain);
    dialler.deadlines.handshake = SHORT;
    let error = dialler.dial(&address, &node("listener"), &caller()).await.err().unwrap();
    assert!(matches!(error, DialError::Handshake { error: HandshakeError::Silent { .. }, .. }), "{error}");
    assert!(!error.is_refused());

    let mut dialler = Dialler::new(Network::Sockets, secured(&authority(), "caller"));
    dialler.deadlines.security = SHORT;
    let error = dialler.dial(&address, &node("listener"), &caller()).await.err().unwrap();
    assert!(matches!(error, DialError::Security { error: SessionError::Silent { .. }, .. }), "{error}");
    assert!(!error.is_refused());
}

#[tokio::test]
async fn a_listener_that_hangs_up_is_not_taken_for_dead() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = listener.local_addr().unwrap().into();
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    for security in [Security::Plain, secured(&authority(), "caller")] {
        let error = dialler(security).dial(&address, &node("listener"), &caller()).await.err().unwrap();
        assert!(matches!(error, DialError::Security { .. } | DialError::Handshake { .. }), "{error}");
        assert!(!error.is_refused());
    }
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_too_slow() {
    let authority = authority();
    let security = secured(&authority, "listener");
    let mut acceptor = listener(Network::Sockets, 0, security, 1, Limits::default()).await;
    let address: Address = acceptor.local_address().unwrap().into();
    let dialler = dialler(secured(&authority, "caller"));
    let (to, me) = (node("listener"), caller());
    let (dialled, arrived) = tokio::join!(dialler.dial(&address, &to, &me), acceptor.accept());
    // It is there, but reads nothing.
    let _arrived = arrived;
    let (sender, mut receiver) = dialled.unwrap().open();
    let long = frame(&vec![0; 1 << 20]);
    let reason = loop {
        if let Err(reason) = sender.send(long.clone()) {
            break reason;
        }
    };
    assert_eq!(reason, Closed::TooSlow);
    assert_eq!(receiver.next().await, Err(Closed::TooSlow));
}

#[tokio::test]
async fn certificates_are_reloaded_without_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let cluster = ClusterId::new("test").unwrap();
    let nodes = ["listener", "caller"].map(|name| NodeFiles { node: node(name), hosts: hosts() });
    let files = write_cluster(path, &cluster, &nodes, NOW).unwrap();
    let [listening, calling] = [0, 1].map(|n| Tls::from_files(files[n].clone(), clock()).unwrap());
    assert_eq!(listening.files().len(), 3);
    let (address, log) = start(Security::Tls(listening.clone()), 1, Limits::default()).await;
    let dialler = dialler(Security::Tls(calling.clone()));
    let dial = async || dialler.dial(&address, &node("listener"), &caller()).await;
    let (sender, mut receiver) = dial().await.unwrap().open();
    assert_eq!(listening.reload(), Ok(false));

    // Another authority, and new certificates.
    fs::remove_file(path.join("authority.key")).unwrap();
    fs::remove_file(path.join("authority.pem")).unwrap();
    write_cluster(path, &cluster, &nodes, NOW).unwrap();
    assert_eq!(listening.reload(), Ok(true));
    let error = dial().await.err().unwrap();
    assert!(error.to_string().contains("was issued by none of the authorities in"), "{error}");
    assert!(error.to_string().contains("authority.pem"), "{error}");
    assert_eq!(calling.reload(), Ok(true));
    drop(dial().await.unwrap());

    // What cannot be used is reported and changes nothing.
    let good = fs::read(path.join("caller.pem")).unwrap();
    for bad in [&b"rubbish"[..], b"", &fs::read(path.join("listener.pem")).unwrap()] {
        fs::write(path.join("caller.pem"), bad).unwrap();
        let error = calling.reload().unwrap_err();
        assert!(error.to_string().contains("caller."), "{error}");
        drop(dial().await.unwrap());
    }
    fs::remove_file(path.join("caller.pem")).unwrap();
    assert!(calling.reload().unwrap_err().to_string().contains("cannot be read"));
    fs::write(path.join("caller.pem"), good).unwrap();
    assert_eq!(calling.reload(), Ok(false));

    // The connection which was there is not touched.
    sender.send(frame(b"still here")).unwrap();
    assert_eq!(receiver.next().await.unwrap().payload, b"still here");
    log.wait_for(0, "caller has come").await;
}

#[tokio::test]
async fn plain_text_is_offered_to_this_machine_only() {
    let bind = async |host: &str, security| {
        let address = Address::new(host, 0);
        Acceptor::bind(Network::Sockets, &address, security, caller, &[], Limits::default()).await.err()
    };
    for host in ["0.0.0.0", "::"] {
        let error = bind(host, Security::Plain).await.unwrap();
        assert!(matches!(error, BindError::PlainText { .. }), "{error}");
    }
    assert_eq!(bind("127.0.0.1", Security::Plain).await, None);
    let authority = authority();
    assert_eq!(bind("0.0.0.0", secured(&authority, "listener")).await, None);
    let nameless = TlsPem { authorities: authority.certificate().into(), own: None };
    let nameless = Security::Tls(Tls::from_pem(nameless, clock()).unwrap());
    assert!(matches!(bind("127.0.0.1", nameless).await, Some(BindError::NoCertificate { .. })));
}

#[tokio::test]
async fn dialling_goes_on_until_the_listener_is_there() {
    let gone = listener(Network::Sockets, 0, Security::Plain, 1, Limits::default()).await;
    let address: Address = gone.local_address().unwrap().into();
    drop(gone);
    let failures = Log::default();
    let dialling = async {
        let mut backoff = Backoff::new(Random::new(1), Duration::from_millis(5), Duration::from_millis(20));
        let report = |error: &DialError, _| {
            assert!(error.is_refused() && matches!(error, DialError::Connect(ConnectError::Refused { .. })));
            failures.add(error.to_string());
        };
        dialler(Security::Plain).persist(&address, &node("listener"), caller, &mut backoff, report).await
    };
    let starting = async {
        failures.wait(|lines| lines.len() >= 3).await;
        let acceptor = listener(Network::Sockets, address.port(), Security::Plain, 1, Limits::default()).await;
        serve(acceptor, Log::default()).await;
    };
    let begun = Instant::now();
    tokio::select! {
        connection = dialling => assert_eq!(connection.agreement.peer.node, node("listener")),
        () = starting => unreachable!(),
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
}
