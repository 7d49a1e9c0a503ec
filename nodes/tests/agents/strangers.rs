//! Who may command an agent and a subagent, over real sockets with TLS: this test speaks as their superiors, and as others who would like to.

use super::real::Failure;
use baton_machine::codec::{decode_message, encode_message};
use baton_machine::message::{
    AgentCoupling, FromAgent, FromSubagent, Message, SubagentCoupling, SubagentRefusal, ToAgent, ToSubagent,
};
use baton_net::address::Address;
use baton_net::certificate::{Authority, NodeFiles, write_cluster};
use baton_net::dial::{DialError, Dialler};
use baton_net::handshake::{Introduction, Role};
use baton_net::link::{Receiver, Sender};
use baton_net::name::{ClusterId, NodeId};
use baton_net::network::{Network, Stream};
use baton_net::tls::{OwnFiles, Security, Tls, TlsFiles, WallClock};
use baton_nodes::driver::wall_clock;
use baton_nodes::host::voters::VERSIONS;
use baton_protocol::event_id::EventId;
use baton_protocol::record::Epoch;
use baton_protocol::time::Timestamp;
use baton_workflow::id::{AgentPath, ControllerId, SubagentId};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::time::timeout;

/// Longer than anything takes.
const DEADLINE: Duration = Duration::from_secs(30);

const CLUSTER: &str = "test";

/// A daemon, killed when it is dropped.
struct Daemon {
    folder: TempDir,
    child: Child,
    node: &'static str,
    links: u16,
}

/// A link to it.
struct Link {
    sender: Sender,
    receiver: Receiver<Stream>,
}

fn cluster() -> ClusterId {
    ClusterId::new(CLUSTER).unwrap()
}

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

