//! HTTP between our own client and server, and with callers who do not behave; over real sockets and simulated ones.

use crate::world::{Log, NOW, authority, clock, node, secured, tls};
use baton_net::address::Address;
use baton_net::http::client::{Client, HttpError};
use baton_net::http::events::{self, EventBody, Form, ReadLimits, WriteError, Writer};
use baton_net::http::server::{Caller, Limits, Server};
use baton_net::http::{BoxError, RequestBody};
use baton_net::network::Network;
use baton_net::tls::{ClientCertificate, Security, SessionError, Tls, TlsPem};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use std::future::pending;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, oneshot};
use tokio::time::{sleep, timeout};

const DEADLINE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(100);
const READ: ReadLimits = ReadLimits { line: 1000, silence: DEADLINE };

/// Where two requests have to be at the same time.
static MEETING: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(2));

type Answer = Response<Either<Full<Bytes>, EventBody>>;

fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(text.into())));
    *response.status_mut() = status;
    response
}

/// The service that the tests call.
async fn answer(request: Request<RequestBody>) -> Result<Answer, BoxError> {
    let caller = request.extensions().get::<Caller>().cloned();
    let path = request.uri().path().to_owned();
    Ok(match (path.as_str(), caller) {
        ("/echo", _) => match request.into_body().collect().await {
            Ok(body) => text(StatusCode::OK, body.to_bytes()),
            Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
        },
        ("/caller", Some(caller)) => {
            let names = caller.identity.map(|identity| identity.names()).unwrap_or_default();
            text(StatusCode::OK, format!("{} {:?} {names:?}", caller.address, request.version()))
        }
        ("/never", _) => pending().await,
        ("/meet", _) => {
            MEETING.wait().await;
            text(StatusCode::OK, "met")
        }
        ("/slow", _) => {
            sleep(SHORT).await;
            text(StatusCode::OK, "at last")
        }
        ("/lines", _) => stream(Form::JsonLines, 3),
        ("/events", _) => stream(Form::ServerSent, 3),
        ("/long-line", _) => text(StatusCode::OK, vec![b'x'; 2000]),
        ("/for-ever", _) => stream(Form::JsonLines, u64::MAX),
        _ => text(StatusCode::NOT_FOUND, ""),
    })
}

/// So many events, with signs of life in between.
fn stream(form: Form, count: u64) -> Answer {
    let (mut writer, body) = events::stream(form);
    tokio::spawn(async move {
        for n in 0..count {
            writer.write(Some(n), &format!("{{\"n\":{n}}}")).await?;
            writer.sign_of_life().await?;
            if count > 1000 {
                sleep(Duration::from_millis(10)).await;
            }
        }
        Ok::<_, WriteError>(())
    });
    Response::new(Either::Right(body))
}

/// A server at a free port. Dropping the sender stops it; how many connections it cut off comes back.
struct Running {
    address: Address,
    stop: oneshot::Sender<()>,
    cut_off: tokio::task::JoinHandle<usize>,
}

async fn start(security: Security, clients: ClientCertificate, limits: Limits) -> Running {
    start_in(Network::Sockets, "127.0.0.1:0", security, clients, limits).await
}

async fn start_in(
    network: Network,
    at: &str,
    security: Security,
    clients: ClientCertificate,
    limits: Limits,
) -> Running {
    let server = Server::bind(network, &at.parse().unwrap(), security, clients, limits).await.unwrap();
    let address = server.local_address().unwrap().into();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let cut_off = tokio::spawn(server.serve(service_fn(answer), stopped, SHORT * 3));
    Running { address, stop, cut_off }
}

async fn start_plain(limits: Limits) -> Running {
    start(Security::Plain, ClientCertificate::Optional, limits).await
}

fn client(address: &Address, security: Security) -> Client {
    Client::new(Network::Sockets, security, address.clone()).unwrap()
}

fn get(path: &str) -> Request<Bytes> {
    Request::get(path).body(Bytes::new()).unwrap()
}

async fn get_text(client: &Client, path: &str) -> String {
    let response = client.exchange(get(path), DEADLINE).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    String::from_utf8(response.into_body().into()).unwrap()
}

