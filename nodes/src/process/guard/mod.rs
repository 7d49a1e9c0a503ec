//! The guard: the small process that starts, awaits and kills all job processes of one launcher.
//!
//! It has one purpose, no runtime and hardly any heap. Its threads:
//!
//! - `STARTERS` threads take turns in reading a request and carrying it out. The program never has more than
//!   `STARTERS - 1` launches unanswered, so there is always one left to read a kill, even if starting hangs in a dead
//!   network file system.
//! - The reaper waits for children, our own and those that we inherit as subreaper.
//! - The sweeper kills what a killed process left behind outside its group.
//! - The lease kills what runs when the program has not been heard of for too long.
//!
//! It ends when the control socket does, and not before everything below it is dead. Until then it keeps open what it was given
//! to hold (the socket at which the program listened: who asks there whether the program is dead, is told so when its
//! processes are dead too). It holds a lock on the work
//! directory until then, so that a successor starts nothing while something of its predecessor still runs. When the guard
//! itself is killed, the program reports its processes as lost and kills what it finds; so does the next guard.
//!
//! A guard that cannot even begin says why on standard error, which it shares with the program.

mod lease;
mod registry;
mod spawn;
mod sweep;
pub(super) mod tree;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic;
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{WaitOptions, set_child_subreaper, wait};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use self::lease::Lease;
use self::registry::{Registry, Ticket};
use self::sweep::Sweeper;
use super::cgroup::Group;
use super::wire::{LaunchRequest, ProcessId, Report, Request};

/// The number of threads that read requests. One more than the program has launches in flight.
pub(super) const STARTERS: usize = super::connection::STARTS_IN_FLIGHT + 1;

/// The stack of a thread in bytes. Starting a process needs little of it; the child uses one of its own.
const STACK: usize = 256 << 10;

/// How much of the control socket is read at once, in bytes.
const READ_SIZE: usize = 16 << 10;

/// The file in the work directory that a guard holds locked as long as something may run below it.
const LOCK_FILE: &str = "guard.lock";

/// What the `baton` command does under [`GUARD_COMMAND`](super::GUARD_COMMAND): serves the socket on standard input until
/// that closes, and reports to standard output, a pipe.
#[expect(clippy::print_stderr, reason = "the guard has nothing else to tell its trouble to")]
pub fn guard_main(work_directory: &Path) -> ExitCode {
    match serve(work_directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("baton guard for {}: {error}", work_directory.display());
            ExitCode::FAILURE
        }
    }
}

fn serve(work_directory: &Path) -> io::Result<()> {
    // A guard that has lost one of its threads must not go on; the program notices, and kills.
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        report(panic);
        process::abort();
    }));
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    // A handler that does nothing, not "ignore": the jobs would inherit the latter. Whoever stops a whole service by signal
    // means the program; the guard follows when that has ended.
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    #[cfg(target_os = "linux")]
    set_child_subreaper(Some(rustix::process::getpid()))?;

    let lock = File::options().create(true).truncate(false).write(true).open(work_directory.join(LOCK_FILE))?;
    lock.lock()?;
    let group = Group::enter(work_directory).map(Arc::new);
    tree::kill_marked(&tree::Marker::new(work_directory));

    let registry = Arc::new(Registry::new(io::stdout().as_fd().try_clone_to_owned()?));
    let sweeper = Arc::new(Sweeper::new(Arc::clone(&registry), tree::Marker::new(work_directory)));
    registry.report(Report::Ready);

    let start = |name: &str| thread::Builder::new().name(name.to_owned()).stack_size(STACK);
    start("reaper").spawn({
        let registry = Arc::clone(&registry);
        move || reap(&registry)
    })?;
    start("sweeper").spawn({
        let sweeper = Arc::clone(&sweeper);
        move || sweeper.run()
    })?;
    let lease = Arc::new(Lease::default());
    start("lease").spawn({
        let (lease, registry, group) = (Arc::clone(&lease), Arc::clone(&registry), group.clone());
        move || lease.run(&registry, group.as_deref())
    })?;
    let requests = Arc::new(Mutex::new(Requests::new(control)));
    // A starter that hangs must not keep the others' processes alive: the first one to see the end is enough.
    let (closed, await_close) = mpsc::sync_channel(STARTERS);
    for _ in 0..STARTERS {
        let (requests, registry, sweeper) = (Arc::clone(&requests), Arc::clone(&registry), Arc::clone(&sweeper));
        let (lease, closed) = (Arc::clone(&lease), closed.clone());
        start("starter").spawn(move || {
            while let Some(work) = next_work(&requests, &registry) {
                carry_out(&registry, &sweeper, &lease, work);
            }
            let _ = closed.send(());
            // Children belong to the thread that started them. If it ended, they would be moved while we look for them.
            loop {
                thread::park();
            }
        })?;
    }
    let _ = await_close.recv();
    if let Some(group) = &group {
        group.leave_and_kill();
    }
    end(&registry);
    if let Some(group) = group {
        group.remove();
    }
    Ok(())
}

