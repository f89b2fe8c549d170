//! `qshare trust`: which key was seen at which address, and how to forget one.

use crate::cli::args::{TrustArgs, TrustCommand};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::json::Line;
use crate::cli::render::table::{Align, Table};
use crate::cli::say;
use crate::io::home::trust::TrustStore;

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &TrustArgs) -> Result<Exit, Failure> {
    let store = TrustStore::at(context.own_home()?.root());
    store.broken().iter().for_each(|broken| context.output.warn(&say::lines(broken)));
    match &arguments.command {
        TrustCommand::List => list(context, &store),
        TrustCommand::Forget { target } => forget(context, &store, &target.host_port()),
    }
}

fn list(context: &Context, store: &TrustStore) -> Result<Exit, Failure> {
    let known = store.list().map_err(anyhow::Error::from)?;
    let mut table = Table::new(&[("ADDRESS", Align::Flexible), ("NODE", Align::Id)]);
    for (addr, node) in &known {
        context.output.emit(&Line::Trust { addr, node: *node })?;
        table.row([addr.clone(), context.output.names().whole(*node)]);
    }
    if known.is_empty() {
        context.output.note("qshare: no key is remembered in this home");
        return Ok(Exit::DONE);
    }
    context.output.table(&table)?;
    Ok(Exit::DONE)
}

fn forget(context: &Context, store: &TrustStore, addr: &str) -> Result<Exit, Failure> {
    if !store.forget(addr).map_err(anyhow::Error::from)? {
        return Err(Failure::Nothing(format!("no key is remembered for {addr}; `qshare trust list` shows which are")));
    }
    context.output.emit(&Line::Forgotten { addr })?;
    context.output.note(&format!("qshare: {addr} is forgotten; whoever answers there next is remembered"));
    Ok(Exit::DONE)
}
