//! What every role runs on: an identity under its lock, an endpoint that accepts, connections, one supervisor.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ractor::{ActorCell, ActorRef};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::actors::access::Access;
use crate::actors::connections::{Connections, ConnectionsRef, Dependencies};
use crate::actors::node::{Ended, Node as Supervisor};
use crate::actors::start::{Owner, spawn, start};
use crate::io::home::identity::{Identity, IdentityError, LongTermKeys};
use crate::io::home::trust::TrustStore;
use crate::io::home::{Home, HomeError, HomeLock};
use crate::io::net::endpoint::{ArrivalError, Endpoint, EndpointOptions};
use crate::io::net::link::Link;
use crate::model::NodeId;
use crate::node::error::{Error, Fault};
use crate::node::types::{Event, Guest, Lifetime, Notice, Options};
use crate::wire::{Code, Role};

/// Events that wait for whoever shows them; samples that find no room are left out.
pub(crate) const EVENTS: usize = 256;
/// Links that wait to be served.
const LINKS: usize = 64;

/// A process in a network, whatever its role.
pub struct Host {
    pub(crate) home: Home,
    pub(crate) endpoint: Endpoint,
    pub(crate) guest: Option<Guest>,
    pub(crate) lifetime: Lifetime,
    pub(crate) connections: ConnectionsRef,
    pub(crate) events: mpsc::Sender<Event>,
    ended: Ended,
    /// Somebody who may has asked it to stop.
    stop_asked: watch::Sender<bool>,
    /// One that lives longer wants its home.
    yield_asked: watch::Sender<bool>,
    /// Where the commands of the home reach it.
    pub(crate) control: OnceLock<Endpoint>,
    supervisor: ActorRef<()>,
    /// Accepting, serving and passing events on; dropped with the host.
    tasks: Mutex<JoinSet<()>>,
    lock: Mutex<Option<HomeLock>>,
}

/// A host that has started.
pub(crate) struct Started {
    pub(crate) host: Host,
    /// Who has dialled and is to be served.
    pub(crate) links: mpsc::Receiver<Link>,
    /// What the host reports.
    pub(crate) events: mpsc::Receiver<Event>,
}

impl Host {
    /// Starts what every role needs; `access` says whom it lets in.
    pub(crate) async fn start(options: &Options, role: Role, access: Access) -> Result<Started, Error> {
        let ProcessIdentity { identity, keys, lock, guest } = person(options, role)?;
        let renewed = keys.renewed().cloned().map(|(path, len)| Notice::KeyRenewed { path: path.into(), len });
        let endpoint = Endpoint::bind(Arc::new(identity), keys, EndpointOptions { listen: options.listen, role })?;
        let (events, received) = mpsc::channel(EVENTS);
        let ended: Ended = watch::Sender::new(None);
        let (supervisor, _) = spawn(Supervisor, ended.clone(), None).await?;
        let trust = TrustStore::at(options.home.root());
        let broken = trust.broken().map(Notice::Broken);
        let trust = if let Some(Guest::Homeless(_)) = guest { trust.lost() } else { trust };
        let (links, to_serve) = mpsc::channel(LINKS);
        let dependencies = Dependencies { endpoint: endpoint.clone(), trust, links };
        let started = Connections::start(dependencies, Some(supervisor.get_cell())).await;
        let connections = started?.0;
        let host = Self {
            guest,
            lifetime: options.lifetime,
            home: options.home.clone(),
            endpoint,
            connections,
            ended,
            stop_asked: watch::Sender::default(),
            yield_asked: watch::Sender::default(),
            control: OnceLock::new(),
            events,
            supervisor,
            tasks: Mutex::default(),
            lock: Mutex::new(lock),
        };
        let small = host.endpoint.small_buffers().iter().copied().map(Notice::SmallBuffer);
        let taken = host.endpoint.taken_port().map(|usual| Notice::PortTaken { usual, got: host.endpoint.port() });
        small.chain(renewed).chain(broken).chain(taken).for_each(|notice| host.warn(notice));
        host.run(accept(host.endpoint.clone(), host.connections.clone(), role, access));
        Ok(Started { host, links: to_serve, events: received })
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.endpoint.node_id()
    }

