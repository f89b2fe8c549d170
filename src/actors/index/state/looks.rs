//! Looking at the shared roots, and what a look means for them. When that is done, `logic::publication` decides.

use std::path::Path;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{IndexState, Step, send};
use crate::actors::index::{IndexEvent, IndexMessage};
use crate::io::share::scan::{Root, Rules, Scan, scan_root};
use crate::io::share::watch::{RootKey, Told};
use crate::logic::publication::{Input, Output};
use crate::model::Kind;

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
        let roots: Vec<_> = keys.into_iter().map(root).collect();
        self.spawn(move || Step::Scanned(roots.iter().map(|(key, root, rules)| look_at(*key, root, rules)).collect()));
    }

    pub(super) fn scanned(&mut self, looks: Vec<Looked>) {
        self.tell(Input::Looked);
        let (mut jobs, now) = (Vec::new(), Instant::now());
        let proofs = self.seeds.take(looks.iter().map(|look| look.key));
        for Looked { key, scan, cost } in looks {
            self.watch.looked(key, cost);
            if scan.gone && !self.catalogue.roots[key].gone && scan.skipped.is_empty() {
                let path = scan.root.path.display();
                let sentence = format!("{path} is gone and no longer offered: it is offered again when it is back");
                self.outbox.push(IndexEvent::Warning(sentence));
            }
            for skipped in &scan.skipped {
                self.outbox.warn(skipped.to_string());
            }
            if let Some(real) = self.catalogue.leads(key, scan.root.real.as_deref()) {
                self.tell_where(key, &real);
            }
            let seen = Input::Seen { root: key, cost, unseen: !scan.unseen.is_empty() };
            for output in self.publication.handle(seen, self.begun.elapsed()) {
                match (output, scan.unseen.split_first()) {
                    (Output::Unseen(_), Some((first, more))) => {
                        self.outbox.push(IndexEvent::Warning(first.still_offered(more.len())));
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

    /// Says that a shared path leads elsewhere now: who swaps a link wants that, and who did not do it wants to know.
    fn tell_where(&mut self, key: RootKey, real: &Path) {
        let path = &self.catalogue.roots[key].root.path;
        let sentence = if path == real {
            format!("{} is no link any more: what is there itself is shared", path.display())
        } else {
            format!("{} leads to {} now: what is there is shared", path.display(), real.display())
        };
        self.outbox.push(IndexEvent::Warning(sentence));
    }

    /// Says that what goes on being shared as one known content is that no longer.
    pub(super) fn tell_broken(&mut self, key: RootKey) {
        let Some((first, count)) = self.catalogue.broken(key) else { return };
        let (root, first) = (&self.catalogue.roots[key].root, first.display());
        let more = if count == 1 { String::new() } else { format!(" (and {} more files)", count - 1) };
        self.outbox.push(IndexEvent::Warning(match root.kind {
            Kind::File => format!("{first} is no longer served because it is not what was fetched any more"),
            Kind::Collection => format!(
                "{} is no longer offered as the tree that was fetched because {first}{more} is missing or another file \
                 now: its other files are still offered, each by itself",
                root.path.display()
            ),
        }));
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
