//! Follows a transfer to its end: samples its progress for people and programs, and cancels it at a signal.
//! Not responsible for what is asked for nor for what is told at the end.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::json::{Line, Reached};
use crate::cli::render::progress::View;
use crate::cli::render::uploads;
use crate::cli::signals::{Signals, Stop};
use crate::model::Size;
use crate::node::{ControlError, Error, Node, Notice, Outcome, Phase, Progress, Transfer};

/// How often progress is sampled: bars look alive, and a JSON line comes well within every second.
const SAMPLE: Duration = Duration::from_millis(250);
/// Between two JSON lines `progress`.
const EVERY: Duration = Duration::from_millis(500);

/// Waits for the end of a transfer. The first signal cancels it, a second one leaves at once.
/// `subject` is what it is called before anything was found. What the running node carries out is left to it when the terminal
/// hangs up; with `detach` as soon as it is found.
pub(crate) async fn transfer(
    context: &Context,
    subject: &str,
    transfer: Transfer,
    signals: &mut Signals,
    detach: bool,
) -> Result<Outcome> {
    let leaver = transfer.leaver();
    let (progress, notices, canceller) = (transfer.progress(), transfer.notices(), transfer.canceller());
    let mut teller = Teller::new(context, subject);
    let mut samples = tokio::time::interval(SAMPLE);
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let finish = transfer.finish();
    tokio::pin!(finish);
    let (mut stopped, mut broken) = (None, None);
    let result = loop {
        tokio::select! {
            result = &mut finish => break result,
            _ = samples.tick() => {
                teller.warn(&notices.borrow());
                let sample = progress.borrow().clone();
                if detach && is_found(&sample) && let Some(leaver) = &leaver {
                    leaver.cancel();
                }
                if let Err(failure) = teller.tell(&sample, false) && broken.is_none() {
                    broken = Some(failure);
                    canceller.cancel();
                }
            }
            stop = signals.next() => match stopped.replace(stop) {
                None => leaver.as_ref().filter(|_| stop == Stop::Hangup).unwrap_or(&canceller).cancel(),
                Some(_) => return Err(Failure::Stopped(stop)),
            },
        }
    };
    if let Some(failure) = broken {
        return Err(failure);
    }
    teller.warn(&notices.borrow());
    let last = progress.borrow().clone();
    let told = teller.tell(&last, true);
    // A terminal that hung up takes no last line, and that is not why it ended.
    let outcome = result.map_err(|error| ended(error, stopped))?;
    told.map(|()| outcome)
}

/// Whether it is known what comes, that it is not there yet, and that it can be put there.
fn is_found(progress: &Progress) -> bool {
    progress.id.is_some() && !matches!(progress.phase, Phase::Looking | Phase::Connecting | Phase::Hashing)
}

fn ended(error: Error, stopped: Option<Stop>) -> Failure {
    match (error, stopped) {
        (
            error @ (Error::Control(ControlError::Left { .. } | ControlError::Same { .. })
            | Error::Interrupted { .. }
            | Error::Overtaken { .. }),
            Some(stop),
        ) => Failure::Interrupted { stop, error },
        (error, _) => Failure::Node(error),
    }
}

/// Serves what was fetched until a signal comes or the node fails.
pub(crate) async fn seed(context: &Context, node: &Node, bytes: u64, signals: &mut Signals) -> Result<Exit> {
    if signals.came {
        return Ok(Exit::DONE);
    }
    context.output.emit(&Line::Phase { name: Phase::Seeding })?;
    context.output.remark(&format!("qshare: seeding {} until stopped", Size(bytes)));
    let view = uploads::live(&context.output, "seeding", node.uploads());
    let served = tokio::select! {
        _ = signals.next() => Ok(Exit::DONE),
        ended = node.ended() => ended.map(|()| Exit::DONE).map_err(Failure::from),
    };
    view.end().await;
    served
}

/// Tells of a transfer what has changed since the last sample.
struct Teller<'a> {
    context: &'a Context,
    view: View,
    started: Instant,
    phase: Option<Phase>,
    progressed: Option<Duration>,
    warnings: usize,
}

impl<'a> Teller<'a> {
    fn new(context: &'a Context, subject: &str) -> Self {
        let view = View::new(&context.output, subject);
        Self { context, view, started: Instant::now(), phase: None, progressed: None, warnings: 0 }
    }

    fn warn(&mut self, notices: &[Notice]) {
        notices.iter().skip(self.warnings).for_each(|notice| self.context.output.notice(notice));
        self.warnings = notices.len();
    }

    fn tell(&mut self, progress: &Progress, last: bool) -> Result<()> {
        let output = &self.context.output;
        let now = self.started.elapsed();
        if self.phase != Some(progress.phase) {
            self.phase = Some(progress.phase);
            output.emit(&Line::Phase { name: progress.phase })?;
        }
        if last || self.progressed.is_none_or(|at| now.saturating_sub(at) >= EVERY) {
            self.progressed = Some(now);
            output.emit(&Line::Progress(Reached::of(progress)))?;
        }
        if !last {
            self.view.show(progress, now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_interrupted_transfer_ends_by_its_signal() {
        let interrupted = || Error::Interrupted { have: 1, total: 2 };
        assert_eq!(ended(interrupted(), Some(Stop::Terminate)).exit(), Exit::TERMINATED);
        assert_eq!(ended(interrupted(), None).exit(), Exit::INTERRUPTED);
        assert_eq!(ended(Error::NowhereToLook, Some(Stop::Interrupt)).exit(), Exit::USAGE);
    }
}
