//! A controller, an agent and its subagents as processes: jobs run on all, go on when one is lost, and people look at them and end them
//! by HTTP and `baton ctl`.

mod pair;
pub(crate) mod real;
mod strangers;

use hyper::Method;
use real::Failure;
use real::api::{OPERATOR, READER};
use real::chaos::{self, Plan};
use real::installation::{AGENT, CONTROLLER, DEADLINE, Installation, list, subagent, until};
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Runs a story with an installation whose jobs write a ledger. Should it fail, what the processes said is told.
async fn story(subagents: usize, tell: impl AsyncFnOnce(&mut Installation) -> Result<(), Failure>) {
    let folder = TempDir::new().unwrap();
    story_of(Installation::new(folder.path(), subagents).unwrap(), tell).await;
}

/// The same, with an installation that is not started yet.
async fn story_of(mut installation: Installation, tell: impl AsyncFnOnce(&mut Installation) -> Result<(), Failure>) {
    let items = installation.items(&installation.ledger.script());
    let result = match installation.begin(&items).await {
        Ok(()) => tell(&mut installation).await,
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        let logs: Vec<String> =
            installation.names().iter().map(|name| format!("{name}:\n{}", log(&installation, name))).collect();
        panic!("{error}\n{}", logs.join("\n"));
    }
}

fn log(installation: &Installation, name: &str) -> String {
    std::fs::read_to_string(installation.file(name, "log")).unwrap_or_default()
}

