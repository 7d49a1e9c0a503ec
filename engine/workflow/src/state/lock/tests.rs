//! Locks are given to who demands them first, all or none, and given back.

use super::*;

fn id(text: &str) -> OrderId {
    OrderId::new(text)
}

fn demand(path: &str, count: Option<i32>) -> LockDemand {
    LockDemand { lock_path: LockPath::new(path), count }
}

fn locks(limits: &[(&str, i32)]) -> Locks {
    let mut locks = Locks::default();
    for (path, limit) in limits {
        locks.put(&Lock { path: LockPath::new(path), limit: *limit, item_revision: None });
    }
    locks
}

/// Does what an order does at its demand.
fn step(locks: &mut Locks, order: &str, demands: &[LockDemand]) -> LockDecision {
    let decision = locks.decide(&id(order), demands).unwrap();
    match decision {
        LockDecision::Acquire => locks.apply_acquired(&id(order), demands),
        LockDecision::Queue => locks.apply_queued(&id(order), demands, &Decimal::from(0)),
        LockDecision::KeepWaiting => {}
    }
    locks.check().unwrap();
    decision
}

fn grantable(locks: &Locks, path: &str) -> Vec<OrderId> {
    locks.grantable([&LockPath::new(path)], &|_| true)
}

fn message<T: core::fmt::Debug>(result: Checked<T>) -> alloc::string::String {
    result.unwrap_err().message
}

#[test]
fn refuses_what_can_never_be() {
    let mut locks = locks(&[("L", 1), ("M", 3)]);
    let all = [demand("L", None)];
    assert_eq!(message(locks.decide(&id("A"), &[demand("X", None)])), "Unknown LockPath: Lock:X");
    let too_much = locks.decide(&id("A"), &[demand("M", Some(4))]);
    assert_eq!(message(too_much), "Cannot fulfill lock count=4 with Lock:M limit=3");
    step(&mut locks, "A", &all);
    assert_eq!(message(locks.decide(&id("A"), &all)), "Lock:L has already been acquired by this order");
    let by_grandchild = locks.decide(&id("A|B|C"), &all);
    assert_eq!(message(by_grandchild), "Lock:L has already been acquired by parent Order:A");
    // While units are left, a child may share a lock with its parent.
    step(&mut locks, "P", &[demand("M", Some(1))]);
    assert_eq!(step(&mut locks, "P|C", &[demand("M", Some(2))]), LockDecision::Acquire);
}

#[test]
fn gives_all_demanded_locks_or_none() {
    let mut locks = locks(&[("L", 1), ("M", 1)]);
    let both = [demand("L", None), demand("M", None)];
    step(&mut locks, "A", &[demand("L", None)]);
    assert_eq!(step(&mut locks, "B", &both), LockDecision::Queue);
    assert_eq!(step(&mut locks, "C", &[demand("M", None)]), LockDecision::Acquire);
    assert_eq!(locks.get(&LockPath::new("M")).unwrap().queue().collect::<Vec<_>>(), [&id("B")]);
    locks.apply_released(&id("A"), &[LockPath::new("L")]);
    assert_eq!(grantable(&locks, "L"), []);
    assert_eq!(step(&mut locks, "B", &both), LockDecision::KeepWaiting);
    locks.apply_released(&id("C"), &[LockPath::new("M")]);
    assert_eq!(grantable(&locks, "M"), [id("B")]);
    assert_eq!(step(&mut locks, "B", &both), LockDecision::Acquire);
    assert_eq!(locks.get(&LockPath::new("M")).unwrap().queue_length(), 0);
}

#[test]
fn grants_in_order_of_priority_while_units_are_left() {
    let mut locks = locks(&[("L", 3)]);
    step(&mut locks, "X", &[demand("L", None)]);
    for (order, count) in [("A", Some(2)), ("B", Some(2)), ("C", Some(1)), ("D", Some(1)), ("E", None)] {
        assert_eq!(step(&mut locks, order, &[demand("L", count)]), LockDecision::Queue);
    }
    assert_eq!(grantable(&locks, "L"), []);
    locks.apply_released(&id("X"), &[LockPath::new("L")]);
    assert_eq!(grantable(&locks, "L"), [id("A"), id("C")]);
    locks.apply_priority(&id("D"), &Decimal::from(1));
    assert_eq!(grantable(&locks, "L"), [id("D"), id("A")]);
    locks.apply_priority(&id("E"), &Decimal::from(2));
    assert_eq!(grantable(&locks, "L"), [id("E")]);
    assert_eq!(locks.grantable([&LockPath::new("L")], &|order| *order != id("E")), [id("D"), id("A")]);
    locks.apply_dequeued(&id("E"));
    locks.check().unwrap();
    assert_eq!(grantable(&locks, "L"), [id("D"), id("A")]);
}

#[test]
fn ignores_the_limit_for_an_exclusive_demand() {
    let mut locks = locks(&[("L", 0)]);
    assert_eq!(step(&mut locks, "A", &[demand("L", None)]), LockDecision::Acquire);
    assert_eq!(step(&mut locks, "B", &[demand("L", None)]), LockDecision::Queue);
    locks.apply_released(&id("A"), &[LockPath::new("L")]);
    assert_eq!(grantable(&locks, "L"), [id("B")]);
}

#[test]
fn revokes_nothing_when_the_limit_is_lowered() {
    let mut locks = locks(&[("L", 2)]);
    step(&mut locks, "A", &[demand("L", Some(2))]);
    locks.put(&Lock { path: LockPath::new("L"), limit: 1, item_revision: None });
    assert_eq!(step(&mut locks, "B", &[demand("L", Some(1))]), LockDecision::Queue);
    locks.apply_released(&id("A"), &[LockPath::new("L")]);
    assert_eq!(grantable(&locks, "L"), [id("B")]);
}

#[test]
fn survives_an_image() {
    let mut locks = locks(&[("L", 2)]);
    step(&mut locks, "A", &[demand("L", Some(2))]);
    step(&mut locks, "B", &[demand("L", None)]);
    let bytes = bincode::serde::encode_to_vec(&locks, bincode::config::standard()).unwrap();
    let (image, _): (Locks, _) = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap();
    assert_eq!(image, locks);
}
