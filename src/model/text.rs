//! How text is shown, quoted and told apart, and numbers of bytes are: what a person sees of what others wrote.

pub mod invisible;
pub mod path;
pub mod shell;
pub mod shown;
pub mod size;
