//! A controller, an agent and a subagent as three processes: jobs run on both, and go on when one of them is killed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BATON: &str = env!("CARGO_BIN_EXE_baton");

/// Longer than anything takes, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

const SECRET: &str = "a token of more than thirty-two characters";

/// The folder, the processes, and where the controller answers.
struct Installation {
    folder: TempDir,
    api: u16,
    daemons: Vec<(&'static str, Child)>,
}

/// Ports that nobody uses now.
fn ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

impl Installation {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let [api, links, agent, subagent] = ports();
        let hash = baton_nodes::config::SecretHash::of(SECRET).to_hex();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let common = |node: &str, links: u16| {
            format!(
                "cluster = \"test\"\nnode = \"{node}\"\ndata = \"data/{node}\"\n[links]\nlisten = \"127.0.0.1:{links}\"\n"
            )
        };
        let user = format!("name = \"tester\"\npermissions = [\"read\", \"operate\"]\nsecret_sha256 = \"{hash}\"\n");
        let text = format!("{}[api]\nlisten = \"127.0.0.1:{api}\"\n[[api.users]]\n{user}", common("controller", links));
        write("controller.toml", text);
        write("agent.toml", format!("{}[superiors]\ncontrollers = [\"controller\"]\n", common("agent", agent)));
        write("subagent.toml", format!("{}[superiors]\ndirectors = [\"agent\"]\n", common("subagent", subagent)));
        write("token", SECRET.to_owned());
        let script = r#"echo "$WHO $BATON_TEST" >> ledger; sleep 0.3"#;
        let script = script.replace("ledger", &folder.path().join("ledger").display().to_string()).replace('"', "\\\"");
        let items = format!(
            r#"[{{"TYPE":"AgentRef","path":"A","directors":["agent"]}},
                {{"TYPE":"SubagentItem","id":"agent","agentPath":"A","uri":"http://agent@127.0.0.1:{agent}"}},
                {{"TYPE":"SubagentItem","id":"subagent","agentPath":"A","uri":"http://subagent@127.0.0.1:{subagent}"}},
                {{"TYPE":"SubagentSelection","id":"BOTH","subagentToPriority":{{"agent":"1","subagent":"1"}}}},
                {{"TYPE":"Workflow","path":"W","instructions":[{{"TYPE":"Execute.Anonymous","job":{{"agentPath":"A",
                  "subagentSelectionId":"BOTH","processLimit":4,
                  "executable":{{"TYPE":"ShellScriptExecutable","env":{{"WHO":"$js7OrderId"}},"script":"{script}"}}}}}}]}}]"#
        );
        write("items.json", items);
        let mut installation = Self { folder, api, daemons: Vec::new() };
        for kind in ["subagent", "agent", "controller"] {
            installation.launch(kind);
        }
        installation
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a daemon.
    fn launch(&mut self, kind: &'static str) {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.path(&format!("{kind}.log"))).unwrap();
        let child = Command::new(BATON)
            .arg(kind)
            .arg("--config")
            .arg(self.path(&format!("{kind}.toml")))
            .env("BATON_TEST", kind)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemons.push((kind, child));
    }

    /// Kills a daemon at once.
    fn kill(&mut self, kind: &str) {
        let at = self.daemons.iter().position(|(name, _)| *name == kind).unwrap();
        let (_, mut child) = self.daemons.swap_remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn ctl(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new(BATON)
            .args(["ctl", "--url", &format!("http://127.0.0.1:{}", self.api), "--token-file"])
            .arg(self.path("token"))
            .args(arguments)
            .output()
            .unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// Adds orders, and waits until all of them are finished.
    fn run(&self, prefix: &str, count: usize) {
        for n in 0..count {
            self.ctl(&["add", "W", "--id", &format!("{prefix}{n}")]).unwrap();
        }
        self.wait_for(prefix, count);
    }

    fn wait_for(&self, prefix: &str, count: usize) {
        self.until("finished", || {
            let list = self.ctl(&["list"]).unwrap_or_default();
            let finished = list.lines().filter(|line| line.starts_with(prefix) && line.contains("Finished")).count();
            (finished == count).then_some(()).ok_or(list)
        });
    }

    fn until(&self, what: &str, is_so: impl Fn() -> Result<(), String>) {
        let began = Instant::now();
        while let Err(found) = is_so() {
            if began.elapsed() > DEADLINE {
                let log = |kind: &str| std::fs::read_to_string(self.path(&format!("{kind}.log"))).unwrap_or_default();
                panic!("not {what}: {found}\n{}\n{}\n{}", log("controller"), log("agent"), log("subagent"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Which order's jobs ran where.
    fn ledger(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.path("ledger")).unwrap_or_default();
        let entries = text.lines().filter_map(|line| line.split_once(' '));
        entries.map(|(order, place)| (order.to_owned(), place.to_owned())).collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for (_, mut child) in std::mem::take(&mut self.daemons) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn ran(ledger: &[(String, String)], prefix: &str, place: &str) -> usize {
    ledger.iter().filter(|(order, at)| order.starts_with(prefix) && at == place).count()
}

#[test]
fn jobs_run_on_two_machines_and_go_on_when_one_is_lost() {
    let mut installation = Installation::start();
    let items = installation.path("items.json");
    installation.until("deployed", || {
        installation.ctl(&["deploy", &items.display().to_string()]).map(drop).ok_or_else(String::new)
    });
    installation.run("both-", 6);
    let ledger = installation.ledger();
    let (here, there) = (ran(&ledger, "both-", "agent"), ran(&ledger, "both-", "subagent"));
    assert!(here > 0 && there > 0 && here + there == 6, "{ledger:?}");

    installation.kill("subagent");
    installation.run("one-", 4);
    assert_eq!(ran(&installation.ledger(), "one-", "agent"), 4);

    installation.launch("subagent");
    installation.until("back", || {
        let id = format!("back-{}-", installation.ledger().len());
        installation.run(&id, 2);
        (ran(&installation.ledger(), &id, "subagent") > 0).then_some(()).ok_or_else(String::new)
    });

    // The controller is lost while jobs run: they end, and are finished when it is back.
    for n in 0..4 {
        installation.ctl(&["add", "W", "--id", &format!("lost-{n}")]).unwrap();
    }
    installation.until("started", || {
        let started = installation.ledger().iter().filter(|(order, _)| order.starts_with("lost-")).count();
        (started == 4).then_some(()).ok_or_else(String::new)
    });
    installation.kill("controller");
    installation.launch("controller");
    installation.wait_for("lost-", 4);
    let ledger = installation.ledger();
    assert_eq!(ran(&ledger, "lost-", "agent") + ran(&ledger, "lost-", "subagent"), 4, "{ledger:?}");

    // So it is when the director is lost: the processes of its own subagent die with it, and are started again.
    installation.kill("agent");
    installation.launch("agent");
    installation.run("again-", 2);
    assert!(Path::new(&installation.path("data/agent")).exists());
}
