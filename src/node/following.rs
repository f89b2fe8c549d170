//! Lists that people keep in files, as they change: the file is looked at again and again while a node lives, so that who
//! is added or removed meanwhile counts without a restart.
//! Invariant: a list is taken only when the file has come to rest. What cannot be read changes nothing; a line that cannot be
//! understood takes nothing from the others, so that it keeps nobody in who was removed beside it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::io::home::allow::AllowFile;
use crate::io::home::friends::FriendFile;
use crate::io::home::lines::{LinesError, ListFile, Stamp};
use crate::model::Friends;
use crate::node::types::{Event, ListName, Notice};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// A file that is written in place is empty at first, and nobody is to be cut off for that: it is read when it has not
/// changed for so long, as no tool takes longer between its truncation and its write.
const REST: Duration = Duration::from_millis(100);

/// A list that a node follows.
pub(crate) trait Followed: ListFile {
    /// How notices about it name it.
    const NAME: ListName;

    /// What it holds when a node begins, and what is wrong with the rest: there is nothing from before that could stay.
    ///
    /// # Errors
    /// When a node had better not begin.
    fn begin(&self) -> Result<(Self::List, Option<LinesError>), LinesError> {
        self.read().map(|list| (list, None))
    }
}

impl Followed for AllowFile {
    const NAME: ListName = ListName::Allowed;
}

impl Followed for FriendFile {
    const NAME: ListName = ListName::Friends;

    fn begin(&self) -> Result<(Friends, Option<LinesError>), LinesError> {
        self.read_good()
    }
}

/// The list of a file, and what keeps it up to date.
pub(crate) struct Following<F: Followed> {
    file: F,
    /// Of the list that holds.
    stamp: Stamp,
    /// Of what could not be read, once it was told.
    told: Option<Stamp>,
    list: watch::Sender<Arc<F::List>>,
}

/// A list that was read for the first time.
pub(crate) struct Begun<F: Followed> {
    /// Looks at it again and again.
    pub(crate) following: Following<F>,
    /// What it holds.
    pub(crate) list: watch::Receiver<Arc<F::List>>,
    /// What of it cannot be understood, and was left out.
    pub(crate) broken: Option<LinesError>,
}

impl<F: Followed> Following<F> {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub(crate) async fn begin(file: F) -> Result<Begun<F>, LinesError> {
        let reading = file.clone();
        let read = spawn_blocking(move || (reading.stamp(), reading.begin())).await;
        let (stamp, read) = read.unwrap_or_else(|_| (None, Ok((F::List::default(), None))));
        let (list, broken) = read?;
        let (list, received) = watch::channel(Arc::new(list));
        Ok(Begun { following: Self { file, stamp, told: None, list }, list: received, broken })
    }

    /// Looks again and again. What is wrong is told once, and what cannot be read is tried again.
    pub(crate) async fn go_on(mut self, events: mpsc::Sender<Event>) {
        loop {
            sleep(LOOK).await;
            let Some(read) = self.look().await else { continue };
            let (stays, error) = match read {
                Ok(None) => continue,
                Ok(Some(wrong)) => (false, wrong),
                Err(error) => (true, error),
            };
            if events.send(Event::Notice(Notice::List { list: F::NAME, stays, error })).await.is_err() {
                return;
            }
        }
    }

    /// One look: a change that was taken, with what is wrong with a line of it, or a failure that was not told yet.
    async fn look(&mut self) -> Option<Result<Option<LinesError>, LinesError>> {
        let changed = self.stamp_now().await?;
        if changed == self.stamp && self.told.is_none() {
            return None;
        }
        sleep(REST).await;
        let file = self.file.clone();
        let read = spawn_blocking(move || (file.stamp(), file.read_good(), file.stamp())).await;
        let (before, read, after) = read.ok()?;
        if before != changed || after != changed {
            return None;
        }
        match read {
            Ok((list, wrong)) => {
                (self.stamp, self.told) = (changed, None);
                self.list.send_replace(Arc::new(list));
                Some(Ok(wrong))
            }
            Err(_) if self.told == Some(changed) => None,
            Err(error) => {
                self.told = Some(changed);
                Some(Err(error))
            }
        }
    }

    /// `None` when the runtime ends.
    async fn stamp_now(&self) -> Option<Stamp> {
        let file = self.file.clone();
        spawn_blocking(move || file.stamp()).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NodeId;

    async fn following(
        text: &str,
    ) -> (tempfile::TempDir, Following<AllowFile>, watch::Receiver<Arc<std::collections::HashSet<NodeId>>>) {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("list"), text).expect("written");
        let file = AllowFile::at(dir.path().join("list"));
        let Begun { following, list, .. } = Following::begin(file).await.expect("a list");
        (dir, following, list)
    }

    fn id(of: &[u8]) -> NodeId {
        NodeId::of_public_key(of)
    }

    #[tokio::test]
    async fn what_cannot_be_read_changes_nothing_and_a_broken_line_keeps_nobody_in() {
        let (a, b) = (id(b"a"), id(b"b"));
        let (dir, mut following, list) = following(&format!("{a}\n{b}\n")).await;
        let path = dir.path().join("list");
        let has = |node: NodeId| list.borrow().contains(&node);
        assert!(following.look().await.is_none() && has(a), "nothing has changed");
        std::fs::remove_file(&path).expect("there");
        assert!(following.look().await.is_some_and(|look| look.is_err()), "it is told");
        assert!(following.look().await.is_none() && has(a) && has(b), "once, and changes nothing");
        std::fs::write(&path, format!("nonsense\n{b}\n")).expect("written");
        let wrong = following.look().await.and_then(Result::ok).flatten().expect("told").to_string();
        assert!(wrong.starts_with("line 1 of ") && has(b) && !has(a), "who was removed beside it is out: {wrong}");
        assert!(following.look().await.is_none(), "it is told once");
        std::fs::write(&path, format!("{a}\n")).expect("written");
        assert!(following.look().await.is_some_and(|look| matches!(look, Ok(None))));
        assert!(has(a) && !has(b));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_list_of_the_same_length_at_the_same_time_is_another_one() {
        let (dir, mut following, list) = following(&format!("{}\n", id(b"a"))).await;
        let path = dir.path().join("list");
        let modified = std::fs::metadata(&path).and_then(|meta| meta.modified()).expect("a time");
        let other = dir.path().join("other");
        std::fs::write(&other, format!("{}\n", id(b"b"))).expect("written");
        std::fs::File::open(&other).and_then(|file| file.set_modified(modified)).expect("set");
        std::fs::rename(&other, &path).expect("renamed");
        assert!(following.look().await.is_some_and(|look| look.is_ok()) && list.borrow().contains(&id(b"b")));
    }
}
