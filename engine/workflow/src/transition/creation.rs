//! How orders come into existence.

use crate::decimal::Decimal;
use crate::id::OrderId;
use crate::model::history::History;
use crate::model::order::{AttachedState, ExternalOrder, ForkedChild, Order, OrderState};
use crate::model::order_event::OrderEvent;
use crate::model::plan::PlanId;
use crate::position::{BranchId, BranchPath, Position, WorkflowPosition};
use crate::value::Fields;
use alloc::vec::Vec;

impl Order {
    /// A fresh order in the global plan, without arguments.
    #[must_use]
    pub fn fresh(id: OrderId, workflow_position: WorkflowPosition) -> Self {
        Self {
            id,
            workflow_position,
            state: OrderState::Fresh,
            arguments: Fields::default(),
            plan_id: PlanId::Global,
            scheduled_for: None,
            external_order: None,
            attached_state: None,
            parent: None,
            priority: Decimal::from(0),
            mark: None,
            is_suspended: false,
            is_resumed: false,
            delete_when_terminated: false,
            force_admission: false,
            sticky_subagents: Vec::new(),
            inner_block: BranchPath::default(),
            stop_positions: Vec::new(),
            historic_outcomes: History::default(),
        }
    }

    /// The order which an event of the order `key` brings into existence: `OrderAdded`, `OrderOrderAdded` (another
    /// order) or `OrderAttachedToAgent`. `None` for every other event. The children of `OrderForked` are made by [`Self::forked_child`].
    #[must_use]
    pub fn created_by(key: &OrderId, event: &OrderEvent) -> Option<Self> {
        match event {
            OrderEvent::OrderAdded {
                workflow_id,
                arguments,
                plan_id,
                scheduled_for,
                external_order_key,
                priority,
                delete_when_terminated,
                force_admission,
                inner_block,
                start_position,
                stop_positions,
            } => Some(Self {
                arguments: arguments.clone(),
                plan_id: plan_id.clone(),
                scheduled_for: *scheduled_for,
                external_order: external_order_key.as_ref().map(|key| ExternalOrder {
                    order_watch_path: key.order_watch_path.clone(),
                    name: key.name.clone(),
                    vanished: false,
                }),
                priority: priority.clone(),
                delete_when_terminated: *delete_when_terminated,
                force_admission: *force_admission,
                inner_block: inner_block.clone(),
                stop_positions: stop_positions.clone(),
                ..Self::fresh(
                    key.clone(),
                    WorkflowPosition {
                        workflow_id: workflow_id.clone(),
                        position: start(start_position.as_ref(), inner_block),
                    },
                )
            }),
            OrderEvent::OrderOrderAdded {
                order_id,
                workflow_id,
                arguments,
                plan_id,
                priority,
                delete_when_terminated,
                force_admission,
                inner_block,
                start_position,
                stop_positions,
                speed_record: _,
            } => Some(Self {
                arguments: arguments.clone(),
                plan_id: plan_id.clone(),
                priority: priority.clone(),
                delete_when_terminated: *delete_when_terminated,
                force_admission: *force_admission,
                inner_block: inner_block.clone(),
                stop_positions: stop_positions.clone(),
                ..Self::fresh(
                    order_id.clone(),
                    WorkflowPosition {
                        workflow_id: workflow_id.clone(),
                        position: start(start_position.as_ref(), inner_block),
                    },
                )
            }),
            OrderEvent::OrderAttachedToAgent {
                workflow_position,
                state,
                plan_id,
                arguments,
                scheduled_for,
                external_order,
                historic_outcomes,
                agent_path,
                parent,
                priority,
                mark,
                is_suspended,
                is_resumed,
                delete_when_terminated,
                force_admission,
                sticky_subagents,
                inner_block,
                stop_positions,
            } => Some(Self {
                id: key.clone(),
                workflow_position: workflow_position.clone(),
                state: state.clone(),
                arguments: arguments.clone(),
                plan_id: plan_id.clone(),
                scheduled_for: *scheduled_for,
                external_order: external_order.clone(),
                attached_state: Some(AttachedState::Attached { agent_path: agent_path.clone() }),
                parent: parent.clone(),
                priority: priority.clone(),
                mark: mark.clone(),
                is_suspended: *is_suspended,
                is_resumed: *is_resumed,
                delete_when_terminated: *delete_when_terminated,
                force_admission: *force_admission,
                sticky_subagents: sticky_subagents.clone(),
                inner_block: inner_block.clone(),
                stop_positions: stop_positions.clone(),
                historic_outcomes: historic_outcomes.clone(),
            }),
            _ => None,
        }
    }

    /// A child of this order, which forks: it starts as ready in its branch and inherits arguments, history, plan, priority,
    /// schedule, attachment and bound subagents.
    #[must_use]
    pub fn forked_child(&self, child: &ForkedChild) -> Self {
        let branch = child.branch_id.clone().map_or(BranchId::ForkList, BranchId::Fork);
        Self {
            state: OrderState::Ready,
            arguments: self.arguments.overridden_by(&child.arguments),
            plan_id: self.plan_id.clone(),
            scheduled_for: self.scheduled_for,
            attached_state: self.attached_state.clone(),
            parent: Some(self.id.clone()),
            priority: self.priority.clone(),
            force_admission: self.force_admission,
            sticky_subagents: self.sticky_subagents.clone(),
            historic_outcomes: self.historic_outcomes.clone(),
            ..Self::fresh(
                child.order_id.clone(),
                WorkflowPosition {
                    workflow_id: self.workflow_position.workflow_id.clone(),
                    position: self.position().first_of(branch),
                },
            )
        }
    }

    /// The event by which an agent takes over this order.
    #[must_use]
    pub fn attached_to_agent_event(&self, agent_path: crate::id::AgentPath) -> OrderEvent {
        OrderEvent::OrderAttachedToAgent {
            workflow_position: self.workflow_position.clone(),
            state: self.state.clone(),
            plan_id: self.plan_id.clone(),
            arguments: self.arguments.clone(),
            scheduled_for: self.scheduled_for,
            external_order: self.external_order.clone(),
            historic_outcomes: self.historic_outcomes.clone(),
            agent_path,
            parent: self.parent.clone(),
            priority: self.priority.clone(),
            mark: self.mark.clone(),
            is_suspended: self.is_suspended,
            is_resumed: self.is_resumed,
            delete_when_terminated: self.delete_when_terminated,
            force_admission: self.force_admission,
            sticky_subagents: self.sticky_subagents.clone(),
            inner_block: self.inner_block.clone(),
            stop_positions: self.stop_positions.clone(),
        }
    }
}

fn start(start_position: Option<&Position>, inner_block: &BranchPath) -> Position {
    start_position.cloned().unwrap_or_else(|| inner_block.position(0))
}
