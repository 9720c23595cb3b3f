//! A TCP proxy that delays, holds and cuts what goes through it.
//!
//! What is held is sent on when the fault is lifted, as TCP would send it again; nothing is ever left out of a stream.
//! A client of Kafka goes on to the addresses that a broker names. [`Tcp::kafka`] puts its own address in their place, so
//! that nothing goes around it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to the bytes of all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Toxics {
    /// Nothing goes from the client to the server.
    pub hold_requests: bool,
    /// Nothing goes from the server to the client.
    pub hold_replies: bool,
    /// Connections are cut, and new ones closed at once.
    pub down: bool,
    /// Longest wait before a piece goes on, each way; how long is chosen anew for every piece.
    pub latency: Duration,
}

/// How connections are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both sides get a reset.
    Reset,
    /// The client's side alone; the server is left with a connection that nobody uses.
    HalfOpen,
}

/// The proxy; it ends when dropped.
#[derive(Debug)]
pub struct Tcp {
    /// Where it listens.
    pub address: SocketAddr,
    toxics: watch::Sender<Toxics>,
    cut: watch::Sender<(u64, Option<Cut>)>,
    /// Bytes of the server that were sent on.
    replied: Arc<AtomicU64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Tcp {
    /// A proxy to `server`, on any free port.
    pub async fn start(server: &str, seed: u64) -> io::Result<Self> {
        Self::start_as(server, seed, None).await
    }

    /// A proxy to a broker, which is the only one of its cluster.
    pub async fn kafka(broker: &str, seed: u64) -> io::Result<Self> {
        let (host, port) = broker.rsplit_once(':').ok_or_else(|| io::Error::other("a broker is HOST:PORT"))?;
        let port: u16 = port.parse().map_err(io::Error::other)?;
        Self::start_as(broker, seed, Some(named(host, port))).await
    }

    async fn start_as(server: &str, seed: u64, name: Option<Vec<u8>>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let rename = name.map(|name| (name, named("127.0.0.1", address.port())));
        let (toxics, seen) = watch::channel(Toxics::default());
        let (cut, cuts) = watch::channel((0, None));
        let server = server.to_owned();
        let rng = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
        let replied = Arc::new(AtomicU64::new(0));
        let line = Line { toxics: seen, cut: cuts, rng, rename, replied: replied.clone() };
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(line.clone().run(client, server.clone()));
            }
        });
        Ok(Self { address, toxics, cut, replied, accepting })
    }

    /// How many bytes of the server were sent on to clients so far.
    pub fn replied(&self) -> u64 {
        self.replied.load(Ordering::Relaxed)
    }

    /// From now on.
    pub fn set(&self, toxics: Toxics) {
        self.toxics.send_replace(toxics);
    }

    /// Cut every connection that there is.
    pub fn cut(&self, how: Cut) {
        self.cut.send_modify(|(count, last)| {
            *count += 1;
            *last = Some(how);
        });
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// As Kafka's protocol has it: the last byte of the length of the name, the name, four bytes of port. The length is that
/// of the name, or one more in newer versions; both are one byte before it.
fn named(host: &str, port: u16) -> Vec<u8> {
    [host.as_bytes(), &u32::from(port).to_be_bytes()].concat()
}

/// How long the server's side of a connection is kept that has no client any more.
const HALF_OPEN: Duration = Duration::from_secs(3_600);

/// One half of a connection, which stays open as long as anyone has it.
type Shared<T> = Arc<tokio::sync::Mutex<T>>;

fn halves(stream: TcpStream) -> (Shared<OwnedReadHalf>, Shared<OwnedWriteHalf>) {
    let (from, to) = stream.into_split();
    (Arc::new(tokio::sync::Mutex::new(from)), Arc::new(tokio::sync::Mutex::new(to)))
}

/// One connection.
#[derive(Clone)]
struct Line {
    toxics: watch::Receiver<Toxics>,
    cut: watch::Receiver<(u64, Option<Cut>)>,
    rng: Arc<Mutex<fastrand::Rng>>,
    /// What stands in the answers, and what is put in its place.
    rename: Option<(Vec<u8>, Vec<u8>)>,
    replied: Arc<AtomicU64>,
}

/// One direction of a connection.
struct Way {
    is_request: bool,
    rename: Option<(Vec<u8>, Vec<u8>)>,
    /// Bytes that were sent on.
    passed: Arc<AtomicU64>,
}

impl Line {
    async fn run(mut self, client: TcpStream, server: String) {
        if self.toxics.borrow().down {
            return reset(&client);
        }
        let Ok(upstream) = TcpStream::connect(&server).await else { return };
        // Small pieces must not wait for an acknowledgement; where that cannot be set they do.
        let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
        let before = self.cut.borrow_and_update().0;
        let ((from_client, to_client), (from_server, to_server)) = (halves(client), halves(upstream));
        let (mut cut, mut toxics) = (self.cut.clone(), self.toxics.clone());
        let mut pumps = tokio::task::JoinSet::new();
        let (requests, replies) = ((from_client, to_server.clone()), (from_server.clone(), to_client.clone()));
        let way = Way { is_request: true, rename: None, passed: Arc::default() };
        pumps.spawn(Self::pump(self.toxics.clone(), self.rng.clone(), requests, way));
        let way = Way { is_request: false, rename: self.rename, passed: self.replied };
        pumps.spawn(Self::pump(self.toxics.clone(), self.rng, replies, way));
        let how = tokio::select! {
            // Either side has closed: so does the other one.
            _ = pumps.join_next() => None,
            cut = cut.wait_for(|(count, _)| *count > before) => cut.ok().and_then(|cut| cut.1),
            _ = toxics.wait_for(|toxics| toxics.down) => Some(Cut::Reset),
        };
        pumps.shutdown().await;
        if how.is_some() {
            reset(to_client.lock().await.as_ref());
        }
        drop(to_client);
        match how {
            Some(Cut::HalfOpen) => tokio::time::sleep(HALF_OPEN).await,
            Some(Cut::Reset) => reset(to_server.lock().await.as_ref()),
            None => {}
        }
        drop((from_server, to_server));
    }

    async fn pump(
        mut toxics: watch::Receiver<Toxics>,
        rng: Arc<Mutex<fastrand::Rng>>,
        (from, to): (Shared<OwnedReadHalf>, Shared<OwnedWriteHalf>),
        Way { is_request, rename, passed }: Way,
    ) {
        let (mut from, mut to) = (from.lock().await, to.lock().await);
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = match &rename {
                // Whole frames, so that no name is split between two pieces.
                Some(_) => frame(&mut from, &mut piece).await,
                None => from.read(&mut piece).await,
            };
            let Ok(length @ 1..) = read else { return };
            if let Some((is, becomes)) = &rename {
                replace(&mut piece[..length], is, becomes);
            }
            let holds = |toxics: &Toxics| if is_request { toxics.hold_requests } else { toxics.hold_replies };
            if toxics.wait_for(|toxics| !holds(toxics)).await.is_err() {
                return;
            }
            let latency = toxics.borrow().latency;
            if !latency.is_zero() {
                let share = rng.lock().unwrap_or_else(PoisonError::into_inner).f64();
                tokio::time::sleep(latency.mul_f64(share)).await;
            }
            if to.write_all(&piece[..length]).await.is_err() {
                return;
            }
            passed.fetch_add(length as u64, Ordering::Relaxed);
        }
    }
}

