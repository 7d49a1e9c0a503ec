//! The links of a node: names them, dials, passes on what arrives.

use super::local::Local;
use baton_machine::codec::MESSAGE_VERSIONS;
use baton_machine::link::{Ending, LinkHint, LinkId, LinkInput, Peer};
use baton_net::link::{self, Closed};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// The links of one node. Clones are the same.
pub struct Links<R> {
    shared: Arc<Shared<R>>,
}

struct Shared<R> {
    local: Local,
    requests: mpsc::Sender<R>,
    last: AtomicU64,
    senders: Mutex<BTreeMap<LinkId, link::Sender>>,
}

impl<R> Clone for Links<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<R: From<LinkInput> + Send + 'static> Links<R> {
    /// Of a node that takes `requests`.
    #[must_use]
    pub fn new(local: Local, requests: mpsc::Sender<R>) -> Self {
        let senders = Mutex::new(BTreeMap::new());
        Self { shared: Arc::new(Shared { local, requests, last: AtomicU64::new(0), senders }) }
    }

    /// Does what the machine wants.
    pub fn hint(&self, hint: LinkHint) {
        match hint {
            LinkHint::Dial { peer, address: _ } => self.dial(peer),
            LinkHint::HangUp { link, reason } => {
                if let Some(sender) = self.senders().remove(&link) {
                    sender.hang_up(reason);
                }
            }
            LinkHint::Send { link, frame } => self.send(link, frame),
        }
    }

    /// Sends. What is for a link that is gone is dropped; that it ended is told by who receives from it.
    pub fn send(&self, link: LinkId, frame: Arc<[u8]>) {
        if let Some(sender) = self.senders().get(&link) {
            let _ = sender.send(frame);
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
                        Some(stream) => links.connected(stream, None),
                        None => return,
                    },
                }
            }
        });
    }

    /// Ends all links: the peers see it at once.
    pub fn close(&self) {
        for sender in std::mem::take(&mut *self.senders()).into_values() {
            sender.hang_up("the node ends");
        }
    }

    fn dial(&self, peer: Peer) {
        let links = self.clone();
        tokio::spawn(async move {
            match links.shared.local.dial(&peer).await {
                Some(stream) => links.connected(stream, Some(peer)),
                None => links.tell(LinkInput::Failed { peer, ending: Ending::Refused }).await,
            }
        });
    }

    fn connected<S: AsyncRead + AsyncWrite + Send + 'static>(&self, stream: S, dialled: Option<Peer>) {
        let link = LinkId(self.shared.last.fetch_add(1, Ordering::Relaxed) + 1);
        let (sender, mut receiver) = link::open(stream, MESSAGE_VERSIONS);
        self.senders().insert(link, sender);
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
            if links.senders().remove(&link).is_some() && !matches!(reason, Closed::HungUp(_)) {
                links.tell(LinkInput::Down { link, ending: Ending::Lost }).await;
            }
        });
    }

    async fn tell(&self, input: LinkInput) {
        // A node that has ended does not care.
        let _ = self.shared.requests.send(input.into()).await;
    }

    fn senders(&self) -> std::sync::MutexGuard<'_, BTreeMap<LinkId, link::Sender>> {
        self.shared.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
