//! Rounds of faults against a cluster that works: each begins with a coupled pair, ends with one, and whoever gives commands or reads
//! events notices nothing but a pause.

use super::clients::{Caller, Client, Request};
use super::endings;
use super::faults::{Fault, Kind, Step};
use super::health::Health;
use super::installation::{Installation, Links, name};
use super::oracle::READERS;
use super::reader::Reader;
use super::{Access, Failure};
use crate::figures::Times;
use baton_protocol::pair::timing::Timing;
use baton_protocol::random::Random;
use baton_protocol::register::Seat;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// So many clients give commands.
const CLIENTS: u64 = 4;

/// The longest pause of a client between two commands, in milliseconds.
const CLIENT_PAUSE: u64 = 100;

/// After any faults are healed, there is one active node and it is coupled within this time.
const COUPLED: Duration = Duration::from_secs(30);

/// After a single failure, commands are answered again within this time.
const TAKE_OVER: Duration = Timing::TAKE_OVER;

/// A process that was told to end is not started again before it has ended, but no later than this: it waits for the others to
/// agree for 10 s.
const AGREED: Duration = Duration::from_secs(12);

/// After so many rounds the whole cluster is stopped, compared and started again; and at the end.
const COMPARED: u64 = 50;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// So many rounds at most.
    pub(crate) rounds: u64,
    /// After this time no round begins.
    pub(crate) time: Duration,
    /// The longest time that a fault lasts.
    pub(crate) longest: Duration,
    /// What the machine may take longer than promised.
    pub(crate) slack: Duration,
    /// Whose faults come first, in this order; later ones are drawn.
    pub(crate) first: Vec<Kind>,
}

/// How it went.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How long no command was answered, by kind of fault.
    pub(crate) pauses: BTreeMap<Kind, Times>,
    /// How long it took from the end of all faults until the pair was coupled.
    pub(crate) healing: Times,
    pub(crate) rounds: u64,
}

/// Does it all in a folder that is not there yet, and tells how it goes on.
pub(crate) async fn run(plan: &Plan, folder: &Path, say: &(dyn Fn(String) + Sync)) -> Result<Report, Failure> {
    let mut installation = Installation::new(folder, Links::Cuttable)?;
    let random = Random::new(plan.seed);
    let mut chaos = Chaos {
        health: Health { access: Access::new(&installation)?, oracle: Arc::default() },
        random: random.child("faults"),
        report: Report::default(),
        plan,
    };
    installation.start_all()?;
    chaos.health.working(&mut installation, None, COUPLED + plan.slack).await?;
    Caller::new(Access::new(&installation)?).give(&Request::workflows()).await;
    let readers = chaos.readers(&installation, &random)?;
    let (stop, clients) = chaos.clients(&installation, &random)?;
    let began = Instant::now();
    let mut result: Result<(), Failure> = Ok(());
    while result.is_ok() && chaos.report.rounds < plan.rounds && began.elapsed() < plan.time {
        let number = chaos.report.rounds;
        result = chaos.round(&mut installation, say).await.map_err(|error| format!("round {number}: {error}").into());
        chaos.report.rounds += 1;
    }
    stop.send_replace(true);
    for client in clients {
        if result.is_err() {
            client.abort();
        }
        // It is over, however it ended.
        let _ = client.await;
    }
    result?;
    let active = chaos.health.working(&mut installation, None, COUPLED + plan.slack).await?;
    let records = chaos.stop_and_compare(&mut installation, active).await?;
    readers.iter().for_each(JoinHandle::abort);
    let counts = chaos.health.oracle.counts();
    say(format!(
        "{counts:?}, {records} records in both journals, {} epochs with an active node",
        chaos.health.oracle.epochs()
    ));
    Ok(chaos.report)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rounds. The longest time in which no command was answered, by what was done:", self.rounds)?;
        for (kind, times) in &self.pauses {
            writeln!(f, "  {kind:<28} {times}")?;
        }
        writeln!(f, "From the end of the faults until the pair was coupled and commands were answered:")?;
        writeln!(f, "  {:<28} {}", "", self.healing)
    }
}

struct Chaos<'p> {
    health: Health,
    random: Random,
    report: Report,
    plan: &'p Plan,
}

