//! What `baton ctl` does with agents and subagents: asks them how they are, ends them, switches jobs over.

use super::Failure;
use super::arguments::TerminateArguments;
use super::commands::{Ctl, ask_for, ask_to_do, confirm, senseless, understood};
use super::session::Unanswered;
use super::show;
use super::target::Endpoint;
use crate::api::encode;
use baton_workflow::id::SubagentId;
use baton_workflow::json::{self, from_text};
use baton_workflow::model::command::Command;
use baton_workflow::model::item::{Item, SubagentItem};
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::operation::ItemOperation;
use baton_workflow::value::Value;
use hyper::StatusCode;
use std::io::{self, Write as _};
use std::sync::Arc;

impl Ctl {
    /// How agents and subagents are.
    pub(super) async fn status_of(&mut self, names: &[String]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let mut unanswered = Vec::new();
        for name in names {
            let node = self.node(name)?;
            // An agent answers for its subagent too.
            let mut answered = self.session.ask_one(node, ask_for("/agent/api")).await;
            if answered.as_ref().is_ok_and(|answered| answered.status == StatusCode::NOT_FOUND) {
                answered = self.session.ask_one(node, ask_for("/subagent/api")).await;
            }
            let told = answered.and_then(|answered| understood(answered).map_err(|failure| failure.to_string()));
            match told {
                Ok(status) if self.is_json => writeln!(out, "{}", json::print(&status.to_value()))?,
                Ok(status) => show::worker(&mut out, &node.url, &status)?,
                Err(error) => {
                    writeln!(out, "{}\n  does not answer: {error}", node.url)?;
                    unanswered.push(name.as_str());
                }
            }
        }
        if unanswered.is_empty() {
            return Ok(());
        }
        Err(Failure::Partly(format!("no answer of {}", unanswered.join(", "))))
    }

    /// An agent or subagent.
    pub(super) fn node(&self, name: &str) -> Result<&Endpoint, Failure> {
        let nodes = &self.session.target().nodes;
        let by_url = || nodes.values().find(|node| node.url == name.trim_end_matches('/'));
        nodes.get(name).or_else(by_url).ok_or_else(|| {
            let known: Vec<&str> = nodes.keys().map(String::as_str).collect();
            let known =
                if known.is_empty() { "it names none".to_owned() } else { format!("there are {}", known.join(", ")) };
            Failure::Senseless(format!(
                "no agent or subagent {name} is in the section [nodes] of the file of --config; {known}"
            ))
        })
    }

    /// Switches jobs over from subagents, or back to them.
    pub(super) async fn disable(&mut self, ids: &[String], disabled: bool) -> Result<(), Failure> {
        let mut operations = Vec::new();
        for id in ids {
            let key = ItemKey::Subagent(SubagentId::checked(id).map_err(senseless)?);
            let shown = self.get(format!("/controller/api/item/{}", encode(&key.to_string()))).await?;
            let nonsense = || Failure::Nonsense(format!("{key} is no SubagentItem"));
            let Value::Object(members) = shown.to_value() else { return Err(nonsense()) };
            // It is stamped with the last event.
            let members = members.iter().filter(|(name, _)| &***name != "eventId");
            let item: Value = Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect());
            let Ok(Item::SubagentItem(item)) = from_text::<Item>(&json::print(&item)) else { return Err(nonsense()) };
            let item = Item::SubagentItem(Arc::new(SubagentItem { disabled, item_revision: None, ..(*item).clone() }));
            operations.push(ItemOperation::AddOrChangeSimple { item });
        }
        self.accept(Command::UpdateItems { operations }).await
    }

    pub(super) async fn terminate(&mut self, arguments: &TerminateArguments) -> Result<(), Failure> {
        let TerminateArguments { node: at, switch_over, abort, kill, restart, signal } = arguments;
        let manner = match (switch_over, abort, kill) {
            (true, ..) => "switch-over",
            (_, true, _) => "abort",
            (.., true) => "kill",
            _ => "stop",
        };
        let query = format!("terminate?manner={manner}&restart={restart}");
        let is_worker = at.at.as_deref().is_some_and(|at| {
            let is_controller = self.session.target().controllers.iter().any(|it| it.url == at.trim_end_matches('/'));
            !is_controller && !self.session.target().nodes.is_empty()
        });
        if !is_worker {
            if signal.is_some() {
                return Err(Failure::Senseless(
                    "--signal is for agents and subagents: controllers have no jobs".to_owned(),
                ));
            }
            let what = match manner {
                "switch-over" => "This controller lets the standby take over, and ends.",
                "abort" | "kill" => "This controller ends at once, as in a crash.",
                _ => "This controller ends. If it is the active one, no other takes over.",
            };
            return self.order_of_node(format!("/controller/api/{query}"), at, what).await;
        }
        let node = self.node(at.at.as_deref().unwrap_or_default())?;
        let what = match manner {
            "abort" | "kill" => {
                "This node ends at once. Its jobs are KILLED, and start elsewhere or fail, as they say."
            }
            _ if signal.is_some() => "This node ends, and sends a signal to its jobs.",
            _ => "This node takes no more jobs, and ends when those which run have come to their end.",
        };
        confirm(at.yes, &format!("{}: {what}", node.url))?;
        let signal = signal.as_deref().map(|signal| format!("&signal={signal}")).unwrap_or_default();
        // Only agents have the one, all have the other.
        let path = format!("/subagent/api/{query}{signal}");
        let answer = self.session.ask_one(node, ask_to_do(path)).await;
        understood(answer.map_err(|last| Unanswered::MayBeDone { last })?)?;
        self.say_done()
    }
}
