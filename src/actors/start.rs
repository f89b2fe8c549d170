//! What an actor is here, and how it starts. Invariant: an owner never waits: that takes a task, whose result is a message.

use std::marker::PhantomData;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, Message, SpawnErr};
use tokio::task::JoinHandle;

/// What an actor owns, and what it does with what it is told.
pub trait Owner: Send + Sized + 'static {
    /// What it is told.
    type Message: Message;
    /// What it begins with.
    type Arguments: Send + 'static;

    /// Begins.
    ///
    /// # Errors
    /// When it cannot; whoever starts it is told.
    fn begin(me: &ActorRef<Self::Message>, arguments: Self::Arguments) -> Result<Self, ActorProcessingErr>;

    /// Takes a message.
    ///
    /// # Errors
    /// What ends the actor.
    fn handle(&mut self, message: Self::Message, me: &ActorRef<Self::Message>) -> Result<(), ActorProcessingErr>;
}

/// Starts an actor under a supervisor, or alone as a test does; the task ends when the actor has.
///
/// # Errors
/// When the actor cannot start, or its supervisor is gone.
pub async fn start<O: Owner>(
    arguments: O::Arguments,
    supervisor: Option<ActorCell>,
) -> Result<(ActorRef<O::Message>, JoinHandle<()>), SpawnErr> {
    spawn(Owning(PhantomData::<fn() -> O>), arguments, supervisor).await
}

/// The same for an actor that is more than an owner: one that supervises others.
///
/// # Errors
/// As [`start`].
pub async fn spawn<A: Actor>(
    actor: A,
    arguments: A::Arguments,
    supervisor: Option<ActorCell>,
) -> Result<(ActorRef<A::Msg>, JoinHandle<()>), SpawnErr> {
    match supervisor {
        Some(supervisor) => Actor::spawn_linked(None, actor, arguments, supervisor).await,
        None => Actor::spawn(None, actor, arguments).await,
    }
}

/// An owner as ractor runs it.
struct Owning<O>(PhantomData<fn() -> O>);

impl<O: Owner> Actor for Owning<O> {
    type Msg = O::Message;
    type State = O;
    type Arguments = O::Arguments;

    async fn pre_start(&self, me: ActorRef<O::Message>, arguments: O::Arguments) -> Result<O, ActorProcessingErr> {
        O::begin(&me, arguments)
    }

    async fn handle(
        &self,
        me: ActorRef<O::Message>,
        message: O::Message,
        owner: &mut O,
    ) -> Result<(), ActorProcessingErr> {
        owner.handle(message, &me)
    }
}
