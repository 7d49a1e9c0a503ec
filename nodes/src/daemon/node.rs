//! The nodes that daemons host: a controller, alone or one of a pair, and a cluster watch; each with its journal, its links and
//! nothing else. Daemons start them on the machine's sockets and disk, tests on simulated ones.

use super::listen;
use crate::driver::{Entrance, Halt, Opened, Operator, Running, Surroundings};
use crate::host::cluster_watch::{self, WatchStatus};
use crate::host::controller::{self, Client, ControllerRequest, Ways};
use crate::host::links::Remote;
use crate::host::voters::{Me, Voter, Voters};
use baton_machine::controller::ControllerConfig;
use baton_net::accept::{Acceptor, BindError, Limits};
use baton_net::address::Address;
use baton_net::dial::Dialler;
use baton_net::handshake::{Introduction, Role};
use baton_net::network::Network;
use baton_net::tls::Security;
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{PairConfig, PairInput};
use baton_protocol::random::Random;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot listen for links.
    #[error("links: {0}")]
    Bind(#[from] BindError),
    /// The system does not tell where it listens.
    #[error("links: the system does not tell where it listens: {0}")]
    Address(std::io::Error),
    /// Its journal is not what it should be.
    #[error(transparent)]
    Halt(#[from] Halt),
}

/// How a voter talks to the others.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Who it is.
    pub me: Me,
    /// The others.
    pub others: Vec<Voter>,
    /// Where it listens for them.
    pub listen: Address,
    /// Over which network.
    pub network: Network,
    /// How connections are secured.
    pub security: Security,
}

impl Membership {
    /// Listens. Nobody is answered yet.
    pub(super) async fn bind(&self, run: u64) -> Result<(Voters, Acceptor), BindError> {
        let voters = Voters::new(self.me.clone(), self.others.clone(), run);
        let me = voters.clone();
        let acceptor = Acceptor::bind(
            self.network,
            &self.listen,
            self.security.clone(),
            move || me.introduction(),
            &[Role::Controller, Role::Director, Role::Watch],
            Limits::default(),
        )
        .await?;
        Ok((voters, acceptor))
    }

    /// Dials and answers from now on.
    pub(super) fn connect<R>(&self, voters: &Voters, acceptor: Acceptor, entrance: &Entrance<R>, seed: u64)
    where
        R: From<PairInput> + Send + 'static,
    {
        voters.dial(&Dialler::new(self.network, self.security.clone()), &entrance.requests(), seed);
        let (voters, requests) = (voters.clone(), entrance.requests());
        let ended = entrance.requests();
        let take = move |connection| voters.accepted(connection, &requests);
        tokio::spawn(async move { listen::accept(acceptor, take, ended.closed()).await });
    }
}

/// A controller that runs.
pub struct ControllerNode {
    /// It.
    pub running: Running<ControllerRequest>,
    /// Talks to it.
    pub client: Client,
    /// Where it listens for links; nowhere if it is alone.
    pub links: Option<SocketAddr>,
}

/// Where a controller is among others.
#[derive(Clone, Debug)]
pub enum Place {
    /// It is alone, and reaches agents only.
    Alone(Reach),
    /// It is one of a pair.
    Pair(Box<PairPlace>),
}

/// The place of a controller in a pair.
#[derive(Clone, Debug)]
pub struct PairPlace {
    /// How it talks to the other voters.
    pub membership: Membership,
    /// The times of the pair.
    pub timing: Timing,
    /// How the APIs of the first and the second node are reached, for readers of events; empty if that is not known.
    pub urls: [String; 2],
}

/// Who a node is, and how it talks.
#[derive(Clone, Debug)]
pub struct Reach {
    /// What is told to whom it meets.
    pub me: Introduction,
    /// Over which network.
    pub network: Network,
    /// How connections are secured.
    pub security: Security,
}

impl Reach {
    /// The way to others.
    #[must_use]
    pub fn remote(&self) -> Remote {
        let me = self.me.clone();
        Remote { dialler: Dialler::new(self.network, self.security.clone()), me: Arc::new(move || me.clone()) }
    }
}

/// Starts a controller. Events are kept for so long at most. Without a place it talks with nobody.
///
/// # Errors
/// When it cannot listen, or its journal is not what it should be.
pub async fn start_controller(
    config: ControllerConfig,
    place: Option<Place>,
    keep_events: Option<Duration>,
    opened: Opened,
    operator: Operator,
    surroundings: Surroundings,
) -> Result<ControllerNode, StartError> {
    let entrance = Entrance::new();
    let pair = match &place {
        Some(Place::Pair(place)) => {
            let config = PairConfig { timing: place.timing, ..PairConfig::new(place.membership.me.seat) };
            Some((config, place.urls.clone()))
        }
        Some(Place::Alone(_)) | None => None,
    };
    let recovered = controller::recover(config, opened, pair)?.keeping_events(keep_events);
    let (mut ways, mut links) = (Ways::default(), None);
    match place {
        None => {}
        Some(Place::Alone(reach)) => ways.remote = Some(reach.remote()),
        Some(Place::Pair(place)) => {
            let PairPlace { membership, .. } = *place;
            let seed = Random::new(surroundings.seed).child("links");
            let (voters, acceptor) = membership.bind(seed.child("run").next()).await?;
            links = Some(acceptor.local_address().map_err(StartError::Address)?);
            membership.connect(&voters, acceptor, &entrance, seed.child("pauses").next());
            let me = voters.clone();
            let dialler = Dialler::new(membership.network, membership.security.clone());
            ways.remote = Some(Remote { dialler, me: Arc::new(move || me.introduction()) });
            ways.voters = Some(voters);
        }
    }
    let (running, client) = recovered.start(ways, entrance, operator, surroundings);
    Ok(ControllerNode { running, client, links })
}

/// A watch that runs.
pub struct WatchNode {
    /// It.
    pub running: Running<PairInput>,
    /// How it is.
    pub status: watch::Receiver<WatchStatus>,
    /// Where it listens for links.
    pub links: SocketAddr,
}

/// Starts a cluster watch.
///
/// # Errors
/// When it cannot listen, or what it must not forget is not understood.
pub async fn start_watch(
    membership: &Membership,
    timing: Timing,
    opened: Opened,
    operator: Operator,
    surroundings: Surroundings,
) -> Result<WatchNode, StartError> {
    let entrance = Entrance::new();
    let seed = Random::new(surroundings.seed).child("links");
    let (voters, acceptor) = membership.bind(seed.child("run").next()).await?;
    let links = acceptor.local_address().map_err(StartError::Address)?;
    membership.connect(&voters, acceptor, &entrance, seed.child("pauses").next());
    let (running, status) = cluster_watch::start(opened, timing, voters, entrance, operator, surroundings)?;
    Ok(WatchNode { running, status, links })
}
