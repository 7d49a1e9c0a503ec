//! `baton init cluster`: the files of a new cluster, ready to be started: configurations, certificates of an authority of its own, an
//! operator with a secret, and how `baton ctl` reaches them.
//!
//! All files or none are written: they are made beside the folder and moved there as a whole. What is there is never touched.

use super::ports::{MOST_AGENTS, Ports};
use crate::config::SecretHash;
use baton_net::certificate::{CertificateError, NodeFiles, write_cluster};
use baton_net::name::{ClusterId, NameError, NodeId};
use baton_protocol::time::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// This machine.
pub(super) const LOCAL: &str = "127.0.0.1";

/// Bytes of a secret.
const SECRET: usize = 32;

/// The file with the operator's secret.
const TOKEN: &str = "operator.token";

/// The items of the agents, for the controller.
pub(super) const AGENTS: &str = "agents.json";

/// Why no cluster was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The name of the cluster is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// So many hosts cannot be used.
    #[error(
        "there are {0} hosts; expected are those of the first controller, the second and the watch, and of agents if there are any: \
         --hosts one,two,three"
    )]
    Hosts(usize),
    /// A host is none.
    #[error("\"{}\" is no host; expected is a name or an IP address, without a port", .0.escape_debug())]
    Host(String),
    /// So many agents are not written.
    #[error("{0} agents are too many for one machine; expected are {MOST_AGENTS} at most")]
    Agents(usize),
    /// Directors of pairs are two each.
    #[error(
        "{0} hosts for agents are no pairs of directors; expected is an even number of them, or no --director-pairs"
    )]
    OddDirectors(usize),
    /// The ports end before all daemons have theirs.
    #[error("there are not enough ports from {0} on; expected is a number from 1 to 65500")]
    Port(u16),
    /// Somebody has a port already.
    #[error(
        "port {0} is in use on this machine; expected are six free ports in a row from --port on, and two for each agent"
    )]
    PortInUse(u16),
    /// All ports that we try are in use.
    #[error(
        "not enough ports are free on this machine; expected is --port with the first of six free ports in a row, and two for each agent"
    )]
    NoPorts,
    /// There is something already.
    #[error("{} is not empty; expected is a folder that is empty or not there: nothing is ever overwritten", .0.display())]
    NotEmpty(PathBuf),
    /// There is no authority.
    #[error(
        "there is no authority.key in {}; expected is the folder tls that `baton init cluster` has made, or wherever it was brought to", .0.display()
    )]
    NoAuthority(PathBuf),
    /// Something cannot be written or read.
    #[error("{}: {error}", file.display())]
    File {
        /// What.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Certificates cannot be made or written.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers, so there is no secret")]
    NoSecret,
}

/// Where the daemons of a cluster are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    hosts: [String; 3],
    /// Of the agents, or of their directors, two after each other belonging to one agent.
    agents: Vec<String>,
    has_pairs: bool,
    ports: Ports,
}

/// What a daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A controller: first (0) or second (1) of a pair.
    Controller(usize),
    Watch,
    Agent,
}

/// A daemon of a cluster.
#[derive(Clone, Debug)]
struct Daemon {
    kind: Kind,
    node: NodeId,
    host: String,
    links: u16,
    /// For HTTP.
    http: u16,
    /// One of two directors of an agent: where the voters of the pair connect.
    pair: Option<u16>,
}

/// A cluster to be written.
#[derive(Clone, Debug)]
pub struct Cluster {
    id: ClusterId,
    /// Controllers first; further kinds are to follow the watch.
    daemons: Vec<Daemon>,
}

