//! `baton agent`: the director of an agent with the subagent of its own process; and `baton subagent`: a subagent alone.

use super::node::{self, Membership, Reach, StartError, WatchNode};
use super::stop::Control;
use super::worker::{Orders, Worker};
use super::{DaemonArguments, Ended, Unstarted, listen, open, security, signals};
use crate::api::{self, Serving, WorkerApiConfig};
use crate::config::{AgentConfig, Api, Common, DirectorPair, HostedWatch, Jobs, Member, SubagentConfig};
use crate::driver::{Entrance, Operator, Room, Surroundings, random_seed};
use crate::host::local::Local;
use crate::host::locality::{environment, locality};
use crate::host::voters::{Me, VERSIONS, Voter};
use crate::host::{director, subagent};
use crate::metrics::{DiskUse, Metrics};
use crate::process::{Launcher, LauncherConfig};
use baton_machine::director::DirectorConfig;
use baton_machine::link::Peer;
use baton_machine::subagent::SubagentConfig as SubagentMachine;
use baton_machine::timing::Timing;
use baton_net::accept::{Acceptor, Limits};
use baton_net::dial::Connection;
use baton_net::handshake::{Introduction, Role};
use baton_net::name::NodeId;
use baton_net::network::Network;
use baton_net::tls::Security;
use baton_protocol::pair::PairConfig;
use baton_protocol::pair::timing::Timing as PairTiming;
use baton_protocol::random::Random;
use baton_protocol::register::Seat;
use std::process::ExitCode;
use std::sync::Arc;

/// Runs an agent until it is told to end.
pub fn agent_main(arguments: &DaemonArguments) -> ExitCode {
    super::main("agent", arguments, AgentConfig::read, |config| &config.common, serve_agent)
}

/// Runs a subagent until it is told to end.
pub fn subagent_main(arguments: &DaemonArguments) -> ExitCode {
    super::main("subagent", arguments, SubagentConfig::read, |config| &config.common, serve_subagent)
}

async fn serve_agent(config: AgentConfig) -> Result<Ended, Unstarted> {
    let (control, requested) = Control::new();
    let reloads = signals::obey(control.clone())?;
    let AgentConfig { common, controllers, pair, watch, timing, api, jobs, .. } = config;
    let security = security(&common)?;
    let reach = reach(&common, Role::Director, &security)?;
    let opened = open("agent", &common).await?;
    // Before the port is bound: a predecessor's guard may still hold it.
    let launcher = launcher(&common, &jobs).await?;
    let superiors = [Role::Controller, Role::Director];
    let acceptor = bind(&common, &reach, &superiors, &launcher).await?;
    let (operator, mut news) = Operator::new(common.node.as_str());
    let watch_operator = operator.of(&format!("{} as cluster watch", common.node));
    // The subagent of this process.
    let local = Local::default();
    let subagent = subagent::start(settings(&common, &jobs, &launcher), local.clone(), operator.clone())?;
    subagent.links.listen(Peer::Subagent(jobs.subagent.clone()));
    let config = DirectorConfig {
        node_id: common.node.to_string(),
        local_subagent: jobs.subagent,
        locality: locality(),
        timing: Timing::DEFAULT,
    };
    let entrance = Entrance::new();
    let peer = pair.as_ref().map(|pair| pair.peer.node.clone());
    let place = match pair {
        Some(pair) => Some(join(&common, pair, timing, &security, &entrance).await?),
        None => None,
    };
    let director = director::start(config, place, opened, (local, Some(reach.remote())), entrance, operator)?;
    let (links, jobs) = (director.links.clone(), subagent.links.clone());
    let of_controllers = from_known(controllers, move |connection| links.accepted(connection));
    // The other director lets the subagent of this process run jobs.
    let of_director = from_known(peer.into_iter().collect(), move |connection| jobs.accepted(connection));
    let take = move |connection: Connection| match connection.agreement.peer.role {
        Role::Director => of_director(connection),
        _ => of_controllers(connection),
    };
    let accepting = tokio::spawn(listen::accept(acceptor, take, std::future::pending()));
    let watch = match watch {
        Some(watch) => Some(watch_over(&common, watch, timing, &security, &watch_operator).await?),
        None => None,
    };
    let worker = Worker { subagent, director: Some(director), launcher };
    let api = serve(&common, api, &security, &worker, control).await?;
    let ended = worker.run(Orders { requested, reloads }, &security, &mut news).await;
    accepting.abort();
    drop(api);
    if let Some(watch) = watch {
        watch.running.stop().await;
    }
    Ok(ended)
}

/// Is the cluster watch of a pair of controllers, beside all else. What it must not forget is in a folder of its own.
async fn watch_over(
    common: &Common,
    watch: HostedWatch,
    timing: PairTiming,
    security: &Security,
    operator: &Operator,
) -> Result<WatchNode, Unstarted> {
    let common = Common { data: common.data.join("watch"), links: watch.listen, ..common.clone() };
    let opened = open("watch", &common).await?;
    let membership = super::watch::membership(&common, &watch.nodes, security);
    let node = node::start_watch(&membership, timing, opened, operator.clone(), Surroundings::real()?).await?;
    tracing::info!(address = %node.links, "is the cluster watch of the controllers, and listens for them");
    Ok(node)
}

