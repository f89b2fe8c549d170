//! A peer that writes its own bytes in both directions: QUIC, and MessagePack by hand; of the node's code it has the
//! handshake alone. What it says, and as which version, is for a test to say.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qshare::io::home::identity::Identity;
use qshare::io::net::purpose::Purpose;
use qshare::io::net::tls::{self, Protocol};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, ServerConfig};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// A hang, not a slow machine.
const HANG: Duration = Duration::from_secs(60);

/// A MessagePack value, as far as the protocol has any.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Nil,
    Flag(bool),
    Number(u64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

pub fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub fn number(number: u64) -> Value {
    Value::Number(number)
}

pub fn bytes(bytes: impl AsRef<[u8]>) -> Value {
    Value::Bytes(bytes.as_ref().to_vec())
}

pub fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value::List(values.into_iter().collect())
}

pub fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A map of one entry: a request, or an answer.
pub fn tagged(name: &str, value: Value) -> Value {
    map([(name, value)])
}

/// A loopback address.
pub fn address(addr: SocketAddr) -> Value {
    let SocketAddr::V4(addr) = addr else { panic!("the lab is IPv4") };
    let octets = list(addr.ip().octets().map(|octet| number(octet.into())));
    tagged("V4", list([octets, number(addr.port().into())]))
}

impl Value {
    /// Its bytes, the long way: the shortest is not what the protocol asks for.
    pub fn encode(&self) -> Vec<u8> {
        let long = |marker: u8, len: usize, rest: &[u8]| {
            let len = u32::try_from(len).expect("short");
            [&[marker][..], &len.to_be_bytes(), rest].concat()
        };
        match self {
            Self::Nil => vec![0xc0],
            Self::Flag(flag) => vec![0xc2 + u8::from(*flag)],
            Self::Number(number) => [&[0xcf][..], &number.to_be_bytes()].concat(),
            Self::Text(text) if text.len() < 32 => [&[0xa0 + text.len() as u8][..], text.as_bytes()].concat(),
            Self::Text(text) => long(0xdb, text.len(), text.as_bytes()),
            Self::Bytes(bytes) => long(0xc6, bytes.len(), bytes),
            Self::List(values) => long(0xdd, values.len(), &values.iter().flat_map(Self::encode).collect::<Vec<_>>()),
            Self::Map(fields) => {
                let pair = |(name, value): &(String, Self)| [text(name).encode(), value.encode()].concat();
                let pairs: Vec<u8> = fields.iter().flat_map(pair).collect();
                match fields.len() {
                    few @ ..16 => [&[0x80 + few as u8][..], &pairs].concat(),
                    many => long(0xdf, many, &pairs),
                }
            }
        }
    }

    /// Its frame.
    pub fn frame(&self) -> Vec<u8> {
        frame(&self.encode())
    }