    /// What a local peer can dial.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.endpoint.local_addr()
    }

    /// Where a peer on another machine would dial it first; the same as [`Host::addr`] where there is no network.
    #[must_use]
    pub fn outward_addr(&self) -> SocketAddr {
        self.endpoint.outward_addr()
    }

    /// Why it runs with a key of its own, if it does.
    #[must_use]
    pub const fn guest(&self) -> Option<&Guest> {
        self.guest.as_ref()
    }

    /// Whether it runs with a key of its own because another process has the home and its key.
    #[must_use]
    pub const fn is_guest_beside(&self) -> bool {
        matches!(self.guest, Some(Guest::Beside))
    }

    /// Resolves when a core actor has failed.
    ///
    /// # Errors
    /// Always, with the cause: a host that is stopped by its owner does not come here.
    pub async fn ended(&self) -> Result<(), Error> {
        let mut ended = self.ended.subscribe();
        let failure = ended.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone());
        match failure {
            Some(failure) => Err(Fault::Actor(failure.cause).into()),
            None => std::future::pending().await,
        }
    }

    /// Turns true when a command of the home has asked that it stops: its owner is to do that.
    #[must_use]
    pub fn stop_asked(&self) -> watch::Receiver<bool> {
        self.stop_asked.subscribe()
    }

    /// Has its owner stop it.
    pub(crate) fn ask_to_stop(&self) {
        self.stop_asked.send_replace(true);
    }

    /// Turns true when a command that lives longer wants the home of this one. Whoever holds this ends the node soon after that,
    /// and goes on through the other's.
    #[must_use]
    pub fn yield_asked(&self) -> watch::Receiver<bool> {
        self.yield_asked.subscribe()
    }

    /// Asks its owner for the home; whether that will give it up.
    pub(crate) fn ask_to_yield(&self) -> bool {
        self.yield_asked.receiver_count() > 0 && {
            self.yield_asked.send_replace(true);
            true
        }
    }

    /// Answers no command any more: who has asked looks for who has the home next.
    pub(crate) async fn leave_owners(&self) {
        if let Some(control) = self.control.get() {
            control.close_owners(*self.stop_asked.borrow()).await;
        }
    }

    /// Closes all connections and stops the actors.
    pub async fn stop(&self) {
        self.leave_owners().await;
        self.endpoint.close(Code::Closing).await;
        self.supervisor.stop(None);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Runs a task for as long as the host.
    pub(crate) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    /// Starts an actor that is ended, and whose failure is told, with the host.
    pub(crate) async fn spawn<O: Owner>(&self, arguments: O::Arguments) -> Result<ActorRef<O::Message>, Error> {
        Ok(start::<O>(arguments, Some(self.cell())).await?.0)
    }

    pub(crate) fn cell(&self) -> ActorCell {
        self.supervisor.get_cell()
    }

    /// Tells the user; forgotten when nobody listens.
    pub(crate) fn warn(&self, notice: impl Into<Notice>) {
        // Full or closed: a notice must not hold anything up.
        let _ = self.events.try_send(Event::Notice(notice.into()));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.supervisor.stop(None);
    }
}

/// Who the process is.
struct ProcessIdentity {
    identity: Identity,
    keys: LongTermKeys,
    lock: Option<HomeLock>,
    guest: Option<Guest>,
}

/// The home's identity under its lock; a finite command beside another process, or without a home that can be used, is
/// a guest with a key in memory.
fn person(options: &Options, role: Role) -> Result<ProcessIdentity, Error> {
    let guest = match resident(options, role) {
        Err(error) if options.lifetime != Lifetime::LongRunning => guest(error)?,
        resident => return resident,
    };
    let (identity, keys) = (Identity::ephemeral()?, LongTermKeys::ephemeral()?);
    Ok(ProcessIdentity { identity, keys, lock: None, guest: Some(guest) })
}

fn resident(options: &Options, role: Role) -> Result<ProcessIdentity, Error> {
    let lock = Some(options.home.lock(role)?);
    let dir = options.home.role_dir(role);
    let (identity, keys) = (Identity::load_or_create(&dir)?, LongTermKeys::load_or_create(&dir)?);
    Ok(ProcessIdentity { identity, keys, lock, guest: None })
}

/// A key that is there and cannot be understood is an error of its own: it is somebody's identity.
fn guest(error: Error) -> Result<Guest, Error> {
    match error {
        Error::Home(HomeError::Locked { .. }) => Ok(Guest::Beside),
        Error::Home(HomeError::Absent | HomeError::Io { .. }) | Error::Identity(IdentityError::Io { .. }) => {
            Ok(Guest::Homeless(Box::new(error)))
        }
        error => Err(error),
    }
}

/// Takes in every node that dials, if it is allowed.
async fn accept(endpoint: Endpoint, connections: ConnectionsRef, role: Role, access: Access) {
    let mut arrivals = JoinSet::new();
    loop {
        tokio::select! {
            arrival = endpoint.accept() => {
                let Some(arrival) = arrival else { return };
                let (connections, access) = (connections.clone(), access.clone());
                arrivals.spawn(async move {
                    let remote = arrival.remote();
                    let allowed = |node| if access.serves(node) { Ok(()) } else { Err(Code::Forbidden) };
                    match arrival.establish(role, allowed).await {
                        Ok(link) => {
                            tracing::info!(peer = %link.peer().short(), at = %remote, "arrived");
                            connections.established(link);
                        }
                        Err(ArrivalError::Probe) => tracing::debug!(%remote, "dialled back"),
                        Err(error) => tracing::debug!(%remote, %error, "an arrival was not taken in"),
                    }
                });
            }
            Some(_) = arrivals.join_next() => {}
        }
    }
}
