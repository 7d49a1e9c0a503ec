//! A cluster of real processes that are killed, paused and cut off from each other: nothing that was answered is lost, nothing is done
//! twice. `cargo bench -p baton --bench cluster -- chaos 300` does the same for longer.

mod real;

use baton_protocol::random::Random;
use baton_protocol::register::Seat;
use real::Access;
use real::chaos::{Plan, run};
use real::clients::{Caller, Request};
use real::endings::stop_all;
use real::faults::Kind;
use real::health::Health;
use real::installation::{Installation, Links};
use real::oracle::{Oracle, Told};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The variable with a seed: to repeat what failed, as far as processes repeat anything.
const SEED: &str = "BATON_SEED";

/// No round begins after this time.
const TIME: Duration = Duration::from_secs(55);

/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(60);

/// One of each group of faults; those for which there is time, in a random order.
const KINDS: [Kind; 9] = [
    Kind::KillActive,
    Kind::KillBoth,
    Kind::KillWatch,
    Kind::PauseActive,
    Kind::CutActive,
    Kind::CutPair,
    Kind::CutOneWay,
    Kind::SwitchOver,
    Kind::EndActive,
];

#[test]
fn nothing_answered_is_lost_whatever_happens_to_processes_and_links() {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut first = KINDS.to_vec();
    Random::new(seed).shuffle(&mut first);
    let plan = Plan {
        seed,
        rounds: u64::MAX,
        time: TIME,
        longest: Duration::from_secs(6),
        // Whoever else uses the machine may have it for so long.
        slack: Duration::from_secs(30),
        first,
    };
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let result = runtime.block_on(run(&plan, &folder.path().join("cluster"), &|line| println!("{line}")));
    match result {
        Ok(report) => println!("{report}"),
        Err(error) => {
            panic!("{SEED}={seed}: {error}\nconfigurations, journals and logs are kept in {}", folder.keep().display())
        }
    }
}

/// Without anything in between: as users have it.
#[test]
fn a_cluster_works_as_it_was_written_and_survives_its_active_node() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut installation = Installation::new(&folder.path().join("cluster"), Links::Direct).unwrap();
        let health = Health { access: Access::new(&installation).unwrap(), oracle: Arc::default() };
        installation.start_all().unwrap();
        let active = health.working(&mut installation, None, LIMIT).await.unwrap();
        let mut caller = Caller::new(Access::new(&installation).unwrap());
        assert_eq!(caller.give(&Request::workflows()).await.status, 200);
        let add = Request::add("key".to_owned(), "order".to_owned(), true);
        let added = caller.give(&add).await;
        assert_eq!(added.status, 201, "{added:?}");
        installation.kill(active).unwrap();
        // The same command at the node that took over.
        assert_eq!(timeout(LIMIT, caller.give(&add)).await.unwrap(), added);
        let active = health.working(&mut installation, None, LIMIT).await.unwrap();
        stop_all(&mut installation, active).await.unwrap();
    });
}

/// What the oracle must see, or the other test is worth nothing.
#[test]
fn the_oracle_sees_what_must_not_be() {
    let added = |id: u64, order: &str| format!(r#"{{"Key":"{order}","TYPE":"OrderAdded","eventId":{id}}}"#);
    let answered = |id: u64, key: &str| format!(r#"{{"TYPE":"CommandAnswered","eventId":{id},"id":"{key}"}}"#);
    let verdict = |lines: &[String], told: &[(&str, Told)]| {
        let oracle = Oracle::default();
        lines.iter().for_each(|line| oracle.read(0, line));
        told.iter().for_each(|(key, told)| oracle.told(key, Some(key), *told, Instant::now()));
        oracle.check().map_err(|error| error.to_string())
    };
    let good = [added(1, "A"), answered(2, "A")];
    assert_eq!(verdict(&good, &[("A", Told::Done(2)), ("B", Told::Refused), ("C", Told::Nothing)]), Ok(()));
    for (lines, told, expected) in [
        (vec![answered(2, "X")], ("A", Told::Done(1)), "was told Done(1)"),
        (vec![answered(2, "A")], ("A", Told::Done(2)), "order added Some(false)"),
        (good.to_vec(), ("A", Told::Refused), "was told Refused"),
        (vec![added(1, "A"), added(2, "A")], ("B", Told::Nothing), "done twice"),
        (vec![answered(1, "A"), answered(2, "A")], ("B", Told::Nothing), "done twice"),
        (vec![added(2, "A"), added(2, "B")], ("B", Told::Nothing), "event 2 was read after event 2"),
    ] {
        let error = verdict(&lines, &[told]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let oracle = Oracle::default();
    oracle.claims(1, Seat::First);
    oracle.claims(2, Seat::Second);
    oracle.verdict().unwrap();
    oracle.claims(2, Seat::First);
    assert!(oracle.verdict().unwrap_err().to_string().contains("active in epoch 2"));
}
