use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::io::positional::read_exact_at;

const PIECE: usize = 256 << 10;

/// Directories on as many kinds of file system as can be had here: each has its own way with holes.
struct Places {
    dirs: Vec<(String, PathBuf)>,
    mounted: Vec<PathBuf>,
    _dir: tempfile::TempDir,
}

impl Places {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut places =
            Self { dirs: vec![("here".to_owned(), dir.path().to_owned())], mounted: Vec::new(), _dir: dir };
        for kind in ["tmpfs", "ext4", "xfs", "vfat"] {
            if places.mount(kind).is_none() {
                eprintln!("skipped: no {kind} can be mounted here");
            }
        }
        places
    }

    fn mount(&mut self, kind: &str) -> Option<()> {
        let run = |command: &mut Command| command.output().is_ok_and(|o| o.status.success()).then_some(());
        let root = self.dirs[0].1.clone();
        let (image, at) = (root.join(format!("{kind}.img")), root.join(kind));
        std::fs::create_dir(&at).ok()?;
        if kind == "tmpfs" {
            run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "none"]).arg(&at))?;
        } else {
            // The least that mkfs.xfs makes.
            File::create(&image).and_then(|file| file.set_len(320 << 20)).ok()?;
            run(Command::new(format!("mkfs.{kind}")).arg(&image))?;
            run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at))?;
        }
        self.mounted.push(at.clone());
        self.dirs.push((kind.to_owned(), at));
        Some(())
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for at in &self.mounted {
            let _ = Command::new("umount").arg("-l").arg(at).output();
        }
    }
}

fn made(dir: &Path, name: &str) -> File {
    File::options().read(true).write(true).create(true).truncate(true).open(dir.join(name)).expect("made")
}

fn used(file: &File) -> u64 {
    file.sync_all().expect("synced");
    file.metadata().expect("known").blocks() * 512
}

fn read(file: &File) -> Vec<u8> {
    let mut bytes = vec![0xaa; usize::try_from(file.metadata().expect("known").len()).expect("small")];
    read_exact_at(file, &mut bytes, 0).expect("read");
    bytes
}

/// Bytes of a file with zeros at its beginning, in its middle, at its end, and some too short to matter.
fn holey() -> Vec<u8> {
    let mut bytes = vec![0; 4 * PIECE + 17];
    bytes[PIECE] = 1;
    bytes[2 * PIECE - 1] = 2;
    bytes[3 * PIECE..3 * PIECE + 4096].fill(3);
    bytes
}

#[test]
fn zeros_leave_holes_and_everything_reads_back_on_every_file_system() {
    let (places, bytes) = (Places::new(), holey());
    let size = bytes.len() as u64;
    for (kind, dir) in &places.dirs {
        for prepared in [false, true] {
            let file = made(dir, "f");
            if prepared {
                set_aside(&file, std::slice::from_ref(&(0..size)), size).expect("set aside");
            }
            for order in [[3, 0, 4, 1, 2], [0, 1, 2, 3, 4]] {
                for piece in order {
                    let part = &bytes[piece * PIECE..bytes.len().min((piece + 1) * PIECE)];
                    write_at(&file, part, (piece * PIECE) as u64, size).expect("written");
                }
            }
            assert!(read(&file) == bytes, "{kind}, prepared: {prepared}");
            let at_most = if kind == "vfat" { size + PIECE as u64 } else { 4 * HOLE as u64 };
            assert!(used(&file) <= at_most, "{kind}, prepared: {prepared}: {} bytes used", used(&file));
            let copied = made(dir, "copy");
            copy(&file, &copied, size).expect("copied");
            assert!(read(&copied) == bytes && used(&copied) <= at_most, "{kind}: the copy uses {}", used(&copied));
        }
    }
}

#[test]
fn zeros_over_other_bytes_are_zeros() {
    for (kind, dir) in &Places::new().dirs {
        let file = made(dir, "f");
        write_at(&file, &[7; 2 * PIECE], 0, 2 * PIECE as u64).expect("written");
        write_at(&file, &[0; PIECE], 0, 2 * PIECE as u64).expect("written");
        let expected = [[0; PIECE], [7; PIECE]].concat();
        assert!(read(&file) == expected, "{kind}");
    }
}

#[test]
fn what_was_set_aside_again_around_holes_stays_a_hole() {
    for (kind, dir) in Places::new().dirs.iter().filter(|(kind, _)| kind == "ext4" || kind == "xfs") {
        let (file, size) = (made(dir, "f"), 8 * PIECE as u64);
        set_aside(&file, std::slice::from_ref(&(0..size)), size).expect("set aside");
        assert!(used(&file) >= size, "{kind} sets room aside");
        write_at(&file, &vec![0; 4 * PIECE], 0, size).expect("written");
        set_aside(&file, std::slice::from_ref(&(size / 2..size)), size).expect("set aside");
        assert!((size / 2..size / 2 + PIECE as u64).contains(&used(&file)), "{kind}: {}", used(&file));
    }
}

#[test]
fn runs_are_whole_blocks_in_order() {
    let mut bytes = vec![0; 3 * HOLE + 5];
    bytes[HOLE + 1] = 1;
    assert_eq!(
        runs(&bytes),
        [(0..HOLE, true), (HOLE..2 * HOLE, false), (2 * HOLE..3 * HOLE, true), (3 * HOLE..3 * HOLE + 5, false)]
    );
    assert_eq!(runs(&[]), []);
    assert_eq!(runs(&bytes[..HOLE - 1]), [(0..HOLE - 1, false)]);
}
