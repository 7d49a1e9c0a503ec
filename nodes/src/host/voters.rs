//! The links of a voter to the two others.
//!
//! Each voter dials the two others and sends over what it dialled; what it accepted, it only reads. So nobody has to agree on who
//! dials whom, and each learns from its own dialling whether the other one's process is dead: then its host refuses at once.
//!
//! A link that ends is dialled again at once, later with a growing pause that stays below a second: what the protocol takes
//! for silence is longer than that. Messages for a link that is not there are dropped, as the protocol expects.

use crate::driver::random_seed;
use baton_machine::codec::MESSAGE_VERSIONS;
use baton_net::address::Address;
use baton_net::backoff::Backoff;
use baton_net::dial::{Connection, DialError, Dialler};
use baton_net::handshake::{Introduction, Role, Versions};
use baton_net::link::{self, Closed};
use baton_net::name::{ClusterId, NodeId};
use baton_protocol::frame;
use baton_protocol::pair::PairInput;
use baton_protocol::pair::message::Envelope;
use baton_protocol::random::Random;
use baton_protocol::register::Seat;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The kind of the frames that carry an [`Envelope`].
pub const ENVELOPE: u16 = 100;

/// The first pause after a dialling that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause between two diallings.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

// A voter that comes back is reached before anybody has to think that it is silent.
const _: () =
    assert!(LONGEST_PAUSE.as_millis() * 4 < baton_protocol::pair::timing::Timing::DEFAULT.silence.as_millis());

/// The same complaint about a peer is made again after so many times.
const COMPLAIN_AGAIN: u32 = 100;

/// Who a voter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its name.
    pub node: NodeId,
    /// Where it sits.
    pub seat: Seat,
}

/// Another voter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Where it sits.
    pub seat: Seat,
    /// Its name.
    pub node: NodeId,
    /// Where it listens for links.
    pub address: Address,
}

/// The links to the others. Clones are the same.
#[derive(Clone)]
pub struct Voters {
    shared: Arc<Shared>,
}

struct Shared {
    me: Me,
    run: u64,
    /// The epoch that is told to peers.
    epoch: AtomicU64,
    others: [Voter; 2],
    senders: [Mutex<Option<link::Sender>>; 2],
    /// Read what the others send. A newer link of the same voter replaces the one before.
    receiving: [Mutex<Option<JoinHandle<()>>>; 2],
}

impl Voters {
    /// Of `me`; dials nobody yet.
    #[must_use]
    pub fn new(me: Me, others: [Voter; 2], run: u64) -> Self {
        let (senders, receiving) = (Default::default(), Default::default());
        Self { shared: Arc::new(Shared { me, run, epoch: AtomicU64::new(0), others, senders, receiving }) }
    }

    /// A number for [`Self::new`] that no run before had.
    ///
    /// # Errors
    /// When the operating system gives no random number.
    pub fn run() -> std::io::Result<u64> {
        random_seed()
    }

    /// What is told to whom it meets.
    #[must_use]
    pub fn introduction(&self) -> Introduction {
        let Shared { me, run, epoch, .. } = &*self.shared;
        Introduction {
            cluster: me.cluster.clone(),
            node: me.node.clone(),
            role: if me.seat == Seat::Watch { Role::Watch } else { Role::Controller },
            versions: Versions { oldest: *MESSAGE_VERSIONS.start(), newest: *MESSAGE_VERSIONS.end() },
            epoch: epoch.load(Ordering::Relaxed),
            run: *run,
        }
    }

    /// The epoch to be told from now on.
    pub fn set_epoch(&self, epoch: u64) {
        self.shared.epoch.store(epoch, Ordering::Relaxed);
    }

