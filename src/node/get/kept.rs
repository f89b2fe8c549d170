//! What earlier runs have left at the destination, told where a `get` ends before it has gone on with it: so that nobody
//! thinks it lost.

use crate::io::receive::dest::SafeDir;
use crate::io::receive::partial::Earlier;
use crate::node::error::Error;
use crate::node::get::Get;
use crate::node::types::GetNotice;

/// Unfinished transfers that are told of.
const TOLD: usize = 3;

impl Get {
    /// Where the words match several things: the command with the id goes on with what is kept, the same command does not.
    pub(super) async fn tell_how_to_go_on(&self) {
        for kept in self.earlier().await.iter().take(TOLD) {
            let (output, only) = (self.request.output.clone(), kept.only().to_vec());
            self.report.warn(GetNotice::GoOn { kept: kept.into(), output, only });
        }
    }

    /// Cancelled before what an earlier run left was opened: that is kept as it is.
    pub(super) async fn interrupted_early(&self) -> Error {
        let kept = self.earlier().await;
        match (self.interrupted(), kept.as_slice()) {
            (Error::Interrupted { .. }, [one]) => Error::Interrupted { have: one.bytes(), total: one.size() },
            (error, _) => error,
        }
    }

    /// What nobody goes on with now and may be what is asked for.
    pub(super) async fn earlier(&self) -> Vec<Earlier> {
        let Some(dir) = self.parent(None) else { return Vec::new() };
        let read = move || {
            let dir = SafeDir::open(&dir).ok()?;
            let mut all = Earlier::all_in(&dir).ok()?;
            all.retain(|kept| kept.bytes() > 0 && !kept.is_in_use(&dir));
            Some(all)
        };
        let all = tokio::task::spawn_blocking(read).await.ok().flatten().unwrap_or_default();
        all.into_iter().filter(|kept| self.may_be(kept)).collect()
    }
}
