//! How long a commit takes: an order that is added to a controller alone, and to the active one of a pair whose standby and watch are
//! processes of their own; next to one write and one `fdatasync` of a plain file: appended, which the file system's own journal takes part in, and in place, which
//! it does not. All ways are measured in turns, so that whatever else
//! the machine does hits all alike.

use crate::figures::Times;
use crate::real::Failure;
use crate::real::installation::{Installation, Links};
use baton_machine::controller::ControllerConfig as MachineConfig;
use baton_machine::replica::Locality;
use baton_machine::timing::Timing;
use baton_net::handshake::Role;
use baton_net::network::Network;
use baton_net::tls::WallClock;
use baton_nodes::config::{ControllerConfig, Environment};
use baton_nodes::daemon::node::{ControllerNode, Membership, PairPlace, Place, start_controller};
use baton_nodes::driver::{Journal, Operator, Surroundings, wall_clock};
use baton_nodes::host::voters::{Me, VERSIONS, Voter};
use baton_protocol::register::Seat;
use baton_workflow::id::ControllerId;
use baton_workflow::json::from_text;
use baton_workflow::model::command::Command;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// One turn of each way takes so long.
const TURN: Duration = Duration::from_millis(40);

/// How long each number of callers is measured.
const EACH: Duration = Duration::from_secs(6);

/// So many give commands at a time.
const CALLERS: [usize; 3] = [1, 16, 256];

/// What is written for each commit to the plain file, in bytes: more than the record of an order that is added.
const RECORD: usize = 300;

/// The length of the plain file that is written in place.
const IN_PLACE: usize = 64 << 20;

/// A way to commit.
#[derive(Default)]
struct Way {
    /// Of single commits.
    times: Times,
    /// In all turns.
    time: Duration,
}

impl Way {
    fn per_second(&self) -> f64 {
        self.times.count() as f64 / self.time.as_secs_f64()
    }

    fn micros(&self, permille: usize) -> f64 {
        self.times.permille(permille).as_secs_f64() * 1e6
    }
}

/// Measures and tells.
pub(crate) async fn measure() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let mut appended = File::create(folder.path().join("appended"))?;
    let mut in_place = File::create(folder.path().join("in-place"))?;
    in_place.write_all(&vec![0; IN_PLACE])?;
    in_place.sync_all()?;
    let alone = alone(&folder.path().join("alone")).await?;
    let mut installation = Installation::new(&folder.path().join("cluster"), Links::Direct)?;
    installation.start(Seat::Second)?;
    installation.start(Seat::Watch)?;
    let coupled = active(&installation.folder().join("controller-1.toml")).await?;
    let mut coupling = coupled.client.standing();
    let is_coupled = coupling.wait_for(|standing| standing.is_coupled() && standing.is_active());
    tokio::time::timeout(Duration::from_secs(30), is_coupled).await??;
    for node in [&alone, &coupled] {
        for command in [
            r#"{"TYPE":"UpdateItems","operations":[{"TYPE":"AddVersion","versionId":"1"},{"TYPE":"AddOrChangeVersioned",
                "item":{"TYPE":"Workflow","path":"W","versionId":"1","instructions":[]}}]}"#,
        ] {
            node.client.command(parse(command)?).await?.answer?;
        }
    }
    let mut number = 0;
    for callers in CALLERS {
        let mut ways: [Way; 4] = Default::default();
        let until = Instant::now() + EACH;
        while Instant::now() < until {
            ways[0].time += raw_turn(&mut appended, callers, u64::MAX, &mut ways[0].times)?;
            ways[1].time += raw_turn(&mut in_place, callers, IN_PLACE as u64, &mut ways[1].times)?;
            for (node, way) in [&alone, &coupled].into_iter().zip(2..) {
                let (time, times) = turn(node, callers, &mut number).await?;
                ways[way].time += time;
                ways[way].times.extend(times);
            }
        }
        let names = ["raw, appended", "raw, in place", "alone", "coupled"];
        for (name, way) in names.into_iter().zip(&ways) {
            println!(
                "commits {callers:>3} at once, {name:<14} {:8.0}/s, p50 {:5.0} µs, p99 {:6.0} µs",
                way.per_second(),
                way.micros(500),
                way.micros(990)
            );
        }
        let [appended, in_place, alone, coupled] = &ways;
        for (name, way, budget) in [("alone", alone, 2), ("coupled", coupled, 4)] {
            println!(
                "commits {callers:>3} at once, {name}: latency {:.2} of an append (budget for one at once: {budget}), {:.2} of a write in \
                 place; throughput {:.2} and {:.2}",
                way.micros(500) / appended.micros(500),
                way.micros(500) / in_place.micros(500),
                way.per_second() / appended.per_second(),
                way.per_second() / in_place.per_second(),
            );
        }
    }
    alone.running.stop().await;
    coupled.running.stop().await;
    Ok(())
}

