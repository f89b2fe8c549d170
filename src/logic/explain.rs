//! Where a transfer's time went, and what limited it.
//! Invariant: the shares add up to the whole. Time that several causes had at once is divided by how long each held
//! up a stream; it is an account of what was waited for, not of what would have been faster without it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::NodeId;

/// What was measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// From the start to the first choice of what to fetch.
    pub looking: Duration,
    /// Dialling, reading lists and manifests.
    pub connecting: Duration,
    /// Hashing what was there, or waiting for a provider to hash.
    pub comparing: Duration,
    /// Fetching, from the first request to the last proof.
    pub fetching: Duration,
    /// Of fetching: nothing was asked of anybody.
    pub idle: Duration,
    /// Syncing and publishing.
    pub finishing: Duration,
    /// What each provider's streams waited for, summed over its streams.
    pub streams: Vec<(NodeId, Waits)>,
    /// Hashing, summed over threads.
    pub hashed: Duration,
    /// Writing, summed over threads.
    pub written: Duration,
    /// How long the busiest thread that moves packets worked while fetching.
    pub busy: Duration,
}

/// What streams waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Waits {
    /// Bytes that were not there yet.
    pub bytes: Duration,
    /// Room: what came before was still being hashed and written.
    pub room: Duration,
    /// The limit that the user set.
    pub limit: Duration,
}

/// One cause of time that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cause {
    /// Looking for who has it.
    Looking,
    /// Dialling, lists, manifests.
    Connecting,
    /// Comparing with what was there.
    Comparing,
    /// Nobody could be asked.
    NoProvider,
    /// A provider's upload, or the path from it.
    Provider(NodeId),
    /// Our own network: receiving and decrypting.
    Network,
    /// Our own hashing.
    Hashing,
    /// Our own disk.
    Disk,
    /// The limit that the user set.
    Limit,
    /// Syncing and publishing.
    Finishing,
}

impl Cause {
    /// The word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Looking => "looking",
            Self::Connecting => "connecting",
            Self::Comparing => "comparing",
            Self::NoProvider => "no_provider",
            Self::Provider(_) => "provider",
            Self::Network => "network",
            Self::Hashing => "hashing",
            Self::Disk => "disk",
            Self::Limit => "limit",
            Self::Finishing => "finishing",
        }
    }
}

/// A cause with its part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// What.
    pub cause: Cause,
    /// How long.
    pub time: Duration,
    /// Thousandths of the whole; those of all shares add up to 1000.
    pub permille: u32,
}

/// The account, the largest share first; causes that took no time are left out. Empty when no time passed.
pub fn account(spent: &Spent) -> Vec<Share> {
    let mut parts = vec![
        (Cause::Looking, spent.looking.as_nanos()),
        (Cause::Connecting, spent.connecting.as_nanos()),
        (Cause::Comparing, spent.comparing.as_nanos()),
        (Cause::Finishing, spent.finishing.as_nanos()),
    ];
    let idle = spent.idle.min(spent.fetching);
    parts.push((Cause::NoProvider, idle.as_nanos()));
    divide((spent.fetching - idle).as_nanos(), &weights(spent), &mut parts);
    parts.retain(|(_, time)| *time > 0);
    parts.sort_by_key(|(cause, time)| (u128::MAX - time, *cause));
    let permilles = portions(&parts.iter().map(|(_, time)| *time).collect::<Vec<_>>(), 1000);
    let share = |((cause, time), permille)| Share { cause, time: nanos(time), permille };
    parts.into_iter().zip(permilles).map(share).collect()
}

/// What streams were held up by. Waiting for bytes while the network thread was at work is the network's: the bytes
/// had come, but nobody had looked at them yet.
fn weights(spent: &Spent) -> Vec<(Cause, u128)> {
    let busy = spent.busy.min(spent.fetching).as_nanos();
    let whole = spent.fetching.as_nanos().max(1);
    let working = spent.hashed.as_nanos() + spent.written.as_nanos();
    let (mut network, mut room, mut limit, mut weights) = (0, 0, 0, Vec::new());
    for (node, waits) in &spent.streams {
        let ours = waits.bytes.as_nanos() * busy / whole;
        weights.push((Cause::Provider(*node), waits.bytes.as_nanos() - ours));
        network += ours;
        room += waits.room.as_nanos();
        limit += waits.limit.as_nanos();
    }
    let hashing = (room * spent.hashed.as_nanos()).checked_div(working).unwrap_or(0);
    weights.extend([
        (Cause::Network, network),
        (Cause::Hashing, hashing),
        (Cause::Disk, room - hashing),
        (Cause::Limit, limit),
    ]);
    weights
}