/// A request that has been taken over.
enum Work {
    Launch(Ticket, Box<LaunchRequest>, [OwnedFd; 2]),
    Terminate(ProcessId),
    Kill(ProcessId),
    /// There was nothing to be done but to keep what came along.
    Nothing,
    Lease(Duration),
}

/// The next request. The lock is free again while it is being carried out; but a launch is registered before, so that
/// nobody sees the end of the requests and takes the guard for idle meanwhile.
fn next_work(requests: &Mutex<Requests>, registry: &Registry) -> Option<Work> {
    let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
    Some(match requests.next()? {
        Request::Launch(launch) => {
            let outputs = requests.outputs()?;
            Work::Launch(registry.begin(), launch, outputs)
        }
        Request::Terminate(id) => Work::Terminate(id),
        Request::Kill(id) => Work::Kill(id),
        Request::Hold => {
            requests.hold()?;
            Work::Nothing
        }
        Request::Lease(until) => Work::Lease(Duration::from_nanos(until)),
    })
}

fn carry_out(registry: &Registry, sweeper: &Sweeper, lease: &Lease, work: Work) {
    match work {
        Work::Launch(ticket, launch, [stdout, stderr]) => {
            let result = spawn::spawn(&launch, stdout, stderr);
            registry.finish(ticket, launch.id, result);
        }
        Work::Terminate(id) => registry.terminate(id),
        Work::Kill(id) => {
            registry.kill(id);
            sweeper.condemn(id);
        }
        Work::Nothing => {}
        Work::Lease(until) => lease.renew(until),
    }
}

/// Waits for children for ever.
fn reap(registry: &Registry) {
    let mut options = WaitOptions::empty();
    let mut seen = registry.finished();
    loop {
        match wait(options) {
            Ok(Some((pid, status))) => registry.ended(pid, status),
            Err(Errno::INTR) => {}
            // No children, which means nothing at all below us. But one may have been started since we last looked.
            Err(_) if options.is_empty() => {
                seen = registry.finished();
                options = WaitOptions::NOHANG;
            }
            Ok(None) => options = WaitOptions::empty(),
            Err(_) => {
                registry.await_start(seen);
                options = WaitOptions::empty();
            }
        }
    }
}

/// Kills everything below the guard, and returns when all of it is dead and reaped.
fn end(registry: &Registry) {
    let mut pause = Duration::from_millis(1);
    loop {
        registry.kill_all();
        // What a killed process leaves behind becomes our child, so our children are all there is to look for.
        for child in tree::own_children() {
            tree::kill(child);
        }
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => registry.ended(pid, status),
            Err(Errno::CHILD) if registry.is_idle() => return,
            Ok(None) | Err(_) => {}
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// The reading end of the control socket.
struct Requests {
    socket: OwnedFd,
    bytes: Vec<u8>,
    /// In the order of the requests that they belong to.
    descriptors: VecDeque<OwnedFd>,
    /// What is kept open until the guard ends.
    held: Vec<OwnedFd>,
}

impl Requests {
    fn new(socket: OwnedFd) -> Self {
        Self { socket, bytes: Vec::new(), descriptors: VecDeque::new(), held: Vec::new() }
    }

    /// The next request. `None`: the program is gone or talks nonsense.
    fn next(&mut self) -> Option<Request> {
        loop {
            if let Some((request, length)) = Request::decode(&self.bytes).ok()? {
                self.bytes.drain(..length);
                if self.bytes.is_empty() {
                    self.bytes.shrink_to(READ_SIZE);
                }
                return Some(request);
            }
            self.read()?;
        }
    }

    /// The write ends that came along with the launch just read.
    fn outputs(&mut self) -> Option<[OwnedFd; 2]> {
        Some([self.descriptors.pop_front()?, self.descriptors.pop_front()?])
    }

    /// Keeps what came along with the request just read.
    fn hold(&mut self) -> Option<()> {
        let held = self.descriptors.pop_front()?;
        self.held.push(held);
        Some(())
    }

    fn read(&mut self) -> Option<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [0; READ_SIZE];
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            match recvmsg(&self.socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                result => break result.ok()?.bytes,
            }
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        self.bytes.extend_from_slice(&buffer[..received]);
        (received > 0).then_some(())
    }
}
