//! What a shell gives to a command that runs in it: wishes to stop, in place of the process's signals, and numbers for what is shown.
//! Not responsible for what those numbers mean on a line: the shell puts in what they stand for.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::cli::context::Context;
use crate::cli::render::table::Table;
use crate::cli::signals::{Signals, Stop};
use crate::model::{ContentId, Hit, SafePath};

/// Something that was shown under a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// Its id, once it is hashed.
    pub(crate) id: Option<ContentId>,
    /// Its name, where it has one.
    pub(crate) name: Option<SafePath>,
}

impl Numbered {
    /// A hit, by its first name.
    pub(crate) fn of(hit: &Hit) -> Self {
        Self { id: hit.id, name: hit.names.first().cloned() }
    }
}

/// What was shown last, the first under 1. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers(Arc<Mutex<Arc<[Numbered]>>>);

impl Numbers {
    /// What was shown last.
    pub(crate) fn last(&self) -> Arc<[Numbered]> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows these in their place.
    pub(crate) fn show(&self, all: Arc<[Numbered]>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// What a command has in a shell.
#[derive(Debug, Clone)]
pub(crate) struct Within {
    pub(crate) stops: watch::Receiver<Stop>,
    /// Turns true once what lasts has begun.
    pub(crate) begun: watch::Sender<bool>,
    pub(crate) numbers: Numbers,
    /// The shell tells by itself what comes into the inbox of the command's home.
    pub(crate) tells: bool,
}

impl Within {
    /// The wishes to stop, from the first one on.
    pub(crate) fn signals(&self) -> Signals {
        Signals::of_shell(self.stops.clone())
    }
}

impl Context {
    /// The same table; in a shell with numbers, which stand for these from now on. One for each row.
    pub(crate) fn numbered(&self, table: Table, rows: impl IntoIterator<Item = Numbered>) -> Table {
        let Some(within) = &self.within else { return table };
        within.numbers.show(rows.into_iter().collect());
        table.numbered()
    }

    /// Tells the shell, where this runs in one, that what lasts has begun.
    pub(crate) fn begun(&self) {
        if let Some(within) = &self.within {
            within.begun.send_replace(true);
        }
    }
}
