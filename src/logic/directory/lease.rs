//! Announcements, and the lease that each begins.

use std::net::IpAddr;
use std::time::Duration;

use crate::model::{Epoch, NodeId};

/// Which announcement: of a node, in an epoch, with a number.
#[derive(Debug, Clone, Copy)]
pub struct AnnouncementId {
    /// Whose.
    pub node: NodeId,
    /// Of which process.
    pub epoch: Epoch,
    /// Which one.
    pub seq: u64,
}

/// How an announcement was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Offers of the node that the directory holds now.
    pub taken: u64,
    /// Offers of the node that were cut during the announcement.
    pub refused: u64,
    /// Until the lease ends without renewal.
    pub lease: Duration,
}

/// How long a node is believed, and which announcement was its last.
#[derive(Debug)]
pub(super) struct Lease {
    /// From where it announced last.
    pub(super) network: IpAddr,
    pub(super) epoch: Epoch,
    /// The last announcement that was taken to its end.
    pub(super) seq: Option<u64>,
    /// The announcement that is being taken.
    pub(super) open: Option<u64>,
    pub(super) refused: u64,
    pub(super) ends: Duration,
}
