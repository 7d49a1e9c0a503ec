//! The kinds `order-transitions`, `order-attachment` and `order-history`: how events change an order.

use super::basics::rejected;
use super::input::{elements, flag, is_null, list, member, need, read, read_optional, text, value_of};
use super::verdict::{Cases, Difference, Fault, Verdict, equal};
use super::{Kind, Vector, form_of, known_members};
use baton_workflow::id::{AgentPath, OrderId, VersionId, WorkflowId, WorkflowPath};
use baton_workflow::json::{Json as _, Node};
use baton_workflow::model::history::History;
use baton_workflow::model::order::{
    AttachedState, CancellationMode, Kill, Order, OrderMark, OrderState, SuspensionMode,
};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::position::{Position, WorkflowPosition};

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "order-transitions", members: &["order", "events", "rules"], case: &[], check: transitions },
    Kind { name: "order-attachment", members: &["order", "cases"], case: &["from", "event", "to"], check: attachment },
    Kind {
        name: "order-history",
        members: &["historicOutcomes", "cases"],
        case: &["position", "historyOperations", "result", "problem"],
        check: history,
    },
];

const ATTACHMENTS: [&str; 4] = ["Detached", "Attaching", "Attached", "Detaching"];

/// The attachment of this name, at agent AGENT.
pub(super) fn attached_state(name: &str) -> Result<Option<AttachedState>, Fault> {
    let agent_path = AgentPath::new("AGENT");
    match name {
        "Detached" => Ok(None),
        "Attaching" => Ok(Some(AttachedState::Attaching { agent_path })),
        "Attached" => Ok(Some(AttachedState::Attached { agent_path })),
        "Detaching" => Ok(Some(AttachedState::Detaching { agent_path })),
        _ => Err(Fault::malformed(format!("unknown attachment '{name}'"))),
    }
}

/// What a rule depends on, besides the event.
#[derive(Clone, Debug)]
struct Circumstances {
    attachment: &'static str,
    is_suspended: bool,
    is_child: bool,
    mark: Option<OrderMark>,
}

fn all_circumstances() -> Vec<Circumstances> {
    let suspending = |kill| OrderMark::Suspending { mode: SuspensionMode { reset_state: false, kill } };
    let marks = [
        None,
        Some(OrderMark::Cancelling { mode: CancellationMode::DEFAULT }),
        Some(suspending(None)),
        Some(suspending(Some(Kill::default()))),
        Some(OrderMark::Resuming {
            position: None,
            history_operations: Vec::new(),
            as_succeeded: false,
            restart_killed_job: false,
        }),
    ];
    let mut all = Vec::new();
    for attachment in ATTACHMENTS {
        for is_suspended in [false, true] {
            for is_child in [false, true] {
                for mark in marks.clone() {
                    all.push(Circumstances { attachment, is_suspended, is_child, mark });
                }
            }
        }
    }
    all
}

impl Circumstances {
    fn is_suspending_with_kill(&self) -> bool {
        matches!(&self.mark, Some(OrderMark::Suspending { mode }) if mode.kill.is_some())
    }

    fn order(&self, order: &Order) -> Result<Order, Fault> {
        Ok(Order {
            attached_state: attached_state(self.attachment)?,
            is_suspended: self.is_suspended,
            parent: self.is_child.then(|| OrderId::new("PARENT")),
            mark: self.mark.clone(),
            ..order.clone()
        })
    }

    /// Whether the rule holds here.
    fn meets(&self, rule: &Node) -> Result<bool, Fault> {
        if let Some(attached) = read_optional::<Vec<String>>(rule, "attached")?
            && !attached.iter().any(|attachment| attachment == self.attachment)
        {
            return Ok(false);
        }
        let Some(conditions) = rule.get("if") else { return Ok(true) };
        known_members(conditions, &["suspended", "child", "suspendingWithKill"])?;
        let found = [
            ("suspended", self.is_suspended),
            ("child", self.is_child),
            ("suspendingWithKill", self.is_suspending_with_kill()),
        ];
        for (name, found) in found {
            if member(conditions, name).is_some() && flag(conditions, name)? != found {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn transitions(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let order: Order = read(vector.node, "order")?;
    let rules = list(vector.node, "rules")?;
    for rule in rules {
        known_members(rule, &["event", "attached", "if", "to"])?;
    }
    for (i, event) in list(vector.node, "events")?.iter().enumerate() {
        let type_name = event.get("TYPE").and_then(Node::as_str).unwrap_or("?");
        cases.case(format!("events[{i}] {type_name}"), || {
            let event: OrderEvent = value_of(event)?;
            for circumstances in all_circumstances() {
                let mut expected = None;
                for rule in rules.iter().filter(|rule| rule.get("event").and_then(Node::as_str) == Some(type_name)) {
                    if expected.is_none() && circumstances.meets(rule)? {
                        expected = Some(text(rule, "to")?.to_owned());
                    }
                }
                let mut changed = circumstances.order(&order)?;
                let found = changed.apply(&event).ok().map(|()| changed.state.type_name().to_owned());
                if found != expected {
                    let show = |state: Option<String>| state.unwrap_or_else(|| String::from("not applicable"));
                    return Err(Difference::new(show(expected), show(found))
                        .within(&format!("{circumstances:?}"))
                        .into());
                }
            }
            Ok(())
        });
    }
    Ok(())
}

fn attachment(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let order: Order = read(vector.node, "order")?;
    vector.each_case(cases, |case| {
        let mut order = Order { attached_state: attached_state(text(case, "from")?)?, ..order.clone() };
        let event: OrderEvent = read(case, "event")?;
        let found = order.apply(&event).ok().map(|()| match &order.attached_state {
            None => "Detached",
            Some(state) => state.type_name(),
        });
        let expected = if is_null(need(case, "to")?) { None } else { Some(text(case, "to")?) };
        equal("to", &expected, &found)
    })
}

fn history(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let workflow_id = WorkflowId { path: WorkflowPath::new("WORKFLOW"), version_id: VersionId::new("1") };
    let workflow_position = WorkflowPosition { workflow_id, position: Position::START };
    let historic_outcomes: History = read(vector.node, "historicOutcomes")?;
    let order = Order {
        state: OrderState::Ready,
        is_suspended: true,
        historic_outcomes,
        ..Order::fresh(OrderId::new("ORDER"), workflow_position)
    };
    vector.each_case(cases, |case| {
        let event = OrderEvent::OrderResumed {
            position: read_optional(case, "position")?,
            history_operations: read_optional(case, "historyOperations")?.unwrap_or_default(),
            as_succeeded: false,
            restart_killed_job: false,
        };
        let mut order = order.clone();
        let resumed = order.apply(&event).map(|()| order.historic_outcomes.write());
        match form_of(case, &["result", "problem"])? {
            "problem" => rejected(vector.matcher(), need(case, "problem")?, resumed),
            _ => {
                let resumed = resumed.map_err(|problem| Difference::new("it is resumed", problem.message))?;
                let expected = need(case, "result")?;
                if elements(expected).is_empty() {
                    return equal("result", &History::default(), &order.historic_outcomes);
                }
                Ok(vector.matcher().value(expected, &resumed).map_err(|d| d.within("result"))?)
            }
        }
    })
}
