//! A link between two processes that can be cut and broken: a TCP proxy on the way from the one that dials to the one that listens.
//!
//! TLS passes through it unchanged. A cut link is silent, and what was sent goes on when it is opened again, as with a cable that was
//! pulled. Where nobody listens, the proxy does not listen either: so who dials is refused, as it would be without the proxy.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The pause until a port is tried again.
const AGAIN: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug)]
struct Condition {
    /// Whether the process behind it runs.
    is_listening: bool,
    is_cut: bool,
    /// How often it was broken.
    breaks: u64,
}

/// A proxy. It ends when it is dropped.
pub(crate) struct Proxy {
    condition: watch::Sender<Condition>,
}

impl Proxy {
    /// From a port to another one of this machine.
    pub(crate) fn start(from: u16, to: u16) -> Self {
        let (condition, conditions) = watch::channel(Condition { is_listening: false, is_cut: false, breaks: 0 });
        tokio::spawn(serve(from, to, conditions));
        Self { condition }
    }

    /// Says whether a process listens where this leads to.
    pub(crate) fn set_listening(&self, is_listening: bool) {
        self.condition.send_modify(|condition| condition.is_listening = is_listening);
    }

    /// Cuts it: nothing passes, and nobody is told. Or opens it again.
    pub(crate) fn set_cut(&self, is_cut: bool) {
        self.condition.send_modify(|condition| condition.is_cut = is_cut);
    }

    /// Ends all its connections. New ones can be made.
    pub(crate) fn break_off(&self) {
        self.condition.send_modify(|condition| condition.breaks += 1);
    }
}

/// Listens whenever somebody would be listening without the proxy.
async fn serve(from: u16, to: u16, mut conditions: watch::Receiver<Condition>) {
    // Who dials through a cable that was pulled is not refused.
    let seems_open = |condition: &Condition| condition.is_listening || condition.is_cut;
    while conditions.wait_for(seems_open).await.is_ok() {
        let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, from)).await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let mut closing = conditions.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        tokio::spawn(carry(stream, to, conditions.clone()));
                    }
                }
                _ = closing.wait_for(|condition| !seems_open(condition)) => break,
            }
        }
    }
}

/// Carries what is sent, both ways, until one side ends or the link is broken.
async fn carry(near: TcpStream, to: u16, conditions: watch::Receiver<Condition>) {
    let breaks = conditions.borrow().breaks;
    let mut breaking = conditions.clone();
    let carrying = async {
        pass(&mut conditions.clone()).await?;
        let far = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        tokio::select! {
            ended = pump(near_in, far_out, conditions.clone()) => ended,
            ended = pump(far_in, near_out, conditions.clone()) => ended,
        }
    };
    // However it ends: who is at the other end sees that it has.
    tokio::select! {
        _ = carrying => {}
        _ = breaking.wait_for(|condition| condition.breaks != breaks) => {}
    }
}

/// Waits while the link is cut.
async fn pass(conditions: &mut watch::Receiver<Condition>) -> io::Result<()> {
    match conditions.wait_for(|condition| !condition.is_cut).await {
        Ok(_) => Ok(()),
        Err(_) => Err(io::ErrorKind::NotConnected.into()),
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut conditions: watch::Receiver<Condition>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut buffer).await?;
        pass(&mut conditions).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
    }
}
