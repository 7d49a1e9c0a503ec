//! Locks: who holds them, who waits.
//!
//! An order demands one or several locks at once and gets all of them or none. Whoever gets none waits in the line of
//! each demanded lock. There is no fairness: an order which comes later may overtake those which wait, when what it demands
//! is there. A demand without a count is exclusive and needs the whole lock free, whatever its limit.
//!
//! Relies on the events of an order being checked against its state before they are applied. A change of a limit below
//! what is in use revokes nothing.

use super::order_queue::OrderQueue;
use crate::decimal::Decimal;
use crate::expression::scope::unknown_key;
use crate::id::{LockPath, OrderId};
use crate::model::instruction::LockDemand;
use crate::model::item::Lock;
use crate::problem::{Checked, Problem};
use crate::value::Value;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

crate::json_union! {
    /// Who holds a lock.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub enum Acquired {
        /// Nobody.
        Available => "Available";
        /// One order, all of it.
        Exclusive => "Exclusive" {
            /// The order.
            order_id: OrderId => "orderId";
        };
        /// Orders which share it.
        NonExclusive => "NonExclusive" {
            /// The units of each.
            order_to_count: BTreeMap<OrderId, i32> => "orderToCount";
        };
    }
}

/// A higher priority waits further in front.
type Rank = Reverse<Decimal>;

/// A lock.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LockState {
    path: LockPath,
    limit: i32,
    acquired: Acquired,
    /// The sum of the counts of a shared lock.
    used: i64,
    queue: OrderQueue<Rank>,
}

/// What an order does at its demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockDecision {
    /// It gets all it demands.
    Acquire,
    /// It does not get all, and starts to wait.
    Queue,
    /// It waits already and goes on waiting.
    KeepWaiting,
}

impl LockState {
    /// A lock which nobody holds.
    #[must_use]
    pub fn new(lock: &Lock) -> Self {
        Self {
            path: lock.path.clone(),
            limit: lock.limit,
            acquired: Acquired::Available,
            used: 0,
            queue: OrderQueue::default(),
        }
    }

    /// A lock in a given state, with the orders which wait, first the one which came first.
    #[must_use]
    pub fn with(lock: &Lock, acquired: Acquired, queue: impl IntoIterator<Item = OrderId>) -> Self {
        let used = match &acquired {
            Acquired::NonExclusive { order_to_count } => order_to_count.values().copied().map(i64::from).sum(),
            Acquired::Available | Acquired::Exclusive { .. } => 0,
        };
        let mut state = Self { acquired, used, ..Self::new(lock) };
        for order_id in queue {
            state.queue.push(order_id, Reverse(Decimal::from(0)));
        }
        state
    }

    /// Who holds it.
    #[must_use]
    pub fn acquired(&self) -> &Acquired {
        &self.acquired
    }

    /// How many units there are.
    #[must_use]
    pub fn limit(&self) -> i32 {
        self.limit
    }

    /// The orders which wait, first the one which came first. Costs a sort, for display.
    pub fn queue(&self) -> impl Iterator<Item = &OrderId> {
        self.queue.by_arrival()
    }

    /// How many orders wait.
    #[must_use]
    pub fn queue_length(&self) -> usize {
        self.queue.len()
    }

    /// Whether the order can have `count` units, or with `None` the whole lock, now.
    #[must_use]
    pub fn is_available_for(&self, order_id: &OrderId, count: Option<i32>) -> bool {
        self.check_acquire(order_id, count).is_ok()
    }

    /// Gives the order `count` units, or with `None` the whole lock.
    ///
    /// # Errors
    /// A count below 1, the order already holds the lock, it is in use, or the limit would be exceeded.
    pub fn acquire(&mut self, order_id: &OrderId, count: Option<i32>) -> Checked<()> {
        self.check_acquire(order_id, count)?;
        self.take(order_id, count);
        Ok(())
    }

    /// Lets the order wait.
    ///
    /// # Errors
    /// The order or an ancestor already holds the lock, the order already waits, or the count exceeds the limit.
    pub fn enqueue(&mut self, order_id: &OrderId, count: Option<i32>) -> Checked<()> {
        self.check_enqueue(order_id, count)?;
        self.queue.push(order_id.clone(), Reverse(Decimal::from(0)));
        Ok(())
    }

