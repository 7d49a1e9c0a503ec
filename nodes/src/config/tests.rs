//! What is right is read, and what is wrong is told so that it can be mended.

use super::reader::{Environment, read_text};
use super::*;
use baton_protocol::register::Seat;
use proptest::prelude::*;
use std::path::Path;

const CONTROLLER: &str = r#"
cluster = "main"
node = "controller-1"
data = "data"

[links]
listen = "0.0.0.0:4454"

[api]
listen = "127.0.0.1:4444"
url = "https://one.example:4444/"

[[api.users]]
name = "operator"
secret_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
permissions = ["read", "operate"]

[pair]
seat = "first"
peer = { node = "controller-2", address = "two.example:4455" }
watch = { node = "watch", address = "three.example:4456" }

[tls]
authorities = "tls/authority.pem"
certificate = "/elsewhere/controller-1.pem"
key = "tls/controller-1.key"

[timing]
silence = "3s"
watch_silence = "1900ms"
heartbeat = "900ms"
"#;

const WATCH: &str = r#"
cluster = "main"
node = "watch"
data = "watch"
links.listen = "127.0.0.1:4456"
nodes.first = { node = "controller-1", address = "127.0.0.1:4454" }
nodes.second = { node = "controller-2", address = "127.0.0.1:4455" }
http = {}
"#;

fn controller(text: &str, variables: &[(&str, &str)]) -> Result<ControllerConfig, Findings> {
    let environment = variables.iter().copied().collect();
    read_text(Path::new("conf/c.toml"), text, &environment, ControllerConfig::of).map(|read| ControllerConfig {
        settings: read.settings,
        warnings: read.warnings,
        ..read.value
    })
}

fn watch(text: &str) -> Result<WatchConfig, Findings> {
    read_text(Path::new("conf/w.toml"), text, &Environment::default(), WatchConfig::of).map(|read| read.value)
}

/// The one thing that is wrong.
#[track_caller]
fn mistake(text: &str, variables: &[(&str, &str)]) -> String {
    let findings = controller(text, variables).unwrap_err();
    let errors: Vec<_> = findings.as_slice().iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 1, "{findings}");
    errors[0].to_string()
}

#[test]
fn a_controller_is_read() {
    let config = controller(CONTROLLER, &[]).unwrap();
    assert_eq!(config.common.node.as_str(), "controller-1");
    assert_eq!(config.common.data, Path::new("conf/data"));
    assert_eq!(config.common.links.to_string(), "0.0.0.0:4454");
    assert_eq!(config.api.url.as_deref(), Some("https://one.example:4444"));
    assert_eq!(config.api.users[0].permissions, [Permission::Read, Permission::Operate]);
    assert!(config.api.users[0].secret.is_of("abc"));
    let pair = config.pair.unwrap();
    assert_eq!((pair.seat, pair.peer.to_string().as_str()), (Seat::First, "controller-2 at two.example:4455"));
    let tls = config.common.tls.unwrap();
    assert_eq!(tls.authorities, Path::new("conf/tls/authority.pem"));
    assert_eq!(tls.own.unwrap().certificate, Path::new("/elsewhere/controller-1.pem"));
    assert_eq!(config.timing.watch_silence.as_millis(), 1900);
    assert_eq!(config.warnings, Findings::default());
}

#[test]
fn a_controller_alone_needs_little() {
    let config = controller("cluster = 'main'\nnode = 'c'\ndata = '/d'", &[]).unwrap();
    assert!(config.pair.is_none() && config.common.tls.is_none());
    assert_eq!(config.api.listen.to_string(), API);
    assert!(config.warnings.to_string().contains("no users"), "{}", config.warnings);
}

#[test]
fn a_watch_is_read() {
    let config = watch(WATCH).unwrap();
    assert_eq!(config.nodes.second.node.as_str(), "controller-2");
    assert_eq!(config.http.unwrap().to_string(), "127.0.0.1:4464");
    let findings = watch(&WATCH.replace("controller-2", "Watch")).unwrap_err();
    assert_eq!(
        findings.to_string(),
        "conf/w.toml:6:1: error: nodes: second is called watch, as this watch is; expected are three nodes"
    );
}

