//! The configuration file: every setting, its default, and how it is read. `config/default.toml` documents all.
//! Invariant: a key that is not known is an error. Not responsible for what the texts mean (addresses, rates,
//! durations): who uses a setting parses it, and for flags and environment, which go before the file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use directories::BaseDirs;
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::Cause;

/// The file that is read from the home when no other is named.
pub const FILE_NAME: &str = "config.toml";
/// Bytes of it that are read: the documented default has some 10 KiB.
const MOST: u64 = 1 << 20;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("the configuration {} cannot be read ({source})", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// It is not TOML, or has a key or a value that is not known.
    #[error("the configuration {} is refused: {cause}", path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Where and why, in one line.
        cause: String,
    },
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Trackers, as `[ID@]HOST[:PORT]`.
    #[serde(deserialize_with = "one_or_many")]
    pub trackers: Vec<String>,
    /// Nodes that are asked too, as `[ID@]HOST[:PORT]`.
    #[serde(deserialize_with = "one_or_many")]
    pub peers: Vec<String>,
    /// What is shared besides the command line's paths.
    pub share: Vec<NamedPath>,
    /// Globs of what is not shared.
    #[serde(deserialize_with = "one_or_many")]
    pub exclude: Vec<String>,
    /// What concerns nodes.
    pub node: NodeConfig,
    /// What concerns things that others send.
    pub inbox: InboxConfig,
    /// What concerns trackers.
    pub tracker: TrackerConfig,
}

/// A path that is shared under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedPath {
    /// The name of the offer.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Settings of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NodeConfig {
    /// `ADDR[:PORT]` or `auto`.
    pub listen: String,
    /// A rate or `none`.
    #[serde(deserialize_with = "text_or_number")]
    pub download_limit: String,
    /// A rate or `none`.
    #[serde(deserialize_with = "text_or_number")]
    pub upload_limit: String,
    /// A number of seconds, or a duration with units.
    #[serde(deserialize_with = "text_or_number")]
    pub wait: String,
    /// How many hits a search shows.
    pub limit_hits: u32,
    /// The most files and directories of a collection.
    pub max_files: u32,
    /// Whether nodes on the local network are looked for, and find this one.
    pub lan: bool,
    /// Whether neighbours are exactly the `peers` and whoever dials.
    pub only_peers: bool,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            listen: "auto".to_owned(),
            download_limit: "none".to_owned(),
            upload_limit: "none".to_owned(),
            wait: "2m".to_owned(),
            limit_hits: 50,
            max_files: 200_000,
            lan: true,
            only_peers: false,
        }
    }
}

/// Settings of the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct InboxConfig {
    /// `ask`, `friends`, `always` or `never`.
    pub accept: String,
    /// Where to; the downloads when empty.
    pub dir: PathBuf,
    /// A size.
    #[serde(deserialize_with = "text_or_number")]
    pub limit: String,
    /// The most files of one offer that is accepted without a person.
    pub max_files: u32,
}

impl Default for InboxConfig {
    fn default() -> Self {
        Self { accept: "ask".to_owned(), dir: PathBuf::new(), limit: "10GiB".to_owned(), max_files: 100_000 }
    }
}

/// Settings of trackers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrackerConfig {
    /// `ADDR[:PORT]` or `auto`.
    pub listen: String,
    /// A file of node ids; everyone when empty.
    pub allow: PathBuf,
    /// The most names of one node.
    pub names_per_node: u32,
    /// The most names altogether.
    pub names: u32,
    /// The most memory for names, in MiB.
    pub memory_mib: u32,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            listen: "auto".to_owned(),
            allow: PathBuf::new(),
            names_per_node: 200_000,
            names: 500_000,
            memory_mib: 128,
        }
    }
}

impl Config {
    /// Reads `named`, which must exist; without it `config.toml` in the home, which need not, nor need there be a home that
    /// can be entered.
    ///
    /// # Errors
    /// When a file is there and cannot be used, or the named one is not there.
    pub fn load(named: Option<&Path>, home: &Path) -> Result<Self, ConfigError> {
        let path = named.map_or_else(|| home.join(FILE_NAME), Path::to_owned);
        match read(&path, named.is_some()) {
            Ok(text) => match Self::parse(&text) {
                Ok(config) => Ok(config.at_home(BaseDirs::new().as_ref().map(BaseDirs::home_dir))),
                Err(cause) => Err(ConfigError::Refused { path, cause }),
            },
            Err(e) if named.is_none() && (e.kind() == io::ErrorKind::NotFound || is_closed(home)) => {
                Ok(Self::default())
            }
            Err(source) => Err(ConfigError::Unreadable { path, source: source.into() }),
        }
    }

