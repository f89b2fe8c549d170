//! How much the directory holds at most, and who gives way: the biggest user first, its ordinary names before its
//! collections and top names.

use std::time::Duration;

use super::{Amount, Directory, Touched, listing, touch};
use crate::model::NodeId;

/// Limits of the directory; the defaults are the design's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Offers of one node.
    pub names_per_node: u64,
    /// Offers of all nodes.
    pub names: u64,
    /// Bytes of memory for all of it.
    pub bytes: u64,
    /// Nodes.
    pub nodes: usize,
    /// Transfers in which one node takes part.
    pub parts_per_node: usize,
    /// Followers of all contents.
    pub follows: usize,
    /// How long a node is believed without hearing from it.
    pub lease: Duration,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            names_per_node: 200_000,
            names: 500_000,
            bytes: 128 << 20,
            nodes: 50_000,
            parts_per_node: 4096,
            follows: 20_000,
            lease: Duration::from_secs(60),
        }
    }
}

/// What a lease, its listing and its addresses take.
const NODE: u64 = 1024;
/// What a part takes in its set, whose nodes are half full at least.
const PART: u64 = 112;
/// Of the memory so much at most is for parts, and of what is free of that so much for one node: whoever takes part in many
/// transfers leaves room for the others, however many such there are.
const PARTS_OF_ALL: u64 = 4;
const PARTS_OF_FREE: usize = 8;
/// The fewest names, and bytes, that are cut at once: equals take turns in steps of this.
const STEP: Amount = Amount { names: 256, bytes: 64 << 10 };

impl Directory {
    /// Cuts until all quotas hold. How many offers of `node` were cut.
    pub(super) fn trim(&mut self, node: NodeId, touched: &mut Touched) -> u64 {
        let mut own = 0;
        while let Some((biggest, want)) = self.next_cut() {
            let Some(listing) = listing(&mut self.snapshot, biggest) else { break };
            let cut = listing.offers.cut(want, &mut |offer| touch(&self.follows, biggest, offer, touched));
            if cut.is_none() {
                break;
            }
            self.total.subtract(cut);
            if biggest == node {
                own += cut.names;
            }
        }
        own
    }

    /// Who has to give what: no more than to the size of the second biggest, or a step.
    fn next_cut(&self) -> Option<(NodeId, Amount)> {
        let over_names = self.total.names.saturating_sub(self.quotas.names);
        let over_bytes = self.used_bytes().saturating_sub(self.quotas.bytes);
        if over_names > 0 {
            let (node, lead) = self.biggest(|amount| amount.names)?;
            return Some((node, Amount { names: over_names.min(lead.max(STEP.names)), bytes: 0 }));
        }
        if over_bytes > 0 {
            let (node, lead) = self.biggest(|amount| amount.bytes)?;
            return Some((node, Amount { names: 0, bytes: over_bytes.min(lead.max(STEP.bytes)) }));
        }
        None
    }

    /// The biggest user by a measure, and by how much it leads.
    fn biggest(&self, measure: impl Fn(Amount) -> u64) -> Option<(NodeId, u64)> {
        let mut best = None;
        let mut second = 0;
        for (node, listing) in self.snapshot.nodes.iter() {
            let size = measure(listing.offers.all());
            match best {
                Some((_, most)) if size <= most => second = second.max(size),
                _ => {
                    second = best.map_or(0, |(_, most)| most);
                    best = Some((*node, size));
                }
            }
        }
        best.map(|(node, size)| (node, size - second))
    }

    /// In how many transfers one node may take part now.
    pub(super) fn parts_of_a_node(&self) -> usize {
        let all = usize::try_from(self.quotas.bytes / PARTS_OF_ALL / PART).unwrap_or(usize::MAX);
        self.quotas.parts_per_node.min(all.saturating_sub(self.parts).div_ceil(PARTS_OF_FREE))
    }

    fn used_bytes(&self) -> u64 {
        self.total.bytes + self.parts as u64 * PART + self.snapshot.nodes.len() as u64 * NODE
    }
}
