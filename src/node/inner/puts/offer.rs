//! What is sent, as an offer to single nodes under names that nobody is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::Sender;
use crate::io::share::scan::{RootSummary, SurveyError, SurveyOptions, survey};
use crate::model::offer::audience::hidden;
use crate::model::{ContentId, NodeId, Offer, SafePath};
use crate::node::error::{ControlError, Error};
use crate::node::inner::Inner;
use crate::wire::limits::{PUT_ITEMS, PUT_NAMES};
use crate::wire::{PutItem, ResolveEvent};

/// Things left out that are told one by one.
const LEFT_OUT: usize = 40;

/// What is offered, until this is dropped.
pub(super) struct Offered {
    inner: Arc<Inner>,
    names: Vec<SafePath>,
    /// What was hashed of it, and its name here.
    pub(super) items: Vec<(SafePath, PutItem)>,
}

impl Offered {
    pub(super) async fn end(mut self) {
        self.inner.index.unshare(std::mem::take(&mut self.names)).await;
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        let (inner, names) = (Arc::clone(&self.inner), std::mem::take(&mut self.names));
        if !names.is_empty() {
            tokio::spawn(async move { inner.index.unshare(names).await });
        }
    }
}

impl Sender {
    /// Whether all of it is there, before anybody is looked for. What an earlier run has told is spoilt where it is not.
    pub(super) async fn check_paths(&self) -> Result<(), Error> {
        let paths = if self.wish.told.is_empty() { self.wish.paths.clone() } else { Vec::new() };
        let missing = spawn_blocking(move || paths.into_iter().find_map(|path| Some((path.metadata().err()?, path))));
        match missing.await? {
            Some((cause, path)) => Err(SurveyError::Missing { path: path.into(), cause: cause.into() }.into()),
            None => Ok(()),
        }
    }

    /// Offers it to these nodes, under names that nobody is told and that end so; what it is, once it is hashed.
    pub(super) async fn offer(&self, nodes: BTreeSet<NodeId>, end: &str) -> Result<(Offered, Vec<PutItem>), Error> {
        let mut offered = Offered { inner: Arc::clone(&self.inner), names: Vec::new(), items: Vec::new() };
        if self.wish.paths.is_empty() && self.wish.options.named.is_empty() {
            return Ok((offered, Vec::new()));
        }
        let (wish, end) = (self.wish.clone(), end.to_owned());
        let plan = spawn_blocking(move || {
            if let Some(other) = wish.seen.iter().find(|landing| !landing.is_here()) {
                return Err(Error::from(ControlError::OtherDirectory { path: other.dir.as_path().into() }));
            }
            let first = survey(&wish.paths, &wish.options)?;
            let number = format!("{}{end}", wish.put);
            let hide = |root: &RootSummary| hidden(true, &number, &root.name.last());
            let named = first.roots.iter().map(|root| (hide(root), root.path.clone())).collect();
            Ok(survey(&[], &SurveyOptions { named, nodes, ..wish.options })?)
        });
        let plan = plan.await??;
        let roots: Vec<RootSummary> = plan.roots.clone();
        let bytes: usize = roots.iter().map(|root| root.name.name().len()).sum();
        if roots.len() > PUT_ITEMS || bytes > PUT_NAMES {
            return Err(ControlError::TooManyItems { count: roots.len() }.into());
        }
        self.progress.send_modify(|progress| {
            let more = plan.skipped.len().saturating_sub(LEFT_OUT);
            progress.left_out = (plan.skipped.iter().take(LEFT_OUT).cloned().collect(), more as u64);
        });
        // A node that ends has nothing.
        offered.names = self.inner.index.share(plan).await.unwrap_or_default();
        for root in roots {
            let item = item(&root, self.hashed(&root.name).await?);
            offered.items.push((root.name, item));
        }
        let items = offered.items.iter().map(|(_, item)| item.clone()).collect();
        Ok((offered, items))
    }

    /// Waits until something has its id.
    async fn hashed(&self, name: &SafePath) -> Result<Offer, Error> {
        let mut events = self.inner.index.resolve(name.clone());
        while let Some(event) = events.recv().await {
            match event {
                ResolveEvent::Done(offer) => return Ok(offer),
                ResolveEvent::Hashing(done, total) => {
                    self.progress.send_modify(|progress| progress.hashing = Some((done, total)));
                }
                ResolveEvent::Failed(refusal) => {
                    return Err(ControlError::Unhashed { name: name.last(), code: refusal.code }.into());
                }
            }
        }
        Err(ControlError::Lost.into())
    }
}

fn item(root: &RootSummary, offer: Offer) -> PutItem {
    PutItem {
        name: root.name.last(),
        // It has one: it was resolved.
        id: offer.id.unwrap_or_else(|| ContentId::of(&[])),
        kind: offer.kind,
        size: offer.size,
        files: offer.files,
        executable: offer.executable,
    }
}
