//! Processes that use a data folder and are killed, or run out of room. Each is this test binary again, running
//! [`child`] with its orders in the environment.

use crate::folder::NAME;
use crate::sample::{new_folder, payload, records};
use baton_protocol::record::{Chain, Epoch, Offset, Position};
use baton_storage::fjall::{FjallStore, Options};
use baton_storage::{Access, Error, Store};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FOLDER: &str = "BATON_STORAGE_CHILD_FOLDER";
const ROUND: &str = "BATON_STORAGE_CHILD_ROUND";
const TASK: &str = "BATON_STORAGE_CHILD_TASK";

/// Segments are small, so that kills hit their beginnings and ends.
const OPTIONS: Options = Options { durability: baton_storage::fjall::Durability::Disk, segment: 60_000 };

/// Says something to the parent, at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n@{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Not a test, but what the children run. Does nothing without orders.
#[test]
fn child() {
    let Ok(path) = std::env::var(FOLDER) else { return };
    let round = std::env::var(ROUND).unwrap().parse().unwrap();
    match std::env::var(TASK).unwrap().as_str() {
        "work" => work(Path::new(&path), round),
        "fill" => fill(Path::new(&path), round),
        task => panic!("unknown task {task}"),
    }
}

fn spawn(path: &Path, round: u64, task: &str, limit: Option<&str>) -> Child {
    let this = std::env::current_exe().unwrap();
    let mut command = match limit {
        Some(limit) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\"")]).arg(this);
            shell
        }
        None => Command::new(this),
    };
    command.args(["--exact", "processes::child", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, path).env(ROUND, round.to_string()).env(TASK, task);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// What a child said before it ended.
fn listen(child: &mut Child) -> Vec<Vec<String>> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines = out.lines().map_while(Result::ok).filter_map(|line| line.strip_prefix('@').map(str::to_owned));
    lines.map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// Appends, sets cells, writes images, releases and truncates until it is killed, and says before each what it is about
/// to do and after each what was confirmed.
fn work(path: &Path, round: u64) {
    let (mut store, _) = FjallStore::open(path, NAME, OPTIONS).unwrap();
    say(&format!("open {}", store.end().offset));
    for step in 1_u64.. {
        let (more, end) = records(store.end(), round, step * 7 % 40);
        say(&format!("writing {} {step}", end.offset));
        store.append(&more).unwrap();
        store.put("step", &[round.to_be_bytes(), step.to_be_bytes()].concat()).unwrap();
        assert_eq!(store.sync().unwrap().end, end);
        say(&format!("confirmed {} {step}", end.offset));
        if step % 5 == 0 && end.offset > Offset(0) {
            store.access().write_image(end, &mut (0..20).map(|n| vec![n; 500])).unwrap();
            if step % 10 == 0 {
                store.release(end.offset).unwrap();
            }
        }
        if step % 11 == 0 {
            // Behind the end or beyond it.
            let offset = store.end().offset.0 + step % 60 - (store.end().offset.0 + step % 60).min(30);
            let at = Position { epoch: Epoch(round), offset: Offset(offset + 1), chain: Chain(step) };
            say(&format!("installing {} {step}", at.offset));
            let cell = [round.to_be_bytes(), step.to_be_bytes()].concat();
            store.install(at, &mut (0..20).map(|n| vec![n; 500]), "installed", &cell).unwrap();
            store.sync().unwrap();
            say(&format!("installed {} {step}", at.offset));
        }
        if step % 7 == 0 {
            // Only what is after the newest image may be cut.
            let keep = store.access().image().map_or(0, |image| image.at.offset.0).max(end.offset.0.saturating_sub(20));
            let last = keep.checked_sub(1).map(|last| store.access().records(Offset(last)));
            let to = match last {
                Some(Ok(mut found)) => found.next().unwrap().unwrap().id.after(),
                // The position at which a released journal begins is that of its image.
                Some(Err(_)) => continue,
                None => Position::ORIGIN,
            };
            say(&format!("truncating {}", to.offset));
            store.truncate(to).unwrap();
            store.sync().unwrap();
            say(&format!("truncated {}", to.offset));
        }
    }
}

/// What may be found after a child said this.
#[derive(Debug)]
struct Expected {
    least: u64,
    most: u64,
    step: (u64, u64),
    next_step: (u64, u64),
    /// The last installation that was confirmed, and where it may begin anew meanwhile.
    installed: (u64, u64),
    installing: Option<(u64, (u64, u64))>,
}

fn learn(expected: &mut Expected, round: u64, said: &[Vec<String>]) {
    let number = |text: &String| text.parse::<u64>().unwrap();
    for line in said {
        match line[0].as_str() {
            "open" => {}
            "writing" => {
                expected.most = number(&line[1]);
                expected.next_step = (round, number(&line[2]));
            }
            "confirmed" => {
                expected.least = number(&line[1]);
                expected.step = (round, number(&line[2]));
            }
            "installing" => expected.installing = Some((number(&line[1]), (round, number(&line[2])))),
            "installed" => {
                (expected.least, expected.most) = (number(&line[1]), number(&line[1]));
                expected.installed = (round, number(&line[2]));
                expected.installing = None;
            }
            "truncating" => expected.least = number(&line[1]),
            "truncated" => (expected.least, expected.most) = (number(&line[1]), number(&line[1])),
            other => panic!("{other}"),
        }
    }
}

/// Opens and compares; returns the end, and the last installation.
fn verify(path: &Path, expected: &Expected) -> (u64, (u64, u64)) {
    let (store, recovered) = FjallStore::open(path, NAME, OPTIONS).unwrap_or_else(|error| panic!("{error}"));
    let end = recovered.end.offset.0;
    let word = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
    let cell = |name| recovered.cells.get(name).map_or((0, 0), |cell| (word(&cell[..8]), word(&cell[8..])));
    let (step, installed) = (cell("step"), cell("installed"));
    match expected.installing {
        Some((at, which)) if installed == which => {
            assert_eq!((recovered.released.offset.0, end), (at, at), "{expected:?}");
        }
        _ => {
            assert_eq!(installed, expected.installed, "{expected:?}");
            assert!(expected.least <= end && end <= expected.most, "{end} found, {expected:?}");
        }
    }
    assert!(step == expected.step || step == expected.next_step, "{step:?} found, {expected:?}");
    let mut next = recovered.released.offset.0;
    for record in store.access().records(recovered.released.offset).unwrap() {
        let record = record.unwrap();
        assert_eq!((record.id.offset.0, &*record.payload), (next, &payload(next)[..]));
        next += 1;
    }
    assert_eq!(next, end);
    if let Some(image) = recovered.image {
        assert_eq!(store.access().chunks(image.at).unwrap().map(Result::unwrap).count(), 20);
    }
    // A kill may come between two writes of one batch, so a torn tail is possible; damage is not.
    assert!(recovered.notes.is_empty(), "{:?}", recovered.notes);
    (end, installed)
}

#[test]
fn nothing_confirmed_is_lost_when_processes_are_killed() {
    let folder = new_folder();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    println!("seed {seed}");
    let mut random = u64::from(seed) | 1;
    let mut expected =
        Expected { least: 0, most: 0, step: (0, 0), next_step: (0, 0), installed: (0, 0), installing: None };
    let mut confirmed = 0;
    for round in 1..=24 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut child = spawn(folder.path(), round, "work", None);
        // A few die while they open or create the journal, the others at work.
        let patience = if round % 6 == 1 { random % 40 } else { 60 + random % 400 };
        std::thread::sleep(Duration::from_millis(patience));
        child.kill().unwrap();
        let said = listen(&mut child);
        child.wait().unwrap();
        learn(&mut expected, round, &said);
        confirmed += said.iter().filter(|line| line[0] == "confirmed").count();
        let (end, installed) = verify(folder.path(), &expected);
        (expected.least, expected.most) = (end, end);
        (expected.installed, expected.installing) = (installed, None);
    }
    println!("{confirmed} confirmations");
    assert!(confirmed > 100, "only {confirmed} confirmations");
}

