//! The links of a voter to the others: two, or one where the watch has links of its own.
//!
//! Each voter dials the others and sends over what it dialled; what it accepted, it only reads. So nobody has to agree on who
//! dials whom, and each learns from its own dialling whether the other one's process is dead: then its host refuses at once.
//!
//! A link that ends is dialled again at once, later with a growing pause that stays below a second: what the protocol takes
//! for silence is longer than that. Messages for a link that is not there are dropped, as the protocol expects.
//!
//! Who reads a link echoes now and then, so that who sends notices when nothing arrives any more: a connection can be dead for
//! a long time before the system says so. Then it is dialled anew.

use baton_machine::codec::MESSAGE_VERSIONS;
use baton_net::address::Address;
use baton_net::backoff::Backoff;
use baton_net::dial::{Connection, Dialler};
use baton_net::handshake::{Introduction, Role, Versions};
use baton_net::link::{self, Closed};
use baton_net::name::{ClusterId, NodeId};
use baton_protocol::frame;
use baton_protocol::pair::PairInput;
use baton_protocol::pair::message::Envelope;
use baton_protocol::random::Random;
use baton_protocol::register::Seat;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// The kind of the frames that carry an [`Envelope`].
pub const ENVELOPE: u16 = 100;

/// The kind of the frames, without content, that say that something has arrived.
pub const ECHO: u16 = 101;

/// At most so often it is echoed.
const ECHO_PAUSE: Duration = Duration::from_millis(500);

/// A link over which something was sent that is not echoed within this time is given up.
const NO_ECHO: Duration = Duration::from_secs(3);

/// So often it is looked at that.
const LOOK: Duration = Duration::from_millis(500);

// Each sends once in a heartbeat, at least, and so gets an echo.
const _: () = assert!(
    NO_ECHO.as_millis()
        >= 2 * (baton_protocol::pair::timing::Timing::DEFAULT.heartbeat.as_millis() + ECHO_PAUSE.as_millis())
);

/// The first pause after a dialling that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause between two diallings.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

// A voter that comes back is reached before anybody has to think that it is silent.
const _: () =
    assert!(LONGEST_PAUSE.as_millis() * 4 < baton_protocol::pair::timing::Timing::DEFAULT.silence.as_millis());

/// So many links of one voter are read; the oldest is dropped for another one. One is enough, but one that is dead may not be
/// known to be, and a copy of a node must not displace the node.
const MOST_LINKS: usize = 4;

/// A link that ended sooner is not dialled again at once.
const SHORT: Duration = Duration::from_secs(1);

/// The same complaint about a peer is made again after so many times.
const COMPLAIN_AGAIN: u32 = 100;

/// So many complaints about a peer are known again: a peer which dies, or comes back, may give different ones in turns.
const COMPLAINTS: usize = 4;

/// Who a voter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its name.
    pub node: NodeId,
    /// Where it sits.
    pub seat: Seat,
    /// What it is.
    pub role: Role,
    /// The messages that it understands.
    pub versions: Versions,
}

/// The messages that this program understands.
pub const VERSIONS: Versions = Versions { oldest: *MESSAGE_VERSIONS.start(), newest: *MESSAGE_VERSIONS.end() };

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
    others: Vec<Voter>,
    senders: Vec<Mutex<Option<Outgoing>>>,
    /// Read what the others send, in the order in which they came: see [`MOST_LINKS`].
    receiving: Vec<Mutex<VecDeque<JoinHandle<()>>>>,
}

/// A link to send over.
struct Outgoing {
    sender: link::Sender,
    /// What both understand.
    version: u16,
    /// When the first message was sent of which no echo has come.
    unechoed: Option<Instant>,
}

impl Voters {
    /// Of `me`; dials nobody yet.
    #[must_use]
    pub fn new(me: Me, others: Vec<Voter>, run: u64) -> Self {
        let senders = others.iter().map(|_| Mutex::default()).collect();
        let receiving = others.iter().map(|_| Mutex::default()).collect();
        Self { shared: Arc::new(Shared { me, run, epoch: AtomicU64::new(0), others, senders, receiving }) }
    }

    /// What is told to whom it meets.
    #[must_use]
    pub fn introduction(&self) -> Introduction {
        let Shared { me, run, epoch, .. } = &*self.shared;
        Introduction {
            cluster: me.cluster.clone(),
            node: me.node.clone(),
            role: me.role,
            versions: me.versions,
            epoch: epoch.load(Ordering::Relaxed),
            run: *run,
        }
    }

