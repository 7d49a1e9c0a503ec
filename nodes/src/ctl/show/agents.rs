//! Agents and subagents, in words.

use super::{flag, number, text};
use baton_workflow::json::{Node, NodeKind};
use baton_workflow::time::Timestamp;
use std::io::{self, Write};

/// The row of an agent: its state, its processes, and why it is not as it should be.
pub(super) fn agent(entry: &Node) -> Vec<String> {
    let state = text(entry, &["couplingState", "TYPE"]);
    let state = match state.as_str() {
        "Resetting" => "resetting",
        "ShutDown" => "shut down",
        _ if flag(entry, "isCoupled") => "coupled",
        "Reset" => "never coupled",
        _ => "not coupled",
    };
    let mut reasons = Vec::new();
    if state != "coupled" {
        reasons.push(with_time(entry, &text(entry, &["problem", "message"])));
    }
    if state == "coupled" && !flag(entry, "hasSelectableSubagent") {
        reasons.push("no subagent is available".to_owned());
    }
    if flag(entry, "isLimitReached") {
        reasons.push("the process limit is reached".to_owned());
    }
    let limit = text(entry, &["agentRef", "processLimit"]);
    let processes = text(entry, &["processes"]);
    let processes = if limit.is_empty() { processes } else { format!("{processes} of {limit}") };
    vec![text(entry, &["path"]), state.to_owned(), processes, reasons.join("; ")]
}

/// The row of a subagent.
pub(super) fn subagent(entry: &Node) -> Vec<String> {
    let (state, mut reason) = subagent_state(entry);
    if !flag(entry, "agentIsCoupled") {
        let old = "as its agent told last, which is not coupled now";
        reason = if reason.is_empty() { old.to_owned() } else { format!("{reason}; {old}") };
    }
    vec![text(entry, &["id"]), text(entry, &["subagentItem", "agentPath"]), state, text(entry, &["processes"]), reason]
}

/// Whether it gets jobs, and why not.
fn subagent_state(entry: &Node) -> (String, String) {
    let problem = text(entry, &["problem", "message"]);
    let coupling = text(entry, &["couplingState", "TYPE"]);
    let is_disabled = matches!(
        entry.get("subagentItem").and_then(|item| item.get("disabled")).map(|flag| &flag.kind),
        Some(NodeKind::Boolean(true))
    );
    let state = match coupling.as_str() {
        "Resetting" => "resetting",
        "ShutdownStarted" => "stopping",
        "Reset" if text(entry, &["couplingState", "reason", "TYPE"]) == "Shutdown" => "stopped",
        "Reset" if problem.is_empty() => "never coupled",
        _ if !problem.is_empty() => "not reachable",
        _ if flag(entry, "isDetaching") => "being deleted",
        _ if is_disabled => "disabled",
        _ => "coupled",
    };
    let reason = match state {
        "coupled" => String::new(),
        "disabled" => "by command; its jobs come to their end".to_owned(),
        _ => with_time(entry, &problem),
    };
    (state.to_owned(), reason)
}

/// A problem, and since when there is no coupling.
fn with_time(entry: &Node, problem: &str) -> String {
    let since = text(entry, &["since"]).parse().ok().map(Timestamp::from_millis);
    match (since, problem) {
        (Some(since), "") => format!("since {since}"),
        (Some(since), problem) => format!("since {since}: {problem}"),
        (None, problem) => problem.to_owned(),
    }
}

/// How an agent or subagent says that it is.
pub(in super::super) fn worker(out: &mut dyn Write, url: &str, status: &Node) -> io::Result<()> {
    let (node, version) = (text(status, &["node"]), text(status, &["version"]));
    let ready = if flag(status, "isReady") { "" } else { ", NOT READY" };
    let kind = if status.get("director").is_some() { "agent" } else { "subagent" };
    writeln!(out, "{url}\n  {kind:<11} {node}, version {version}{ready}")?;
    if let Some(director) = status.get("director") {
        let path = text(director, &["dedicatedTo", "agentPath"]);
        let controller = text(director, &["dedicatedTo", "controllerId"]);
        if path.is_empty() {
            writeln!(out, "  belongs to  nobody yet")?;
        } else {
            writeln!(
                out,
                "  belongs to  controller {controller}, as agent {path}; epoch {}",
                text(director, &["epoch"])
            )?;
        }
        if let Some(pair) = director.get("cluster") {
            let of = |name| text(pair, &[name]);
            let linked = |name, what: &str| {
                if flag(pair, name) { String::new() } else { format!(", NO LINK to {what}") }
            };
            let (peer, watch) = (linked("peerIsLinked", "the other director"), linked("watchIsLinked", "the watch"));
            writeln!(out, "  pair        {} ({}), the pair is {}{peer}{watch}", of("part"), of("nodeId"), of("mode"))?;
            let trouble = of("trouble");
            if !trouble.is_empty() {
                writeln!(out, "  TROUBLE     {trouble}")?;
            }
        }
        let coupled = coupled_with(director, "controller");
        let lag = text(director, &["controllerLag", "milliseconds"]);
        let lag = match lag.as_str() {
            "" => lag,
            "0" => "; it knows all that has happened".to_owned(),
            _ => format!("; it does not know what has happened for {lag} ms"),
        };
        writeln!(out, "  controller  {coupled}{lag}")?;
        let (orders, running) = (text(director, &["orders", "count"]), text(director, &["orders", "processing"]));
        writeln!(
            out,
            "  orders      {orders}; {running} have processes, {} wait for a subagent, {} for their jobs{}",
            text(director, &["orders", "withoutSubagent"]),
            text(director, &["orders", "waitingForJobs"]),
            if flag(director, "isLimitReached") { "; the process limit is reached" } else { "" }
        )?;
        if let Some(NodeKind::List(subagents)) = director.get("subagents").map(|list| &list.kind) {
            for subagent in subagents {
                let (state, reason) = subagent_state(subagent);
                let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
                let processes = number(subagent, &["processes"]);
                writeln!(out, "  subagent    {}: {state}{reason}, {processes} processes", text(subagent, &["id"]))?;
            }
        }
    }
    let Some(subagent) = status.get("subagent") else { return Ok(()) };
    if kind == "subagent" {
        let owner = text(subagent, &["dedicatedTo", "agentPath"]);
        let owner = if owner.is_empty() { "nobody yet".to_owned() } else { format!("agent {owner}") };
        writeln!(out, "  belongs to  {owner}\n  director    {}", coupled_with(subagent, "director"))?;
    }
    let count = |name: &str| number(subagent, &["processes", name]);
    writeln!(
        out,
        "  processes   {} run; {} were started, {} have succeeded, {} failed, {} were ended by a signal, {} could not be started{}",
        count("running"),
        count("started"),
        count("succeeded"),
        count("failed"),
        count("signaled"),
        count("notStarted"),
        if flag(subagent, "isStopping") { "\n  STOPPING    takes no more jobs" } else { "" }
    )
}

fn coupled_with(node: &Node, what: &str) -> String {
    if !flag(node, "isCoupled") {
        return format!("NOT COUPLED with a {what}");
    }
    match text(node, &["coupledWith"]).as_str() {
        "" => "coupled".to_owned(),
        peer => format!("coupled with {peer}"),
    }
}
