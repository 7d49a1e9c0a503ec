//! Three hosts on a simulated network, each with a simulated disk: two controllers and a watch as the daemons run them, with mutual
//! TLS and HTTP. And clients, who count what was answered.

use baton_machine::controller::ControllerConfig;
use baton_machine::replica::Locality;
use baton_machine::timing::Timing as MachineTiming;
use baton_net::address::Address;
use baton_net::certificate::{Authority, KeyKind};
use baton_net::handshake::{Role, Versions};
use baton_net::http::client::Client;
use baton_net::name::{ClusterId, NodeId};
use baton_net::network::Network::Simulated;
use baton_net::tls::{Security, Tls, TlsPem, WallClock};
use baton_nodes::api::{self, ApiConfig, COMMAND_ID, encode};
use baton_nodes::config::{Permission, SecretHash, User};
use baton_nodes::daemon::node::{self, Membership, PairPlace, Place};
use baton_nodes::daemon::stop::Control;
use baton_nodes::driver::{Clock, Journal, Operator, Saying, SimulatedDisk, Surroundings};
use baton_nodes::host::standing::Standing;
use baton_nodes::host::voters::{Me, VERSIONS, Voter};
use baton_protocol::pair::Part;
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::{Mode, Seat};
use baton_protocol::time::Timestamp;
use baton_storage::simulated::{SimDisk, Tail};
use baton_workflow::id::ControllerId;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use turmoil::{Builder, Sim};

pub(crate) const SEATS: [Seat; 3] = [Seat::First, Seat::Second, Seat::Watch];

/// What every host's clock shows in the beginning.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Where links are accepted.
const LINKS: u16 = 4454;

/// Where HTTP is answered.
const API: u16 = 4444;

const SECRET: &str = "a secret for tests";

/// Take-overs have to be over within this time, whatever fails alone.
pub(crate) const BOUND: Duration = Timing::TAKE_OVER;

pub(crate) fn name(seat: Seat) -> &'static str {
    ["first", "second", "watch"][seat as usize]
}

/// How one host is configured.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) cluster: &'static str,
    /// Where it thinks that it sits.
    pub(crate) seat: Seat,
    pub(crate) versions: Versions,
    pub(crate) tls: Tls,
    pub(crate) disk: SimulatedDisk,
    /// An image is taken after so many bytes of records.
    pub(crate) image_after: u64,
    /// Ends its process.
    death: Arc<Notify>,
}

/// What has happened, and what the clients know.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    standings: BTreeMap<&'static str, Standing>,
    /// Orders that were answered, and those of which it is not known.
    acknowledged: BTreeSet<String>,
    /// How often it was looked whether they are there.
    audits: usize,
    last_answer: Duration,
}

impl Log {
    pub(crate) fn add(&self, line: &str) {
        let at = turmoil::sim_elapsed().unwrap_or_default();
        self.0.lock().unwrap().lines.push(format!("{at:?} {line}"));
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().lines.clone()
    }

    pub(crate) fn acknowledged(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().acknowledged.clone()
    }

    pub(crate) fn audits(&self) -> usize {
        self.0.lock().unwrap().audits
    }

    pub(crate) fn audited(&self) {
        self.0.lock().unwrap().audits += 1;
    }

    pub(crate) fn last_answer(&self) -> Duration {
        self.0.lock().unwrap().last_answer
    }

    pub(crate) fn standing(&self, seat: Seat) -> Option<Standing> {
        self.0.lock().unwrap().standings.get(name(seat)).copied()
    }

    /// Both do what they should: `active` commits with the other one.
    pub(crate) fn is_coupled(&self, active: Seat) -> bool {
        let leads = self.standing(active).is_some_and(|standing| {
            standing.is_active() && standing.is_coupled() && standing.marks.acked == Some(standing.marks.end)
        });
        let follows = self.standing(active.peer()).and_then(|standing| standing.pair);
        leads && follows.is_some_and(|pair| pair.part == Part::Standby { is_following: true })
    }

    pub(crate) fn is_active(&self, seat: Seat) -> bool {
        self.standing(seat).is_some_and(|standing| standing.is_active())
    }

    fn answered(&self, order: String) {
        let mut seen = self.0.lock().unwrap();
        seen.acknowledged.insert(order);
        seen.last_answer = turmoil::sim_elapsed().unwrap_or_default();
    }
}