/// Waits for the end of a process that was told to end.
async fn ended(installation: &mut Installation, name: &str) -> Result<ExitStatus, Failure> {
    let began = Instant::now();
    loop {
        let child = installation.child(name);
        if let Some(status) = child.as_mut().ok_or("it does not run")?.try_wait()? {
            *child = None;
            return Ok(status);
        }
        if began.elapsed() > DEADLINE {
            return Err(format!("{name} has not ended, though it was told to").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_on_two_machines_and_go_on_when_one_is_lost() {
    story(2, async |it| {
        for n in 0..4 {
            it.add("ROUND", &format!("both-{n}")).await?;
        }
        for n in 0..4 {
            it.order_is(&format!("both-{n}"), "Finished").await?;
        }
        let places: Vec<String> = (0..4).flat_map(|n| it.ledger.of(&format!("both-{n}")).unwrap().begun).collect();
        assert_eq!(places.len(), 4);
        assert!(places.contains(&subagent(1)) && places.contains(&subagent(2)), "{places:?}");

        // What runs at one that is killed is handed over; jobs which cannot be started again fail.
        it.add("FIX", "moved_2").await?;
        it.add("ONCE", "once_2").await?;
        it.job_has_begun("moved_2", 1).await?;
        it.job_has_begun("once_2", 1).await?;
        it.kill(&subagent(1))?;
        it.order_is("moved_2", "Finished").await?;
        it.order_is("once_2", "Failed").await?;
        assert_eq!(it.ledger.of("moved_2")?.begun, [subagent(1), subagent(2)]);
        assert_eq!(it.ledger.of("once_2")?.begun, [subagent(1)]);
        it.start(&subagent(1))?;
        it.working().await?;

        // One that is silent gets no more jobs, and what it runs goes on when it is heard again.
        it.add("FIX", "patient_1").await?;
        it.job_has_begun("patient_1", 1).await?;
        it.pause(&subagent(1), true)?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        it.add("FIX", "elsewhere_0").await?;
        it.order_is("elsewhere_0", "Finished").await?;
        assert_eq!(it.ledger.of("elsewhere_0")?.begun, vec![subagent(2)]);
        it.pause(&subagent(1), false)?;
        it.order_is("patient_1", "Finished").await?;
        assert_eq!(it.ledger.of("patient_1")?.begun, vec![subagent(1)]);
        it.working().await?;

        // The controller is lost while a job runs: it ends, and is finished when it is back.
        it.add("FIX", "lonely_1").await?;
        it.job_has_begun("lonely_1", 1).await?;
        it.kill(CONTROLLER)?;
        it.start(CONTROLLER)?;
        it.order_is("lonely_1", "Finished").await?;
        assert_eq!(it.ledger.of("lonely_1")?.begun.len(), 1);

        // So it is when the director is lost; but the processes of its own subagent die with it, and are started again.
        it.add("FIX", "remote_2").await?;
        it.add("HERE", "local_2").await?;
        it.job_has_begun("remote_2", 1).await?;
        it.job_has_begun("local_2", 1).await?;
        it.kill(AGENT)?;
        it.start(AGENT)?;
        it.order_is("remote_2", "Finished").await?;
        it.order_is("local_2", "Finished").await?;
        assert_eq!(it.ledger.of("remote_2")?.begun.len(), 1);
        assert_eq!(it.ledger.of("local_2")?.begun.len(), 2);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_jobs_come_to_their_end_and_an_abort_hands_them_over() {
    story(2, async |it| {
        let (first, second) = (subagent(1), subagent(2));
        it.add("FIX", "calm_1").await?;
        it.job_has_begun("calm_1", 1).await?;
        it.api(&first)?.post("/subagent/api/terminate", "{}").await?;
        until("it stops", async || {
            let status = it.api(&first).unwrap().get("/subagent/api").await.map_err(|error| error.to_string())?;
            if status["subagent"]["isStopping"] == true { Ok(()) } else { Err(status.to_string()) }
        })
        .await?;
        it.add("FIX", "next_0").await?;
        it.order_is("next_0", "Finished").await?;
        assert_eq!(it.ledger.of("next_0")?.begun, vec![second.clone()]);
        assert!(ended(it, &first).await?.success());
        it.order_is("calm_1", "Finished").await?;
        let calm = it.ledger.of("calm_1")?;
        assert_eq!((calm.begun, calm.ended), (vec![first.clone()], vec![first.clone()]));

        it.start(&first)?;
        it.working().await?;
        it.add("FIX", "moved_1").await?;
        it.job_has_begun("moved_1", 1).await?;
        it.ctl(&["terminate", "--at", &first, "--abort", "--yes"])?;
        assert!(ended(it, &first).await?.success());
        it.order_is("moved_1", "Finished").await?;
        let moved = it.ledger.of("moved_1")?;
        assert_eq!((moved.begun, moved.ended), (vec![first.clone(), second.clone()], vec![second.clone()]));

        // An agent, with a job of its own: in the words of the reference.
        it.add("HERE", "own_1").await?;
        it.add("FIX", "other_2").await?;
        it.job_has_begun("own_1", 1).await?;
        it.job_has_begun("other_2", 1).await?;
        it.api(AGENT)?.post("/agent/api/command", r#"{"TYPE": "ShutDown"}"#).await?;
        assert!(ended(it, AGENT).await?.success());
        it.order_is("own_1", "Finished").await?;
        until("the controller knows", async || {
            let agent = it.api(CONTROLLER).unwrap().get("/controller/api/agent/agent").await.unwrap();
            if agent["couplingState"]["TYPE"] == "ShutDown" { Ok(()) } else { Err(agent.to_string()) }
        })
        .await?;
        it.start(AGENT)?;
        it.order_is("other_2", "Finished").await?;
        assert_eq!(it.ledger.of("other_2")?.begun.len(), 1);
        // Whether it can answer before, nobody knows.
        let _ = it.ctl(&["terminate", "--at", AGENT, "--kill", "--yes"]);
        assert!(!ended(it, AGENT).await?.success());
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subagents_are_disabled_and_reset_by_people() {
    story(2, async |it| {
        let (first, second) = (subagent(1), subagent(2));
        it.add("FIX", "calm_1").await?;
        it.job_has_begun("calm_1", 1).await?;
        it.ctl(&["disable", &first])?;
        until("it is disabled", async || {
            let table = it.ctl(&["subagents"]).map_err(|error| error.to_string())?;
            let line = table.lines().find(|line| line.starts_with(&first)).unwrap_or_default();
            if line.contains("disabled") { Ok(()) } else { Err(table) }
        })
        .await?;
        it.add("FIX", "next_0").await?;
        it.order_is("next_0", "Finished").await?;
        it.order_is("calm_1", "Finished").await?;
        assert_eq!(it.ledger.of("next_0")?.begun, vec![second.clone()]);
        assert_eq!(it.ledger.of("calm_1")?.begun, vec![first.clone()]);
        it.ctl(&["enable", &first])?;
        it.working().await?;
        it.add("FIX", "back_0").await?;
        it.order_is("back_0", "Finished").await?;
        assert_eq!(it.ledger.of("back_0")?.begun, vec![first.clone()]);

        it.add("FIX", "lost_3").await?;
        it.job_has_begun("lost_3", 1).await?;
        it.ctl(&["reset-subagent", &first, "--yes"])?;
        it.job_has_begun("lost_3", 2).await?;
        it.order_is("lost_3", "Finished").await?;
        assert_eq!(it.ledger.of("lost_3")?.begun.len(), 2);

        it.working().await?;
        it.add("ROUND", "gone_30").await?;
        it.job_has_begun("gone_30", 1).await?;
        it.ctl(&["reset-agent", AGENT, "--yes"])?;
        it.order_is("gone_30", "Failed").await?;
        it.working().await?;
        it.add("FIX", "anew_0").await?;
        it.order_is("anew_0", "Finished").await?;
        let table = it.ctl(&["agents"])?;
        assert!(table.lines().any(|line| line.starts_with("agent ") && line.contains("coupled")), "{table}");
        it.ctl(&["reset-agent", "NOBODY", "--yes"]).unwrap_err();
        Ok(())
    })
    .await;
}

/// The variable with a seed: to repeat what failed, as far as processes repeat anything.
const SEED: &str = "BATON_SEED";

/// `cargo bench -p baton --bench agents -- chaos 300` does the same for longer.
#[tokio::test(flavor = "multi_thread")]
async fn no_order_is_lost_and_none_runs_twice_at_a_time_whatever_happens_to_processes() {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let (time, longest) = (Duration::from_secs(20), Duration::from_secs(4));
    let plan = Plan { seed, rounds: u64::MAX, time, longest };
    let folder = TempDir::new().unwrap();
    match chaos::run(&plan, folder.path(), &|line| println!("{line}")).await {
        Ok(report) => println!("{report}"),
        Err(error) => {
            panic!("{SEED}={seed}: {error}\nconfigurations, journals and logs are kept in {}", folder.keep().display())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_and_subagents_tell_how_they_are() {
    story(1, async |it| {
        let first = subagent(1);
        for n in 0..3 {
            it.add("FIX", &format!("long-{n}_20")).await?;
            it.job_has_begun(&format!("long-{n}_20"), 1).await?;
        }
        let (agent, worker) = (it.api(AGENT)?, it.api(&first)?);
        for path in ["/healthz", "/readyz"] {
            assert_eq!(agent.ask(Method::GET, path, None, "").await?.status, 200);
            assert_eq!(worker.ask(Method::GET, path, None, "").await?.status, 200);
        }
        for (token, method, path, expected) in [
            (None, Method::GET, "/subagent/api", 401),
            (Some("guess"), Method::GET, "/subagent/api", 401),
            (Some(READER), Method::POST, "/subagent/api/terminate", 403),
            (Some(OPERATOR), Method::POST, "/subagent/api/terminate?manner=switch-over", 400),
            (Some(OPERATOR), Method::POST, "/subagent/api/terminate?signal=SIGHUP", 400),
            (Some(OPERATOR), Method::GET, "/subagent/api/terminate", 405),
            (Some(READER), Method::GET, "/agent/api", 404),
            (Some(READER), Method::GET, "/controller/api", 404),
        ] {
            let answer = worker.ask(method, path, token, "").await?;
            assert_eq!(answer.status, expected, "{path}: {answer:?}");
        }
        let status = agent.get("/agent/api").await?;
        let director = &status["director"];
        assert_eq!(director["dedicatedTo"]["agentPath"], AGENT, "{status}");
        assert_eq!(director["coupledWith"], CONTROLLER, "{status}");
        assert_eq!(director["orders"]["processing"], 3, "{status}");
        assert_eq!(list(director, "subagents").len(), 2, "{status}");
        let status = worker.get("/subagent/api").await?;
        assert_eq!(status["subagent"]["dedicatedTo"]["subagentId"], first.as_str(), "{status}");
        assert_eq!(status["subagent"]["processes"]["running"], 3, "{status}");
        let page = worker.get("/subagent/api/process?limit=2").await?;
        assert_eq!(list(&page, "processes").len(), 2, "{page}");
        let next = page["next"].as_str().unwrap_or_default();
        let page = worker.get(&format!("/subagent/api/process?limit=2&after={next}")).await?;
        assert!(list(&page, "processes").len() == 1 && page.get("next").is_none(), "{page}");
        let metrics = agent.ask(Method::GET, "/metrics", Some(READER), "").await?.text;
        for expected in [
            "kind=\"agent\"",
            "baton_controller_coupled 1\n",
            "baton_subagent_selectable{subagent=\"subagent-1\"} 1\n",
            "baton_subagent_processes{subagent=\"subagent-1\"} 3\n",
            "baton_processes 0\n",
            "baton_journal_committed_records_total ",
        ] {
            assert!(metrics.contains(expected), "{expected}{metrics}");
        }
        let metrics = worker.ask(Method::GET, "/metrics", Some(READER), "").await?.text;
        for expected in ["kind=\"subagent\"", "baton_processes 3\n", "baton_processes_started_total 3\n"] {
            assert!(metrics.contains(expected), "{expected}{metrics}");
        }
        let told = it.ctl(&["status", AGENT, &first])?;
        assert!(told.contains("subagent-1: coupled, 3 processes") && told.contains("3 run;"), "{told}");
        // A stop that ends the jobs too.
        it.ctl(&["terminate", "--at", &first, "--signal", "SIGTERM", "--yes"])?;
        assert!(ended(it, &first).await?.success());
        let table = it.ctl(&["agents"])?;
        assert!(table.contains("coupled"), "{table}");
        until("it is seen that it has stopped", async || {
            let table = it.ctl(&["subagents"]).map_err(|error| error.to_string())?;
            let line = table.lines().find(|line| line.starts_with("subagent-1")).unwrap_or_default();
            if line.contains("stopped") && line.contains("since 20") { Ok(()) } else { Err(table) }
        })
        .await
    })
    .await;
}