    /// Reads one; what is left behind it.
    fn read(bytes: &[u8]) -> (Self, &[u8]) {
        let (marker, rest) = (bytes[0], &bytes[1..]);
        let sized = |width: usize| {
            let (number, rest) = rest.split_at(width);
            (number.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte)), rest)
        };
        let count = |width| {
            let (count, rest) = sized(width);
            (usize::try_from(count).expect("small"), rest)
        };
        match marker {
            0x00..=0x7f => (number(marker.into()), rest),
            0x80..=0x8f => Self::read_map((marker & 15).into(), rest),
            0x90..=0x9f => Self::read_list((marker & 15).into(), rest),
            0xa0..=0xbf => Self::read_text((marker & 31).into(), rest),
            0xc0 => (Self::Nil, rest),
            0xc2 | 0xc3 => (Self::Flag(marker == 0xc3), rest),
            0xc4..=0xc6 => {
                let (len, rest) = count(1 << (marker - 0xc4));
                (self::bytes(&rest[..len]), &rest[len..])
            }
            0xcc..=0xcf => {
                let (number, rest) = sized(1 << (marker - 0xcc));
                (Self::Number(number), rest)
            }
            0xd9..=0xdb => {
                let (len, rest) = count(1 << (marker - 0xd9));
                Self::read_text(len, rest)
            }
            0xdc | 0xdd => {
                let (len, rest) = count(2 << (marker - 0xdc));
                Self::read_list(len, rest)
            }
            0xde | 0xdf => {
                let (len, rest) = count(2 << (marker - 0xde));
                Self::read_map(len, rest)
            }
            other => panic!("a marker that no message has: {other:02x}"),
        }
    }

    fn read_text(len: usize, rest: &[u8]) -> (Self, &[u8]) {
        (text(std::str::from_utf8(&rest[..len]).expect("UTF-8")), &rest[len..])
    }

    fn read_list(len: usize, mut rest: &[u8]) -> (Self, &[u8]) {
        let mut values = Vec::new();
        for _ in 0..len {
            let (value, after) = Self::read(rest);
            values.push(value);
            rest = after;
        }
        (Self::List(values), rest)
    }

    fn read_map(len: usize, mut rest: &[u8]) -> (Self, &[u8]) {
        let mut fields = Vec::new();
        for _ in 0..len {
            let (Self::Text(name), after) = Self::read(rest) else { panic!("a name that is no string") };
            let (value, after) = Self::read(after);
            fields.push((name, value));
            rest = after;
        }
        (Self::Map(fields), rest)
    }

    /// A field of a map, or what a variant holds.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// The name of a variant.
    pub fn tag(&self) -> &str {
        match self {
            Self::Text(name) => name,
            Self::Map(fields) if fields.len() == 1 => &fields[0].0,
            _ => "",
        }
    }

    pub fn as_number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

/// Bytes with their length before them.
pub fn frame(value: &[u8]) -> Vec<u8> {
    [&u32::try_from(value.len()).expect("short").to_be_bytes()[..], value].concat()
}

/// What a refusal says, or how the stream or connection ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    Answer(Value),
    Refused(u64),
    Reset(u64),
    Closed(u64),
    Ended,
}

/// A stream of a peer.
pub struct Talk {
    pub link: Connection,
    pub send: SendStream,
    pub recv: RecvStream,
}

impl Talk {
    /// Sends bytes; that the other side has stopped reading shows in what it answers.
    pub async fn say(&mut self, bytes: &[u8]) {
        let _ = self.send.write_all(bytes).await;
    }

    pub fn end(&mut self) {
        let _ = self.send.finish();
    }

    /// The next frame, or how the stream ended.
    pub async fn next(&mut self) -> Result<Value, Ending> {
        let mut head = [0; 4];
        let read = async {
            self.recv.read_exact(&mut head).await?;
            let mut value = vec![0; u32::from_be_bytes(head) as usize];
            self.recv.read_exact(&mut value).await?;
            Ok::<_, quinn::ReadExactError>(value)
        };
        match timeout(HANG, read).await.expect("no hang") {
            Ok(value) => Ok(Value::read(&value).0),
            Err(quinn::ReadExactError::FinishedEarly(_)) => Err(Ending::Ended),
            Err(quinn::ReadExactError::ReadError(quinn::ReadError::Reset(code))) => {
                Err(Ending::Reset(code.into_inner()))
            }
            Err(quinn::ReadExactError::ReadError(quinn::ReadError::ConnectionLost(lost))) => Err(closing(&lost)),
            Err(error) => panic!("{error}"),
        }
    }

    /// The answer.
    pub async fn answer(&mut self) -> Ending {
        match self.next().await {
            Ok(answer) => match answer.get("Err") {
                Some(refusal) => Ending::Refused(refusal.get("code").and_then(Value::as_number).expect("a code")),
                None => Ending::Answer(answer.get("Ok").expect("Ok or Err").clone()),
            },
            Err(ending) => ending,
        }
    }
}

/// With which code a connection was closed.
pub fn closing(lost: &ConnectionError) -> Ending {
    let ConnectionError::ApplicationClosed(close) = lost else { panic!("not closed but {lost}") };
    Ending::Closed(close.error_code.into_inner())
}

/// What a peer does with a stream that another opens at it.
pub type Script = Arc<dyn Fn(Value, Talk) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The peer, as long as this lives.
pub struct Own {
    pub runtime: Runtime,
    pub node: [u8; 32],
    /// As people write it, with its address.
    pub target: String,
    pub addr: SocketAddr,
    /// How the connections ended that others have dialled.
    pub closed: Arc<Mutex<Vec<Ending>>>,
    endpoint: Endpoint,
    identity: Identity,
    protocols: Arc<[Protocol]>,
}