async fn serve_subagent(config: SubagentConfig) -> Result<Ended, Unstarted> {
    let (control, requested) = Control::new();
    let reloads = signals::obey(control.clone())?;
    let SubagentConfig { common, directors, api, jobs, .. } = config;
    let security = security(&common)?;
    let reach = reach(&common, Role::Subagent, &security)?;
    let launcher = launcher(&common, &jobs).await?;
    let acceptor = bind(&common, &reach, &[Role::Director], &launcher).await?;
    let (operator, mut news) = Operator::new(common.node.as_str());
    let subagent = subagent::start(settings(&common, &jobs, &launcher), Local::default(), operator)?;
    let links = subagent.links.clone();
    let take = from_known(directors, move |connection| links.accepted(connection));
    let accepting = tokio::spawn(listen::accept(acceptor, take, std::future::pending()));
    let worker = Worker { subagent, director: None, launcher };
    let api = serve(&common, api, &security, &worker, control).await?;
    let ended = worker.run(Orders { requested, reloads }, &security, &mut news).await;
    accepting.abort();
    drop(api);
    Ok(ended)
}

/// Answers HTTP, if the configuration wants that.
async fn serve(
    common: &Common,
    api: Option<Api>,
    security: &Security,
    worker: &Worker,
    control: Control,
) -> Result<Option<Serving>, Unstarted> {
    let Some(api) = api else { return Ok(None) };
    let disk = DiskUse::start(common.data.clone())?;
    let measured = common.clone();
    let config = WorkerApiConfig {
        network: Network::Sockets,
        listen: api.listen,
        security: security.clone(),
        users: api.users,
        cluster: common.cluster.to_string(),
        node: common.node.to_string(),
        metrics: Arc::new(move |status| Metrics::of_worker(&measured, status, disk.measured()).render()),
        control,
    };
    let serving = api::serve_worker(config, &worker.subagent, worker.director.as_ref()).await?;
    tracing::info!(address = %serving.address(), "answers HTTP");
    Ok(Some(serving))
}

/// Takes a place in a pair: listens to the other voters, and dials them, from now on.
async fn join(
    common: &Common,
    pair: DirectorPair,
    timing: PairTiming,
    security: &Security,
    entrance: &Entrance<director::DirectorRequest>,
) -> Result<director::PairPlace, Unstarted> {
    let DirectorPair { seat, listen, peer, watch } = pair;
    let voter = |seat, member: Member| Voter { seat, node: member.node, address: member.address };
    let (own, other) = (listen.to_string(), peer.address.to_string());
    let is_watched_by_controller = watch.is_none();
    let me = Me {
        cluster: common.cluster.clone(),
        node: common.node.clone(),
        seat,
        role: Role::Director,
        versions: VERSIONS,
    };
    let others =
        std::iter::once(voter(seat.peer(), peer)).chain(watch.map(|watch| voter(Seat::Watch, watch))).collect();
    let membership = Membership { me, others, listen, network: Network::Sockets, security: security.clone() };
    let seed = Random::new(random_seed()?);
    let (voters, acceptor) = membership.bind(seed.child("run").next()).await.map_err(StartError::from)?;
    let address = acceptor.local_address().map_err(StartError::Address)?;
    tracing::info!(%address, "listens for the other voters of the pair");
    membership.connect(&voters, acceptor, entrance, seed.child("pauses").next());
    let config = PairConfig { timing, ..PairConfig::new(seat) };
    let addresses = if seat == Seat::First { [own, other] } else { [other, own] };
    Ok(director::PairPlace { config, voters, is_watched_by_controller, addresses })
}

fn reach(common: &Common, role: Role, security: &Security) -> Result<Reach, Unstarted> {
    let (cluster, node) = (common.cluster.clone(), common.node.clone());
    let me = Introduction { cluster, node, role, versions: VERSIONS, epoch: 0, run: random_seed()? };
    Ok(Reach { me, network: Network::Sockets, security: security.clone() })
}

/// Listens for links. As long as a job may run, nobody who dials is refused: see [`Launcher::hold`].
async fn bind(common: &Common, reach: &Reach, superiors: &[Role], launcher: &Launcher) -> Result<Acceptor, Unstarted> {
    let me = reach.me.clone();
    let (network, security) = (reach.network, reach.security.clone());
    let bound =
        Acceptor::bind(network, &common.links, security, move || me.clone(), superiors, Limits::default()).await;
    let acceptor = bound.map_err(StartError::from)?;
    let address = acceptor.local_address().map_err(StartError::Address)?;
    if let Some(socket) = acceptor.socket()? {
        launcher.hold(socket).await?;
    }
    tracing::info!(%address, "listens for links");
    Ok(acceptor)
}

/// Takes connections of those who may command, and hangs up all others.
fn from_known(known: Vec<NodeId>, take: impl Fn(Connection)) -> impl Fn(Connection) {
    move |connection| {
        let peer = &connection.agreement.peer.node;
        if known.contains(peer) {
            return take(connection);
        }
        tracing::warn!(%peer, from = %connection.address, "was hung up: the configuration does not let it command this node");
        connection.open().0.hang_up("you may not command this node");
    }
}

async fn launcher(common: &Common, jobs: &Jobs) -> Result<Launcher, Unstarted> {
    let work_directory = common.data.join("processes");
    let config = LauncherConfig { work_directory, guard_program: None, process_limit: jobs.process_limit };
    Ok(Launcher::start(config).await?)
}

fn settings(common: &Common, jobs: &Jobs, launcher: &Launcher) -> subagent::Settings {
    subagent::Settings {
        config: SubagentMachine { environment: environment(), timing: Timing::DEFAULT },
        launcher: launcher.clone(),
        files: common.data.join("files"),
        executables: jobs.executables.clone(),
        room: Room::default(),
    }
}