#[test]
fn variables_count_more_than_the_file() {
    let variables = [("BATON_API_LISTEN", "127.0.0.1:1"), ("BATON_PAIR_PEER_ADDRESS", "h:2"), ("BATON_LOG", "debug")];
    let config = controller(CONTROLLER, &variables).unwrap();
    assert_eq!(config.api.listen.to_string(), "127.0.0.1:1");
    assert_eq!(config.pair.unwrap().peer.address.to_string(), "h:2");
    assert_eq!(config.common.log.level, Level::Debug);
    let shown = |key: &str| config.settings.iter().find(|setting| setting.key == key).unwrap().to_string();
    assert_eq!(shown("api.listen"), "api.listen = \"127.0.0.1:1\"  # BATON_API_LISTEN");
    assert_eq!(shown("node"), "node = \"controller-1\"  # conf/c.toml:3:8");
    assert_eq!(shown("timing.exchange"), "timing.exchange = \"1s\"  # default");
    assert_eq!(shown("api.users[0].secret_sha256"), "api.users[0].secret_sha256 = \"(hidden)\"  # conf/c.toml:15:17");

    // A section may come from there alone; empty variables count as not set, and those of others are theirs.
    let variables = [
        ("BATON_PAIR_SEAT", "second"),
        ("BATON_NODE", ""),
        ("BATON_RETURN_VALUES", "x"),
        ("BATON_HOME", "/"),
        ("BATON_URL", "x"),
        ("BATON_TOKEN", "x"),
        ("BATON_CTL_CONFIG", "x"),
    ];
    let findings = controller("cluster = 'm'\nnode = 'c'\ndata = 'd'", &variables).unwrap_err().to_string();
    assert!(findings.contains("pair.peer.node: this is missing") && !findings.contains("BATON_RETURN"), "{findings}");
    for others in ["BATON_HOME", "BATON_URL", "BATON_TOKEN", "BATON_CTL"] {
        assert!(!findings.contains(others), "{findings}");
    }
}

