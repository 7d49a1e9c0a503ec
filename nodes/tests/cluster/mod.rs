//! A cluster of real processes that are killed, paused and cut off from each other: nothing that was answered is lost, nothing is done
//! twice. `cargo bench -p baton --bench cluster -- chaos 300` does the same for longer.

mod real;

use baton_protocol::random::Random;
use real::Access;
use real::chaos::{Plan, run};
use real::clients::{Caller, Request};
use real::endings::stop_all;
use real::faults::Kind;
use real::health::Health;
use real::installation::{Installation, Links};
use std::sync::Arc;
use std::time::Duration;
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
