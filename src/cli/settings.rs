//! What holds for this run. Precedence: flag, environment, configuration file, built-in default.
//! Everything comes in as arguments, so that a test needs no environment.

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use itertools::Itertools as _;

use crate::cli::args::{Globals, duration, node_listen, peer, tracker, tracker_listen};
use crate::cli::failure::{Failure, Result};
use crate::config::{Config, InboxConfig, TrackerConfig};
use crate::model::{PeerTarget, Rate, RateLimit, SafePath, Shown};
use crate::node::{Accept, Home, InboxRules, Near, Rules};

/// The environment variables that are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `$QSHARE_HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `$QSHARE_TRACKER`.
    pub(crate) trackers: Option<String>,
    /// This program.
    pub(crate) program: PathBuf,
}

impl Environment {
    /// Those of this process; what is empty counts as absent.
    pub(crate) fn of_process() -> Self {
        Self {
            home: std::env::var_os("QSHARE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from),
            trackers: std::env::var("QSHARE_TRACKER").ok().filter(|v| !v.is_empty()),
            program: program(),
        }
    }
}

/// What holds for this run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) home: PathBuf,
    /// The configuration file that was given.
    pub(crate) config: Option<PathBuf>,
    pub(crate) trackers: Vec<PeerTarget>,
    /// Trackers, and peers, were given with the command.
    pub(crate) given: (bool, bool),
    pub(crate) peers: Vec<PeerTarget>,
    pub(crate) near: Near,
    pub(crate) shares: Vec<(SafePath, PathBuf)>,
    pub(crate) exclude: Vec<String>,
    pub(crate) node_listen: Option<SocketAddr>,
    pub(crate) tracker_listen: Option<SocketAddr>,
    pub(crate) download_limit: Option<Rate>,
    pub(crate) upload_limit: Option<Rate>,
    pub(crate) wait: Duration,
    pub(crate) limit_hits: u32,
    pub(crate) max_files: usize,
    pub(crate) allow: Option<PathBuf>,
    pub(crate) tracker: TrackerConfig,
    pub(crate) inbox: InboxRules,
}

impl Settings {
    /// Puts flags, environment and configuration together.
    ///
    /// # Errors
    /// When a text in the environment or the configuration is not what it should be.
    pub(crate) fn resolve(globals: &Globals, environment: &Environment, default_home: Option<PathBuf>) -> Result<Self> {
        let home = globals.home.clone().or_else(|| environment.home.clone()).or(default_home);
        let home = home.unwrap_or_else(|| Home::absent().root().to_owned());
        let config = Config::load(globals.config.as_deref(), &home)?;
        let trackers = match (&globals.tracker[..], &environment.trackers) {
            ([], Some(text)) => {
                let texts = text.split([',', ' ', '\t', '\n']).filter(|t| !t.is_empty());
                all("$QSHARE_TRACKER", texts, tracker)?
            }
            ([], None) => all("the setting `trackers`", config.trackers.iter().map(String::as_str), tracker)?,
            (given, _) => given.to_vec(),
        };
        let peers = match &globals.peer[..] {
            [] => all("the setting `peers`", config.peers.iter().map(String::as_str), peer)?,
            given => given.to_vec(),
        };
        let shares =
            config.share.iter().map(|s| Ok((one("the setting `share`", &s.name, str::parse)?, s.path.clone())));
        Ok(Self {
            home,
            config: globals.config.clone(),
            trackers: trackers.into_iter().unique().collect(),
            given: (!globals.tracker.is_empty(), !globals.peer.is_empty()),
            peers: peers.into_iter().unique().collect(),
            near: Near {
                lan: (config.node.lan && !globals.no_lan).then(|| environment.program.clone()),
                only_peers: globals.only_peers || config.node.only_peers,
                ttl: globals.ttl,
                all_global: false,
            },
            shares: shares.collect::<Result<_>>()?,
            exclude: config.exclude,
            node_listen: unless("auto", "the setting `node.listen`", &config.node.listen, node_listen)?,
            tracker_listen: unless("auto", "the setting `tracker.listen`", &config.tracker.listen, tracker_listen)?,
            download_limit: rate("the setting `node.download-limit`", &config.node.download_limit)?,
            upload_limit: rate("the setting `node.upload-limit`", &config.node.upload_limit)?,
            wait: one("the setting `node.wait`", &config.node.wait, duration)?,
            limit_hits: config.node.limit_hits.max(1),
            max_files: config.node.max_files as usize,
            allow: Some(config.tracker.allow.clone()).filter(|path| !path.as_os_str().is_empty()),
            inbox: inbox(&config.inbox)?,
            tracker: config.tracker,
        })
    }
}

/// What is taken without a person, and where to.
fn inbox(config: &InboxConfig) -> Result<InboxRules> {
    let accept = one("the setting `inbox.accept`", &config.accept, |text| match text {
        "always" => Ok(Accept::Always),
        "ask" => Ok(Accept::Ask),
        "friends" => Ok(Accept::Friends),
        "never" => Ok(Accept::Never),
        _ => Err("give ask, friends, always or never"),
    })?;
    // A rate is a number of bytes, with units.
    let bytes = one("the setting `inbox.limit`", &config.limit, |text| text.parse::<Rate>().map(Rate::get))?;
    let rules = Rules { accept, bytes, files: config.max_files.into() };
    let dir = Some(config.dir.clone()).filter(|dir| !dir.as_os_str().is_empty()).or_else(Home::downloads);
    Ok(InboxRules { rules, dir, notify: !std::io::stderr().is_terminal() })
}