impl Daemon {
    /// An `agent`, which obeys `boss` and `other`, or a `subagent`.
    fn start(kind: &'static str) -> Self {
        let folder = TempDir::new().unwrap();
        let names = [kind, "boss", "other", "nobody"];
        let nodes: Vec<_> = names.iter().map(|name| NodeFiles { node: node(name), hosts: Vec::new() }).collect();
        for tls in ["tls", "strange"] {
            write_cluster(&folder.path().join(tls), &cluster(), &nodes, wall_clock()).unwrap();
        }
        let links = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let superiors = if kind == "agent" { "controllers" } else { "directors" };
        let config = folder.path().join("config.toml");
        let text = format!(
            "cluster = \"{CLUSTER}\"\nnode = \"{kind}\"\ndata = \"data\"\n[links]\nlisten = \"127.0.0.1:{links}\"\n\
             [superiors]\n{superiors} = [\"boss\", \"other\"]\n[tls]\nauthorities = \"tls/authority.pem\"\n\
             certificate = \"tls/{kind}.pem\"\nkey = \"tls/{kind}.key\"\n"
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command.args([kind, "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), folder, node: kind, links }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits until something is logged.
    async fn has_logged(&self, what: &str) {
        let began = Instant::now();
        while !self.log().contains(what) {
            assert!(began.elapsed() < DEADLINE, "not logged: {what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The certificate of a node, by the authority in this folder.
    fn identity(&self, tls: &str, name: &str) -> Tls {
        let file = |name: String| self.folder.path().join(tls).join(name);
        let own = OwnFiles { certificate: file(format!("{name}.pem")), key: file(format!("{name}.key")) };
        // It trusts the agent, whoever its own certificate is of.
        let authorities = self.folder.path().join(format!("{tls}-authorities.pem"));
        let both =
            ["tls", tls].map(|tls| fs::read_to_string(self.folder.path().join(tls).join("authority.pem")).unwrap());
        fs::write(&authorities, both.concat()).unwrap();
        let files = TlsFiles { authorities, own: Some(own) };
        Tls::from_files(files, WallClock::new(wall_clock)).unwrap()
    }

    /// One that expired long ago.
    fn expired(&self, name: &str) -> Tls {
        let key = fs::read_to_string(self.folder.path().join("tls/authority.key")).unwrap();
        let long_ago = Timestamp::from_millis(wall_clock().as_millis() - 20 * 365 * 86_400_000);
        let authority = Authority::from_key(&cluster(), &key, long_ago).unwrap();
        let mut pem = authority.issue_pem(&node(name), &[], long_ago).unwrap();
        pem.authorities = fs::read(self.folder.path().join("tls/authority.pem")).unwrap();
        // It was valid when it was taken.
        let is_taken = Arc::new(AtomicBool::new(false));
        let taken = Arc::clone(&is_taken);
        let clock = WallClock::new(move || if taken.load(Ordering::Relaxed) { wall_clock() } else { long_ago });
        let tls = Tls::from_pem(pem, clock).unwrap();
        is_taken.store(true, Ordering::Relaxed);
        tls
    }

    /// Dials it, until it listens.
    async fn dial(&self, name: &str, tls: Tls) -> Result<Link, DialError> {
        let role = if self.node == "agent" { Role::Controller } else { Role::Director };
        let me = Introduction { cluster: cluster(), node: node(name), role, versions: VERSIONS, epoch: 0, run: 1 };
        let dialler = Dialler::new(Network::Sockets, Security::Tls(tls));
        let began = Instant::now();
        loop {
            match dialler.dial(&Address::new("127.0.0.1", self.links), &node(self.node), &me).await {
                Ok(connection) => {
                    let (sender, receiver) = connection.open();
                    return Ok(Link { sender, receiver });
                }
                Err(error) if (error.is_refused() || error.is_cut_off()) && began.elapsed() < DEADLINE => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn link(&self, name: &str) -> Link {
        self.dial(name, self.identity("tls", name)).await.unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _: (Result<(), _>, Result<_, _>) = (self.child.kill(), self.child.wait());
    }
}

impl Link {
    /// Says something, and returns the answer; or why the link has ended.
    async fn ask<Q: Message, A: Message>(&mut self, question: &Q) -> Result<A, Failure> {
        self.sender.send(encode_message(question)?)?;
        self.next().await
    }

    async fn next<A: Message>(&mut self) -> Result<A, Failure> {
        Ok(decode_message(&timeout(DEADLINE, self.receiver.next()).await??)?)
    }

    /// Why it ends.
    async fn end(&mut self) -> String {
        let ended = async {
            loop {
                if let Err(reason) = self.receiver.next().await {
                    return reason.to_string();
                }
            }
        };
        timeout(DEADLINE, ended).await.unwrap()
    }
}

fn controller(epoch: u64, run_id: &str) -> ToAgent {
    ToAgent::Couple(AgentCoupling {
        controller_id: ControllerId::new("main"),
        controller_run_id: run_id.to_owned(),
        epoch: Epoch(epoch),
        agent_path: AgentPath::new("A"),
        agent_run_id: None,
        adopted: EventId::BEFORE_FIRST,
        reset: None,
    })
}

fn director(epoch: u64, run_id: &str, force: bool) -> ToSubagent {
    ToSubagent::Couple(SubagentCoupling {
        agent_path: AgentPath::new(run_id),
        agent_run_id: run_id.to_owned(),
        subagent_id: SubagentId::new("subagent"),
        epoch: Epoch(epoch),
        run_id: None,
        received: 0,
        attempts: Vec::new(),
        force,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_obeys_the_controller_of_the_highest_epoch_and_nobody_else() {
    let agent = Daemon::start("agent");
    let mut boss = agent.link("boss").await;
    assert!(matches!(boss.ask(&controller(5, "JOURNAL")).await.unwrap(), FromAgent::Coupled { .. }));
    // Superseded, and of another journal.
    for (epoch, journal, expected) in [(4, "JOURNAL", "ControllerSuperseded"), (6, "BACKUP", "AgentWrongController")] {
        let mut other = agent.link("other").await;
        match other.ask(&controller(epoch, journal)).await.unwrap() {
            FromAgent::Refused { problem } => assert_eq!(&*problem.code, expected, "{problem:?}"),
            answer => panic!("{answer:?}"),
        }
    }
    // None of that disturbs who is coupled.
    boss.sender.send(encode_message(&ToAgent::Beat { session: 1 }).unwrap()).unwrap();
    loop {
        if let FromAgent::Beat { .. } = boss.next().await.unwrap() {
            break;
        }
    }
    // The next one: the former is hung up.
    let mut next = agent.link("other").await;
    assert!(matches!(next.ask(&controller(7, "JOURNAL")).await.unwrap(), FromAgent::Coupled { .. }));
    boss.end().await;
    // It is remembered by an agent that was killed.
    let folder = agent.folder.path().to_owned();
    let mut agent = agent;
    agent.child.kill().unwrap();
    agent.child.wait().unwrap();
    agent.child = again(&folder, "agent");
    let mut late = agent.link("boss").await;
    match late.ask(&controller(6, "JOURNAL")).await.unwrap() {
        FromAgent::Refused { problem } => assert_eq!(&*problem.code, "ControllerSuperseded", "{problem:?}"),
        answer => panic!("{answer:?}"),
    }
}

/// Starts a daemon again.
fn again(folder: &Path, kind: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args([kind, "--config"]).arg(folder.join("config.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subagent_obeys_one_director_of_the_highest_epoch() {
    let subagent = Daemon::start("subagent");
    let mut boss = subagent.link("boss").await;
    let FromSubagent::Coupled { run_id, .. } = boss.ask(&director(5, "JOURNAL", false)).await.unwrap() else {
        panic!()
    };
    // The other director of a pair, which was replaced.
    let mut other = subagent.link("other").await;
    match other.ask(&director(4, "JOURNAL", false)).await.unwrap() {
        FromSubagent::Refused(SubagentRefusal::Superseded { epoch }) => assert_eq!(epoch, Epoch(5)),
        answer => panic!("{answer:?}"),
    }
    // The director of another agent.
    let mut thief = subagent.link("other").await;
    match thief.ask(&director(9, "OTHER", false)).await.unwrap() {
        FromSubagent::Refused(SubagentRefusal::OtherAgent { agent_path, .. }) => {
            assert_eq!(agent_path.as_str(), "JOURNAL")
        }
        answer => panic!("{answer:?}"),
    }
    // By force it gets another run of it, so that both know what has become of what ran.
    let mut thief = subagent.link("other").await;
    match thief.ask(&director(1, "OTHER", true)).await.unwrap() {
        FromSubagent::Coupled { run_id: new, .. } => assert_ne!(new, run_id),
        answer => panic!("{answer:?}"),
    }
    boss.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_not_let_in() {
    let agent = Daemon::start("agent");
    let mut boss = agent.link("boss").await;
    assert!(matches!(boss.ask(&controller(5, "JOURNAL")).await.unwrap(), FromAgent::Coupled { .. }));
    // A node of the cluster that is none of its controllers.
    assert!(agent.link("nobody").await.end().await.contains("ended"));
    agent.has_logged("does not let it command this node").await;
    // Somebody who says to be another node than the certificate.
    let error = agent.dial("boss", agent.identity("tls", "nobody")).await.err().unwrap();
    assert!(error.to_string().contains("boss"), "{error}");
    // With a certificate of an authority that the agent does not trust. What is wrong shows when the first byte is read.
    let outcome = match agent.dial("boss", agent.identity("strange", "boss")).await {
        Ok(mut link) => link.end().await,
        Err(error) => error.to_string(),
    };
    agent.has_logged("issued by none of the authorities").await;
    assert!(!outcome.is_empty());
    // With one that has expired.
    assert!(agent.dial("boss", agent.expired("boss")).await.is_err());
    agent.has_logged("the certificate has expired").await;
    // Somebody known who dials again and again: the oldest of the links that have no use ends.
    let mut links = Vec::new();
    for _ in 0..5 {
        links.push(agent.link("other").await);
    }
    agent.has_logged("has more than 4 links to this node").await;
    links[0].end().await;
    // All that did not disturb who is coupled.
    boss.sender.send(encode_message(&ToAgent::Beat { session: 1 }).unwrap()).unwrap();
    let mut beats = 0;
    while beats < 3 {
        beats += usize::from(matches!(boss.next().await.unwrap(), FromAgent::Beat { .. }));
    }
}
