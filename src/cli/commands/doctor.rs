//! `qshare doctor`: what of a node's surroundings works.

use tokio::sync::mpsc;

use crate::cli::context::{Context, heed, stop};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::human::{counted, word};
use crate::cli::render::json::Line;
use crate::cli::say;
use crate::node::{Check, ErrorCode, Examination, Listen, Node, Verdict};

/// Checks that wait to be shown.
const WAITING: usize = 16;

/// Runs the command: it ends well when nothing is broken.
pub(crate) async fn run(context: &Context) -> Result<Exit> {
    let settings = &context.settings;
    let mut signals = context.signals()?;
    let mut of = Examination {
        trackers: settings.trackers.clone(),
        peers: settings.peers.clone(),
        lan: settings.near.lan.clone(),
        wanted: None,
    };
    let listen = settings.node_listen.map_or(Listen::DefaultPorts, Listen::At);
    let (node, _events) = match Node::start(context.options().listen(listen)).await {
        Err(error) if error.code() == ErrorCode::Listen && settings.node_listen.is_some() => {
            of.wanted = settings.node_listen;
            Node::start(context.options()).await?
        }
        started => started?,
    };
    signals.heed(&node);
    let (tell, mut checks) = mpsc::channel::<Check>(WAITING);
    let show = async {
        let mut broken = 0;
        while let Some(check) = checks.recv().await {
            broken += u64::from(check.verdict == Verdict::Broken);
            show(context, &check)?;
        }
        Ok::<_, Failure>(broken)
    };
    let result = heed(&mut signals, async { tokio::join!(node.examine(&of, tell), show) }).await;
    stop(node.stop(), &mut signals).await;
    match result?.1? {
        0 => Ok(Exit::DONE),
        broken => {
            let verb = if broken == 1 { "does" } else { "do" };
            context.output.note(&format!("qshare: {} {verb} not work; see above", counted(broken, "thing")));
            Ok(Exit::FAILED)
        }
    }
}

fn show(context: &Context, check: &Check) -> Result<()> {
    let message = say::check(check, context.output.names());
    let (name, state) = (&*check.name, check.verdict);
    context.output.emit(&Line::Check { name, state, message: &message })?;
    context.output.print(&format!("{:<8} {name:<11} {message}\n", word(&state)))
}
