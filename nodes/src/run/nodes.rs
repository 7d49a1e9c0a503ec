//! The nodes of a run: a controller, and for each agent a director with its subagents, all in this process.

use super::items::Items;
use crate::driver::{Entrance, Halt, Journal, News, Opened, Operator, Room, Running, Surroundings};
use crate::host::controller::{self, Client, ControllerRequest, Recovered, Ways};
use crate::host::director::{self, DirectorRequest};
use crate::host::local::Local;
use crate::host::locality::{environment, locality};
use crate::host::subagent::{self, SubagentRequest};
use crate::journal;
use crate::process::{Launcher, LauncherConfig, StartError};
use baton_machine::controller::ControllerConfig;
use baton_machine::director::DirectorConfig;
use baton_machine::link::Peer;
use baton_machine::subagent::SubagentConfig;
use baton_machine::timing::Timing;
use baton_storage::fjall::Options;
use baton_workflow::id::{AgentPath, ControllerId, SubagentId};
use baton_workflow::model::item::Item;
use baton_workflow::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The folder of the controller's journal.
pub(super) const CONTROLLER: &str = "controller";

/// The folders of the agents' journals begin so.
const AGENT: &str = "agent-";

/// The folder of scripts and files of running jobs.
const WORK: &str = "work";

/// Why a run does not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartFailure {
    /// The folder of the journal has no journal.
    #[error("there is nothing to resume: {} has no journal; leave --resume out to begin one", .0.display())]
    NothingToResume(PathBuf),
    /// The folder of the journal is in use.
    #[error("{} has a journal already; go on with it with --resume, or name another folder", .0.display())]
    JournalExists(PathBuf),
    /// The folder has something else.
    #[error("{} is not empty, and has no journal of a run; name another folder", .0.display())]
    NotAJournal(PathBuf),
    /// The folder cannot be used.
    #[error("cannot use {}: {error}", .path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A node does not start.
    #[error(transparent)]
    Halt(#[from] Halt),
    /// No processes can be started.
    #[error(transparent)]
    Launcher(#[from] StartError),
}

/// Where a run keeps what it must remember.
pub(super) enum Memory {
    /// Nowhere: it ends with the process.
    None,
    /// In a folder.
    Folder {
        /// Which.
        path: PathBuf,
        /// Whether it goes on with what is there.
        resume: bool,
    },
}

/// The nodes.
pub(super) struct Nodes {
    /// Talks to the controller.
    pub(super) client: Client,
    running: AllRunning,
    launcher: Launcher,
    /// What the nodes have said.
    pub(super) news: News,
    _work: Option<TempDir>,
}

#[derive(Default)]
struct AllRunning {
    controller: Option<Running<ControllerRequest>>,
    directors: Vec<Running<DirectorRequest>>,
    subagents: Vec<Running<SubagentRequest>>,
}

/// What all nodes stand on.
struct Ground<'a> {
    /// Of the journals, if they are kept.
    folder: Option<&'a Path>,
    /// For scripts and files.
    work: &'a Path,
    executables: &'a Path,
    launcher: &'a Launcher,
    /// For the journals, if they are not kept.
    room: Room,
    /// Speaks for the controller.
    operator: Operator,
}

/// An agent to be started.
struct Agent {
    path: AgentPath,
    /// The subagent of the director's own host.
    local: SubagentId,
    subagents: BTreeSet<SubagentId>,
}

