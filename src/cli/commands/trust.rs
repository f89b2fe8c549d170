//! `qshare trust`: which key was seen at which address, and how to forget one.

use crate::cli::args::TrustCommand;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::json::Line;
use crate::cli::render::table::{Align, Table};
use crate::cli::say;
use crate::io::home::trust::TrustStore;
use crate::model::PeerTarget;

/// Runs the command.
pub(crate) fn run(context: &Context, command: &TrustCommand) -> Result<()> {
    let store = TrustStore::at(context.own_home()?.root());
    store.broken().iter().for_each(|broken| context.output.warn(&say::lines(broken)));
    match command {
        TrustCommand::List => list(context, &store),
        TrustCommand::Forget { target } => forget(context, &store, &target.0),
    }
}

fn list(context: &Context, store: &TrustStore) -> Result<()> {
    let known = store.list().map_err(anyhow::Error::from)?;
    context.output.emit_all(known.iter().map(|(addr, node)| Line::Trust { addr, node: *node }))?;
    let names = context.output.table_names();
    let rows = known.iter().map(|(addr, node)| [addr.clone(), names.whole(*node)]);
    let table = Table::of(&[("ADDRESS", Align::Flexible), ("NODE", Align::Id)], rows);
    context.output.table_or(&table, "qshare: no key is remembered in this home")
}

fn forget(context: &Context, store: &TrustStore, targets: &[PeerTarget]) -> Result<()> {
    let addrs: Vec<String> = targets.iter().map(PeerTarget::host_port).collect();
    let mut forgotten = Vec::new();
    for addr in &addrs {
        if store.forget(addr).map_err(anyhow::Error::from)? {
            context.output.emit(&Line::Forgotten { addr })?;
            forgotten.push(addr.as_str());
        }
    }
    if forgotten.is_empty() {
        let addrs = addrs.join(" nor for ");
        return Err(Failure::Nothing(format!("no key is remembered for {addrs}; `qshare trust list` shows which are")));
    }
    let (addrs, verb) = (forgotten.join(" and "), if forgotten.len() == 1 { "is" } else { "are" });
    context.output.note(&format!("qshare: {addrs} {verb} forgotten; whoever answers there next is remembered"));
    Ok(())
}
