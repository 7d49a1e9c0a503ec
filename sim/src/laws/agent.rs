//! An agent's director, as far as the state is concerned: it gets orders and items, starts and ends processes, and reports.

use super::choices::Choices;
use super::node::{Clock, Node};
use super::story::Story;
use baton_workflow::id::{AgentPath, ControllerId, OrderId, SubagentId};
use baton_workflow::model::event::Event;
use baton_workflow::model::instruction::Instruction;
use baton_workflow::model::item::Item;
use baton_workflow::model::operation::ItemEvent;
use baton_workflow::model::order::{AttachedState, Order, OrderMark, OrderState};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::outcome::{Completed, Outcome};
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::state::State;
use baton_workflow::step::{OrderStep, Resumption, next_events};
use baton_workflow::value::{Fields, Value};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The agent.
pub(super) struct Agent {
    path: AgentPath,
    node: Node,
    /// What the controller does not know yet.
    unreported: VecDeque<Event>,
    /// The marks which this agent was told of.
    told: BTreeMap<OrderId, OrderMark>,
}

impl Agent {
    pub(super) fn new(path: &str, controller_id: &ControllerId, story: &Story) -> Self {
        let path = AgentPath::new(path);
        let node = Node::new(State::agent(path.clone(), controller_id.clone()), story);
        Self { path, node, unreported: VecDeque::new(), told: BTreeMap::new() }
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    pub(super) fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    /// Time has passed.
    pub(super) fn wait(&mut self, clock: &Clock) {
        let events = self.node.step_all(clock);
        self.unreported.extend(events);
        self.node.check_rest(clock);
    }

    /// Does what the controller wants: takes orders over, gives them back, looks at marks. Whether there was something.
    pub(super) fn obey(&mut self, clock: &Clock, controller: &mut Node, with_marks: bool) -> bool {
        let orders: Vec<Order> = controller
            .state()
            .orders()
            .filter(|order| order.attached_state.as_ref().is_some_and(|state| *state.agent_path() == self.path))
            .cloned()
            .collect();
        let mut has_obeyed = false;
        for order in orders {
            let here = self.node.state().order(&order.id);
            match &order.attached_state {
                Some(AttachedState::Attaching { .. }) if here.is_none() => {
                    self.attach(clock, controller, &order);
                    has_obeyed = true;
                }
                Some(AttachedState::Detaching { .. }) if here.is_some() => {
                    let event = Event::Order(order.id.clone(), OrderEvent::OrderDetached);
                    self.told.remove(&order.id);
                    self.take(clock, &[event], &[]);
                    has_obeyed = true;
                }
                Some(AttachedState::Attached { .. }) if with_marks && here.is_some_and(Order::is_attached) => {
                    if let Some(mark) = &order.mark
                        && self.told.get(&order.id) != Some(mark)
                    {
                        self.told.insert(order.id.clone(), mark.clone());
                        self.mark(clock, &order.id, mark);
                        has_obeyed = true;
                    }
                }
                _ => {}
            }
        }
        has_obeyed
    }

    fn attach(&mut self, clock: &Clock, controller: &mut Node, order: &Order) {
        let state = controller.state();
        let workflow_id = &order.workflow_position.workflow_id;
        let Some(flow) = state.flow(workflow_id) else {
            panic!("the workflow of {order:?} is at the controller");
        };
        let mut items = vec![Item::Workflow(Arc::new(flow.reduce_for_agent(&self.path)))];
        items.extend(state.items().simple().filter(|item| self.needs(item)).cloned());
        let mut events = Vec::new();
        for item in items {
            let key = item.key();
            let known = self.node.state().items().get(&key);
            if known.as_ref() != Some(&item) {
                let agent_path = self.path.clone();
                controller.take(clock, &[Event::Item(ItemEvent::ItemAttachable { key, agent_path })], &[]);
                events.push(Event::Item(ItemEvent::ItemAttachedToMe { item }));
            }
        }
        events.push(Event::Order(order.id.clone(), order.attached_to_agent_event(self.path.clone())));
        self.told.remove(&order.id);
        // Whether orders may go on can depend on each of the items.
        let known = self.node.state().orders().map(|order| order.id.clone());
        let orders: Vec<OrderId> = known.chain([order.id.clone()]).collect();
        self.take(clock, &events, &orders);
    }

    fn needs(&self, item: &Item) -> bool {
        match item {
            Item::AgentRef(agent) => agent.path == self.path,
            Item::SubagentItem(subagent) => subagent.agent_path == self.path,
            Item::Calendar(_) | Item::WorkflowPathControl(_) | Item::WorkflowControl(_) => true,
            _ => false,
        }
    }

    fn take(&mut self, clock: &Clock, events: &[Event], orders: &[OrderId]) {
        let events = self.node.take(clock, events, orders);
        self.unreported.extend(events);
        self.node.check_rest(clock);
    }

    fn mark(&mut self, clock: &Clock, id: &OrderId, mark: &OrderMark) {
        if self.node.state().order(id).is_some_and(|order| order.mark.as_ref() == Some(mark)) {
            return;
        }
        let decided = self.node.decide(|state, events| {
            let Some(step) = OrderStep::of(state, clock.around(), id) else { return Ok(()) };
            for event in marked(step, mark)? {
                state.take(&event);
                events.push(event);
            }
            next_events(state, clock.around(), [id.clone()], events);
            Ok(())
        });
        self.unreported.extend(decided.unwrap_or_default());
        self.node.check_rest(clock);
    }

    /// Starts the process of an order, or ends one. Whether there was something.
    pub(super) fn work(&mut self, clock: &Clock, choices: &mut Choices<'_>) -> bool {
        let state = self.node.state();
        let running: Vec<OrderId> = state
            .orders()
            .filter(|order| order.is_attached() && matches!(order.state, OrderState::Processing { .. }))
            .map(|order| order.id.clone())
            .collect();
        let waiting: Vec<(OrderId, bool)> = state
            .orders()
            .filter(|order| self.may_start(state, order))
            .map(|order| (order.id.clone(), order.state == OrderState::Fresh))
            .collect();
        if let Some((id, is_fresh)) = choices.of_any(&waiting) {
            let started = OrderEvent::OrderProcessingStarted {
                subagent_id: Some(SubagentId::new(&format!("S-{}", self.path))),
                subagent_bundle_id: None,
                stick: false,
                end_of_admission_period: None,
            };
            let first = is_fresh.then_some(OrderEvent::OrderStarted);
            let events: Vec<Event> =
                first.into_iter().chain([started]).map(|event| Event::Order(id.clone(), event)).collect();
            self.take(clock, &events, &[]);
            return true;
        }
        let Some(id) = choices.of_any(&running) else { return false };
        let said = OrderEvent::OrderStdoutWritten { chunk: "said\n".into() };
        let processed = OrderEvent::OrderProcessed { outcome: outcome(choices) };
        let events = [said, processed].map(|event| Event::Order(id.clone(), event));
        self.take(clock, &events, std::slice::from_ref(&id));
        true
    }

    fn may_start(&self, state: &State, order: &Order) -> bool {
        let Some(flow) = state.flow(&order.workflow_position.workflow_id) else { return false };
        let is_execute = matches!(
            flow.instruction(order.position()),
            Some(Instruction::ExecuteNamed { .. } | Instruction::ExecuteAnonymous { .. })
        );
        is_execute
            && order.is_attached()
            && matches!(order.state, OrderState::Fresh | OrderState::Ready)
            && order.mark.is_none()
            && !order.is_suspended_or_stopped()
            && !state.is_workflow_suspended(&order.workflow_position.workflow_id.path)
            && flow.job_at(order.position()).is_ok_and(|at| at.job.agent_path == self.path)
    }

    /// The controller adopts the next events. Whether there were any.
    pub(super) fn report(&mut self, clock: &Clock, controller: &mut Node, most: usize) -> bool {
        let count = most.min(self.unreported.len());
        let reported: Vec<Event> = self.unreported.drain(..count).collect();
        let mut events = Vec::new();
        let mut returned = Vec::new();
        for event in &reported {
            if let Some(event) = self.translated(event) {
                if let Event::Order(id, OrderEvent::OrderDetached) = &event {
                    returned.push(id.clone());
                }
                events.push(event);
            }
        }
        controller.take(clock, &events, &returned);
        controller.check_rest(clock);
        count > 0
    }

    fn translated(&self, event: &Event) -> Option<Event> {
        let agent_path = self.path.clone();
        Some(match event {
            Event::Order(id, event) => Event::Order(
                id.clone(),
                match event {
                    OrderEvent::OrderAttachedToAgent { .. } => OrderEvent::OrderAttached { agent_path },
                    OrderEvent::OrderCancellationMarked { .. } => OrderEvent::OrderCancellationMarkedOnAgent,
                    OrderEvent::OrderSuspensionMarked { .. } => OrderEvent::OrderSuspensionMarkedOnAgent,
                    event => event.clone(),
                },
            ),
            Event::Item(ItemEvent::ItemAttachedToMe { item }) => {
                Event::Item(ItemEvent::ItemAttached { key: item.key(), item_revision: item.revision(), agent_path })
            }
            _ => return None,
        })
    }
}

fn marked(step: OrderStep<'_>, mark: &OrderMark) -> Checked<Vec<Event>> {
    match mark {
        OrderMark::Cancelling { mode } => step.cancel(mode),
        OrderMark::Suspending { mode } => step.suspend(mode),
        OrderMark::Resuming { position, history_operations, as_succeeded, restart_killed_job } => {
            step.resume(&Resumption {
                position: position.clone(),
                history_operations: history_operations.clone(),
                as_succeeded: *as_succeeded,
                restart_killed_job: Some(*restart_killed_job),
            })
        }
        OrderMark::Go { position } => step.go(position),
    }
}

fn outcome(choices: &mut Choices<'_>) -> Outcome {
    let named_values: Fields = [("returnCode".into(), Value::from(choices.below(2) as i64))].into_iter().collect();
    match choices.below(6) {
        0..=2 => Outcome::Succeeded { named_values },
        3 => Outcome::Failed { message: None, named_values, uncatchable: false },
        4 => Outcome::Killed { outcome: Completed::Failed { message: None, named_values, uncatchable: false } },
        _ => Outcome::process_lost(Problem::new("lost")),
    }
}