/// Appends until the disk is full, then sees that nothing works any more.
fn fill(path: &Path, round: u64) {
    let options = Options { segment: 1 << 40, ..OPTIONS };
    let (mut store, _) = FjallStore::open(path, NAME, options).unwrap();
    let error = loop {
        let (more, end) = records(store.end(), round, 100);
        store.append(&more).unwrap();
        match store.sync() {
            Ok(_) => say(&format!("confirmed {} 0", end.offset)),
            Err(error) => break error,
        }
    };
    assert!(error.is_full(), "{error}");
    for _ in 0..3 {
        assert!(matches!(store.sync(), Err(Error::Poisoned)));
        assert!(matches!(store.put("step", b""), Err(Error::Poisoned)));
        assert!(matches!(store.truncate(Position::ORIGIN), Err(Error::Poisoned)));
    }
    say("full");
}

/// A limit to the size of files stands for a full disk: filling a real one needs one, and rights.
#[test]
fn a_full_disk_halts_without_losing_what_was_confirmed() {
    let folder = new_folder();
    let (mut store, _) = FjallStore::open(folder.path(), NAME, OPTIONS).unwrap();
    let (more, mut end) = records(Position::ORIGIN, 1, 100);
    store.append(&more).unwrap();
    store.sync().unwrap();
    drop(store);
    for round in 2..4 {
        // In units of 512 or 1024 bytes, as the shell likes.
        let mut child = spawn(folder.path(), round, "fill", Some(&(round * 2000).to_string()));
        let said = listen(&mut child);
        assert!(child.wait().unwrap().success());
        assert_eq!(said.last().unwrap()[0], "full", "{said:?}");
        let last =
            said.iter().rev().find(|line| line[0] == "confirmed").map_or(end.offset.0, |line| line[1].parse().unwrap());
        let (store, recovered) = FjallStore::open(folder.path(), NAME, OPTIONS).unwrap();
        assert!(last > end.offset.0, "{said:?}");
        assert!((last..=last + 100).contains(&recovered.end.offset.0));
        let found = store.access().records(Offset(0)).unwrap().map(Result::unwrap).enumerate();
        assert_eq!(
            found.filter(|(n, record)| *record.payload == payload(*n as u64)).count() as u64,
            recovered.end.offset.0
        );
        end = recovered.end;
    }
}
