use super::*;

#[test]
fn a_process_that_has_ended_is_not_named() {
    let mut child = std::process::Command::new("true").spawn().expect("started");
    child.wait().expect("ended");
    assert_eq!(holder(Some(child.id())), "another process");
    assert_eq!(holder(Some(std::process::id())), format!("process {}", std::process::id()));
}
