//! A process that is killed is noticed by its peer in milliseconds, and proved dead by its host.

use crate::world::{Log, caller, dialler, frame, listener, node, serve};
use baton_net::accept::Limits;
use baton_net::address::Address;
use baton_net::network::Network;
use baton_net::tls::Security;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Makes this binary a peer.
const PEER: &str = "BATON_NET_TEST_PEER";

/// What the peer writes before its address.
const LISTENING: &str = "listening at ";

/// Many times what it takes.
const SOON: Duration = Duration::from_secs(1);

/// The other process: this binary, running this test.
#[tokio::test]
async fn peer() {
    if std::env::var_os(PEER).is_none() {
        return;
    }
    let acceptor = listener(Network::Sockets, 0, Security::Plain, 1, Limits::default()).await;
    println!("{LISTENING}{}", acceptor.local_address().unwrap());
    // Its parent kills it, or forgets it.
    let _ = tokio::time::timeout(Duration::from_secs(30), serve(acceptor, Log::default())).await;
}

fn spawn() -> (Child, Address) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "death::peer", "--nocapture"])
        .env(PEER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| Some(line.unwrap().split_once(LISTENING)?.1.parse().unwrap()));
    (child, address.unwrap())
}

#[tokio::test]
async fn a_killed_process_is_noticed_at_once() {
    let (mut child, address) = spawn();
    let dialler = dialler(Security::Plain);
    let connection = dialler.dial(&address, &node("listener"), &caller()).await.unwrap();
    let (sender, mut receiver) = connection.open();
    sender.send(frame(b"hello")).unwrap();
    receiver.next().await.unwrap();

    let killed = Instant::now();
    child.kill().unwrap();
    let reason = receiver.next().await.unwrap_err();
    let noticed = killed.elapsed();
    child.wait().unwrap();
    let error = dialler.dial(&address, &node("listener"), &caller()).await.err().unwrap();
    let proved = killed.elapsed();
    assert!(error.is_refused(), "{error}");
    assert!(noticed < SOON && proved < SOON, "{reason} after {noticed:?}, {error} after {proved:?}");
}
