//! How much of what is bounded is in use, for its owner to see.

use std::sync::Arc;

use super::buffers::BufferPool;
use super::pool::Pool;

/// How much is in use, and of how much.
type Read = Arc<dyn Fn() -> (usize, usize) + Send + Sync>;

/// What is bounded, each with some words.
#[derive(Clone, Default)]
pub struct Gauges(Vec<(&'static str, Read)>);

impl Gauges {
    /// Adds a pool.
    pub fn pool(&mut self, name: &'static str, pool: &Pool) {
        let pool = pool.clone();
        self.0.push((name, Arc::new(move || pool.used())));
    }

    /// Adds buffers.
    pub fn buffers(&mut self, name: &'static str, buffers: &BufferPool) {
        let buffers = buffers.clone();
        self.0.push((name, Arc::new(move || buffers.used())));
    }

    /// Each with how much of it is in use now, and of how much.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, (usize, usize))> {
        self.0.iter().map(|(name, read)| (*name, read()))
    }
}
