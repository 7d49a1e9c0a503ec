//! Exit codes, environment, return values, and starts that fail.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use baton_nodes::process::{Launch, LaunchError, Launcher, Program, ReturnValuesError, Status};

use super::{Fixture, finish};

#[tokio::test]
async fn exit_code_and_signal_are_reported() {
    let fixture = Fixture::start().await;
    assert_eq!(fixture.run("exit 0").await.ended.status, Status::Exited(0));
    assert_eq!(fixture.run("exit 77").await.ended.status, Status::Exited(77));
    assert_eq!(fixture.run("kill -SEGV $$").await.ended.status, Status::Signaled(11));
}

#[tokio::test]
async fn first_line_names_the_interpreter() {
    let fixture = Fixture::start().await;
    assert_eq!(fixture.run("echo $0").await.stdout.lines().count(), 1);
    assert_eq!(fixture.run("#!/usr/bin/env -S sh -e\nfalse\nexit 0").await.ended.status, Status::Exited(1));
    assert_eq!(fixture.run("#!/bin/cat\nthe text").await.stdout, "#!/bin/cat\nthe text");
}

#[tokio::test]
async fn arguments_arrive_as_they_are() {
    let fixture = Fixture::start().await;
    let mut launch = Launch::script("printf '<%s>' \"$@\"");
    launch.arguments = vec!["a b".into(), "".into(), "*".into(), "ä".into()];
    let outcome = finish(fixture.launcher.launch(launch).await.unwrap()).await;
    assert_eq!(outcome.stdout, "<a b><><*><ä>");
}

#[tokio::test]
async fn environment_is_exact() {
    let fixture = Fixture::start().await;
    let mut launch = Launch::command("/usr/bin/env", [] as [&str; 0]);
    launch.clear_environment = true;
    launch.environment = vec![("A".into(), Some("1 = one\n".into())), ("B".into(), Some("".into()))];
    let outcome = finish(fixture.launcher.launch(launch.clone()).await.unwrap()).await;
    let values = fixture.directory.path().canonicalize().unwrap().join("work/values/1");
    let values = values.display();
    let expected = format!("A=1 = one\n\nB=\nBATON_RETURN_VALUES={values}\nJS7_RETURN_VALUES={values}\n");
    assert_eq!(outcome.stdout, expected);

    launch.clear_environment = false;
    launch.environment = vec![("HOME".into(), None)];
    let outcome = finish(fixture.launcher.launch(launch).await.unwrap()).await;
    assert!(outcome.stdout.contains("\nPATH=") || outcome.stdout.starts_with("PATH="), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("\nHOME="), "{}", outcome.stdout);
}

#[tokio::test]
async fn nothing_of_ours_leaks_into_a_process() {
    let fixture = Fixture::start().await;
    let _other = fixture.launch("sleep 10").await;
    let mut launch = Launch::command("/bin/ls", ["/proc/self/fd"]);
    let outcome = finish(fixture.launcher.launch(launch.clone()).await.unwrap()).await;
    // Whoever started the tests may have left something open.
    let directly = std::process::Command::new("/bin/ls").arg("/proc/self/fd").output().unwrap();
    assert_eq!(outcome.stdout, String::from_utf8(directly.stdout).unwrap());
    launch.program = Program::File("/bin/readlink".into());
    launch.arguments = vec!["/proc/self/fd/0".into()];
    assert_eq!(finish(fixture.launcher.launch(launch).await.unwrap()).await.stdout, "/dev/null\n");
    // Nothing is blocked or ignored but what whoever started the tests ignores already.
    let arguments = ["-E", "^Sig(Ign|Blk):", "/proc/self/status"];
    let outcome = finish(fixture.launcher.launch(Launch::command("grep", arguments)).await.unwrap()).await;
    let directly = std::process::Command::new("grep").args(arguments).output().unwrap();
    let (ours, theirs) = (signals(&outcome.stdout), signals(&String::from_utf8(directly.stdout).unwrap()));
    assert!(ours.iter().zip(&theirs).all(|(ours, theirs)| ours & !theirs == 0), "{ours:x?} {theirs:x?}");
}

/// The masks in lines like `SigIgn: 0000000000000004`.
fn signals(text: &str) -> Vec<u64> {
    let masks: Vec<u64> =
        text.lines().map(|line| u64::from_str_radix(line.split_once('\t').unwrap().1, 16).unwrap()).collect();
    assert_eq!(masks.len(), 2, "{text}");
    masks
}

#[tokio::test]
async fn program_without_slash_is_searched_in_the_path_of_the_job() {
    let fixture = Fixture::start().await;
    let directory = fixture.directory.path().join("bin");
    std::fs::create_dir(&directory).unwrap();
    // Neither binary nor "#!".
    std::fs::write(directory.join("our-tool"), "echo \"tool $1\"").unwrap();
    std::fs::set_permissions(directory.join("our-tool"), PermissionsExt::from_mode(0o755)).unwrap();
    let mut launch = Launch::command("our-tool", ["x"]);
    let error = fixture.launcher.launch(launch.clone()).await.err().unwrap();
    assert!(error.to_string().contains("cannot start our-tool: no such program"), "{error}");
    launch.environment.push(("PATH".into(), Some(directory.into_os_string())));
    let outcome = finish(fixture.launcher.launch(launch).await.unwrap()).await;
    assert_eq!(outcome.stdout, "tool x\n");
}

