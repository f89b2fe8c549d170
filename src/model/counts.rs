//! How often there is each of some things. Invariant: what there is none of is not in such a map.

use std::collections::HashMap;
use std::hash::Hash;

/// Takes so many of a thing away; whether those were the last.
pub(crate) fn take_away<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K, amount: usize) -> bool {
    let Some(count) = counts.get_mut(key) else { return false };
    *count = count.saturating_sub(amount);
    let were_last = *count == 0;
    if were_last {
        counts.remove(key);
    }
    were_last
}
