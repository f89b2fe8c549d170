//! `qshare status`: what this home holds, and the transfers that were begun and not ended. Only reads; makes nothing.

mod partials;
mod running;

use std::path::Path;

use partials::Partial;
use running::RunningNode;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::render::human::counted;
use crate::cli::say::names::Names;
use crate::io::home::Home;
use crate::io::home::begun::BegunFile;
use crate::io::home::identity::Identity;
use crate::io::home::trust::TrustStore;
use crate::io::share::cache::HashCache;
use crate::model::{NodeId, Shown, Size};
use crate::node::{Error, Remote, kept_in};
use crate::wire::Role;
use crate::wire::control::ControlStatus;

/// The hash cache within the node role's directory.
const CACHE_FILE: &str = "cache.redb";

/// `status`: what this home holds, and the transfers that were begun and not ended.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename = "status")]
pub(crate) struct Status {
    /// Where it is.
    home: String,
    /// Its identities.
    roles: Vec<RoleStatus>,
    /// The hash cache.
    cache: CacheStatus,
    /// Keys that are remembered.
    trust: Vec<Trusted>,
    /// Unfinished transfers, in this directory and where this home began some; of those whose journal cannot be read `path` and `bytes` alone.
    partials: Vec<Partial>,
    /// The running node of this home, as it says itself; null where none runs, and where it does not answer.
    running: Option<RunningNode>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RoleStatus {
    /// Whose.
    role: Role,
    /// Its node id; null before its first start.
    node: Option<NodeId>,
    /// The process that runs with it now.
    pid: Option<u32>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct CacheStatus {
    /// Files whose ids it knows; null while a process uses it.
    entries: Option<u64>,
    /// What it takes on the disk.
    bytes: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Trusted {
    /// At which address.
    addr: String,
    /// Whose.
    node: NodeId,
}

/// Runs the command.
pub(crate) async fn run(context: &Context) -> Result<()> {
    let home = context.own_home()?;
    let asked = ask(&home).await;
    let (running, failed) = asked.map_or_else(|error| (None, Some(error)), |running| (running, None));
    let status = Status { running: running.map(RunningNode::of), ..look(&home, Path::new("."))? };
    context.output.emit(&status)?;
    context.output.print(&text(&status, context.output.names()))?;
    // What is known without it is shown all the same.
    failed.map_or(Ok(()), |error| Err(error.into()))
}

async fn ask(home: &Home) -> Result<Option<ControlStatus>, Error> {
    match Remote::find(home).await? {
        Some(remote) => remote.status().await.map(Some),
        None => Ok(None),
    }
}

fn look(home: &Home, here: &Path) -> Result<Status> {
    let roles = [Role::Node, Role::Tracker].into_iter().map(|role| role_status(home, role));
    let trust = TrustStore::at(home.root()).list().map_err(anyhow::Error::from)?;
    let elsewhere = BegunFile::at(home.root()).dirs().map_err(anyhow::Error::from)?;
    Ok(Status {
        home: home.root().to_string_lossy().into_owned(),
        roles: roles.collect::<Result<_>>()?,
        cache: cache_status(home),
        trust: trust.into_iter().map(|(addr, node)| Trusted { addr, node }).collect(),
        partials: partials::all(here, &elsewhere, &kept_in(home))?,
        running: None,
    })
}

fn role_status(home: &Home, role: Role) -> Result<RoleStatus> {
    let dir = home.role_dir(role);
    let identity = Identity::load(&dir).map_err(anyhow::Error::from)?;
    Ok(RoleStatus { role, node: identity.map(|identity| identity.node_id()), pid: home.holder(role) })
}

/// The entries are counted only with the home's lock in hand: an open cache belongs to its process.
fn cache_status(home: &Home) -> CacheStatus {
    let path = home.role_dir(Role::Node).join(CACHE_FILE);
    let Ok(meta) = path.metadata() else { return CacheStatus { entries: Some(0), bytes: 0 } };
    let count = || {
        let _lock = home.lock(Role::Node).ok()?;
        HashCache::open(&path).ok()?.cache.count().ok()
    };
    CacheStatus { entries: count(), bytes: meta.len() }
}

fn text(status: &Status, names: &Names) -> String {
    let mut lines = vec![("home", Shown(&status.home).to_string())];
    // Few homes ever keep a directory.
    let used = |role: &&RoleStatus| role.role == Role::Node || role.node.is_some() || role.pid.is_some();
    for role in status.roles.iter().filter(used) {
        let heading = if role.role == Role::Tracker { "tracker" } else { "node" };
        let id = role.node.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string);
        let running = role.pid.map(|pid| format!("  running as process {pid}")).unwrap_or_default();
        lines.push((heading, format!("{id}{running}")));
    }
    let entries = status.cache.entries.map_or_else(|| "in use".to_owned(), |n| counted(n, "hashed file"));
    lines.push(("cache", format!("{entries}, {}", Size(status.cache.bytes))));
    for known in &status.trust {
        lines.push(("trusts", format!("{}  {}", Shown(&known.addr), names.whole(known.node))));
    }
    lines.extend(status.running.iter().flat_map(|running| running.lines(names)));
    for partial in &status.partials {
        let told = partial.lines().into_iter().enumerate();
        lines.extend(told.map(|(index, line)| (if index == 0 { "partial" } else { "" }, line)));
    }
    lines.iter().map(|(heading, line)| format!("{heading:<8} {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_is_not_there_is_not_made() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        let status = look(&home, dir.path()).expect("a status");
        assert!(status.roles.iter().all(|role| role.node.is_none() && role.pid.is_none()));
        assert!(!home.root().exists());
        assert!(text(&status, &Names::default()).contains("\nnode     none yet\ncache    0 hashed files, 0 B\n"));
    }

    #[test]
    fn a_home_shows_its_identities_and_what_it_trusts() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        let node = Identity::load_or_create(&home.role_dir(Role::Node)).expect("an identity").node_id();
        TrustStore::at(home.root()).remember_first("h:1", node).expect("remembered");
        let lock = home.lock(Role::Tracker).expect("locked");
        let status = look(&home, dir.path()).expect("a status");
        let pid = std::process::id();
        let json = serde_json::to_value(&status).expect("JSON");
        assert_eq!((&json["event"], &json["roles"][0]["role"]), (&"status".into(), &"node".into()));
        assert_eq!((&json["roles"][1]["pid"], &json["trust"][0]["addr"]), (&pid.into(), &"h:1".into()));
        let text = text(&status, &Names::default());
        assert!(text.contains(&format!("node     {node}\n")) && text.contains(&format!("process {pid}")), "{text}");
        drop(lock);
    }
}
