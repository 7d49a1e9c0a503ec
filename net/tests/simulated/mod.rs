//! The same code over simulated sockets: the same callers, and what cannot be had on one machine: lost networks and hosts.

use crate::visits::{Cast, rubbish};
use crate::world::{Log, caller, frame, listener, node, serve};
use baton_net::accept::Limits;
use baton_net::address::Address;
use baton_net::connect::ConnectError;
use baton_net::dial::{DialError, Dialler};
use baton_net::network::Network::Simulated;
use baton_net::tls::Security;
use std::future::{Future, pending};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout};
use turmoil::{Builder, Sim};

const PORT: u16 = 4445;

fn simulation(seed: u64) -> Sim<'static> {
    Builder::new()
        .rng_seed(seed)
        .epoch(SystemTime::UNIX_EPOCH)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .simulation_duration(Duration::from_secs(120))
        .build()
}

/// Runs a client beside a host `listener` at [`PORT`] that has no encryption.
fn run(seed: u64, client: impl Future<Output = ()> + 'static) {
    let mut sim = simulation(seed);
    sim.host("listener", async || {
        serve(listener(Simulated, PORT, Security::Plain, 1, Limits::default()).await, Log::default()).await;
        Ok(())
    });
    sim.client("caller", async {
        client.await;
        Ok(())
    });
    sim.run().unwrap();
}

fn address() -> Address {
    Address::new("listener", PORT)
}

fn dialler() -> Dialler {
    Dialler::new(Simulated, Security::Plain)
}

/// All kinds of callers. What both sides have heard, and when.
fn trace(seed: u64, cast: &Cast) -> Vec<String> {
    let log = Log::default();
    let mut sim = simulation(seed);
    let (listening, heard) = (cast.clone(), log.clone());
    sim.host("listener", move || {
        let (cast, log) = (listening.clone(), heard.clone());
        async move {
            cast.listen(Simulated, PORT, Limits::default(), &log).await;
            pending().await
        }
    });
    let (calling, said) = (cast.clone(), log.clone());
    sim.client("caller", async move {
        let ports = [PORT, PORT + 1, PORT + 2, PORT + 3];
        calling.visit(Simulated, "listener", &ports, &said).await;
        rubbish(Simulated, "listener", &ports, &said).await;
        Ok(())
    });
    sim.run().unwrap();
    log.lines()
}

#[test]
fn a_seed_decides_what_is_heard_and_when() {
    let cast = Cast::new();
    let first = trace(1, &cast);
    assert_eq!(first, trace(1, &cast));
    // Other certificates are other bytes, but not another course.
    assert_eq!(first, trace(1, &Cast::new()));
    assert_ne!(first, trace(2, &cast));
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    run(1, async {
        let nobody = Address::new("listener", PORT + 1);
        let error = dialler().dial(&nobody, &node("listener"), &caller()).await.err().unwrap();
        assert!(error.is_refused(), "{error}");
    });
}

#[test]
fn a_lost_network_is_silence_and_no_proof() {
    run(1, async {
        let dial = async || dialler().dial(&address(), &node("listener"), &caller()).await;
        let (sender, mut receiver) = dial().await.unwrap().open();
        sender.send(frame(b"1")).unwrap();
        assert_eq!(receiver.next().await.unwrap().payload, b"1");
        turmoil::partition("caller", "listener");
        let begun = Instant::now();
        let error = dial().await.err().unwrap();
        assert!(matches!(error, DialError::Connect(ConnectError::Silent { .. })), "{error}");
        assert!(!error.is_refused());
        assert_eq!(begun.elapsed().as_millis(), 1000);
        // The link itself notices nothing; who uses it does.
        sender.send(frame(b"2")).unwrap();
        assert!(timeout(Duration::from_secs(10), receiver.next()).await.is_err());
        turmoil::repair("caller", "listener");
        dial().await.unwrap();
    });
}

#[test]
fn a_network_lost_on_the_way_back_is_noticed_by_the_deadline() {
    run(1, async {
        turmoil::partition_oneway("listener", "caller");
        let error = dialler().dial(&address(), &node("listener"), &caller()).await.err().unwrap();
        assert!(!error.is_refused(), "{error}");
    });
}

#[test]
fn a_crash_ends_links_and_a_restart_is_reached_again() {
    let mut sim = simulation(1);
    sim.host("listener", async || {
        serve(listener(Simulated, PORT, Security::Plain, 1, Limits::default()).await, Log::default()).await;
        Ok(())
    });
    let log = Log::default();
    let seen = log.clone();
    sim.client("caller", async move {
        let dial = async || dialler().dial(&address(), &node("listener"), &caller()).await;
        let (_sender, mut receiver) = dial().await.unwrap().open();
        seen.add("linked");
        receiver.next().await.unwrap_err();
        seen.add("ended");
        while dial().await.is_err() {}
        Ok(())
    });
    let has = |line: &str| log.lines().iter().any(|found| found.starts_with(line));
    while !has("linked") {
        sim.step().unwrap();
    }
    sim.crash("listener");
    while !has("ended") {
        sim.step().unwrap();
    }
    sim.bounce("listener");
    sim.run().unwrap();
}
