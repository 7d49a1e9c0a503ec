//! Commands for a state: about the orders and items that are there, and sometimes about others.

use super::choices::Choices;
use super::instruction::{AGENTS, BOARDS, LOCKS, WORKFLOWS, typed, workflow};
use baton_workflow::flow::Flow;
use baton_workflow::json::Json as _;
use baton_workflow::model::order::OrderState;
use baton_workflow::position::Position;
use baton_workflow::state::State;
use baton_workflow::value::Value;

const ORDERS: [&str; 6] = ["A", "B", "#2025-01-01#C", "#2025-01-02#D", "#2025-01-01#E", "Ax"];

/// The items which an installation begins with, without its workflows.
pub(super) fn first_items() -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    for agent in AGENTS {
        let subagent = Value::from(format!("S-{agent}").as_str());
        items.push(typed("AgentRef", [("path", Value::from(agent)), ("directors", Value::list([subagent.clone()]))]));
        items.push(typed(
            "SubagentItem",
            [("id", subagent), ("agentPath", Value::from(agent)), ("uri", Value::from("http://localhost"))],
        ));
    }
    items.push(lock(LOCKS[0], 1));
    items.push(lock(LOCKS[1], 2));
    items.push(global_board(BOARDS[0]));
    items.push(plannable_board(BOARDS[1]));
    items.push(typed("Calendar", [("path", Value::from("C"))]));
    items.push(plan_schema("(key) => true"));
    items
}

/// The command which brings these items.
pub(super) fn update(items: Vec<Value>, workflows: Vec<Value>, version: usize) -> Value {
    let mut operations: Vec<Value> =
        items.into_iter().map(|item| typed("AddOrChangeSimple", [("item", item)])).collect();
    if !workflows.is_empty() {
        operations.push(add_version(version));
        operations.extend(workflows.into_iter().map(|item| typed("AddOrChangeVersioned", [("item", item)])));
    }
    typed("UpdateItems", [("operations", Value::list(operations))])
}

fn add_version(version: usize) -> Value {
    typed("AddVersion", [("versionId", Value::from(format!("v{version}").as_str()))])
}

fn lock(path: &str, limit: i64) -> Value {
    typed("Lock", [("path", Value::from(path)), ("limit", Value::from(limit))])
}

fn global_board(path: &str) -> Value {
    typed(
        "GlobalBoard",
        [
            ("path", Value::from(path)),
            ("postOrderToNoticeKey", Value::from("'k'")),
            ("expectOrderToNoticeKey", Value::from("'k'")),
            ("endOfLife", Value::from("$js7EpochMilli + 3600000")),
        ],
    )
}

fn plannable_board(path: &str) -> Value {
    typed("PlannableBoard", [("path", Value::from(path))])
}

fn plan_schema(is_open: &str) -> Value {
    typed("PlanSchema", [("id", Value::from("D")), ("unknownPlanIsOpenFunction", Value::from(is_open))])
}

