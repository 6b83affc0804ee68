//! The socket under the HTTP client: counts what it writes, keeps the deadline, can be interrupted.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{at, bounded, select};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    RustlsConnector, ShutdownHandle, Transport,
};
use ureq::{Agent, Error, Timeout};

use super::phase::Phase;

/// The least time given to one of several addresses of a host.
const LEAST: Duration = Duration::from_millis(250);

/// An agent of its own: connection, phase and interrupt are shared with nobody. Only the TLS
/// configuration is, so that it is built once and sessions resume.
pub(super) fn agent(config: Config, tls: Arc<RustlsConnector>, phase: &Arc<Phase>, limit: Duration) -> Agent {
    let chain =
        ().chain(ConnectProxyConnector::default()).chain(Dial { phase: phase.clone() }).chain(SharedTls(tls));
    Agent::with_parts(config, Line { inner: chain, phase: phase.clone(), limit }, Later)
}

/// The outermost connector: knows when a connection stands. What is written after that is the request.
#[derive(Debug)]
struct Line<C> {
    inner: C,
    phase: Arc<Phase>,
    limit: Duration,
}

impl<C: Connector> Connector for Line<C> {
    type Out = C::Out;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<C::Out>, Error> {
        self.phase.connect_begins(self.limit);
        let connected = self.inner.connect(details, chained);
        self.phase.connect_ended(matches!(connected, Ok(Some(_))));
        connected
    }
}

/// One TLS configuration for all sessions of a host.
#[derive(Debug)]
struct SharedTls(Arc<RustlsConnector>);

impl<In: Transport> Connector<In> for SharedTls {
    type Out = <RustlsConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        self.0.connect(details, chained)
    }
}

/// Names are looked up when a connection is opened, not for every request: the client resolves before
/// it looks into its pool, and that would cost each request a thread.
#[derive(Debug)]
struct Later;

impl Resolver for Later {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut unspecified = self.empty();
        unspecified.push(SocketAddr::from(([0, 0, 0, 0], 0)));
        Ok(unspecified)
    }
}

/// Opens TCP connections.
#[derive(Debug)]
struct Dial {
    phase: Arc<Phase>,
}

impl<In: Transport> Connector<In> for Dial {
    type Out = Either<In, Socket>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(transport) = chained {
            return Ok(Some(Either::A(transport)));
        }
        let stream = Arc::new(self.dial(details.uri)?);
        (details.register_shutdown)(Arc::downgrade(&stream) as Weak<dyn ShutdownHandle>)?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Socket::new(stream, buffers, self.phase.clone()))))
    }
}

enum Dialled {
    Stream(TcpStream),
    NoName(io::Error),
    Failed(io::Error),
}

impl Dial {
    /// Neither the name look-up nor a connect can be interrupted, so they run on a thread of their own;
    /// when nobody waits for it any more it ends by the same deadline, or when the look-up does.
    fn dial(&self, uri: &Uri) -> Result<TcpStream, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(default));
        if self.phase.left().is_none() {
            return Err(Error::Timeout(Timeout::Global));
        }
        let until = self.phase.deadline();
        let (sender, receiver) = bounded(1);
        thread::Builder::new()
            .name("batchcall-connect".into())
            .spawn(move || {
                let _ = sender.send(connect(&address, until));
            })
            .map_err(Error::Io)?;
        select! {
            recv(receiver) -> dialled => match dialled {
                Ok(Dialled::Stream(stream)) => Ok(stream),
                Ok(Dialled::NoName(e)) => {
                    self.phase.no_name();
                    Err(Error::Io(e))
                }
                Ok(Dialled::Failed(e)) => {
                    if is_timeout(&e) {
                        self.phase.is_late();
                    }
                    Err(Error::Io(e))
                }
                Err(_) => Err(Error::ConnectionFailed),
            },
            recv(self.phase.interrupted()) -> _ => Err(Error::Io(ErrorKind::NotConnected.into())),
            recv(at(until)) -> _ => {
                self.phase.is_late();
                Err(Error::Timeout(Timeout::Connect))
            }
        }
    }
}