impl Nodes {
    /// Starts everything that `items`, and what is in the journal, need. Relative paths of executables lead to `executables`.
    ///
    /// # Errors
    /// When something cannot be started. Nothing runs then.
    pub(super) async fn start(items: &Items, memory: &Memory, executables: &Path) -> Result<Self, StartFailure> {
        let folder = match memory {
            Memory::None => None,
            Memory::Folder { path, resume } => {
                check_folder(path, *resume)?;
                Some(path.as_path())
            }
        };
        let room = Room::default();
        // The controller's journal is the first thing in the folder, and locks it.
        let opened = open(folder, CONTROLLER, journal::CONTROLLER_NAME, &room)?;
        let controller = controller::recover(controller_config(), opened, None)?;
        let agents = agents(items, controller.state());

        let (work, temporary) = match folder {
            Some(folder) => (folder.join(WORK), None),
            None => {
                let error = |error| StartFailure::Folder { path: std::env::temp_dir(), error };
                let folder = tempfile::Builder::new().prefix("baton-run-").tempdir().map_err(error)?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let processes = work.join("processes");
        let config = LauncherConfig { work_directory: processes, guard_program: None, process_limit: None };
        let launcher = Launcher::start(config).await?;
        let mut running = AllRunning::default();
        let (operator, news) = Operator::new("controller");
        let ground = Ground { folder, work: &work, executables, launcher: &launcher, room, operator };
        match running.start(agents, controller, &ground) {
            Ok(client) => Ok(Self { client, running, launcher, news, _work: temporary }),
            Err(error) => {
                running.stop().await;
                launcher.stop().await;
                Err(error)
            }
        }
    }

    /// Ends everything: first what could start processes, then the processes.
    pub(super) async fn stop(self) {
        self.running.stop().await;
        self.launcher.stop().await;
    }

    /// To end the processes with, from anywhere.
    #[must_use]
    pub(super) fn launcher(&self) -> Launcher {
        self.launcher.clone()
    }
}

impl AllRunning {
    fn start(
        &mut self,
        agents: Vec<Agent>,
        controller: Recovered,
        ground: &Ground<'_>,
    ) -> Result<Client, StartFailure> {
        let Ground { folder, work, executables, launcher, room, operator } = ground;
        let local = Local::default();
        // From below, so that everybody who is dialled is there.
        for agent in agents {
            for id in &agent.subagents {
                let settings = subagent::Settings {
                    config: SubagentConfig { environment: environment(), timing: Timing::DEFAULT },
                    launcher: (*launcher).clone(),
                    files: work.join("files").join(escaped(id.as_str())),
                    executables: executables.to_path_buf(),
                    room: room.clone(),
                };
                let started = subagent::start(settings, local.clone(), operator.of(&format!("subagent {id}")))?;
                started.links.listen(Peer::Subagent(id.clone()));
                self.subagents.push(started.running);
            }
            let name = format!("{AGENT}{}", escaped(agent.path.as_str()));
            let opened = open(*folder, &name, &journal::agent_name(&agent.path), room)?;
            let config = DirectorConfig {
                node_id: agent.path.to_string(),
                local_subagent: agent.local.clone(),
                locality: locality(),
                timing: Timing::DEFAULT,
            };
            let operator = operator.of(&format!("agent {}", agent.path));
            let started = director::start(config, None, opened, (local.clone(), None), Entrance::new(), operator)?;
            // Of two directors the first one does the work of both.
            started.links.listen(Peer::Director { agent: agent.path.clone(), subagent: agent.local });
            started.links.listen(Peer::Agent(agent.path));
            self.directors.push(started.running);
        }
        let (controller, client) = controller.start(
            Ways { local, ..Ways::default() },
            Entrance::new(),
            operator.clone(),
            Surroundings::real()?,
        );
        self.controller = Some(controller);
        Ok(client)
    }

    async fn stop(self) {
        if let Some(node) = self.controller {
            node.stop().await;
        }
        for node in self.directors {
            node.stop().await;
        }
        for node in self.subagents {
            node.stop().await;
        }
    }
}

/// Refuses a folder that is not what the caller takes it for.
fn check_folder(path: &Path, resume: bool) -> Result<(), StartFailure> {
    let is_empty = match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(StartFailure::Folder { path: path.to_owned(), error }),
    };
    match (resume, is_empty, path.join(CONTROLLER).is_dir()) {
        (true, _, true) | (false, true, _) => Ok(()),
        (true, _, false) => Err(StartFailure::NothingToResume(path.to_owned())),
        (false, false, true) => Err(StartFailure::JournalExists(path.to_owned())),
        (false, false, false) => Err(StartFailure::NotAJournal(path.to_owned())),
    }
}

fn open(folder: Option<&Path>, sub_folder: &str, name: &str, room: &Room) -> Result<Opened, Halt> {
    match folder {
        Some(folder) => Journal::open(&folder.join(sub_folder), name, Options::default()),
        None => Ok(Journal::in_memory(room)),
    }
}

/// The agents of the items and of the journal.
fn agents(items: &Items, state: &State) -> Vec<Agent> {
    let mut agents: BTreeMap<AgentPath, Agent> = BTreeMap::new();
    for item in items.iter().chain(state.items().simple()) {
        if let Item::AgentRef(agent) = item {
            let subagents: BTreeSet<_> = agent.directors.iter().cloned().collect();
            if let Some(local) = agent.directors.first().cloned() {
                agents.insert(agent.path.clone(), Agent { path: agent.path.clone(), local, subagents });
            }
        }
    }
    for item in items.iter().chain(state.items().simple()) {
        if let Item::SubagentItem(subagent) = item
            && let Some(agent) = agents.get_mut(&subagent.agent_path)
        {
            agent.subagents.insert(subagent.id.clone());
        }
    }
    agents.into_values().collect()
}

fn controller_config() -> ControllerConfig {
    ControllerConfig {
        controller_id: controller_id(),
        node_id: "run".to_owned(),
        locality: locality(),
        timing: Timing::DEFAULT,
    }
}

/// The id of the controller of all runs.
#[must_use]
pub(super) fn controller_id() -> ControllerId {
    ControllerId::new("Controller")
}

/// A name as that of a folder.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}