/// The world.
pub(crate) struct World {
    pub(crate) sim: Sim<'static>,
    pub(crate) setups: Arc<Mutex<[Setup; 3]>>,
    pub(crate) log: Log,
    pub(crate) authority: Arc<Authority>,
    /// How many have acted once.
    acted: usize,
}

impl World {
    /// With hosts that are configured as they should be; `change` may change that.
    pub(crate) fn new(seed: u64, change: impl FnOnce(&mut [Setup; 3], &Authority)) -> Self {
        // For who looks for the cause of a failure: `BATON_TEST_LOG=1`.
        if std::env::var_os("BATON_TEST_LOG").is_some() {
            let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).try_init();
        }
        let sim = Builder::new()
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH)
            .enable_random_order()
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(5))
            .simulation_duration(Duration::from_secs(600))
            .build();
        let authority = Arc::new(Authority::new(&ClusterId::new("test").unwrap(), KeyKind::Ed25519, NOW).unwrap());
        let mut setups = SEATS.map(|seat| Setup {
            cluster: "test",
            seat,
            versions: VERSIONS,
            tls: tls(&authority, seat, NOW),
            disk: SimulatedDisk { disk: SimDisk::new(), sync: Duration::from_millis(2) },
            image_after: 64 << 20,
            death: Arc::default(),
        });
        change(&mut setups, &authority);
        let mut world = Self { sim, setups: Arc::new(Mutex::new(setups)), log: Log::default(), authority, acted: 0 };
        for seat in SEATS {
            let (setups, log) = (Arc::clone(&world.setups), world.log.clone());
            world.sim.host(name(seat), move || {
                let setup = setups.lock().unwrap()[seat as usize].clone();
                let log = log.clone();
                async move {
                    let death = Arc::clone(&setup.death);
                    let ended = tokio::select! {
                        biased;
                        () = death.notified() => "killed".to_owned(),
                        ended = run(seat, setup, seed, &log) => ended,
                    };
                    log.0.lock().unwrap().standings.remove(name(seat));
                    log.add(&format!("{} ends: {ended}", name(seat)));
                    // The machine is still there.
                    std::future::pending().await
                }
            });
        }
        world
    }

    /// Goes on until something is so.
    pub(crate) fn until(&mut self, what: &str, within: Duration, is_so: impl Fn(&Log) -> bool) -> Duration {
        let began = self.sim.elapsed();
        while !is_so(&self.log) {
            let elapsed = self.sim.elapsed() - began;
            assert!(elapsed <= within, "not {what} within {within:?}: {:#?}", self.log.lines());
            self.sim.step().unwrap();
        }
        self.sim.elapsed() - began
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.sim.elapsed() + time;
        while self.sim.elapsed() < until {
            self.sim.step().unwrap();
        }
    }

    /// Kills a process: its host is there, and says so.
    pub(crate) fn kill(&mut self, seat: Seat) {
        let setup = self.setups.lock().unwrap()[seat as usize].clone();
        setup.disk.disk.crash(Tail::default());
        setup.death.notify_one();
    }

    /// A machine is gone: nobody answers there any more. Of what was not synced nothing reaches the disk.
    pub(crate) fn crash(&mut self, seat: Seat) {
        self.sim.crash(name(seat));
        self.setups.lock().unwrap()[seat as usize].disk.disk.crash(Tail::default());
        self.log.0.lock().unwrap().standings.remove(name(seat));
        self.log.add(&format!("the machine of {} is gone", name(seat)));
    }

    pub(crate) fn restart(&mut self, seat: Seat) {
        self.sim.bounce(name(seat));
    }

    /// Cuts a host off from all others.
    pub(crate) fn cut_off(&mut self, seat: Seat) {
        for other in SEATS.into_iter().filter(|other| *other != seat) {
            self.sim.partition(name(seat), name(other));
        }
        self.log.add(&format!("{} is cut off", name(seat)));
    }

    pub(crate) fn mend(&mut self) {
        for (a, b) in [("first", "second"), ("first", "watch"), ("second", "watch")] {
            self.sim.repair(a, b);
        }
        self.log.add("the network is mended");
    }

    /// A client that adds an order again and again, each with an id, at whichever node is active.
    pub(crate) fn client(&mut self, client: &'static str) {
        let log = self.log.clone();
        let authority = Arc::clone(&self.authority);
        self.sim.client(client, async move {
            let callers = [Seat::First, Seat::Second].map(|seat| http(&authority, seat));
            let mut turn = 0;
            for n in 0.. {
                let order = format!("{client}-{n}");
                // The same id until it is answered.
                while !add(&callers[turn % 2], &order).await {
                    turn += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                log.answered(order);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        });
    }

    /// Somebody does something once.
    pub(crate) fn once<F>(&mut self, act: impl FnOnce(Arc<Authority>) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let acting = act(Arc::clone(&self.authority));
        self.acted += 1;
        self.sim.client(format!("person-{}", self.acted), async move {
            acting.await;
            Ok(())
        });
    }
}

/// The certificate and key of a host, which are valid from `since`.
pub(crate) fn tls(authority: &Authority, seat: Seat, since: Timestamp) -> Tls {
    // A certificate that has expired is complained of, but it was valid when a node took it.
    let is_taken = Arc::new(AtomicBool::new(false));
    let (now, taken) = (clock(), Arc::clone(&is_taken));
    let clock = WallClock::new(move || if taken.load(Ordering::Relaxed) { now.now() } else { since });
    let tls = Tls::from_pem(pem(authority, seat, since), clock).unwrap();
    is_taken.store(true, Ordering::Relaxed);
    tls
}

pub(crate) fn pem(authority: &Authority, seat: Seat, since: Timestamp) -> TlsPem {
    authority.issue_pem(&NodeId::new(name(seat)).unwrap(), &[name(seat).to_owned()], since).unwrap()
}

fn clock() -> WallClock {
    WallClock::new(|| {
        let passed = turmoil::sim_elapsed().unwrap_or_default();
        Timestamp::from_millis(NOW.as_millis() + i64::try_from(passed.as_millis()).unwrap())
    })
}

/// Runs a host until its node halts.
async fn run(seat: Seat, setup: Setup, seed: u64, log: &Log) -> String {
    let node = |seat: Seat| NodeId::new(name(seat)).unwrap();
    let voter = |seat| Voter { seat, node: node(seat), address: Address::new(name(seat), LINKS) };
    let security = Security::Tls(setup.tls.clone());
    let membership = Membership {
        me: Me {
            cluster: ClusterId::new(setup.cluster).unwrap(),
            node: node(seat),
            seat: setup.seat,
            role: if seat == Seat::Watch { Role::Watch } else { Role::Controller },
            versions: setup.versions,
        },
        // Who sits in the wrong seat takes the other one for the second.
        others: match (seat, setup.seat) {
            (Seat::Second, Seat::First) => vec![Voter { seat: Seat::Second, ..voter(Seat::First) }, voter(Seat::Watch)],
            _ => seat.others().map(voter).into(),
        },
        listen: Address::new("0.0.0.0", LINKS),
        network: Simulated,
        security: security.clone(),
    };
    let opened = match Journal::simulated(&setup.disk) {
        Ok(opened) => opened,
        Err(error) => return error.to_string(),
    };
    let began = turmoil::sim_elapsed().unwrap_or_default();
    let millis = i64::try_from(began.as_millis()).unwrap();
    let surroundings = Surroundings {
        clock: Clock::simulated(Timestamp::from_millis(NOW.as_millis() + millis)),
        image_after: setup.image_after,
        seed: seed ^ (seat as u64) << 32 ^ u64::try_from(millis).unwrap(),
    };
    let (operator, mut news) = Operator::new(name(seat));
    if seat == Seat::Watch {
        let started = node::start_watch(&membership, Timing::DEFAULT, opened, operator, surroundings).await;
        let started = started.unwrap();
        let mut status = started.status.clone();
        loop {
            tokio::select! {
                biased;
                Ok(()) = status.changed() => {
                    let known = status.borrow_and_update().known;
                    log.add(&format!("watch: {:?}", known.map(|known| (known.epoch, known.active, known.mode))));
                }
                saying = news.next() => if let Saying::Halted(halted) = saying { return halted.to_string() },
            }
        }
    }
    let config = ControllerConfig {
        controller_id: ControllerId::new("Controller"),
        node_id: name(seat).to_owned(),
        locality: Locality::default(),
        timing: MachineTiming::DEFAULT,
    };
    let pair = Some(Place::Pair(Box::new(PairPlace { membership, timing: Timing::DEFAULT, urls: Default::default() })));
    let started =
        node::start_controller(config, pair, Some(Duration::ZERO), opened, operator, surroundings).await.unwrap();
    let api = ApiConfig {
        network: Simulated,
        listen: Address::new("0.0.0.0", API),
        security,
        users: vec![User {
            name: "tester".to_owned(),
            secret: SecretHash::of(SECRET),
            permissions: vec![Permission::Read, Permission::Operate],
        }],
        urls: [Seat::First, Seat::Second].map(|seat| Some(format!("https://{}:{API}", name(seat)))),
        metrics: Arc::new(|_| String::new()),
        control: Control::new().0,
    };
    let _api = api::serve(api, started.client.clone()).await.unwrap();
    let mut standing = started.client.standing();
    let mut shown = None;
    loop {
        tokio::select! {
            biased;
            Ok(()) = standing.changed() => {
                let standing = *standing.borrow_and_update();
                log.0.lock().unwrap().standings.insert(name(seat), standing);
                let show = standing.pair.map(|pair| {
                    let known = pair.known.map(|known| (known.epoch.0, known.active, known.mode));
                    (pair.part, known, pair.trouble)
                });
                if show != shown {
                    log.add(&format!("{}: {show:?}", name(seat)));
                    shown = show;
                }
            }
            saying = news.next() => if let Saying::Halted(halted) = saying {
                return halted.to_string();
            },
        }
    }
}

/// A caller of a node's API.
pub(crate) fn http(authority: &Authority, seat: Seat) -> Client {
    let pem = authority.issue_pem(&NodeId::new("client").unwrap(), &[], NOW).unwrap();
    let security = Security::Tls(Tls::from_pem(pem, clock()).unwrap());
    Client::new(Simulated, security, Address::new(name(seat), API)).unwrap()
}

pub(crate) fn request(method: &str, path: &str, id: Option<&str>, body: String) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(path).header("Authorization", format!("Bearer {SECRET}"));
    if let Some(id) = id {
        request = request.header(COMMAND_ID, id);
    }
    if method == "POST" {
        request = request.header("Content-Type", "application/json");
    }
    request.body(Bytes::from(body)).unwrap()
}

