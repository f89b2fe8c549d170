//! Who carries a `get` out: the running node of the home, or one inside the command, until another one wants the home.

use std::collections::VecDeque;

use tokio::sync::watch;

use super::{Getting, Want, is_stream, options, through};
use crate::cli::commands::share;
use crate::cli::context::{heed, stop};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::json::Line;
use crate::cli::signals::Signals;
use crate::node::{ControlError, Error, Node, What};

impl Getting<'_> {
    /// Has the running node of the home do it, where there is one that can. None when this is to go on by itself.
    pub(super) async fn through(
        &mut self,
        wants: &mut VecDeque<Want>,
        signals: &mut Signals,
    ) -> Result<Option<Result<Exit, Failure>>, Failure> {
        let (context, arguments) = (self.context, self.arguments);
        let Some(remote) = through::remote(context, arguments).await? else { return Ok(None) };
        if arguments.seed
            && let Some(addr) = remote.status().await?.addrs.first().map(|own| own.addr)
        {
            context.output.emit(&Line::Listening { addr, node: remote.running().node })?;
        }
        self.remote = Some(remote);
        match self.all(wants, signals).await {
            Err(Failure::Node(Error::Control(error))) if !arguments.detach && error.is_refusal() => {}
            Err(Failure::Node(error @ Error::Control(ControlError::Lost)))
                if !arguments.detach && !wants.is_empty() =>
            {
                context.output.warn(&format!("{error}: this goes on by its own power"));
            }
            Err(Failure::Node(Error::Control(cut @ ControlError::Cut { written }))) => {
                let (Some(id), Some(want)) = (self.begun, wants.front_mut()) else {
                    return Err(Error::Control(cut).into());
                };
                context.output.warn(&format!("{}: this goes on by its own power", ControlError::Lost));
                // The same bytes, and not what the words mean by then.
                *want = Want { what: What::Id(id), choose: None, called: want.called.take() };
                self.written = written;
            }
            result => return Ok(Some(result)),
        }
        self.remote = None;
        Ok(None)
    }

    /// Does it on a node inside this command. None when a node that lasts has got the home: this goes on through that.
    pub(super) async fn alone(
        &mut self,
        wants: &mut VecDeque<Want>,
        signals: &mut Signals,
    ) -> Result<Option<Result<Exit, Failure>>, Failure> {
        let (context, arguments) = (self.context, self.arguments);
        let (node, events) = heed(signals, Node::start(options(context, arguments))).await??;
        signals.heed(&node);
        context.warn_homeless(&node);
        if arguments.seed {
            context.output.emit(&Line::Listening { addr: node.addr(), node: node.id() })?;
            context.pass_events(events, share::tell(context));
        } else {
            context.pass_warnings(events);
        }
        // What was written to a stream is not written again.
        let mut asked = (!arguments.seed && !is_stream(arguments)).then(|| node.yield_asked());
        self.node = Some(node.clone());
        let result = tokio::select! {
            result = self.all(wants, signals) => Some(result),
            () = until(&mut asked) => None,
        };
        self.node = None;
        let Some(result) = result else {
            context.output.note("qshare: another command takes this home over: this goes on through it");
            stop(node.stop(), signals).await;
            return Ok(None);
        };
        result.as_ref().err().into_iter().for_each(|failure| context.warn_guest(node.is_guest_beside(), failure));
        let last = node.count_uploads().await;
        stop(node.stop(), signals).await;
        let result = if arguments.seed {
            result.and(share::summarise(context, last).await.map(|()| Exit::DONE))
        } else {
            result
        };
        Ok(Some(result))
    }
}

/// Resolves when the home is asked for; never, where it is not given.
async fn until(asked: &mut Option<watch::Receiver<bool>>) {
    if let Some(asked) = asked
        && asked.wait_for(|asked| *asked).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
