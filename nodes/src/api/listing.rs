//! What can be looked at: the overview, orders, items, workflows (agents: [`super::agents`]). Long lists come in pages.
//!
//! A look happens between two steps of the controller and must be short: it visits at most [`VISITED`] orders and clones at
//! most a page. JSON is made outside. Each answer has the last event that it shows, so that a reader can go on with the events
//! after it.

use super::answer::{Answer, Refusal, number, object, ok};
use super::query::Query;
use super::status::{Status, node_id};
use super::{Api, Shown};
use baton_machine::controller::Controller;
use baton_protocol::event_id::EventId;
use baton_workflow::id::{OrderId, WorkflowId, WorkflowPath};
use baton_workflow::json::{self, Json as _};
use baton_workflow::model::item::Item;
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::order::Order;
use baton_workflow::problem::Problem;
use baton_workflow::value::{Name, Value};
use std::collections::BTreeSet;

/// Entries of a page, if nothing else is asked for.
pub(super) const PAGE: usize = 100;

/// Entries of a page at most.
pub(super) const LONGEST_PAGE: usize = 1_000;

/// A page ends when it has so many bytes of JSON.
const PAGE_BYTES: usize = 8 << 20;

/// Orders which are visited in one look at most.
const VISITED: usize = 10_000;

/// `GET /controller/api`
pub(super) async fn overview(api: &Api) -> Result<Answer, Refusal> {
    let status = api.status().await?;
    let Status { controller_id, started_at, orders, items, agents, coupled_agents, .. } = &status;
    let by_state = status.orders_by_state.iter().map(|(state, count)| (*state, number(*count as u64)));
    let mut members = vec![
        ("id", Value::from(controller_id.as_str())),
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("startedAt", Value::from(*started_at)),
        ("isActive", Value::Boolean(status.standing.is_active())),
        ("isReady", Value::Boolean(status.is_ready)),
        ("orders", object([("count", number(*orders as u64)), ("byState", Value::object(by_state))])),
        ("items", object([("count", number(*items as u64))])),
        ("agents", object([("count", number(*agents as u64)), ("coupled", number(*coupled_agents as u64))])),
    ];
    if let Some(pair) = status.standing.pair {
        members.push(("nodeId", Value::from(node_id(pair.seat))));
    }
    Ok(ok(&value(members)))
}

/// `GET /controller/api/order`
pub(super) async fn orders(api: &Api, query: Query<'_>) -> Result<Answer, Refusal> {
    let limit = query.limit(PAGE, LONGEST_PAGE)?;
    let states: BTreeSet<String> =
        query.text("state").into_iter().flat_map(|states| states.split(',')).map(str::to_owned).collect();
    let path = query.text("workflowPath").map(WorkflowPath::checked).transpose()?;
    let mut after = query.text("after").map(OrderId::checked).transpose()?;
    let mut page = Page::new("orders");
    loop {
        let (states, path, from, most) = (states.clone(), path.clone(), after.take(), limit - page.len());
        let Shown { seen, event_id } =
            api.look(move |controller| visit(controller, from.as_ref(), &states, path.as_ref(), most)).await?;
        page.event_id.get_or_insert(event_id);
        let Visited { orders, next } = seen;
        for order in orders {
            if page.is_full() {
                page.next = page.last.clone();
                return Ok(page.into_answer());
            }
            page.push(order.id.to_string(), order.write());
        }
        match next {
            None => return Ok(page.into_answer()),
            Some(next) if page.len() >= limit => {
                page.next = Some(next.to_string());
                return Ok(page.into_answer());
            }
            next => after = next,
        }
    }
}

/// What was found in one look.
struct Visited {
    orders: Vec<Order>,
    /// The last order that was visited; none if it was the last of all.
    next: Option<OrderId>,
}

fn visit(
    controller: &Controller,
    after: Option<&OrderId>,
    states: &BTreeSet<String>,
    path: Option<&WorkflowPath>,
    most: usize,
) -> Visited {
    let state = controller.state();
    let mut found = Visited { orders: Vec::new(), next: None };
    for (count, id) in state.order_ids_after(after).enumerate() {
        if count >= VISITED || found.orders.len() >= most {
            return found;
        }
        found.next = Some(id.clone());
        let Some(order) = state.order(id) else { continue };
        let is_wanted = (states.is_empty() || states.contains(order.state.type_name()))
            && path.is_none_or(|path| order.workflow_position.workflow_id.path == *path);
        if is_wanted {
            found.orders.push(order.clone());
        }
    }
    found.next = None;
    found
}

/// `GET /controller/api/order/ID`
pub(super) async fn order(api: &Api, id: &str) -> Result<Answer, Refusal> {
    let id = OrderId::checked(id)?;
    let wanted = id.clone();
    let Shown { seen, event_id } = api.look(move |controller| controller.state().order(&wanted).cloned()).await?;
    match seen {
        Some(order) => Ok(ok(&stamped(event_id, order.write()))),
        None => {
            let arguments = [("orderId", id.to_string())];
            Err(Refusal::not_found(Problem::coded("UnknownOrder", arguments, format!("Unknown order: '{id}'"))))
        }
    }
}

