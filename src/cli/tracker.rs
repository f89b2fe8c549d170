//! `qshare tracker`: keeps the directory until a signal comes.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;

use crate::cli::args::TrackerArgs;
use crate::cli::context::{Context, stop};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::human::counted;
use crate::cli::render::json::{Line, Text};
use crate::cli::service;
use crate::model::{NodeId, Shown};
use crate::node::{DirectoryQuotas, Error, Lifetime, Listen, Node, Options};
use crate::wire::Role;

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: TrackerArgs) -> Result<Exit, Failure> {
    let context = &context.of_service();
    let mut signals = context.signals()?;
    let allow = arguments.allow.as_deref().or(context.settings.allow.as_deref());
    let allow = allow.map(allowed).transpose()?;
    let only = allow.as_ref().map(|nodes| nodes.len() as u64);
    let listen = arguments.listen.or(context.settings.tracker_listen);
    let (node, events) = Node::start(options(context, listen, allow)).await?;
    let result = async {
        context.output.emit(&Line::Listening { addr: node.addr(), node: Text(node.id()) })?;
        context.output.print(&format!("{}@{}\n", node.id(), node.outward_addr()))?;
        context.output.note(&format!(
            "qshare: use it with --tracker {}, or with the whole line to pin its key",
            node.outward_addr()
        ));
        if let Some(only) = only {
            context.output.note(&format!("qshare: serving {} only", counted(only, "listed node")));
        }
        service::serve(&node, events, &mut signals, service::only_warnings(context)).await
    };
    let result = result.await;
    stop(&node, &mut signals).await;
    result
}

fn options(context: &Context, listen: Option<SocketAddr>, allow: Option<HashSet<NodeId>>) -> Options {
    let settings = &context.settings;
    Options {
        role: Role::Tracker,
        lifetime: Lifetime::LongRunning,
        listen: listen.map_or(Listen::DefaultPorts, Listen::At),
        trackers: Vec::new(),
        peers: Vec::new(),
        allow,
        quotas: DirectoryQuotas {
            names_per_node: settings.tracker.names_per_node.into(),
            names: settings.tracker.names.into(),
            bytes: u64::from(settings.tracker.memory_mib) << 20,
            ..DirectoryQuotas::default()
        },
        ..context.options()
    }
}

/// The node ids in a file, one a line; what follows a `#` is a remark.
fn allowed(path: &Path) -> Result<HashSet<NodeId>, Failure> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let mut nodes = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = |error| {
            let path = path.to_string_lossy();
            Failure::Usage(format!("line {} of {} is refused: `{}` is {error}", number + 1, Shown(&path), Shown(line)))
        };
        nodes.insert(line.parse().map_err(wrong)?);
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allow_list_has_an_id_a_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("allow");
        let (a, b) = (NodeId::of_public_key(b"a"), NodeId::of_public_key(b"b"));
        std::fs::write(&path, format!("# who may\n\n  {a} # Ada\n{b}\n")).expect("written");
        assert_eq!(allowed(&path).expect("a list"), HashSet::from([a, b]));
        std::fs::write(&path, format!("{a}\nnobody\n")).expect("written");
        let failure = allowed(&path).expect_err("refused");
        assert!(failure.to_string().contains("line 2") && failure.exit() == Exit::USAGE, "{failure}");
        let failure = allowed(&dir.path().join("absent")).expect_err("refused");
        assert!(failure.to_string().contains("absent") && failure.exit() == Exit::FAILED, "{failure}");
    }
}
