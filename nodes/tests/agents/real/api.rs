//! The HTTP APIs of the processes.

use super::Failure;
use baton_net::http::client::Client;
use baton_net::http::events::ReadLimits;
use baton_net::network::Network;
use baton_net::tls::Security;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request};
use serde_json::Value;
use std::time::Duration;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The secret of who may do everything.
pub(crate) const OPERATOR: &str = "a token of more than thirty-two characters";

/// The secret of who may only look.
pub(crate) const READER: &str = "another token of more than thirty-two characters";

/// The API of one process.
pub(crate) struct Api(Client);

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Api {
    /// At a port of this machine.
    pub(crate) fn at(port: u16) -> Result<Self, Failure> {
        Ok(Self(Client::new(Network::Sockets, Security::Plain, format!("127.0.0.1:{port}").parse()?)?))
    }

    /// Asks with a token, or none.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = self.0.exchange(request.body(Bytes::from(body.to_owned()))?, DEADLINE).await?;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        Ok(Answer { status: response.status().as_u16(), text })
    }

    /// What is there, as JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.ask(Method::GET, path, Some(READER), "").await?;
        if answer.status != 200 {
            return Err(format!("{path}: {answer:?}").into());
        }
        Ok(serde_json::from_str(&answer.text)?)
    }

    /// The lines of a stream that ends by itself.
    pub(crate) async fn lines(&self, path: &str) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        self.each_line(path, |line| {
            lines.push(line);
            true
        })
        .await?;
        Ok(lines)
    }

    /// Gets each line of a stream, until it ends or no more is wanted.
    pub(crate) async fn each_line(&self, path: &str, mut take: impl FnMut(String) -> bool) -> Result<(), Failure> {
        let request = Request::builder().uri(path).header(AUTHORIZATION, format!("Bearer {READER}"));
        let limits = ReadLimits { line: 1 << 20, silence: DEADLINE };
        let response = self.0.open(request.body(Bytes::new())?, DEADLINE, limits).await?;
        if response.status() != hyper::StatusCode::OK {
            return Err(format!("{path}: {}", response.status()).into());
        }
        let mut stream = response.into_body();
        while let Some(line) = stream.next().await? {
            if !line.is_empty() && !take(String::from_utf8_lossy(&line).into_owned()) {
                break;
            }
        }
        Ok(())
    }

    /// Does something.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Result<Value, Failure> {
        let answer = self.ask(Method::POST, path, Some(OPERATOR), body).await?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("{path}: {answer:?}").into());
        }
        Ok(serde_json::from_str(&answer.text)?)
    }
}
