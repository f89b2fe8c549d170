//! Friends as they change: the file is looked at again and again while a node lives, so that a name that is added or
//! removed meanwhile counts without a restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::io::friends::{FriendFile, Stamp};
use crate::io::lines::LinesError;
use crate::model::Friends;
use crate::node::types::Event;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// The friends of a home, and what keeps them up to date.
pub(crate) struct Following {
    file: FriendFile,
    stamp: Stamp,
    friends: watch::Sender<Arc<Friends>>,
}

impl Following {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub(crate) async fn begin(file: FriendFile) -> Result<(Self, watch::Receiver<Arc<Friends>>), LinesError> {
        let reading = file.clone();
        let read = spawn_blocking(move || (reading.stamp(), reading.read())).await;
        let (stamp, read) = read.unwrap_or_else(|_| (None, Ok(Friends::default())));
        let (friends, received) = watch::channel(Arc::new(read?));
        Ok((Self { file, stamp, friends }, received))
    }

    /// Looks again and again. What cannot be read or understood changes nothing, and is told once.
    pub(crate) async fn go_on(mut self, events: mpsc::Sender<Event>) {
        loop {
            sleep(LOOK).await;
            let (file, before) = (self.file.clone(), self.stamp);
            let look = move || {
                let stamp = file.stamp();
                (stamp, (stamp != before).then(|| file.read()))
            };
            let Ok((stamp, read)) = spawn_blocking(look).await else { return };
            self.stamp = stamp;
            match read {
                None => {}
                Some(Ok(friends)) => drop(self.friends.send_replace(Arc::new(friends))),
                Some(Err(error)) => {
                    let sentence = format!("friends stay as they were: {error}");
                    if events.send(Event::Warning(sentence)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
