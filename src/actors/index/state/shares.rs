//! What people share, and share no longer.

use std::sync::Arc;

use tokio::time::Instant;

use super::IndexState;
use crate::actors::index::IndexNotice;
use crate::actors::limits::throttle::Throttle;
use crate::io::share::scan::SharePlan;
use crate::logic::publication::Input;
use crate::model::SafePath;

impl IndexState {
    /// Adds what was surveyed. The names that it is offered under, without those that were taken.
    pub(in crate::actors::index) fn share(&mut self, plan: SharePlan) -> Vec<SafePath> {
        let (rules, throttle) = (Arc::new(plan.rules), plan.limit.map(|limit| Throttle::new(Some(limit))));
        self.outbox.known(plan.skipped.into_iter().map(IndexNotice::Omitted));
        let (mut jobs, mut names, now) = (Vec::new(), Vec::new(), Instant::now());
        for scanned in plan.scanned {
            let (name, path) = (scanned.name.clone(), scanned.path.clone());
            let unseen = plan.unseen.contains(&scanned.name);
            match self.catalogue.add(scanned, rules.clone(), now) {
                Some((root, more)) => {
                    self.catalogue.roots[root].audience = plan.audience.clone();
                    self.catalogue.roots[root].throttle.clone_from(&throttle);
                    names.push(name);
                    self.tell(Input::Added { root, unseen });
                    jobs.extend(more);
                }
                None => self.outbox.warn(IndexNotice::NameTaken(path.into())),
            }
        }
        self.look_up(jobs);
        names
    }

    /// Shares what has these names no longer; those of them that were shared.
    pub(in crate::actors::index) fn unshare(&mut self, names: &[SafePath]) -> Vec<SafePath> {
        let now = Instant::now();
        let mut gone = Vec::new();
        for name in names {
            let Some(key) = self.catalogue.withdraw(name, now) else { continue };
            self.hashing.forget(key);
            self.watch.remove(key);
            self.seeds.take([key].into_iter());
            self.tell(Input::Removed(key));
            gone.push(name.clone());
        }
        if !gone.is_empty() {
            // Who unshares something is not told that it is done while it can still be had.
            self.publish();
        }
        gone
    }
}
