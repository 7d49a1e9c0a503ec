//! What changes something: commands, items, orders, and orders about the pair.
//!
//! A request may have an `Idempotency-Key`: repeated with the same key, here or at the other node of the pair, it has the same
//! answer, and nothing is done again.

use super::Api;
use super::answer::{Answer, EVENT_ID, JSON, Refusal, json, ok};
use baton_machine::host::Reply;
use baton_net::http::{RequestBody, RequestBodyError};
use baton_protocol::event_id::EventId;
use baton_protocol::pair::Order;
use baton_workflow::id::{CommandId, OrderId};
use baton_workflow::json::{Json, NodeKind, from_node, from_text, parse};
use baton_workflow::model::command::{Command, Response};
use baton_workflow::model::operation::ItemOperation;
use baton_workflow::model::order::FreshOrder;
use baton_workflow::problem::{Checked, Problem};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::Body as _;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Semaphore;

/// The header with the id of a command.
pub const COMMAND_ID: HeaderName = HeaderName::from_static("idempotency-key");

/// Longest body of a request, in bytes.
pub const LONGEST_BODY: usize = 32 << 20;

/// A body that is longer has to wait for one of few places, and is read by another thread.
const LONG_BODY: usize = 1 << 20;

/// The forms of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    /// A JSON value in each line.
    JsonLines,
}

/// What a command document says.
enum Asked {
    Command(Box<Command>),
    Order(Order),
    Release(EventId),
    Nothing,
}

/// `POST /controller/api/command`
pub(super) async fn command(api: &Api, headers: &HeaderMap, body: RequestBody) -> Result<Answer, Refusal> {
    form(headers, false)?;
    let id = command_id(headers)?;
    match read(&api.long_bodies, body, |text| asked(&text)).await? {
        Asked::Command(command) => execute(api, id, *command).await.map(|(answer, _)| answer),
        Asked::Order(order) => cluster(api, order).await,
        Asked::Release(until) => {
            api.client.release(until).await?;
            Ok(ok(&Response::Accepted.write()))
        }
        Asked::Nothing => Ok(ok(&Response::Accepted.write())),
    }
}

/// Some commands of the reference are none of the engine.
fn asked(text: &str) -> Checked<Asked> {
    let node = parse(text)?;
    match node.get("TYPE").and_then(|name| name.as_str()) {
        Some("ClusterSwitchOver") if node.get("agentPath").is_none() => Ok(Asked::Order(Order::SwitchOver)),
        Some("NoOperation") => Ok(Asked::Nothing),
        Some("ReleaseEvents") => {
            let until = node.get("untilEventId").map(from_node::<i64>).transpose()?;
            let until = until.and_then(|until| u64::try_from(until).ok());
            let missing = || {
                Problem::new("ReleaseEvents needs untilEventId, the id of the last event that is not needed any more")
            };
            until.map(|until| Asked::Release(EventId(until))).ok_or_else(missing)
        }
        _ => from_node(&node).map(|command| Asked::Command(Box::new(command))),
    }
}

/// `POST /controller/api/item`
pub(super) async fn items(api: &Api, headers: &HeaderMap, body: RequestBody) -> Result<Answer, Refusal> {
    let form = form(headers, true)?;
    let id = command_id(headers)?;
    let operations = read(&api.long_bodies, body, move |text| list::<ItemOperation>(&text, form, "operations")).await?;
    execute(api, id, Command::UpdateItems { operations }).await.map(|(answer, _)| answer)
}

/// `POST /controller/api/order`: one, or several.
pub(super) async fn orders(api: &Api, headers: &HeaderMap, body: RequestBody) -> Result<Answer, Refusal> {
    let form = form(headers, true)?;
    let id = command_id(headers)?;
    let command = read(&api.long_bodies, body, move |text| {
        if form == Form::JsonLines {
            return list::<FreshOrder>(&text, form, "").map(|orders| Command::AddOrders { orders });
        }
        let node = parse(&text)?;
        match (&node.kind, node.get("orders")) {
            (NodeKind::Object(_), None) => from_node(&node).map(|order| Command::AddOrder { order }),
            (_, orders) => from_node(orders.unwrap_or(&node)).map(|orders| Command::AddOrders { orders }),
        }
    });
    let (mut answer, response) = execute(api, id, command.await?).await?;
    let is_duplicate = matches!(response, Response::AddOrder { ignored_because_duplicate: true });
    if is_duplicate {
        let message = "There is an order with this id already; nothing was added";
        return Err(Refusal::new(StatusCode::CONFLICT, "DuplicateOrder", message));
    }
    *answer.status_mut() = StatusCode::CREATED;
    Ok(answer)
}

/// `POST /controller/api/order/DeleteOrdersWhenTerminated`
pub(super) async fn delete_orders(api: &Api, headers: &HeaderMap, body: RequestBody) -> Result<Answer, Refusal> {
    let form = form(headers, true)?;
    let id = command_id(headers)?;
    let order_ids = read(&api.long_bodies, body, move |text| list::<OrderId>(&text, form, "orderIds")).await?;
    execute(api, id, Command::DeleteOrdersWhenTerminated { order_ids }).await.map(|(answer, _)| answer)
}

