//! How a daemon is told to end, and what its ending means for the pair.

use crate::host::controller::Client;
use crate::host::standing::PairStanding;
use baton_machine::host::Reply;
use baton_machine::process::Signal;
use baton_protocol::pair::{Order, Part};
use baton_protocol::register::Mode;
use rustix::process::{getpid, kill_process};
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// So long the other voters have to agree before a node stops without them.
const AGREEMENT: Duration = Duration::from_secs(10);

/// How a node is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The standby does not take over, until a person appoints it.
    Stop,
    /// The standby takes over before. When that is not possible, the node does not end.
    SwitchOver,
    /// At once. The standby takes over.
    Abort,
    /// As `kill -9`: the process kills itself.
    Kill,
}

impl FromStr for Manner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stop" => Ok(Self::Stop),
            "switch-over" => Ok(Self::SwitchOver),
            "abort" => Ok(Self::Abort),
            "kill" => Ok(Self::Kill),
            _ => Err(format!("{text:?} is not one of stop, switch-over, abort and kill")),
        }
    }
}

/// What a daemon is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopRequest {
    /// How.
    pub manner: Manner,
    /// Whether it is to start again at once.
    pub restarts: bool,
    /// What running jobs of an agent or subagent get when it stops; none: they come to their end.
    pub signal: Option<Signal>,
}

impl StopRequest {
    /// To stop for good, and as jobs like.
    pub const STOP: Self = Self { manner: Manner::Stop, restarts: false, signal: None };
}

/// To end a daemon with. Clones end the same.
#[derive(Clone, Debug)]
pub struct Control {
    requests: mpsc::Sender<StopRequest>,
}

impl Control {
    /// With what is told to it.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<StopRequest>) {
        let (requests, requested) = mpsc::channel(4);
        (Self { requests }, requested)
    }

    /// Ends it. When it is ending already, it needs no telling.
    pub fn stop(&self, request: StopRequest) {
        let _ = self.requests.try_send(request);
    }
}

/// Ends this process as nobody could prevent: nothing is written or told any more.
pub(super) fn kill_this_process() {
    tracing::warn!("kills itself");
    // Nobody refuses that.
    let _ = kill_process(getpid(), rustix::process::Signal::KILL);
}

/// Lets the pair agree to the end of a controller. False if the node is to stay.
pub(super) async fn agree(client: &Client, manner: Manner) -> bool {
    let standing = *client.standing().borrow();
    let Some(order) = order_before(manner, standing.pair.as_ref()) else { return true };
    let answer = async { client.order(order).await.map_err(|error| error.to_string()) };
    agreed(manner, answer).await
}

/// What is asked of the pair before a node ends; nothing, if its end changes nothing for the others.
pub(super) fn order_before(manner: Manner, pair: Option<&PairStanding>) -> Option<Order> {
    let pair = pair.filter(|pair| pair.part == Part::Active)?;
    match manner {
        Manner::Abort | Manner::Kill => None,
        // Nobody takes over from a node that commits alone.
        Manner::Stop if pair.known.is_some_and(|known| known.mode == Mode::Alone) => None,
        Manner::Stop => Some(Order::Stop),
        Manner::SwitchOver => Some(Order::SwitchOver),
    }
}

/// Waits for the answer to that. False if the node is to stay.
pub(super) async fn agreed(manner: Manner, answer: impl Future<Output = Result<Reply, String>>) -> bool {
    let why = match timeout(AGREEMENT, answer).await {
        Ok(Ok(reply)) => match reply.answer {
            Ok(_) => return true,
            Err(problem) => problem.to_string(),
        },
        Ok(Err(error)) => error,
        Err(_) => format!("the other voters have not agreed within {AGREEMENT:?}"),
    };
    match manner {
        Manner::SwitchOver => {
            tracing::error!("this node goes on: the standby could not take over from it: {why}");
            false
        }
        Manner::Stop | Manner::Abort | Manner::Kill => {
            tracing::warn!("this node stops without the agreement of the others, so the standby may take over: {why}");
            true
        }
    }
}