/// Writes and syncs: so many records at a time, up to a length, then from the beginning again.
fn raw_turn(file: &mut File, at_once: usize, length: u64, times: &mut Times) -> Result<Duration, Failure> {
    let bytes = vec![b'-'; RECORD * at_once];
    let turn = Instant::now();
    while turn.elapsed() < TURN {
        if file.stream_position()? + bytes.len() as u64 > length {
            file.rewind()?;
        }
        let began = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        times.extend(std::iter::repeat_n(began.elapsed(), at_once));
    }
    Ok(turn.elapsed())
}

/// So many callers add orders, each one after the other.
async fn turn(node: &ControllerNode, callers: usize, number: &mut u64) -> Result<(Duration, Vec<Duration>), Failure> {
    let turn = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        *number += 1;
        let (client, caller) = (node.client.clone(), *number);
        tasks.spawn(async move {
            let mut times = Vec::new();
            for n in 0.. {
                if turn.elapsed() >= TURN {
                    break;
                }
                let command = parse(&format!(
                    r#"{{"TYPE":"AddOrder","order":{{"id":"O{caller}-{n}","workflowPath":"W","planId":[],"scheduledFor":4000000000000}}}}"#
                ))?;
                let began = Instant::now();
                client.command(command).await?.answer?;
                times.push(began.elapsed());
            }
            Ok::<_, Failure>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        times.extend(ended??);
    }
    Ok((turn.elapsed(), times))
}

fn parse(command: &str) -> Result<Command, Failure> {
    Ok(from_text(command)?)
}

fn machine_config(name: &str) -> MachineConfig {
    MachineConfig {
        controller_id: ControllerId::new("main"),
        node_id: name.to_owned(),
        locality: Locality::default(),
        timing: Timing::DEFAULT,
    }
}

async fn alone(folder: &Path) -> Result<ControllerNode, Failure> {
    let opened = Journal::open(folder, "controller", Default::default())?;
    let (operator, _news) = Operator::new("alone");
    Ok(start_controller(machine_config("alone"), None, None, opened, operator, Surroundings::real()?).await?)
}

/// The first node, in this process.
async fn active(configuration: &Path) -> Result<ControllerNode, Failure> {
    let config =
        ControllerConfig::read(configuration, &Environment::default()).map_err(|findings| findings.to_string())?;
    let common = &config.common;
    let pair = config.pair.as_ref().ok_or("there is no pair in the configuration")?;
    let voter = |seat, member: &baton_nodes::config::Member| Voter {
        seat,
        node: member.node.clone(),
        address: member.address.clone(),
    };
    let membership = Membership {
        me: Me {
            cluster: common.cluster.clone(),
            node: common.node.clone(),
            seat: pair.seat,
            role: Role::Controller,
            versions: VERSIONS,
        },
        others: vec![voter(pair.seat.peer(), &pair.peer), voter(Seat::Watch, &pair.watch)],
        listen: common.links.clone(),
        network: Network::Sockets,
        security: common.security(WallClock::new(wall_clock))?,
    };
    let opened = Journal::open(&common.data, "controller main/controller-1", common.journal)?;
    let (operator, _news) = Operator::new("controller-1");
    let pair = Some(Place::Pair(Box::new(PairPlace { membership, timing: config.timing, urls: Default::default() })));
    Ok(start_controller(machine_config("controller-1"), pair, None, opened, operator, Surroundings::real()?).await?)
}
