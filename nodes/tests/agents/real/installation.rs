//! The processes: configured, started, killed, paused; and how the controller is told what there is to be done.

use super::Failure;
use super::api::{Api, OPERATOR, READER};
use super::ledger::Ledger;
use baton_nodes::config::SecretHash;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything takes, even on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The controller.
pub(crate) const CONTROLLER: &str = "controller";

/// The agent, whose own subagent is called so too.
pub(crate) const AGENT: &str = "agent";

/// The other one, where the agent has two directors.
pub(crate) const SECOND: &str = "agent-2";

/// The other controller, where there are two.
pub(crate) const STANDBY: &str = "controller-2";

/// See the module. Processes are killed when it is dropped.
pub(crate) struct Installation {
    folder: PathBuf,
    daemons: Vec<Daemon>,
    pub(crate) ledger: Ledger,
}

struct Daemon {
    name: String,
    links: u16,
    http: u16,
    child: Option<Child>,
}

/// The name of a subagent, counted from one.
pub(crate) fn subagent(number: usize) -> String {
    format!("subagent-{number}")
}

/// Ports that nobody uses now.
fn ports(count: usize) -> Result<Vec<u16>, Failure> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<std::io::Result<_>>()?;
    Ok(listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<std::io::Result<_>>()?)
}

impl Installation {
    /// With so many subagents beside that of the agent. Nothing is started.
    pub(crate) fn new(folder: &Path, subagents: usize) -> Result<Self, Failure> {
        Self::with(folder, &[CONTROLLER, AGENT], subagents)
    }

    /// The agent has two directors, and the controller is their watch.
    pub(crate) fn paired(folder: &Path, subagents: usize) -> Result<Self, Failure> {
        Self::with(folder, &[CONTROLLER, AGENT, SECOND], subagents)
    }

    /// With these controllers and directors; where there are two controllers, the agent is their watch.
    pub(crate) fn with(folder: &Path, superiors: &[&str], subagents: usize) -> Result<Self, Failure> {
        let names = superiors.iter().map(|name| (*name).to_owned()).chain((1..=subagents).map(subagent));
        let mut free = ports(2 * (superiors.len() + subagents) + 2)?.into_iter();
        let pair_ports = [free.next().unwrap_or_default(), free.next().unwrap_or_default()];
        let daemons: Vec<Daemon> = names
            .map(|name| Daemon {
                name,
                links: free.next().unwrap_or_default(),
                http: free.next().unwrap_or_default(),
                child: None,
            })
            .collect();
        let installation = Self { folder: folder.to_owned(), daemons, ledger: Ledger::new(folder)? };
        let user = |name: &str, secret: &str, permissions: &str| {
            let hash = SecretHash::of(secret).to_hex();
            format!("[[api.users]]\nname = \"{name}\"\npermissions = [{permissions}]\nsecret_sha256 = \"{hash}\"\n")
        };
        let users = user("operator", OPERATOR, "\"read\", \"operate\"") + &user("reader", READER, "\"read\"");
        let mut nodes = String::new();
        for Daemon { name, links, http, .. } in &installation.daemons {
            let member = |node: &str, port: u16| format!("{{ node = \"{node}\", address = \"127.0.0.1:{port}\" }}");
            let watched = || {
                let [first, second] = [CONTROLLER, STANDBY].map(|name| member(name, installation.daemon(name).links));
                let listen = pair_ports[0];
                format!("[watch]\nlisten = \"127.0.0.1:{listen}\"\nfirst = {first}\nsecond = {second}\n")
            };
            let above = match name.as_str() {
                CONTROLLER | STANDBY if superiors.contains(&STANDBY) => {
                    let (seat, peer) = if name == CONTROLLER { ("first", STANDBY) } else { ("second", CONTROLLER) };
                    let (peer, watch) = (member(peer, installation.daemon(peer).links), member(AGENT, pair_ports[0]));
                    format!("[pair]\nseat = \"{seat}\"\npeer = {peer}\nwatch = {watch}\n")
                }
                CONTROLLER => String::new(),
                AGENT | SECOND => {
                    let pair = if superiors.contains(&SECOND) { pair_section(name, pair_ports) } else { String::new() };
                    let watch = if superiors.contains(&STANDBY) { watched() } else { String::new() };
                    format!("[superiors]\ncontrollers = [\"{CONTROLLER}\", \"{STANDBY}\"]\n{pair}{watch}")
                }
                _ => format!("[superiors]\ndirectors = [\"{AGENT}\", \"{SECOND}\"]\n"),
            };
            let text = format!(
                "cluster = \"test\"\nnode = \"{name}\"\ndata = \"data/{name}\"\n[links]\nlisten = \"127.0.0.1:{links}\"\n\
                 [api]\nlisten = \"127.0.0.1:{http}\"\n{users}{above}"
            );
            fs::write(installation.file(name, "toml"), text)?;
            if !name.starts_with(CONTROLLER) {
                nodes.push_str(&format!("{name} = \"http://127.0.0.1:{http}\"\n"));
            }
        }
        fs::write(folder.join("token"), OPERATOR)?;
        let url = installation.daemon(CONTROLLER).http;
        let ctl = format!("urls = [\"http://127.0.0.1:{url}\"]\ntoken_file = \"token\"\n[nodes]\n{nodes}");
        fs::write(folder.join("ctl.toml"), ctl)?;
        Ok(installation)
    }

