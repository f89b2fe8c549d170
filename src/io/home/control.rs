//! `HOME/node/control`: where the running node of a home is reached by commands, and in which process it runs.
//! Invariant: written as a whole, readable by the owner alone, and only by whoever holds the home's lock, with which it goes
//! ([`super::HomeLock`]).

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::io::home::{secret, small};

/// Its name within the node's directory.
pub const FILE: &str = "control";
/// Bytes that it may have: five short lines.
const MOST: u64 = 1024;
/// Its first line.
const FORM: &str = "qshare control 1";

/// Where a running node is, and what tells another host or container from this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its control socket.
    pub addr: SocketAddr,
    /// Its process.
    pub pid: u32,
    machine: Machine,
}

/// A running kernel and a namespace of process ids in it; empty where the platform does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Machine {
    boot: String,
    pids: String,
}

impl Machine {
    fn this() -> Self {
        let boot = small::text(Path::new("/proc/sys/kernel/random/boot_id"), MOST).unwrap_or_default();
        let pids = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self { boot: boot.trim().to_owned(), pids: pids.to_string_lossy().into_owned() }
    }
}

impl Whereabouts {
    /// Of this process, whose control socket has this address.
    #[must_use]
    pub fn here(addr: SocketAddr) -> Self {
        Self { addr, pid: std::process::id(), machine: Machine::this() }
    }

    /// Whether that process is on another host or in another container.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.machine != Machine::this()
    }

    fn text(&self) -> String {
        let Self { addr, pid, machine: Machine { boot, pids } } = self;
        format!("{FORM}\naddr {addr}\npid {pid}\nboot {boot}\npids {pids}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let (form, rest) = text.split_once('\n')?;
        let of = |key: &str| rest.lines().find_map(|line| line.split_once(' ').filter(|(of, _)| *of == key));
        let value = |key: &str| of(key).map(|(_, value)| value.to_owned());
        let machine = Machine { boot: value("boot")?, pids: value("pids")? };
        let addr: SocketAddr = value("addr")?.parse().ok()?;
        // Whoever else wrote it leads no command off this machine.
        (form == FORM && addr.ip().is_loopback()).then_some(Self { addr, pid: value("pid")?.parse().ok()?, machine })
    }
}

/// The file; blocks on the disk.
#[derive(Debug, Clone)]
pub struct ControlFile(PathBuf);

impl ControlFile {
    /// In the node's directory.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self(dir.join(FILE))
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, at: &Whereabouts) -> io::Result<()> {
        secret::replace_hint(&self.0, at.text().as_bytes())
    }

    /// What it says; nothing where it is not there or says something else.
    #[must_use]
    pub fn read(&self) -> Option<Whereabouts> {
        Whereabouts::parse(&small::text(&self.0, MOST).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::home::Home;
    use crate::wire::Role;

    #[test]
    fn it_goes_with_the_lock_and_is_the_owners_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        let file = ControlFile::at(&home.role_dir(Role::Node));
        let here = Whereabouts::here("127.0.0.1:7".parse().expect("an address"));
        let lock = home.lock(Role::Node).expect("locked");
        file.write(&here).expect("written");
        assert_eq!((file.read(), here.is_elsewhere()), (Some(here.clone()), false));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&file.0).expect("there").permissions().mode() & 0o777, 0o600);
        }
        drop(lock);
        assert_eq!(file.read(), None);
        // A process that was killed leaves it.
        file.write(&here).expect("written");
        let _lock = home.lock(Role::Node).expect("locked");
        assert_eq!(file.read(), None);
    }

    #[test]
    fn what_leads_elsewhere_is_not_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = ControlFile::at(dir.path());
        let here = Whereabouts::here("[::1]:7".parse().expect("an address"));
        for (from, to) in [("[::1]", "192.0.2.1"), ("control 1", "control 2"), ("pid ", "pid x"), ("boot ", "x ")] {
            std::fs::write(&file.0, here.text().replacen(from, to, 1)).expect("written");
            assert_eq!(file.read(), None, "{to}");
        }
        std::fs::write(&file.0, here.text().replacen("pids ", "pids x", 1)).expect("written");
        assert!(file.read().expect("read").is_elsewhere());
    }
}
