//! Frames over streams within the process.

use baton_net::link::{self, Closed, QUEUE_BYTES};
use baton_protocol::frame;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::timeout;

const VERSIONS: std::ops::RangeInclusive<u16> = 1..=1;

fn encoded(kind: u16, payload: &[u8]) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    frame::encode(1, kind, payload, &mut bytes).unwrap();
    bytes.into()
}

fn pair(buffer: usize) -> [(link::Sender, link::Receiver<DuplexStream>); 2] {
    let (a, b) = duplex(buffer);
    [link::open(a, VERSIONS), link::open(b, VERSIONS)]
}

#[tokio::test]
async fn frames_arrive_whole_and_in_order() {
    let [(sender, _receiver), (_, mut receiver)] = pair(100);
    let payloads: Vec<Vec<u8>> = (0..200_u8).map(|n| vec![n; usize::from(n) * 37]).collect();
    for payload in &payloads {
        sender.send(encoded(7, payload)).unwrap();
    }
    for payload in payloads {
        let frame = receiver.next().await.unwrap();
        assert_eq!((frame.kind, frame.payload), (7, payload));
    }
}

#[tokio::test]
async fn what_was_said_before_hanging_up_arrives() {
    let [(sender, mut own), (_, mut receiver)] = pair(100);
    sender.send(encoded(1, &[1; 1000])).unwrap();
    sender.hang_up("done");
    assert_eq!(sender.send(encoded(1, &[])), Err(Closed::HungUp("done".to_owned())));
    assert_eq!(own.next().await, Err(Closed::HungUp("done".to_owned())));
    assert_eq!(receiver.next().await.unwrap().payload, [1; 1000]);
    assert_eq!(receiver.next().await, Err(Closed::ByPeer));
    assert_eq!(receiver.next().await, Err(Closed::ByPeer));
}

#[tokio::test]
async fn hanging_up_wakes_who_waits() {
    let [(sender, mut receiver), _other] = pair(100);
    let waiting = tokio::spawn(async move { receiver.next().await });
    tokio::task::yield_now().await;
    sender.hang_up("enough");
    assert_eq!(waiting.await.unwrap(), Err(Closed::HungUp("enough".to_owned())));
}

#[tokio::test]
async fn rubbish_ends_the_link_with_a_reason() {
    let (mut raw, stream) = duplex(1000);
    let (sender, mut receiver) = link::open(stream, VERSIONS);
    raw.write_all(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n").await.unwrap();
    let Err(Closed::NotUnderstood(error)) = receiver.next().await else { panic!("not refused") };
    assert!(error.to_string().contains("GET "), "{error}");
    assert!(matches!(sender.send(encoded(1, &[])), Err(Closed::NotUnderstood(_))));
}

#[tokio::test]
async fn a_torn_frame_is_told_from_an_end() {
    let (mut raw, stream) = duplex(1000);
    let (_sender, mut receiver) = link::open(stream, VERSIONS);
    raw.write_all(&encoded(1, b"hello")[..26]).await.unwrap();
    drop(raw);
    assert_eq!(receiver.next().await, Err(Closed::Torn));
}

#[tokio::test]
async fn a_slow_peer_costs_bounded_memory() {
    let (raw, stream) = duplex(1000);
    let (sender, mut receiver) = link::open(stream, VERSIONS);
    let frame = encoded(1, &vec![0; 1 << 20]);
    let mut sent = 0;
    let reason = loop {
        match sender.send(Arc::clone(&frame)) {
            Ok(()) => sent += frame.len(),
            Err(reason) => break reason,
        }
    };
    assert_eq!(reason, Closed::TooSlow);
    assert!(sent <= QUEUE_BYTES);
    assert_eq!(receiver.next().await, Err(Closed::TooSlow));
    drop(raw);
}

#[tokio::test]
async fn dropping_the_receiver_ends_the_link_for_the_peer() {
    let [(sender, receiver), (_, mut other)] = pair(100);
    drop(receiver);
    assert!(matches!(sender.send(encoded(1, &[])), Err(Closed::HungUp(_))));
    assert_eq!(timeout(Duration::from_secs(5), other.next()).await.unwrap(), Err(Closed::ByPeer));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_listen_delays_no_farewell_for_ever() {
    let (mut raw, stream) = duplex(10);
    let (sender, receiver) = link::open(stream, VERSIONS);
    sender.send(encoded(1, &[0; 100])).unwrap();
    tokio::task::yield_now().await;
    sender.hang_up("bye");
    drop(receiver);
    tokio::time::sleep(link::FAREWELL * 2).await;
    let mut bytes = Vec::new();
    raw.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.len(), 10);
}