    /// Takes back what the order holds.
    ///
    /// # Errors
    /// The order holds nothing.
    pub fn release(&mut self, order_id: &OrderId) -> Checked<()> {
        if self.give_back(order_id) {
            Ok(())
        } else {
            Err(Problem::new(format!("{self} has not been acquired by this order")))
        }
    }

    fn check_acquire(&self, order_id: &OrderId, count: Option<i32>) -> Checked<()> {
        self.check_not_holder(order_id)?;
        if let Some(count) = count
            && count < 1
        {
            return Err(Problem::new(format!("{self}: Invalid count={count} requested")));
        }
        match (&self.acquired, count) {
            (Acquired::Available, None) => Ok(()),
            (Acquired::Exclusive { .. }, _) | (Acquired::NonExclusive { .. }, None) => {
                Err(Problem::new(format!("{self} is in use")))
            }
            (Acquired::Available | Acquired::NonExclusive { .. }, Some(count)) => {
                if self.used.saturating_add(i64::from(count)) <= i64::from(self.limit) {
                    Ok(())
                } else {
                    Err(Problem::new(format!(
                        "{self}: count={count} plus alreadyAcquired={} would exceed limit={}",
                        self.used, self.limit
                    )))
                }
            }
        }
    }

    fn check_enqueue(&self, order_id: &OrderId, count: Option<i32>) -> Checked<()> {
        self.check_not_holder(order_id)?;
        if let Some(parent) = order_id.ancestors().find(|ancestor| self.is_held_by(ancestor)) {
            return Err(Problem::new(format!("{self} has already been acquired by parent Order:{parent}")));
        }
        if self.queue.contains(order_id) {
            return Err(Problem::new(format!("Order:{order_id} already queues for {self}")));
        }
        match count {
            Some(count) if count > self.limit => {
                Err(Problem::new(format!("Cannot fulfill lock count={count} with {self} limit={}", self.limit)))
            }
            _ => Ok(()),
        }
    }

    fn check_not_holder(&self, order_id: &OrderId) -> Checked<()> {
        if self.is_held_by(order_id) {
            return Err(Problem::new(format!("{self} has already been acquired by this order")));
        }
        Ok(())
    }

    fn is_held_by(&self, order_id: &OrderId) -> bool {
        match &self.acquired {
            Acquired::Available => false,
            Acquired::Exclusive { order_id: holder } => holder == order_id,
            Acquired::NonExclusive { order_to_count } => order_to_count.contains_key(order_id),
        }
    }

    /// The order gets it, whether or not there is enough: what was decided holds, also when the limit was lowered since.
    fn take(&mut self, order_id: &OrderId, count: Option<i32>) {
        self.queue.remove(order_id);
        match (count, &mut self.acquired) {
            (None, acquired) => *acquired = Acquired::Exclusive { order_id: order_id.clone() },
            (Some(count), Acquired::NonExclusive { order_to_count }) => {
                order_to_count.insert(order_id.clone(), count);
                self.used += i64::from(count);
            }
            (Some(count), acquired) => {
                *acquired = Acquired::NonExclusive { order_to_count: BTreeMap::from([(order_id.clone(), count)]) };
                self.used = i64::from(count);
            }
        }
    }

    fn give_back(&mut self, order_id: &OrderId) -> bool {
        match &mut self.acquired {
            Acquired::Available => false,
            Acquired::Exclusive { order_id: holder } => {
                let is_holder = holder == order_id;
                if is_holder {
                    self.acquired = Acquired::Available;
                }
                is_holder
            }
            Acquired::NonExclusive { order_to_count } => match order_to_count.remove(order_id) {
                None => false,
                Some(count) => {
                    self.used -= i64::from(count);
                    if order_to_count.is_empty() {
                        self.acquired = Acquired::Available;
                    }
                    true
                }
            },
        }
    }
}

impl core::fmt::Display for LockState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Lock:{}", self.path)
    }
}

/// All locks.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Locks {
    locks: BTreeMap<LockPath, LockState>,
    /// What each waiting order demands.
    waiting: BTreeMap<OrderId, Arc<[LockDemand]>>,
}