/// Tries the addresses of a host one after the other, each with its share of the time.
fn connect(address: &str, until: Instant) -> Dialled {
    let addresses: Vec<SocketAddr> = match address.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(e) => return Dialled::NoName(e),
    };
    let mut last = None;
    for (tried, address) in (0..).zip(&addresses) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            last = Some(ErrorKind::TimedOut.into());
            break;
        }
        let share = match u32::try_from(addresses.len() - tried).unwrap_or(1) {
            1 => left,
            // More to the first ones: they are the ones the system prefers.
            _ => (left / 2).max(LEAST).min(left),
        };
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => {
                // Without it the last part of a request waits for an acknowledgement.
                return match stream.set_nodelay(true) {
                    Ok(()) => Dialled::Stream(stream),
                    Err(e) => Dialled::Failed(e),
                };
            }
            Err(e) => last = Some(e),
        }
    }
    match last {
        Some(e) => Dialled::Failed(e),
        None => Dialled::NoName(io::Error::new(ErrorKind::NotFound, "the name has no address")),
    }
}

/// A TCP connection.
struct Socket {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
    phase: Arc<Phase>,
    reads: Patience,
    writes: Patience,
}

impl Socket {
    fn new(stream: Arc<TcpStream>, buffers: LazyBuffers, phase: Arc<Phase>) -> Self {
        Self { stream, buffers, phase, reads: Patience::default(), writes: Patience::default() }
    }
}

/// The time limit that the system has for a socket's reads or writes.
#[derive(Default)]
struct Patience {
    set: Duration,
    /// Whether it ran out during what is being done, so that the next one has to be exact.
    ran_out: bool,
}

