//! What `baton ctl` does, command by command.

use super::Failure;
use super::arguments::{
    AddArguments, AtNode, Confirmation, CtlArguments, CtlCommand, KillArguments, ListArguments, Listed, ResetArguments,
    StatusArguments, WatchArguments,
};
use super::session::{Answered, Ask, Session};
use super::{deploy, show};
use crate::api::encode;
use crate::driver::{random_seed, wall_clock};
use baton_machine::client::Request;
use baton_protocol::event_id::EventId;
use baton_workflow::id::{AgentPath, CommandId, GivenOrderId, OrderId, SubagentId, WorkflowPath};
use baton_workflow::json::{self, Json, Node, NodeKind, from_text};
use baton_workflow::model::command::{Command, OrderIds, Response};
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::order::{CancellationMode, FreshOrder, Kill, SuspensionMode};
use baton_workflow::model::plan::PlanId;
use baton_workflow::problem::Problem;
use baton_workflow::time::Timestamp;
use baton_workflow::value::{Name, Value};
use hyper::{Method, StatusCode};
use std::collections::BTreeMap;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

/// Entries of a page.
const PAGE: usize = 500;

/// Does what the arguments say.
pub(super) async fn run(arguments: &CtlArguments, session: Session) -> Result<(), Failure> {
    let time = Duration::from_secs(arguments.timeout);
    let mut ctl = Ctl { session, time, is_json: arguments.json };
    match &arguments.command {
        CtlCommand::Status(StatusArguments { nodes }) if nodes.is_empty() => ctl.status().await,
        CtlCommand::Status(StatusArguments { nodes }) => ctl.status_of(nodes).await,
        CtlCommand::Add(arguments) => ctl.add(arguments).await,
        CtlCommand::List(arguments) => ctl.list(arguments).await,
        CtlCommand::Agents => ctl.list(&ListArguments::all(Listed::Agents)).await,
        CtlCommand::Subagents => ctl.list(&ListArguments::all(Listed::Subagents)).await,
        CtlCommand::Disable(ids) => ctl.disable(&ids.ids, true).await,
        CtlCommand::Enable(ids) => ctl.disable(&ids.ids, false).await,
        CtlCommand::ResetAgent(ResetArguments { name, force, yes }) => {
            let agent_path = AgentPath::checked(name).map_err(senseless)?;
            confirm(*yes, &format!("Agent {name} starts anew: its processes are killed, and its orders fail."))?;
            ctl.accept(Command::ResetAgent { agent_path, force: *force }).await
        }
        CtlCommand::ResetSubagent(ResetArguments { name, force, yes }) => {
            let subagent_id = SubagentId::checked(name).map_err(senseless)?;
            let what =
                format!("Subagent {name} starts anew: its processes are killed, and started again as their jobs say.");
            confirm(*yes, &what)?;
            ctl.accept(Command::ResetSubagent { subagent_id, force: *force }).await
        }
        CtlCommand::Show(ids) => ctl.show(&ids.ids).await,
        CtlCommand::Watch(arguments) => ctl.watch(arguments).await,
        CtlCommand::Cancel(KillArguments { ids, kill }) => {
            let kill = kill.then(Kill::default);
            let order_ids = OrderIds::These(order_ids(ids)?);
            ctl.accept(Command::CancelOrders { order_ids, mode: CancellationMode::FreshOrStarted { kill } }).await
        }
        CtlCommand::Suspend(KillArguments { ids, kill }) => {
            let mode = SuspensionMode { kill: kill.then(Kill::default), ..SuspensionMode::default() };
            ctl.accept(Command::SuspendOrders { order_ids: order_ids(ids)?, mode }).await
        }
        CtlCommand::Resume(ids) => {
            let order_ids = order_ids(&ids.ids)?;
            ctl.accept(Command::ResumeOrders { order_ids, as_succeeded: false, restart_killed_job: None }).await
        }
        CtlCommand::Answer(ids) => {
            for order_id in order_ids(&ids.ids)? {
                ctl.command(Command::AnswerOrderPrompt { order_id }).await?;
            }
            ctl.say_done()
        }
        CtlCommand::Deploy(arguments) => {
            let deployment = deploy::read(arguments)?;
            let count = deployment.operations();
            ctl.command(deployment.into_command()).await?;
            if ctl.is_json { ctl.say_done() } else { Ok(writeln!(io::stdout(), "{count}")?) }
        }
        CtlCommand::SwitchOver(AtNode { at: None, yes }) => {
            confirm(*yes, "The standby becomes the active controller.")?;
            ctl.order_of_active("switch-over").await
        }
        CtlCommand::SwitchOver(at) => {
            ctl.order_of_pair("switch-over", at, "The other node of the pair becomes active.").await
        }
        CtlCommand::Stop(Confirmation { yes }) => {
            confirm(
                *yes,
                "The active controller stops, and no other takes over until one is appointed or it is started again.",
            )?;
            ctl.order_of_active("stop").await
        }
        CtlCommand::Terminate(arguments) => ctl.terminate(arguments).await,
        CtlCommand::Appoint(at) => {
            ctl.order_of_pair("appoint", at, "This controller takes over from the other one, which was stopped.").await
        }
        CtlCommand::AcceptLoss(at) => {
            let what = "This controller takes over from the other one, which is lost. What only that one has committed is LOST.";
            ctl.order_of_pair("accept-loss", at, what).await
        }
        CtlCommand::Found(at) => {
            ctl.order_of_pair("found", at, "This controller begins a cluster without waiting for the second one.").await
        }
        CtlCommand::Force(at) => {
            let what = "This controller becomes active although the other one and the watch are lost. Make sure that the other one \
                        DOES NOT RUN: two active controllers run orders twice.";
            ctl.order_of_pair("force", at, what).await
        }
    }
}

