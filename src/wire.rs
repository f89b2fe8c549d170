//! What crosses the network: messages, the frame codec, limits and error codes. Nothing here waits.

pub mod bounded;
pub mod code;
pub mod codec;
pub mod content;
pub mod control;
pub mod directory;
pub mod heard;
pub mod limits;
pub mod measure;
pub mod message;
pub mod names;
pub mod neighbour;
pub mod put;
pub mod record;

pub use code::{Code, Refusal};
pub use codec::{FrameError, decode, encode};
pub use content::*;
pub use directory::*;
pub use heard::Heard;
pub use measure::*;
pub use message::*;
pub use neighbour::*;
pub use put::*;
pub use record::{RECORD_HEAD, RecordHead, RecordKind};
