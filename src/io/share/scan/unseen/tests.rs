use rustix::io::Errno;

use super::*;

#[test]
fn absence_is_an_answer_and_nothing_else_is() {
    let errors = [Errno::ACCESS, Errno::IO, Errno::MFILE, Errno::NFILE, Errno::STALE, Errno::TIMEDOUT, Errno::NOTCONN];
    for errno in errors {
        assert!(!is_absence(&errno.into()), "{errno:?}");
    }
    for errno in [Errno::NOENT, Errno::NOTDIR, Errno::LOOP] {
        assert!(is_absence(&errno.into()), "{errno:?}");
    }
}
