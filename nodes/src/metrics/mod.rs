//! How a daemon is, in the text format of Prometheus (version 0.0.4), for `/metrics`.
//!
//! What is told is a snapshot of what others count: [`Metrics`] has it in plain numbers, and [`Metrics::render`] writes it down. That is
//! less than a registry of counters would need, so there is no library for it. All times are in seconds, all sizes in bytes, as
//! usual there. Counters begin with the process.

mod page;
mod system;
mod worker;

pub use system::{DiskUse, Measured, ProcessUse};

use crate::api::{DirectorStatus, Status, SubagentStatus, WorkerStatus};
use crate::config::{Common, ControllerConfig, Member, WatchConfig};
use crate::host::cluster_watch::WatchStatus;
use crate::host::commits::{BOUNDS, CommitTimes};
use crate::host::standing::PairStanding;
use baton_protocol::journal::Watermarks;
use baton_protocol::pair::Part;
use baton_protocol::register::{EpochRecord, Mode};
use page::Page;
use std::time::Duration;

/// The content type of what is rendered.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a daemon is. What a daemon does not have is none or empty, and is not told.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// What it is: `controller`, `watch`, `agent`, `subagent`.
    pub kind: &'static str,
    /// The name of its cluster.
    pub cluster: String,
    /// Its own name.
    pub node: String,
    /// When the process was started, in milliseconds since 1970.
    pub started_at: i64,
    /// What the process uses.
    pub process: ProcessUse,
    /// Its place in the pair.
    pub pair: Option<PairMetrics>,
    /// Other nodes by their names, and whether there is a link to each.
    pub links: Vec<(String, bool)>,
    /// The disk of its data folder.
    pub disk: Measured,
    /// Its journal.
    pub journal: Option<JournalMetrics>,
    /// What a controller has.
    pub controller: Option<ControllerMetrics>,
    /// What the director of an agent has.
    pub director: Option<DirectorStatus>,
    /// What a subagent has, be it alone or that of an agent.
    pub subagent: Option<SubagentStatus>,
}

/// The place of a node in its pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairMetrics {
    /// What it is; a watch has no part.
    pub part: Option<Part>,
    /// The newest epoch that is known to be decided; 0 if none is.
    pub epoch: u64,
    /// Whether each commit is in both journals.
    pub is_coupled: bool,
    /// Whether a person has to look at something.
    pub is_in_trouble: bool,
}

/// A journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalMetrics {
    /// How far it is.
    pub marks: Watermarks,
    /// How old the oldest record is that the standby has not acknowledged; none if it does not have to.
    pub lag: Option<Duration>,
    /// How many answers and messages wait for commits.
    pub held: usize,
}

/// What a controller has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControllerMetrics {
    /// Whether it takes commands now.
    pub is_ready: bool,
    /// How long commands took until they were committed.
    pub commits: CommitTimes,
    /// How many orders there are.
    pub orders: usize,
    /// How many orders there are in each state that has any.
    pub orders_by_state: Vec<(&'static str, usize)>,
    /// How many items there are.
    pub items: usize,
    /// How many agents there are.
    pub agents: usize,
    /// How many of them are coupled.
    pub coupled_agents: usize,
}

impl Metrics {
    /// Of a controller.
    #[must_use]
    pub fn of_controller(config: &ControllerConfig, status: &Status, disk: Measured) -> Self {
        let Status { standing, .. } = status;
        let links = config.pair.iter().zip(standing.pair).flat_map(|(pair, standing)| {
            let link = |member: &Member, is_linked| (member.node.to_string(), is_linked);
            [link(&pair.peer, standing.peer_is_linked), link(&pair.watch, standing.watch_is_linked)]
        });
        Self {
            pair: standing.pair.as_ref().map(PairMetrics::of_node),
            links: links.collect(),
            journal: Some(JournalMetrics { marks: standing.marks, lag: status.lag_time, held: standing.held }),
            controller: Some(ControllerMetrics {
                is_ready: status.is_ready,
                commits: status.commits,
                orders: status.orders,
                orders_by_state: status.orders_by_state.clone(),
                items: status.items,
                agents: status.agents,
                coupled_agents: status.coupled_agents,
            }),
            ..Self::of("controller", &config.common, status.started_at, disk)
        }
    }

    /// Of a watch, which was started at this time (in milliseconds since 1970).
    #[must_use]
    pub fn of_watch(config: &WatchConfig, status: &WatchStatus, started_at: i64, disk: Measured) -> Self {
        let nodes = [&config.nodes.first, &config.nodes.second];
        let links = nodes.into_iter().zip(status.is_linked);
        Self {
            pair: Some(PairMetrics::of_watch(status)),
            links: links.map(|(member, is_linked)| (member.node.to_string(), is_linked)).collect(),
            ..Self::of("watch", &config.common, started_at, disk)
        }
    }