/// `POST /controller/api/cluster/…`
pub(super) async fn cluster_command(
    api: &Api,
    order: Order,
    headers: &HeaderMap,
    body: RequestBody,
) -> Result<Answer, Refusal> {
    no_body(&api.long_bodies, headers, body).await?;
    cluster(api, order).await
}

/// The body is empty or an object without members; that it is announced as JSON keeps out what web pages of others can make a
/// browser send.
pub(super) async fn no_body(places: &Semaphore, headers: &HeaderMap, body: RequestBody) -> Result<(), Refusal> {
    form(headers, false)?;
    let is_empty = |text: String| match text.trim() {
        "" => Ok(true),
        text => parse(text).map(|node| matches!(&node.kind, NodeKind::Object(members) if members.is_empty())),
    };
    if !read(places, body, is_empty).await? {
        return Err(Refusal::bad_request("the body has to be empty, or {}"));
    }
    Ok(())
}

async fn cluster(api: &Api, order: Order) -> Result<Answer, Refusal> {
    let Reply { answer, .. } = api.client.order(order).await?;
    Ok(ok(&answer?.write()))
}

async fn execute(api: &Api, id: Option<CommandId>, command: Command) -> Result<(Answer, Response), Refusal> {
    let Reply { answer, event_id } = api.client.command_with_id(id, command).await?;
    let response = answer?;
    let mut answer = json(StatusCode::OK, &response.write());
    answer.headers_mut().insert(EVENT_ID, HeaderValue::from(event_id.0));
    Ok((answer, response))
}

/// A list, alone or as a member of an object, or in lines.
fn list<T: Json>(text: &str, form: Form, member: &str) -> Checked<Vec<T>> {
    match form {
        // The lines stay where they are, for the places in problems.
        Form::JsonLines => {
            let lines: Vec<&str> = text.trim_end().lines().collect();
            let mut joined = String::with_capacity(text.len() + lines.len() + 2);
            joined.push('[');
            let mut is_first = true;
            for line in lines {
                if !line.trim().is_empty() && !std::mem::take(&mut is_first) {
                    joined.push(',');
                }
                joined.push_str(line);
                joined.push('\n');
            }
            joined.push(']');
            from_text(&joined)
        }
        Form::Json => {
            let node = parse(text)?;
            from_node(node.get(member).unwrap_or(&node))
        }
    }
}

fn command_id(headers: &HeaderMap) -> Result<Option<CommandId>, Refusal> {
    let Some(value) = headers.get(COMMAND_ID) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    // The standard has it in quotes.
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    Ok(Some(CommandId::checked(text)?))
}

pub(super) fn form(headers: &HeaderMap, may_be_lines: bool) -> Result<Form, Refusal> {
    let value = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = value.and_then(|value| value.split(';').next()).map(|value| value.trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some(JSON) => Ok(Form::Json),
        Some("application/x-ndjson") if may_be_lines => Ok(Form::JsonLines),
        found => {
            let expected = if may_be_lines { "application/json or application/x-ndjson" } else { "application/json" };
            let found = found.unwrap_or("nothing");
            let message = format!("the header Content-Type says {found:?}; expected is {expected}");
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message))
        }
    }
}

/// Reads a body and makes something of its text. Long ones need one of the places.
pub(super) async fn read<T: Send + 'static>(
    places: &Semaphore,
    body: RequestBody,
    make: impl FnOnce(String) -> Checked<T> + Send + 'static,
) -> Result<T, Refusal> {
    let length = body.size_hint();
    if length.lower() > LONGEST_BODY as u64 {
        return Err(too_long());
    }
    let is_long = length.upper().is_none_or(|upper| upper > LONG_BODY as u64);
    // Never closed.
    let _place = if is_long { places.acquire().await.ok() } else { None };
    let bytes = Limited::new(body, LONGEST_BODY).collect().await.map_err(unreadable)?.to_bytes();
    let Ok(text) = String::from_utf8(bytes.into()) else {
        return Err(Refusal::bad_request("the body is no text in UTF-8"));
    };
    if !is_long {
        return Ok(make(text)?);
    }
    match tokio::task::spawn_blocking(move || make(text)).await {
        Ok(made) => Ok(made?),
        Err(error) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", error.to_string())),
    }
}

fn too_long() -> Refusal {
    let message = format!("the body of the request is longer than {LONGEST_BODY} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLong", message)
}

fn unreadable(error: baton_net::http::BoxError) -> Refusal {
    if error.is::<LengthLimitError>() {
        return too_long();
    }
    match error.downcast_ref::<RequestBodyError>() {
        Some(RequestBodyError::TooLong { .. }) => too_long(),
        Some(error @ RequestBodyError::TooSlow { .. }) => {
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "BodyTooSlow", error.to_string())
        }
        _ => Refusal::bad_request(format!("the body of the request cannot be read: {error}")),
    }
}