#[tokio::test]
async fn exchanges_over_one_connection_of_http_1() {
    let server = start_plain(Limits::default()).await;
    let client = client(&server.address, Security::Plain);
    let first = get_text(&client, "/caller").await;
    assert!(first.ends_with(" HTTP/1.1 []"), "{first}");
    assert_eq!(get_text(&client, "/caller").await, first);
    let request = Request::post("/echo").body(Bytes::from_static(b"hello")).unwrap();
    assert_eq!(client.exchange(request, DEADLINE).await.unwrap().into_body(), "hello");
    let response = client.exchange(get("/nothing"), DEADLINE).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(get_text(&client, "/caller").await, first);
}

#[tokio::test]
async fn exchanges_over_one_connection_of_http_2() {
    let authority = authority();
    let server = start(secured(&authority, "server"), ClientCertificate::Required, Limits::default()).await;
    let client = client(&server.address, secured(&authority, "caller"));
    let first = get_text(&client, "/caller").await;
    assert!(first.ends_with(" HTTP/2.0 [\"caller\", \"localhost\"]"), "{first}");
    let (a, b, c) = tokio::join!(get_text(&client, "/meet"), get_text(&client, "/meet"), get_text(&client, "/caller"));
    assert_eq!((a.as_str(), b.as_str(), c), ("met", "met", first));
}

#[tokio::test]
async fn certificates_of_callers_are_required_or_not() {
    let authority = authority();
    let nameless = TlsPem { authorities: authority.certificate().into(), own: None };
    let nameless = Security::Tls(Tls::from_pem(nameless, clock()).unwrap());
    let open = start(secured(&authority, "server"), ClientCertificate::Optional, Limits::default()).await;
    let caller = get_text(&client(&open.address, nameless.clone()), "/caller").await;
    assert!(caller.ends_with(" HTTP/2.0 []"), "{caller}");
    let at = "127.0.0.1:0".parse().unwrap();
    let security = secured(&authority, "server");
    let closed = Server::bind(Network::Sockets, &at, security, ClientCertificate::Required, Limits::default()).await;
    let log = Log::default();
    let seen = log.clone();
    let closed = closed.unwrap().reporting(move |trouble| seen.add(trouble.to_string()));
    let address = closed.local_address().unwrap().into();
    tokio::spawn(closed.serve(service_fn(answer), pending(), SHORT));
    let error = client(&address, nameless).exchange(get("/caller"), DEADLINE).await.unwrap_err();
    assert!(matches!(error, HttpError::Security(SessionError::RefusedByPeer(_))), "{error}");
    log.wait_for(0, "the peer shows no certificate, but must").await;

    // A node is found by its name, wherever it is; others by their host.
    let elsewhere = TlsPem { ..authority.issue_pem(&node("server"), &[], NOW).unwrap() };
    let server = start(tls(elsewhere), ClientCertificate::Required, Limits::default()).await;
    let error = client(&server.address, secured(&authority, "caller")).exchange(get("/"), DEADLINE).await.unwrap_err();
    assert_eq!(error.to_string(), "the peer's certificate is for server, expected was one for 127.0.0.1");
    let address = server.address.clone();
    let security = secured(&authority, "caller");
    let client = Client::of_node(Network::Sockets, security, address, &node("server")).unwrap();
    get_text(&client, "/caller").await;
}

#[tokio::test]
async fn misconfigured_ports_are_recognised() {
    let authority = authority();
    let server = start_plain(Limits::default()).await;
    let error = client(&server.address, secured(&authority, "a")).exchange(get("/"), DEADLINE).await.unwrap_err();
    assert_eq!(error, HttpError::Security(SessionError::NotTls));
    let (links, _) = crate::world::start(secured(&authority, "listener"), 1, Default::default()).await;
    let error = client(&links, secured(&authority, "a")).exchange(get("/"), DEADLINE).await.unwrap_err();
    assert_eq!(error, HttpError::Security(SessionError::WrongPurpose));
}

