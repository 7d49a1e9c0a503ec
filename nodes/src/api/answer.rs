//! Answers: JSON, or a problem that says what is wrong, where and why.

use baton_net::http::events::EventBody;
use baton_workflow::json::{self, Json};
use baton_workflow::problem::Problem;
use baton_workflow::value::{Name, Value};
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

/// What a request is answered.
pub(super) type Answer = Response<Either<Full<Bytes>, EventBody>>;

/// The `Content-Type` of JSON.
pub(super) const JSON: &str = "application/json";

/// The header of an answer to a command: who reads the events until this one sees what the command did.
pub const EVENT_ID: HeaderName = HeaderName::from_static("x-baton-event-id");

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) problem: Box<Problem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::with(status, Problem::coded(code, [], message))
    }

    pub(super) fn with(status: StatusCode, problem: Problem) -> Self {
        Self { status, problem: Box::new(problem), headers: Vec::new() }
    }

    /// With a header in the answer.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn not_found(problem: Problem) -> Self {
        Self::with(StatusCode::NOT_FOUND, problem)
    }

    pub(super) fn into_answer(self) -> Answer {
        let mut answer = json(self.status, &problem(&self.problem));
        answer.headers_mut().extend(self.headers);
        answer
    }
}

impl From<Problem> for Refusal {
    /// What the engine refuses.
    fn from(problem: Problem) -> Self {
        let status = match &*problem.code {
            "ClusterNodeIsNotActive" | "Busy" | "OutcomeUnknown" => StatusCode::SERVICE_UNAVAILABLE,
            "DuplicateCommandId" => StatusCode::CONFLICT,
            "CommandTooLong" => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        let refusal = Self::with(status, problem);
        if status == StatusCode::SERVICE_UNAVAILABLE { refusal.header(RETRY_AFTER, "1") } else { refusal }
    }
}

/// A problem in JSON, with its `TYPE`.
pub(super) fn problem(problem: &Problem) -> Value {
    let mut members = vec![(Name::from("TYPE"), Value::from("Problem"))];
    if let Value::Object(fields) = problem.clone().recorded().write() {
        members.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Value::Object(members.into_iter().collect())
}

pub(super) fn ok(value: &Value) -> Answer {
    json(StatusCode::OK, value)
}

pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    let mut text = json::print(value);
    text.push('\n');
    text_of(status, JSON, text)
}

pub(super) fn text_of(status: StatusCode, content_type: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(text))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Members of an object, in this order.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::object(members)
}

/// A number as JSON has it.
pub(super) fn number(number: u64) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}
