//! The API of a pair: what the standby answers, and a client that follows the active.

use super::world::{DEADLINE, OPERATOR, api_config, body, get, text};
use crate::pair::{Cluster, is_coupled_active, until};
use baton_machine::client::Request;
use baton_net::http::client::Client;
use baton_net::network::Network;
use baton_net::tls::Security;
use baton_nodes::api;
use baton_nodes::ctl::session::{Ask, Session};
use baton_nodes::ctl::target::{Endpoint, Target};
use baton_protocol::event_id::EventId;
use baton_protocol::register::Seat;
use baton_workflow::id::CommandId;
use hyper::{Method, StatusCode};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::time::timeout;

fn controller(address: SocketAddr) -> Endpoint {
    let http = Client::new(Network::Sockets, Security::Plain, address.into()).unwrap();
    Endpoint { url: format!("http://{address}"), http }
}

fn ask(path: &str, body: &str, id: &str) -> Request<Ask> {
    let (path, body) = (path.to_owned(), Some(body.to_owned()));
    Request::Repeatable(Ask { method: Method::POST, path, body, id: Some(CommandId::new(id)) })
}

#[test]
fn a_client_follows_a_take_over_and_the_events_go_on() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::new();
        let (_watch, _w) = cluster.watch().await;
        let (first, _f) = cluster.controller(Seat::First).await;
        let (second, _s) = cluster.controller(Seat::Second).await;
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.map(|listener| listener.local_addr().unwrap());
        let config = |nr: usize| api::ApiConfig {
            listen: addresses[nr].into(),
            ..api_config(addresses.map(|address| Some(format!("http://{address}"))))
        };
        let first_api = api::serve(config(0), first.client.clone()).await.unwrap();
        let second_api = api::serve(config(1), second.client.clone()).await.unwrap();
        until(&first, "coupled", is_coupled_active).await;

        let standby = controller(addresses[1]);
        let response = standby.http.exchange(get("/controller/api/order"), DEADLINE).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let problem = body(&response);
        assert_eq!(text(&problem, "code"), "ClusterNodeIsNotActive");
        assert_eq!(text(problem.get("arguments").unwrap(), "activeUri"), format!("http://{}", addresses[0]));
        let response = standby.http.exchange(get("/controller/api/cluster"), DEADLINE).await.unwrap();
        assert_eq!(text(&body(&response), "part"), "standby");

        // It knows the standby first.
        let authorization = Some(format!("Bearer {OPERATOR}").parse().unwrap());
        let controllers = vec![controller(addresses[1]), controller(addresses[0])];
        let mut session =
            Session::new(Target { controllers, nodes: Default::default(), authorization }, |_| {}).unwrap();
        let time = Duration::from_secs(40);
        let items = r#"[{"TYPE": "AddVersion", "versionId": "1"},
            {"TYPE": "AddOrChangeVersioned", "item": {"TYPE": "Workflow", "path": "W", "instructions": []}}]"#;
        let answered = session.ask(ask("/controller/api/item", items, "items"), time).await.unwrap();
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
        session.follow(EventId::BEFORE_FIRST);
        let mut events = Vec::new();
        while !events.iter().any(|event: &String| event.contains("VersionedItemAdded")) {
            events.push(timeout(DEADLINE, session.event()).await.unwrap().unwrap());
        }

        // The active dies, with its API.
        first.running.stop().await;
        first_api.stop().await;
        let order = r#"{"id": "O", "workflowPath": "W", "planId": [], "deleteWhenTerminated": true}"#;
        for _ in 0..2 {
            let answered = session.ask(ask("/controller/api/order", order, "order"), time).await.unwrap();
            assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text);
        }
        while !events.iter().any(|event| event.contains("OrderDeleted")) {
            events.push(timeout(DEADLINE, session.event()).await.unwrap().unwrap());
        }
        assert_eq!(events.iter().filter(|event| event.contains("\"OrderAdded\"")).count(), 1);
        assert_eq!(events.iter().filter(|event| event.contains("ClusterFailedOver")).count(), 1);
        second_api.stop().await;
        second.running.stop().await;
    });
}