#[tokio::test]
async fn failing_start_says_why() {
    let fixture = Fixture::start().await;
    let error_of = async |launch| match fixture.launcher.launch(launch).await {
        Err(LaunchError::NotStarted { error, reason, .. }) => (error.raw_os_error().unwrap(), reason),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("started"),
    };
    const ENOENT: i32 = 2;
    const E2BIG: i32 = 7;
    const EACCES: i32 = 13;

    let interpreter = Launch::script("#!/no/such/interpreter\n");
    assert_eq!(error_of(interpreter).await, (ENOENT, "the interpreter named after #! does not exist"));
    let program = Launch::command("/no/such/program", [] as [&str; 0]);
    assert_eq!(error_of(program).await, (ENOENT, "no such program"));
    let mut directory = Launch::script("exit 0");
    directory.working_directory = Some("/no/such/directory".into());
    assert_eq!(error_of(directory).await, (ENOENT, "its working directory does not exist"));
    let file = Launch::command("/etc/passwd", [] as [&str; 0]);
    assert_eq!(error_of(file).await, (EACCES, "not executable for this user"));
    let large = Launch::command("/bin/true", ["x".repeat(1 << 20)]);
    assert_eq!(error_of(large).await.0, E2BIG);

    let huge = Launch::command("/bin/true", ["x".repeat(17 << 20)]);
    assert!(matches!(fixture.launcher.launch(huge).await, Err(LaunchError::TooLarge(_))));
    let mut variable = Launch::script("exit 0");
    variable.environment.push((OsString::from("A=B"), Some("c".into())));
    assert!(matches!(fixture.launcher.launch(variable).await, Err(LaunchError::VariableName(_))));

    assert_eq!(fixture.run("echo fine").await.stdout, "fine\n");
}

#[tokio::test]
async fn no_more_processes_than_possible() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = super::config(directory.path());
    config.process_limit = Some(2);
    let launcher = Launcher::start(config).await.unwrap();
    assert_eq!(launcher.process_limit(), 2);
    let sleep = || Launch::script("sleep 60");
    let first = launcher.launch(sleep()).await.unwrap();
    let _second = launcher.launch(sleep()).await.unwrap();
    assert!(matches!(launcher.launch(sleep()).await, Err(LaunchError::TooManyProcesses(2))));
    first.killer().kill();
    finish(first).await;
    assert!(launcher.launch(sleep()).await.is_ok());
}

#[tokio::test]
async fn file_that_is_still_being_written_is_waited_for() {
    let fixture = Fixture::start().await;
    let path = fixture.directory.path().join("busy");
    std::fs::copy("/bin/true", &path).unwrap();
    let writer = std::fs::File::options().append(true).open(&path).unwrap();
    let closing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(writer);
    };
    let launch = Launch::command(path, [] as [&str; 0]);
    let (running, ()) = tokio::join!(fixture.launcher.launch(launch), closing);
    assert_eq!(finish(running.unwrap()).await.ended.status, Status::Exited(0));
}

#[tokio::test]
async fn return_values_are_read() {
    let fixture = Fixture::start().await;
    let outcome = fixture.run("echo ' a = 1 ' >>$BATON_RETURN_VALUES; echo b=x=y >>$JS7_RETURN_VALUES; exit 3").await;
    assert_eq!(outcome.ended.status, Status::Exited(3));
    let values = outcome.ended.return_values.unwrap();
    assert_eq!(values, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x=y".to_owned())]);

    let outcome = fixture.run("echo a=1 >$JS7_RETURN_VALUES; echo nonsense >>$JS7_RETURN_VALUES").await;
    let error = outcome.ended.return_values.unwrap_err();
    assert!(matches!(&error, ReturnValuesError::Line { number: 2, line } if line == "nonsense"), "{error}");

    let outcome = fixture.run("mkfifo $JS7_RETURN_VALUES").await;
    assert!(matches!(outcome.ended.return_values, Err(ReturnValuesError::NotAFile)));

    // The name of version 1 is for those who ask for it.
    let mut launch =
        Launch::script("echo a=${SCHEDULER_RETURN_VALUES:-none}; echo b=1 >>${SCHEDULER_RETURN_VALUES:-/dev/null}");
    let outcome = finish(fixture.launcher.launch(launch.clone()).await.unwrap()).await;
    assert_eq!((outcome.stdout.as_str(), outcome.ended.return_values.unwrap().len()), ("a=none\n", 0));
    launch.v1_compatible = true;
    let outcome = finish(fixture.launcher.launch(launch).await.unwrap()).await;
    assert_eq!(outcome.ended.return_values.unwrap(), [("b".to_owned(), "1".to_owned())]);

    let values = fixture.directory.path().join("work/values");
    assert_eq!(std::fs::read_dir(values).unwrap().count(), 0);
}

#[tokio::test]
async fn launcher_leaves_nothing_in_its_directory_at_the_next_start() {
    let fixture = Fixture::start().await;
    fixture.run("exit 0").await;
    fixture.launcher.stop().await;
    assert!(matches!(fixture.launcher.launch(Launch::script("exit 0")).await, Err(LaunchError::GuardLost)));
    let work = fixture.directory.path().join("work");
    let _next = Launcher::start(super::config(&work)).await.unwrap();
    assert_eq!(std::fs::read_dir(work.join("scripts")).unwrap().count(), 0);
}
