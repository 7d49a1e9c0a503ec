//! Two directors of an agent as processes, with the controller as their watch: jobs go on when one of them is killed, or hands over.
//! And two controllers, with an agent as their watch.

use super::real::Failure;
use super::real::installation::{AGENT, CONTROLLER, Installation, SECOND, STANDBY, subagent, until};
use super::{ended, story_of};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Waits until this director is the active one of a coupled pair.
async fn is_active(it: &Installation, name: &str) -> Result<(), Failure> {
    until(&format!("{name} is active"), async || {
        let status = it.api(name).unwrap().get("/agent/api").await.map_err(|error| error.to_string())?;
        let cluster = &status["director"]["cluster"];
        let is_so =
            cluster["part"] == "active" && cluster["mode"] == "coupled" && status["director"]["isCoupled"] == true;
        if is_so { Ok(()) } else { Err(status.to_string()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_when_the_active_director_is_killed() {
    let folder = TempDir::new().unwrap();
    story_of(Installation::paired(folder.path(), 1).unwrap(), async |it| {
        is_active(it, AGENT).await?;
        it.add("FIX", "remote_4").await?;
        it.add("HERE", "local_2").await?;
        it.job_has_begun("remote_4", 1).await?;
        it.job_has_begun("local_2", 1).await?;
        it.kill(AGENT)?;
        let killed = Instant::now();
        // What ran in its process is started again where the new active one is; nothing else is.
        it.add("FIX", "next_0").await?;
        it.order_is("next_0", "Finished").await?;
        assert!(killed.elapsed() < Duration::from_secs(15), "{:?}", killed.elapsed());
        it.order_is("remote_4", "Finished").await?;
        assert_eq!(it.ledger.of("remote_4")?.begun, [subagent(1)]);

        it.start(AGENT)?;
        it.working().await?;
        is_active(it, SECOND).await?;
        it.order_is("local_2", "Finished").await?;
        assert_eq!(it.ledger.of("local_2")?.begun.len(), 2);

        // Both the active director and the controller, which is the watch.
        it.add("FIX", "again_4").await?;
        it.job_has_begun("again_4", 1).await?;
        it.kill(SECOND)?;
        it.kill(CONTROLLER)?;
        it.start(CONTROLLER)?;
        it.order_is("again_4", "Finished").await?;
        assert_eq!(it.ledger.of("again_4")?.begun, [subagent(1)]);
        it.start(SECOND)?;
        is_active(it, AGENT).await?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_when_the_active_director_hands_over() {
    let folder = TempDir::new().unwrap();
    story_of(Installation::paired(folder.path(), 1).unwrap(), async |it| {
        is_active(it, AGENT).await?;
        it.add("FIX", "remote_3").await?;
        it.add("HERE", "local_3").await?;
        it.job_has_begun("remote_3", 1).await?;
        it.job_has_begun("local_3", 1).await?;
        it.ctl(&["switch-over", "--at", AGENT, "--yes"])?;
        is_active(it, SECOND).await?;
        it.order_is("remote_3", "Finished").await?;
        it.order_is("local_3", "Finished").await?;
        assert_eq!(it.ledger.of("remote_3")?.begun, [subagent(1)]);
        assert_eq!(it.ledger.of("local_3")?.begun, [AGENT]);

        // One that ends lets the other one take over before, and its own jobs come to their end.
        it.working().await?;
        it.add("ROUND", "round_2").await?;
        it.job_has_begun("round_2", 1).await?;
        it.api(SECOND)?.post("/agent/api/terminate?manner=switch-over", "{}").await?;
        assert!(ended(it, SECOND).await?.success());
        it.order_is("round_2", "Finished").await?;
        assert_eq!(it.ledger.of("round_2")?.begun.len(), 1);
        it.add("FIX", "alone_0").await?;
        it.order_is("alone_0", "Finished").await?;
        it.start(SECOND)?;
        is_active(it, AGENT).await?;

        // One that is stopped without that is not followed by the other one.
        it.api(AGENT)?.post("/agent/api/terminate", "{}").await?;
        assert!(ended(it, AGENT).await?.success());
        tokio::time::sleep(Duration::from_secs(6)).await;
        let status = it.api(SECOND)?.get("/agent/api").await?;
        assert_eq!(status["director"]["cluster"]["part"], "standby", "{status}");
        it.ctl(&["appoint", "--at", SECOND, "--yes"])?;
        it.start(AGENT)?;
        is_active(it, SECOND).await?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_the_watch_of_two_controllers() {
    let folder = TempDir::new().unwrap();
    story_of(Installation::with(folder.path(), &[CONTROLLER, STANDBY, AGENT], 1).unwrap(), async |it| {
        let is_coupled = async |name: &str| {
            until(&format!("{name} is active and coupled"), async || {
                let cluster = it.api(name).unwrap().get("/controller/api/cluster").await;
                let cluster = cluster.map_err(|error| error.to_string())?;
                let is_so =
                    cluster["part"] == "active" && cluster["mode"] == "coupled" && cluster["watchIsLinked"] == true;
                if is_so { Ok(()) } else { Err(cluster.to_string()) }
            })
            .await
        };
        is_coupled(CONTROLLER).await?;
        it.add("FIX", "remote_3").await?;
        it.job_has_begun("remote_3", 1).await?;
        it.kill(CONTROLLER)?;
        let killed = Instant::now();
        until("the other controller is active", async || {
            let cluster = it.api(STANDBY).unwrap().get("/controller/api/cluster").await;
            let cluster = cluster.map_err(|error| error.to_string())?;
            if cluster["part"] == "active" { Ok(()) } else { Err(cluster.to_string()) }
        })
        .await?;
        assert!(killed.elapsed() < Duration::from_secs(15), "{:?}", killed.elapsed());
        until("the order is finished there", async || {
            let order = it.api(STANDBY).unwrap().get("/controller/api/order/remote_3").await;
            let order = order.map_err(|error| error.to_string())?;
            if order["state"]["TYPE"] == "Finished" { Ok(()) } else { Err(order.to_string()) }
        })
        .await?;
        assert_eq!(it.ledger.of("remote_3")?.begun, [subagent(1)]);
        Ok(())
    })
    .await;
}