/// How one connection is answered.
fn server(protocols: &Arc<[Protocol]>) -> ServerConfig {
    let config = QuicServerConfig::try_from(tls::server_config(protocols).expect("TLS 1.3")).expect("AES");
    ServerConfig::with_crypto(Arc::new(config))
}

impl Own {
    pub fn new() -> Self {
        Self::of(Identity::ephemeral().expect("randomness"))
    }

    pub fn of(identity: Identity) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let protocols: Arc<[Protocol]> = tls::protocols(&identity).expect("a key").into();
        let config = server(&protocols);
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = runtime.block_on(async { Endpoint::server(config, at) }).expect("bound");
        let (addr, node) = (endpoint.local_addr().expect("bound"), identity.node_id());
        Self {
            runtime,
            node: *node.as_bytes(),
            target: format!("{node}@{addr}"),
            addr,
            closed: Arc::default(),
            endpoint,
            identity,
            protocols,
        }
    }

    /// Lets everybody in with this Welcome, and does with their requests what the script says.
    pub fn serve(&self, welcome: &Value, script: Script) {
        let (endpoint, welcome, closed) = (self.endpoint.clone(), welcome.frame(), Arc::clone(&self.closed));
        let protocols = Arc::clone(&self.protocols);
        self.runtime.spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                let Ok(arriving) = incoming.accept_with(Arc::new(server(&protocols))) else { continue };
                let (welcome, script, closed) = (welcome.clone(), Arc::clone(&script), Arc::clone(&closed));
                tokio::spawn(async move {
                    let Ok(connection) = arriving.await else { return };
                    welcome_and_answer(&connection, &welcome, &script).await;
                    if let ConnectionError::ApplicationClosed(close) = connection.closed().await {
                        closed.lock().expect("no panic").push(Ending::Closed(close.error_code.into_inner()));
                    }
                });
            }
        });
    }

    /// Dials; the connection and Welcome, or how it was closed in its place.
    pub fn dial(&self, addr: &str) -> Result<(Connection, Value), Ending> {
        let tls = tls::client_config(&self.identity, Purpose::Link).expect("a key");
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("AES")));
        let addr: SocketAddr = addr.parse().expect("an address");
        self.runtime.block_on(async {
            let connecting = self.endpoint.connect_with(config, addr, "x").expect("valid");
            let connection = connecting.await.expect("a handshake");
            let (send, recv) = connection.accept_bi().await.map_err(|lost| closing(&lost))?;
            let welcome = Talk { link: connection.clone(), send, recv }.next().await?;
            Ok((connection, welcome))
        })
    }

    /// Opens a stream with these bytes.
    pub fn open(&self, connection: &Connection, bytes: &[u8]) -> Talk {
        self.runtime.block_on(async {
            let (send, recv) = connection.open_bi().await.expect("streams enough");
            let mut talk = Talk { link: connection.clone(), send, recv };
            talk.say(bytes).await;
            talk
        })
    }

    /// Asks with these bytes, does not end its side, and says what is answered.
    pub fn ask(&self, connection: &Connection, bytes: &[u8]) -> Ending {
        let mut talk = self.open(connection, bytes);
        self.runtime.block_on(talk.answer())
    }
}

async fn welcome_and_answer(connection: &Connection, welcome: &[u8], script: &Script) {
    let Ok((mut send, _recv)) = connection.open_bi().await else { return };
    let _ = send.write_all(welcome).await;
    let _ = send.finish();
    answer(connection, script).await;
}

async fn answer(connection: &Connection, script: &Script) {
    while let Ok((send, recv)) = connection.accept_bi().await {
        let (script, link) = (Arc::clone(script), connection.clone());
        tokio::spawn(async move {
            let mut talk = Talk { link, send, recv };
            if let Ok(request) = talk.next().await {
                script(request, talk).await;
            }
        });
    }
}