#[tokio::test]
async fn bodies_are_limited() {
    let server = start_plain(Limits { body: 1000, body_time: SHORT * 5, ..Limits::default() }).await;
    let client = client(&server.address, Security::Plain);
    let post = async |length| {
        let request = Request::post("/echo").body(Bytes::from(vec![b'x'; length])).unwrap();
        client.exchange(request, DEADLINE).await.unwrap()
    };
    assert_eq!(post(1000).await.into_body().len(), 1000);
    assert_eq!(post(1001).await.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let raw = async |request: &[u8]| {
        let mut stream = TcpStream::connect((server.address.host(), server.address.port())).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8(answer).unwrap()
    };
    // Nobody knows beforehand how long it is.
    let chunk = format!("3E9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001));
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let answer = raw(format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}").as_bytes()).await;
    assert!(answer.contains("the body of the request is longer than 1000 bytes"), "{answer}");
    let answer = raw(format!("{head}Content-Length: 10\r\n\r\nxxx").as_bytes()).await;
    assert!(answer.contains("was not there after 500ms"), "{answer}");
}

#[tokio::test]
async fn slow_heads_long_heads_and_idle_connections_end() {
    let server = start_plain(Limits { head: 8192, head_time: SHORT, ..Limits::default() }).await;
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(20_000));
    for request in ["", "GET / HT", "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", &long] {
        let mut stream = TcpStream::connect((server.address.host(), server.address.port())).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Whether it is reset does not matter.
        let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap();
    }
    // Of any version, and after encryption.
    let authority = authority();
    let limits = Limits { idle: SHORT * 3, ..Limits::default() };
    let server = start(secured(&authority, "server"), ClientCertificate::Required, limits).await;
    let client = client(&server.address, secured(&authority, "caller"));
    let first = get_text(&client, "/caller").await;
    sleep(SHORT * 9).await;
    assert_ne!(get_text(&client, "/caller").await, first, "another connection");
}

#[tokio::test]
async fn connections_are_limited_and_none_stays_for_ever() {
    let server = start_plain(Limits { connections: 2, head_time: SHORT * 5, ..Limits::default() }).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect((server.address.host(), server.address.port())).await.unwrap());
    }
    sleep(SHORT / 4).await;
    let client = client(&server.address, Security::Plain);
    let error = client.exchange(get("/caller"), SHORT / 4).await.unwrap_err();
    assert!(matches!(error, HttpError::Silent { .. }), "{error}");
    get_text(&client, "/caller").await;
}

#[tokio::test]
async fn every_exchange_has_a_deadline() {
    let server = start_plain(Limits::default()).await;
    let client = client(&server.address, Security::Plain);
    let error = client.exchange(get("/never"), SHORT).await.unwrap_err();
    assert_eq!(error, HttpError::Silent { after: SHORT });
    let error = client.open(get("/never"), SHORT, READ).await.err().unwrap();
    assert_eq!(error, HttpError::Silent { after: SHORT });
    get_text(&client, "/caller").await;
}

#[tokio::test]
async fn a_server_that_is_gone_refuses_and_one_that_is_back_is_found() {
    let server = start_plain(Limits::default()).await;
    let client = client(&server.address, Security::Plain);
    get_text(&client, "/caller").await;
    drop(server.stop);
    assert_eq!(server.cut_off.await.unwrap(), 0);
    let error = client.exchange(get("/caller"), DEADLINE).await.unwrap_err();
    assert!(error.is_refused(), "{error}");
    let at = server.address.to_string();
    let _server =
        start_in(Network::Sockets, &at, Security::Plain, ClientCertificate::Optional, Limits::default()).await;
    get_text(&client, "/caller").await;
}

