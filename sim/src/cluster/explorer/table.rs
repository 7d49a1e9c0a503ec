//! The parts that states are made of: each is kept once, and known by a number. Threads share them; who reads does not wait.

use super::super::digest::{Folding, hash_of};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// So many parts are in one block.
const BLOCK: usize = 1 << 12;

/// So many blocks there may be.
const BLOCKS: usize = 1 << 13;

/// So many threads may add parts at the same time.
const SHARDS: usize = 16;

type Shard<T> = HashMap<Key<T>, u32, BuildHasherDefault<Folding>>;

/// Parts of one kind.
#[derive(Debug)]
pub(super) struct Table<T> {
    numbers: [Mutex<Shard<T>>; SHARDS],
    blocks: Vec<OnceLock<Vec<OnceLock<Arc<T>>>>>,
    count: AtomicU32,
}

#[derive(Debug)]
struct Key<T> {
    hash: u64,
    value: Arc<T>,
}

impl<T: Eq> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.value == other.value
    }
}

impl<T: Eq> Eq for Key<T> {}

impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<T: Hash + Eq> Table<T> {
    pub(super) fn new() -> Self {
        Self {
            numbers: std::array::from_fn(|_| Mutex::default()),
            blocks: (0..BLOCKS).map(|_| OnceLock::new()).collect(),
            count: AtomicU32::new(0),
        }
    }

    /// The number of a part, which is a new one if there is none that is equal.
    pub(super) fn number(&self, value: T) -> u32 {
        let key = Key { hash: hash_of(&value), value: Arc::new(value) };
        let mut numbers = self.numbers[key.hash as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbers.get(&key) {
            return *number;
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let (block, place) = (number as usize / BLOCK, number as usize % BLOCK);
        let block = self.blocks[block].get_or_init(|| (0..BLOCK).map(|_| OnceLock::new()).collect());
        let is_new = block[place].set(key.value.clone()).is_ok();
        assert!(is_new, "each number is given once");
        numbers.insert(key, number);
        number
    }

    /// The part with a number that was given.
    pub(super) fn get(&self, number: u32) -> &T {
        let (block, place) = (number as usize / BLOCK, number as usize % BLOCK);
        let part = self.blocks[block].get().and_then(|block| block[place].get());
        part.unwrap_or_else(|| panic!("nothing has the number {number}"))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed) as usize
    }
}
