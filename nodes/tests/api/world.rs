//! A controller with its journal on disk and its API on a socket of this machine.

use baton_machine::controller::ControllerConfig;
use baton_machine::replica::Locality;
use baton_machine::timing::Timing;
use baton_net::http::client::Client;
use baton_net::http::events::{Lines, ReadLimits};
use baton_net::network::Network;
use baton_net::tls::Security;
use baton_nodes::api::{self, ApiConfig, Serving, Status};
use baton_nodes::config::{Permission, SecretHash, User};
use baton_nodes::daemon::node::{self, ControllerNode};
use baton_nodes::daemon::stop::Control;
use baton_nodes::driver::{Journal, News, Operator, Surroundings};
use baton_storage::fjall::Options;
use baton_workflow::id::ControllerId;
use baton_workflow::json::{Node, parse};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
pub(crate) const READER: &str = "reader-secret";
pub(crate) const OPERATOR: &str = "operator-secret";

/// The users of all tests.
pub(crate) fn users() -> Vec<User> {
    let user = |name: &str, secret: &str, permissions: &[Permission]| User {
        name: name.to_owned(),
        secret: SecretHash::of(secret),
        permissions: permissions.to_vec(),
    };
    let (read, operate) = (Permission::Read, Permission::Operate);
    vec![user("reader", READER, &[read]), user("operator", OPERATOR, &[read, operate])]
}

pub(crate) fn api_config(urls: [Option<String>; 2]) -> ApiConfig {
    ApiConfig {
        network: Network::Sockets,
        listen: "127.0.0.1:0".parse().unwrap(),
        security: Security::Plain,
        users: users(),
        urls,
        control: Control::new().0,
        metrics: Arc::new(|status: &Status| format!("orders {}\n", status.orders)),
    }
}

/// See the module.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) controller: ControllerNode,
    _news: News,
    pub(crate) serving: Serving,
    pub(crate) http: Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::start(TempDir::new().unwrap()).await
    }

    async fn start(folder: TempDir) -> Self {
        let (operator, news) = Operator::new("controller");
        let config = ControllerConfig {
            controller_id: ControllerId::new("Controller"),
            node_id: "controller".to_owned(),
            locality: Locality::default(),
            timing: Timing::DEFAULT,
        };
        let opened = Journal::open(folder.path(), "controller", Options::default()).unwrap();
        let surroundings = Surroundings::real().unwrap();
        let controller = node::start_controller(config, None, None, opened, operator, surroundings).await.unwrap();
        let serving = api::serve(api_config([None, None]), controller.client.clone()).await.unwrap();
        let http = Client::new(Network::Sockets, Security::Plain, serving.address().into()).unwrap();
        Self { folder, controller, _news: news, serving, http }
    }

    /// Another process with the same journal.
    pub(crate) async fn restart(self) -> Self {
        let Self { folder, controller, serving, .. } = self;
        serving.stop().await;
        controller.running.stop().await;
        Self::start(folder).await
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.http.exchange(request, DEADLINE).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Node) {
        let response = self.send(get(path)).await;
        (response.status(), body(&response))
    }

    /// What must be there.
    pub(crate) async fn got(&self, path: &str) -> Node {
        let (status, node) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {node:?}");
        node
    }

    pub(crate) async fn post(&self, path: &str, json: &str) -> (StatusCode, Node) {
        let response = self.send(post(path, json)).await;
        (response.status(), body(&response))
    }

    pub(crate) async fn command(&self, json: &str) {
        let (status, node) = self.post("/controller/api/command", json).await;
        assert_eq!(status, StatusCode::OK, "{json}: {node:?}");
    }

    /// A workflow whose orders wait for an answer.
    pub(crate) async fn deploy(&self) {
        let workflow = r#"{"TYPE": "Workflow", "path": "W", "instructions": [{"TYPE": "Prompt", "question": "'?'"}]}"#;
        self.command(&format!(
            r#"{{"TYPE": "UpdateItems", "operations": [{{"TYPE": "AddVersion", "versionId": "1"}},
                {{"TYPE": "AddOrChangeVersioned", "item": {workflow}}},
                {{"TYPE": "AddOrChangeSimple", "item": {{"TYPE": "Lock", "path": "LOCK", "limit": 1}}}}]}}"#
        ))
        .await;
    }

    pub(crate) async fn open(&self, path: &str, accept: Option<&str>) -> Lines {
        let mut request = get(path);
        if let Some(accept) = accept {
            request.headers_mut().insert("accept", accept.parse().unwrap());
        }
        let limits = ReadLimits { line: 1 << 20, silence: DEADLINE };
        let response = self.http.open(request, DEADLINE, limits).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body()
    }

    pub(crate) async fn stop(self) {
        self.serving.stop().await;
        self.controller.running.stop().await;
    }
}

pub(crate) fn request(method: Method, path: &str, secret: &str) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(path);
    request.header(AUTHORIZATION, format!("Bearer {secret}")).body(Bytes::new()).unwrap()
}

pub(crate) fn get(path: &str) -> Request<Bytes> {
    request(Method::GET, path, READER)
}

pub(crate) fn post(path: &str, json: &str) -> Request<Bytes> {
    let mut request = request(Method::POST, path, OPERATOR);
    request.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
    *request.body_mut() = Bytes::from(json.to_owned());
    request
}

pub(crate) fn body(response: &Response<Bytes>) -> Node {
    parse(std::str::from_utf8(response.body()).unwrap()).unwrap()
}

/// A text in a document.
pub(crate) fn text<'n>(node: &'n Node, name: &str) -> &'n str {
    node.get(name).and_then(Node::as_str).unwrap_or_default()
}
