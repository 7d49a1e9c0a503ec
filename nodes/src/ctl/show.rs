//! What a person sees.

mod agents;

pub(super) use agents::worker;

use super::arguments::Listed;
use baton_workflow::json::{self, Node, NodeKind};
use baton_workflow::time::Timestamp;
use std::io::{self, Write};

/// So wide a column of a table is at most.
const WIDEST: usize = 60;

/// Whether a member is true.
pub(super) fn flag(node: &Node, name: &str) -> bool {
    matches!(node.get(name).map(|flag| &flag.kind), Some(NodeKind::Boolean(true)))
}

fn text(node: &Node, path: &[&str]) -> String {
    let mut node = node;
    for name in path {
        match node.get(name) {
            Some(member) => node = member,
            None => return String::new(),
        }
    }
    match &node.kind {
        NodeKind::String(text) => text.to_string(),
        _ => json::print(&node.to_value()),
    }
}

fn number(node: &Node, path: &[&str]) -> i64 {
    text(node, path).parse().unwrap_or(0)
}

/// The URL of a controller, with its overview and how it stands in its cluster; or why it does not answer.
pub(super) type Status = (String, Result<(Node, Node), String>);

/// How the controllers are, one after the other.
pub(super) fn status(out: &mut dyn Write, found: &[Status]) -> io::Result<()> {
    for (nr, (url, both)) in found.iter().enumerate() {
        if nr > 0 {
            writeln!(out)?;
        }
        match both {
            Ok((overview, cluster)) => one_status(out, url, overview, cluster)?,
            Err(error) => writeln!(out, "{url}\n  does not answer: {error}")?,
        }
    }
    Ok(())
}

fn one_status(out: &mut dyn Write, url: &str, overview: &Node, cluster: &Node) -> io::Result<()> {
    let node = text(overview, &["nodeId"]);
    let node = if node.is_empty() { String::new() } else { format!(", {node}") };
    writeln!(out, "{url}\n  controller  {}{node}, version {}", text(overview, &["id"]), text(overview, &["version"]))?;
    let part = text(cluster, &["part"]);
    let part = match part.as_str() {
        "" if flag(cluster, "isReady") => "active, alone".to_owned(),
        "" => "starting".to_owned(),
        "active" if !flag(cluster, "isReady") => "active, but takes no commands now".to_owned(),
        part => part.to_owned(),
    };
    let epoch = text(cluster, &["epoch"]);
    let epoch = if epoch.is_empty() { String::new() } else { format!("; epoch {epoch}, {}", text(cluster, &["mode"])) };
    writeln!(out, "  part        {part}{epoch}")?;
    if !text(cluster, &["nodeId"]).is_empty() {
        let link = |name: &str| if flag(cluster, name) { "connected" } else { "NOT CONNECTED" };
        writeln!(out, "  links       other controller {}, watch {}", link("peerIsLinked"), link("watchIsLinked"))?;
    }
    let lag = text(cluster, &["standbyLag", "records"]);
    if !lag.is_empty() {
        writeln!(out, "  standby     {lag} records behind")?;
    }
    let trouble = text(cluster, &["trouble"]);
    if !trouble.is_empty() {
        writeln!(out, "  TROUBLE     {trouble}")?;
    }
    writeln!(out, "  orders      {}", number(overview, &["orders", "count"]))?;
    let (agents, coupled) = (number(overview, &["agents", "count"]), number(overview, &["agents", "coupled"]));
    writeln!(out, "  agents      {agents}, {coupled} coupled from here")
}

/// An event in one line.
pub(super) fn event(out: &mut dyn Write, event: &Node) -> io::Result<()> {
    let millis = text(event, &["timestamp"]).parse().unwrap_or(0);
    let time = Timestamp::from_millis(millis);
    let (key, name) = (text(event, &["Key"]), text(event, &["TYPE"]));
    write!(out, "{time} {name}")?;
    if !key.is_empty() {
        write!(out, " {key}")?;
    }
    if let NodeKind::Object(members) = &event.kind {
        for (name, _, node) in members {
            if !matches!(&**name, "eventId" | "timestamp" | "TYPE" | "Key") {
                let value = match &node.kind {
                    NodeKind::String(text) => format!("{:?}", &**text),
                    _ => json::print(&node.to_value()),
                };
                write!(out, " {name}={value}")?;
            }
        }
    }
    writeln!(out)
}

/// Rows under headings, as wide as they need to be.
pub(super) struct Table {
    what: Listed,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(what: Listed) -> Self {
        Self { what, rows: Vec::new() }
    }

    pub(super) fn add(&mut self, entry: &Node) {
        self.rows.push(match self.what {
            Listed::Orders => order(entry),
            Listed::Workflows => {
                let suspended = if flag(entry, "isSuspended") { "suspended" } else { "" };
                vec![
                    text(entry, &["path"]),
                    text(entry, &["versionId"]),
                    text(entry, &["orders"]),
                    suspended.to_owned(),
                ]
            }
            Listed::Agents => agents::agent(entry),
            Listed::Subagents => agents::subagent(entry),
            Listed::Items => {
                let name = ["path", "id"].iter().map(|name| text(entry, &[name])).find(|name| !name.is_empty());
                vec![text(entry, &["TYPE"]), name.unwrap_or_default()]
            }
        });
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let headings: &[&str] = match self.what {
            Listed::Orders => &["ORDER", "WORKFLOW", "POSITION", "STATE", "WHERE"],
            Listed::Workflows => &["WORKFLOW", "VERSION", "ORDERS", ""],
            Listed::Agents => &["AGENT", "STATE", "PROCESSES", "REASON"],
            Listed::Subagents => &["SUBAGENT", "AGENT", "STATE", "PROCESSES", "REASON"],
            Listed::Items => &["TYPE", "NAME"],
        };
        if self.rows.is_empty() {
            return writeln!(out, "none");
        }
        let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
        let rows = || std::iter::once(&headings).chain(&self.rows);
        let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0).min(WIDEST);
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        for row in rows() {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

fn order(entry: &Node) -> Vec<String> {
    let mut state = text(entry, &["state", "TYPE"]);
    if flag(entry, "isSuspended") {
        state.push_str(", suspended");
    }
    let mark = text(entry, &["mark", "TYPE"]);
    if !mark.is_empty() {
        state.push_str(&format!(" ({})", mark.to_lowercase()));
    }
    let agent = text(entry, &["attachedState", "agentPath"]);
    let place = if agent.is_empty() { "controller".to_owned() } else { agent };
    vec![
        text(entry, &["id"]),
        text(entry, &["workflowPosition", "workflowId", "path"]),
        text(entry, &["workflowPosition", "position"]),
        state,
        place,
    ]
}
