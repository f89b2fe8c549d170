//! What an actor is here, and how it starts. Invariant: an owner never waits: that takes a task, whose result is a message.

use std::marker::PhantomData;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, Message, SpawnErr};
use tokio::task::JoinHandle;

/// What beginning or a message comes to; an error ends the actor.
pub type Handled<T = ()> = Result<T, ActorProcessingErr>;

/// An actor that was started, and the task that ends when it has.
pub type Spawned<M> = Result<(ActorRef<M>, JoinHandle<()>), SpawnErr>;

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
    fn begin(me: &ActorRef<Self::Message>, arguments: Self::Arguments) -> Handled<Self>;

    /// Takes a message.
    ///
    /// # Errors
    /// What ends the actor.
    fn handle(&mut self, message: Self::Message, me: &ActorRef<Self::Message>) -> Handled;
}

/// Starts an actor under a supervisor, or alone as a test does; the task ends when the actor has.
///
/// # Errors
/// When the actor cannot start, or its supervisor is gone.
pub async fn start<O: Owner>(arguments: O::Arguments, supervisor: Option<ActorCell>) -> Spawned<O::Message> {
    spawn(Owning(PhantomData::<fn() -> O>), arguments, supervisor).await
}

/// The same for an actor that is more than an owner: one that supervises others.
///
/// # Errors
/// As [`start`].
pub async fn spawn<A: Actor>(actor: A, arguments: A::Arguments, supervisor: Option<ActorCell>) -> Spawned<A::Msg> {
    match supervisor {
        Some(supervisor) => Actor::spawn_linked(None, actor, arguments, supervisor).await,
        None => Actor::spawn(None, actor, arguments).await,
    }
}

/// What an actor is told when this is dropped. One that has stopped needs it no more.
#[derive(Debug)]
pub struct Farewell<M: Message>(ActorRef<M>, Option<M>);

impl<M: Message> Farewell<M> {
    /// To this actor.
    pub const fn of(actor: ActorRef<M>, message: M) -> Self {
        Self(actor, Some(message))
    }
}

impl<M: Message> Drop for Farewell<M> {
    fn drop(&mut self) {
        self.1.take().into_iter().for_each(|message| drop(self.0.cast(message)));
    }
}

/// An owner as ractor runs it.
struct Owning<O>(PhantomData<fn() -> O>);

impl<O: Owner> Actor for Owning<O> {
    type Msg = O::Message;
    type State = O;
    type Arguments = O::Arguments;

    async fn pre_start(&self, me: ActorRef<O::Message>, arguments: O::Arguments) -> Handled<O> {
        O::begin(&me, arguments)
    }

    async fn handle(&self, me: ActorRef<O::Message>, message: O::Message, owner: &mut O) -> Handled {
        owner.handle(message, &me)
    }
}