impl Chaos<'_> {
    fn readers(&self, installation: &Installation, random: &Random) -> Result<Vec<JoinHandle<()>>, Failure> {
        let reader = |number| {
            let hops = (number > 0).then(|| random.numbered_child("reader", number as u64));
            let (access, oracle) = (Access::new(installation)?, Arc::clone(&self.health.oracle));
            Ok(tokio::spawn(Reader { number, access, oracle, random: hops }.run()))
        };
        (0..READERS).map(reader).collect()
    }

    fn clients(
        &self,
        installation: &Installation,
        random: &Random,
    ) -> Result<(watch::Sender<bool>, Vec<JoinHandle<()>>), Failure> {
        let (stop, stopped) = watch::channel(false);
        let client = |number| {
            let (access, oracle) = (Access::new(installation)?, Arc::clone(&self.health.oracle));
            let client = Client::new(format!("c{number}"), access, oracle, random.numbered_child("client", number));
            Ok(tokio::spawn(client.run(CLIENT_PAUSE, stopped.clone())))
        };
        let clients = (0..CLIENTS).map(client).collect::<Result<_, Failure>>()?;
        Ok((stop, clients))
    }

    async fn round(&mut self, installation: &mut Installation, say: &(dyn Fn(String) + Sync)) -> Result<(), Failure> {
        let (number, limit) = (self.report.rounds, COUPLED + self.plan.slack);
        let active = self.health.working(installation, None, limit).await?;
        if number > 0 && number.is_multiple_of(COMPARED) {
            self.stop_and_compare(installation, active).await?;
        }
        let planned = usize::try_from(number).ok().and_then(|number| self.plan.first.get(number)).copied();
        let kind = planned.unwrap_or_else(|| Kind::draw(&mut self.random));
        let fault = Fault::draw(kind, active, self.plan.longest, &mut self.random);
        let began = Instant::now();
        for (at, step) in &fault.steps {
            self.health.wait(installation, began + *at).await?;
            self.take(installation, *step).await.map_err(|error| format!("{kind}, {step:?}: {error}"))?;
        }
        installation.heal()?;
        let healed = Instant::now();
        let now_active = self.health.working(installation, Some(healed), limit).await;
        let now_active = now_active.map_err(|error| format!("{kind}: {error}"))?;
        let healing = healed.elapsed();
        self.health.everything_is_read(TAKE_OVER + self.plan.slack).await?;
        let pause = self.health.oracle.longest_pause(began, Instant::now());
        self.report.pauses.entry(kind).or_default().add(pause);
        self.report.healing.add(healing);
        let (whole, pause, healing) = ((healed - began).as_secs_f64(), pause.as_secs_f64(), healing.as_secs_f64());
        let over = if active == now_active { "stays" } else { "is now" };
        say(format!(
            "round {number:>3}: {kind:<28} {whole:6.2} s, no answers for {pause:6.3} s, coupled after {healing:6.3} s; active {over} {}",
            name(now_active)
        ));
        let promised = (TAKE_OVER + self.plan.slack).as_secs_f64();
        if kind.is_single() && pause > promised {
            return Err(format!("{kind}: no command was answered for {pause:.3} s, promised are {promised} s").into());
        }
        Ok(())
    }

    async fn take(&self, installation: &mut Installation, step: Step) -> Result<(), Failure> {
        match step {
            Step::Kill(seat) => installation.kill(seat)?,
            Step::Start(seat) => {
                // Who was told to end does so in its own time, or is refused to.
                let _ = installation.ended(seat, AGREED).await?;
                installation.start(seat)?;
            }
            Step::Pause(seat) => installation.pause(seat, true)?,
            Step::GoOn(seat) => installation.pause(seat, false)?,
            Step::Cut(from, to) => installation.cut(from, to, true),
            Step::Open(from, to) => installation.cut(from, to, false),
            Step::Break(from, to) => installation.break_off(from, to),
            Step::Terminate(seat) => installation.terminate(seat)?,
            Step::Ask(seat, path) => {
                if path.starts_with("terminate") && !path.contains("restart=true") {
                    installation.may_end(seat);
                }
                // What comes of it is seen by everybody.
                let _ = self.health.access.post(seat, &format!("/controller/api/{path}"), None, "{}").await;
            }
        }
        Ok(())
    }

    async fn stop_and_compare(&self, installation: &mut Installation, active: Seat) -> Result<u64, Failure> {
        endings::stop_all(installation, active).await?;
        let records = endings::compare(installation, &self.health.oracle)?;
        installation.start_all()?;
        self.health.working(installation, None, COUPLED + self.plan.slack).await?;
        self.health.everything_is_read(TAKE_OVER + self.plan.slack).await?;
        Ok(records)
    }
}
