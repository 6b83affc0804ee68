//! The server that all stand-ins share: a listener, a thread a connection, and how it stops.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

use super::connection::Connection;
use super::faults::{Calls, Fault};
use super::http::{Head, Manner, Request, Response};
use super::lock;
use super::plan::FaultPlan;
use super::recorder::{Recorder, UnderWay};
use super::stop::Stop;
use crate::{Error, ErrorKind, Result};

/// The ERP behind the server.
pub(crate) trait Site: Send + Sync + 'static {
    /// How many bytes of a body it wants to see before it says which class the request belongs to.
    fn peek(&self) -> usize {
        0
    }
    /// Which class the request belongs to; `start` is the start of its body.
    fn class(&self, head: &Head, start: &[u8]) -> Calls;
    /// Serves the request.
    fn answer(&self, request: &Request, exchange: &mut Exchange<'_>) -> Response;
    /// Ends the session that the request belongs to.
    fn expire_session_of(&self, head: &Head);
    /// Ends all sessions.
    fn expire_sessions(&self);
    /// How many sessions are open.
    fn open_sessions(&self) -> usize;
    /// A record in the form in which the ERP answers it, with everything in it.
    fn record(&self, entity: &str, key: &str) -> Option<serde_json::Value>;
    /// All records of an entity.
    fn records(&self, entity: &str) -> Vec<serde_json::Value>;
    /// The API key of a user, where the ERP has such keys.
    fn api_key(&self, _login: &str) -> Option<String> {
        None
    }
}

/// What the site may know about the request besides its text.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    /// The number of the request, counted from 1.
    pub(crate) number: u64,
    pub(crate) under_way: UnderWay<'a>,
    pub(crate) stop: &'a Stop,
    /// What goes wrong on demand: the site makes those happen that are its own.
    pub(crate) fault: Option<Fault>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) site: Arc<dyn Site>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) faults: RwLock<Arc<FaultPlan>>,
    pub(crate) requests: AtomicU64,
    /// How long a connection may be silent before it is closed.
    pub(crate) keep_alive: Option<Duration>,
    /// The longest body that is read.
    pub(crate) longest_body: usize,
    pub(crate) manner: Manner,
}

/// A server, listening or paused.
pub(crate) struct Server {
    pub(crate) shared: Arc<Shared>,
    address: SocketAddr,
    listening: Mutex<Option<Listening>>,
}

/// One stretch of listening, from start to pause.
struct Listening {
    room: Arc<Room>,
    accepting: JoinHandle<()>,
}

/// The connections of one stretch of listening.
#[derive(Default)]
struct Room {
    stop: Stop,
    streams: Mutex<HashMap<u64, TcpStream>>,
}

impl Server {
    pub(crate) fn start(port: u16, shared: Shared) -> Result<Self> {
        let listener = bind(port)?;
        let address = listener.local_addr().map_err(Error::other)?;
        let server = Self { shared: Arc::new(shared), address, listening: Mutex::new(None) };
        server.listen(listener)?;
        Ok(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    fn listen(&self, listener: TcpListener) -> Result<()> {
        let room = Arc::new(Room::default());
        let (shared, its_room) = (Arc::clone(&self.shared), Arc::clone(&room));
        let accepting = thread::Builder::new()
            .name("sandbox".into())
            .spawn(move || accept(&listener, &shared, &its_room))
            .map_err(Error::other)?;
        *lock(&self.listening) = Some(Listening { room, accepting });
        Ok(())
    }

    /// Stops listening, resets all connections and joins all threads.
    pub(crate) fn pause(&self) {
        let Some(Listening { room, accepting }) = lock(&self.listening).take() else { return };
        room.stop.ring();
        // The accepting thread sits in `accept`: this connection wakes it.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
        for stream in lock(&room.streams).values() {
            cut(stream);
        }
        // A panic of a thread of ours was printed by its hook and must not panic in `drop`.
        drop(accepting.join());
    }

    /// Listens again on the same port.
    pub(crate) fn resume(&self) -> Result<()> {
        if lock(&self.listening).is_some() {
            return Ok(());
        }
        self.listen(bind(self.port())?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.pause();
    }
}

fn bind(port: u16) -> Result<TcpListener> {
    // Loopback only: passwords and cookies go in the clear.
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|e| {
        Error::new(ErrorKind::Connect, format!("the sandbox cannot listen on port {port}")).with_source(e)
    })
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, room: &Arc<Room>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for number in 0.. {
        let Ok((stream, _)) = listener.accept() else {
            // Out of file descriptors: wait for some to be closed instead of spinning.
            if room.stop.sleep(Duration::from_millis(10)) {
                break;
            }
            continue;
        };
        if room.stop.is_stopped() {
            break;
        }
        let Ok(twin) = stream.try_clone() else { continue };
        lock(&room.streams).insert(number, twin);
        let (shared, its_room) = (Arc::clone(shared), Arc::clone(room));
        let serving = thread::Builder::new().name(format!("sandbox-{number}")).spawn(move || {
            Connection::new(stream, &shared, &its_room.stop).serve();
            lock(&its_room.streams).remove(&number);
        });
        match serving {
            Ok(serving) => threads.push(serving),
            Err(_) => drop(lock(&room.streams).remove(&number)),
        }
        threads.retain(|thread| !thread.is_finished());
    }
    // Those that were accepted while `pause` reset the others.
    for stream in lock(&room.streams).values() {
        cut(stream);
    }
    for thread in threads {
        drop(thread.join());
    }
}

/// Makes the coming close of a connection an RST instead of a FIN, as a firewall or a crash does.
pub(crate) fn reset(stream: &TcpStream) {
    // Lingering for no time makes the close a reset. Fails only on a connection that is gone already.
    drop(SockRef::from(stream).set_linger(Some(Duration::ZERO)));
}

/// Resets a connection that another thread reads or writes, and wakes that thread.
fn cut(stream: &TcpStream) {
    reset(stream);
    drop(stream.shutdown(std::net::Shutdown::Both));
}
