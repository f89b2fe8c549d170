//! Offers as values: names, how well they answer words, pages of them, and answers of several made one.

pub mod choose;
pub mod merge;
pub mod names;
pub mod page;
pub mod rank;
pub mod tally;
