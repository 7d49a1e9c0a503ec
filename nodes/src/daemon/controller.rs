//! `baton controller`: a controller, alone or one of a pair.

use super::node::{self, Membership, PairPlace, Place, Reach};
use super::stop::{Control, Manner, agree, kill_this_process};
use super::{DaemonArguments, Ended, Unstarted, listen_to, open, pulse, reload, security, signals};
use crate::api::{self, ApiConfig};
use crate::config::{Common, ControllerConfig, Member};
use crate::driver::{Operator, Surroundings, random_seed};
use crate::host::locality::locality;
use crate::host::voters::{Me, VERSIONS, Voter};
use crate::metrics::{DiskUse, Metrics};
use crate::notify::ServiceManager;
use baton_machine::controller::ControllerConfig as MachineConfig;
use baton_machine::timing::Timing;
use baton_net::handshake::{Introduction, Role};
use baton_net::network::Network;
use baton_net::tls::Security;
use baton_protocol::register::Seat;
use baton_workflow::id::ControllerId;
use std::process::ExitCode;
use std::sync::Arc;

/// Runs the daemon until it is told to end.
pub fn main(arguments: &DaemonArguments) -> ExitCode {
    super::main("controller", arguments, ControllerConfig::read, |config| &config.common, serve)
}

async fn serve(config: ControllerConfig) -> Result<Ended, Unstarted> {
    let (control, mut requested) = Control::new();
    let mut reloads = signals::obey(control.clone())?;
    let security = security(&config.common)?;
    let place = place(&config, &security)?;
    let opened = open("controller", &config.common).await?;
    let (operator, mut news) = Operator::new(config.common.node.as_str());
    let surroundings = Surroundings::real()?;
    let node = node::start_controller(
        machine_config(&config.common),
        Some(place),
        Some(config.common.keep_events),
        opened,
        operator,
        surroundings,
    )
    .await?;
    if let Some(address) = node.links {
        tracing::info!(%address, "listens for links");
    }
    let api = api::serve(api_config(&config, &security, control)?, node.client.clone()).await?;
    tracing::info!(address = %api.address(), "answers HTTP");
    let manager = ServiceManager::of_process();
    manager.ready();
    let mut pulse = pulse(&manager);
    let mut is_abort = false;
    let ended = loop {
        tokio::select! {
            biased;
            _ = pulse.tick() => {
                // Told by who does the work.
                if node.client.peek(|_| ()).await.is_ok() {
                    manager.alive();
                }
            }
            () = listen_to(&mut news) => break Ended::Halted,
            Some(()) = reloads.recv() => reload(&security),
            Some(request) = requested.recv() => {
                if request.manner == Manner::Kill {
                    kill_this_process();
                }
                if request.manner == Manner::Abort {
                    tracing::warn!("aborts at once");
                    is_abort = true;
                } else if !agree(&node.client, request.manner).await {
                    continue;
                }
                break if request.restarts { Ended::ToStartAgain } else { Ended::AsTold };
            }
        }
    };
    manager.stopping();
    if !is_abort {
        api.stop().await;
    }
    node.running.stop().await;
    Ok(ended)
}

fn api_config(config: &ControllerConfig, security: &Security, control: Control) -> Result<ApiConfig, Unstarted> {
    let disk = DiskUse::start(config.common.data.clone())?;
    let measured = config.clone();
    Ok(ApiConfig {
        network: Network::Sockets,
        listen: config.api.listen.clone(),
        security: security.clone(),
        users: config.api.users.clone(),
        urls: config.urls(),
        metrics: Arc::new(move |status| Metrics::of_controller(&measured, status, disk.measured()).render()),
        control,
    })
}

fn machine_config(common: &Common) -> MachineConfig {
    MachineConfig {
        controller_id: ControllerId::new(common.cluster.as_str()),
        node_id: common.node.to_string(),
        locality: locality(),
        timing: Timing::DEFAULT,
    }
}

fn place(config: &ControllerConfig, security: &Security) -> Result<Place, Unstarted> {
    let Common { cluster, node, links, .. } = config.common.clone();
    let (network, security) = (Network::Sockets, security.clone());
    let Some(pair) = &config.pair else {
        let run = random_seed()?;
        let me = Introduction { cluster, node, role: Role::Controller, versions: VERSIONS, epoch: 0, run };
        return Ok(Place::Alone(Reach { me, network, security }));
    };
    let voter = |seat, member: &Member| Voter { seat, node: member.node.clone(), address: member.address.clone() };
    let membership = Membership {
        me: Me { cluster, node, seat: pair.seat, role: Role::Controller, versions: VERSIONS },
        others: vec![voter(pair.seat.peer(), &pair.peer), voter(Seat::Watch, &pair.watch)],
        listen: links,
        network,
        security,
    };
    let urls = config.urls().map(Option::unwrap_or_default);
    Ok(Place::Pair(Box::new(PairPlace { membership, timing: config.timing, urls })))
}