    /// A file of a process.
    pub(crate) fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }

    /// The names of all processes.
    pub(crate) fn names(&self) -> Vec<String> {
        self.daemons.iter().map(|daemon| daemon.name.clone()).collect()
    }

    fn daemon(&self, name: &str) -> &Daemon {
        self.daemons.iter().find(|daemon| daemon.name == name).unwrap_or(&self.daemons[0])
    }

    fn daemon_mut(&mut self, name: &str) -> &mut Daemon {
        let index = self.daemons.iter().position(|daemon| daemon.name == name).unwrap_or(0);
        &mut self.daemons[index]
    }

    /// A process, if it runs.
    pub(crate) fn child(&mut self, name: &str) -> &mut Option<Child> {
        &mut self.daemon_mut(name).child
    }

    /// Where a process answers HTTP.
    pub(crate) fn api(&self, name: &str) -> Result<Api, Failure> {
        Api::at(self.daemon(name).http)
    }

    /// Starts all that do not run.
    pub(crate) fn start_all(&mut self) -> Result<(), Failure> {
        self.names().iter().try_for_each(|name| self.start(name))
    }

    /// Starts a process, unless it runs.
    pub(crate) fn start(&mut self, name: &str) -> Result<(), Failure> {
        if self.daemon(name).child.is_some() {
            return Ok(());
        }
        let command = name.split('-').next().unwrap_or(name);
        let log = File::options().create(true).append(true).open(self.file(name, "log"))?;
        let child = Command::new(env!("CARGO_BIN_EXE_baton"))
            .args([command, "--config"])
            .arg(self.file(name, "toml"))
            .env("BATON_TEST", name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        *self.child(name) = Some(child);
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, name: &str) -> Result<(), Failure> {
        if let Some(mut child) = self.child(name).take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGSTOP, or SIGCONT.
    pub(crate) fn pause(&mut self, name: &str, is_paused: bool) -> Result<(), Failure> {
        if let Some(child) = &self.daemon(name).child {
            kill_process(Pid::from_child(child), if is_paused { Signal::STOP } else { Signal::CONT })?;
        }
        Ok(())
    }

    /// Whether all processes run that were started.
    ///
    /// # Errors
    /// When one has ended by itself.
    pub(crate) fn all_run(&mut self) -> Result<(), Failure> {
        for daemon in &mut self.daemons {
            if let Some(status) = daemon.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                return Err(format!("{} has ended by itself: {status}", daemon.name).into());
            }
        }
        Ok(())
    }

    /// Runs `baton ctl`.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Result<String, Failure> {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_baton"))
            .args(["ctl", "--config"])
            .arg(self.folder.join("ctl.toml"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        if status.success() {
            return Ok(String::from_utf8(stdout)?);
        }
        Err(format!("baton ctl {arguments:?}: {status}: {}", String::from_utf8_lossy(&stderr)).into())
    }

    /// The items: the agent, its subagents, and workflows of one job each, `FIX` (the first subagent that there is), `ROUND` (the
    /// subagents in turn), `ONCE` (as `FIX`, but the job cannot be started again) and `HERE` (the agent's own).
    pub(crate) fn items(&self, script: &str) -> Value {
        let uri = |daemon: &Daemon| format!("http://{}@127.0.0.1:{}", daemon.name, daemon.links);
        let workers = || self.daemons.iter().filter(|daemon| !daemon.name.starts_with(CONTROLLER));
        let remote: Vec<&Daemon> = workers().filter(|daemon| ![AGENT, SECOND].contains(&&*daemon.name)).collect();
        let directors: Vec<&str> =
            workers().map(|daemon| &*daemon.name).filter(|name| [AGENT, SECOND].contains(name)).collect();
        let mut items = vec![json!({"TYPE": "AgentRef", "path": AGENT, "directors": directors})];
        for daemon in workers() {
            items.push(json!({"TYPE": "SubagentItem", "id": daemon.name, "agentPath": AGENT, "uri": uri(daemon)}));
        }
        let bundle = |id: &str, priority: &dyn Fn(usize) -> usize| {
            let members = remote.iter().enumerate().map(|(n, it)| (it.name.clone(), json!(priority(n).to_string())));
            let members: serde_json::Map<String, Value> = members.collect();
            json!({"TYPE": "SubagentSelection", "id": id, "subagentToPriority": members})
        };
        items.push(bundle("FIXED", &|n| remote.len() - n));
        items.push(bundle("TURN", &|_| 1));
        for (path, bundle, is_not_restartable) in
            [("FIX", "FIXED", false), ("ROUND", "TURN", false), ("ONCE", "FIXED", true), ("HERE", AGENT, false)]
        {
            items.push(json!({"TYPE": "Workflow", "path": path, "instructions": [
                {"TYPE": "Execute.Anonymous", "job": {
                    "agentPath": AGENT, "subagentSelectionId": bundle, "processLimit": 100_000,
                    "isNotRestartable": is_not_restartable,
                    "executable": {"TYPE": "ShellScriptExecutable", "env": {"WHO": "$js7OrderId"}, "script": script}}}]}));
        }
        Value::Array(items)
    }

    /// Starts everything, deploys the items, and waits until all subagents can be used.
    pub(crate) async fn begin(&mut self, items: &Value) -> Result<(), Failure> {
        self.start_all()?;
        self.wait_for_controller().await?;
        let file = self.folder.join("items.json");
        fs::write(&file, items.to_string())?;
        self.ctl(&["deploy", &file.display().to_string()])?;
        self.working().await
    }

    async fn wait_for_controller(&self) -> Result<(), Failure> {
        let api = self.api(CONTROLLER)?;
        until("the controller answers", async || match api.get("/controller/api").await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    /// Waits until all subagents can be used.
    pub(crate) async fn working(&self) -> Result<(), Failure> {
        let api = self.api(CONTROLLER)?;
        let count = self.daemons.iter().filter(|daemon| !daemon.name.starts_with(CONTROLLER)).count();
        until("all subagents can be used", async || {
            let found = api.get("/controller/api/subagent").await.map_err(|error| error.to_string())?;
            let usable = list(&found, "subagents").iter().filter(|subagent| subagent["isSelectable"] == true).count();
            if usable == count { Ok(()) } else { Err(found.to_string()) }
        })
        .await
    }

    /// Adds an order.
    pub(crate) async fn add(&self, workflow: &str, order: &str) -> Result<(), Failure> {
        let order = json!({"id": order, "workflowPath": workflow, "planId": []});
        self.api(CONTROLLER)?.post("/controller/api/order", &order.to_string()).await.map(drop)
    }

    /// The state of an order.
    pub(crate) async fn state(&self, order: &str) -> Result<String, Failure> {
        let order = self.api(CONTROLLER)?.get(&format!("/controller/api/order/{order}")).await?;
        Ok(order["state"]["TYPE"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until an order is in a state.
    pub(crate) async fn order_is(&self, order: &str, state: &str) -> Result<(), Failure> {
        until(&format!("{order} is {state}"), async || match self.state(order).await {
            Ok(found) if found == state => Ok(()),
            Ok(found) => Err(found),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    /// Waits until the job of an order has begun so often.
    pub(crate) async fn job_has_begun(&self, order: &str, times: usize) -> Result<(), Failure> {
        until(&format!("the job of {order} has begun {times} times"), async || match self.ledger.of(order) {
            Ok(entries) if entries.begun.len() >= times => Ok(()),
            Ok(entries) => Err(format!("{entries:?}")),
            Err(error) => Err(error.to_string()),
        })
        .await
    }
}

/// What makes an agent one of a pair. Without a watch of its own, so the controller is it.
fn pair_section(name: &str, [first, second]: [u16; 2]) -> String {
    let (seat, listen, peer, other) =
        if name == AGENT { ("first", first, SECOND, second) } else { ("second", second, AGENT, first) };
    format!(
        "[pair]\nseat = \"{seat}\"\nlisten = \"127.0.0.1:{listen}\"\n\
         peer = {{ node = \"{peer}\", address = \"127.0.0.1:{other}\" }}\n"
    )
}

/// A list in an answer.
pub(crate) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// Waits until something is so; it says why it is not.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> Result<(), String>) -> Result<(), Failure> {
    let began = Instant::now();
    while let Err(found) = is_so().await {
        if began.elapsed() > DEADLINE {
            return Err(format!("it is not so that {what}: {found}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

impl Drop for Installation {
    fn drop(&mut self) {
        for child in self.daemons.iter_mut().filter_map(|daemon| daemon.child.as_mut()) {
            // It may have ended by itself.
            let _: (Result<(), _>, Result<ExitStatus, _>) = (child.kill(), child.wait());
        }
    }
}