/// A command.
pub(super) fn command(choices: &mut Choices<'_>, state: &State, version: &mut usize) -> Value {
    match choices.below(32) {
        0..=6 => typed("AddOrder", [("order", fresh_order(choices, state))]),
        7 => {
            let count = choices.below(4);
            let orders: Vec<Value> = (0..count).map(|_| fresh_order(choices, state)).collect();
            typed("AddOrders", [("orders", Value::list(orders))])
        }
        8..=10 => cancel(choices, state),
        11..=13 => {
            let mode = Value::object([("resetState", Value::from(choices.once_in(2))), ("kill", kill(choices))]);
            typed("SuspendOrders", [("orderIds", some_orders(choices, state)), ("mode", mode)])
        }
        14..=16 => resume(choices, state),
        17 => typed(
            "ResumeOrders",
            [
                ("orderIds", some_orders(choices, state)),
                ("asSucceeded", Value::from(choices.once_in(2))),
                ("restartKilledJob", Value::from(choices.once_in(2))),
            ],
        ),
        18 | 19 => {
            let id = order(choices, state);
            let position = order_position(choices, state, &id);
            typed("GoOrder", [("orderId", Value::from(id.as_str())), ("position", position)])
        }
        20 | 21 => typed("AnswerOrderPrompt", [("orderId", Value::from(prompting(choices, state).as_str()))]),
        22 => typed("DeleteOrdersWhenTerminated", [("orderIds", some_orders(choices, state))]),
        23 => {
            let priority = Value::from(choices.of(&[0, 1, -1, 10]));
            let id = order(choices, state);
            typed("ChangeOrder", [("orderId", Value::from(id.as_str())), ("priority", priority)])
        }
        24 => control_path(choices),
        25 => control_version(choices, state),
        26 => {
            let kind = choices.of(&["PostNotice", "DeleteNotice"]);
            typed(kind, [("noticeId", notice_id(choices))])
        }
        27 => plan(choices),
        28 => transfer(choices, state),
        29 | 30 => change_items(choices, version),
        _ => board(choices),
    }
}

/// The id of an order, most often of one that exists.
fn order(choices: &mut Choices<'_>, state: &State) -> String {
    let ids: Vec<&str> = state.orders().map(|order| order.id.as_str()).collect();
    match choices.of_any(&ids) {
        Some(id) if !choices.once_in(16) => id.to_string(),
        _ => choices.of(&ORDERS).to_string(),
    }
}

fn prompting(choices: &mut Choices<'_>, state: &State) -> String {
    let is_prompting = |state: &OrderState| matches!(state, OrderState::Prompting { .. });
    let ids: Vec<&str> =
        state.orders().filter(|order| is_prompting(&order.state)).map(|order| order.id.as_str()).collect();
    choices.of_any(&ids).map_or_else(|| order(choices, state), ToString::to_string)
}

fn some_orders(choices: &mut Choices<'_>, state: &State) -> Value {
    let count = 1 + choices.below(2);
    let ids: Vec<Value> = (0..count).map(|_| Value::from(order(choices, state).as_str())).collect();
    Value::list(ids)
}

/// Where the order is, or where it may be.
fn order_position(choices: &mut Choices<'_>, state: &State, id: &str) -> Value {
    let Some(order) = state.orders().find(|order| order.id.as_str() == id) else { return Position::root(0).write() };
    if choices.once_in(3)
        && let Some(flow) = state.flow(&order.workflow_position.workflow_id)
    {
        return position(choices, flow);
    }
    order.position().write()
}

/// A position of the workflow.
fn position(choices: &mut Choices<'_>, flow: &Flow) -> Value {
    let mut positions = vec![Position::root(0)];
    flow.visit(&mut |block, nr, _| positions.push(block.position(nr)));
    let position = choices.of(&positions);
    if choices.once_in(4) { position.next().write() } else { position.write() }
}

fn fresh_order(choices: &mut Choices<'_>, state: &State) -> Value {
    let path = choices.of(&WORKFLOWS);
    let mut members = vec![
        ("id", Value::from(choices.of(&ORDERS))),
        ("workflowPath", Value::from(path)),
        ("planId", plan_id(choices)),
        ("deleteWhenTerminated", Value::from(choices.once_in(2))),
    ];
    if choices.once_in(3) {
        let arguments = [("n", Value::from(3)), ("x", Value::from("no")), ("list", Value::list([Value::from("e")]))];
        let count = choices.below(4);
        members.push(("arguments", Value::object(arguments.into_iter().take(count))));
    }
    if choices.once_in(4) {
        members.push(("scheduledFor", Value::from(choices.of(&[1_735_740_000_000, 1_735_900_000_000]))));
    }
    if choices.once_in(4) {
        members.push(("priority", Value::from(choices.of(&[1, -1]))));
    }
    if choices.once_in(8) {
        members.push(("forceAdmission", Value::from(true)));
    }
    let flow = state.items().flows().find(|flow| flow.id().path.as_str() == path);
    if let Some(flow) = flow {
        if choices.once_in(6) {
            let position = position(choices, flow);
            members.push(("startPosition", position));
        }
        if choices.once_in(6) {
            let position = position(choices, flow);
            members.push(("stopPositions", Value::list([position])));
        }
        if choices.once_in(6) {
            let mut blocks = Vec::new();
            flow.visit(&mut |block, _, _| blocks.push(block.write()));
            if let Some(block) = choices.of_any(&blocks) {
                members.push(("innerBlock", block));
            }
        }
    }
    Value::object(members)
}

