//! What everybody shares and is divided: places, reads of a snapshot, rates, buffers.

pub mod buffers;
pub mod gauges;
pub mod pool;
pub mod reads;
pub mod throttle;