#[test]
fn mistakes_are_told_with_what_would_be_right() {
    for (from, to, expected) in [
        (
            "[links]\nlisten",
            "[links]\nlistn",
            "conf/c.toml:7:1: error: links.listn: there is no such setting; links.listen was meant, perhaps",
        ),
        ("[links]", "[link]", "conf/c.toml:6:2: error: link: there is no such setting; links was meant, perhaps"),
        ("[links]", "[links]\ncluster = ''", "stands above the first section, perhaps"),
        ("[links]", "[orders]\n[links]", "known are cluster, node, data, tls, links, journal, log, api, pair, timing"),
        (
            "\"0.0.0.0:4454\"",
            "4454",
            "conf/c.toml:7:10: error: links.listen: this is a number; expected is a text in quotes",
        ),
        ("\"0.0.0.0:4454\"", "\":4454\"", "\":4454\" is no address: there is no host; expected is HOST:PORT"),
        ("\"first\"", "\"watch\"", "pair.seat: this is \"watch\"; expected is one of \"first\", \"second\""),
        (
            "node = \"controller-1\"",
            "",
            "conf/c.toml: error: node: this is missing; expected is node = … at the top of the file or the variable BATON_NODE",
        ),
        ("name = \"operator\"", "", "api.users[0].name: this is missing"),
        ("\"operate\"]", "\"write\"]", "api.users[0].permissions: this is \"write\""),
        ("\"operate\"]", "7]", "api.users[0].permissions: this is a number; expected is a list of texts"),
        ("\"controller-2\"", "\"controller-1\"", "peer is called controller-1, as this node is"),
        ("\"3s\"", "\"2s\"", "the times do not fit each other: silence must be three heartbeats"),
        ("\"3s\"", "\"3\"", "timing.silence: \"3\" is no time; expected are seconds or milliseconds"),
        ("[tls]", "[[tls]]", "tls: this is a list; expected is a section, [tls]"),
        ("127.0.0.1:4444", "0.0.0.0:4454", "HTTP and links cannot both listen at 0.0.0.0:4454"),
        ("https://one.example:4444/", "https://one.example/x", "is no address of an API"),
    ] {
        assert!(CONTROLLER.contains(from), "{from}");
        let message = mistake(&CONTROLLER.replacen(from, to, 1), &[]);
        assert!(message.contains(expected), "{message}");
    }
    for (name, value, expected) in [
        (
            "BATON_API_LISTN",
            "h:1",
            "BATON_API_LISTN: error: there is no such setting; BATON_API_LISTEN was meant, perhaps",
        ),
        ("BATON_API_USERS_0_NAME", "x", "or it can be made in the file only"),
        ("BATON_CLUSTRE", "x", "BATON_CLUSTER was meant"),
        ("BATON_NODE", "a b", "BATON_NODE: error: node: \"a b\" cannot be the name of a node"),
    ] {
        let message = mistake(CONTROLLER, &[(name, value)]);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = CONTROLLER.replace("[tls]", "[xyz]").replace("\"first\"", "1").replace("\"main\"", "\"\"");
    let findings = controller(&text, &[]).unwrap_err().to_string();
    for expected in [
        "2:11: error: cluster",
        "20:43: error: pair.peer.address",
        "7:10: error: links.listen: 0.0.0.0:4454 can be reached",
        "19:8: error: pair.seat",
        "23:2: error: xyz",
    ] {
        assert!(findings.contains(expected), "{findings}");
    }
    assert!(findings.lines().count() == 6, "{findings}");
    let findings = controller("a = \nb = 1\n= 3\n", &[]).unwrap_err();
    assert!(findings.as_slice().len() >= 2, "{findings}");
    assert!(findings.to_string().starts_with("conf/c.toml:1:"), "{findings}");
}

#[test]
fn without_encryption_nothing_leaves_the_machine() {
    let text = "cluster = 'm'\nnode = 'c'\ndata = 'd'\n";
    assert!(controller(text, &[("BATON_LINKS_LISTEN", "localhost:4454")]).is_ok());
    for variable in ["BATON_LINKS_LISTEN", "BATON_API_LISTEN"] {
        let message = mistake(text, &[(variable, "host:4454")]);
        assert!(message.contains("expected is a section [tls], or an address of this machine"), "{message}");
    }
}

#[test]
fn secrets_are_not_told() {
    let secret = "hunter2-hunter2";
    let text = CONTROLLER.replace("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", secret);
    let message = mistake(&text, &[]);
    assert!(message.contains("secret_sha256: this is no SHA-256") && !message.contains(secret), "{message}");
    assert!(!format!("{:?}", controller(CONTROLLER, &[]).unwrap()).contains("ba7816bf"));
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let findings = ControllerConfig::read(Path::new("/nowhere/c.toml"), &Environment::default()).unwrap_err();
    assert!(findings.to_string().starts_with("/nowhere/c.toml: error: cannot be read: No such file"), "{findings}");
    let findings = WatchConfig::read(Path::new("/"), &Environment::default()).unwrap_err();
    assert!(findings.to_string().contains("this is a folder"), "{findings}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Nothing panics, whatever is written; what is refused is refused with a reason, and in one line each.
    #[test]
    fn whatever_is_written_is_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..40usize, ".{0,6}"), 1..4),
        variable in "(API|PAIR|TLS|LOG|TIMING)_(LISTEN|SEAT|KEY|LEVEL|SILENCE|[A-Z_]{0,5})",
        value in ".{0,10}",
    ) {
        let mut text: Vec<char> = CONTROLLER.chars().collect();
        for (at, removed, inserted) in edits {
            let at = at.index(text.len());
            text.splice(at..(at + removed).min(text.len()), inserted.chars());
        }
        let text: String = text.into_iter().collect();
        for findings in [
            controller(&text, &[(&format!("BATON_{variable}"), &value)]).err(),
            watch(&text).err(),
            controller(&value, &[]).err(),
        ].into_iter().flatten() {
            prop_assert!(findings.has_errors());
            prop_assert_eq!(findings.to_string().lines().count(), findings.as_slice().len(), "{}", findings);
        }
    }
}
