//! A stretch of network that a test can stall or cut: it carries TCP connections to one of several targets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Result, because};

/// What the network does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It carries them.
    Passes,
    /// It carries none, and says nothing: connections stand, new ones are taken and hear nothing.
    Stalls,
    /// Connections end, and new ones are closed at once.
    Cut,
}

/// A running relay; it has a thread of its own, so that a test that waits does not stop it. It ends with the process.
#[derive(Clone)]
pub struct Relay {
    at: SocketAddr,
    inside: Arc<Inside>,
}

struct Inside {
    targets: Mutex<Vec<SocketAddr>>,
    turn: AtomicUsize,
    flow: watch::Sender<Flow>,
}

impl Relay {
    /// Starts one before these targets. Each connection goes to the next of them in turn that takes it.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start(targets: Vec<SocketAddr>) -> Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(because("a port"))?;
        listener.set_nonblocking(true).map_err(because("a port"))?;
        let at = listener.local_addr().map_err(because("the port"))?;
        let (flow, _) = watch::channel(Flow::Passes);
        let inside = Arc::new(Inside { targets: Mutex::new(targets), turn: AtomicUsize::new(0), flow });
        let (shared, runtime) =
            (Arc::clone(&inside), tokio::runtime::Builder::new_current_thread().enable_all().build());
        let runtime = runtime.map_err(because("a runtime"))?;
        std::thread::spawn(move || runtime.block_on(carry(listener, shared)));
        Ok(Self { at, inside })
    }

    /// Where it listens.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// From now on the network does this.
    pub fn set(&self, flow: Flow) {
        self.inside.flow.send_replace(flow);
    }

    /// From now on new connections go to these.
    pub fn aim(&self, targets: Vec<SocketAddr>) {
        *self.inside.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets;
    }
}

async fn carry(listener: std::net::TcpListener, inside: Arc<Inside>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(connect(client, Arc::clone(&inside)));
    }
}

/// The next target in turn that takes the connection gets it; without one it is closed.
async fn connect(client: TcpStream, inside: Arc<Inside>) {
    let mut flow = inside.flow.subscribe();
    let Ok(now) = flow.wait_for(|flow| *flow != Flow::Stalls).await.map(|flow| *flow) else { return };
    if now == Flow::Cut {
        return;
    }
    let targets = inside.targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let first = inside.turn.fetch_add(1, Ordering::Relaxed);
    for nth in 0..targets.len() {
        let Ok(server) = TcpStream::connect(targets[(first + nth) % targets.len()]).await else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let there = pump(from_client, to_server, flow.clone());
        let back = pump(from_server, to_client, flow);
        tokio::join!(there, back);
        return;
    }
}

/// Carries bytes until one end closes or the network is cut. The end of what one side says is passed on as such.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flow: watch::Receiver<Flow>) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            cut = flow.wait_for(|flow| *flow == Flow::Cut) => { drop(cut); return }
            read = from.read(&mut piece) => read.unwrap_or(0),
        };
        let passes = flow.wait_for(|flow| *flow != Flow::Stalls).await.is_ok_and(|flow| *flow == Flow::Passes);
        if !passes || to.write_all(&piece[..read]).await.is_err() || read == 0 {
            return;
        }
    }
}
