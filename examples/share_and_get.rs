//! Two nodes in one process: one shares a file, the other finds it by words and fetches it, proven and encrypted.
//! `cargo run --example share_and_get`

use std::error::Error;

use qshare::model::Query;
use qshare::node::{Event, GetRequest, Home, Lifetime, Node, Options, SurveyOptions, What, survey};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("meeting-notes.txt");
    std::fs::write(&file, "we meet at noon\n")?;

    // Who shares: looks at the paths first, then offers them.
    let options = Options::new(Home::at(dir.path().join("anna"))).lifetime(Lifetime::LongRunning);
    let (anna, mut events) = Node::start(options).await?;
    anna.share(survey(&[file], &SurveyOptions::default())?);
    while let Some(event) = events.recv().await {
        if let Event::Offer { id, name, .. } = event {
            println!("{} offers {name}, {id}", anna.id());
            break;
        }
    }

    // Who wants it: knows where one node is, and some words. On a network of more machines a tracker tells where the others
    // are (`Options::trackers`), or multicast does (`Options::near`).
    let at_anna = format!("{}@{}", anna.id(), anna.addr()).parse()?;
    let (bob, _events) = Node::start(Options::new(Home::at(dir.path().join("bob"))).peers([at_anna])).await?;
    let words = What::Words(Query::parse(&["meeting", "notes"])?);
    let got = bob.get(GetRequest::new(words).output(dir.path().join("copy.txt"))).finish().await?;

    println!("fetched {} bytes, proven against {}", got.bytes, got.id);
    assert_eq!(std::fs::read_to_string(dir.path().join("copy.txt"))?, "we meet at noon\n");
    bob.stop().await;
    anna.stop().await;
    Ok(())
}
