//! A small file system of its own. Mounting it needs root; says when it cannot.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

const MIB: usize = 1 << 20;

/// See above; gone at the end.
pub struct SmallDisk(pub PathBuf);

impl SmallDisk {
    pub fn mount(path: PathBuf, mib: usize) -> Option<Self> {
        let size = format!("size={mib}m");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        match output {
            Ok(output) if output.status.success() => Some(Self(path)),
            other => {
                eprintln!("skipped: no small file system can be mounted here ({other:?})");
                None
            }
        }
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.0.join("ballast")).expect("made");
        for piece in [vec![1; MIB], vec![1; 4 << 10]] {
            while file.write_all(&piece).is_ok() {}
        }
    }

    /// Frees so many of those bytes again.
    pub fn give_back(&self, bytes: usize) {
        let file = fs::File::options().write(true).open(self.0.join("ballast")).expect("there");
        let len = file.metadata().expect("there").len();
        file.set_len(len - bytes as u64).expect("shortened");
    }

    pub fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).expect("there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
