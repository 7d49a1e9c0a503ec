//! `GET /controller/api/event`: committed events after one, for as long as the reader stays; as NDJSON, or as server-sent events.
//!
//! Each event is a JSON object with its `eventId`; a reader that was cut off asks again after the last one it has seen, here or
//! at the other node, and misses nothing. When there is nothing to tell, a sign of life is sent. What ends a stream before its
//! time is told in its last line, an object with `TYPE` `Problem`: that the node is not active any more, that the events are
//! released, or that the reader does not follow.

use super::answer::{Answer, Refusal, number, problem};
use super::query::Query;
use super::{Api, Shown};
use crate::host::controller::Unanswered;
use baton_machine::codec::Stamped;
use baton_net::http::events::{Form, TAKEN, WriteError, Writer, stream};
use baton_protocol::event_id::EventId;
use baton_workflow::json;
use baton_workflow::model::event::{Event, NodeEvent};
use baton_workflow::problem::Problem;
use baton_workflow::value::Value;
use http_body_util::Either;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// After so much silence there is a sign of life, if the reader does not say otherwise.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// What a reader may want of that, in seconds.
const HEARTBEATS: std::ops::RangeInclusive<f64> = 0.1..=60.0;

/// Longest stream that can be asked for, in seconds.
const LONGEST: f64 = 1e9;

/// What a reader wants.
struct Wanted {
    after: EventId,
    /// Names of types and classes; all if there are none.
    names: BTreeSet<String>,
    limit: u64,
    heartbeat: Duration,
    until: Option<Instant>,
}

pub(super) async fn events(api: &Arc<Api>, headers: &HeaderMap, query: Query<'_>) -> Result<Answer, Refusal> {
    let number = "the id of an event";
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let after = query.value("after", number)?.or(resumed);
    let limit = query.value("limit", "a number")?.unwrap_or(u64::MAX);
    let heartbeat = seconds(&query, "heartbeat", *HEARTBEATS.start(), *HEARTBEATS.end())?.unwrap_or(HEARTBEAT);
    let until = seconds(&query, "timeout", 0.0, LONGEST)?.map(|time| Instant::now() + time);
    let names = query.text("return").into_iter().flat_map(|names| names.split(',')).map(str::to_owned).collect();
    let is_accepted = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.contains("text/event-stream"));
    let form = if headers.get_all(ACCEPT).iter().any(is_accepted) { Form::ServerSent } else { Form::JsonLines };
    let Shown { event_id: last, .. } = api.look(|_| ()).await?;
    let after = after.map_or(last, EventId);
    if after > last {
        let arguments = [("requestedEventId", after.to_string()), ("lastAddedEventId", last.to_string())];
        let message =
            format!("There is no event {after} yet, the last one is {last}. Is it the id of another journal?");
        return Err(Refusal::from(Problem::coded("UnknownEventId", arguments, message)));
    }
    let Ok(place) = Arc::clone(&api.streams).try_acquire_owned() else {
        return Err(Refusal::from(Problem::coded("Busy", [], "Too many read events. Try again later")));
    };
    let (writer, body) = stream(form);
    let api = Arc::clone(api);
    tokio::spawn(async move {
        let wanted = Wanted { after, names, limit, heartbeat, until };
        Reader { api, writer, wanted, silent_since: Instant::now() }.run().await;
        drop(place);
    });
    let mut answer = Response::new(Either::Right(body));
    *answer.status_mut() = StatusCode::OK;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

fn seconds(query: &Query<'_>, name: &str, least: f64, most: f64) -> Result<Option<Duration>, Refusal> {
    let what = format!("a number of seconds from {least} to {most}");
    let Some(seconds) = query.value::<f64>(name, &what)? else { return Ok(None) };
    if (least..=most).contains(&seconds) {
        Ok(Some(Duration::from_secs_f64(seconds)))
    } else {
        Err(Refusal::bad_request(format!("the parameter '{name}' is {seconds}; expected is {what}")))
    }
}

struct Reader {
    api: Arc<Api>,
    writer: Writer,
    wanted: Wanted,
    silent_since: Instant,
}

/// Why a stream ends.
enum End {
    /// As it was wanted.
    Over,
    /// The last word.
    Told(Problem),
    Unwritable(WriteError),
}

impl From<WriteError> for End {
    fn from(error: WriteError) -> Self {
        Self::Unwritable(error)
    }
}

