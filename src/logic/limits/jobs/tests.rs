use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn steps(jobs: &mut Jobs, now: Duration) -> Vec<Step> {
    std::iter::from_fn(|| jobs.step(now)).collect()
}

fn failed(again: bool) -> RunEnd {
    RunEnd::Failed { again, came: false }
}

#[test]
fn so_many_run_and_the_oldest_that_waits_is_next() {
    let mut jobs = Jobs::default();
    let ids: Vec<_> = (0..=RUNNING).map(|_| jobs.add(false).expect("room")).collect();
    let begun = steps(&mut jobs, SECOND);
    assert!(begun.contains(&Step::Begin(ids[RUNNING - 1])) && !begun.contains(&Step::Begin(ids[RUNNING])));
    let watched = jobs.add(true).expect("room");
    assert_eq!(steps(&mut jobs, SECOND), [Step::Begin(watched)], "whoever looks on waits for nobody");
    jobs.over(ids[3], RunEnd::Done, SECOND);
    assert_eq!(steps(&mut jobs, SECOND), [Step::Keep(ids[3]), Step::Begin(ids[RUNNING])]);
    assert_eq!(jobs.state(ids[3]), Some(JobState::Ended));
}

#[test]
fn one_more_that_is_left_waits_for_its_turn() {
    let mut jobs = Jobs::default();
    let ids: Vec<_> = (0..=RUNNING).map(|_| jobs.add(true).expect("room")).collect();
    steps(&mut jobs, SECOND);
    for (n, id) in ids.iter().enumerate() {
        jobs.detach(*id);
        let is_halted = steps(&mut jobs, SECOND).contains(&Step::Halt(*id));
        assert_eq!(is_halted, n == RUNNING, "{n}");
    }
    let last = ids[RUNNING];
    jobs.over(last, RunEnd::Halted, SECOND);
    assert_eq!(
        (jobs.state(last), steps(&mut jobs, SECOND).contains(&Step::Begin(last))),
        (Some(JobState::Waiting), false)
    );
    jobs.over(ids[2], RunEnd::Done, SECOND);
    assert!(steps(&mut jobs, SECOND).contains(&Step::Begin(last)), "the next");
}

#[test]
fn what_failed_is_tried_again_later_and_later_where_time_may_help() {
    let mut jobs = Jobs::default();
    let id = jobs.add(false).expect("room");
    let mut now = Duration::ZERO;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        assert!(steps(&mut jobs, now).contains(&Step::Begin(id)));
        jobs.over(id, failed(true), now);
        assert!(!steps(&mut jobs, now).contains(&Step::Begin(id)), "not at once");
        let due = jobs.due().expect("again");
        pauses.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    steps(&mut jobs, now);
    jobs.over(id, RunEnd::Failed { again: true, came: true }, now);
    assert_eq!(jobs.again(id, now), Some(FIRST), "something came");
    jobs.order(id, JobOrder::Retry).expect("at once");
    assert!(steps(&mut jobs, now).contains(&Step::Begin(id)));
    jobs.over(id, failed(false), now);
    assert_eq!((jobs.state(id), jobs.due()), (Some(JobState::Failed), None));
}

#[test]
fn a_job_is_not_begun_again_before_its_run_has_ended() {
    let mut jobs = Jobs::default();
    let id = jobs.add(false).expect("room");
    steps(&mut jobs, SECOND);
    jobs.order(id, JobOrder::Pause).expect("it runs");
    assert_eq!(steps(&mut jobs, SECOND), [Step::Halt(id), Step::Keep(id)]);
    jobs.order(id, JobOrder::Resume).expect("it is paused");
    assert_eq!(steps(&mut jobs, SECOND), [Step::Keep(id)], "its transfer ends just now");
    jobs.over(id, RunEnd::Halted, SECOND);
    assert!(steps(&mut jobs, SECOND).contains(&Step::Begin(id)));
    jobs.order(id, JobOrder::Cancel).expect("it runs");
    jobs.over(id, RunEnd::Done, SECOND);
    assert_eq!(jobs.state(id), Some(JobState::Ended), "it came to its end first");
    assert_eq!(jobs.order(id, JobOrder::Pause), Err(JobError::State { id, state: JobState::Ended }));
}

#[test]
fn what_a_command_follows_is_kept_only_once_it_is_left() {
    let mut jobs = Jobs::default();
    let (told, left) = (jobs.add(true).expect("room"), jobs.add(true).expect("room"));
    assert_eq!(steps(&mut jobs, SECOND), [Step::Begin(told), Step::Begin(left)]);
    jobs.detach(left);
    assert_eq!(steps(&mut jobs, SECOND), [Step::Keep(left)]);
    jobs.over(told, failed(true), SECOND);
    jobs.over(left, failed(true), SECOND);
    assert_eq!(steps(&mut jobs, SECOND), [Step::Forget(told), Step::Keep(left)]);
    assert_eq!((jobs.state(told), jobs.state(left)), (None, Some(JobState::Waiting)));
}

#[test]
fn after_a_restart_what_ran_goes_on_and_what_was_paused_does_not() {
    let mut jobs = Jobs::default();
    let [ran, paused, failed, wrong] = [3, 5, 6, 9].map(JobId);
    assert!(jobs.restore(ran, JobState::Running, false) && jobs.restore(paused, JobState::Paused, false));
    assert!(jobs.restore(failed, JobState::Failed, true) && jobs.restore(wrong, JobState::Failed, false));
    assert!(!jobs.restore(ran, JobState::Ended, false), "taken");
    assert_eq!(steps(&mut jobs, Duration::ZERO), [Step::Begin(ran), Step::Begin(failed)]);
    jobs.reserve(JobId(20));
    assert_eq!(jobs.add(false), Ok(JobId(21)));
}

#[test]
fn what_is_over_is_cleared_and_what_goes_on_by_itself_is_not() {
    let mut jobs = Jobs::default();
    let [done, wrong, again] = [(); 3].map(|()| jobs.add(false).expect("room"));
    steps(&mut jobs, SECOND);
    assert_eq!(jobs.order(done, JobOrder::Clear), Err(JobError::State { id: done, state: JobState::Running }));
    jobs.over(done, RunEnd::Done, SECOND);
    jobs.over(wrong, failed(false), SECOND);
    jobs.over(again, failed(true), SECOND);
    steps(&mut jobs, SECOND);
    let cleared = [done, wrong, again].map(|id| jobs.order(id, JobOrder::Clear).is_ok());
    assert_eq!(cleared, [true, true, false]);
    assert_eq!(steps(&mut jobs, SECOND), [Step::Forget(done), Step::Forget(wrong)]);
}

#[test]
fn the_oldest_that_is_over_makes_room() {
    let mut jobs = Jobs::default();
    let ids: Vec<_> = (0..MOST).map(|_| jobs.add(false).expect("room")).collect();
    assert_eq!(jobs.add(false), Err(JobError::Full));
    jobs.order(ids[7], JobOrder::Cancel).expect("it waits");
    steps(&mut jobs, SECOND);
    let new = jobs.add(false).expect("room");
    assert_eq!((jobs.state(ids[7]), jobs.state(new)), (None, Some(JobState::Waiting)));
    assert!(steps(&mut jobs, SECOND).contains(&Step::Forget(ids[7])));
}
