//! Two controllers and a watch as processes: written by `baton init cluster`, started, killed, paused, cut off from each other.

use super::Failure;
use super::proxy::Proxy;
use baton_protocol::register::Seat;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Those which keep the journal.
pub(crate) const NODES: [Seat; 2] = [Seat::First, Seat::Second];

/// All.
pub(crate) const SEATS: [Seat; 3] = [Seat::First, Seat::Second, Seat::Watch];

/// The ports of `baton init cluster`: two for HTTP, three for links, one for the watch's health.
const PORTS: u16 = 6;

/// Ports are taken from here on. Those from 32768 on are given to connections by the system.
const FIRST_PORT: u16 = 10_000;

/// See [`FIRST_PORT`].
const LAST_PORT: u16 = 32_000;

/// Whether links between the processes can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// They are as users have them.
    Direct,
    /// Each passes through a proxy.
    Cuttable,
}

/// A cluster of processes. They are killed when it is dropped.
pub(crate) struct Installation {
    folder: PathBuf,
    first_port: u16,
    members: [Member; 3],
    /// From whom, to whom.
    proxies: Vec<(Seat, Seat, Proxy)>,
}

#[derive(Default)]
struct Member {
    process: Option<Child>,
    is_paused: bool,
    /// It was told to end, so that its end is none of its own.
    may_end: bool,
}

/// The name of a node.
pub(crate) fn name(seat: Seat) -> &'static str {
    ["controller-1", "controller-2", "watch"][seat as usize]
}

