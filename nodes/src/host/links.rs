//! The links of a node: names them, dials, passes on what arrives.
//!
//! Nodes of this process are reached over pipes ([`Local`]), all others over the network ([`Remote`]).

use super::local::Local;
use baton_machine::codec::MESSAGE_VERSIONS;
use baton_machine::link::{Ending, LinkHint, LinkId, LinkInput, Peer};
use baton_net::address::Address;
use baton_net::dial::{Connection, Dialler};
use baton_net::handshake::Introduction;
use baton_net::link::{self, Closed, Receiver, Sender};
use baton_net::name::NodeId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// So many links a node may have to this one that it dialled. It needs one; when one more comes, its oldest ends.
const LINKS_OF_PEER: usize = 4;

/// So long after a connection was cut off it is tried again, first.
const DYING: Duration = Duration::from_millis(10);

/// The longest of the pauses after that, each of which is twice as long as the one before.
const DYING_AT_LONGEST: Duration = Duration::from_millis(160);

/// The links of one node. Clones are the same.
pub struct Links<R> {
    shared: Arc<Shared<R>>,
}

/// The way to nodes of other processes.
#[derive(Clone)]
pub struct Remote {
    /// Dials them.
    pub dialler: Dialler,
    /// What is told to whom it meets.
    pub me: Arc<dyn Fn() -> Introduction + Send + Sync>,
}

struct Shared<R> {
    local: Local,
    remote: Option<Remote>,
    /// Why whoever could not be reached when it was dialled last, could not: what is said once.
    complaints: Mutex<BTreeMap<Peer, String>>,
    requests: mpsc::Sender<R>,
    last: AtomicU64,
    open: Mutex<BTreeMap<LinkId, Open>>,
}

/// A link.
struct Open {
    sender: Sender,
    /// With whom; none within this process.
    peer: Option<NodeId>,
    is_accepted: bool,
}

