//! Executing the instruction at an order's position. Those which wait, fork or deal with notices are in files of their own.

use super::order_step::OrderStep;
use crate::command::check_places;
use crate::expression::Expression;
use crate::id::OrderId;
use crate::model::event::Event;
use crate::model::instruction::{Instruction, LockDemand};
use crate::model::order::{OrderState, SleepCause};
use crate::model::order_event::OrderEvent;
use crate::model::outcome::Outcome;
use crate::position::BranchId;
use crate::problem::{Checked, Problem};
use crate::state::throttle::ThrottleDecision;
use crate::value::{Fields, Value};
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

/// A predicate must be true or false.
pub(super) fn not_boolean(value: &Value) -> Problem {
    Problem::new(format!("Expression of type Boolean expected, not {}", crate::json::print(value)))
}

impl OrderStep<'_> {
    /// Executes the instruction, and then goes on as far as instructions only say where the order goes.
    pub(super) fn execute(&mut self) -> Checked<()> {
        self.execute_instruction()?;
        if self.events.is_empty() || !self.has_order() {
            return Ok(());
        }
        self.follow()
    }

    fn execute_instruction(&mut self) -> Checked<()> {
        if let Some((to, reason)) = self.position_move()? {
            return self.move_to(to, reason);
        }
        let instruction = self.instruction()?;
        match (&self.order.state, instruction) {
            (_, Instruction::ExecuteNamed { .. } | Instruction::ExecuteAnonymous { .. }) => self.execute_job(),
            (OrderState::Fresh | OrderState::Ready, Instruction::If { .. }) => self.start_for_if(),
            (
                OrderState::Fresh | OrderState::Ready | OrderState::Forked { .. } | OrderState::Processed,
                Instruction::Fork { .. } | Instruction::ForkList { .. },
            ) => self.fork(instruction),
            (OrderState::Fresh | OrderState::Ready | OrderState::WaitingForLock, Instruction::Lock { demands, .. }) => {
                self.lock(demands)
            }
            (OrderState::Fresh | OrderState::Ready, Instruction::PostNotices { board_paths }) => {
                self.post_notices(board_paths)
            }
            (
                OrderState::Fresh | OrderState::Ready | OrderState::ExpectingNotices { .. },
                Instruction::ExpectNotices { .. } | Instruction::ConsumeNotices { .. },
            ) => self.expect_notices(instruction),
            (OrderState::Fresh | OrderState::Ready, Instruction::Prompt { question }) => self.prompt(question),
            (OrderState::Fresh | OrderState::Ready | OrderState::Sleeping { .. }, Instruction::AddOrder { .. }) => {
                self.add_order(instruction)
            }
            (OrderState::Fresh | OrderState::Ready, Instruction::Fail { message, named_values, uncatchable }) => {
                self.fail_instruction(message.as_ref(), named_values, *uncatchable)
            }
            (OrderState::Fresh | OrderState::Ready, Instruction::Finish { outcome }) => self.finish(outcome.clone()),
            (OrderState::Fresh | OrderState::Ready, Instruction::Stop) => self.stop(),
            (OrderState::Fresh | OrderState::Ready, Instruction::Break) => {
                if self.start()? {
                    self.break_cycle()
                } else {
                    Ok(())
                }
            }
            (OrderState::Fresh | OrderState::Ready, Instruction::Retry) => self.retry(),
            (OrderState::Fresh | OrderState::Ready, Instruction::Options { .. }) => {
                let to = self.position().first_of(BranchId::Options);
                self.move_to(to, None)
            }
            (OrderState::Fresh | OrderState::Ready | OrderState::BetweenCycles { .. }, Instruction::Cycle { .. }) => {
                self.cycle(instruction)
            }
            (
                OrderState::Fresh | OrderState::Ready | OrderState::WaitingForAdmission { .. },
                Instruction::AdmissionTime { .. },
            ) => self.admission_time(instruction),
            (OrderState::Fresh | OrderState::Ready, Instruction::StickySubagent { .. }) => {
                self.enter_sticky_subagent(instruction)
            }
            (OrderState::Fresh | OrderState::Ready | OrderState::Sleeping { .. }, Instruction::Sleep { duration }) => {
                self.sleep(duration)
            }
            (OrderState::Fresh | OrderState::Ready, Instruction::Say { what }) => self.say(what),
            (OrderState::Fresh | OrderState::Ready, Instruction::EmptyInstruction) => {
                let next = self.position().next();
                self.move_to(next, None)
            }
            (OrderState::Fresh | OrderState::Ready, Instruction::BreakOrder) => {
                self.emit(OrderEvent::OrderBroken { problem: None })
            }
            (OrderState::Fresh | OrderState::Ready, Instruction::Gap) => {
                if self.order.is_detachable() && !self.at_controller() {
                    return self.emit(OrderEvent::OrderDetachable);
                }
                Err(Problem::new("Gap: the workflow of an agent was given to the controller"))
            }
            (OrderState::Fresh | OrderState::Ready, Instruction::ImplicitEnd | Instruction::ExplicitEnd) => {
                self.end_block()
            }
            _ => Ok(()),
        }
    }

    /// The move of an instruction that only says where the order goes.
    fn position_move(
        &self,
    ) -> Checked<Option<(crate::position::Position, Option<crate::model::order_event::MoveReason>)>> {
        if !matches!(self.order.state, OrderState::Fresh | OrderState::Ready) {
            return Ok(None);
        }
        self.next_move()
    }

    /// An If whose predicates need what is known only after the start.
    fn start_for_if(&mut self) -> Checked<()> {
        if !matches!(self.order.state, OrderState::Fresh) || !self.start()? {
            return Ok(());
        }
        self.follow()
    }

    fn execute_job(&mut self) -> Checked<()> {
        let job = self.flow.job_at(self.position())?.job.clone();
        match self.order.state {
            OrderState::Fresh | OrderState::Ready => {
                if self.at_controller() {
                    if self.order.mark.is_none() && !self.order.is_suspended {
                        self.attach(&job.agent_path)?;
                    }
                } else if self.own_agent() != Some(&job.agent_path) {
                    self.emit(OrderEvent::OrderDetachable)?;
                }
                // At its agent, the order is taken by the job's queue.
                Ok(())
            }
            OrderState::Processed => {
                if self.order.last_outcome().is_some_and(Outcome::is_process_lost) {
                    let here = self.position().clone();
                    return self.emit(OrderEvent::OrderMoved { to: here, reason: None });
                }
                if self.order.is_last_outcome_killed() {
                    return self.emit(OrderEvent::OrderProcessingKilled);
                }
                let next = self.position().next();
                self.move_to(next, None)
            }
            _ => Ok(()),
        }
    }

    fn lock(&mut self, demands: &[LockDemand]) -> Checked<()> {
        if !self.at_controller_or_detach()? || !self.start()? {
            return Ok(());
        }
        if self.state.locks_available(&self.order.id, demands)? {
            return self.emit(OrderEvent::OrderLocksAcquired { demands: demands.to_vec() });
        }
        if matches!(self.order.state, OrderState::WaitingForLock) {
            return Ok(());
        }
        self.emit(OrderEvent::OrderLocksQueued { demands: demands.to_vec() })
    }

    fn prompt(&mut self, question: &Expression) -> Checked<()> {
        if !self.at_controller_or_detach()? || !self.start()? {
            return Ok(());
        }
        let question = self.evaluate(question)?;
        if question == Value::Missing {
            return Err(Problem::new("Prompt: the question is a missing value"));
        }
        self.emit(OrderEvent::OrderPrompted { question })
    }

    fn fail_instruction(
        &mut self,
        message: Option<&Expression>,
        named_values: &Fields,
        uncatchable: bool,
    ) -> Checked<()> {
        if !self.start()? {
            return Ok(());
        }
        let message = message.map(|message| match self.evaluate(message) {
            Ok(Value::String(text)) => text.to_string(),
            Ok(Value::Missing) => "Missing value in the message of Fail".to_string(),
            Ok(other) => crate::expression::conversion::display_of(&other),
            Err(problem) => problem.message,
        });
        self.fail(Some(Outcome::Failed { message, named_values: named_values.clone(), uncatchable }))
    }

    fn stop(&mut self) -> Checked<()> {
        if !self.at_controller_or_detach()? || !self.start()? {
            return Ok(());
        }
        self.emit(OrderEvent::OrderStopped)
    }

    fn say(&mut self, what: &Expression) -> Checked<()> {
        let value = self.evaluate_pure(what)?;
        if !self.start()? {
            return Ok(());
        }
        self.emit(OrderEvent::OrderSaid { value })?;
        let next = self.position().next();
        self.move_to(next, None)
    }

    fn enter_sticky_subagent(&mut self, instruction: &Instruction) -> Checked<()> {
        let Instruction::StickySubagent { agent_path, subagent_bundle_id_expr, .. } = instruction else {
            return Ok(());
        };
        if !self.order.sticky_subagents.is_empty() {
            return Err(Problem::new("Nested StickySubagent instructions are not allowed"));
        }
        let subagent_bundle_id = match subagent_bundle_id_expr {
            None => None,
            Some(expression) => match self.evaluate_pure(expression)? {
                Value::String(name) => Some(crate::id::SubagentBundleId::checked(&name)?),
                Value::Missing => None,
                other => {
                    return Err(Problem::new(format!(
                        "subagentBundleIdExpr must give a name, not {}",
                        crate::json::print(&other)
                    )));
                }
            },
        };
        self.emit(OrderEvent::OrderStickySubagentEntered { agent_path: agent_path.clone(), subagent_bundle_id })
    }

    fn add_order(&mut self, instruction: &Instruction) -> Checked<()> {
        let Instruction::AddOrder {
            order_id,
            workflow_path,
            plan_id,
            arguments,
            inner_block,
            start_position,
            stop_positions,
            delete_when_terminated,
            force_admission,
        } = instruction
        else {
            return Ok(());
        };
        let has_slept = matches!(self.order.state, OrderState::Sleeping { .. });
        if has_slept {
            if self.is_delayed() {
                return Ok(());
            }
        } else if !self.at_controller_or_detach()? || !self.start()? {
            return Ok(());
        }
        let speed_record = match self.state.may_add_order(has_slept, self.around.now) {
            ThrottleDecision::Sleep { until } => {
                return self.emit(OrderEvent::OrderSleeping { until, cause: SleepCause::Throttle });
            }
            ThrottleDecision::Add(record) => Some(record),
        };
        let order_id = self.evaluate_order_id(order_id)?;
        let target = self.state.current_flow(workflow_path)?.clone();
        let plan_id = match plan_id {
            None => self.order.plan_id.clone(),
            Some(expression) => crate::state::plan_id_of(&self.evaluate(expression)?)?,
        };
        let added = (|| {
            let id = OrderId::given(&order_id)?;
            if self.state.order(&id).is_some() {
                return Err(Problem::new(format!("Order:{id} has already been added")));
            }
            self.state.check_plan_for_instruction(&plan_id, &self.order.plan_id)?;
            let arguments: Fields = arguments
                .iter()
                .map(|(name, expression)| Ok((name.clone(), self.evaluate(expression)?)))
                .collect::<Checked<Vec<_>>>()?
                .into_iter()
                .filter(|(_, value)| *value != Value::Missing)
                .collect();
            let start_position = check_places(&target, &id, inner_block, start_position.as_ref(), stop_positions)?;
            Ok((id, arguments, start_position))
        })();
        let (id, arguments, start_position) = match added {
            Ok(added) => added,
            Err(problem) => return self.fail(Some(Outcome::failed(problem.message))),
        };
        let announcements = self.state.announcements(&id, &target, &plan_id, inner_block);
        let added = OrderEvent::OrderOrderAdded {
            order_id: id,
            workflow_id: target.id().clone(),
            arguments,
            plan_id,
            priority: 0.into(),
            delete_when_terminated: *delete_when_terminated,
            force_admission: *force_admission,
            inner_block: inner_block.clone(),
            start_position,
            stop_positions: stop_positions.clone(),
            speed_record,
        };
        self.events.push(Event::Order(self.order.id.clone(), added));
        self.events.extend(announcements);
        let next = self.position().next();
        self.move_to(next, None)
    }
}
