//! The supervisor of a node's actors. ractor's default would stop with any child; ours: when a core actor fails,
//! the node ends with its error (its state is on disk); children that supervise their own are not seen here.

use ractor::{Actor, ActorRef, SupervisionEvent};
use tokio::sync::watch;

use crate::actors::start::Handled;

/// The supervisor.
#[derive(Debug)]
pub struct Node;

/// Says why the node ended, once it has.
pub type Ended = watch::Sender<Option<Failure>>;

/// A core actor failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it said.
    pub cause: String,
}

impl Actor for Node {
    type Msg = ();
    type State = Ended;
    type Arguments = Ended;

    async fn pre_start(&self, _: ActorRef<()>, ended: Ended) -> Handled<Ended> {
        Ok(ended)
    }

    async fn handle_supervisor_evt(&self, myself: ActorRef<()>, event: SupervisionEvent, ended: &mut Ended) -> Handled {
        if let SupervisionEvent::ActorFailed(_, error) = event {
            tracing::error!(%error, "a core actor failed");
            ended.send_replace(Some(Failure { cause: error.to_string() }));
            myself.stop(None);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Faulty;

    impl Actor for Faulty {
        type Msg = ();
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Handled {
            Ok(())
        }

        async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Handled {
            Err("the disk is gone".into())
        }
    }

    #[tokio::test]
    async fn a_core_actor_that_fails_ends_the_node_with_its_error() {
        let ended = watch::Sender::new(None);
        let mut end = ended.subscribe();
        let (node, handle) = Actor::spawn(None, Node, ended).await.expect("spawned");
        let (child, _) = Actor::spawn_linked(None, Faulty, (), node.get_cell()).await.expect("spawned");
        child.cast(()).expect("alive");
        end.changed().await.expect("the node lives until then");
        assert_eq!(end.borrow().as_ref().map(|f| f.cause.as_str()), Some("the disk is gone"));
        handle.await.expect("the node stopped");
    }
}
