//! Disks that stop answering, and a kernel that refuses what it usually gives. Linux, as root; each says when it
//! cannot be had here.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Lab;

/// An ext4 file system in a file, on a loop device.
pub struct Disk {
    place: PathBuf,
}

/// A disk that takes no writes until this is dropped. Drop it before a process that writes is waited for.
pub struct Frozen<'a>(&'a Disk);

impl Disk {
    /// `None`, and a word about it, where none can be made.
    pub fn mount(lab: &Lab, mib: u64) -> Option<Self> {
        let (image, place) = (lab.path("disk.img"), lab.dir("disk"));
        fs::File::create(&image).and_then(|file| file.set_len(mib << 20)).expect("a sparse file");
        let disk = Self { place };
        let made = run("mkfs.ext4", &["-q".as_ref(), &image])
            .and_then(|()| run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &disk.place]));
        match made {
            Ok(()) => Some(disk),
            Err(cause) => {
                eprintln!("skipped: no disk can be made on a loop device here ({cause})");
                None
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.place
    }

    /// Every write to it waits from now on. `None`, and a word about it, where that cannot be had.
    pub fn freeze(&self) -> Option<Frozen<'_>> {
        match run("fsfreeze", &["--freeze".as_ref(), &self.place]) {
            Ok(()) => Some(Frozen(self)),
            Err(cause) => {
                eprintln!("skipped: a file system cannot be frozen here ({cause})");
                None
            }
        }
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        run("fsfreeze", &["--unfreeze".as_ref(), &self.0.place]).expect("it was frozen");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Never mounted, perhaps.
        let _ = run("umount", &["-l".as_ref(), &self.place]);
    }
}

/// A process whose reads of one disk wait until this is dropped, by a control group (version 1) of its own.
pub struct Held {
    group: PathBuf,
    device: String,
}

impl Held {
    /// `None`, and a word about it, where that cannot be had.
    pub fn reads(pid: u32, disk: &Disk) -> Option<Self> {
        let dev = fs::metadata(&disk.place).expect("mounted").dev();
        let device = format!("{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev));
        let held = Self { group: format!("/sys/fs/cgroup/blkio/qshare-{pid}").into(), device };
        let made = fs::create_dir(&held.group)
            .and_then(|()| fs::write(held.group.join("cgroup.procs"), pid.to_string()))
            .and_then(|()| held.limit(1));
        match made {
            Ok(()) => Some(held),
            Err(cause) => {
                eprintln!("skipped: reads cannot be held here ({cause})");
                None
            }
        }
    }

    /// Bytes a second; 0 for no limit.
    fn limit(&self, rate: u32) -> std::io::Result<()> {
        fs::write(self.group.join("blkio.throttle.read_bps_device"), format!("{} {rate}", self.device))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.limit(0);
        let members = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines() {
            let _ = fs::write("/sys/fs/cgroup/blkio/cgroup.procs", pid);
        }
        let _ = fs::remove_dir(&self.group);
    }
}

/// What a kernel may refuse to set on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Larger buffers: the call succeeds and changes nothing.
    Buffers,
    /// Sending and receiving many datagrams at once (generic segmentation and receive offload): an error.
    Offload,
}

/// Installs a system call filter, then becomes the program of its arguments.
const FILTER: &str = r"
import ctypes, os, platform, struct, sys
level, options, answer = int(sys.argv[1]), [int(o) for o in sys.argv[2].split(',')], int(sys.argv[3])
call = {'x86_64': 54, 'aarch64': 208}[platform.machine()]
load, equal, ret = 0x20, 0x15, 0x06
code = [(load, 0, 0, 0), (equal, 0, 5, call), (load, 0, 0, 24), (equal, 0, 3, level), (load, 0, 0, 32),
        (equal, 2, 0, options[0]), (equal, 1, 0, options[1]), (ret, 0, 0, 0x7fff0000), (ret, 0, 0, 0x50000 | answer)]
text = b''.join(struct.pack('HBBI', *one) for one in code)
held = ctypes.create_string_buffer(text)
class Program(ctypes.Structure):
    _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
program = Program(len(code), ctypes.cast(held, ctypes.c_void_p))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit('no filter: ' + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[4], sys.argv[4:])
";

impl Refused {
    /// `qshare` in a home of its own, under a kernel that refuses this. `None`, and a word about it, where
    /// that cannot be had.
    pub fn qshare(self, lab: &Lab) -> Option<Command> {
        let mut check = self.command("/bin/true");
        match check.status() {
            Ok(status) if status.success() => {}
            other => {
                eprintln!("skipped: no system call filter can be had here ({other:?})");
                return None;
            }
        }
        let mut command = self.command(env!("CARGO_BIN_EXE_qshare"));
        command.current_dir(lab.path("")).env_remove("QSHARE_TRACKER").env("QSHARE_HOME", lab.home());
        Some(command)
    }

    fn command(self, program: &str) -> Command {
        // Level, options and the error number, as in the kernel's headers.
        let call = match self {
            Self::Buffers => ["1", "7,8", "0"],
            Self::Offload => ["17", "103,104", "92"],
        };
        let mut command = Command::new("python3");
        command.args(["-c", FILTER]).args(call).arg(program);
        command
    }
}

fn run(program: &str, arguments: &[&Path]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}
