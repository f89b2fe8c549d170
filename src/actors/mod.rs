//! Ownership and concurrency: who owns which state, and the messages that change it.

pub mod index;
