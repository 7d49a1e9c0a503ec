//! Streams of events: from where, what, and how they end.

use super::world::{DEADLINE, World, get, text};
use super::{addition, number};
use baton_net::http::events::{Lines, TAKEN};
use baton_workflow::json::{Node, parse};
use hyper::StatusCode;
use std::time::Duration;
use tokio::time::timeout;

/// The next line that is no sign of life.
async fn next(lines: &mut Lines) -> Option<Node> {
    loop {
        let line = lines.next().await.unwrap()?;
        if !line.is_empty() {
            return Some(parse(std::str::from_utf8(&line).unwrap()).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_after_the_last_event_it_has_seen() {
    let world = World::new().await;
    world.deploy().await;
    world.command(&addition("O")).await;
    let mut whole = Vec::new();
    let mut lines = world.open("/controller/api/event?after=0&timeout=1", None).await;
    while let Some(event) = next(&mut lines).await {
        whole.push((number(&event, "eventId"), text(&event, "TYPE").to_owned()));
    }
    assert!(whole.len() > 5 && whole.is_sorted_by_key(|(id, _)| *id));
    assert_eq!(whole[0].1, "JournalInitialized");
    assert!(whole.iter().any(|(_, name)| name == "OrderAdded"));

    // In pieces, and from the journal on the disk.
    let world = world.restart().await;
    let (mut pieces, mut after) = (Vec::new(), 0);
    while pieces.len() < whole.len() {
        let mut lines = world.open(&format!("/controller/api/event?limit=2&after={after}"), None).await;
        while let Some(event) = next(&mut lines).await {
            after = number(&event, "eventId");
            pieces.push((after, text(&event, "TYPE").to_owned()));
        }
    }
    pieces.truncate(whole.len());
    assert_eq!(pieces, whole);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_read_live_with_signs_of_life_and_a_last_word() {
    let world = World::new().await;
    world.deploy().await;
    let mut lines = world.open("/controller/api/event?heartbeat=0.1&return=OrderEvent", None).await;
    for _ in 0..3 {
        assert_eq!(lines.next().await.unwrap(), Some(Vec::new()), "a sign of life");
    }
    world.command(&addition("O")).await;
    let event = next(&mut lines).await.unwrap();
    assert_eq!((text(&event, "TYPE"), text(&event, "Key")), ("OrderAdded", "O"));
    let serving = world.serving;
    let (last_word, ()) = tokio::join!(
        async {
            loop {
                let event = next(&mut lines).await.unwrap();
                if text(&event, "TYPE") == "Problem" {
                    break event;
                }
            }
        },
        serving.stop()
    );
    assert_eq!(text(&last_word, "code"), "ShuttingDown");
    assert!(next(&mut lines).await.is_none());
    world.controller.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_read_server_sent_events() {
    let world = World::new().await;
    world.deploy().await;
    world.command(&addition("O")).await;
    let path = "/controller/api/event?after=0&limit=1&return=OrderAdded";
    let mut events = world.open(path, Some("text/event-stream")).await.server_sent();
    let event = events.next().await.unwrap().unwrap();
    let node = parse(&event.data).unwrap();
    assert_eq!(event.id, Some(number(&node, "eventId").to_string()));
    assert_eq!(text(&node, "TYPE"), "OrderAdded");
    assert_eq!(events.next().await.unwrap(), None);
    world.stop().await;
}

/// So many orders, each of which is a long event: together more than all buffers hold.
const ORDERS: usize = 150;

async fn add_long_orders(world: &World) {
    let long = "x".repeat(200_000);
    for batch in 0..3 {
        let orders: Vec<String> = (0..ORDERS / 3)
            .map(|n| {
                format!(
                    r#"{{"id": "O-{batch}-{n}", "workflowPath": "W", "planId": [], "arguments": {{"a": "{long}"}}}}"#
                )
            })
            .collect();
        let (status, _) = world.post("/controller/api/order", &format!("[{}]", orders.join(","))).await;
        assert_eq!(status, StatusCode::CREATED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_pauses_misses_nothing() {
    let world = World::new().await;
    world.deploy().await;
    let mut lines = world.open("/controller/api/event?return=OrderAdded", None).await;
    add_long_orders(&world).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..ORDERS {
        let event = timeout(DEADLINE, next(&mut lines)).await.unwrap().unwrap();
        assert_eq!(text(&event, "TYPE"), "OrderAdded");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_does_not_follow_is_cut_off_with_a_last_word() {
    let world = World::new().await;
    world.deploy().await;
    let mut lines = world.open("/controller/api/event?return=OrderAdded", None).await;
    add_long_orders(&world).await;
    tokio::time::sleep(TAKEN + Duration::from_millis(1_500)).await;
    let mut read = 0;
    let last_word = loop {
        let event = timeout(DEADLINE, next(&mut lines)).await.unwrap().unwrap();
        if text(&event, "TYPE") == "Problem" {
            break event;
        }
        read += 1;
    };
    assert_eq!(text(&last_word, "code"), "SlowReader");
    assert!((1..ORDERS).contains(&read), "{read} events were read");
    assert!(next(&mut lines).await.is_none());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused() {
    let world = World::new().await;
    let (status, problem) = world.get("/controller/api/event?after=99999999999999999").await;
    assert_eq!((status, text(&problem, "code")), (StatusCode::BAD_REQUEST, "UnknownEventId"));
    for bad in ["after=x", "after=-1", "heartbeat=0", "heartbeat=1e9", "heartbeat=NaN", "timeout=-1", "limit=x"] {
        let response = world.send(get(&format!("/controller/api/event?{bad}"))).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
    world.stop().await;
}
