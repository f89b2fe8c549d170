//! Looking at the shared roots, and what a look means for them. When that is done, `logic::publication` decides.

use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{IndexState, Step, send};
use crate::actors::index::{IndexMessage, IndexNotice};
use crate::io::share::scan::{Omission, Root, Rules, Scan, scan_root};
use crate::io::share::watch::{RootKey, Told};
use crate::logic::publication::{Input, PublicationOrder};

/// What a look at a root found, and what it cost, in time of one core at most.
#[derive(Debug)]
pub(in crate::actors::index) struct Looked {
    key: RootKey,
    scan: Scan,
    cost: Duration,
}

impl IndexState {
    /// Looks at all roots again, but not as often as peers may ask for what has changed.
    pub(in crate::actors::index) fn look_everywhere(&mut self) {
        self.tell(Input::LookEverywhere(self.catalogue.roots.len()));
    }

    /// Looks at roots again.
    pub(in crate::actors::index) fn look(&mut self, roots: Vec<RootKey>) {
        self.tell(Input::Look(roots));
    }

    pub(super) fn begin_look(&self, keys: Vec<RootKey>) {
        let root =
            |key: RootKey| (key, self.catalogue.roots[key].root.clone(), self.catalogue.roots[key].rules.clone());
        let keys = keys.into_iter().filter(|key| !self.catalogue.roots[*key].withdrawn);
        let roots: Vec<_> = keys.map(root).collect();
        self.spawn(move || Step::Scanned(roots.iter().map(|(key, root, rules)| look_at(*key, root, rules)).collect()));
    }

    pub(super) fn scanned(&mut self, looks: Vec<Looked>) {
        self.tell(Input::Looked);
        let (mut jobs, now) = (Vec::new(), Instant::now());
        let proofs = self.seeds.take(looks.iter().map(|look| look.key));
        for Looked { key, scan, cost } in looks {
            if self.catalogue.roots[key].withdrawn {
                continue;
            }
            self.watch.looked(key, cost);
            if scan.gone && !self.catalogue.roots[key].gone && scan.skipped.is_empty() {
                self.outbox.push(IndexNotice::Gone(scan.root.path.clone().into()));
            }
            for skipped in &scan.skipped {
                self.outbox.warn(IndexNotice::Omitted(Omission::Skipped(skipped.clone())));
            }
            if let Some(links) = self.catalogue.more_links(key, scan.root.links) {
                self.outbox.push(IndexNotice::Omitted(Omission::Links(links)));
            }
            if let Some(real) = self.catalogue.leads(key, scan.root.real.as_deref()) {
                // Who swaps a link wants that, and who did not do it wants to know.
                self.outbox.push(IndexNotice::LeadsTo { path: scan.root.path.clone().into(), real: real.into() });
            }
            let seen = Input::Seen { root: key, cost, unseen: !scan.unseen.is_empty() };
            for output in self.publication.handle(seen, self.begun.elapsed()) {
                match (output, scan.unseen.split_first()) {
                    (PublicationOrder::Unseen(_), Some((first, more))) => {
                        self.outbox.push(IndexNotice::StillOffered { first: first.clone(), more: more.len() });
                    }
                    (output, _) => self.carry_out(output),
                }
            }
            let (more, changed) = self.catalogue.rescanned(key, scan, now);
            if changed {
                self.tell(Input::Changed);
            }
            jobs.extend(more);
            self.look_for_rest(key);
            self.tell_broken(key);
        }
        let (known, jobs) = proofs.divide(jobs);
        known.into_iter().for_each(|(name, file)| self.take_hashed(&name, file));
        self.look_up(jobs);
    }

    /// Says that what goes on being shared as one known content is that no longer.
    pub(super) fn tell_broken(&mut self, key: RootKey) {
        let Some((first, count)) = self.catalogue.broken(key) else { return };
        let root = &self.catalogue.roots[key].root;
        let (kind, root) = (root.kind, root.path.clone().into());
        self.outbox.push(IndexNotice::Broken { kind, root, first: first.into(), more: count - 1 });
    }

    /// Forgets the troubles of roots of which everything could be read by now.
    pub(super) fn end_troubles(&mut self) {
        for key in self.publication.recovering() {
            if self.catalogue.failed(key).is_empty() {
                self.outbox.over(&self.catalogue.roots[key].root.path);
                self.tell(Input::Whole(key));
            }
        }
    }
}

/// Blocks on the file system.
fn look_at(key: RootKey, root: &Root, rules: &Rules) -> Looked {
    let began = Instant::now();
    let scan = scan_root(root, rules);
    let cores = u32::try_from(rayon::current_num_threads()).unwrap_or(u32::MAX);
    Looked { key, scan, cost: began.elapsed().saturating_mul(cores) }
}

/// Ends when the watch does.
pub(super) fn forward(mut told: mpsc::Receiver<Told>, me: ActorRef<IndexMessage>) {
    tokio::spawn(async move {
        while let Some(told) = told.recv().await {
            send(&me, Step::Told(told));
        }
    });
}