#[tokio::test]
async fn stopping_lets_requests_end_and_cuts_off_the_rest() {
    let authority = authority();
    for security in [Security::Plain, secured(&authority, "server")] {
        let calling = match security {
            Security::Plain => Security::Plain,
            Security::Tls(_) => secured(&authority, "caller"),
        };
        let server = start(security, ClientCertificate::Optional, Limits::default()).await;
        let clients = [(); 3].map(|()| client(&server.address, calling.clone()));
        let slow = async {
            assert_eq!(get_text(&clients[0], "/slow").await, "at last");
        };
        let stopping = async {
            // One is idle, one goes on for ever.
            get_text(&clients[1], "/caller").await;
            let mut lines = clients[2].open(get("/for-ever"), DEADLINE, READ).await.unwrap().into_body();
            lines.next().await.unwrap();
            drop(server.stop);
            while lines.next().await.is_ok_and(|line| line.is_some()) {}
        };
        let begun = Instant::now();
        tokio::join!(slow, stopping);
        assert_eq!(server.cut_off.await.unwrap(), 1);
        assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn events_come_as_lines_and_as_server_sent_events() {
    let authority = authority();
    for security in [Security::Plain, secured(&authority, "server")] {
        let calling = match security {
            Security::Plain => Security::Plain,
            Security::Tls(_) => secured(&authority, "caller"),
        };
        let server = start(security, ClientCertificate::Optional, Limits::default()).await;
        let client = client(&server.address, calling);
        let mut lines = client.open(get("/lines"), DEADLINE, READ).await.unwrap().into_body();
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(found, ["{\"n\":0}", "", "{\"n\":1}", "", "{\"n\":2}", ""]);
        let mut events = client.open(get("/events"), DEADLINE, READ).await.unwrap().into_body().server_sent();
        for n in 0..3 {
            let event = events.next().await.unwrap().unwrap();
            assert_eq!((event.id, event.data), (Some(n.to_string()), format!("{{\"n\":{n}}}")));
        }
        assert_eq!(events.next().await, Ok(None));
    }
}

#[tokio::test]
async fn readers_of_events_have_limits() {
    let server = start_plain(Limits::default()).await;
    let client = client(&server.address, Security::Plain);
    let mut lines = client.open(get("/long-line"), DEADLINE, READ).await.unwrap().into_body();
    assert_eq!(lines.next().await, Err(HttpError::TooLong { limit: 1000 }));
    let impatient = ReadLimits { silence: Duration::from_micros(1), ..READ };
    let mut lines = client.open(get("/for-ever"), DEADLINE, impatient).await.unwrap().into_body();
    while lines.next().await.is_ok() {}
    assert!(matches!(lines.next().await, Err(HttpError::Silent { .. }) | Ok(Some(_))));
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_its_reader_not_for_ever() {
    let (mut writer, body): (Writer, EventBody) = events::stream(Form::JsonLines);
    for _ in 0..events::BUFFERED {
        writer.write(None, "1").await.unwrap();
    }
    assert_eq!(writer.write(None, "1").await, Err(WriteError::TooSlow));
    drop(body);
    assert_eq!(writer.write(None, "1").await, Err(WriteError::Gone));
}

#[test]
fn the_same_in_a_simulation() {
    let authority = authority();
    let (serving, calling) = (secured(&authority, "server"), secured(&authority, "caller"));
    let trace = |seed| {
        let log = Log::default();
        let mut sim = turmoil::Builder::new().rng_seed(seed).build();
        let serving = serving.clone();
        sim.host("server", move || {
            let security = serving.clone();
            async move {
                let limits = Limits::default();
                let running =
                    start_in(Network::Simulated, "0.0.0.0:80", security, ClientCertificate::Required, limits).await;
                running.cut_off.await?;
                Ok(())
            }
        });
        let (security, seen) = (calling.clone(), log.clone());
        sim.client("caller", async move {
            let address = Address::new("server", 80);
            let client = Client::of_node(Network::Simulated, security, address, &node("server")).unwrap();
            for path in ["/caller", "/slow", "/caller"] {
                seen.add(get_text(&client, path).await);
            }
            let mut events = client.open(get("/events"), DEADLINE, READ).await.unwrap().into_body().server_sent();
            while let Some(event) = events.next().await.unwrap() {
                seen.add(event.data);
            }
            Ok(())
        });
        sim.run().unwrap();
        log.lines()
    };
    let first = trace(1);
    assert_eq!(first.len(), 6);
    assert_eq!(first, trace(1));
    assert_ne!(first, trace(2));
}
