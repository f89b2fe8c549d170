//! Terminals of any size, by tmux: what stands on their screens is what a person would see.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{DEADLINE, Lab, until};

/// A tmux server of its own, gone at the end with everything in it.
pub struct Tmux {
    socket: String,
}

impl Tmux {
    /// `None`, and said, where there is no tmux.
    pub fn new(lab: &Lab) -> Option<Self> {
        if !Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: tmux is not installed");
            return None;
        }
        Some(Self { socket: lab.path("tmux.socket").to_string_lossy().into_owned() })
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-u", "-S", &self.socket, "-f", "/dev/null"]).args(arguments);
        command.env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR").env_remove("TMUX");
        let output = command.output().expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A terminal of so many columns and rows in which a shell runs this and then says how it ended.
    pub fn start(&self, name: &str, (columns, rows): (usize, usize), command: &str) -> Terminal<'_> {
        let size = [columns.to_string(), rows.to_string()];
        // The shell lives on when the command is interrupted.
        let shell = format!("trap : INT; {command}; echo \"exit $?\"; exec sleep 1000");
        self.run(&["new-session", "-d", "-s", name, "-x", &size[0], "-y", &size[1], &shell]);
        Terminal { tmux: self, name: name.to_owned() }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// One terminal.
pub struct Terminal<'t> {
    tmux: &'t Tmux,
    name: String,
}

impl Terminal<'_> {
    /// The lines of its screen, as far as something stands there.
    pub fn screen(&self) -> Vec<String> {
        let text = self.tmux.run(&["capture-pane", "-p", "-t", &self.name]);
        text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Everything that was ever written, long lines whole.
    pub fn all(&self) -> String {
        self.tmux.run(&["capture-pane", "-p", "-J", "-S", "-", "-t", &self.name])
    }

    /// The screen with the codes of its colours.
    pub fn coloured(&self) -> String {
        self.tmux.run(&["capture-pane", "-p", "-e", "-t", &self.name])
    }

    /// The screen once it shows what is waited for.
    pub fn wait(&self, what: &str, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "not in time: {what} in {}, but {screen:#?}", self.name);
            std::thread::sleep(Duration::from_millis(40));
        }
    }

    /// Waits until something was written.
    pub fn wait_for(&self, text: &str) {
        until(&format!("`{text}` in {}: {}", self.name, self.all()), || self.all().contains(text));
    }

    /// Types this, as it is.
    pub fn type_text(&self, text: &str) {
        self.tmux.run(&["send-keys", "-t", &self.name, "-l", "--", text]);
    }

    /// Presses a key of this name, such as `Enter`.
    pub fn press(&self, key: &str) {
        self.tmux.run(&["send-keys", "-t", &self.name, key]);
    }

    /// Types a line.
    pub fn enter(&self, line: &str) {
        self.type_text(line);
        self.press("Enter");
    }

    pub fn interrupt(&self) {
        self.tmux.run(&["send-keys", "-t", &self.name, "C-c"]);
    }

    pub fn resize(&self, columns: usize, rows: usize) {
        self.tmux.run(&["resize-window", "-t", &self.name, "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }
}

/// What begins a line that moves.
pub fn is_turning(line: &str) -> bool {
    line.starts_with(|c| ('\u{2800}'..='\u{28ff}').contains(&c))
}

/// The lines that are drawn again and again: from the one that moves on.
pub fn live(screen: &[String]) -> &[String] {
    let from = screen.iter().position(|line| is_turning(line)).unwrap_or(screen.len());
    &screen[from..]
}

/// A line without what differs from moment to moment: figures, what moves, ids; and without how it is aligned.
pub fn masked(line: &str) -> String {
    let (before, after) = line.split_once('[').unwrap_or((line, ""));
    let line = after.split_once(']').map_or_else(|| line.to_owned(), |(_, rest)| format!("{before}[=]{rest}"));
    let mut words: Vec<String> = Vec::new();
    for (n, word) in line.split_whitespace().enumerate() {
        let id = n == 0 && word.len() == 8 && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        let word = match word {
            _ if id => "ID",
            _ if is_turning(word) => "*",
            _ if word.starts_with(|c: char| c.is_ascii_digit()) => "#",
            "B" | "KiB" | "MiB" | "GiB" => "B",
            "B/s" | "KiB/s" | "MiB/s" | "GiB/s" => "B/s",
            word => word,
        };
        words.push(word.to_owned());
    }
    words.join(" ").replace("# m # s", "# s")
}
