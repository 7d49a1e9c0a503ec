//! Instructions which let an order wait for a point in time: Sleep, Retry, AdmissionTime, Cycle; and skipping a job that has
//! no admission on the order's day.

use super::order_step::OrderStep;
use crate::expression::Expression;
use crate::model::instruction::Instruction;
use crate::model::order::{OrderState, SleepCause};
use crate::model::order_event::{MoveReason, OrderEvent};
use crate::position::{BranchId, Position};
use crate::problem::{Checked, Problem};
use crate::schedule::{Admission, AdmissionTimeScheme, CycleCalculator, CycleState, DueCycle, FIND_LIMIT};
use crate::time::{Duration, Timestamp};

/// Retry delays from here on end at a full second.
const ROUNDED_RETRY_DELAY: Duration = Duration::from_secs(10);

impl OrderStep<'_> {
    pub(super) fn sleep(&mut self, duration: &Expression) -> Checked<()> {
        if let OrderState::Sleeping { .. } = self.order.state {
            if self.is_delayed() {
                return Ok(());
            }
        } else {
            if !self.start()? {
                return Ok(());
            }
            let duration = crate::expression::conversion::duration_of(&self.evaluate(duration)?)?;
            if duration > Duration::ZERO {
                let until = self.around.now + duration;
                return self.emit(OrderEvent::OrderSleeping { until, cause: SleepCause::SleepInstruction });
            }
        }
        let next = self.position().next();
        self.move_to(next, None)
    }

    pub(super) fn retry(&mut self) -> Checked<()> {
        let next_try = self.position().next_try()?;
        let Some((try_position, BranchId::Try(Some(retry)))) = next_try.parent() else {
            return Err(Problem::new("Not in a try or catch block"));
        };
        let flow = self.flow.clone();
        let Instruction::Try { retry_delays, max_tries, .. } = flow.checked_instruction(&try_position)? else {
            return Err(Problem::new("Not in a try or catch block"));
        };
        if !next_try.normalized().starts_with(&self.order.inner_block.normalized()) {
            return Err(Problem::new(
                "The block to be tried again is not in the block to which the order is restricted",
            ));
        }
        if !self.start()? {
            return Ok(());
        }
        let retry = *retry;
        if max_tries.is_some_and(|max| retry >= max) {
            return self.fail(None);
        }
        let delay = crate::flow::retry_delay(retry_delays.as_deref().unwrap_or_default(), retry);
        if delay <= Duration::ZERO {
            self.emit(OrderEvent::OrderRetrying { delayed_until: None, moved_to: None })?;
            return self.move_to(next_try.position(0), None);
        }
        let until = self.around.now + delay;
        let until = if delay >= ROUNDED_RETRY_DELAY { rounded_up_to_second(until) } else { until };
        self.emit(OrderEvent::OrderRetrying { delayed_until: Some(until), moved_to: None })
    }

    /// Ends the delay of a retry, if it is time.
    pub(super) fn end_delay(&mut self) -> Checked<()> {
        if self.is_delayed() {
            return Ok(());
        }
        self.end_delay_now()
    }

    /// Ends the delay of a retry.
    pub(super) fn end_delay_now(&mut self) -> Checked<()> {
        let is_retry = matches!(self.order.state, OrderState::DelayingRetry { .. });
        self.emit(OrderEvent::OrderAwoke)?;
        if is_retry {
            let to = self.position().next_try()?.position(0);
            self.emit(OrderEvent::OrderMoved { to, reason: None })?;
        }
        Ok(())
    }

    /// Whether the job at the order's position has no admission on the order's day and is skipped then.
    pub(super) fn is_job_skipped(&self) -> Checked<bool> {
        // A job which does not exist is found out when it is executed.
        Ok(!self.order.force_admission && self.flow.is_skipped_on_order_day(self.position(), &self.order.id))
    }

    fn has_no_admission_start(&self, scheme: &AdmissionTimeScheme) -> bool {
        !self.order.force_admission
            && crate::schedule::date_of_order_id(self.order.id.as_str())
                .is_some_and(|day| !self.admission(scheme).has_period_start_for_day(day))
    }

    fn admission<'s>(&'s self, scheme: &'s AdmissionTimeScheme) -> Admission<'s> {
        Admission::new(scheme, &self.flow.workflow().time_zone)
    }

    pub(super) fn admission_time(&mut self, instruction: &Instruction) -> Checked<()> {
        let Instruction::AdmissionTime {
            admission_time_scheme: scheme, skip_if_no_admission_start_for_order_day, ..
        } = instruction
        else {
            return Ok(());
        };
        let enter = self.position().first_of(BranchId::AdmissionTime);
        if self.order.force_admission {
            return self.move_to(enter, None);
        }
        if *skip_if_no_admission_start_for_order_day && self.has_no_admission_start(scheme) {
            let next = self.position().next();
            return self.move_to(next, Some(MoveReason::NoAdmissionPeriodStart));
        }
        let Some(found) = self.admission(scheme).find_time_interval(self.around.now, FIND_LIMIT) else {
            return Err(Problem::new("No more admission time"));
        };
        if matches!(self.order.state, OrderState::Fresh) && self.is_delayed() {
            return Ok(());
        }
        let start = found.interval.start;
        if start <= self.around.now {
            return self.move_to(enter, None);
        }
        if matches!(self.order.state, OrderState::WaitingForAdmission { until } if until == start) {
            return Ok(());
        }
        if !self.at_controller_or_detach()? || !self.start()? {
            return Ok(());
        }
        self.emit(OrderEvent::OrderWaitingForAdmission { until: start })
    }

    pub(super) fn cycle(&mut self, instruction: &Instruction) -> Checked<()> {
        match self.order.state.clone() {
            OrderState::BetweenCycles { cycle_state: None } => {
                let next = self.position().next();
                self.move_to(next, None)
            }
            OrderState::BetweenCycles { cycle_state: Some(cycle_state) } => {
                if self.is_delayed() {
                    return Ok(());
                }
                self.start_cycle(instruction, &cycle_state)
            }
            _ => {
                if !self.start()? {
                    return Ok(());
                }
                let now = self.around.now;
                let next = self.with_calculator(instruction, |calculator, day| {
                    calculator.next_cycle_state(&CycleState::initial(day), now)
                })?;
                self.prepare_cycle(next)
            }
        }
    }

    /// A cycle is due.
    fn start_cycle(&mut self, instruction: &Instruction, cycle_state: &CycleState) -> Checked<()> {
        let now = self.around.now;
        let due =
            self.with_calculator(instruction, |calculator, _| calculator.on_next_cycle_is_due(cycle_state, now))?;
        match due {
            DueCycle::KeepWaiting => Ok(()),
            DueCycle::StartCycle { skipped } => {
                self.emit(OrderEvent::OrderCycleStarted { skipped: (skipped > Duration::ZERO).then_some(skipped) })
            }
            DueCycle::ChangeCycleState(next) => self.prepare_cycle(next),
        }
    }

    fn prepare_cycle(&mut self, next: Option<CycleState>) -> Checked<()> {
        match next {
            Some(cycle_state) => self.emit(OrderEvent::OrderCyclingPrepared { cycle_state }),
            None => {
                let next = self.position().next();
                self.move_to(next, None)
            }
        }
    }

    /// The order is at the end of a cycle's block.
    pub(super) fn end_cycle(&mut self, cycle: &Position) -> Checked<()> {
        let flow = self.flow.clone();
        let instruction = flow.checked_instruction(cycle)?;
        let branch = self.position().block.0.last().map(|segment| segment.branch.clone());
        let cycle_state = match &branch {
            // An order placed into the block without a state of the cycle goes through it once.
            Some(BranchId::Cycle(None)) => return self.emit(OrderEvent::OrderCycleFinished { cycle_state: None }),
            Some(branch) => *branch.cycle_state()?,
            None => return Err(Problem::new("The order is in no Cycle")),
        };
        let now = self.around.now;
        let next = self.with_calculator(instruction, |calculator, _| calculator.next_cycle_state(&cycle_state, now))?;
        self.emit(OrderEvent::OrderCycleFinished { cycle_state: next })
    }

    /// Calculates with the schedule of a Cycle on the order's day.
    fn with_calculator<T>(
        &self,
        instruction: &Instruction,
        calculate: impl FnOnce(&CycleCalculator<'_>, crate::schedule::Interval) -> T,
    ) -> Checked<T> {
        let Instruction::Cycle { schedule, only_one_period, .. } = instruction else {
            return Err(Problem::new("The order is in no Cycle"));
        };
        let workflow = self.flow.workflow();
        let Some(calendar_path) = &workflow.calendar_path else {
            return Err(Problem::new("Cycle instruction requires calendarPath"));
        };
        let days = self.state.order_days(calendar_path)?;
        let day = days.order_day(calendar_path.as_str(), self.order.id.as_str(), &workflow.time_zone)?;
        let calculator = CycleCalculator {
            schedule,
            zone: &workflow.time_zone,
            date_offset: days.calendar().date_offset,
            only_one_period: *only_one_period,
        };
        Ok(calculate(&calculator, day))
    }
}

fn rounded_up_to_second(time: Timestamp) -> Timestamp {
    let millis = time.as_millis();
    Timestamp::from_millis(millis + (-millis).rem_euclid(1000))
}