    /// Of an agent or a subagent.
    #[must_use]
    pub fn of_worker(common: &Common, status: &WorkerStatus, disk: Measured) -> Self {
        let director = status.director.as_ref();
        let journal =
            |director: &DirectorStatus| JournalMetrics { marks: director.marks, lag: None, held: director.held };
        let kind = if director.is_some() { "agent" } else { "subagent" };
        Self {
            pair: director.and_then(|director| director.pair.as_ref()).map(PairMetrics::of_node),
            journal: director.map(journal),
            director: director.cloned(),
            subagent: Some(status.subagent.clone()),
            ..Self::of(kind, common, status.started_at, disk)
        }
    }

    fn of(kind: &'static str, common: &Common, started_at: i64, disk: Measured) -> Self {
        Self {
            kind,
            cluster: common.cluster.to_string(),
            node: common.node.to_string(),
            started_at,
            process: ProcessUse::of_process(),
            pair: None,
            links: Vec::new(),
            disk,
            journal: None,
            controller: None,
            director: None,
            subagent: None,
        }
    }

    /// As Prometheus reads it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Page::default();
        let Self {
            kind,
            cluster,
            node,
            started_at,
            process,
            pair,
            links,
            disk,
            journal,
            controller,
            director,
            subagent,
        } = self;
        let about = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("kind", *kind),
            ("cluster", cluster.as_str()),
            ("node", node.as_str()),
        ];
        page.family("baton_info", "gauge", "Which daemon this is.");
        page.sample("", &about, 1);
        page.gauge("process_start_time_seconds", "When the process was started, since 1970.", seconds(*started_at));
        page.gauge(
            "process_resident_memory_bytes",
            "Memory of the process that is in the machine's memory.",
            process.resident,
        );
        page.gauge("process_open_fds", "Open files and sockets of the process.", process.descriptors);
        page.gauge("process_threads", "Threads of the process.", process.threads);
        if let Some(pair) = pair {
            pair.render(&mut page);
        }
        if !links.is_empty() {
            page.family("baton_link_up", "gauge", "Whether there is a link to the other node.");
            for (peer, is_linked) in links {
                page.sample("", &[("peer", peer)], u8::from(*is_linked));
            }
        }
        if let Some(bytes) = disk.taken {
            page.gauge("baton_data_bytes", "What the data folder takes on the disk.", bytes);
        }
        if let Some(bytes) = disk.free {
            page.gauge("baton_data_free_bytes", "What is free on the disk of the data folder.", bytes);
        }
        if let Some(journal) = journal {
            journal.render(&mut page);
        }
        if let Some(controller) = controller {
            controller.render(&mut page);
        }
        if let Some(director) = director {
            worker::render_director(director, &mut page);
        }
        if let Some(subagent) = subagent {
            worker::render_subagent(subagent, &mut page);
        }
        page.text
    }
}

impl PairMetrics {
    /// Of a node of the pair.
    #[must_use]
    pub fn of_node(standing: &PairStanding) -> Self {
        Self { is_in_trouble: standing.trouble.is_some(), ..Self::of(Some(standing.part), standing.known) }
    }

    /// Of the watch.
    #[must_use]
    pub fn of_watch(status: &WatchStatus) -> Self {
        Self::of(None, status.known)
    }

    fn of(part: Option<Part>, known: Option<EpochRecord>) -> Self {
        let epoch = known.map_or(0, |known| known.epoch.0);
        let is_coupled = known.is_some_and(|known| known.mode == Mode::Coupled);
        Self { part, epoch, is_coupled, is_in_trouble: false }
    }

    fn render(&self, page: &mut Page) {
        if let Some(part) = self.part {
            let role = |part| match part {
                Part::Active => "active",
                Part::Standby { is_following: true } => "standby",
                Part::Standby { is_following: false } => "standby_waiting",
                Part::Unsure => "unsure",
                Part::Stopped => "stopped",
                Part::Outside => "outside",
            };
            let parts = [
                Part::Active,
                Part::Standby { is_following: true },
                Part::Standby { is_following: false },
                Part::Unsure,
                Part::Stopped,
                Part::Outside,
            ];
            page.family("baton_role", "gauge", "What the node is in its pair: 1 at the role that it has.");
            for other in parts {
                page.sample("", &[("role", role(other))], u8::from(part == other));
            }
        }
        page.gauge("baton_epoch", "The newest epoch that the node knows to be decided.", self.epoch);
        page.gauge("baton_coupled", "Whether each commit is in the journals of both nodes.", u8::from(self.is_coupled));
        page.gauge(
            "baton_trouble",
            "Whether a person has to look at the node; its log says why.",
            u8::from(self.is_in_trouble),
        );
    }
}

impl JournalMetrics {
    fn render(&self, page: &mut Page) {
        let Self { marks, lag, held } = self;
        page.counter("baton_journal_records_total", "Records in the journal, durable or not.", marks.end.0);
        page.counter("baton_journal_durable_records_total", "Records that are on the disk.", marks.durable.0);
        page.counter("baton_journal_committed_records_total", "Records that are committed.", marks.committed.0);
        if let Some(acked) = marks.acked {
            let lag = marks.end.0.saturating_sub(acked.0);
            page.gauge("baton_lag_records", "Records that the standby has not acknowledged.", lag);
        }
        if let Some(lag) = lag {
            page.gauge(
                "baton_lag_seconds",
                "Age of the oldest record that the standby has not acknowledged.",
                lag.as_secs_f64(),
            );
        }
        page.gauge("baton_gate_held", "Answers and messages that wait for commits.", held);
    }
}

