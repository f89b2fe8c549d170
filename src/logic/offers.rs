//! Offers as values: names, how well they answer words, pages of them, and answers of several made one.

pub mod amount;
pub mod choose;
pub mod merge;
pub mod name_map;
pub mod names;
pub mod page;
pub mod rank;
pub mod reserved;
pub mod search;
pub mod suggest;
pub mod table;
pub mod tally;
