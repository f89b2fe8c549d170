//! Values without I/O: ids, hashes, layouts, bitfields, queries, safe paths.
//! Everything here is a plain value with one way to be made; nothing here waits, reads or prints.

pub mod address;
pub mod collection;
pub mod content;
pub(crate) mod counts;
pub mod friend;
pub mod id;
pub mod list;
pub mod obstacle;
pub mod offer;
pub mod plane;
pub mod query;
pub mod rate;
pub mod safe_path;
pub mod text;
pub mod units;

pub use address::PeerTarget;
pub use collection::Collection;
pub use content::{Content, Wanted};
pub use friend::{Friend, FriendName, Friends};
pub use id::{ContentId, Epoch, NodeId, PutId, QueryId};
pub use obstacle::{Cause, Obstacle};
pub use offer::audience::{Asker, Audience};
pub use offer::modified::Modified;
pub use offer::{FoundHit, Hit, Kind, Offer, Provider};
pub use plane::Plane;
pub use query::Query;
pub use rate::{Rate, RateLimit};
pub use safe_path::SafePath;
pub use text::path::LocalPath;
pub use text::shown::Shown;
pub use text::size::Size;
pub use units::UnitMap;
pub use units::bitfield::Bitfield;
pub use units::chunk_list::ChunkList;
pub use units::layout::{ChunkIndex, Layout};