    /// Dials the others from now on, until whoever takes `requests` has ended. `seed` spreads the pauses.
    pub fn dial<R: From<PairInput> + Send + 'static>(&self, dialler: &Dialler, requests: &mpsc::Sender<R>, seed: u64) {
        for (n, voter) in self.shared.others.iter().enumerate() {
            let random = Random::new(seed).child(voter.node.as_str());
            let backoff = Backoff::new(random, FIRST_PAUSE, LONGEST_PAUSE);
            let dialling = Dialling {
                voters: self.clone(),
                n,
                voter: voter.clone(),
                dialler: dialler.clone(),
                requests: requests.clone(),
                complaints: Complaints::default(),
            };
            let requests = requests.clone();
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    () = requests.closed() => {}
                    () = dialling.go_on(backoff) => {}
                }
            });
        }
    }

    /// Takes a connection that somebody dialled. Whoever is not one of the others is hung up.
    pub fn accepted<R: From<PairInput> + Send + 'static>(&self, connection: Connection, requests: &mpsc::Sender<R>) {
        let peer = &connection.agreement.peer;
        let found = self.shared.others.iter().position(|voter| voter.node == peer.node);
        let Some(n) = found else {
            tracing::warn!(
                peer = %peer.node, from = %connection.address,
                "a node that is no voter of this cluster was hung up: compare the names in both configurations"
            );
            return connection.open().0.hang_up("you are no voter of this cluster");
        };
        let Voter { seat, node, .. } = self.shared.others[n].clone();
        tracing::debug!(peer = %node, from = %connection.address, "connected");
        let (sender, mut receiver) = connection.open();
        let requests = requests.clone();
        let task = tokio::spawn(async move {
            loop {
                let frame = tokio::select! {
                    biased;
                    () = requests.closed() => return sender.hang_up("the node ends"),
                    frame = receiver.next() => frame,
                };
                let reason = match frame.map(|frame| understand(seat, &frame)) {
                    Ok(Ok(envelope)) => {
                        if requests.send(PairInput::Received(envelope).into()).await.is_err() {
                            return;
                        }
                        continue;
                    }
                    Ok(Err(complaint)) => {
                        tracing::warn!(peer = %node, "hung up, since {complaint}");
                        return sender.hang_up(complaint);
                    }
                    Err(reason) => reason,
                };
                tracing::debug!(peer = %node, "its connection has ended: {reason}");
                return;
            }
        });
        if let Some(before) = lock(&self.shared.receiving[n]).replace(task) {
            before.abort();
        }
    }

    /// Sends, if there is a link.
    pub fn send(&self, to: Seat, envelope: &Envelope) {
        let Some(n) = self.shared.others.iter().position(|voter| voter.seat == to) else { return };
        let sender = lock(&self.shared.senders[n]);
        let Some(sender) = &*sender else { return };
        let mut bytes = Vec::new();
        match frame::encode(*MESSAGE_VERSIONS.end(), ENVELOPE, &envelope.encode(), &mut bytes) {
            // Who receives from it learns that it has ended.
            Ok(()) => drop(sender.send(bytes.into())),
            Err(error) => tracing::error!(peer = %self.shared.others[n].node, "a message cannot be sent: {error}"),
        }
    }

    /// Ends all links: the others see it at once.
    pub fn close(&self) {
        for sender in &self.shared.senders {
            if let Some(sender) = lock(sender).take() {
                sender.hang_up("the node ends");
            }
        }
        for task in &self.shared.receiving {
            if let Some(task) = lock(task).take() {
                task.abort();
            }
        }
    }
}

/// Dials one of the others, again and again.
struct Dialling<R> {
    voters: Voters,
    n: usize,
    voter: Voter,
    dialler: Dialler,
    requests: mpsc::Sender<R>,
    complaints: Complaints,
}

impl<R: From<PairInput> + Send + 'static> Dialling<R> {
    async fn go_on(mut self, mut backoff: Backoff) {
        let Voter { seat, node, address } = self.voter.clone();
        loop {
            match self.dialler.dial(&address, &node, &self.voters.introduction()).await {
                Ok(connection) => {
                    backoff.succeeded();
                    self.complaints = Complaints::default();
                    let reason = self.hold(connection).await;
                    tracing::info!(peer = %node, "the link to it has ended: {reason}");
                    self.tell(PairInput::Down { seat, refused: false }).await;
                }
                Err(error) => {
                    self.complaints.about(&node, &error);
                    self.tell(PairInput::Down { seat, refused: error.is_refused() }).await;
                    tokio::time::sleep(backoff.failed()).await;
                }
            }
        }
    }

    /// Sends over the connection until it ends.
    async fn hold(&self, connection: Connection) -> Closed {
        let (sender, mut receiver) = connection.open();
        tracing::info!(peer = %self.voter.node, address = %self.voter.address, "linked");
        *lock(&self.voters.shared.senders[self.n]) = Some(sender);
        self.tell(PairInput::Up(self.voter.seat)).await;
        // Nothing is said in this direction.
        let reason = loop {
            if let Err(reason) = receiver.next().await {
                break reason;
            }
        };
        lock(&self.voters.shared.senders[self.n]).take();
        reason
    }

    async fn tell(&self, input: PairInput) {
        // A node that has ended does not care.
        let _ = self.requests.send(input.into()).await;
    }
}

/// Says once what is wrong with a peer, and again only after a while or when it is something else.
#[derive(Default)]
struct Complaints {
    last: Option<String>,
    again: u32,
}

impl Complaints {
    fn about(&mut self, node: &NodeId, error: &DialError) {
        let text = error.to_string();
        if self.last.as_ref() == Some(&text) && self.again < COMPLAIN_AGAIN {
            self.again += 1;
            return;
        }
        tracing::warn!(peer = %node, "cannot be reached: {text}");
        *self = Self { last: Some(text), again: 0 };
    }
}

/// The message in a frame of the voter in this seat.
fn understand(seat: Seat, frame: &frame::Frame) -> Result<Envelope, String> {
    if frame.kind != ENVELOPE {
        return Err(format!("it sent a frame of kind {}, and only {ENVELOPE} is understood here", frame.kind));
    }
    let envelope = Envelope::decode(&frame.payload)
        .ok_or_else(|| format!("it sent a message of {} bytes that is not understood", frame.payload.len()))?;
    if envelope.from == seat {
        Ok(envelope)
    } else {
        Err(format!("it says that it is {}, but here it is configured as {seat}", envelope.from))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
