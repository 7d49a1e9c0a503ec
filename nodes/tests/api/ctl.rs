//! `baton ctl` as people and programs use it, against a controller of this process.

use super::world::{OPERATOR, READER, World};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Runs `baton ctl` with a token of its environment.
async fn ctl(world: &World, token: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.arg("ctl").args(arguments).stdin(Stdio::null()).env_remove("BATON_CTL_CONFIG");
    command.env("BATON_URL", format!("http://{}", world.serving.address())).env("BATON_TOKEN", token);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let Output { status, stdout, stderr } = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

async fn done(world: &World, arguments: &[&str]) -> String {
    let (status, out, error) = ctl(world, OPERATOR, arguments).await;
    assert_eq!(status, 0, "{arguments:?}: {error}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_added_looked_after_and_watched() {
    let world = World::new().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("w.yaml");
    std::fs::write(&file, "TYPE: Workflow\npath: W\ninstructions:\n  - TYPE: Prompt\n    question: \"'?'\"\n").unwrap();
    let deployed = done(&world, &["deploy", file.to_str().unwrap(), "--version", "1"]).await;
    assert_eq!(deployed, "deployed: 1 workflow, version 1\n");
    assert_eq!(done(&world, &["add", "W", "--id", "A", "--arg", "n=7"]).await, "A\n");
    assert_eq!(done(&world, &["add", "W", "--id", "B", "--at", "+1d"]).await, "B\n");
    let list = done(&world, &["list"]).await;
    assert!(list.contains("Prompting") && list.contains("Fresh"), "{list}");
    let fresh = done(&world, &["list", "--state", "Fresh", "--json"]).await;
    assert_eq!((fresh.lines().count(), fresh.contains("\"id\":\"B\"")), (1, true), "{fresh}");
    assert!(done(&world, &["show", "A"]).await.contains("\"n\": 7"));
    assert!(done(&world, &["show", "Workflow:W"]).await.contains("Prompt"));
    done(&world, &["cancel", "B"]).await;
    done(&world, &["answer", "A"]).await;
    let events = done(&world, &["watch", "--after", "0", "--order", "A", "--limit", "4"]).await;
    let names: Vec<&str> = events.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(names, ["OrderAdded", "OrderStarted", "OrderPrompted", "OrderPromptAnswered"]);
    assert!(done(&world, &["status"]).await.contains("active, alone"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_statuses_tell_what_went_wrong() {
    let world = World::new().await;
    for (token, arguments, expected, why) in [
        (OPERATOR, &["cancel", "NOBODY"][..], 1, "NOBODY"),
        (READER, &["cancel", "NOBODY"], 1, "permission"),
        ("guess", &["list"], 1, "BATON_TOKEN"),
        (OPERATOR, &["switch-over"], 2, "--yes"),
        (OPERATOR, &["add", "W", "--at", "soon"], 2, "soon"),
        (OPERATOR, &["deploy", "/nowhere"], 2, "/nowhere"),
        (OPERATOR, &["--url", "http://127.0.0.1:1", "--timeout", "1", "list"], 1, "refuses the connection"),
    ] {
        let (status, _, error) = ctl(&world, token, arguments).await;
        assert!(status == expected && error.contains(why), "{arguments:?}: {status} {error}");
    }
    world.stop().await;
}
