//! The kind `order-step`: what the engine answers for a single order.

use super::basics::rejected;
use super::input::{is_null, list, member, members, need, read, read_optional, text, time, value_of};
use super::order_state::attached_state;
use super::verdict::{Cases, Difference, Fault, Verdict};
use super::{Kind, Vector, form_of, known_members};
use baton_workflow::id::{AgentPath, ControllerId};
use baton_workflow::json::Node;
use baton_workflow::model::event::Event;
use baton_workflow::model::item::Item;
use baton_workflow::model::operation::ItemEvent;
use baton_workflow::model::order::Order;
use baton_workflow::model::workflow::Workflow;
use baton_workflow::problem::Checked;
use baton_workflow::schedule::TimeZone;
use baton_workflow::state::State;
use baton_workflow::step::{OrderStep, Resumption, Surroundings};
use baton_workflow::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const KINDS: &[Kind] = &[Kind {
    name: "order-step",
    members: &["time", "workflows", "orders", "cases"],
    case: &["order", "at", "side", "do", "events", "problem"],
    check: |vector, cases| check(vector, cases),
}];

fn check(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let now = time(vector.node, "time")?;
    let workflows: Vec<Arc<Workflow>> =
        list(vector.node, "workflows")?.iter().map(|node| value_of(node).map(Arc::new)).collect::<Result<_, _>>()?;
    let orders: Vec<Order> = list(vector.node, "orders")?.iter().map(value_of).collect::<Result<_, _>>()?;
    let (env, zone) = (BTreeMap::new(), TimeZone::utc());
    let around = Surroundings { now, env: &env, zone: &zone };
    vector.each_case(cases, |case| {
        let mut order: Order = match member(case, "order") {
            Some(order) => value_of(order)?,
            None => orders.first().cloned().ok_or_else(|| Fault::malformed("there is no order"))?,
        };
        order.attached_state = attached_state(text(case, "at")?)?;
        let mut state = side(text(case, "side")?)?;
        for workflow in &workflows {
            let event = ItemEvent::VersionedItemAdded { item: Item::Workflow(workflow.clone()) };
            state.apply(&Event::Item(event)).map_err(|problem| Fault::malformed(problem.message))?;
        }
        let id = order.id.clone();
        for order in orders.iter().filter(|other| other.id != id).cloned().chain([order]) {
            state.put_order(order);
        }
        let step = OrderStep::of(&state, around, &id).ok_or_else(|| Fault::malformed("the order has no workflow"))?;
        let events = act(step, need(case, "do")?)?.map(|events| {
            let own = events.iter().filter_map(|event| match event {
                Event::Order(of, event) if *of == id => Some(baton_workflow::json::Json::write(event)),
                _ => None,
            });
            own.collect::<Vec<Value>>()
        });
        match form_of(case, &["events", "problem"])? {
            "problem" => rejected(vector.matcher(), need(case, "problem")?, events.map(Value::list)),
            _ => {
                let events = events.map_err(|problem| {
                    let problem = baton_workflow::json::print(&baton_workflow::json::Json::write(&problem));
                    Difference::new("no problem", problem)
                })?;
                Ok(vector.matcher().events(list(case, "events")?, &events).map_err(|d| d.within("events"))?)
            }
        }
    })
}

fn side(name: &str) -> Result<State, Fault> {
    let controller_id = ControllerId::new("Controller");
    match name {
        "controller" => Ok(State::controller(controller_id)),
        "agent" => Ok(State::agent(AgentPath::new("AGENT"), controller_id)),
        _ => Err(Fault::malformed(format!("unknown side '{name}'"))),
    }
}

fn act(step: OrderStep<'_>, node: &Node) -> Result<Checked<Vec<Event>>, Fault> {
    let [(verb, _, argument)] = members(node) else {
        return Err(Fault::malformed("do is exactly one of next, cancel, suspend, resume, fail"));
    };
    Ok(match &**verb {
        "next" => Ok(step.next()),
        "fail" => Ok(step.failed_already()),
        "cancel" => step.cancel(&value_of(argument)?),
        "suspend" => step.suspend(&value_of(argument)?),
        "resume" => {
            known_members(argument, &["position", "historyOperations", "asSucceeded", "restartKilledJob"])?;
            step.resume(&Resumption {
                position: read_optional(argument, "position")?,
                history_operations: read_optional(argument, "historyOperations")?.unwrap_or_default(),
                as_succeeded: read_optional(argument, "asSucceeded")?.unwrap_or(false),
                restart_killed_job: match member(argument, "restartKilledJob") {
                    Some(node) if !is_null(node) => Some(read(argument, "restartKilledJob")?),
                    _ => None,
                },
            })
        }
        _ => return Err(Fault::malformed(format!("unknown do '{verb}'"))),
    })
}