/// Divides a time by weights; without any it was the network that nothing was seen of.
fn divide(time: u128, weights: &[(Cause, u128)], parts: &mut Vec<(Cause, u128)>) {
    let total: u128 = weights.iter().map(|(_, weight)| weight).sum();
    let mut rest = time;
    for (cause, weight) in weights {
        let part = (time * weight).checked_div(total).unwrap_or(0);
        rest -= part;
        parts.push((*cause, part));
    }
    // Nanoseconds lost to rounding, or all of it.
    match parts.iter_mut().find(|(cause, _)| *cause == Cause::Network) {
        Some((_, part)) => *part += rest,
        None => parts.push((Cause::Network, rest)),
    }
}

/// So many of `whole` parts to each as it has of the sum; what rounding down leaves goes to those that lost most by it, so that
/// they add up. Nothing where the sum is nothing.
pub fn portions(parts: &[u128], whole: u32) -> Vec<u32> {
    let (total, whole) = (parts.iter().sum::<u128>().max(1), u128::from(whole));
    let lost = |part: u128| part * whole % total;
    let mut rounded: Vec<u32> = parts.iter().map(|part| (part * whole / total) as u32).collect();
    let left = parts.iter().map(|part| lost(*part)).sum::<u128>() / total;
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| u128::MAX - lost(parts[*index]));
    order.into_iter().zip(0..left).for_each(|(index, _)| rounded[index] += 1);
    rounded
}

fn nanos(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn waits(bytes: u64, room: u64, limit: u64) -> Waits {
        let [bytes, room, limit] = [bytes, room, limit].map(Duration::from_millis);
        Waits { bytes, room, limit }
    }

    fn permille_of(account: &[Share], cause: Cause) -> u32 {
        account.iter().find(|share| share.cause == cause).map_or(0, |share| share.permille)
    }

    #[test]
    fn a_slow_provider_is_what_its_streams_waited_for() {
        let streams = vec![(node(1), waits(3900, 0, 0)), (node(2), waits(100, 0, 0))];
        let spent = Spent { fetching: SECOND, streams, busy: SECOND / 10, ..Spent::default() };
        let account = account(&spent);
        assert_eq!(account[0].cause, Cause::Provider(node(1)));
        assert_eq!(permille_of(&account, Cause::Network), 100);
        assert!((870..=880).contains(&account[0].permille), "{account:?}");
    }

    #[test]
    fn waiting_for_room_is_the_disks_and_the_hashings_by_their_work() {
        let streams = vec![(node(1), waits(0, 2000, 0))];
        let (hashed, written) = (SECOND / 4, SECOND * 3 / 4);
        let spent = Spent { fetching: SECOND, streams, hashed, written, ..Spent::default() };
        let account = account(&spent);
        assert_eq!((permille_of(&account, Cause::Disk), permille_of(&account, Cause::Hashing)), (750, 250));
    }

    #[test]
    fn the_users_limit_and_time_without_anybody_are_told_apart() {
        let streams = vec![(node(1), waits(0, 0, 500))];
        let spent = Spent { fetching: SECOND, idle: SECOND / 2, streams, finishing: SECOND, ..Spent::default() };
        let account = account(&spent);
        let causes: Vec<_> = account.iter().map(|share| (share.cause, share.permille)).collect();
        assert_eq!(causes, [(Cause::Finishing, 500), (Cause::NoProvider, 250), (Cause::Limit, 250)]);
    }

    #[test]
    fn nothing_has_no_account() {
        assert!(account(&Spent::default()).is_empty());
    }

    proptest! {
        #[test]
        fn the_shares_add_up(
            walls in prop::array::uniform6(0..10_000_000_000_u64),
            streams in prop::collection::vec(prop::array::uniform3(0..100_000_u64), 0..5),
            work in prop::array::uniform3(0..20_000_000_000_u64),
        ) {
            let [looking, connecting, comparing, fetching, idle, finishing] = walls.map(Duration::from_nanos);
            let [hashed, written, busy] = work.map(Duration::from_nanos);
            let streams = streams.iter().zip(1..).map(|(w, n)| (node(n), waits(w[0], w[1], w[2]))).collect();
            let spent = Spent {
                looking, connecting, comparing, fetching, idle, finishing, streams, hashed, written, busy,
            };
            let account = account(&spent);
            let whole = looking + connecting + comparing + fetching + finishing;
            prop_assert_eq!(account.iter().map(|share| share.time).sum::<Duration>(), whole);
            if whole > Duration::ZERO {
                prop_assert_eq!(account.iter().map(|share| share.permille).sum::<u32>(), 1000);
            }
        }
    }
}
