//! A way to a server that can be closed and opened again. Closed, it refuses connections, as a server does that is not there; the
//! proxy of the testkit takes them and breaks them, which clients of Kafka treat as a server of another version.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Passes on every connection to an address; closed when dropped.
#[derive(Debug)]
pub struct Forward {
    /// Where it listens.
    pub address: SocketAddr,
    target: String,
    way: Option<Way>,
}

#[derive(Debug)]
struct Way {
    closed: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    accepting: JoinHandle<()>,
}

impl Forward {
    /// Open a way to `host:port`.
    pub fn to(target: &str) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut forward = Self { address: any, target: target.to_owned(), way: None };
        forward.open();
        forward
    }

    /// Open it, on the same port as before.
    pub fn open(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap_or_else(|error| panic!("cannot listen: {error}"));
        self.address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let closed = Arc::new(AtomicBool::new(false));
        let streams = Arc::new(Mutex::new(Vec::new()));
        let accepting = thread::spawn({
            let (closed, streams, target) = (closed.clone(), streams.clone(), self.target.clone());
            move || {
                for stream in listener.incoming() {
                    if closed.load(Ordering::SeqCst) {
                        return;
                    }
                    // A connection that does not come about looks to the client like a server that went away.
                    drop(stream.and_then(|stream| connect(stream, &target, &streams)));
                }
            }
        });
        self.way = Some(Way { closed, streams, accepting });
    }

    /// Close it: the port refuses, and connections end.
    pub fn close(&mut self) {
        let Some(Way { closed, streams, accepting }) = self.way.take() else { return };
        closed.store(true, Ordering::SeqCst);
        // A connection wakes it up. Where none comes about it is not listening any more.
        drop(TcpStream::connect(self.address));
        // It does not panic, and if it did the listener would be gone all the same.
        let _ = accepting.join();
        for stream in streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It may have ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.close();
    }
}

fn connect(client: TcpStream, target: &str, streams: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server.try_clone()?, client.try_clone()?)] {
        thread::spawn(move || {
            // Either end may go away; then both do.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    streams.lock().unwrap_or_else(PoisonError::into_inner).extend([client, server]);
    Ok(())
}