/// The first frame of a connection.
pub fn welcome(version: u64, role: &str, seen: SocketAddr) -> Value {
    map([("version", number(version)), ("role", text(role)), ("observed", address(seen))])
}

pub fn hit(name: &str, id: [u8; 32], providers: Vec<Value>) -> Value {
    let (size, files, names) = (number(1), number(1), list([text(name)]));
    let kind = text("file");
    map([
        ("id", bytes(id)),
        ("kind", kind),
        ("size", size),
        ("files", files),
        ("names", names),
        ("providers", list(providers)),
    ])
}

pub fn ok(value: Value) -> Vec<u8> {
    tagged("Ok", value).frame()
}

/// Answers every search with these hits, and tells how it was asked.
pub fn answering(hits: Vec<Value>, told: Sender<Value>) -> Script {
    Arc::new(move |request: Value, mut talk: Talk| {
        let (hits, told) = (hits.clone(), told.clone());
        Box::pin(async move {
            match request.get("Search") {
                Some(search) => {
                    let _ = told.send(search.clone());
                    talk.say(&ok(map([("hits", list(hits)), ("more", number(0))]))).await;
                }
                None => talk.say(&tagged("Err", map([("code", number(13))])).frame()).await,
            }
            talk.end();
        })
    })
}

/// A neighbour of this version, which tells what it is asked for, answers with these hits, and is done.
pub fn neighbour(version: u64, hits: Vec<Value>, told: Sender<Value>) -> Own {
    neighbour_after(Duration::ZERO, version, hits, told)
}

/// The same, which takes its time.
pub fn neighbour_after(time: Duration, version: u64, hits: Vec<Value>, told: Sender<Value>) -> Own {
    let own = Own::new();
    let script: Script = Arc::new(move |request: Value, mut talk: Talk| {
        let (told, hits) = (told.clone(), hits.clone());
        Box::pin(async move {
            if request.tag() != "Join" {
                // Asked directly, it has nothing.
                talk.say(&ok(map([("hits", list([])), ("more", number(0))]))).await;
                return talk.end();
            }
            let about = [("candidates", list([])), ("offers", number(1)), ("version", number(version))];
            talk.say(&ok(map(about))).await;
            while let Ok(frame) = talk.next().await {
                let Some(query) = frame.get("Query") else { continue };
                let _ = told.send(query.get("what").expect("a look-up").clone());
                let id = query.get("id").expect("an id").clone();
                let found = map([("id", id.clone()), ("hits", list(hits.clone())), ("nodes", list([]))]);
                tokio::time::sleep(time).await;
                talk.say(&tagged("Found", found).frame()).await;
                talk.say(&tagged("Done", id).frame()).await;
            }
        })
    });
    own.serve(&welcome(version, "node", own.addr), script);
    own
}

/// Something that has a home and its lock, and answers at its control socket what a script says. The lock goes when the script
/// takes it.
pub struct Controlled {
    runtime: Runtime,
    pub node: [u8; 32],
    pub lock: Arc<Mutex<Option<qshare::io::home::HomeLock>>>,
}

impl Controlled {
    pub fn new(home: &std::path::Path, script: impl Fn(&Self) -> Script) -> Self {
        use qshare::io::home::control::{ControlFile, Whereabouts};
        use qshare::wire::Role;
        let home = qshare::node::Home::at(home.to_owned());
        let dir = home.role_dir(Role::Node);
        let identity = Identity::load_or_create(&dir).expect("an identity");
        let lock = Arc::new(Mutex::new(Some(home.lock(Role::Node).expect("free"))));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let controlled = Self { runtime: runtime.expect("a runtime"), node: *identity.node_id().as_bytes(), lock };
        let script = script(&controlled);
        let config = server(&tls::control(&identity).expect("a key").into());
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = controlled.runtime.block_on(async { Endpoint::server(config, at) }).expect("bound");
        let here = Whereabouts::here(endpoint.local_addr().expect("bound"));
        ControlFile::at(&dir).write(&here).expect("written");
        controlled.runtime.spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                let script = Arc::clone(&script);
                tokio::spawn(async move {
                    let Ok(connection) = incoming.await else { return };
                    answer(&connection, &script).await;
                });
            }
        });
        controlled
    }
}