/// This program, to be run again.
fn program() -> PathBuf {
    // The same one, even when another version has taken its place meanwhile.
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or_else(|_| "qshare".into()) }
}

fn one<T, E: Display>(place: &str, text: &str, read: impl Fn(&str) -> Result<T, E>) -> Result<T> {
    read(text).map_err(|error| wrong(place, text, &error))
}

fn all<'a, T, E: Display>(
    place: &str,
    texts: impl Iterator<Item = &'a str>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>> {
    texts.map(|text| one(place, text, &read)).collect()
}

fn wrong(place: &str, text: &str, error: &dyn Display) -> Failure {
    Failure::Usage(format!("{place} has `{}`, which is refused: {error}", Shown(text)))
}

fn rate(place: &str, text: &str) -> Result<Option<Rate>> {
    one(place, text, str::parse).map(RateLimit::rate)
}

/// Nothing where the text is the word for that.
fn unless<T, E: Display>(
    none: &str,
    place: &str,
    text: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>> {
    if text == none { Ok(None) } else { one(place, text, read).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(texts: &[&str]) -> Vec<PeerTarget> {
        texts.iter().map(|t| t.parse().expect("a target")).collect()
    }

    fn environment(home: Option<&str>, trackers: Option<&str>) -> Environment {
        Environment { home: home.map(PathBuf::from), trackers: trackers.map(str::to_owned), program: PathBuf::new() }
    }

    #[test]
    fn a_flag_goes_before_the_environment_and_that_before_the_file() {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::write(home.path().join("config.toml"), "trackers = ['file:1']\npeers = ['file:2']").expect("written");
        let mut globals = Globals { home: Some(home.path().to_owned()), ..Globals::default() };
        let resolve = |globals: &Globals, set: &Environment| Settings::resolve(globals, set, None).expect("settings");

        let settings = resolve(&globals, &environment(None, None));
        assert_eq!((settings.trackers, settings.peers), (targets(&["file:1"]), targets(&["file:2"])));
        let set = environment(Some("elsewhere"), Some("env:1, env:2 env:1"));
        assert_eq!(resolve(&globals, &set).trackers, targets(&["env:1", "env:2"]));
        globals.tracker = targets(&["flag:1"]);
        globals.peer = targets(&["flag:2"]);
        let settings = resolve(&globals, &set);
        assert_eq!((settings.trackers, settings.peers), (targets(&["flag:1"]), targets(&["flag:2"])));
        assert_eq!(settings.home, home.path());
    }

    #[test]
    fn the_home_is_a_flag_the_environment_or_the_platforms() {
        let resolve = |globals: &Globals, env: Option<&str>, default: Option<&str>| {
            Settings::resolve(globals, &environment(env, None), default.map(PathBuf::from)).map(|s| s.home)
        };
        let none = Globals::default();
        let flag = Globals { home: Some("/nonexistent/flag".into()), ..Globals::default() };
        let (env, platform) = (Some("/nonexistent/env"), Some("/nonexistent/platform"));
        assert_eq!(resolve(&flag, env, platform).expect("a home"), PathBuf::from("/nonexistent/flag"));
        assert_eq!(resolve(&none, env, platform).expect("a home"), PathBuf::from("/nonexistent/env"));
        assert_eq!(resolve(&none, None, platform).expect("a home"), PathBuf::from("/nonexistent/platform"));
        assert!(Home::at(resolve(&none, None, None).expect("settings")).is_absent());
    }

    #[test]
    fn a_wrong_text_is_named_with_its_place() {
        let home = tempfile::tempdir().expect("a directory");
        let cases = [
            ("trackers = ['x/']", "`trackers`"),
            ("node.listen = '4917'", "`node.listen`"),
            ("node.upload-limit = 'much'", "`node.upload-limit`"),
            ("node.wait = 'soon'", "`node.wait`"),
            ("[[share]]\nname = '../x'\npath = 'y'", "`share`"),
            ("inbox.accept = 'some'", "`inbox.accept`"),
            ("inbox.limit = 'much'", "`inbox.limit`"),
        ];
        for (text, place) in cases {
            std::fs::write(home.path().join("config.toml"), text).expect("written");
            let globals = Globals { home: Some(home.path().to_owned()), ..Globals::default() };
            let failure = Settings::resolve(&globals, &environment(None, None), None).expect_err(text);
            assert!(failure.to_string().contains(place) && failure.exit().code() == 2, "{failure}");
        }
        let globals = Globals { home: Some("/nonexistent".into()), ..Globals::default() };
        let failure = Settings::resolve(&globals, &environment(None, Some("no/where")), None).expect_err("refused");
        assert!(failure.to_string().starts_with("$QSHARE_TRACKER has `no/where`"), "{failure}");
    }
}
