//! How text is shown, quoted and told apart: what a person sees of what others wrote.

pub mod invisible;
pub mod path;
pub mod shell;
pub mod shown;