pub(super) struct Ctl {
    pub(super) session: Session,
    time: Duration,
    pub(super) is_json: bool,
}

impl Ctl {
    pub(super) async fn get(&mut self, path: String) -> Result<Node, Failure> {
        let ask = Ask { method: Method::GET, path, body: None, id: None };
        understood(self.session.ask(Request::Repeatable(ask), self.time).await?)
    }

    /// Gives a command, with an id, so that it is carried out once.
    async fn command(&mut self, command: Command) -> Result<Node, Failure> {
        let number = || random_seed().map_err(super::session::Unanswered::NoSeed);
        let id = CommandId::new(&format!("ctl-{:016x}{:016x}", number()?, number()?));
        let ask = Ask {
            method: Method::POST,
            path: "/controller/api/command".to_owned(),
            body: Some(json::to_text(&command)),
            id: Some(id),
        };
        understood(self.session.ask(Request::Repeatable(ask), self.time).await?)
    }

    pub(super) async fn accept(&mut self, command: Command) -> Result<(), Failure> {
        self.command(command).await?;
        self.say_done()
    }

    pub(super) fn say_done(&self) -> Result<(), Failure> {
        if self.is_json {
            writeln!(io::stdout(), "{}", json::to_text(&Response::Accepted))?;
        } else {
            writeln!(io::stdout(), "done")?;
        }
        Ok(())
    }

