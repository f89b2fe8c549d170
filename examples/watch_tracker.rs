//! Tells who comes to a tracker and who leaves it, and what each offers: `cargo run --example watch_tracker -- HOST:PORT`.
//! Without an argument it starts a tracker and a node of its own, and ends when it has seen the node come and go.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use qshare::model::NodeId;
use qshare::node::{Home, Lifetime, Node, Options, SurveyOptions, Tracker, TrackerOptions, survey};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let home = |name: &str| Options::new(Home::at(dir.path().join(name)));
    if let Some(tracker) = std::env::args().nth(1) {
        let (node, _events) = Node::start(home("watcher").trackers([tracker.parse()?])).await?;
        return watch(&node, &mut BTreeMap::new(), |_| true).await;
    }
    let (tracker, _events) = Tracker::start(&home("tracker"), TrackerOptions::default()).await?;
    let trackers = [format!("{}@{}", tracker.id(), tracker.addr()).parse()?];
    let (watcher, _events) = Node::start(home("watcher").trackers(trackers.clone())).await?;

    let lasting = home("sharer").lifetime(Lifetime::LongRunning).trackers(trackers);
    let (sharer, _events) = Node::start(lasting).await?;
    std::fs::write(dir.path().join("notes.txt"), "we meet at noon\n")?;
    sharer.share(survey(&[dir.path().join("notes.txt")], &SurveyOptions::default())?);
    let mut there = BTreeMap::new();
    watch(&watcher, &mut there, |there| there.get(&sharer.id()) != Some(&1)).await?;
    sharer.stop().await;
    watch(&watcher, &mut there, |there| there.contains_key(&sharer.id())).await?;
    tracker.stop().await;
    Ok(())
}

/// How many offers each node has.
type There = BTreeMap<NodeId, u64>;

/// Asks once a second and prints what has changed, as long as `goes_on` says so.
async fn watch(node: &Node, before: &mut There, goes_on: impl Fn(&There) -> bool) -> Result<(), Box<dyn Error>> {
    loop {
        let rows = node.peers().await?;
        let now: There = rows.iter().map(|row| (row.peer.node, row.peer.offers)).collect();
        for (id, offers) in now.iter().filter(|(id, offers)| before.get(*id) != Some(*offers)) {
            println!("{id} offers {offers}");
        }
        before.keys().filter(|id| !now.contains_key(*id)).for_each(|id| println!("{id} has left"));
        *before = now;
        if !goes_on(before) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
