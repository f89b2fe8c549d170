//! `qshare ls`: what a peer offers, or what a collection holds.

use crate::cli::args::{LsArgs, LsTarget};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::hits;
use crate::cli::render::human::counted;
use crate::cli::render::json::Line;
use crate::cli::say;
use crate::model::collection::Entry;
use crate::model::{ContentId, Offer, Size};
use crate::node::{Beyond, PeerRef};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: LsArgs) -> Result<Exit, Failure> {
    let mut context = context.clone();
    if let Some(most) = arguments.max_files {
        context.settings.max_files = most as usize;
    }
    let context = &context;
    match arguments.target {
        LsTarget::Collection(id) => collection(context, id).await,
        LsTarget::Peer(peer) => offers(context, &peer).await,
    }
}

async fn offers(context: &Context, peer: &PeerRef) -> Result<Exit, Failure> {
    let (offers, plane) = context.look("connecting", async |node| Ok(node.list(peer).await?)).await?;
    for offer in &offers {
        context.output.emit(&Line::hit(&offer.clone().into(), Some(plane)))?;
    }
    context.output.emit(&Line::Summary { hits: offers.len() as u64, beyond: Beyond::default() })?;
    if offers.is_empty() {
        return Err(Failure::Nothing(format!(
            "peer {} offers nothing; `qshare peers` lists others",
            context.output.names().given(&peer.to_string())
        )));
    }
    context.output.table(&hits::offers(&offers))?;
    context.output.remark(&format!("qshare: {}, {}", counted(offers.len() as u64, "offer"), say::found(plane)));
    Ok(Exit::DONE)
}

/// Empty directories are shown to people only: an event `hit` is a file or a collection.
async fn collection(context: &Context, id: ContentId) -> Result<Exit, Failure> {
    let collection = context.look("looking", async |node| Ok(node.manifest(id).await?)).await?;
    for (path, entry) in collection.entries() {
        if let Entry::File { size, id, .. } = entry {
            context.output.emit(&Line::hit(&Offer::file(path.clone(), *size, Some(*id)).into(), None))?;
        }
    }
    context.output.emit(&Line::Summary { hits: collection.files().into(), beyond: Beyond::default() })?;
    context.output.table(&hits::tree(&collection))?;
    let files = counted(collection.files().into(), "file");
    context.output.remark(&format!("qshare: {files}, {}", Size(collection.bytes())));
    Ok(Exit::DONE)
}