fn kill(choices: &mut Choices<'_>) -> Value {
    match choices.below(3) {
        0 => Value::Missing,
        n => Value::object([("immediately", Value::from(n == 2))]),
    }
}

fn cancel(choices: &mut Choices<'_>, state: &State) -> Value {
    let mode = match choices.below(3) {
        0 => typed("FreshOnly", []),
        _ => typed("FreshOrStarted", [("kill", kill(choices))]),
    };
    typed("CancelOrders", [("orderIds", some_orders(choices, state)), ("mode", mode)])
}

fn resume(choices: &mut Choices<'_>, state: &State) -> Value {
    let id = order(choices, state);
    let mut members = vec![("orderId", Value::from(id.as_str())), ("asSucceeded", Value::from(choices.once_in(3)))];
    if choices.once_in(2) {
        members.push(("position", order_position(choices, state, &id)));
    }
    if choices.once_in(3) {
        let count = 1 + choices.below(2);
        let operations: Vec<Value> = (0..count).map(|_| history_operation(choices, state, &id)).collect();
        members.push(("historyOperations", Value::list(operations)));
    }
    typed("ResumeOrder", members)
}

fn history_operation(choices: &mut Choices<'_>, state: &State, id: &str) -> Value {
    let past: Vec<Value> = state
        .orders()
        .filter(|order| order.id.as_str() == id)
        .flat_map(|order| order.historic_outcomes.latest_first().map(|historic| historic.position.write()))
        .take(8)
        .collect();
    let at = match choices.of_any(&past) {
        Some(at) => at,
        None => order_position(choices, state, id),
    };
    let outcome = match choices.below(2) {
        0 => typed("Succeeded", [("namedValues", Value::object([("n", Value::from(2))]))]),
        _ => typed("Failed", []),
    };
    match choices.below(4) {
        0 => typed("Append", [("position", at), ("outcome", outcome)]),
        1 => typed("Replace", [("position", at), ("outcome", outcome)]),
        2 => typed("Delete", [("position", at)]),
        _ => {
            let position = order_position(choices, state, id);
            typed("Insert", [("before", at), ("position", position), ("outcome", outcome)])
        }
    }
}

fn control_path(choices: &mut Choices<'_>) -> Value {
    let mut members = vec![("workflowPath", Value::from(choices.of(&WORKFLOWS)))];
    if choices.once_in(2) {
        members.push(("suspend", Value::from(choices.once_in(2))));
    } else {
        let label = choices.of(&["l1", "l2", "l3"]);
        members.push(("skip", Value::object([(label, Value::from(!choices.once_in(3)))])));
    }
    typed("ControlWorkflowPath", members)
}

fn control_version(choices: &mut Choices<'_>, state: &State) -> Value {
    let flows: Vec<_> = state.items().flows().cloned().collect();
    let Some(flow) = choices.of_any(&flows) else { return control_path(choices) };
    let kind = choices.of(&["addBreakpoints", "addBreakpoints", "removeBreakpoints"]);
    let position = position(choices, &flow);
    typed("ControlWorkflow", [("workflowId", flow.id().write()), (kind, Value::list([position]))])
}

fn plan_id(choices: &mut Choices<'_>) -> Value {
    match choices.below(4) {
        0 | 1 => Value::list([]),
        2 => Value::list([Value::from("D"), Value::from("p")]),
        _ => Value::list([Value::from("D"), Value::from("q")]),
    }
}