/// Largest frame that is believed.
const LARGEST_FRAME: usize = 128 << 20;

/// Read a length of four bytes and what it counts; how many bytes that is together.
async fn frame(from: &mut OwnedReadHalf, piece: &mut Vec<u8>) -> io::Result<usize> {
    let length = from.read_u32().await?;
    let whole = length as usize + 4;
    if whole > LARGEST_FRAME {
        return Err(io::Error::other("this is no frame of Kafka"));
    }
    if piece.len() < whole {
        piece.resize(whole, 0);
    }
    piece[..4].copy_from_slice(&length.to_be_bytes());
    from.read_exact(&mut piece[4..whole]).await?;
    Ok(whole)
}

/// Both have the same length.
fn replace(piece: &mut [u8], is: &[u8], becomes: &[u8]) {
    let mut at = 0;
    while at + is.len() <= piece.len() {
        if piece[at..].starts_with(is) {
            piece[at..at + is.len()].copy_from_slice(becomes);
            at += is.len();
        } else {
            at += 1;
        }
    }
}

fn reset(stream: &TcpStream) {
    // Without it the connection ends in good order instead.
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn said(stream: &mut TcpStream, text: &str) -> Option<String> {
        stream.write_all(text.as_bytes()).await.ok()?;
        let mut back = vec![0; text.len()];
        let read = tokio::time::timeout(Duration::from_millis(300), stream.read_exact(&mut back)).await;
        read.ok()?.ok()?;
        String::from_utf8(back).ok()
    }

    #[tokio::test]
    async fn what_is_held_comes_when_the_fault_is_lifted() {
        for toxics in
            [Toxics { hold_requests: true, ..Toxics::default() }, Toxics { hold_replies: true, ..Toxics::default() }]
        {
            let proxy = Tcp::start(&echo().await, 1).await.unwrap();
            let mut stream = TcpStream::connect(proxy.address).await.unwrap();
            assert_eq!(said(&mut stream, "one").await.as_deref(), Some("one"));
            proxy.set(toxics);
            assert_eq!(said(&mut stream, "two").await, None);
            proxy.set(Toxics::default());
            let mut back = [0; 3];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"two");
        }
    }

    #[tokio::test]
    async fn connections_are_cut_and_refused() {
        let proxy = Tcp::start(&echo().await, 1).await.unwrap();
        for how in [Cut::Reset, Cut::HalfOpen] {
            let mut stream = TcpStream::connect(proxy.address).await.unwrap();
            assert_eq!(said(&mut stream, "one").await.as_deref(), Some("one"));
            proxy.cut(how);
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(said(&mut stream, "two").await, None);
        }
        proxy.set(Toxics { down: true, ..Toxics::default() });
        let mut refused = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(said(&mut refused, "one").await, None);
        proxy.set(Toxics::default());
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(said(&mut stream, "one").await.as_deref(), Some("one"));
    }

    #[test]
    fn a_broker_is_named_by_the_address_of_the_proxy() {
        let mut answer = [&[0, 0, 0, 1, 0, 9], &named("127.0.0.1", 19_092)[..], &[255]].concat();
        replace(&mut answer, &named("127.0.0.1", 19_092), &named("127.0.0.1", 40_001));
        assert_eq!(answer, [&[0, 0, 0, 1, 0, 9], &named("127.0.0.1", 40_001)[..], &[255]].concat());
    }
}
