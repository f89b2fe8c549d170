//! Whether multicast is heard: one end announces this node as a sharing one does, another listens as a searching one does.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Doctor, Verdict};
use crate::io::net::lan::{Lan, LanError};
use crate::model::NodeId;

/// How long is listened; announcements go out at once and again after a second (RFC 6762, section 8.3).
const LISTEN: Duration = Duration::from_millis(2500);

/// What was heard.
#[derive(Default)]
struct Heard {
    own: BTreeSet<String>,
    others: BTreeSet<NodeId>,
}

impl Doctor<'_> {
    pub(super) async fn multicast(&self, lan: Option<&Path>) {
        let Some(program) = lan else {
            return self.say("multicast", Verdict::Skipped, "the local network is not to be listened to").await;
        };
        let heard = match self.listen(program).await {
            Ok(heard) => heard,
            Err(error) => return self.say("multicast", Verdict::Broken, error.to_string()).await,
        };
        if heard.own.is_empty() {
            let message = "multicast is not heard: see that a firewall lets UDP port 5353 through and that an interface \
                           has multicast, or name others with --peer or --tracker";
            return self.say("multicast", Verdict::Broken, message).await;
        }
        let interfaces: Vec<String> = heard.own.into_iter().collect();
        let others = match heard.others.len() {
            0 => "no other node is there".to_owned(),
            1 => "another node is there".to_owned(),
            count => format!("{count} other nodes are there"),
        };
        self.say("multicast", Verdict::Fine, format!("heard on {}; {others}", interfaces.join(", "))).await;
    }

    async fn listen(&self, program: &Path) -> Result<Heard, LanError> {
        let own = self.inner.endpoint.node_id();
        let nobody = NodeId::from_bytes(rand::random());
        let mut listener = Lan::start(program, nobody, None)?;
        let _announcer = Lan::start(program, own, Some(self.inner.endpoint.port()))?;
        let (deadline, mut all) = (Instant::now() + LISTEN, Heard::default());
        while let Ok(heard) = timeout_at(deadline, listener.heard()).await {
            let heard = heard?;
            if heard.node == own {
                all.own.extend(heard.interfaces);
            } else {
                all.others.insert(heard.node);
            }
        }
        Ok(all)
    }
}
