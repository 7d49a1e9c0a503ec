//! Callers who are known by their certificates.

use super::world::{DEADLINE, World, api_config};
use baton_net::certificate::{Authority, KeyKind};
use baton_net::http::client::Client;
use baton_net::name::{ClusterId, NodeId};
use baton_net::network::Network;
use baton_net::tls::{Security, Tls, WallClock};
use baton_nodes::api::{self, ApiConfig};
use baton_nodes::driver::wall_clock;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode};

fn authority() -> Authority {
    Authority::new(&ClusterId::new("test").unwrap(), KeyKind::Ed25519, wall_clock()).unwrap()
}

fn tls(authority: &Authority, name: &str) -> Security {
    let hosts = ["127.0.0.1".to_owned()];
    let pem = authority.issue_pem(&NodeId::new(name).unwrap(), &hosts, wall_clock()).unwrap();
    Security::Tls(Tls::from_pem(pem, WallClock::new(wall_clock)).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_with_the_name_of_a_user_stands_for_the_secret() {
    let world = World::new().await;
    let ours = authority();
    let config = ApiConfig { security: tls(&ours, "controller"), ..api_config([None, None]) };
    let serving = api::serve(config, world.controller.client.clone()).await.unwrap();
    let client = |security| Client::new(Network::Sockets, security, serving.address().into()).unwrap();
    let request = |method: Method, token: Option<&str>| {
        let mut request = Request::builder().method(&method).uri(match method {
            Method::GET => "/controller/api",
            _ => "/controller/api/command",
        });
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.header(CONTENT_TYPE, "application/json");
        request.body(Bytes::from_static(b"{\"TYPE\":\"NoOperation\"}")).unwrap()
    };
    for (name, method, token, expected) in [
        ("operator", Method::GET, None, StatusCode::OK),
        ("operator", Method::POST, None, StatusCode::OK),
        ("reader", Method::GET, None, StatusCode::OK),
        ("reader", Method::POST, None, StatusCode::FORBIDDEN),
        ("agent-1", Method::GET, None, StatusCode::UNAUTHORIZED),
        // What is said counts more than what is shown.
        ("operator", Method::GET, Some("guess"), StatusCode::UNAUTHORIZED),
    ] {
        let caller = client(tls(&ours, name));
        let answer = caller.exchange(request(method.clone(), token), DEADLINE).await.unwrap();
        assert_eq!(answer.status(), expected, "{name} {method} {token:?}: {answer:?}");
    }
    // Issued by somebody else.
    let stranger = client(tls(&authority(), "operator"));
    assert!(stranger.exchange(request(Method::GET, None), DEADLINE).await.is_err());
    serving.stop().await;
    world.stop().await;
}