    /// The name of who sits there, for people.
    #[must_use]
    pub fn name(&self, seat: Seat) -> &NodeId {
        let Shared { me, others, .. } = &*self.shared;
        others.iter().find(|voter| voter.seat == seat).map_or(&me.node, |voter| &voter.node)
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
        let version = connection.agreement.version;
        let (sender, mut receiver) = connection.open();
        let requests = requests.clone();
        let task = tokio::spawn(async move {
            let mut echoed: Option<Instant> = None;
            loop {
                let frame = tokio::select! {
                    biased;
                    () = requests.closed() => return sender.hang_up("the node ends"),
                    frame = receiver.next() => frame,
                };
                let reason = match frame.map(|frame| understand(seat, &frame)) {
                    Ok(Ok(envelope)) => {
                        if echoed.is_none_or(|echoed| echoed.elapsed() >= ECHO_PAUSE) {
                            echoed = Some(Instant::now());
                            let mut echo = Vec::new();
                            if frame::encode(version, ECHO, &[], &mut echo).is_ok() {
                                let _ = sender.send(echo.into());
                            }
                        }
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
        let mut receiving = lock(&self.shared.receiving[n]);
        receiving.retain(|task| !task.is_finished());
        receiving.push_back(task);
        if receiving.len() > MOST_LINKS
            && let Some(oldest) = receiving.pop_front()
        {
            oldest.abort();
        }
    }

    /// Sends, if there is a link.
    pub fn send(&self, to: Seat, envelope: &Envelope) {
        let Some(n) = self.shared.others.iter().position(|voter| voter.seat == to) else { return };
        let mut outgoing = lock(&self.shared.senders[n]);
        let Some(outgoing) = &mut *outgoing else { return };
        let mut bytes = Vec::new();
        match frame::encode(outgoing.version, ENVELOPE, &envelope.encode(), &mut bytes) {
            Ok(()) => {
                outgoing.unechoed.get_or_insert_with(Instant::now);
                // Who receives from it learns that it has ended.
                let _ = outgoing.sender.send(bytes.into());
            }
            Err(error) => tracing::error!(peer = %self.shared.others[n].node, "a message cannot be sent: {error}"),
        }
    }

    /// Ends all links: the others see it at once.
    pub fn close(&self) {
        for sender in &self.shared.senders {
            if let Some(outgoing) = lock(sender).take() {
                outgoing.sender.hang_up("the node ends");
            }
        }
        for task in &self.shared.receiving {
            for task in lock(task).drain(..) {
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
                    let began = Instant::now();
                    let reason = self.hold(connection).await;
                    self.tell(PairInput::Down { seat, refused: false }).await;
                    let is_short = began.elapsed() < SHORT;
                    let text = format!("the link to it has ended: {reason}");
                    self.complaints.about(&node, text, is_short);
                    if is_short {
                        tokio::time::sleep(backoff.failed()).await;
                    } else {
                        backoff.succeeded();
                    }
                }
                Err(error) => {
                    self.complaints.about(&node, format!("cannot be reached: {error}"), true);
                    self.tell(PairInput::Down { seat, refused: error.is_refused() }).await;
                    tokio::time::sleep(backoff.failed()).await;
                }
            }
        }
    }

    /// Sends over the connection until it ends.
    async fn hold(&self, connection: Connection) -> Closed {
        let version = connection.agreement.version;
        let (sender, mut receiver) = connection.open();
        if self.complaints.again == 0 {
            tracing::info!(peer = %self.voter.node, address = %self.voter.address, "linked");
        }
        let outgoing = &self.voters.shared.senders[self.n];
        *lock(outgoing) = Some(Outgoing { sender: sender.clone(), version, unechoed: None });
        self.tell(PairInput::Up(self.voter.seat)).await;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let reason = loop {
            tokio::select! {
                biased;
                frame = receiver.next() => match frame {
                    // Nothing else is said in this direction.
                    Ok(_) => if let Some(outgoing) = &mut *lock(outgoing) { outgoing.unechoed = None },
                    Err(reason) => break reason,
                },
                _ = look.tick() => {
                    let unechoed = lock(outgoing).as_ref().and_then(|outgoing| outgoing.unechoed);
                    if unechoed.is_some_and(|since| since.elapsed() >= NO_ECHO) {
                        sender.hang_up(format!("nothing arrived there for {NO_ECHO:?}"));
                    }
                }
            }
        };
        lock(outgoing).take();
        reason
    }

    async fn tell(&self, input: PairInput) {
        // A node that has ended does not care.
        let _ = self.requests.send(input.into()).await;
    }
}

/// Says what is wrong with a peer: what is said again and again only once, and again after a while or when it is something else.
#[derive(Default)]
struct Complaints {
    told: Vec<String>,
    again: u32,
}

impl Complaints {
    fn about(&mut self, node: &NodeId, text: String, is_repeated: bool) {
        if is_repeated && self.again < COMPLAIN_AGAIN && self.told.contains(&text) {
            self.again += 1;
            return;
        }
        tracing::warn!(peer = %node, "{text}");
        if !is_repeated || self.again >= COMPLAIN_AGAIN || self.told.len() >= COMPLAINTS {
            *self = Self::default();
        }
        self.told.extend(is_repeated.then_some(text));
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
