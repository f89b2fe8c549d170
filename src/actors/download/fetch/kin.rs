//! Takes units from other unfinished transfers, beside the download: read, proven, written like units that came.
//! Nobody is to blame for what does not prove; it is fetched.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::FetchContext;
use crate::logic::transfer::Input;

/// Bytes that are held, and written together: the largest unit, or many small ones.
const STEP: u64 = 4 << 20;

/// Goes through the claimed units in order.
pub(crate) async fn from_kin(context: Arc<FetchContext>, units: Vec<u32>) {
    let mut rest = &units[..];
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(together(&context, rest));
        rest = after;
        // The permit: whoever waits for all writes waits for this one.
        let Ok(permit) = Arc::clone(&context.writers).acquire_owned().await else { return };
        let (context, piece) = (Arc::clone(&context), piece.to_vec());
        let taken = spawn_blocking(move || {
            let _permit = permit;
            context.take(&piece)
        });
        if !taken.await.unwrap_or(false) {
            return;
        }
    }
}

/// How many of the first units make up a step; at least one.
fn together(context: &FetchContext, units: &[u32]) -> usize {
    let mut bytes = 0;
    let within = units.iter().take_while(|unit| {
        bytes += context.wanted.map.len(**unit);
        bytes <= STEP
    });
    within.count().max(1)
}

impl FetchContext {
    /// False when the disk refuses. Blocks on it.
    fn take(&self, units: &[u32]) -> bool {
        let mut proven = Vec::new();
        for place in units.iter().filter_map(|unit| self.wanted.map.place(*unit)) {
            match self.source.read_kin(place).ok().filter(|bytes| self.source.proves(place, bytes)) {
                Some(bytes) => proven.push((place, bytes)),
                None => self.tell(Input::Unproven { unit: place.unit }),
            }
        }
        if let Err(error) = self.source.store(&proven) {
            self.disk_failed(error);
            return false;
        }
        proven.iter().for_each(|(place, _)| self.tell(Input::Verified { units: place.unit..place.unit + 1 }));
        true
    }
}