impl Installation {
    /// A new one in a folder that is not there yet. Nothing is started.
    pub(crate) fn new(folder: &Path, links: Links) -> Result<Self, Failure> {
        let count = if links == Links::Cuttable { 2 * PORTS } else { PORTS };
        let first_port = free_ports(count).ok_or("no ports are free on this machine")?;
        let port = first_port.to_string();
        let output = baton(["init", "cluster", &folder.display().to_string(), "--port", &port])?;
        if !output.status.success() {
            return Err(format!("baton init cluster: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let mut installation =
            Self { folder: folder.to_owned(), first_port, members: Default::default(), proxies: Vec::new() };
        if links == Links::Cuttable {
            installation.put_proxies_between()?;
        }
        Ok(installation)
    }

    fn put_proxies_between(&mut self) -> Result<(), Failure> {
        let mut port = self.first_port + PORTS;
        for from in SEATS {
            let file = self.folder.join(format!("{}.toml", name(from)));
            let mut text = fs::read_to_string(&file)?;
            for to in from.others() {
                let address = |port: u16| format!("address = \"127.0.0.1:{port}\"");
                let changed = text.replace(&address(self.link_port(to)), &address(port));
                if changed == text {
                    return Err(format!("{} does not name the port of {}", file.display(), name(to)).into());
                }
                text = changed;
                self.proxies.push((from, to, Proxy::start(port, self.link_port(to))));
                port += 1;
            }
            fs::write(&file, text)?;
        }
        Ok(())
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a node answers HTTP.
    pub(crate) fn api_port(&self, node: Seat) -> u16 {
        self.first_port + node as u16
    }

    fn link_port(&self, seat: Seat) -> u16 {
        self.first_port + 2 + seat as u16
    }

    /// The data folder of a node.
    pub(crate) fn data(&self, seat: Seat) -> PathBuf {
        self.folder.join("data").join(name(seat))
    }

    fn member(&mut self, seat: Seat) -> &mut Member {
        &mut self.members[seat as usize]
    }

    /// Starts all that do not run.
    pub(crate) fn start_all(&mut self) -> Result<(), Failure> {
        SEATS.into_iter().try_for_each(|seat| self.start(seat))
    }

    /// Starts a process, unless it runs.
    ///
    /// # Errors
    /// When it cannot be started, or had ended without being told to.
    pub(crate) fn start(&mut self, seat: Seat) -> Result<(), Failure> {
        if self.is_running(seat)? {
            return Ok(());
        }
        let log = File::options().append(true).create(true).open(self.folder.join(format!("{}.log", name(seat))))?;
        let command = if seat == Seat::Watch { "watch" } else { "controller" };
        let child = Command::new(env!("CARGO_BIN_EXE_baton"))
            .args([command, "--config"])
            .arg(self.folder.join(format!("{}.toml", name(seat))))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        *self.member(seat) = Member { process: Some(child), ..Member::default() };
        self.set_listening(seat, true);
        Ok(())
    }

    /// Whether a process runs, or is paused.
    ///
    /// # Errors
    /// When it has ended without being told to, or not as it should.
    pub(crate) fn is_running(&mut self, seat: Seat) -> Result<bool, Failure> {
        let member = self.member(seat);
        let Some(child) = &mut member.process else { return Ok(false) };
        let Some(status) = child.try_wait()? else { return Ok(true) };
        let is_good = member.may_end && status.success();
        member.process = None;
        self.set_listening(seat, false);
        if is_good { Ok(false) } else { Err(format!("{} has ended by itself: {status}", name(seat)).into()) }
    }

    fn set_listening(&self, seat: Seat, is_listening: bool) {
        for (_, to, proxy) in &self.proxies {
            if *to == seat {
                proxy.set_listening(is_listening);
            }
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, seat: Seat) -> Result<(), Failure> {
        if let Some(mut child) = self.member(seat).process.take() {
            child.kill()?;
            child.wait()?;
        }
        self.set_listening(seat, false);
        Ok(())
    }

    /// SIGSTOP, or SIGCONT.
    pub(crate) fn pause(&mut self, seat: Seat, is_paused: bool) -> Result<(), Failure> {
        let member = self.member(seat);
        if let Some(child) = &member.process {
            kill_process(Pid::from_child(child), if is_paused { Signal::STOP } else { Signal::CONT })?;
            member.is_paused = is_paused;
        }
        Ok(())
    }

    /// SIGTERM.
    pub(crate) fn terminate(&mut self, seat: Seat) -> Result<(), Failure> {
        self.may_end(seat);
        if let Some(child) = &self.member(seat).process {
            kill_process(Pid::from_child(child), Signal::TERM)?;
        }
        Ok(())
    }

    /// It is being told to end.
    pub(crate) fn may_end(&mut self, seat: Seat) {
        self.member(seat).may_end = true;
    }

    /// Waits for the end of a process that was told to end. False if it still runs after the time.
    pub(crate) async fn ended(&mut self, seat: Seat, time: Duration) -> Result<bool, Failure> {
        let until = Instant::now() + time;
        while self.member(seat).may_end && self.is_running(seat)? {
            if Instant::now() > until {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(true)
    }

    /// Cuts the link over which one sends to another one, or opens it.
    pub(crate) fn cut(&self, from: Seat, to: Seat, is_cut: bool) {
        self.between(from, to).for_each(|proxy| proxy.set_cut(is_cut));
    }

    /// Breaks the connections of a link.
    pub(crate) fn break_off(&self, from: Seat, to: Seat) {
        self.between(from, to).for_each(Proxy::break_off);
    }

    fn between(&self, from: Seat, to: Seat) -> impl Iterator<Item = &Proxy> {
        let found = move |link: &&(Seat, Seat, Proxy)| link.0 == from && link.1 == to;
        self.proxies.iter().filter(found).map(|(_, _, proxy)| proxy)
    }

    /// Takes all faults away: everything runs, and all links are open.
    pub(crate) fn heal(&mut self) -> Result<(), Failure> {
        for seat in SEATS {
            if self.member(seat).is_paused {
                self.pause(seat, false)?;
            }
        }
        self.proxies.iter().for_each(|(_, _, proxy)| proxy.set_cut(false));
        self.start_all()
    }

    /// How a sub-command of `baton journal` ends.
    pub(crate) fn journal(&self, command: &str, seat: Seat) -> Result<Output, Failure> {
        Ok(baton(["journal", command, &self.data(seat).display().to_string()])?)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for child in self.members.iter_mut().filter_map(|member| member.process.as_mut()) {
            // It may have ended by itself.
            let _: (Result<(), _>, Result<ExitStatus, _>) = (child.kill(), child.wait());
        }
    }
}

fn baton<'a>(arguments: impl IntoIterator<Item = &'a str>) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_baton")).args(arguments).stdin(Stdio::null()).output()
}

/// The first of so many in a row. Different processes begin to look at different places, and none is given twice by this one.
fn free_ports(count: u16) -> Option<u16> {
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let range = LAST_PORT - FIRST_PORT;
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    for _ in 0..range / count {
        // Processes that were started together have neighbouring numbers.
        let own = || std::process::id().wrapping_mul(2 * u32::from(PORTS)) % u32::from(range);
        let start = next.unwrap_or_else(|| u16::try_from(own()).unwrap_or_default());
        let first = FIRST_PORT + start % (range - count);
        *next = Some(first - FIRST_PORT + count);
        if (first..first + count).all(is_free) {
            return Some(first);
        }
    }
    None
}
