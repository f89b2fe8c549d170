//! `qshare tracker`: keeps the directory until a signal comes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::cli::args::TrackerArgs;
use crate::cli::context::{Context, stop};
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::render::human::counted;
use crate::cli::render::json::Line;
use crate::cli::render::{Console, census};
use crate::cli::service;
use crate::node::{DirectoryQuotas, Event, Lifetime, Listen, Options, Tracker, TrackerOptions};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: TrackerArgs) -> Result<Exit> {
    let context = &context.of_service();
    let mut signals = context.signals()?;
    let allow = arguments.allow.as_deref().or(context.settings.allow.as_deref());
    let allow = allow.map(Path::to_owned);
    let listen = arguments.listen.or(context.settings.tracker_listen);
    let (options, of) = options(context, listen, allow);
    let (node, events) = Tracker::start(&options, of).await?;
    let result = async {
        context.output.emit(&Line::Listening { addr: node.addr(), node: node.id() })?;
        context.output.print(&format!("{}@{}\n", node.id(), node.outward_addr()))?;
        context.output.note(&format!(
            "qshare: use it with --tracker {}, or with the whole line to pin its key",
            node.outward_addr()
        ));
        context.note_of_signals(&signals);
        let views = [census::live, census::now_and_then].map(|view| view(&context.output, node.census()));
        let output = context.output.clone();
        let served = service::serve(&node, events, &mut signals, move |event| {
            tell(&output, event);
            Ok(())
        })
        .await;
        for view in views {
            view.end().await;
        }
        served
    }
    .await;
    let (last, output) = (node.count(), context.output.clone());
    stop(node.stop(), &mut signals).await;
    let summary = move || {
        output.remark(&format!("qshare: {}", census::sentence(&last, output.names())));
        Ok(())
    };
    result.and(service::tell_last(summary).await.map(|()| Exit::DONE))
}

fn options(context: &Context, listen: Option<SocketAddr>, allow: Option<PathBuf>) -> (Options, TrackerOptions) {
    let limits = &context.settings.tracker;
    let quotas = DirectoryQuotas {
        names_per_node: limits.names_per_node.into(),
        names: limits.names.into(),
        bytes: u64::from(limits.memory_mib) << 20,
        ..DirectoryQuotas::default()
    };
    let listen = listen.map_or(Listen::DefaultPorts, Listen::At);
    let options = Options::new(context.home()).lifetime(Lifetime::LongRunning).listen(listen);
    (options, TrackerOptions { allow, quotas })
}

fn tell(output: &Console, event: Event) {
    match event {
        Event::Allowed { nodes } => {
            output.note(&format!("qshare: serving {} only", counted(nodes as u64, "listed node")));
        }
        Event::Notice(notice) => output.notice(&notice),
        // A node's.
        Event::Announced(_)
        | Event::Hashing { .. }
        | Event::Inbox(_)
        | Event::Job(_)
        | Event::Offer { .. }
        | Event::Put(_)
        | Event::Upload(_) => {}
    }
}
