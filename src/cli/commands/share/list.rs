//! `qshare share` without a path, where a node of the home runs: what that offers.

use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::human::{count, duration, rate};
use crate::cli::render::json::{Line, SharedLine};
use crate::cli::render::table::{Align, Table};
use crate::cli::say::names::Names;
use crate::io::clock::time_of_day;
use crate::model::Size;
use crate::node::{Fetched, Node, Remote, SharedRoot, SharedRow};

/// Runs it.
pub(super) async fn run(context: &Context, remote: &Remote) -> Result<Exit, Failure> {
    context.refuse_other_version(remote)?;
    let rows = remote.shared().await?;
    context.output.emit_all(rows.iter().map(line))?;
    let running = remote.running();
    if rows.is_empty() {
        let text = format!("qshare: node {} (process {}) offers nothing; share it a path", running.node, running.pid);
        context.output.note(&text);
        return Ok(Exit::DONE);
    }
    context.output.table(&table(&rows, &context.output.table_names(), context.output.width().is_none()))?;
    for path in rows.iter().filter_map(|row| row.offer.root.as_ref().err()) {
        context.output.note(&format!(
            "qshare: {} is kept and not offered: it could not be when the node began; start it again, or forget it with \
             `qshare unshare`",
            path.display()
        ));
    }
    Ok(Exit::DONE)
}

/// The line of one for programs.
pub(super) fn line(row: &SharedRow) -> Line<'_> {
    let root = row.offer.root.as_ref();
    let path = root.map_or_else(|path| path.as_path(), |root| &root.path);
    Line::Shared(SharedLine::of(row, path, root.ok()))
}

/// What is kept, where no node runs that would offer it.
pub(super) async fn kept(context: &Context) -> Result<Exit, Failure> {
    let (node, _events) = Node::start(context.options()).await?;
    let rows: Vec<_> =
        node.shared().await.into_iter().map(|offer| SharedRow { offer, fetched: Fetched::default() }).collect();
    node.stop().await;
    context.output.emit_all(rows.iter().map(line))?;
    for path in rows.iter().filter_map(|row| row.offer.root.as_ref().err()) {
        context.output.print(&format!("{}\n", path.display()))?;
    }
    context.output.note("qshare: this is kept, and no node of this home runs: `qshare node` offers it");
    Ok(Exit::DONE)
}

/// `whole`: with whole ids, where nothing bounds it.
fn table(rows: &[SharedRow], names: &Names, whole: bool) -> Table {
    let columns = [
        ("NAME", Align::Path),
        ("FILES", Align::SpareRight),
        ("SIZE", Align::Right),
        ("STATE", Align::Left),
        ("FOR", Align::Right),
        ("FETCHED", Align::Right),
        ("LAST BY", Align::Left),
        ("ID", Align::Spare),
    ];
    let cells = |row: &SharedRow| {
        let root = row.offer.root.as_ref().ok()?;
        Some([
            root.name.to_string(),
            count(root.files),
            Size(root.bytes).to_string(),
            state(root, row.offer.kept),
            duration(age(root.since)),
            count(row.fetched.times),
            last(&row.fetched, names),
            root.id.map_or_else(String::new, |id| if whole { id.to_string() } else { id.short() }),
        ])
    };
    Table::of(&columns, rows.iter().filter_map(cells))
}

/// How it is offered, in a few words.
fn state(root: &SharedRoot, kept: bool) -> String {
    let hashing = (root.missing_bytes > 0).then(|| format!("hashing {}", Size(root.missing_bytes)));
    let words = [
        root.gone.then(|| "gone".to_owned()),
        hashing,
        root.audience.is_friends().then(|| "friends only".to_owned()),
        kept.then(|| "kept".to_owned()),
        root.limit.map(|limit| format!("at most {}", rate(limit.get()))),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() { "offered".to_owned() } else { words.join(", ") }
}

fn last(fetched: &Fetched, names: &Names) -> String {
    fetched.last.map_or_else(String::new, |(node, at)| format!("{}, {} ago", names.short(node), duration(age(at))))
}

/// In whole seconds; none where the clock was put back.
fn age(at: Duration) -> Duration {
    Duration::from_secs(time_of_day().saturating_sub(at).as_secs())
}