impl Layout {
    /// On these hosts: three, and those of agents; or none for this machine, with so many agents. With `has_pairs` each agent has
    /// two directors, and two hosts one after the other. `first_port` is the first of some
    /// ports in a row; else the usual ones are taken, or some that are free on this machine.
    ///
    /// # Errors
    /// When there are no such hosts or ports.
    pub fn of(hosts: &[String], agents: usize, has_pairs: bool, first_port: Option<u16>) -> Result<Self, InitError> {
        let local = || LOCAL.to_owned();
        let (hosts, agents) = match hosts {
            [] => ([local(), local(), local()], vec![local(); if has_pairs { 2 * agents } else { agents }]),
            [first, second, watch, agents @ ..] => ([first.clone(), second.clone(), watch.clone()], agents.to_vec()),
            hosts => return Err(InitError::Hosts(hosts.len())),
        };
        for host in hosts.iter().chain(&agents) {
            let is_host = format!("{}:1", bracketed(host)).parse::<baton_net::address::Address>().is_ok();
            if !is_host {
                return Err(InitError::Host(host.clone()));
            }
        }
        if has_pairs && agents.len() % 2 == 1 {
            return Err(InitError::OddDirectors(agents.len()));
        }
        let is_local = hosts.iter().chain(&agents).all(|host| host == LOCAL);
        let all: BTreeSet<&String> = hosts.iter().chain(&agents).collect();
        let are_apart = all.len() == hosts.len() + agents.len();
        let count = u16::try_from(agents.len()).ok().filter(|count| *count <= MOST_AGENTS);
        let count = count.ok_or(InitError::Agents(agents.len()))?;
        let ports = match first_port {
            Some(first) => Ports::from(first, count, has_pairs).ok_or(InitError::Port(first))?,
            None if are_apart => Ports::APART,
            None => Ports::free(count, has_pairs).ok_or(InitError::NoPorts)?,
        };
        match ports.used(count, has_pairs).filter(|_| is_local) {
            Some(port) => Err(InitError::PortInUse(port)),
            None => Ok(Self { hosts, agents, has_pairs, ports }),
        }
    }
}

impl Cluster {
    /// A pair of controllers, its watch, and agents.
    ///
    /// # Errors
    /// Never, for the names are good.
    pub fn plan(id: ClusterId, layout: Layout) -> Result<Self, InitError> {
        let Layout { hosts: [first, second, watch], agents, has_pairs, ports } = layout;
        let are_together = ports != Ports::APART;
        let daemon = |kind, node: &str, host, links, http| {
            Ok::<_, NameError>(Daemon { kind, node: NodeId::new(node)?, host, links, http, pair: None })
        };
        let mut daemons = vec![
            daemon(Kind::Controller(0), "controller-1", first, ports.links[0], ports.api[0])?,
            daemon(Kind::Controller(1), "controller-2", second, ports.links[1], ports.api[1])?,
            daemon(Kind::Watch, "watch", watch, ports.links[2], ports.http)?,
        ];
        for (n, host) in (0..).zip(agents) {
            let [links, http, pair] = ports.agent.map(|port| if are_together { port + n } else { port });
            let name = match n % 2 {
                _ if !has_pairs => format!("agent-{}", n + 1),
                0 => format!("agent-{}a", n / 2 + 1),
                _ => format!("agent-{}b", n / 2 + 1),
            };
            let pair = has_pairs.then_some(pair);
            daemons.push(Daemon { pair, ..daemon(Kind::Agent, &name, host, links, http)? });
        }
        Ok(Self { id, daemons })
    }

    /// The cluster's name.
    #[must_use]
    pub fn id(&self) -> &ClusterId {
        &self.id
    }

    /// Whether everything is on this machine.
    #[must_use]
    pub fn is_on_one_machine(&self) -> bool {
        self.daemons.iter().all(|daemon| daemon.host == LOCAL)
    }