/// Adds an order. Whether that was answered with success.
async fn add(caller: &Client, order: &str) -> bool {
    let command = format!(r#"{{"TYPE":"AddOrder","order":{{"id":"{order}","workflowPath":"W","planId":[]}}}}"#);
    let request = request("POST", "/controller/api/command", Some(order), command);
    let answer = caller.exchange(request, Duration::from_secs(2)).await;
    tracing::info!("{order}: {answer:?}");
    answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
}

/// Deploys the workflow of the clients' orders: it waits for a person.
pub(crate) async fn deploy(authority: &Authority) {
    let workflow =
        r#"{"TYPE":"Workflow","path":"W","versionId":"1","instructions":[{"TYPE":"Prompt","question":"'?'"}]}"#;
    let body = format!(
        r#"{{"operations":[{{"TYPE":"AddVersion","versionId":"1"}},{{"TYPE":"AddOrChangeVersioned","item":{workflow}}}]}}"#
    );
    post(authority, "/controller/api/item", &body).await;
}

/// Asks the active node, until it does what is asked for.
pub(crate) async fn post(authority: &Authority, path: &str, body: &str) {
    let callers = [Seat::First, Seat::Second].map(|seat| http(authority, seat));
    for turn in 0.. {
        let request = request("POST", path, Some(path), body.to_owned());
        let answer = callers[turn % 2].exchange(request, Duration::from_secs(20)).await;
        tracing::info!("{path}: {answer:?}");
        if let Ok(answer) = &answer
            && answer.status() == StatusCode::OK
        {
            return;
        }
        assert!(turn < 200, "{path} is not done: {answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The ids of all orders.
pub(crate) async fn orders(authority: &Authority, seat: Seat) -> BTreeSet<String> {
    let caller = http(authority, seat);
    let (mut ids, mut after) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/controller/api/order?limit=1000{after}");
        let answer =
            caller.exchange(request("GET", &path, None, String::new()), Duration::from_secs(20)).await.unwrap();
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{text}");
        let page: Page = serde_json::from_str(&text).unwrap();
        ids.extend(page.orders.into_iter().map(|order| order.id));
        match page.next {
            Some(next) => after = format!("&after={}", encode(&next)),
            None => return ids,
        }
    }
}

#[derive(serde::Deserialize)]
struct Page {
    orders: Vec<Listed>,
    next: Option<String>,
}

#[derive(serde::Deserialize)]
struct Listed {
    id: String,
}

/// What a node says of how the pair works.
pub(crate) fn mode(standing: Option<Standing>) -> Option<Mode> {
    standing.and_then(|standing| standing.pair).and_then(|pair| pair.known).map(|known| known.mode)
}