impl Locks {
    /// The state of a lock.
    #[must_use]
    pub fn get(&self, path: &LockPath) -> Option<&LockState> {
        self.locks.get(path)
    }

    /// All locks, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&LockPath, &LockState)> {
        self.locks.iter()
    }

    /// What an order does which demands these locks.
    ///
    /// # Errors
    /// A lock is unknown, the order holds one already; or when it would have to wait: an ancestor holds one, or a count
    /// exceeds the limit.
    pub fn decide(&self, order_id: &OrderId, demands: &[LockDemand]) -> Checked<LockDecision> {
        let mut is_available = true;
        for demand in demands {
            let lock = self.checked(&demand.lock_path)?;
            lock.check_not_holder(order_id)?;
            is_available &= lock.is_available_for(order_id, demand.count);
        }
        if is_available {
            return Ok(LockDecision::Acquire);
        }
        if self.waiting.contains_key(order_id) {
            return Ok(LockDecision::KeepWaiting);
        }
        for demand in demands {
            self.checked(&demand.lock_path)?.check_enqueue(order_id, demand.count)?;
        }
        Ok(LockDecision::Queue)
    }

    /// The waiting orders which can now have what they demand, by priority and arrival, each taking into account what those
    /// before it will take. To be asked, with the locks concerned, after locks have been released, a limit has been raised,
    /// an order has given up waiting, and also when an order named here stepped but goes on waiting. `may_step` tells
    /// whether an order could do anything at all.
    ///
    /// Costs as many looks as orders are found, besides those which still miss something while units are left.
    #[must_use]
    pub fn grantable<'a>(
        &'a self,
        paths: impl IntoIterator<Item = &'a LockPath>,
        may_step: &dyn Fn(&OrderId) -> bool,
    ) -> Vec<OrderId> {
        let mut granted = Grants::default();
        let mut found = Vec::new();
        for lock in paths.into_iter().filter_map(|path| self.locks.get(path)) {
            for order_id in lock.queue.iter() {
                if granted.exhaust(lock) {
                    break;
                }
                if let Some(demands) = self.waiting.get(order_id)
                    && !granted.orders.contains(order_id)
                    && demands.iter().all(|demand| granted.leave_room(self.locks.get(&demand.lock_path), demand.count))
                    && may_step(order_id)
                {
                    granted.add(order_id, demands);
                    found.push(order_id.clone());
                }
            }
        }
        found
    }

    /// The locks an order waits for, none when it does not wait.
    pub fn awaited_by(&self, order_id: &OrderId) -> impl Iterator<Item = &LockPath> {
        self.waiting.get(order_id).into_iter().flat_map(|demands| demands.iter().map(|demand| &demand.lock_path))
    }

    /// Adds a lock or changes its limit.
    pub fn put(&mut self, lock: &Lock) {
        match self.locks.get_mut(&lock.path) {
            Some(state) => state.limit = lock.limit,
            None => {
                self.locks.insert(lock.path.clone(), LockState::new(lock));
            }
        }
    }

    /// Deletes a lock. It is not in use: no workflow refers to it any more.
    pub fn delete(&mut self, path: &LockPath) {
        self.locks.remove(path);
    }

    /// `OrderLocksAcquired`.
    pub fn apply_acquired(&mut self, order_id: &OrderId, demands: &[LockDemand]) {
        self.apply_dequeued(order_id);
        for demand in demands {
            if let Some(lock) = self.locks.get_mut(&demand.lock_path) {
                lock.take(order_id, demand.count);
            }
        }
    }

    /// `OrderLocksQueued`, with the priority of the order.
    pub fn apply_queued(&mut self, order_id: &OrderId, demands: &[LockDemand], priority: &Decimal) {
        for demand in demands {
            if let Some(lock) = self.locks.get_mut(&demand.lock_path) {
                lock.queue.push(order_id.clone(), Reverse(priority.clone()));
            }
        }
        self.waiting.insert(order_id.clone(), demands.into());
    }

    /// `OrderLocksReleased`.
    pub fn apply_released(&mut self, order_id: &OrderId, paths: &[LockPath]) {
        for path in paths {
            if let Some(lock) = self.locks.get_mut(path) {
                lock.give_back(order_id);
            }
        }
    }

    /// The order waits no more, without having got anything (`OrderStateReset`). No effect if it does not wait.
    pub fn apply_dequeued(&mut self, order_id: &OrderId) {
        for demand in self.waiting.remove(order_id).iter().flat_map(|demands| demands.iter()) {
            if let Some(lock) = self.locks.get_mut(&demand.lock_path) {
                lock.queue.remove(order_id);
            }
        }
    }

    /// `OrderPriorityChanged`. No effect if the order does not wait.
    pub fn apply_priority(&mut self, order_id: &OrderId, priority: &Decimal) {
        for demand in self.waiting.get(order_id).iter().flat_map(|demands| demands.iter()) {
            if let Some(lock) = self.locks.get_mut(&demand.lock_path) {
                lock.queue.change_rank(order_id, Reverse(priority.clone()));
            }
        }
    }

    /// The snapshot form of a lock: who holds it and who waits.
    #[must_use]
    pub fn to_json(&self, path: &LockPath) -> Option<Value> {
        let lock = self.locks.get(path)?;
        Some(Value::object([
            ("TYPE", "LockState".into()),
            ("lockPath", Value::string(path.as_str())),
            ("acquired", crate::json::Json::write(&lock.acquired)),
            ("queue", Value::list(lock.queue().map(|order_id| Value::string(order_id.as_str())))),
        ]))
    }

    /// What must hold at any time; else what does not.
    ///
    /// # Errors
    /// An index disagrees with what it was made of.
    pub fn check(&self) -> Checked<()> {
        for (path, lock) in &self.locks {
            let used = LockState::with(
                &Lock { path: path.clone(), limit: lock.limit, item_revision: None },
                lock.acquired.clone(),
                [],
            )
            .used;
            let is_waiting = |order_id: &OrderId| {
                self.waiting.get(order_id).is_some_and(|demands| demands.iter().any(|demand| demand.lock_path == *path))
            };
            if used != lock.used || !lock.queue.is_consistent() || !lock.queue.iter().all(is_waiting) {
                return Err(Problem::new(format!("{lock}: count or line is inconsistent")));
            }
        }
        Ok(())
    }

    fn checked(&self, path: &LockPath) -> Checked<&LockState> {
        self.locks.get(path).ok_or_else(|| unknown_key("LockPath", &format!("Lock:{path}")))
    }
}

