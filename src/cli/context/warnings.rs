//! What a command tells beside its result: warnings of its node, and what is missing because another process has the home.

use tokio::sync::mpsc;

use super::Context;
use crate::cli::failure::{Failure, Result};
use crate::cli::say;
use crate::io::home::identity::Identity;
use crate::model::NodeId;
use crate::node::{Error, ErrorCode, Event, Guest, Node, Notice, Outcome, Plane};
use crate::wire::Role;

impl Context {
    /// Says that this goes on without the home, if it does.
    pub(crate) fn warn_homeless(&self, node: &Node) {
        if let Some(Guest::Homeless(error)) = node.guest() {
            self.output.warn(&format!(
                "this goes on with a key of its own and remembers nothing: {}",
                say::error(error, self.output.names())
            ));
        }
    }

    /// Says why a friend did not know this node, or told it nothing, where it is because another process has the home and
    /// its key.
    pub(crate) fn warn_guest(&self, guest: bool, failure: &Failure) {
        let outcome = match failure {
            other if other.code() == ErrorCode::Forbidden => "nobody knows it",
            // Where nobody could be asked, or what was meant is near by, the key makes no difference.
            Failure::Node(Error::NotFound { asked, near, .. }) if !near.is_empty() || asked.is_nobody() => return,
            Failure::Node(Error::NotFound { .. } | Error::UnknownPeer { .. }) | Failure::Nothing(_)
                if self.has_friends() =>
            {
                "nodes that serve only their friends tell it nothing"
            }
            _ => return,
        };
        if guest {
            self.warn_other_key(outcome);
        }
    }

    /// Says that what was chosen by words was chosen without what friends would have told, for the same reason.
    pub(crate) fn warn_guest_choice(&self, guest: bool, outcome: &Outcome) {
        let givers: Vec<NodeId> = outcome.providers.iter().map(|provider| provider.node).collect();
        self.warn_guest_hits(guest && outcome.plane.is_some_and(|plane| plane != Plane::Tracker), "name", &givers);
    }

    /// Says that what is shown is without what friends would have told, for the same reason; not where the process that has the
    /// home is among the givers itself.
    pub(crate) fn warn_guest_hits(&self, guest: bool, of: &str, givers: &[NodeId]) {
        if guest && self.has_friends() && !self.is_own(givers) {
            self.warn_other_key(&format!("nodes that serve only their friends told it nothing of that {of}"));
        }
    }

    fn warn_other_key(&self, outcome: &str) {
        self.output.warn(&format!(
            "another process uses this home, so this command ran with a key of its own, and {outcome}: stop that \
             process, or give this command another --home whose key is known"
        ));
    }

    /// Tells a node's warnings, and forgets its other events.
    pub(crate) fn only_warnings(&self) -> impl FnMut(Event) -> Result<()> + Send + 'static {
        let output = self.output.clone();
        move |event| {
            if let Event::Notice(notice) = event {
                output.notice(&notice);
            }
            Ok(())
        }
    }

    /// Passes a finite node's warnings on, and forgets its other events.
    pub(crate) fn pass_warnings(&self, events: mpsc::Receiver<Event>) {
        self.pass_events(events, self.only_warnings());
    }

    /// Passes a node's events on; on a thread of its own, as it may have to wait for whoever reads them.
    pub(crate) fn pass_events(
        &self,
        mut events: mpsc::Receiver<Event>,
        mut tell: impl FnMut(Event) -> Result<()> + Send + 'static,
    ) {
        tokio::task::spawn_blocking(move || while events.blocking_recv().is_some_and(|event| tell(event).is_ok()) {});
    }

    /// Tells all of them.
    pub(crate) fn notice_all<'a>(&self, notices: impl IntoIterator<Item = &'a Notice>) {
        notices.into_iter().for_each(|notice| self.output.notice(notice));
    }

    /// Whether the node of this home is one of these.
    fn is_own(&self, nodes: &[NodeId]) -> bool {
        let own = Identity::load(&self.home().role_dir(Role::Node)).ok().flatten().map(|identity| identity.node_id());
        own.is_some_and(|own| nodes.contains(&own))
    }

    /// Whether this home has any friends.
    fn has_friends(&self) -> bool {
        !self.output.names().are_none()
    }
}
