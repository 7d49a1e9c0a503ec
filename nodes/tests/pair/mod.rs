//! Two controllers and a watch, each with its journal on disk and real links, in one process.

use baton_machine::controller::ControllerConfig;
use baton_machine::replica::Locality;
use baton_machine::timing::Timing as MachineTiming;
use baton_net::address::Address;
use baton_net::handshake::Role;
use baton_net::name::{ClusterId, NodeId};
use baton_net::network::Network;
use baton_net::tls::Security;
use baton_nodes::daemon::node::{self, ControllerNode, Membership, PairPlace, Place, WatchNode};
use baton_nodes::driver::{Journal, News, Operator, Surroundings};
use baton_nodes::host::standing::Standing;
use baton_nodes::host::voters::{Me, VERSIONS, Voter};
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{Order, Part};
use baton_protocol::register::{Mode, Seat};
use baton_storage::fjall::Options;
use baton_workflow::id::ControllerId;
use std::net::TcpListener;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

const SEATS: [Seat; 3] = [Seat::First, Seat::Second, Seat::Watch];

/// Longer than anything may take here.
const DEADLINE: Duration = Duration::from_secs(20);

/// Where the voters keep what they know, and where they listen.
pub(crate) struct Cluster {
    folder: TempDir,
    ports: [u16; 3],
}

fn name(seat: Seat) -> &'static str {
    ["first", "second", "watch"][seat as usize]
}

impl Cluster {
    pub(crate) fn new() -> Self {
        // Held all at once, so that they differ.
        let listeners = SEATS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners.map(|listener| listener.local_addr().unwrap().port());
        Self { folder: TempDir::new().unwrap(), ports }
    }

    fn membership(&self, seat: Seat) -> Membership {
        let address = |seat: Seat| Address::new("127.0.0.1", self.ports[seat as usize]);
        let node = |seat| NodeId::new(name(seat)).unwrap();
        Membership {
            me: Me {
                cluster: ClusterId::new("test").unwrap(),
                node: node(seat),
                seat,
                role: if seat == Seat::Watch { Role::Watch } else { Role::Controller },
                versions: VERSIONS,
            },
            others: seat.others().map(|seat| Voter { seat, node: node(seat), address: address(seat) }).into(),
            listen: address(seat),
            network: Network::Sockets,
            security: Security::Plain,
        }
    }

    fn opened(&self, seat: Seat) -> baton_nodes::driver::Opened {
        Journal::open(&self.folder.path().join(name(seat)), name(seat), Options::default()).unwrap()
    }

    pub(crate) async fn watch(&self) -> (WatchNode, News) {
        let (operator, news) = Operator::new("watch");
        let opened = self.opened(Seat::Watch);
        let membership = self.membership(Seat::Watch);
        let surroundings = Surroundings::real().unwrap();
        (node::start_watch(&membership, Timing::DEFAULT, opened, operator, surroundings).await.unwrap(), news)
    }

    pub(crate) async fn controller(&self, seat: Seat) -> (ControllerNode, News) {
        let (operator, news) = Operator::new(name(seat));
        let config = ControllerConfig {
            controller_id: ControllerId::new("Controller"),
            node_id: name(seat).to_owned(),
            locality: Locality::default(),
            timing: MachineTiming::DEFAULT,
        };
        let pair = Some(Place::Pair(Box::new(PairPlace {
            membership: self.membership(seat),
            timing: Timing::DEFAULT,
            urls: Default::default(),
        })));
        let opened = self.opened(seat);
        let surroundings = Surroundings::real().unwrap();
        (node::start_controller(config, pair, None, opened, operator, surroundings).await.unwrap(), news)
    }
}

pub(crate) async fn until(node: &ControllerNode, what: &str, condition: impl Fn(&Standing) -> bool) -> Standing {
    let mut standing = node.client.standing();
    let reached = timeout(DEADLINE, standing.wait_for(condition)).await.map(|reached| *reached.unwrap());
    reached.unwrap_or_else(|_| panic!("not {what}: {:?}", *node.client.standing().borrow()))
}

pub(crate) fn is_coupled_active(standing: &Standing) -> bool {
    standing.is_coupled() && standing.is_active() && standing.marks.acked == Some(standing.marks.end)
}

#[test]
fn a_pair_couples_takes_over_and_couples_again() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::new();
        let (_watch, _w) = cluster.watch().await;
        let (first, _f) = cluster.controller(Seat::First).await;
        let (second, _s) = cluster.controller(Seat::Second).await;
        until(&first, "coupled", is_coupled_active).await;

        // As a crash: its links end.
        first.running.stop().await;
        until(&second, "active", |standing| standing.is_active()).await;

        let (first, _f) = cluster.controller(Seat::First).await;
        until(&second, "coupled again", is_coupled_active).await;
        until(&first, "standby", |standing| {
            standing.pair.is_some_and(|pair| pair.part == Part::Standby { is_following: true })
        })
        .await;

        let reply = second.client.order(Order::SwitchOver).await.unwrap();
        reply.answer.unwrap();
        until(&first, "active after the switch-over", is_coupled_active).await;

        first.client.order(Order::Stop).await.unwrap().answer.unwrap();
        until(&first, "stopped", |standing| {
            standing.pair.and_then(|pair| pair.known).is_some_and(|known| known.mode == Mode::Stopped)
        })
        .await;
        second.running.stop().await;
        first.running.stop().await;
    });
}
