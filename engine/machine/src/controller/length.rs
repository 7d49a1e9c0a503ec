//! How long a command may be. What it leads to has to fit into the journal's memory and, item by item and order by order,
//! into a frame for an agent; since both are known only when it is too late, the command itself is measured.

use alloc::format;
use baton_protocol::limit::RECORD_PAYLOAD;
use baton_workflow::json::{self, Json};
use baton_workflow::model::command::Command;
use baton_workflow::problem::{Checked, Problem};

/// Longest item or order in a command, in bytes of JSON.
const PART: usize = RECORD_PAYLOAD - (1 << 20);

/// Longest command, in bytes of JSON.
const WHOLE: usize = 20 << 20;

/// Refuses a command that is too long.
pub(super) fn check(command: &Command) -> Checked<()> {
    measure(command).map(|_| ())
}

/// Refuses a command whose JSON is too long to be journaled.
pub(super) fn check_text(command: &str) -> Checked<()> {
    if command.len() > WHOLE { Err(too_long("the command", command.len(), WHOLE)) } else { Ok(()) }
}

fn measure(command: &Command) -> Checked<usize> {
    match command {
        Command::AddOrder { order } => part(order),
        Command::AddOrders { orders } => whole(orders.iter().map(part)),
        Command::UpdateItems { operations } => whole(operations.iter().map(part)),
        Command::Batch { commands } => whole(commands.iter().map(|command| match command {
            // Refused anyway.
            Command::Batch { .. } => Ok(0),
            command => measure(command),
        })),
        _ => Ok(0),
    }
}

fn part<T: Json>(part: &T) -> Checked<usize> {
    let length = json::print(&part.write()).len();
    if length > PART {
        return Err(too_long("an item or order", length, PART));
    }
    Ok(length)
}

fn whole(parts: impl Iterator<Item = Checked<usize>>) -> Checked<usize> {
    let mut length: usize = 0;
    for part in parts {
        length = length.saturating_add(part?);
        if length > WHOLE {
            return Err(too_long("the command", length, WHOLE));
        }
    }
    Ok(length)
}

fn too_long(what: &str, length: usize, limit: usize) -> Problem {
    let message =
        format!("Too long: {what} has {length} bytes or more, at most {limit} are allowed. Several commands may do");
    Problem::coded("CommandTooLong", [], message)
}