/// `GET /controller/api/item`
pub(super) async fn items(api: &Api, query: Query<'_>) -> Result<Answer, Refusal> {
    let limit = query.limit(PAGE, LONGEST_PAGE)?;
    let kind = query.text("type").map(str::to_owned);
    let after = query.text("after").map(ItemKey::parse).transpose()?;
    let look = move |controller: &Controller| {
        let items = controller.state().items();
        let current = items.current_versions().map(|id| ItemKey::Workflow(id.path.clone()));
        let wanted = |key: &ItemKey| {
            kind.as_deref().is_none_or(|kind| key.kind() == kind)
                && after.as_ref().is_none_or(|after| rank(key) > rank(after))
        };
        let keys = items.simple().map(Item::key).chain(current).filter(wanted);
        keys.take(limit + 1).filter_map(|key| Some((key.to_string(), items.get(&key)?))).collect::<Vec<_>>()
    };
    let Shown { seen, event_id } = api.look(look).await?;
    let mut page = Page::new("items");
    page.event_id = Some(event_id);
    page.fill(limit, seen.into_iter().map(|(key, item)| (key, item.write())));
    Ok(page.into_answer())
}

/// Workflows come after everything else.
fn rank(key: &ItemKey) -> (bool, &ItemKey) {
    (matches!(key, ItemKey::Workflow(_)), key)
}

/// `GET /controller/api/item/KEY`
pub(super) async fn item(api: &Api, key: &str) -> Result<Answer, Refusal> {
    let key = ItemKey::parse(key)?;
    let wanted = key.clone();
    let Shown { seen, event_id } = api.look(move |controller| controller.state().items().get(&wanted)).await?;
    match seen {
        Some(item) => Ok(ok(&stamped(event_id, item.write()))),
        None => Err(Refusal::not_found(baton_workflow::state::items::unknown_item(&key))),
    }
}

/// `GET /controller/api/workflow`: what runs in each.
pub(super) async fn workflows(api: &Api, query: Query<'_>) -> Result<Answer, Refusal> {
    struct Found {
        current: WorkflowId,
        versions: Vec<(WorkflowId, usize)>,
        is_suspended: bool,
    }
    let limit = query.limit(PAGE, LONGEST_PAGE)?;
    let after = query.text("after").map(WorkflowPath::checked).transpose()?;
    let look = move |controller: &Controller| {
        let state = controller.state();
        let current = state.items().current_versions().filter(|id| after.as_ref().is_none_or(|after| id.path > *after));
        let mut versions: std::collections::BTreeMap<&WorkflowPath, Vec<(WorkflowId, usize)>> = Default::default();
        let current: Vec<&WorkflowId> = current.take(limit + 1).collect();
        if let (Some(first), Some(last)) = (current.first(), current.last()) {
            let flows = state.items().flows().map(|flow| flow.id());
            for id in flows.filter(|id| id.path >= first.path && id.path <= last.path) {
                versions.entry(&id.path).or_default().push((id.clone(), state.order_count_of(id)));
            }
        }
        let found = current.into_iter().map(|id| Found {
            current: id.clone(),
            versions: versions.remove(&id.path).unwrap_or_default(),
            is_suspended: state.is_workflow_suspended(&id.path),
        });
        found.collect::<Vec<_>>()
    };
    let Shown { seen, event_id } = api.look(look).await?;
    let mut page = Page::new("workflows");
    page.event_id = Some(event_id);
    let entries = seen.into_iter().map(|found| {
        let orders: usize = found.versions.iter().map(|(_, orders)| orders).sum();
        let versions = found
            .versions
            .iter()
            .map(|(id, orders)| object([("versionId", id.version_id.write()), ("orders", number(*orders as u64))]));
        let entry = object([
            ("path", found.current.path.write()),
            ("versionId", found.current.version_id.write()),
            ("isSuspended", Value::Boolean(found.is_suspended)),
            ("orders", number(orders as u64)),
            ("versions", Value::list(versions)),
        ]);
        (found.current.path.to_string(), entry)
    });
    page.fill(limit, entries);
    Ok(page.into_answer())
}

/// A part of a long list.
pub(super) struct Page {
    name: &'static str,
    pub(super) event_id: Option<EventId>,
    entries: Vec<Value>,
    bytes: usize,
    /// The key of the last entry.
    last: Option<String>,
    /// After what the next page begins; none if there is no more.
    next: Option<String>,
}

impl Page {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, event_id: None, entries: Vec::new(), bytes: 0, last: None, next: None }
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn is_full(&self) -> bool {
        self.bytes >= PAGE_BYTES
    }

    fn push(&mut self, key: String, entry: Value) {
        self.bytes += json::print(&entry).len();
        self.last = Some(key);
        self.entries.push(entry);
    }

    /// Takes entries as long as there is room.
    pub(super) fn fill(&mut self, limit: usize, entries: impl IntoIterator<Item = (String, Value)>) {
        for (key, entry) in entries {
            if self.len() >= limit || self.is_full() {
                self.next = self.last.clone();
                return;
            }
            self.push(key, entry);
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        let mut members =
            vec![("eventId", number(self.event_id.unwrap_or_default().0)), (self.name, Value::list(self.entries))];
        members.extend(self.next.map(|next| ("next", Value::from(next.as_str()))));
        ok(&value(members))
    }
}

/// With the last event that is shown.
pub(super) fn stamped(event_id: EventId, shown: Value) -> Value {
    let mut members = vec![(Name::from("eventId"), number(event_id.0))];
    if let Value::Object(fields) = &shown {
        members.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Value::Object(members.into_iter().collect())
}

pub(super) fn value(members: Vec<(&str, Value)>) -> Value {
    Value::object(members)
}
