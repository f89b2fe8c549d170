use super::*;

fn skip(why: &str) {
    io::Write::write_all(&mut io::stderr(), format!("skipped: {why}\n").as_bytes()).expect("standard error");
}

/// Which other file systems can tell differs, so only this one is held to it.
#[test]
fn on_a_file_system_in_memory_everything_is_ready() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return skip("no /dev/shm") };
    let path = dir.path().join("a");
    std::fs::write(&path, b"0123456789").expect("written");
    let file = File::open(&path).expect("there");
    if !is_in_memory(&file).expect("told") {
        return skip("/dev/shm is no tmpfs");
    }
    let mut buf = [0; 8];
    assert_eq!(read_ready_at(&file, &mut buf, 0).expect("read"), 8);
    assert_eq!((read_ready_at(&file, &mut buf, 7).expect("read"), &buf[..3]), (3, &b"789"[..]));
    assert_eq!(read_ready_at(&file, &mut buf, 10).expect("read"), 0);
}