    /// With `~` at the beginning of a path as the home of the user, where that is known.
    fn at_home(mut self, user: Option<&Path>) -> Self {
        let own = [&mut self.inbox.dir, &mut self.tracker.allow];
        for path in self.share.iter_mut().map(|shared| &mut shared.path).chain(own) {
            if let (Some(user), Ok(below)) = (user, path.strip_prefix("~")) {
                *path = user.join(below);
            }
        }
        self
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let setting = error.span().and_then(|span| setting(text, span.start)).unwrap_or_default();
            format!("{place}{setting}{}", plainly(&error.message().replace('\n', " ")))
        })
    }
}

/// A text, or the number that it would be: `wait = 5` is what `--wait 5` is.
fn text_or_number<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "invalid value, expected a string or a number")]
    enum Either {
        Text(String),
        Whole(u64),
        Broken(f64),
    }
    Ok(match Either::deserialize(from)? {
        Either::Text(text) => text,
        Either::Whole(number) => number.to_string(),
        Either::Broken(number) => number.to_string(),
    })
}

/// A list, or the only thing in it.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "invalid value, expected a sequence")]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Either::deserialize(from)? {
        Either::One(one) => vec![one],
        Either::Many(many) => many,
    })
}

/// What a value is to be, in words of who writes it, for `invalid type: integer `4`, expected a string`.
fn plainly(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ").filter(|_| message.starts_with("invalid ")) else {
        return message.to_owned();
    };
    let found = found.split_once(": ").map(|(_, found)| format!("{found} is refused; ")).unwrap_or_default();
    let write = match expected {
        "a string" | "path string" => "a text in quotes, such as \"x\"",
        "a string or a number" => "a number, or a text in quotes, such as \"5m\"",
        "a sequence" => "a list of texts in quotes, such as [\"x\", \"y\"]",
        "a boolean" => "true or false, without quotes",
        "u32" => "a whole number from 0 to 4294967295, without quotes",
        other if other.starts_with("struct ") => "a table: a line such as [node] with settings below it",
        other => other,
    };
    format!("{found}write {write}")
}

/// The setting whose value begins at this byte: `node.listen: `; none where no value does.
fn setting(text: &str, at: usize) -> Option<String> {
    let before = text.get(..at)?;
    let (key, _) = before.rsplit('\n').next()?.split_once('=')?;
    let table = before.lines().rev().find_map(|line| line.trim().strip_prefix('[')?.split_once(']'));
    let table = table.map(|(name, _)| format!("{}.", name.trim_start_matches('['))).unwrap_or_default();
    Some(format!("{table}{}: ", key.trim()))
}

/// A pipe is read only where somebody named it: one in the place of the home's own file would never end. One to which nobody
/// writes would not either.
fn read(path: &Path, named: bool) -> io::Result<String> {
    if !named && !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    open(path)?.take(MOST).read_to_string(&mut text)?;
    if text.is_empty() && is_pipe(path)? {
        return Err(io::Error::other("it is a pipe to which nobody writes"));
    }
    Ok(text)
}