impl<R> Clone for Links<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<R: From<LinkInput> + Send + 'static> Links<R> {
    /// Of a node that takes `requests`. Without a way to other processes only nodes of this one are reached.
    #[must_use]
    pub fn new(local: Local, remote: Option<Remote>, requests: mpsc::Sender<R>) -> Self {
        let (open, complaints) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { local, remote, complaints, requests, last: AtomicU64::new(0), open }) }
    }

    /// Does what the machine wants.
    pub fn hint(&self, hint: LinkHint) {
        match hint {
            LinkHint::Dial { peer, address } => self.dial(peer, address),
            LinkHint::HangUp { link, reason } => {
                if let Some(open) = self.open().remove(&link) {
                    open.sender.hang_up(reason);
                }
            }
            LinkHint::Send { link, frame } => self.send(link, frame),
        }
    }

    /// Sends. What is for a link that is gone is dropped; that it ended is told by who receives from it.
    pub fn send(&self, link: LinkId, frame: Arc<[u8]>) {
        if let Some(open) = self.open().get(&link) {
            let _ = open.sender.send(frame);
        }
    }

    /// Accepts what is dialled for `peer`, until the node ends.
    pub fn listen(&self, peer: Peer) {
        let mut accept = self.shared.local.listen(peer);
        let links = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = links.shared.requests.closed() => return,
                    stream = accept.recv() => match stream {
                        Some(stream) => links.connected(link::open(stream, MESSAGE_VERSIONS), None, None),
                        None => return,
                    },
                }
            }
        });
    }

    /// Ends all links: the peers see it at once.
    pub fn close(&self) {
        for open in std::mem::take(&mut *self.open()).into_values() {
            open.sender.hang_up("the node ends");
        }
    }

    /// Takes a connection that another node has dialled.
    pub fn accepted(&self, connection: Connection) {
        let peer = connection.agreement.peer.node.clone();
        let epoch = connection.agreement.peer.epoch;
        tracing::info!(%peer, epoch, from = %connection.address, "connected");
        if let Some((link, sender)) = self.surplus(&peer) {
            tracing::warn!(%peer, "has more than {LINKS_OF_PEER} links to this node, so the oldest ends");
            sender.hang_up("you have dialled this node more often than you need");
            let links = self.clone();
            tokio::spawn(async move { links.tell(LinkInput::Down { link, ending: Ending::Lost }).await });
        }
        self.connected(connection.open(), Some(peer), None);
    }

    /// With whom a link is; none if it is gone, or within this process.
    #[must_use]
    pub fn peer(&self, link: LinkId) -> Option<NodeId> {
        self.open().get(&link)?.peer.clone()
    }

    /// Takes the oldest link away that somebody has dialled too often.
    fn surplus(&self, peer: &NodeId) -> Option<(LinkId, Sender)> {
        let mut open = self.open();
        let theirs = open.iter().filter(|(_, open)| open.is_accepted && open.peer.as_ref() == Some(peer));
        let links: Vec<LinkId> = theirs.map(|(link, _)| *link).collect();
        let oldest = *links.first().filter(|_| links.len() >= LINKS_OF_PEER)?;
        open.remove(&oldest).map(|open| (oldest, open.sender))
    }

    fn dial(&self, peer: Peer, address: String) {
        let links = self.clone();
        tokio::spawn(async move {
            if let Some(stream) = links.shared.local.dial(&peer).await {
                return links.connected(link::open(stream, MESSAGE_VERSIONS), None, Some(peer));
            }
            match links.reach(&address).await {
                Ok(connection) => {
                    links.complaints().remove(&peer);
                    let node = connection.agreement.peer.node.clone();
                    tracing::info!(peer = %node, %address, "linked");
                    links.connected(connection.open(), Some(node), Some(peer));
                }
                Err((ending, reason)) => {
                    links.complain(&peer, reason);
                    links.tell(LinkInput::Failed { peer, ending }).await;
                }
            }
        });
    }

    /// Connects with a node of another process.
    async fn reach(&self, address: &str) -> Result<Connection, (Ending, String)> {
        let Some(remote) = &self.shared.remote else {
            return Err((Ending::Refused, "there is no such node in this process".to_owned()));
        };
        let (node, at) = target(address).map_err(|reason| (Ending::Lost, reason))?;
        let mut pause = DYING;
        loop {
            match remote.dialler.dial(&at, &node, &(remote.me)()).await {
                Ok(connection) => return Ok(connection),
                // The process of the peer is being ended, perhaps. Then it is refused soon, and that is worth knowing.
                Err(error) if error.is_cut_off() && pause <= DYING_AT_LONGEST => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => {
                    let ending = if error.is_refused() { Ending::Refused } else { Ending::Lost };
                    return Err((ending, error.to_string()));
                }
            }
        }
    }

    /// Tells why somebody cannot be reached, once.
    fn complain(&self, peer: &Peer, reason: String) {
        let mut complaints = self.complaints();
        if complaints.get(peer) != Some(&reason) && self.shared.remote.is_some() {
            let peer = match &peer {
                Peer::Agent(path) => format!("agent {path}"),
                Peer::Director { agent, subagent } => format!("director {subagent} of agent {agent}"),
                Peer::Subagent(id) => format!("subagent {id}"),
            };
            tracing::warn!("{peer} cannot be reached: {reason}");
        }
        complaints.insert(peer.clone(), reason);
    }

    fn connected<S>(&self, (sender, mut receiver): (Sender, Receiver<S>), peer: Option<NodeId>, dialled: Option<Peer>)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let link = LinkId(self.shared.last.fetch_add(1, Ordering::Relaxed) + 1);
        self.open().insert(link, Open { sender, peer, is_accepted: dialled.is_none() });
        let links = self.clone();
        tokio::spawn(async move {
            links.tell(LinkInput::Up { link, dialled }).await;
            let reason = loop {
                match receiver.next().await {
                    Ok(frame) => links.tell(LinkInput::Received { link, frame }).await,
                    Err(reason) => break reason,
                }
            };
            // What was hung up here, the machine knows.
            if links.open().remove(&link).is_some() && !matches!(reason, Closed::HungUp(_)) {
                links.tell(LinkInput::Down { link, ending: Ending::Lost }).await;
            }
        });
    }

    async fn tell(&self, input: LinkInput) {
        // A node that has ended does not care.
        let _ = self.shared.requests.send(input.into()).await;
    }

    fn complaints(&self) -> std::sync::MutexGuard<'_, BTreeMap<Peer, String>> {
        self.shared.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<LinkId, Open>> {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The node and its address in a URI as `https://NODE@HOST:PORT`. Without a node's name the host's is taken: then the node is
/// called like its host. The scheme may be missing; links are never HTTP.
fn target(uri: &str) -> Result<(NodeId, Address), String> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (node, address) = rest.split_once('@').map_or((None, rest), |(node, address)| (Some(node), address));
    let explain = |reason: String| format!("{uri:?} leads to no node: {reason}; expected is https://NODE@HOST:PORT");
    let address: Address = address.parse().map_err(|error| explain(format!("{error}")))?;
    let node = NodeId::new(node.unwrap_or(address.host())).map_err(|error| explain(error.to_string()))?;
    Ok((node, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_uris() {
        let found = |uri: &str| target(uri).map(|(node, address)| (node.to_string(), address.to_string()));
        let expected = |node: &str, address: &str| Ok((node.to_owned(), address.to_owned()));
        assert_eq!(found("https://agent-1@host.example:4445/"), expected("agent-1", "host.example:4445"));
        assert_eq!(found("agent-1@127.0.0.1:4445"), expected("agent-1", "127.0.0.1:4445"));
        assert_eq!(found("http://host.example:4445"), expected("host.example", "host.example:4445"));
        for wrong in ["", "https://", "host.example", "a b@host:1", "https://agent@host:port"] {
            assert!(found(wrong).is_err(), "{wrong}");
        }
    }
}