    async fn status(&mut self) -> Result<(), Failure> {
        let mut found = Vec::new();
        let mut is_any_active = false;
        for controller in &self.session.target().controllers {
            let overview = self.session.ask_one(controller, ask_for("/controller/api")).await;
            let cluster = self.session.ask_one(controller, ask_for("/controller/api/cluster")).await;
            let both = match (overview, cluster) {
                (Ok(overview), Ok(cluster)) => understood(overview)
                    .and_then(|overview| Ok((overview, understood(cluster)?)))
                    .map_err(|failure| failure.to_string()),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            is_any_active |= both.as_ref().is_ok_and(|(_, cluster)| show::flag(cluster, "isReady"));
            found.push((controller.url.clone(), both));
        }
        if self.is_json {
            let entries = found.iter().map(|(url, both)| {
                let mut members = vec![("url", Value::from(url.as_str()))];
                match both {
                    Ok((overview, cluster)) => {
                        members.extend([("overview", overview.to_value()), ("cluster", cluster.to_value())]);
                    }
                    Err(error) => members.push(("error", Value::from(error.as_str()))),
                }
                Value::object(members)
            });
            writeln!(io::stdout(), "{}", json::print(&Value::list(entries)))?;
        } else {
            show::status(&mut io::stdout().lock(), &found)?;
        }
        if is_any_active { Ok(()) } else { Err(Failure::Partly("no controller takes commands now".to_owned())) }
    }

    async fn add(&mut self, arguments: &AddArguments) -> Result<(), Failure> {
        let order = fresh_order(arguments)?;
        let id = order.id.0.clone();
        let answer = self.command(Command::AddOrder { order }).await?;
        if show::flag(&answer, "ignoredBecauseDuplicate") {
            return Err(Failure::Partly(format!("there is an order {id} already; nothing was added")));
        }
        if self.is_json {
            writeln!(io::stdout(), "{}", json::print(&Value::object([("orderId", id.write())])))?;
        } else {
            writeln!(io::stdout(), "{id}")?;
        }
        Ok(())
    }

    async fn list(&mut self, arguments: &ListArguments) -> Result<(), Failure> {
        let (path, name) = match arguments.what {
            Listed::Orders => ("order", "orders"),
            Listed::Workflows => ("workflow", "workflows"),
            Listed::Agents => ("agent", "agents"),
            Listed::Subagents => ("subagent", "subagents"),
            Listed::Items => ("item", "items"),
        };
        let mut filter = String::new();
        if arguments.what == Listed::Orders {
            if !arguments.states.is_empty() {
                filter.push_str(&format!("&state={}", encode(&arguments.states.join(","))));
            }
            if let Some(path) = &arguments.workflow {
                filter.push_str(&format!("&workflowPath={}", encode(path)));
            }
        } else if !arguments.states.is_empty() || arguments.workflow.is_some() {
            return Err(Failure::Senseless("--state and --workflow are for lists of orders".to_owned()));
        }
        let mut out = io::stdout().lock();
        let mut table = show::Table::new(arguments.what);
        let (mut left, mut after) = (arguments.limit, None::<String>);
        while left > 0 {
            let from = after.as_deref().map(|after| format!("&after={}", encode(after))).unwrap_or_default();
            let page = self.get(format!("/controller/api/{path}?limit={}{filter}{from}", left.min(PAGE))).await?;
            let entries = match page.get(name).map(|list| &list.kind) {
                Some(NodeKind::List(entries)) => entries.as_slice(),
                _ => &[],
            };
            left = left.saturating_sub(entries.len());
            for entry in entries {
                if self.is_json {
                    writeln!(out, "{}", json::print(&entry.to_value()))?;
                } else {
                    table.add(entry);
                }
            }
            after = page.get("next").and_then(Node::as_str).map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        if !self.is_json {
            table.print(&mut out)?;
            if after.is_some() {
                writeln!(out, "… and more: --limit")?;
            }
        }
        Ok(())
    }

    async fn show(&mut self, ids: &[String]) -> Result<(), Failure> {
        for id in ids {
            // Keys of items have a colon, and begin with a kind.
            let is_item = ItemKey::parse(id).is_ok();
            let kind = if is_item { "item" } else { "order" };
            let shown = self.get(format!("/controller/api/{kind}/{}", encode(id))).await?.to_value();
            let text = if self.is_json { json::print(&shown) } else { json::print_pretty(&shown) };
            writeln!(io::stdout(), "{text}")?;
        }
        Ok(())
    }

    async fn watch(&mut self, arguments: &WatchArguments) -> Result<(), Failure> {
        let after = match arguments.after {
            Some(after) => EventId(after),
            None => {
                let page = self.get("/controller/api/agent?limit=1".to_owned()).await?;
                let id = page.get("eventId").and_then(|id| json::from_node::<i64>(id).ok());
                let id = id.and_then(|id| u64::try_from(id).ok());
                EventId(id.ok_or_else(|| Failure::Nonsense("it has no eventId".to_owned()))?)
            }
        };
        self.session.follow(after);
        let mut left = arguments.limit.unwrap_or(u64::MAX);
        while left > 0 {
            let line = self.session.event().await?;
            let Ok(event) = json::parse(&line) else { return Err(Failure::Nonsense(line)) };
            // What is kept for clients who repeat commands is nothing for people.
            let name = event.get("TYPE").and_then(Node::as_str);
            if !self.is_json && matches!(name, Some("CommandAnswered" | "CommandNamed")) {
                continue;
            }
            if let Some(order) = &arguments.order {
                let key = event.get("Key").and_then(Node::as_str).unwrap_or_default();
                if key != order && !key.strip_prefix(order.as_str()).is_some_and(|rest| rest.starts_with('|')) {
                    continue;
                }
            }
            left -= 1;
            let mut out = io::stdout().lock();
            if self.is_json {
                writeln!(out, "{line}")?;
            } else {
                show::event(&mut out, &event)?;
            }
            out.flush()?;
        }
        Ok(())
    }

    /// What the active node is ordered must not be repeated: the next active one would hand over again.
    async fn order_of_active(&mut self, order: &str) -> Result<(), Failure> {
        let answer = self.session.ask(Request::Once(ask_to_do(cluster_path(order))), self.time).await?;
        understood(answer)?;
        self.say_done()
    }

    /// Orders something about a pair, of a controller or of the director of an agent.
    async fn order_of_pair(&mut self, order: &str, at: &AtNode, what: &str) -> Result<(), Failure> {
        let controllers = &self.session.target().controllers;
        let is_controller = |at: &String| controllers.iter().any(|it| it.url == at.trim_end_matches('/'));
        let Some(name) = at.at.as_ref().filter(|at| !is_controller(at) && !self.session.target().nodes.is_empty())
        else {
            return self.order_of_node(cluster_path(order), at, what).await;
        };
        let node = self.node(name)?;
        confirm(at.yes, &format!("{}: {}", node.url, what.replace("controller", "director")))?;
        let answer = self.session.ask_one(node, ask_to_do(format!("/agent/api/cluster/{order}"))).await;
        understood(answer.map_err(|last| super::session::Unanswered::MayBeDone { last })?)?;
        self.say_done()
    }

    pub(super) async fn order_of_node(&mut self, path: String, at: &AtNode, what: &str) -> Result<(), Failure> {
        let controllers = &self.session.target().controllers;
        let node = match &at.at {
            Some(url) => controllers.iter().position(|controller| controller.url == url.trim_end_matches('/')),
            None if controllers.len() == 1 => Some(0),
            None => {
                let urls: Vec<&str> = controllers.iter().map(|controller| controller.url.as_str()).collect();
                let message = format!("which controller is meant? Expected is --at with one of {}", urls.join(", "));
                return Err(Failure::Senseless(message));
            }
        };
        let node =
            node.ok_or_else(|| Failure::Senseless("--at is not one of the URLs of the controllers".to_owned()))?;
        let node = &controllers[node];
        confirm(at.yes, &format!("{}: {what}", node.url))?;
        let answer = self.session.ask_one(node, ask_to_do(path)).await;
        understood(answer.map_err(|last| super::session::Unanswered::MayBeDone { last })?)?;
        self.say_done()
    }
}

fn cluster_path(order: &str) -> String {
    format!("/controller/api/cluster/{order}")
}

pub(super) fn ask_for(path: &str) -> Ask {
    Ask { method: Method::GET, path: path.to_owned(), body: None, id: None }
}

pub(super) fn senseless(problem: Problem) -> Failure {
    Failure::Senseless(problem.message)
}

pub(super) fn ask_to_do(path: String) -> Ask {
    Ask { method: Method::POST, path, body: Some("{}".to_owned()), id: None }
}

/// The JSON of a good answer.
pub(super) fn understood(answered: Answered) -> Result<Node, Failure> {
    match answered.status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => {
            answered.json().ok_or_else(|| Failure::Nonsense(answered.text.chars().take(200).collect()))
        }
        _ => Err(Failure::Refused(answered.problem())),
    }
}

fn order_ids(ids: &[String]) -> Result<Vec<OrderId>, Failure> {
    let ids = ids.iter().map(|id| OrderId::checked(id).map_err(|problem| Failure::Senseless(problem.message)));
    ids.collect()
}

fn fresh_order(arguments: &AddArguments) -> Result<FreshOrder, Failure> {
    let path = WorkflowPath::checked(&arguments.workflow).map_err(senseless)?;
    let now = wall_clock().as_millis();
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    let id = arguments.id.clone().unwrap_or_else(|| format!("{name}-{now}"));
    let mut values = BTreeMap::new();
    for (name, text) in &arguments.arguments {
        let value = from_text(text).unwrap_or_else(|_| Value::string(text));
        if values.insert(Name::from(name.as_str()), value).is_some() {
            return Err(Failure::Senseless(format!("the argument {name} is given twice")));
        }
    }
    Ok(FreshOrder {
        id: GivenOrderId(OrderId::given(&id).map_err(senseless)?),
        workflow_path: path,
        plan_id: PlanId::Global,
        arguments: values.into_iter().collect(),
        scheduled_for: arguments.at.as_deref().map(|text| time(text, now)).transpose()?,
        priority: 0.into(),
        delete_when_terminated: arguments.delete,
        force_admission: arguments.force_admission,
        inner_block: Default::default(),
        start_position: None,
        stop_positions: Vec::new(),
    })
}

/// A time, or how long it is until it.
fn time(text: &str, now: i64) -> Result<Timestamp, Failure> {
    let expected = || {
        Failure::Senseless(format!(
            "\"{text}\" is no time; expected is one like 2026-01-31T12:00:00Z, or +90s, +10m, +2h, +1d"
        ))
    };
    let Some(rest) = text.strip_prefix('+') else { return text.parse().map_err(|_| expected()) };
    let unit = match rest.chars().last() {
        Some('s') => 1_000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        _ => return Err(expected()),
    };
    let count: i64 = rest[..rest.len() - 1].parse().map_err(|_| expected())?;
    let millis = count.checked_mul(unit).and_then(|millis| now.checked_add(millis)).filter(|_| count >= 0);
    millis.map(Timestamp::from_millis).ok_or_else(expected)
}

/// Asks a person whether this is meant.
pub(super) fn confirm(yes: bool, what: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::Senseless("this needs to be confirmed; expected is --yes".to_owned()));
    }
    write!(io::stderr(), "{what}\nType yes to go on: ")?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    if line.trim().eq_ignore_ascii_case("yes") { Ok(()) } else { Err(Failure::Partly("nothing was done".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_relative() {
        let millis = |text| time(text, 1_000).map(Timestamp::as_millis).ok();
        assert_eq!(millis("+90s"), Some(91_000));
        assert_eq!(millis("+2h"), Some(7_201_000));
        assert_eq!(millis("1970-01-01T00:00:01Z"), Some(1_000));
        for bad in ["", "+", "+s", "+1", "+-1s", "+1w", "soon", "+9999999999999999d", "+1ä"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
