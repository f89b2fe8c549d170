//! Transfers of the running node, as lines that are drawn again and again, or as plain lines now and then.
//! Not responsible for when: the caller samples the jobs and tells the time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::render::fit;
use crate::cli::render::human::{counted, duration, percent, rate, time_left};
use crate::cli::render::live::{Frame, Screen};
use crate::cli::render::{Console, Style};
use crate::model::{Shown, Size};
use crate::node::{JobId, JobRow, JobState};

/// Between two plain lines of one job whose state is the same.
const EVERY: Duration = Duration::from_secs(3);
/// Lines of a terminal that are for something else: the rest, and what was there before.
const OTHER_LINES: usize = 4;

/// Whether something becomes of it without its owner.
pub(crate) const fn goes_on(job: &JobRow) -> bool {
    matches!(job.state, JobState::Running | JobState::Waiting)
}

/// Shows jobs.
pub(crate) struct JobsView {
    output: Console,
    screen: Option<Screen>,
    /// What was told in plain lines, and when.
    told: BTreeMap<JobId, (JobState, Duration)>,
}

impl JobsView {
    /// A view that has shown nothing yet.
    pub(crate) fn new(output: &Console) -> Self {
        let screen = (output.style == Style::Bars).then(|| Screen::new(output));
        Self { output: output.clone(), screen, told: BTreeMap::new() }
    }

    /// Shows where they stand.
    pub(crate) fn show(&mut self, jobs: &[JobRow], now: Duration) {
        match &self.screen {
            Some(screen) => screen.draw(&lines(jobs, self.output.frame(now))),
            None if self.output.style == Style::Lines => self.tell(jobs, now),
            None => {}
        }
    }

    /// A line for each that is in another state, and now and then for each that runs.
    fn tell(&mut self, jobs: &[JobRow], now: Duration) {
        for job in jobs {
            let told = self.told.get(&job.id);
            let due = match told {
                None => goes_on(job),
                Some((state, at)) => {
                    *state != job.state || (job.state == JobState::Running && now.saturating_sub(*at) >= EVERY)
                }
            };
            if due {
                self.output.note(&format!("qshare: job {}: {}", job.id, parts(job, name(job)).join(", ")));
                self.told.insert(job.id, (job.state, now));
            }
        }
    }
}

/// Two lines for each that runs, one for each that waits; those for which there is no room are counted.
fn lines(jobs: &[JobRow], frame: Frame) -> Vec<String> {
    let mut active: Vec<_> = jobs.iter().filter(|job| goes_on(job)).collect();
    active.sort_by_key(|job| (job.state != JobState::Running, job.id));
    let room = frame.height.saturating_sub(OTHER_LINES).max(2);
    let (mut lines, mut shown) = (Vec::new(), 0);
    for job in &active {
        let own = of_one(job, frame);
        if lines.len() + own.len() > room {
            break;
        }
        lines.extend(own);
        shown += 1;
    }
    if shown < active.len() {
        lines.push(frame.paint.aside(&format!("  and {}", counted((active.len() - shown) as u64, "more job"))));
    }
    lines
}

fn of_one(job: &JobRow, frame: Frame) -> Vec<String> {
    let running = job.state == JobState::Running;
    let lead = if running { frame.spinner() } else { "  ".to_owned() };
    let lead = format!("{lead}{} ", job.id);
    let mut parts = parts(job, String::new());
    // The bar tells them.
    let told = if running && job.total > 0 { parts.split_off(1) } else { Vec::new() };
    let mut lines = vec![fit::line(frame.width, frame.paint, &lead, &name(job), &parts)];
    if running && job.total > 0 {
        lines.push(fit::bar(frame.width, frame.paint, (job.bytes, job.total), &told));
    }
    lines
}

/// How it stands, after its name where that is to be told, the most important first.
fn parts(job: &JobRow, name: String) -> Vec<String> {
    let mut parts: Vec<_> = Some(name).filter(|name| !name.is_empty()).into_iter().collect();
    parts.push(job.state.word().to_owned());
    if job.total > 0 && job.state != JobState::Ended {
        parts.push(format!("{:>3} % of {}", percent(job.bytes, job.total), Size(job.total)).trim_start().to_owned());
    }
    if job.state == JobState::Running && job.total > 0 {
        parts.push(rate(job.rate));
        let left = time_left(job.total.saturating_sub(job.bytes), job.rate);
        parts.extend(left.map(|left| format!("{} left", duration(left))));
        parts.extend((job.providers > 0).then(|| format!("from {}", counted(job.providers, "provider"))));
    }
    let again = job.again.map(|again| Duration::from_secs(again.as_secs()));
    parts.extend(again.map(|again| format!("tried again in {}", duration(again))));
    parts
}

/// What it is called.
pub(crate) fn name(job: &JobRow) -> String {
    let name = job.name.as_ref().map_or_else(|| job.what.to_string(), ToString::to_string);
    Shown(&name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::fit::Paint;
    use crate::model::{ContentId, SafePath};
    use crate::node::What;

    fn job(number: u32, state: JobState) -> JobRow {
        let runs = state == JobState::Running;
        JobRow {
            id: JobId::from(number),
            what: What::Id(ContentId::of(b"x")),
            name: Some(SafePath::parse("papers/big.bin").expect("a name")),
            given: false,
            output: None,
            state,
            halting: false,
            bytes: 12 << 20,
            total: 48 << 20,
            rate: if runs { 4 << 20 } else { 0 },
            limit: None,
            providers: u64::from(runs),
            error: None,
            again: (state == JobState::Waiting).then_some(Duration::from_millis(4700)),
        }
    }

    fn frame(height: usize) -> Frame {
        Frame { width: 70, height, paint: Paint::default(), now: Duration::ZERO }
    }

    #[test]
    fn who_runs_has_a_bar_and_who_is_over_has_no_line() {
        let all = [JobState::Ended, JobState::Failed, JobState::Paused, JobState::Running, JobState::Waiting]
            .map(|state| job(7, state));
        let shown = lines(&all, frame(24));
        assert!(shown[0].contains("7 papers/big.bin") && shown[0].contains("running"), "{shown:?}");
        assert!(shown[1].contains("25 % of 48.0 MiB") && shown[1].contains("9.0 s left"), "{shown:?}");
        assert!(shown[2].contains("waiting") && shown[2].contains("tried again in 4"), "{shown:?}");
        assert_eq!(shown.len(), 3);
    }

    #[test]
    fn those_without_room_are_counted() {
        let all: Vec<_> = (1..=50).map(|number| job(number, JobState::Running)).collect();
        let shown = lines(&all, frame(10));
        assert_eq!(shown.len(), 7);
        assert!(shown[6].contains("and 47 more jobs"), "{shown:?}");
    }
}