impl Patience {
    /// The limit to set, when there is this much time left; `None`: the one that is set will do. The time
    /// left is nearly the same for one request after another, so it is set a little short and kept:
    /// when it runs out, the rest of the time follows.
    fn renew(&mut self, left: Duration) -> Option<Duration> {
        if !self.ran_out && self.set <= left && self.set >= left / 2 {
            return None;
        }
        // A socket takes no timeout of zero.
        self.set = if self.ran_out { left } else { left - left / 8 }.max(Duration::from_millis(1));
        self.ran_out = false;
        Some(self.set)
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let mut rest = &self.buffers.output()[..amount];
        while !rest.is_empty() {
            let Some(left) = self.phase.left() else { return Err(Error::Timeout(Timeout::Global)) };
            if let Some(limit) = self.writes.renew(left) {
                self.stream.set_write_timeout(Some(limit))?;
            }
            match (&*self.stream).write(rest) {
                Ok(0) => return Err(Error::Io(ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.phase.wrote(written);
                    rest = &rest[written..];
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if is_timeout(&e) => {
                    // Not every system tells how much it took before the time was over.
                    self.phase.wrote(1);
                    self.writes.ran_out = true;
                }
                // A server that refuses a request need not read all of it (413, 401), and what it said
                // before it hung up can still be read.
                Err(_) if self.phase.is_cut_off() => return Ok(()),
                Err(e) => return Err(Error::Io(e)),
            }
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        loop {
            let Some(left) = self.phase.left() else { return Err(Error::Timeout(Timeout::Global)) };
            if let Some(limit) = self.reads.renew(left) {
                self.stream.set_read_timeout(Some(limit))?;
            }
            match (&*self.stream).read(self.buffers.input_append_buf()) {
                Ok(read) => {
                    self.buffers.input_appended(read);
                    self.phase.got(read);
                    return Ok(read > 0);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if is_timeout(&e) => self.reads.ran_out = true,
                Err(e) => {
                    self.phase.broke();
                    return Err(Error::Io(e));
                }
            }
        }
    }

    /// Asked before a kept connection is used again. Anything to read is a reason not to: the end of
    /// the stream, a TLS goodbye, or an answer that nobody waits for.
    fn is_open(&mut self) -> bool {
        if self.phase.is_spent() || self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let nothing = matches!(
            (&*self.stream).read(&mut [0]),
            Err(e) if e.kind() == ErrorKind::WouldBlock
        );
        nothing && self.stream.set_nonblocking(false).is_ok()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("peer", &self.stream.peer_addr().ok()).finish()
    }
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (Socket, TcpStream, Arc<Phase>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = Arc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let phase = Arc::new(Phase::new());
        phase.begin(Instant::now() + Duration::from_secs(10));
        let buffers = LazyBuffers::new(1 << 10, 1 << 20);
        let (peer, _) = listener.accept().unwrap();
        (Socket::new(stream, buffers, phase.clone()), peer, phase)
    }

    fn no_limit() -> NextTimeout {
        NextTimeout::default()
    }

    #[test]
    fn a_write_on_a_connection_that_was_reset_before_sends_nothing() {
        let (mut socket, mut peer, phase) = pair();
        socket.buffers().output()[..5].copy_from_slice(b"hello");
        socket.transmit_output(5, no_limit()).unwrap();
        // To close with something unread is to reset.
        peer.read_exact(&mut [0]).unwrap();
        drop(peer);
        assert!(!matches!((&*socket.stream).read(&mut [0]), Ok(1..)));
        phase.begin(Instant::now() + Duration::from_secs(10));
        assert!(socket.transmit_output(5, no_limit()).is_err());
        assert_eq!(phase.trace().written, 0);
        assert!(!socket.is_open());
    }

    #[test]
    fn every_byte_the_system_takes_is_counted_even_when_the_rest_is_not_taken() {
        let (mut socket, peer, phase) = pair();
        phase.begin(Instant::now() + Duration::from_millis(50));
        let mut error = None;
        for _ in 0..100 {
            error = socket.transmit_output(1 << 20, no_limit()).err();
            if error.is_some() {
                break;
            }
        }
        assert!(matches!(error, Some(Error::Timeout(_))), "{error:?}");
        assert!(phase.trace().written > 0);
        drop(peer);
    }

    #[test]
    fn what_is_written_while_connecting_is_not_the_request() {
        let (mut socket, _peer, phase) = pair();
        phase.connect_begins(Duration::from_secs(10));
        phase.connect_begins(Duration::from_secs(10));
        socket.transmit_output(5, no_limit()).unwrap();
        phase.connect_ended(true);
        socket.transmit_output(5, no_limit()).unwrap();
        assert_eq!(phase.trace().written, 0);
        phase.connect_ended(true);
        socket.transmit_output(5, no_limit()).unwrap();
        assert_eq!(phase.trace().written, 5);
    }

    #[test]
    fn a_limit_is_kept_from_one_request_to_the_next_and_never_longer_than_the_time_left() {
        let (mut patience, s) = (Patience::default(), Duration::from_secs(1));
        let first = patience.renew(60 * s).unwrap();
        assert!(first <= 60 * s && first >= 30 * s);
        for left in [60 * s, 59 * s, first] {
            assert_eq!(patience.renew(left), None);
        }
        // It runs out before the request has to be over: the rest follows, to the end.
        patience.ran_out = true;
        assert_eq!(patience.renew(7 * s), Some(7 * s));
        assert!(patience.renew(60 * s).is_some_and(|limit| limit >= 30 * s));
        assert!(patience.renew(2 * s).is_some_and(|limit| limit <= 2 * s));
        assert!(patience.renew(Duration::from_nanos(1)).is_some_and(|limit| !limit.is_zero()));
    }

    #[test]
    fn a_connection_with_anything_to_read_is_not_used_again() {
        let (mut socket, mut peer, _phase) = pair();
        assert!(socket.is_open());
        peer.write_all(b"x").unwrap();
        assert_eq!(socket.stream.peek(&mut [0]).unwrap(), 1);
        assert!(!socket.is_open());

        let (mut socket, peer, _phase) = pair();
        drop(peer);
        assert_eq!(socket.stream.peek(&mut [0]).unwrap(), 0);
        assert!(!socket.is_open());
    }
}
