//! What a node sends for commands that have left it. Invariant: it is in the file before the command is told so, until it is over.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;

use crate::io::home::kept::KeptFile;
use crate::model::Cause;
use crate::node::error::{ControlError, Error};
use crate::node::inner::Inner;
use crate::node::inner::puts::Putting;
use crate::node::types::{Canceller, Notice, PeerRef, PutProgress, PutRow, PutWish};

/// Ends that are remembered, for those who look at them now and then.
const ENDED: usize = 32;

/// All of it.
pub(crate) struct Puts {
    file: KeptFile,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    puts: BTreeMap<u32, Left>,
    last: u32,
    ended: VecDeque<PutRow>,
}

struct Left {
    wish: PutWish,
    progress: watch::Receiver<PutProgress>,
    canceller: Canceller,
    /// A person has seen what becomes of it.
    seen: Canceller,
}

impl Puts {
    /// Of a node, in this directory.
    pub(crate) fn new(node: &Path) -> Self {
        Self { file: KeptFile::puts(node), all: Mutex::default() }
    }

    /// How all of it stands.
    pub(crate) async fn rows(&self) -> Vec<PutRow> {
        let all = self.all.lock().await;
        let row = |(number, left): (&u32, &Left)| {
            let (wish, progress) = (left.wish.clone(), left.progress.borrow().clone());
            PutRow { number: *number, wish, progress: PutProgress { number: Some(*number), ..progress } }
        };
        all.puts.iter().map(row).collect()
    }

    /// How the newest of those stood that are over.
    pub(crate) async fn ended(&self) -> Vec<PutRow> {
        self.all.lock().await.ended.iter().cloned().collect()
    }

    /// Ends one, or all; which.
    ///
    /// # Errors
    /// When there is none of this number.
    pub(crate) async fn cancel(&self, number: Option<u32>) -> Result<Vec<PutRow>, Error> {
        let rows = self.rows().await.into_iter().filter(|row| number.is_none_or(|number| row.number == number));
        let rows: Vec<PutRow> = rows.collect();
        if let Some(number) = number.filter(|_| rows.is_empty()) {
            return Err(ControlError::NoPut { number }.into());
        }
        let all = self.all.lock().await;
        rows.iter().filter_map(|row| all.puts.get(&row.number)).for_each(|left| {
            left.canceller.cancel();
            left.seen.cancel();
        });
        Ok(rows)
    }

    async fn write(&self, all: &All) -> Result<(), Cause> {
        let (file, wishes) = (self.file.clone(), all.puts.values().map(|left| left.wish.clone()).collect::<Vec<_>>());
        let write = spawn_blocking(move || {
            // Nothing is kept as nothing.
            let bytes = if wishes.is_empty() { Ok(Vec::new()) } else { rmp_serde::to_vec_named(&wishes) };
            file.write(&bytes.map_err(|error| io::Error::other(error.to_string()))?)
        });
        write.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(Cause::from)
    }

    async fn over(&self, number: u32) {
        let mut all = self.all.lock().await;
        let Some(left) = all.puts.remove(&number) else { return };
        // It is begun again at the next start, and is over at once.
        let _ = self.write(&all).await;
        spool_ends(&left.wish).await;
        let progress = PutProgress { number: Some(number), ..left.progress.borrow().clone() };
        let excess = (all.ended.len() + 1).saturating_sub(ENDED);
        all.ended.drain(..excess);
        all.ended.push_back(PutRow { number, wish: left.wish, progress });
    }
}

/// Removes the copies that were made for it.
pub(crate) async fn spool_ends(wish: &PutWish) {
    let spooled = wish.spooled.clone();
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
    let (seen, mut is_seen) = Canceller::new();
    all.puts.insert(number, Left { wish, progress, canceller, seen });
    if let Err(cause) = puts.write(&all).await {
        all.puts.remove(&number);
        return Err(ControlError::NotKept { path: puts.file.path().into(), cause }.into());
    }
    let node = Arc::clone(inner);
    inner.run(async move {
        match putting.finish().await {
            Ok(progress) => {
                if let Some(error) = progress.spoilt() {
                    node.host.warn(Notice::Put { number, error: Box::new(error.clone()) });
                    // It stays in the list until a person ends it.
                    let _ = is_seen.wait_for(|is_seen| *is_seen).await;
                }
            }
            // The node ends: the next one goes on.
            Err(Error::Control(ControlError::Lost) | Error::Internal(_)) => return,
            Err(error) => node.host.warn(Notice::Put { number, error: Box::new(error) }),
        }
        node.puts.over(number).await;
    });
    Ok(number)
}

/// Keeps what is known of it by now: what it is, and who is at an address.
fn pin(wish: &mut PutWish, progress: &PutProgress) {
    wish.known_within = None;
    if !progress.items.is_empty() {
        wish.told.clone_from(&progress.items);
    }
    for (peer, receiver) in wish.to.iter_mut().zip(&progress.receivers) {
        if let PeerRef::Target(target) = peer {
            target.id = target.id.or(receiver.node);
        }
    }
}

/// Goes on with what earlier runs of the node were left.
pub(crate) async fn restore(inner: &Arc<Inner>) {
    let file = inner.puts.file.clone();
    let read = spawn_blocking(move || {
        let bytes = file.read()?;
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        rmp_serde::from_slice::<Vec<PutWish>>(&bytes).map_err(|error| io::Error::other(error.to_string()))
    });
    let path = || inner.puts.file.path().into();
    match read.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Err(error) => inner.host.warn(Notice::PutsUnread { path: path(), cause: error.into() }),
        Ok(wishes) => {
            for wish in wishes {
                let putting = Putting::begin(Arc::clone(inner), wish.clone());
                // It is in the file.
                let _ = leave(inner, putting, wish).await;
            }
        }
    }
}
