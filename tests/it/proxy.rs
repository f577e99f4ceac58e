//! A TCP proxy in front of the server: it cuts clients off in the middle, and
//! makes them slow.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// A running proxy on a port of its own. Its connections end when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    target: Mutex<SocketAddr>,
    closed: AtomicBool,
    // Short sections without I/O that waits: reading and writing go on outside.
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// Both sides of every connection that was made since the last cut.
    open: Vec<TcpStream>,
    /// How many bytes still go to clients before everything is cut.
    budget: Option<usize>,
    bytes_per_second: Option<usize>,
    cuts: usize,
}

impl Proxy {
    /// Starts a proxy in front of this address.
    pub(crate) fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            target: Mutex::new(target),
            closed: AtomicBool::new(false),
            line: Mutex::default(),
        });
        let accepting = Arc::clone(&state);
        thread::spawn(move || accepting.accept(&listener));
        Self { address, state }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to another address, such as that of a server that
    /// was started again.
    pub(crate) fn retarget(&self, target: SocketAddr) {
        *self.state.target.lock().unwrap() = target;
    }

    /// Cuts every connection that is open. New ones are taken at once.
    pub(crate) fn cut(&self) {
        self.state.line.lock().unwrap().cut();
    }

    /// Cuts every connection when this many more bytes have gone to clients,
    /// counted over all of them. This happens once.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.state.line.lock().unwrap().budget = Some(bytes);
    }

    /// How often everything was cut so far.
    pub(crate) fn cuts(&self) -> usize {
        self.state.line.lock().unwrap().cuts
    }

    /// Lets at most this many bytes a second go to each client from now on.
    ///
    /// The kernel's buffers on the way to the proxy take some megabytes more.
    pub(crate) fn throttle(&self, bytes_per_second: usize) {
        self.state.line.lock().unwrap().bytes_per_second = Some(bytes_per_second);
    }

    /// Ends the throttling.
    pub(crate) fn unthrottle(&self) {
        self.state.line.lock().unwrap().bytes_per_second = None;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Release);
        // Wakes the thread that accepts; when that fails it is gone already.
        drop(TcpStream::connect(self.address));
        self.state.line.lock().unwrap().cut();
    }
}

impl State {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.closed.load(Ordering::Acquire) {
                return;
            }
            let client = client.unwrap();
            // Without a server the client sees its connection end, as it would
            // see it refused without the proxy.
            let target = *self.target.lock().unwrap();
            let Ok(server) = TcpStream::connect(target) else { continue };
            for side in [&client, &server] {
                // HTTP/2 waits for small frames in both directions.
                side.set_nodelay(true).unwrap();
            }
            let clone = |stream: &TcpStream| stream.try_clone().unwrap();
            self.line.lock().unwrap().open.extend([clone(&client), clone(&server)]);
            let (state, from, to) = (Arc::clone(self), clone(&server), clone(&client));
            thread::spawn(move || state.copy_to_client(from, to));
            thread::spawn(move || copy_to_server(client, server));
        }
    }

    fn copy_to_client(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let bytes_per_second = self.line.lock().unwrap().bytes_per_second;
            // A tenth of a second's share at a time, so that a slow line is slow and not bursty.
            let share = bytes_per_second.map_or(buffer.len(), |rate| (rate / 10).max(1));
            let share = share.min(buffer.len());
            let Ok(read @ 1..) = from.read(&mut buffer[..share]) else { break };
            let allowed = self.line.lock().unwrap().spend(read);
            if to.write_all(&buffer[..allowed]).is_err() {
                break;
            }
            if allowed < read {
                self.line.lock().unwrap().cut();
                break;
            }
            if let Some(rate) = bytes_per_second {
                // This is the slowness itself; nothing waits for it to pass.
                thread::sleep(
                    Duration::from_secs(1) * u32::try_from(read).unwrap()
                        / u32::try_from(rate).unwrap(),
                );
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}

impl Line {
    /// How many of these bytes may still go.
    fn spend(&mut self, bytes: usize) -> usize {
        let Some(budget) = &mut self.budget else { return bytes };
        let allowed = bytes.min(*budget);
        *budget -= allowed;
        allowed
    }

    fn cut(&mut self) {
        for stream in self.open.drain(..) {
            // One that the peer closed before is shut down already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.budget = None;
        self.cuts += 1;
    }
}

fn copy_to_server(mut from: TcpStream, mut to: TcpStream) {
    // Either side ending is the end of the connection, however it comes.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// A server that sends every connection the same bytes.
fn sender(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let _ = client.unwrap().write_all(bytes);
        }
    });
    address
}

fn received(address: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::new();
    TcpStream::connect(address).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn bytes_pass_until_the_budget_is_spent_and_again_after_the_cut() {
    let proxy = Proxy::start(sender(b"0123456789"));
    assert_eq!(received(proxy.address()), b"0123456789");
    proxy.cut_after(14);
    assert_eq!(received(proxy.address()), b"0123456789");
    assert_eq!(proxy.cuts(), 0);
    assert_eq!(received(proxy.address()), b"0123");
    assert_eq!(proxy.cuts(), 1);
    proxy.throttle(1_000);
    assert_eq!(received(proxy.address()), b"0123456789");
}

#[test]
fn a_cut_ends_what_is_open() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap());
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"ping").unwrap();
    let mut ping = [0; 4];
    server.read_exact(&mut ping).unwrap();
    proxy.cut();
    assert_eq!(client.read(&mut ping).unwrap(), 0);
    assert_eq!(server.read(&mut ping).unwrap(), 0);
}
