//! What a node sends for commands that have left it. Invariant: it is in the file before the command is told so; what is over stays
//! there, with what became of it, until a person clears it or many have ended after it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::io::home::kept::KeptFile;
use crate::io::home::{Home, sent};
use crate::model::Cause;
use crate::node::error::{ControlError, Error};
use crate::node::inner::Inner;
use crate::node::inner::puts::Putting;
use crate::node::inner::puts::told::Told;
use crate::node::types::{Canceller, Notice, PeerRef, PutProgress, PutRow, PutWish, Receiving};
use crate::wire::Role;

/// Those that are over and are kept; the ones that ended first go first.
const ENDED: usize = 100;

/// How long those to whom something was offered have to hear that it is not any more.
const WITHDRAWN: Duration = Duration::from_secs(5);

/// All of it.
pub(crate) struct Puts {
    file: KeptFile,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    puts: BTreeMap<u32, Left>,
    last: u32,
    /// In the order in which they ended.
    ended: VecDeque<PutRow>,
}

struct Left {
    wish: PutWish,
    progress: watch::Receiver<PutProgress>,
    canceller: Canceller,
    is_cancelled: bool,
}

impl Left {
    fn row(&self, number: u32) -> PutRow {
        let progress = PutProgress { number: Some(number), ..self.progress.borrow().clone() };
        let progress = if self.is_cancelled { progress.ended(Receiving::Cancelled, None) } else { progress };
        PutRow { number, wish: self.wish.clone(), progress }
    }
}

impl Puts {
    /// Of a node, in this directory.
    pub(crate) fn new(node: &Path) -> Self {
        Self { file: KeptFile::puts(node), all: Mutex::default() }
    }

    /// How all of it stands, and what became of what is over.
    pub(crate) async fn rows(&self) -> Vec<PutRow> {
        let all = self.all.lock().await;
        let left = all.puts.iter().map(|(number, left)| left.row(*number));
        let mut rows: Vec<PutRow> = all.ended.iter().cloned().chain(left).collect();
        rows.sort_by_key(|row| row.number);
        rows
    }

    /// Ends one, or all; which. It is in no list any more once those to whom it goes are told.
    ///
    /// # Errors
    /// When there is none of this number, or it is over.
    pub(crate) async fn cancel(&self, number: Option<u32>) -> Result<Vec<PutRow>, Error> {
        let mut all = self.all.lock().await;
        if let Some(number) = number.filter(|number| !all.puts.contains_key(number)) {
            let is_over = all.ended.iter().any(|row| row.number == number);
            return Err(if is_over { ControlError::PutOver { number } } else { ControlError::NoPut { number } }.into());
        }
        let meant = all.puts.iter_mut().filter(|(own, _)| number.is_none_or(|number| **own == number));
        let rows = meant.map(|(number, left)| {
            left.is_cancelled = true;
            left.canceller.cancel();
            left.row(*number)
        });
        let rows = rows.collect();
        // Where that fails it is begun again if the node ends before those to whom it goes are told.
        let _ = self.write(&all).await;
        Ok(rows)
    }

    /// Takes one that is over off the list, or all that are; which.
    ///
    /// # Errors
    /// When there is none of this number, it is not over, or the list cannot be written.
    pub(crate) async fn clear(&self, number: Option<u32>) -> Result<Vec<PutRow>, Error> {
        let mut all = self.all.lock().await;
        let is_meant = |row: &PutRow| number.is_none_or(|number| row.number == number);
        if let Some(number) = number.filter(|_| !all.ended.iter().any(is_meant)) {
            let is_sent = all.puts.contains_key(&number);
            return Err(
                if is_sent { ControlError::PutStands { number } } else { ControlError::NoPut { number } }.into()
            );
        }
        let (cleared, kept) = std::mem::take(&mut all.ended).into_iter().partition(is_meant);
        all.ended = kept;
        let path = || self.file.path().into();
        self.write(&all).await.map_err(|cause| ControlError::StillKept { path: path(), cause })?;
        Ok(cleared.into())
    }

    async fn write(&self, all: &All) -> Result<(), Cause> {
        let ended = all.ended.iter().map(|row| &row.wish);
        let left = all.puts.values().filter(|left| !left.is_cancelled).map(|left| &left.wish);
        let wishes: Vec<PutWish> = ended.chain(left).cloned().collect();
        let file = self.file.clone();
        let write = spawn_blocking(move || {
            // Nothing is kept as nothing.
            let bytes = if wishes.is_empty() { Ok(Vec::new()) } else { rmp_serde::to_vec_named(&wishes) };
            file.write(&bytes.map_err(|error| io::Error::other(error.to_string()))?)
        });
        write.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(Cause::from)
    }

    /// It is over like this where it was not: kept with that, unless a person has ended it.
    async fn over(&self, number: u32, state: Receiving, error: Option<&Error>) -> Option<PutProgress> {
        let mut all = self.all.lock().await;
        let left = all.puts.remove(&number)?;
        let mut row = left.row(number);
        let spooled = std::mem::take(&mut row.wish.spooled);
        row.progress = row.progress.ended(state, error);
        row.wish.ended.clone_from(&row.progress.receivers);
        row.wish.told.clone_from(&row.progress.items);
        let ended = row.progress.clone();
        if !left.is_cancelled {
            let excess = (all.ended.len() + 1).saturating_sub(ENDED);
            all.ended.drain(..excess);
            all.ended.push_back(row);
        }
        // Where that fails it is begun again at the next start, and is over at once.
        let _ = self.write(&all).await;
        spool_ends(&spooled).await;
        Some(ended)
    }

