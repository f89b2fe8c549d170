use rustix::process::getpriority_process;

use super::*;

#[test]
fn the_peak_of_memory_is_what_was_held_once() {
    let held = vec![1_u8; 64 << 20];
    assert!(held.iter().all(|byte| *byte == 1));
    drop(held);
    assert!(peak_memory() > 64 << 20, "{}", peak_memory());
}

#[test]
fn only_the_calling_thread_gives_way() {
    let before = getpriority_process(None).expect("told");
    let there = std::thread::spawn(|| {
        give_way();
        getpriority_process(None).expect("told")
    });
    assert_eq!(there.join().expect("no panic"), (before + NICE).min(19));
    assert_eq!(getpriority_process(None).expect("told"), before);
}
