//! `baton watch`: the third voter of a pair, for a machine that stands elsewhere.

use super::node::{self, Membership};
use super::stop::Control;
use super::{DaemonArguments, Ended, Unstarted, open, security, signals, until_told, watch_http};
use crate::config::{Common, Member, Nodes, WatchConfig};
use crate::driver::{Operator, Surroundings};
use crate::host::voters::{Me, VERSIONS, Voter};
use crate::metrics::{DiskUse, Metrics};
use baton_net::handshake::Role;
use baton_net::network::Network;
use baton_net::tls::Security;
use baton_protocol::register::Seat;
use std::process::ExitCode;
use std::sync::Arc;

/// Runs the daemon until it is told to end.
pub fn main(arguments: &DaemonArguments) -> ExitCode {
    super::main("cluster watch", arguments, WatchConfig::read, |config| &config.common, serve)
}

async fn serve(config: WatchConfig) -> Result<Ended, Unstarted> {
    let (control, requested) = Control::new();
    let reloads = signals::obey(control)?;
    let security = security(&config.common)?;
    let membership = membership(&config.common, &config.nodes, &security);
    let opened = open("watch", &config.common).await?;
    let (operator, mut news) = Operator::new(config.common.node.as_str());
    let surroundings = Surroundings::real()?;
    let node = node::start_watch(&membership, config.timing, opened, operator, surroundings).await?;
    tracing::info!(address = %node.links, "listens for links");
    if let Some(address) = &config.http {
        let (measured, status) = (config.clone(), node.status.clone());
        let disk = DiskUse::start(config.common.data.clone())?;
        let started_at = crate::driver::wall_clock().as_millis();
        let metrics = move || {
            let status = *status.borrow();
            Metrics::of_watch(&measured, &status, started_at, disk.measured()).render()
        };
        watch_http::serve(address, &security, Arc::new(metrics)).await?;
        tracing::info!(%address, "answers HTTP");
    }
    let ended = until_told(requested, reloads, &security, &mut news).await;
    node.running.stop().await;
    Ok(ended)
}

/// How the watch talks to the nodes that it watches over.
pub(super) fn membership(common: &Common, nodes: &Nodes, security: &Security) -> Membership {
    let voter = |seat, member: &Member| Voter { seat, node: member.node.clone(), address: member.address.clone() };
    let Common { cluster, node, links, .. } = common.clone();
    Membership {
        me: Me { cluster, node, seat: Seat::Watch, role: Role::Watch, versions: VERSIONS },
        others: vec![voter(Seat::First, &nodes.first), voter(Seat::Second, &nodes.second)],
        listen: links,
        network: Network::Sockets,
        security: security.clone(),
    }
}