    /// It was over when an earlier run of the node ended.
    async fn was_over(&self, wish: PutWish) {
        let mut all = self.all.lock().await;
        let number = wish.number.unwrap_or(all.last + 1);
        all.last = all.last.max(number);
        let (items, receivers) = (wish.told.clone(), wish.ended.clone());
        let total = items.iter().map(|item| item.size).sum();
        let progress = PutProgress { items, total, receivers, number: Some(number), ..PutProgress::default() };
        all.ended.push_back(PutRow { number, wish, progress });
    }
}

/// What is in the file. Blocks.
fn read(file: &KeptFile) -> io::Result<Vec<PutWish>> {
    let bytes = file.read()?;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    rmp_serde::from_slice(&bytes).map_err(|error| io::Error::other(error.to_string()))
}

/// Removes the copies in the home of which nothing here knows, and that no living command makes: of commands that were killed.
pub(crate) async fn sweep(home: &Home) {
    let (home, file) = (home.root().to_owned(), KeptFile::puts(&home.role_dir(Role::Node)));
    let swept = spawn_blocking(move || {
        // Where it is not known what is named, all may be.
        if let (false, Ok(wishes)) = (sent::copies(&home).is_empty(), read(&file)) {
            let named: Vec<PathBuf> = wishes.into_iter().flat_map(|wish| wish.spooled).collect();
            sent::sweep(&home, &named);
        }
    });
    let _ = swept.await;
}

/// Removes the copies that were made for it.
pub(crate) async fn spool_ends(spooled: &[PathBuf]) {
    let spooled = spooled.to_owned();
    let removed = spawn_blocking(move || spooled.iter().for_each(|path| drop(std::fs::remove_file(path))));
    // What cannot be removed is in the home, where a person finds it.
    let _ = removed.await;
}

/// Goes on with something without its command.
///
/// # Errors
/// When it cannot be kept: then it ends.
pub(crate) async fn leave(inner: &Arc<Inner>, mut putting: Putting, mut wish: PutWish) -> Result<u32, Error> {
    let puts = &inner.puts;
    let mut all = puts.all.lock().await;
    let number = wish.number.unwrap_or(all.last + 1);
    all.last = all.last.max(number);
    let (progress, canceller) = (putting.progress.clone(), putting.canceller.clone());
    pin(&mut wish, &progress.borrow());
    wish.number = Some(number);
    let left = Left { wish, progress, canceller, is_cancelled: false };
    all.puts.insert(number, left);
    if let Err(cause) = puts.write(&all).await {
        all.puts.remove(&number);
        drop(all);
        // Whoever was told of it already is told that it ends.
        putting.canceller.cancel();
        let _ = timeout(WITHDRAWN, putting.finish()).await;
        return Err(ControlError::NotKept { path: puts.file.path().into(), cause }.into());
    }
    let node = Arc::clone(inner);
    inner.run(async move {
        let mut told = Told::new(number);
        let (state, error) = match told.follow(&node, &mut putting).await {
            Ok(progress) => (Receiving::Expired, progress.spoilt().cloned()),
            // The node ends: the next one goes on.
            Err(Error::Control(ControlError::Lost) | Error::Internal(_)) => return,
            Err(error) => (Receiving::Failed, Some(error)),
        };
        if let Some(error) = &error {
            node.host.warn(Notice::Put { number, error: Box::new(error.clone()) });
        }
        if let Some(ended) = node.puts.over(number, state, error.as_ref()).await {
            told.tell(&node, &ended);
        }
    });
    Ok(number)
}

/// Keeps what is known of it by now: what it is, and who is at an address.
fn pin(wish: &mut PutWish, progress: &PutProgress) {
    wish.known_within = None;
    if !progress.items.is_empty() {
        wish.told.clone_from(&progress.items);
    }
    let of = |peer: &PeerRef| progress.receivers.iter().find(|receiver| receiver.peer == *peer);
    // Those that turned out to be another of them are not there any more.
    wish.to.retain(|peer| of(peer).is_some());
    for peer in &mut wish.to {
        let node = of(peer).and_then(|receiver| receiver.node);
        if let PeerRef::Target(target) = peer {
            target.id = target.id.or(node);
        }
    }
}

/// Goes on with what earlier runs of the node were left.
pub(crate) async fn restore(inner: &Arc<Inner>) {
    let file = inner.puts.file.clone();
    let read = spawn_blocking(move || read(&file));
    let path = || inner.puts.file.path().into();
    match read.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Err(error) => inner.host.warn(Notice::PutsUnread { path: path(), cause: error.into() }),
        Ok(wishes) => {
            for wish in wishes {
                if !wish.ended.is_empty() {
                    inner.puts.was_over(wish).await;
                    continue;
                }
                let putting = Putting::begin(Arc::clone(inner), wish.clone());
                // It is in the file.
                let _ = leave(inner, putting, wish).await;
            }
        }
    }
}