    /// The nodes, and their hosts.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeId, &str)> {
        self.daemons.iter().map(|daemon| (&daemon.node, daemon.host.as_str()))
    }

    /// The sub-commands of `baton` that run the nodes, and the nodes.
    pub fn daemons(&self) -> impl Iterator<Item = (&'static str, &NodeId)> {
        self.daemons.iter().map(|daemon| (daemon.kind.command(), &daemon.node))
    }

    /// Writes it into a folder which is empty or not there.
    ///
    /// # Errors
    /// When the folder is not empty, or something cannot be written.
    pub fn write(&self, folder: &Path, now: Timestamp) -> Result<(), InitError> {
        let in_file = |file: &Path| {
            let file = file.to_owned();
            |error| InitError::File { file, error }
        };
        match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(InitError::NotEmpty(folder.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(in_file(folder)(error)),
        }
        let beside = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(beside).map_err(in_file(beside))?;
        // It goes away when something fails.
        let new = tempfile::Builder::new().prefix(".baton-init-").tempdir_in(beside).map_err(in_file(beside))?;
        let write = |name: &str, content: &str, mode| {
            let file = new.path().join(name);
            let mut open = OpenOptions::new();
            let opened = open.write(true).create_new(true).mode(mode).open(&file);
            opened
                .and_then(|mut out| out.write_all(content.as_bytes()).and_then(|()| out.sync_all()))
                .map_err(in_file(&file))
        };

        let mut secret = [0; SECRET];
        SystemRandom::new().fill(&mut secret).map_err(|_| InitError::NoSecret)?;
        let token: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        write(TOKEN, &format!("{token}\n"), 0o600)?;
        write("ctl.toml", &self.ctl(), 0o644)?;
        if self.has_agents() {
            write(AGENTS, &self.agents(), 0o644)?;
        }
        for daemon in &self.daemons {
            write(&format!("{}.toml", daemon.node), &self.configuration(daemon, SecretHash::of(&token)), 0o644)?;
        }
        let nodes: Vec<_> = self.daemons.iter().map(Daemon::certified).collect();
        write_cluster(&new.path().join("tls"), &self.id, &nodes, now)?;

        fs::rename(new.path(), folder).map_err(in_file(folder))?;
        // Nothing is left of it there.
        let _ = new.keep();
        Ok(())
    }

    fn configuration(&self, daemon: &Daemon, operator: SecretHash) -> String {
        let listen = if daemon.host == LOCAL { LOCAL } else { "0.0.0.0" };
        let Daemon { node, links, http, .. } = daemon;
        let mut text = format!(
            "# The {} {node}. `baton {} --config FILE --check-config` tells what is wrong.\n\
             # Paths are relative to the folder of this file.\n\n\
             cluster = \"{}\"\nnode = \"{node}\"\ndata = \"data/{node}\"\n\n\
             # Where other nodes connect.\n[links]\nlisten = \"{listen}:{links}\"\n",
            daemon.kind.words(),
            daemon.kind.command(),
            self.id,
        );
        let member = |name: &str, member: &Daemon| {
            let url = match member.kind {
                Kind::Controller(_) if name == "peer" => format!(", url = \"{}\"", member.url()),
                _ => String::new(),
            };
            format!("{name} = {{ node = \"{}\", address = \"{}\"{url} }}\n", member.node, member.address(member.links))
        };
        let users = format!(
            "[[api.users]]\nname = \"operator\"\npermissions = [\"read\", \"operate\"]\n\
             # The hash of the secret in {TOKEN}.\nsecret_sha256 = \"{}\"\n",
            operator.to_hex()
        );
        // A text takes all that is written.
        _ = match (daemon.kind, self.daemons.as_slice()) {
            (Kind::Controller(seat), [first, second, watch, ..]) => {
                let (name, peer) = if seat == 0 { ("first", second) } else { ("second", first) };
                write!(
                    text,
                    "\n# The HTTP API.\n[api]\nlisten = \"{listen}:{http}\"\nurl = \"{}\"\n\n{users}\n\
                     # Of which pair it is one.\n[pair]\nseat = \"{name}\"\n{}{}",
                    daemon.url(),
                    member("peer", peer),
                    member("watch", watch),
                )
            }
            (Kind::Agent, [first, second, ..]) => write!(
                text,
                "\n# The HTTP API: how it is, and to end it.\n[api]\nlisten = \"{listen}:{http}\"\n\n{users}\n\
                 # Who may command it.\n[superiors]\ncontrollers = [\"{}\", \"{}\"]\n\n\
                 # Where relative paths of executables lead.\n[jobs]\nexecutables = \"executables\"\n{}",
                first.node,
                second.node,
                self.director_pair(daemon, listen),
            ),
            (Kind::Watch, [first, second, ..]) => write!(
                text,
                "\n# Over which pair it watches.\n[nodes]\n{}{}\n# Health and metrics.\n[http]\nlisten = \"{listen}:{http}\"\n",
                member("first", first),
                member("second", second),
            ),
            _ => Ok(()),
        };
        _ = write!(
            text,
            "\n# Whom it trusts, and what it shows.\n[tls]\nauthorities = \"tls/authority.pem\"\n\
             certificate = \"tls/{node}.pem\"\nkey = \"tls/{node}.key\"\n"
        );
        text
    }

    /// Whether there are agents.
    #[must_use]
    pub fn has_agents(&self) -> bool {
        self.daemons.iter().any(|daemon| daemon.kind == Kind::Agent)
    }

    /// The directors of each agent: one, or two.
    fn directors(&self) -> Vec<&[Daemon]> {
        let first = self.daemons.iter().position(|daemon| daemon.kind == Kind::Agent).unwrap_or(self.daemons.len());
        let agents = &self.daemons[first..];
        let has_pairs = agents.first().is_some_and(|daemon| daemon.pair.is_some());
        agents.chunks(if has_pairs { 2 } else { 1 }).collect()
    }

    /// What makes an agent one of two directors. Without a watch of its own, so the active controller is it.
    fn director_pair(&self, daemon: &Daemon, listen: &str) -> String {
        let directors = self.directors().into_iter().find(|them| them.iter().any(|it| it.node == daemon.node));
        let (Some([first, second]), Some(port)) = (directors, daemon.pair) else { return String::new() };
        let (seat, peer) = if daemon.node == first.node { ("first", second) } else { ("second", first) };
        format!(
            "\n# Of which pair of directors it is one. The active controller is the watch.\n[pair]\nseat = \"{seat}\"\n\
             listen = \"{listen}:{port}\"\npeer = {{ node = \"{}\", address = \"{}\" }}\n",
            peer.node,
            peer.address(peer.pair.unwrap_or_default()),
        )
    }

    /// The items by which a controller knows the agents. Each subagent is called like its node, and so is an agent that has one
    /// director.
    fn agents(&self) -> String {
        let mut items = Vec::new();
        for directors in self.directors() {
            let path = match directors {
                [first, _] => first.node.as_str().trim_end_matches('a').to_owned(),
                directors => directors.iter().map(|director| director.node.to_string()).collect(),
            };
            let ids: Vec<String> = directors.iter().map(|director| format!("\"{}\"", director.node)).collect();
            let ids = ids.join(", ");
            items.push(format!("  {{\"TYPE\": \"AgentRef\", \"path\": \"{path}\", \"directors\": [{ids}]}}"));
            for director in directors {
                let (node, address) = (&director.node, director.address(director.links));
                items.push(format!(
                    "  {{\"TYPE\": \"SubagentItem\", \"id\": \"{node}\", \"agentPath\": \"{path}\", \
                     \"uri\": \"https://{node}@{address}\"}}"
                ));
            }
        }
        format!("[\n{}\n]\n", items.join(",\n"))
    }

    fn ctl(&self) -> String {
        let controllers = self.daemons.iter().filter(|daemon| matches!(daemon.kind, Kind::Controller(_)));
        let urls: Vec<_> = controllers.map(|daemon| format!("\"{}\"", daemon.url())).collect();
        let mut text = format!(
            "# How `baton ctl` reaches the cluster. Paths are relative to the folder of this file.\n\n\
             urls = [{}]\nauthorities = \"tls/authority.pem\"\ntoken_file = \"{TOKEN}\"\n",
            urls.join(", ")
        );
        if self.has_agents() {
            text.push_str(
                "\n# Agents and subagents, for `baton ctl status NODE` and `baton ctl terminate --at NODE`.\n[nodes]\n",
            );
            for agent in self.daemons.iter().filter(|daemon| daemon.kind == Kind::Agent) {
                // A text takes all that is written.
                _ = writeln!(text, "{} = \"{}\"", agent.node, agent.url());
            }
        }
        text
    }
}

