//! Runs the worlds of many seeds on all cores, until one of them finds something or all are done.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Lets `pass` run for each seed on so many threads, and hands over what it shows, in any order. `take` says whether to go on.
pub fn run<S: Send>(
    seeds: Range<u64>,
    threads: usize,
    pass: impl Fn(u64) -> S + Sync,
    take: impl FnMut(u64, S) -> bool + Send,
) {
    let (next, stop, take) = (AtomicU64::new(seeds.start), AtomicBool::new(false), Mutex::new(take));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let shown = pass(seed);
                    let Ok(mut take) = take.lock() else { return };
                    if !take(seed, shown) {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

/// How many threads can run at once.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