/// Opens what is there, without waiting for somebody at the other end of a pipe.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    // Who writes may take its time.
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileTypeExt as _;
    Ok(path.metadata()?.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Whether nothing in the home can be reached: whoever needs the home says so.
fn is_closed(home: &Path) -> bool {
    home.join(".").metadata().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = include_str!("../config/default.toml");
    const TRACKER: &str = include_str!("../config/tracker.toml");

    #[test]
    fn the_default_file_has_every_setting_with_its_built_in_value() {
        let file: toml::Table = toml::from_str(DEFAULT).expect("toml");
        let built_in = toml::Table::try_from(Config::default()).expect("a table");
        assert_eq!(file, built_in);
    }

    #[test]
    fn the_example_of_the_default_file_is_a_share() {
        let example: String =
            DEFAULT.lines().filter_map(|l| l.strip_prefix("#   ")).map(|l| format!("{l}\n")).collect();
        let config = Config::parse(&example).expect("the example");
        assert_eq!(config.share, [NamedPath { name: "docs".to_owned(), path: "/srv/docs".into() }]);
    }

    #[test]
    fn the_tracker_example_is_accepted() {
        let config = Config::parse(TRACKER).expect("the example");
        assert_eq!(config.tracker.listen, "[::]:4917");
        assert_eq!(config.node, NodeConfig::default());
    }

    #[test]
    fn a_path_may_begin_in_the_home_of_the_user() {
        let text = "[inbox]\ndir = '~/in'\n[tracker]\nallow = '~anna/list'\n[[share]]\nname = 'a'\npath = '~'\n";
        let config = Config::parse(text).expect("right").at_home(Some(Path::new("/home/bob")));
        assert_eq!(config.inbox.dir, Path::new("/home/bob/in"));
        assert_eq!(config.share[0].path, Path::new("/home/bob"));
        assert_eq!(config.tracker.allow, Path::new("~anna/list"), "of others nothing is known");
    }

    #[test]
    fn a_key_or_value_that_is_not_known_is_refused_with_its_line() {
        for (text, line) in [("trackers = []\ntracer = 1", "line 2"), ("[node]\nlisten = 4", "line 2"), ("x", "line 1")]
        {
            let cause = Config::parse(text).expect_err(text);
            assert!(cause.starts_with(line) && !cause.contains('\n'), "{cause}");
        }
        let cause = |text| Config::parse(text).expect_err(text);
        assert!(cause("trackers = 7").starts_with("line 1: trackers: "), "{}", cause("trackers = 7"));
        let listen = cause("peers = []\n\n[node]\nlisten = 4");
        assert!(listen.starts_with("line 4: node.listen: "), "{listen}");
    }

    #[test]
    fn a_number_needs_no_quotes_and_one_thing_no_list() {
        let text = "trackers = 'x'\npeers = ['a', 'b']\nexclude = '*.o'\n[inbox]\nlimit = 9\n[node]\nwait = 1.5\nupload-limit = 7\n";
        let config = Config::parse(text).expect("right");
        assert_eq!(
            (config.trackers, config.peers.len(), config.exclude),
            (vec!["x".to_owned()], 2, vec!["*.o".to_owned()])
        );
        assert_eq!([config.inbox.limit, config.node.wait, config.node.upload_limit], ["9", "1.5", "7"]);
    }

    #[test]
    fn what_a_value_is_to_be_is_said_in_words_of_who_writes_it() {
        for (text, told) in [
            ("trackers = 7", "write a list of texts"),
            ("peers = [7]", "write a list of texts"),
            ("node = 7", "write a table"),
            ("share = 'x'", "write a list"),
            ("[node]\nlisten = 7", "integer `7` is refused; write a text in quotes"),
            ("[node]\nwait = true", "write a number, or a text in quotes"),
            ("[node]\nlan = 'yes'", "write true or false"),
            ("[node]\nlimit-hits = '5'", "write a whole number"),
            ("[tracker]\nallow = 5", "write a text in quotes"),
        ] {
            let cause = Config::parse(text).expect_err(text);
            assert!(cause.contains(told) && !cause.contains("expected"), "{text}: {cause}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_named_pipe_is_read_and_one_without_a_writer_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        let error = Config::load(Some(&pipe), dir.path()).expect_err("nobody writes").to_string();
        assert!(error.contains("nobody writes"), "{error}");
        // Both ends, so that it has a writer before it is read.
        let mut writer = File::options().read(true).write(true).open(&pipe).expect("open");
        io::Write::write_all(&mut writer, b"peers = ['h:1']").expect("written");
        let reading = std::thread::spawn({
            let dir = dir.path().to_owned();
            move || Config::load(Some(&pipe), &dir)
        });
        // All of it is read when the last writer has gone.
        while rustix::io::ioctl_fionread(&writer).expect("asked") > 0 {
            std::thread::yield_now();
        }
        drop(writer);
        assert_eq!(reading.join().expect("no panic").expect("read").peers, ["h:1"]);
    }

    #[test]
    fn only_a_named_file_must_exist() {
        let home = tempfile::tempdir().expect("a directory");
        assert_eq!(Config::load(None, home.path()).expect("defaults"), Config::default());
        let absent = home.path().join("absent.toml");
        assert!(matches!(Config::load(Some(&absent), home.path()), Err(ConfigError::Unreadable { .. })));
        std::fs::write(home.path().join(FILE_NAME), "peers = ['h:1']").expect("written");
        assert_eq!(Config::load(None, home.path()).expect("read").peers, ["h:1"]);
        std::fs::write(&absent, "peers = 7").expect("written");
        let error = Config::load(Some(&absent), home.path()).expect_err("refused").to_string();
        assert!(error.contains("absent.toml") && error.contains("line 1"), "{error}");
    }
}