fn notice_id(choices: &mut Choices<'_>) -> Value {
    match choices.below(4) {
        0 | 1 => Value::list(["G", "k"].map(Value::from)),
        2 => Value::list(["D", "p", "P"].map(Value::from)),
        _ => Value::list(["D", "q", "P"].map(Value::from)),
    }
}

fn plan(choices: &mut Choices<'_>) -> Value {
    if choices.once_in(4) {
        let values = Value::object([("open", Value::from(choices.once_in(2)))]);
        let retention = Value::from(choices.of(&[0, 3600, 100_000]));
        return typed(
            "ChangePlanSchema",
            [("planSchemaId", Value::from("D")), ("namedValues", values), ("finishedPlanRetentionPeriod", retention)],
        );
    }
    let status = choices.of(&["Open", "Closed", "Deleted"]);
    typed("ChangePlan", [("planId", plan_id(choices)), ("status", Value::from(status))])
}

fn transfer(choices: &mut Choices<'_>, state: &State) -> Value {
    let ids: Vec<Value> = state.items().flows().map(|flow| flow.id().write()).collect();
    match choices.of_any(&ids) {
        Some(id) => typed("TransferOrders", [("workflowId", id)]),
        None => control_path(choices),
    }
}

fn change_items(choices: &mut Choices<'_>, version: &mut usize) -> Value {
    *version += 1;
    match choices.below(10) {
        0..=3 => {
            let path = choices.of(&WORKFLOWS);
            update(Vec::new(), vec![workflow(choices, path)], *version)
        }
        4 => {
            let path = choices.of(&LOCKS);
            let limit = choices.of(&[0, 1, 3]);
            update(vec![lock(path, limit)], Vec::new(), *version)
        }
        5 => {
            let is_open = choices.of(&["(key) => true", "(key) => false", "(key) => $open", "(key) => $key == 'p'"]);
            update(vec![plan_schema(is_open)], Vec::new(), *version)
        }
        6 => {
            let offset = Value::from(choices.of(&[0, 3600]));
            let calendar = typed("Calendar", [("path", Value::from("C")), ("dateOffset", offset)]);
            update(vec![calendar], Vec::new(), *version)
        }
        7 => {
            let path = choices.of(&["Workflow:W", "Workflow:V", "Workflow:U"]);
            let remove = typed("RemoveVersioned", [("path", Value::from(path))]);
            typed("UpdateItems", [("operations", Value::list([add_version(*version), remove]))])
        }
        8 => {
            let path =
                choices.of(&["Lock:L", "Lock:M", "Board:G", "Board:P", "Calendar:C", "PlanSchema:D", "Agent:A1"]);
            let delete = typed("DeleteSimple", [("path", Value::from(path))]);
            typed("UpdateItems", [("operations", Value::list([delete]))])
        }
        _ => update(first_items(), Vec::new(), *version),
    }
}

fn board(choices: &mut Choices<'_>) -> Value {
    let schema = ("planSchemaId", Value::from("D"));
    if choices.once_in(2) {
        let split = ("splitNoticeKey", Value::from("(key) => ['p', $key]"));
        return typed(
            "ChangeGlobalToPlannableBoard",
            [("plannableBoard", untyped(plannable_board("G"))), schema, split],
        );
    }
    let make = ("makeNoticeKey", Value::from(choices.of(&["(plan, key) => $plan ++ $key", "(plan, key) => 'same'"])));
    let path = choices.of(&BOARDS);
    typed("ChangePlannableToGlobalBoard", [("globalBoard", untyped(global_board(path))), schema, make])
}

/// Without its `TYPE`, where only one type can be meant.
fn untyped(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields.iter().filter(|(name, _)| &***name != "TYPE").map(|(n, v)| (n.clone(), v.clone())).collect(),
        ),
        other => other,
    }
}
