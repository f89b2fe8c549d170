//! How something that is sent stands, as it is told while its command goes on: each change once, and why it does not go on.

use std::time::Duration;

use tokio::time::{Instant, interval};

use super::list::{name, sentence, why};
use crate::cli::commands::share;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::render::Style;
use crate::cli::render::activity::Activity;
use crate::cli::render::human::{counted, duration};
use crate::cli::render::json::{Line, PutLine};
use crate::cli::signals::{Signals, Stop};
use crate::io::share::scan::Omission;
use crate::model::Size;
use crate::node::{ControlError, Put, PutProgress, Receiver, Receiving};

/// How often programs are told how far it is.
const TELL: Duration = Duration::from_secs(1);
/// After so long without a byte it is told that a transfer stands.
const STANDS: Duration = Duration::from_secs(10);
/// Those who are named of several for whom is waited.
const NAMED: usize = 2;

/// Shows how it stands until it ends, or a signal withdraws it. What the running node carries out is left to it when the terminal
/// hangs up.
pub(super) async fn follow(context: &Context, mut put: Put, signals: &mut Signals) -> Result<PutProgress, Failure> {
    let (mut progress, canceller, leaver) = (put.progress(), put.canceller(), put.leaver());
    progress.mark_changed();
    let (mut told, mut looks) = (Told::default(), interval(TELL));
    let mut stopped = None;
    let ended = loop {
        tokio::select! {
            biased;
            ended = put.finish() => break ended,
            changed = progress.changed() => match changed {
                Ok(()) => told.tell(context, &progress.borrow_and_update().clone())?,
                Err(_) => break put.finish().await,
            },
            _ = looks.tick() => told.tell_standing(context, &progress.borrow().clone())?,
            stop = signals.next() => {
                if stopped.replace(stop).is_some() {
                    canceller.cancel();
                    break Err(ControlError::Lost.into());
                }
                told.activity = None;
                if let Some(leaver) = leaver.as_ref().filter(|_| stop == Stop::Hangup) {
                    leaver.cancel();
                    continue;
                }
                canceller.cancel();
                context.output.remark("qshare: withdrawing it; once more ends at once");
            }
        }
    };
    told.activity = None;
    if let Some(stop) = stopped {
        return ended.ok().filter(|ended| ended.number.is_some()).ok_or(Failure::Stopped(stop));
    }
    let ended = ended?;
    told.tell(context, &ended)?;
    told.activity = None;
    Ok(ended)
}

/// What was told last.
#[derive(Default)]
struct Told {
    receivers: Vec<OfOne>,
    activity: Option<(String, Activity)>,
    is_shown: bool,
}

/// What was told of one of those to whom it goes.
struct OfOne {
    receiver: Receiver,
    told: Option<Instant>,
    moved: Instant,
    /// That its transfer stands was told.
    stands: bool,
}

impl Told {
    fn tell(&mut self, context: &Context, now: &PutProgress) -> Result<(), Failure> {
        if !self.is_shown && !now.items.is_empty() {
            self.is_shown = true;
            let left_out: Vec<&Omission> = now.left_out.0.iter().collect();
            share::left_out(&left_out, now.left_out.1).iter().for_each(|sentence| context.output.warn(sentence));
            let files = counted(now.items.iter().map(|item| u64::from(item.files)).sum(), "file");
            let names: Vec<String> = now.items.iter().map(|item| item.name.to_string()).collect();
            let whom = counted(now.receivers.len() as u64, "node");
            context.output.remark(&format!(
                "qshare: sending {} ({files}, {}) to {whom}",
                names.join(", "),
                Size(now.total)
            ));
        }
        match now.hashing {
            Some(done) => self.show(context, "hashing".to_owned(), done),
            None if now.receivers.iter().any(|one| one.state == Receiving::Fetching) => {
                let bytes = now.receivers.iter().map(|one| one.bytes).sum();
                let total = now.total * now.receivers.len() as u64;
                self.show(context, "sending".to_owned(), (bytes, total));
            }
            None => match waited_for(context, now).filter(|_| context.output.style == Style::Bars) {
                Some(waited_for) => self.show(context, waited_for, (0, 0)),
                None => self.activity = None,
            },
        }
        // Those that turned out to be another of them are not there any more.
        self.receivers.retain(|one| now.receivers.iter().any(|receiver| receiver.peer == one.receiver.peer));
        now.receivers.iter().try_for_each(|receiver| self.tell_one(context, receiver, now))
    }

    fn show(&mut self, context: &Context, what: String, (done, total): (u64, u64)) {
        let activity = self.activity.take().filter(|(shown, _)| *shown == what);
        let begin = || {
            let activity = Activity::start(&context.output, &what);
            (what.clone(), activity)
        };
        self.activity.insert(activity.unwrap_or_else(begin)).1.set(done, total);
    }

    fn tell_one(&mut self, context: &Context, now: &Receiver, all: &PutProgress) -> Result<(), Failure> {
        let before = self.receivers.iter().find(|one| one.receiver.peer == now.peer);
        let is_new = before.is_none_or(|before| before.receiver.state != now.state);
        let has_moved = before.is_some_and(|before| before.receiver.bytes != now.bytes);
        let is_due = before.and_then(|before| before.told).is_none_or(|told| told.elapsed() >= TELL);
        if !(is_new || has_moved && is_due) {
            return Ok(());
        }
        let moved = Instant::now();
        let of_one = OfOne { receiver: now.clone(), told: Some(moved), moved, stands: false };
        match self.receivers.iter_mut().find(|one| one.receiver.peer == now.peer) {
            Some(place) => *place = of_one,
            None => self.receivers.push(of_one),
        }
        let why = why(context, now);
        context.output.emit(&Line::Put(PutLine::of(now, all, context.output.names(), why.clone())))?;
        if is_new && now.state != Receiving::Looking {
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            context.output.remark(&format!("qshare: {}{why}", sentence(&name(context, now), now.state)));
        }
        Ok(())
    }

    /// Tells once of each transfer that has begun and of which nothing comes any more.
    fn tell_standing(&mut self, context: &Context, now: &PutProgress) -> Result<(), Failure> {
        let is_long = |one: &OfOne| !one.stands && one.moved.elapsed() >= STANDS;
        for one in self.receivers.iter_mut().filter(|one| one.receiver.state == Receiving::Fetching && is_long(one)) {
            one.stands = true;
            let why = format!("nothing of it has come there for {}", duration(STANDS));
            let who = name(context, &one.receiver);
            context.output.remark(&format!("qshare: {who} stands still: {why}, and it is waited for"));
            context.output.emit(&Line::Put(PutLine::of(&one.receiver, now, context.output.names(), Some(why))))?;
        }
        Ok(())
    }
}

/// Who has to do something before it goes on: `waits for anna and 2 more to accept, lab2 is away`.
fn waited_for(context: &Context, now: &PutProgress) -> Option<String> {
    let of = |state: Receiving, before: &str, after: [&str; 2]| {
        let some = now.receivers.iter().filter(|receiver| receiver.state == state);
        let all: Vec<String> = some.map(|receiver| name(context, receiver)).collect();
        let more = all.len().saturating_sub(NAMED);
        let named = all[..all.len() - more].join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!all.is_empty()).then(|| format!("{before}{named}{more}{}", after[usize::from(all.len() > 1)]))
    };
    let parts = [
        of(Receiving::Waiting, "waits for ", [" to accept"; 2]),
        of(Receiving::Away, "", [" is away", " are away"]),
        of(Receiving::Looking, "looks for ", [""; 2]),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
