//! The HTTP API of a controller, over sockets of this machine.

mod certificates;
mod ctl;
mod events;
mod pair;
mod world;

use baton_nodes::api::{FAILURES, LONGEST_BODY};
use baton_workflow::json::{Node, NodeKind};
use hyper::body::Bytes;
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use world::{DEADLINE, OPERATOR, READER, World, get, post, request, text};

const PATHS: [&str; 11] = [
    "/",
    "/nothing",
    "/metrics",
    "/controller/api",
    "/controller/api/event",
    "/controller/api/order",
    "/controller/api/order/O",
    "/controller/api/item",
    "/controller/api/workflow",
    "/controller/api/agent",
    "/controller/api/cluster",
];

fn number(node: &Node, name: &str) -> i64 {
    match node.get(name).map(|node| &node.kind) {
        Some(NodeKind::Number(number)) => number.to_i64().unwrap(),
        other => panic!("{name} is {other:?}"),
    }
}

fn list<'n>(node: &'n Node, name: &str) -> &'n [Node] {
    match node.get(name).map(|node| &node.kind) {
        Some(NodeKind::List(entries)) => entries,
        other => panic!("{name} is {other:?}"),
    }
}

fn addition(id: &str) -> String {
    format!(r#"{{"TYPE": "AddOrder", "order": {{"id": "{id}", "workflowPath": "W", "planId": []}}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_health_is_told_without_a_credential() {
    let world = World::new().await;
    let bare = |path: &str| Request::get(path).body(Bytes::new()).unwrap();
    assert_eq!(world.send(bare("/healthz")).await.into_body(), "ok\n");
    let readiness = world.send(bare("/readyz")).await;
    assert!(matches!(&readiness.body()[..], b"ready\n" | b"not ready\n"), "{readiness:?}");
    for path in PATHS {
        let response = world.send(bare(path)).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        assert_eq!(text(&world::body(&response), "code"), "Unauthorized");
    }
    let wrong = world.send(request(Method::GET, "/controller/api", "reader-secre")).await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let mut basic = bare("/controller/api");
    // reader:reader-secret
    basic.headers_mut().insert(AUTHORIZATION, "Basic cmVhZGVyOnJlYWRlci1zZWNyZXQ=".parse().unwrap());
    let overview = world::body(&world.send(basic).await);
    assert_eq!(text(&overview, "id"), "Controller");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_are_needed() {
    let world = World::new().await;
    let mut command = post("/controller/api/command", &addition("O"));
    command.headers_mut().insert(AUTHORIZATION, format!("Bearer {READER}").parse().unwrap());
    let response = world.send(command).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(text(&world::body(&response), "code"), "Forbidden");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_secrets_is_not_listened_to() {
    let world = World::new().await;
    for _ in 0..FAILURES {
        let response = world.send(request(Method::GET, "/controller/api", "guess")).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    let response = world.send(get("/controller/api")).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told() {
    let world = World::new().await;
    let (status, problem) = world.get("/controller/api/nothing").await;
    assert_eq!((status, text(&problem, "code")), (StatusCode::NOT_FOUND, "UnknownPath"));
    let (status, problem) = world.get("/controller/api/order/O").await;
    assert_eq!((status, text(&problem, "code")), (StatusCode::NOT_FOUND, "UnknownOrder"));
    let (status, problem) = world.get("/controller/api/order?limit=0").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem:?}");
    let (status, problem) = world.get("/controller/api/order?unknown=0").await;
    assert!(status == StatusCode::BAD_REQUEST && text(&problem, "message").contains("known are"), "{problem:?}");

    let response = world.send(get("/controller/api/command")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[ALLOW], "POST");
    let mut command = post("/controller/api/command", &addition("O"));
    command.headers_mut().insert(CONTENT_TYPE, "text/plain".parse().unwrap());
    assert_eq!(world.send(command).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);

    for (bad, expected) in [
        ("", "line 1"),
        ("{", "line 1"),
        ("{\n  \"TYPE\": \"Nonsense\"}", "Nonsense"),
        ("[]", "object"),
        (&"[".repeat(100_000), ""),
        (r#"{"TYPE": "AddOrder", "order": {"workflowPath": "W", "planId": []}}"#, "id"),
        (r#"{"TYPE": "CancelOrders", "orderIds": ["O"]}"#, "O"),
    ] {
        let (status, problem) = world.post("/controller/api/command", bad).await;
        let message = text(&problem, "message");
        assert!(status == StatusCode::BAD_REQUEST && message.contains(expected), "{status} {message}");
        assert_eq!(text(&problem, "TYPE"), "Problem");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_bounded_and_rubbish_ends_its_connection_only() {
    let world = World::new().await;
    let head = format!(
        "POST /controller/api/command HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OPERATOR}\r\nContent-Type: application/json\r\n"
    );
    let too_long = format!("{head}Content-Length: {}\r\n\r\n", LONGEST_BODY + 1);
    assert!(raw(&world, too_long.as_bytes()).await.starts_with("HTTP/1.1 413"), "announced");
    let long_head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1_000_000));
    // The system may take the answer back when not all was read.
    let answer = raw(&world, long_head.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    for rubbish in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        &[0xFF; 1000],
        b"GET /%zz HTTP/9\r\n\r\n",
    ] {
        raw(&world, rubbish).await;
    }
    world.got("/controller/api").await;
    world.stop().await;
}

/// Sends bytes over a connection of its own and returns what comes back, if something does soon.
async fn raw(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.serving.address()).await.unwrap();
    // It may be closed before all is sent.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = vec![0; 1000];
    let length = timeout(DEADLINE, stream.read(&mut answer)).await.unwrap().unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_with_an_id_are_carried_out_once_also_after_a_restart() {
    let world = World::new().await;
    world.deploy().await;
    let with_id = |json: &str| {
        let mut request = post("/controller/api/order", json);
        request.headers_mut().insert("idempotency-key", "\"id-1\"".parse().unwrap());
        request
    };
    let order = r#"{"id": "O", "workflowPath": "W", "planId": []}"#;
    let first = world.send(with_id(order)).await;
    assert_eq!(first.status(), StatusCode::CREATED);
    let second = world.send(with_id(order)).await;
    assert_eq!(second.status(), StatusCode::CREATED, "not a duplicate");
    assert_eq!(second.headers()["x-baton-event-id"], first.headers()["x-baton-event-id"]);
    let world = world.restart().await;
    let third = world.send(with_id(order)).await;
    assert_eq!((third.status(), third.body()), (StatusCode::CREATED, first.body()));
    let (status, problem) = world.post("/controller/api/order", order).await;
    assert_eq!((status, text(&problem, "code")), (StatusCode::CONFLICT, "DuplicateOrder"));
    let other = world.send(with_id(&order.replace("\"O\"", "\"P\""))).await;
    assert_eq!(other.status(), StatusCode::CONFLICT);
    assert_eq!(text(&world::body(&other), "code"), "DuplicateCommandId");
    let mut bad = with_id(order);
    bad.headers_mut().insert("idempotency-key", "x".repeat(200).parse().unwrap());
    assert_eq!(world.send(bad).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(list(&world.got("/controller/api/order").await, "orders").len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let world = World::new().await;
    world.deploy().await;
    let orders: Vec<String> =
        (0..250).map(|n| format!(r#"{{"id": "O-{n:03}", "workflowPath": "W", "planId": []}}"#)).collect();
    let mut lines = post("/controller/api/order", &orders.join("\n"));
    lines.headers_mut().insert(CONTENT_TYPE, "application/x-ndjson".parse().unwrap());
    assert_eq!(world.send(lines).await.status(), StatusCode::CREATED);

    let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = world.got(&format!("/controller/api/order?limit=100{after}")).await;
        seen.extend(list(&page, "orders").iter().map(|order| text(order, "id").to_owned()));
        pages += 1;
        match page.get("next").and_then(Node::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!((pages, seen.len()), (3, 250));
    assert!(seen.is_sorted());

    let prompting = world.got("/controller/api/order?state=Prompting,Failed&limit=1000").await;
    assert_eq!(list(&prompting, "orders").len(), 250);
    assert_eq!(list(&world.got("/controller/api/order?state=Failed").await, "orders").len(), 0);
    assert_eq!(list(&world.got("/controller/api/order?workflowPath=X").await, "orders").len(), 0);
    let order = world.got("/controller/api/order/O-007").await;
    assert!(text(&order, "id") == "O-007" && number(&order, "eventId") > 0);

    let items = world.got("/controller/api/item?limit=1").await;
    assert_eq!(text(&list(&items, "items")[0], "TYPE"), "Lock");
    assert_eq!(text(&items, "next"), "Lock:LOCK");
    let items = world.got("/controller/api/item?after=Lock:LOCK").await;
    assert_eq!(text(&list(&items, "items")[0], "TYPE"), "Workflow");
    assert!(items.get("next").is_none());
    assert_eq!(text(&world.got("/controller/api/item/Workflow:W").await, "path"), "W");
    let workflows = world.got("/controller/api/workflow").await;
    assert_eq!(number(&list(&workflows, "workflows")[0], "orders"), 250);
    assert_eq!(list(&world.got("/controller/api/agent").await, "agents").len(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_changed_in_one_transaction() {
    let world = World::new().await;
    let lines = r#"{"TYPE": "AddVersion", "versionId": "1"}
        {"TYPE": "AddOrChangeVersioned", "item": {"TYPE": "Workflow", "path": "W", "instructions": []}}

        {"TYPE": "AddOrChangeSimple", "item": {"TYPE": "Lock", "path": "L"}}
    "#;
    let mut request = post("/controller/api/item", lines);
    request.headers_mut().insert(CONTENT_TYPE, "application/x-ndjson".parse().unwrap());
    assert_eq!(world.send(request).await.status(), StatusCode::OK);
    assert_eq!(list(&world.got("/controller/api/item").await, "items").len(), 2);
    let (status, problem) = world
        .post(
            "/controller/api/item",
            r#"[{"TYPE": "DeleteSimple", "path": "Lock:L"}, {"TYPE": "DeleteSimple", "path": "Lock:X"}]"#,
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem:?}");
    assert_eq!(list(&world.got("/controller/api/item").await, "items").len(), 2, "nothing is done");
    let (status, _) =
        world.post("/controller/api/item", r#"{"operations": [{"TYPE": "DeleteSimple", "path": "Lock:L"}]}"#).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(list(&world.got("/controller/api/item").await, "items").len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_tells_how_it_is() {
    let world = World::new().await;
    assert_eq!(world.send(get("/metrics")).await.into_body(), "orders 0\n");
    let cluster = world.got("/controller/api/cluster").await;
    assert_eq!(text(&cluster, "TYPE"), "Empty");
    let ready = async {
        while world.send(get("/readyz")).await.status() != StatusCode::OK {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, ready).await.unwrap();
    let (status, problem) = world.post("/controller/api/cluster/switch-over", "{}").await;
    assert_eq!((status, text(&problem, "code")), (StatusCode::BAD_REQUEST, "ClusterStateEmpty"));
    let (status, _) = world.post("/controller/api/cluster/switch-over", r#"{"x": 1}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    // A web page of somebody else can make a browser send this.
    let mut terminate = post("/controller/api/terminate", "");
    terminate.headers_mut().remove(CONTENT_TYPE);
    assert_eq!(world.send(terminate).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, _) = world.post("/controller/api/terminate?manner=abort", "").await;
    assert_eq!(status, StatusCode::ACCEPTED);
    world.stop().await;
}