impl Kind {
    fn command(self) -> &'static str {
        match self {
            Self::Controller(_) => "controller",
            Self::Watch => "watch",
            Self::Agent => "agent",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Controller(_) => "controller",
            Self::Watch => "cluster watch",
            Self::Agent => "agent",
        }
    }
}

impl Daemon {
    fn address(&self, port: u16) -> String {
        format!("{}:{port}", bracketed(&self.host))
    }

    fn url(&self) -> String {
        format!("https://{}", self.address(self.http))
    }

    fn certified(&self) -> NodeFiles {
        let mut hosts = vec![self.host.clone(), "localhost".to_owned(), LOCAL.to_owned()];
        hosts.dedup();
        NodeFiles { node: self.node.clone(), hosts }
    }
}

/// As a host is written in an address.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AgentConfig, Checked as _, ControllerConfig, Environment, Permission, WatchConfig};
    use crate::driver::wall_clock;
    use baton_net::tls::WallClock;
    use std::os::unix::fs::PermissionsExt as _;

    fn write(folder: &Path, hosts: &[&str], port: Option<u16>) -> Result<Cluster, InitError> {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let cluster = Cluster::plan(
            ClusterId::new("main")?,
            Layout::of(&hosts, if hosts.is_empty() { 2 } else { 0 }, false, port)?,
        )?;
        cluster.write(folder, wall_clock()).map(|()| cluster)
    }

    fn controller(folder: &Path, node: &str) -> ControllerConfig {
        ControllerConfig::read(&folder.join(format!("{node}.toml")), &Environment::default()).unwrap()
    }

    #[test]
    fn what_is_written_has_no_mistake() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("new/demo");
        let cluster = write(&folder, &[], None).unwrap();
        assert!(cluster.is_on_one_machine());
        let clock = WallClock::new(wall_clock);
        let token = fs::read_to_string(folder.join(TOKEN)).unwrap();
        let (first, second) = (controller(&folder, "controller-1"), controller(&folder, "controller-2"));
        let watch = WatchConfig::read(&folder.join("watch.toml"), &Environment::default()).unwrap();
        let agent = AgentConfig::read(&folder.join("agent-2.toml"), &Environment::default()).unwrap();
        assert_eq!(agent.check(&clock).as_slice(), []);
        assert_eq!(agent.controllers, [first.common.node.clone(), second.common.node.clone()]);
        let items = fs::read_to_string(folder.join(AGENTS)).unwrap();
        assert!(items.contains(&format!("https://agent-2@{}", agent.common.links)), "{items}");
        for findings in [first.check(&clock), second.check(&clock), watch.check(&clock)] {
            assert_eq!(findings.as_slice(), [], "{findings}");
        }
        for config in [&first, &second] {
            let [user] = &config.api.users[..] else { panic!("{:?}", config.api) };
            assert!(user.secret.is_of(token.trim_end()));
            assert_eq!(user.permissions, [Permission::Read, Permission::Operate]);
        }
        assert_eq!(first.urls(), second.urls());
        assert_eq!(first.urls()[1], Some(format!("https://{}", second.api.listen)));
        let (pair_1, pair_2) = (first.pair.unwrap(), second.pair.unwrap());
        assert_eq!((pair_1.seat.peer(), &pair_1.watch), (pair_2.seat, &pair_2.watch));
        assert_eq!(pair_1.peer.address, second.common.links);
        assert_eq!(pair_2.peer.address, first.common.links);
        assert_eq!(pair_1.watch.address, watch.common.links);
        assert_eq!((&watch.nodes.first, &watch.nodes.second), (&pair_2.peer, &pair_1.peer));
        assert_eq!(fs::metadata(folder.join(TOKEN)).unwrap().permissions().mode() & 0o777, 0o600);
        let ctl = fs::read_to_string(folder.join("ctl.toml")).unwrap();
        assert!(ctl.contains(&format!("https://{}", first.api.listen)), "{ctl}");
        let api = agent.api.unwrap();
        assert!(ctl.contains(&format!("agent-2 = \"https://{}\"", api.listen)) && api.users.len() == 1, "{ctl}");
        let left: Vec<_> = fs::read_dir(parent.path().join("new")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn daemons_may_be_on_other_hosts() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = write(folder.path(), &["one.example", "fe80::2", "10.0.0.3"], None).unwrap();
        assert!(!cluster.is_on_one_machine());
        let first = controller(folder.path(), "controller-1");
        assert_eq!(first.common.links.to_string(), "0.0.0.0:4454");
        assert_eq!(first.api.url.as_deref(), Some("https://one.example:4444"));
        let pair = first.pair.unwrap();
        assert_eq!(pair.peer.address.to_string(), "[fe80::2]:4454");
        assert_eq!(pair.watch.address.to_string(), "10.0.0.3:4454");
    }

    #[test]
    fn agents_may_have_two_directors() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::of(&[], 2, true, None).unwrap();
        let cluster = Cluster::plan(ClusterId::new("main").unwrap(), layout).unwrap();
        cluster.write(&folder.path().join("x"), wall_clock()).unwrap();
        let read = |node: &str| {
            let config =
                AgentConfig::read(&folder.path().join(format!("x/{node}.toml")), &Environment::default()).unwrap();
            assert_eq!(config.check(&WallClock::new(wall_clock)).as_slice(), []);
            config.pair.unwrap()
        };
        let (first, second) = (read("agent-2a"), read("agent-2b"));
        assert_eq!((first.seat.peer(), &first.peer.address), (second.seat, &second.listen));
        assert_eq!((second.peer.node.as_str(), &second.peer.address), ("agent-2a", &first.listen));
        assert_eq!((first.watch, second.watch), (None, None));
        let items = fs::read_to_string(folder.path().join("x").join(AGENTS)).unwrap();
        assert!(items.contains(r#""path": "agent-2", "directors": ["agent-2a", "agent-2b"]"#), "{items}");
        assert!(items.contains(r#""id": "agent-2b", "agentPath": "agent-2""#), "{items}");
        let hosts = ["a", "b", "c", "d"].map(String::from);
        assert!(matches!(Layout::of(&hosts, 0, true, None), Err(InitError::OddDirectors(1))));
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), "").unwrap();
        let error = write(folder.path(), &[], None).unwrap_err();
        assert!(matches!(error, InitError::NotEmpty(_)), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn mistakes_are_told() {
        let folder = tempfile::tempdir().unwrap();
        for (hosts, port, expected) in [
            (&["a"][..], None, "there are 1 hosts"),
            (&["a", "b", "c:1"], None, "\"c:1\" is no host"),
            (&[], Some(65_535), "not enough ports from 65535 on"),
        ] {
            let error = write(folder.path(), hosts, port).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