/// What will have been taken when those who were found have stepped.
#[derive(Default)]
struct Grants<'a> {
    orders: BTreeSet<&'a OrderId>,
    counts: BTreeMap<&'a LockPath, i64>,
    exclusive: BTreeSet<&'a LockPath>,
}

impl<'a> Grants<'a> {
    fn add(&mut self, order_id: &'a OrderId, demands: &'a [LockDemand]) {
        self.orders.insert(order_id);
        for demand in demands {
            match demand.count {
                None => {
                    self.exclusive.insert(&demand.lock_path);
                }
                Some(count) => *self.counts.entry(&demand.lock_path).or_default() += i64::from(count),
            }
        }
    }

    /// Units in use, `None` when all of the lock is held by one order.
    fn used(&self, lock: &LockState) -> Option<i64> {
        if matches!(lock.acquired, Acquired::Exclusive { .. }) || self.exclusive.contains(&lock.path) {
            return None;
        }
        Some(lock.used + self.counts.get(&lock.path).copied().unwrap_or_default())
    }

    fn exhaust(&self, lock: &LockState) -> bool {
        // A free lock can be had as a whole, even with the limit 0.
        self.used(lock).is_none_or(|used| used > 0 && used >= i64::from(lock.limit))
    }

    fn leave_room(&self, lock: Option<&LockState>, count: Option<i32>) -> bool {
        let Some((lock, used)) = lock.and_then(|lock| Some((lock, self.used(lock)?))) else { return false };
        match count {
            None => used == 0,
            Some(count) => used.saturating_add(i64::from(count)) <= i64::from(lock.limit),
        }
    }
}

#[cfg(test)]
mod tests;
