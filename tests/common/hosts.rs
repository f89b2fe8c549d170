//! Hosts with addresses of their own, as network namespaces (`tests/lab/hosts.sh`).

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Ended, Lab, Process};

/// Hosts 1 to 3; gone at the end.
pub struct Hosts {
    prefix: String,
}

impl Hosts {
    /// `None`, and a word about it, where namespaces cannot be made.
    pub fn up(name: &str) -> Option<Self> {
        let hosts = Self { prefix: format!("qs{}{name}", std::process::id()) };
        match hosts.script(&["up", &hosts.prefix, "3"]) {
            Ok(()) => Some(hosts),
            Err(cause) => {
                eprintln!("skipped: network namespaces cannot be made here ({cause})");
                None
            }
        }
    }

    fn script(&self, arguments: &[&str]) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/hosts.sh");
        let output = Command::new("bash").arg(script).args(arguments).output().map_err(|e| e.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    /// The name of a host's namespace.
    pub fn name(&self, host: u8) -> String {
        format!("{}{host}", self.prefix)
    }

    /// `qshare` on a host, in a home; it does not look at its local network.
    pub fn qshare(&self, lab: &Lab, host: u8, home: &Path) -> Command {
        let mut command = self.near(lab, host, home);
        command.arg("--no-lan");
        command
    }

    /// `qshare` on a host, in a home, with everything that is on by itself.
    pub fn near(&self, lab: &Lab, host: u8, home: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(host)]).arg(&lab.program).arg("--json");
        command.current_dir(lab.path("")).env_remove("QSHARE_TRACKER").env("QSHARE_HOME", home);
        command
    }

    /// Runs a command there to its end.
    pub fn run(&self, lab: &Lab, host: u8, home: &Path, arguments: &[&str]) -> Ended {
        Process::start(self.qshare(lab, host, home).args(arguments)).end()
    }

    /// Runs a program on a host, expects that it succeeds, and gives what it prints.
    pub fn program(&self, host: u8, line: &str) -> String {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(host)]).args(line.split(' '));
        let output = command.output().expect("ip is there");
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs work on a thread of this process that is on a host.
    pub fn on<T: Send + 'static>(&self, host: u8, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let namespace = File::open(format!("/run/netns/{}", self.name(host))).expect("it is there");
        std::thread::spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).expect("root may");
            work()
        })
    }

    /// Leaves a host nothing but its link-local address, and waits until that may be used.
    pub fn only_link_local(&self, host: u8) {
        self.program(host, "ip addr flush dev eth0 scope global");
        while !self.program(host, "ip -6 addr show dev eth0 tentative").is_empty() {
            std::thread::yield_now();
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // Namespaces that were never made cannot be removed.
        let _ = self.script(&["down", &self.prefix]);
    }
}
