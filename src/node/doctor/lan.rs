//! Whether multicast is heard: one end announces this node as a sharing one does, another listens as a searching one does.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Doctor, Seen, Verdict};
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
            return self.say("multicast", Verdict::Skipped, Seen::NotListened).await;
        };
        let heard = match self.listen(program).await {
            Ok(heard) => heard,
            Err(error) => return self.say("multicast", Verdict::Broken, Seen::Lan(error)).await,
        };
        if heard.own.is_empty() {
            return self.say("multicast", Verdict::Broken, Seen::NotHeard).await;
        }
        let seen = Seen::Multicast { interfaces: heard.own, others: heard.others.len() };
        self.say("multicast", Verdict::Fine, seen).await;
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
