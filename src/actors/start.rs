//! How an actor starts.

use ractor::{Actor, ActorCell, ActorRef, SpawnErr};
use tokio::task::JoinHandle;

/// Starts an actor under a supervisor, or alone as a test does; the task ends when the actor has.
///
/// # Errors
/// When the actor cannot start, or its supervisor is gone.
pub async fn start<A: Actor>(
    actor: A,
    arguments: A::Arguments,
    supervisor: Option<ActorCell>,
) -> Result<(ActorRef<A::Msg>, JoinHandle<()>), SpawnErr> {
    match supervisor {
        Some(supervisor) => Actor::spawn_linked(None, actor, arguments, supervisor).await,
        None => Actor::spawn(None, actor, arguments).await,
    }
}
