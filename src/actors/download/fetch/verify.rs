//! Hashes again, from the disk, what an earlier run claims, beside the download. Nobody is to blame for a mismatch.

use std::ops::Range;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::FetchContext;
use crate::logic::transfer::Input;
use crate::model::Bitfield;

/// Bytes between two messages.
const STEP: u64 = 16 << 20;

/// Goes through all claimed units in order.
pub(crate) async fn verify(context: Arc<FetchContext>, claimed: Bitfield) {
    for range in claimed.ranges() {
        let mut next = range.start;
        while next < range.end {
            let piece = piece(&context, next..range.end);
            next = piece.end;
            let context = Arc::clone(&context);
            if spawn_blocking(move || context.verify(piece)).await.is_err() {
                return;
            }
        }
    }
}

fn piece(context: &FetchContext, range: Range<u32>) -> Range<u32> {
    let (mut end, mut bytes) = (range.start, 0);
    while end < range.end && bytes < STEP {
        bytes += context.wanted.map.len(end);
        end += 1;
    }
    range.start..end
}

impl FetchContext {
    /// Blocks on the disk.
    fn verify(&self, units: Range<u32>) {
        let proves = |place| self.source.read_back(place).is_ok_and(|bytes| self.source.proves(place, &bytes));
        let right = |unit: &u32| self.wanted.map.place(*unit).is_some_and(proves);
        let (good, bad): (Vec<u32>, Vec<u32>) = units.clone().partition(right);
        self.source.add(good);
        bad.into_iter().for_each(|unit| self.tell(Input::Unproven { unit }));
        // What was told as unproven is not verified by this.
        self.tell(Input::Verified { units });
    }
}
