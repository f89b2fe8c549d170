//! What a `get` would do, without doing any of it: nothing is made, written or locked at the destination.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::io::receive::dest::{DestError, SafeDir};
use crate::io::receive::existing::Existing;
use crate::io::receive::partial::{Earlier, Partial, PartialError};
use crate::io::receive::space;
use crate::model::{Hit, Kind, SafePath};
use crate::node::error::Result;
use crate::node::get::Get;
use crate::node::get::contents::{Contents, Present};
use crate::node::get::destination::TargetPath;
use crate::node::types::{Busy, GetNotice, Holder, Outcome, Preview, PreviewFile, ProviderProgress, Replace, There};

impl Get {
    /// Compares with what is there, and counts.
    pub(super) async fn preview(
        &self,
        hit: &Hit,
        contents: Contents,
        destination: Option<TargetPath>,
    ) -> Result<Outcome> {
        let mut contents = contents;
        let Some(destination) = destination else {
            contents.is_streamable()?;
            return Ok(self.previewed(hit, contents, None, AtTarget::default()).await);
        };
        let at_target = match SafeDir::open(&destination.parent) {
            Ok(parent) => {
                contents.older = self.older(&contents, &destination.name, &parent, &hit.providers).await;
                let existing = contents.existing(&destination, &parent, &self.report).await?;
                AtTarget::of(&contents, &parent, existing)
            }
            Err(error) if error.is_missing() => {
                if !destination.make {
                    self.report.warn(GetNotice::Dest(DestError::absent(&destination.parent)));
                }
                AtTarget::default()
            }
            Err(error) => return Err(error.into()),
        };
        let outcome = self.previewed(hit, contents, Some(&destination), at_target).await;
        // What a `get` would end with at once, whatever comes.
        if let Some(preview) = outcome.preview.as_ref().filter(|preview| preview.busy.is_none() && preview.comes()) {
            takes(&destination, preview.to_come)?;
        }
        Ok(outcome)
    }

    /// Everyone who was found, with what each has.
    async fn holders(&self, hit: &Hit, contents: &Contents) -> Vec<Holder> {
        let wanted = &contents.wanted;
        let has = self.finder.holdings(wanted.content, Some(&wanted.map), &hit.providers).await;
        hit.providers.iter().zip(has).map(|(provider, has)| Holder::new(provider, has)).collect()
    }

    async fn previewed(
        &self,
        hit: &Hit,
        contents: Contents,
        destination: Option<&TargetPath>,
        at_target: AtTarget,
    ) -> Outcome {
        let holders = self.holders(hit, &contents).await;
        let target = destination.map(TargetPath::path);
        let force = self.request.replace == Replace::All;
        let mut preview = Preview { force, busy: at_target.busy, modified: hit.modified, ..Preview::default() };
        let (mut seen, units) = (HashSet::new(), contents.wanted.map.by_content());
        for (name, size, id) in contents.files() {
            let there = at_target.at(&name);
            let comes = matches!(there, There::New | There::Older) || (there == There::Differs && preview.force);
            if comes && seen.insert((id, size)) {
                let kept = units.get(&(id, size)).map_or(0, |index| at_target.kept(&contents, *index));
                preview.kept += kept;
                preview.to_come += size - kept;
            }
            let path = target.as_ref().map(|target| below(target, &contents, &name).into());
            preview.files.push(PreviewFile { name, size, path, there });
        }
        let bytes = preview.files.iter().map(|file| file.size).sum();
        let providers =
            holders.iter().filter_map(|provider| Some(ProviderProgress::new(provider.node, *provider.addrs.first()?)));
        let providers = providers.collect();
        preview.holders = holders;
        Outcome { path: target.map(Into::into), providers, preview: Some(preview), ..self.outcome(contents, bytes) }
    }
}

/// What is at the destination.
#[derive(Default)]
struct AtTarget {
    there: HashMap<SafePath, There>,
    /// Something that is never replaced has the place of the whole.
    blocked: bool,
    /// Units that an earlier run left.
    units: HashSet<u32>,
    /// Who is fetching it.
    busy: Option<Busy>,
}

impl AtTarget {
    fn of(contents: &Contents, parent: &SafeDir, existing: Existing) -> Self {
        let blocked = contents.wanted.tree.is_some() && existing.blocked.iter().any(|path| !contents.holds(path));
        let Existing { same, different, missing, blocked: in_the_way, .. } = existing;
        let spec = contents.spec(&Present { same: same.iter().cloned().collect(), ..Present::default() }, None);
        let used = Earlier::of(parent, contents.wanted.content.id).filter(|other| other.is_in_use(parent));
        let busy = used.map(|other| Busy { pid: other.pid, have: other.bytes() });
        let units = if busy.is_none() { Partial::peek(parent, &spec).iter().collect() } else { HashSet::new() };
        let of = |paths: Vec<SafePath>, there| paths.into_iter().map(move |path| (path, there));
        let there = of(same, There::Same)
            .chain(different.into_iter().map(|path| contents.differing(path)))
            .chain(of(missing, There::New))
            .chain(of(in_the_way, There::Blocked));
        Self { there: there.collect(), blocked, units, busy }
    }

    fn at(&self, name: &SafePath) -> There {
        if self.blocked { There::Blocked } else { self.there.get(name).copied().unwrap_or(There::New) }
    }

    /// Bytes of a file that an earlier run left.
    fn kept(&self, contents: &Contents, file: usize) -> u64 {
        let units = contents.wanted.map.files()[file].units().filter(|unit| self.units.contains(unit));
        units.map(|unit| contents.wanted.map.len(unit)).sum()
    }
}

impl Contents {
    /// A path with other content at it, and what would become of that.
    fn differing(&self, path: SafePath) -> (SafePath, There) {
        let in_tree = self.wanted.tree.is_some();
        let there = match self.older {
            Some(_) if self.is_older(Some(&path).filter(|_| in_tree)) => There::Older,
            Some(_) => There::Newer,
            None => There::Differs,
        };
        (path, there)
    }

    fn holds(&self, path: &SafePath) -> bool {
        self.wanted.tree.as_ref().is_some_and(|tree| tree.entries().iter().any(|(there, _)| there == path))
    }
}

/// Whether the destination takes files at all, and so many bytes more.
fn takes(destination: &TargetPath, bytes: u64) -> Result<()> {
    // What is made on the way would be made in the first directory that is there.
    let there = destination.parent.ancestors().map(|dir| if dir == Path::new("") { Path::new(".") } else { dir });
    let mut there = there.filter(|dir| destination.make || *dir == destination.parent);
    let Some(dir) = there.find_map(|dir| match SafeDir::open(dir) {
        Err(error) if error.is_missing() => None,
        opened => Some(opened),
    }) else {
        return Ok(());
    };
    let dir = dir?;
    dir.takes_files()?;
    space::check(&dir, bytes).map_err(PartialError::from)?;
    Ok(())
}

/// Where a file of it would lie.
fn below(target: &Path, contents: &Contents, name: &SafePath) -> PathBuf {
    match contents.wanted.content.kind {
        Kind::Collection => target.join(name.as_str()),
        Kind::File => target.to_owned(),
    }
}
