//! Where the nodes of one process find each other.
//!
//! A dialled peer that does not listen is dead, and that is known at once.

use baton_machine::link::Peer;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

/// What is under way in each direction of a connection, in bytes.
const BUFFER: usize = 64 << 10;

/// Connections that wait for being accepted.
const WAITING: usize = 16;

type Listeners = BTreeMap<Peer, mpsc::Sender<DuplexStream>>;

/// The nodes of this process. Clones are the same.
#[derive(Clone, Default)]
pub struct Local {
    listeners: Arc<Mutex<Listeners>>,
}

impl Local {
    /// Accepts connections for `peer` from now on, until the receiver is dropped. Who listened before does not any more.
    #[must_use]
    pub fn listen(&self, peer: Peer) -> mpsc::Receiver<DuplexStream> {
        let (dialled, accept) = mpsc::channel(WAITING);
        self.listeners().insert(peer, dialled);
        accept
    }

    /// Connects with `peer`. None if it does not listen.
    pub async fn dial(&self, peer: &Peer) -> Option<DuplexStream> {
        let listener = self.listeners().get(peer).cloned()?;
        let (ours, theirs) = duplex(BUFFER);
        listener.send(theirs).await.ok()?;
        Some(ours)
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
