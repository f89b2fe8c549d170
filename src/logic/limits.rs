//! How much of something anybody may have: shares, slots, rates, tries.

pub mod back_off;
pub mod bucket;
pub mod inbox;
pub mod jobs;
pub mod line;
pub mod meter;
pub mod regain;
pub mod shares;
pub mod slots;
pub mod spread;
pub mod turns;
pub mod vain;
