//! Every limit of the protocol, with its derivation. Sizes in bytes.

use crate::model::Provider;

/// The ALPN protocol name; its number is the protocol's version.
pub const ALPN: &[u8] = b"qshare/1";
/// The ALPN of a dial-back: the connection serves only to see who answers, and carries Welcome alone.
pub const PROBE_ALPN: &[u8] = b"qshare-probe/1";
/// The ALPN of a side connection: one more between two nodes that have a link, for requests of whoever dialled it.
pub const SIDE_ALPN: &[u8] = b"qshare-side/1";
/// The ALPN of the control socket, where the commands of a home speak to its running node.
pub const CONTROL_ALPN: &[u8] = b"qshare-control/1";
/// What commands and the running node of a home say to each other beyond what is fixed for ever; raised with each change of it.
pub const CONTROL_VERSION: u16 = 6;
/// The version that Welcome carries; raised when a node wants to say that it can do more within one ALPN.
pub const VERSION: u16 = 7;
/// The version of a neighbour that does not say it: since 3 they do.
pub const UNTOLD: u16 = 2;

/// The cap of a control frame: requests, answers, events.
pub const CONTROL: usize = 64 << 10;
/// The cap of a page: lists of hits, offers, peers.
pub const PAGE: usize = 1 << 20;
/// What a sender fills a page to: an entry is at most a name of 4 KiB with its ids.
pub const PAGE_FILL: usize = PAGE - (64 << 10);

/// How deep a message may nest.
pub const DEPTH: usize = 32;

/// Bidirectional streams that a peer may have open on one connection.
pub const STREAMS: u32 = 64;
/// Side connections that one node may have to another at a time.
pub const SIDES: usize = 7;
/// The most ranges of units in one Fetch; with the rest of the request they fit in a control frame.
pub const FETCH_RANGES: usize = 256;
/// The most units that one Fetch may accept.
pub const FETCH_UNITS: u32 = 4096;
/// The most ranges of units in one Have event.
pub const HAVE_RANGES: usize = 4096;
/// The most candidate addresses that a node announces.
pub const CANDIDATES: usize = 4;
/// The most addresses that are told of one provider.
pub const ADDRESSES: usize = Provider::MAX_ADDRESSES;
/// Hits in one page at most.
pub const HITS: u32 = 200;
/// Hits, and nodes, in one Found frame at most: no query gets more of all branches together.
pub const FOUND: usize = 400;
/// Entries of any other list of a page at most: as many as a full page has of the shortest that are sent, names of ten
/// bytes. Beside the cap in bytes, since an entry of one byte would be a hundred times larger in memory.
pub const ENTRIES: usize = 65_536;
/// Nodes that a Follow event says to have joined at most, since no follower is told of more at a time.
pub const JOINED: usize = crate::model::Hit::MAX_PROVIDERS;
/// Files of [`crate::wire::LeftOut`] at most.
pub const LEFT_OUT: usize = 8;
/// Contents of one Put at most: each is a transfer.
pub const PUT_ITEMS: usize = 64;
/// Bytes of their names together at most; with their ids they fit in a control frame.
pub const PUT_NAMES: usize = 4 << 10;
/// Bytes of its text at most.
pub const PUT_TEXT: usize = 4 << 10;
/// Other receivers that it names at most.
pub const PUT_RECEIVERS: usize = 16;
/// Over how many links a query may travel at most, whatever its TTL says. Seven links of eight neighbours each are more
/// nodes than any network of this kind has.
pub const TTL: u8 = 7;