impl ControllerMetrics {
    fn render(&self, page: &mut Page) {
        let Self { is_ready, commits, orders, orders_by_state, items, agents, coupled_agents } = self;
        page.gauge("baton_ready", "Whether the controller takes commands.", u8::from(*is_ready));
        let name = "baton_commit_seconds";
        page.family(name, "histogram", "Time from the arrival of a command until it was committed.");
        let mut count = 0;
        for (class, bound) in commits.classes.iter().zip(BOUNDS) {
            count += class;
            page.sample("_bucket", &[("le", &Duration::from_micros(bound).as_secs_f64().to_string())], count);
        }
        count += commits.classes[BOUNDS.len()];
        page.sample("_bucket", &[("le", "+Inf")], count);
        page.sample("_sum", &[], commits.total.as_secs_f64());
        page.sample("_count", &[], count);
        page.gauge("baton_orders", "Orders.", orders);
        if !orders_by_state.is_empty() {
            page.family("baton_orders_by_state", "gauge", "Orders in each state.");
            for (state, count) in orders_by_state {
                page.sample("", &[("state", state)], count);
            }
        }
        page.gauge("baton_items", "Items, each version of a workflow counted.", items);
        page.gauge("baton_agents", "Agents.", agents);
        page.gauge("baton_agents_coupled", "Agents that are coupled.", coupled_agents);
    }
}

/// Milliseconds in seconds.
fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_protocol::record::Offset;
    use std::collections::BTreeSet;

    fn metrics() -> Metrics {
        let marks = Watermarks {
            end: Offset(12),
            durable: Offset(11),
            acked: Some(Offset(9)),
            committed: Offset(9),
            puts: 0,
            durable_puts: 0,
            confirmed: 0,
        };
        let mut commits = CommitTimes { total: Duration::from_millis(1500), ..CommitTimes::default() };
        commits.classes[0] = 2;
        commits.classes[3] = 1;
        commits.classes[BOUNDS.len()] = 1;
        Metrics {
            kind: "controller",
            cluster: "main".into(),
            node: "controller-1".into(),
            started_at: 1_800_000_000_007,
            process: ProcessUse { resident: 4096, descriptors: 7, threads: 3 },
            pair: Some(PairMetrics { part: Some(Part::Active), epoch: 3, is_coupled: true, is_in_trouble: false }),
            disk: Measured { taken: Some(1000), free: None },
            links: vec![("controller-2".into(), true), ("a\"b\\".into(), false)],
            journal: Some(JournalMetrics { marks, lag: Some(Duration::from_millis(250)), held: 2 }),
            controller: Some(ControllerMetrics {
                is_ready: true,
                commits,
                orders: 4,
                orders_by_state: vec![("Fresh", 4)],
                ..ControllerMetrics::default()
            }),
            director: None,
            subagent: None,
        }
    }

    #[test]
    fn what_is_rendered_can_be_read() {
        let text = metrics().render();
        for expected in [
            ",kind=\"controller\",cluster=\"main\",node=\"controller-1\"} 1\n",
            "process_start_time_seconds 1800000000.007\n",
            "baton_role{role=\"active\"} 1\nbaton_role{role=\"standby\"} 0\n",
            "baton_link_up{peer=\"a\\\"b\\\\\"} 0\n",
            "baton_data_bytes 1000\n",
            "baton_lag_records 3\n",
            "baton_lag_seconds 0.25\n",
            "baton_commit_seconds_bucket{le=\"0.0005\"} 2\nbaton_commit_seconds_bucket{le=\"0.001\"} 2\n",
            "baton_commit_seconds_bucket{le=\"15\"} 3\nbaton_commit_seconds_bucket{le=\"+Inf\"} 4\nbaton_commit_seconds_sum 1.5\n\
             baton_commit_seconds_count 4\n",
            "baton_orders_by_state{state=\"Fresh\"} 4\n",
        ] {
            assert!(text.contains(expected), "{expected}{text}");
        }
        // Each family is described once, before its samples; each sample is a number.
        let mut families = BTreeSet::new();
        let mut family = "";
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = help.split(' ').next().unwrap();
                assert!(families.insert(family), "{line}");
            } else if !line.starts_with("# TYPE ") {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(name.starts_with(family) && value.parse::<f64>().is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn what_a_daemon_does_not_have_is_not_told() {
        let text = Metrics { pair: None, links: Vec::new(), journal: None, controller: None, ..metrics() }.render();
        assert!(
            !text.contains("baton_role") && !text.contains("baton_link") && !text.contains("baton_commit"),
            "{text}"
        );
    }
}