impl Reader {
    async fn run(mut self) {
        let last_word = match self.follow().await {
            Err(End::Told(problem)) => problem,
            Err(End::Unwritable(error @ WriteError::TooSlow)) => Problem::coded("SlowReader", [], error.to_string()),
            Err(End::Over | End::Unwritable(WriteError::Gone)) | Ok(()) => return,
        };
        let last_word = self.api.complete(last_word);
        // Who does not read this either, is cut off without it.
        let _ = timeout(TAKEN, self.writer.write(None, &json::print(&problem(&last_word)))).await;
    }

    async fn follow(&mut self) -> Result<(), End> {
        // A proxy in between may wait for the first byte.
        self.writer.sign_of_life().await?;
        loop {
            for event in self.next().await? {
                self.wanted.after = event.event_id;
                if !self.is_wanted(&event.event) {
                    continue;
                }
                if self.wanted.limit == 0 {
                    return Err(End::Over);
                }
                self.wanted.limit -= 1;
                self.writer.write(Some(event.event_id.0), &json::print(&to_json(&event))).await?;
                self.silent_since = Instant::now();
            }
            if self.wanted.limit == 0 {
                return Err(End::Over);
            }
        }
    }

    /// The next events; meanwhile signs of life.
    async fn next(&mut self) -> Result<Vec<Stamped>, End> {
        let client = self.api.client.clone();
        let mut events = pin!(client.events(self.wanted.after));
        let mut stopping = self.api.stopping.clone();
        let mut stopping = pin!(async move {
            // Whoever could stop it is gone.
            let _ = stopping.wait_for(|is_stopping| *is_stopping).await.is_ok();
        });
        loop {
            let beat = self.silent_since + self.wanted.heartbeat;
            let until = self.wanted.until;
            tokio::select! {
                biased;
                () = &mut stopping => return Err(End::Told(Problem::coded("ShuttingDown", [], "This node is shutting down"))),
                events = &mut events => return events.map_err(|error| End::Told(last_word(error))),
                () = sleep_until(until.unwrap_or(beat)), if until.is_some() => return Err(End::Over),
                () = sleep_until(beat) => {
                    self.writer.sign_of_life().await?;
                    self.silent_since = Instant::now();
                }
            }
        }
    }

    fn is_wanted(&self, event: &Event) -> bool {
        let names = &self.wanted.names;
        names.is_empty() || names.contains(event.type_name()) || names.contains(class(event))
    }
}

fn last_word(error: Unanswered) -> Problem {
    match error {
        Unanswered::Gone => {
            Problem::coded("ClusterNodeIsNotActive", [], "This node of the cluster is not active any more")
        }
        Unanswered::NoEvents => Problem::coded("Busy", [], error.to_string()),
        Unanswered::Released { until } => {
            let message =
                format!("The events until {until} are released. Begin with what there is now, then read what follows");
            Problem::coded("EventSeqTorn", [("tornEventId", until.to_string())], message)
        }
    }
}

/// An event in JSON.
fn to_json(stamped: &Stamped) -> Value {
    let members = [("eventId", number(stamped.event_id.0)), ("timestamp", Value::from(stamped.timestamp.as_millis()))];
    match (Value::object(members), stamped.event.to_json()) {
        (Value::Object(members), Value::Object(event)) => Value::Object(members.overridden_by(&event)),
        (_, event) => event,
    }
}

/// Classes of events, as the reference has them.
fn class(event: &Event) -> &'static str {
    match event {
        Event::Order(..) => "OrderEvent",
        Event::Item(_) => "InventoryItemEvent",
        Event::Board(..) => "NoticeEvent",
        Event::Plan(..) => "PlanEvent",
        Event::PlanSchema(..) => "PlanSchemaEvent",
        Event::OrderWatch(..) => "OrderWatchEvent",
        Event::Agent(..) => "AgentRefStateEvent",
        Event::Subagent(..) => "SubagentItemStateEvent",
        Event::Node(
            NodeEvent::ClusterCoupled { .. }
            | NodeEvent::ClusterPassiveLost { .. }
            | NodeEvent::ClusterFailedOver { .. }
            | NodeEvent::ClusterSwitchedOver { .. },
        ) => "ClusterEvent",
        Event::Node(_) => "NodeEvent",
    }
}
