//! What comes: the destination, the partial file with its journal, and how it becomes the result.

pub mod accepts;
pub mod bits;
pub mod dest;
pub mod donor;
pub mod existing;
pub mod journal;
pub mod landing;
pub mod partial;
pub mod publish;
pub mod space;
pub mod sparse;
pub mod umask;
