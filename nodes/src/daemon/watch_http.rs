//! What a cluster watch answers by HTTP: whether it is healthy, to anybody; and its metrics, to who shows a certificate of the
//! cluster's authority. Without TLS, which is on this machine only, no certificate is needed.

use baton_net::accept::BindError;
use baton_net::address::Address;
use baton_net::http::RequestBody;
use baton_net::http::server::{Caller, Limits, Server};
use baton_net::network::Network;
use baton_net::tls::{ClientCertificate, Security};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

/// So many connections are open at a time.
const CONNECTIONS: usize = 100;

/// Makes the text of `/metrics`.
pub(super) type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// Answers from now on, as long as the process lives.
///
/// # Errors
/// When it cannot listen.
pub(super) async fn serve(listen: &Address, security: &Security, metrics: MetricsText) -> Result<(), BindError> {
    let is_secured = matches!(security, Security::Tls(_));
    let limits = Limits { connections: CONNECTIONS, body: 0, ..Limits::default() };
    let clients = ClientCertificate::Optional;
    let server = Server::bind(Network::Sockets, listen, security.clone(), clients, limits).await?;
    let service = service_fn(move |request: Request<RequestBody>| {
        let metrics = Arc::clone(&metrics);
        async move { Ok::<_, Infallible>(answer(&request, is_secured, &*metrics)) }
    });
    tokio::spawn(server.serve(service, pending(), Duration::ZERO));
    Ok(())
}

fn answer(request: &Request<RequestBody>, is_secured: bool, metrics: &dyn Fn() -> String) -> Response<Full<Bytes>> {
    let caller = request.extensions().get::<Caller>();
    let is_known = !is_secured || caller.is_some_and(|caller| caller.identity.is_some());
    let (status, kind, text) = match request.uri().path() {
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET and HEAD are understood here\n".to_owned())
        }
        // A watch that answers is ready.
        "/healthz" | "/readyz" => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
        "/metrics" if is_known => (StatusCode::OK, "text/plain; version=0.0.4", metrics()),
        "/metrics" => (
            StatusCode::UNAUTHORIZED,
            "text/plain",
            "a certificate of the cluster's authority has to be shown for this\n".to_owned(),
        ),
        _ => (StatusCode::NOT_FOUND, "text/plain", "here are /healthz, /readyz and /metrics\n".to_owned()),
    };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    answer
}
