//! `qshare ls`: what a peer offers, or what a collection or a directory of one holds.

use crate::cli::args::LsArgs;
use crate::cli::choose;
use crate::cli::context::Context;
use crate::cli::context::within::Numbered;
use crate::cli::failure::{Failure, Result};
use crate::cli::named;
use crate::cli::render::hits;
use crate::cli::render::human::counted;
use crate::cli::render::json::Line;
use crate::cli::say;
use crate::io::home::seen::SeenContent;
use crate::model::collection::Entry;
use crate::model::{ContentId, FoundHit, Hit, Kind, Offer, Plane, SafePath, Shown, Size};
use crate::node::{Asker, Beyond, Error, Listing, PeerRef, What};

/// What was asked for.
enum Listed {
    /// The offers of a peer.
    Offers(PeerRef, Vec<Offer>, Plane),
    /// A file, or what a collection holds.
    Named(Listing),
}

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: LsArgs) -> Result<()> {
    let mut context = context.clone();
    if let Some(most) = arguments.max_files {
        context.settings.max_files = most as usize;
    }
    let context = &context;
    if let Some([What::Id(id)]) = context.ids_of(&arguments.words)?.as_deref() {
        let collection = context.look("looking", async |node| Ok(node.manifest(*id).await?)).await?;
        return entries(context, &collection).await;
    }
    let words = &arguments.words;
    let looked = context.look("looking", async |node| find(&node, as_peer(words), words).await).await;
    match looked {
        Ok(Listed::Offers(peer, found, plane)) => offers(context, &peer, &found, plane).await,
        Ok(Listed::Named(listing)) if listing.hit.kind == Kind::File => file(context, listing).await,
        Ok(Listed::Named(listing)) => entries(context, &listing.entries).await,
        Err(Failure::Node(error)) => {
            if let Error::Ambiguous { hits, beyond, .. } = &error {
                context.remember(hits).await;
                choose::list(context, hits, *beyond, false)?;
            }
            Err(error.into())
        }
        Err(failure) => Err(failure),
    }
}

/// One word may name a peer.
fn as_peer(words: &[String]) -> Option<PeerRef> {
    if let [word] = words { word.parse().ok() } else { None }
}

/// A friend or a known id goes before what is shared, and that before a host of this name.
async fn find(node: &Asker, peer: Option<PeerRef>, words: &[String]) -> Result<Listed> {
    let query = named::query(words);
    let Some(peer) = peer else { return Ok(Listed::Named(node.meant(&query?).await?)) };
    let unfound = match (&peer, query) {
        (PeerRef::Name(_), Ok(query)) if !node.knows(&peer).await? => match node.meant(&query).await {
            Ok(listing) => return Ok(Listed::Named(listing)),
            Err(error @ (Error::Ambiguous { .. } | Error::OtherThanShown { .. })) => return Err(error.into()),
            Err(error) => Some(error),
        },
        _ => None,
    };
    match (node.list(&peer).await, unfound) {
        (Ok((offers, plane)), _) => Ok(Listed::Offers(peer, offers, plane)),
        (Err(Error::NoFriend { .. } | Error::UnknownPeer { .. }), Some(error @ Error::NotFound { .. }))
            if error.is_nearly_found() =>
        {
            Err(error.into())
        }
        (Err(Error::NoFriend { name }), Some(Error::NotFound { .. } | Error::NowhereToLook)) => {
            Err(Failure::Nothing(format!(
                "`{}` is neither a friend's name nor that of a host, and nothing of this name was found: `qshare friends \
                 list` shows your friends, and `qshare search` looks for words",
                Shown(&name)
            )))
        }
        (Err(Error::NoFriend { .. }), Some(error)) | (Err(error), _) => Err(error.into()),
    }
}

async fn offers(context: &Context, peer: &PeerRef, offers: &[Offer], plane: Plane) -> Result<()> {
    let hits: Vec<Hit> = offers.iter().cloned().map(Hit::from).collect();
    context.output.emit_all(hits.iter().map(|hit| Line::hit(hit, Some(plane))))?;
    context.output.emit(&Line::Summary { hits: offers.len() as u64, beyond: Beyond::default() })?;
    if offers.is_empty() {
        return Err(Failure::Nothing(format!(
            "peer {} offers nothing; `qshare peers` lists others",
            context.output.names().given(&peer.to_string())
        )));
    }
    context.remember(&hits).await;
    context.output.table(&context.numbered(hits::offers(offers), hits.iter().map(Numbered::of)))?;
    context.output.remark(&format!("qshare: {}, {}", counted(offers.len() as u64, "offer"), say::found(plane)));
    Ok(())
}

async fn file(context: &Context, listing: Listing) -> Result<()> {
    let Listing { hit, plane, .. } = listing;
    context.output.emit(&Line::hit(&hit, plane))?;
    context.output.emit(&Line::Summary { hits: 1, beyond: Beyond::default() })?;
    context.remember([&hit]).await;
    let shown = Numbered::of(&hit);
    let table = match plane {
        Some(plane) => hits::found(&[FoundHit { hit, plane }], &context.output.table_names()),
        None => hits::hits([&hit]),
    };
    context.output.table(&context.numbered(table, [shown]))
}

/// Empty directories are shown to people only: an event `hit` is a file or a collection.
async fn entries(context: &Context, entries: &[(SafePath, Entry)]) -> Result<()> {
    let files: Vec<(&SafePath, u64, ContentId)> =
        entries.iter().filter_map(|(path, entry)| entry.content().map(|(id, size)| (path, size, id))).collect();
    for (path, size, id) in &files {
        context.output.emit(&Line::hit(&Offer::file((*path).clone(), *size, Some(*id)).into(), None))?;
    }
    context.output.emit(&Line::Summary { hits: files.len() as u64, beyond: Beyond::default() })?;
    let seen = files.iter().map(|(path, _, id)| SeenContent { id: *id, name: path.last() });
    context.remember_all(seen.collect()).await;
    let numbered = |(path, entry): &(SafePath, Entry)| Numbered {
        id: entry.content().map(|(id, _)| id),
        name: Some(path.clone()),
    };
    context.output.table(&context.numbered(hits::tree(entries), entries.iter().map(numbered)))?;
    let bytes = Size(files.iter().map(|(_, size, _)| size).sum());
    context.output.remark(&format!("qshare: {}, {bytes}", counted(files.len() as u64, "file")));
    Ok(())
}
