//! Laws of the engine, checked on workflows, commands and times which are made of bytes.
//!
//! [`hold`] makes a small installation of the bytes (a controller and two agents, whose states are the real ones; what
//! carries orders between them is a stand-in), lets things happen to it, and panics when a law is broken:
//!
//! - No decision panics, and every decision comes to an end.
//! - The same state and time lead to the same decision.
//! - The events of a decision can be applied one by one to another copy of the state, and lead to the same state; also
//!   when the copy was made from an image, and when the events went through their two codecs.
//! - A refused command changes nothing.
//! - After a decision nothing is left to do: asking all orders once more yields no event.
//! - Orders come and go by the events that say so; children have parents; locks are held by the orders which are in their
//!   blocks, and by no others.
//! - The events of an agent fit the state of its controller, whatever the controller did meanwhile.
//!
//! The same bytes always make the same run, so a failure is a file. Fewer and smaller bytes make a simpler run, so general
//! shrinkers (of proptest and libFuzzer) shrink runs.

mod agent;
mod choices;
mod command;
mod expression;
mod installation;
mod instruction;
mod node;
mod story;

use choices::Choices;
use installation::Installation;
use std::panic::{AssertUnwindSafe, catch_unwind};
use story::Story;

/// Most things that happen in one run.
const MOST_HAPPENINGS: usize = 40;

/// Makes a run of the bytes.
///
/// # Panics
/// When a law is broken.
pub fn hold(data: &[u8]) {
    run(data, &Story::untold());
}

/// What happens in the run of the bytes, line by line, and at last which law is broken. `None`: the laws hold.
#[must_use]
pub fn story_of_failure(data: &[u8]) -> Option<String> {
    let story = Story::told();
    let broken = catch_unwind(AssertUnwindSafe(|| run(data, &story))).err()?;
    let law = broken.downcast_ref::<String>().map_or("a panic", String::as_str);
    Some(format!("{}\n{law}", story.text()))
}

fn run(data: &[u8], story: &Story) {
    let mut choices = Choices::new(data);
    let mut installation = Installation::new(&mut choices, story);
    for _ in 0..MOST_HAPPENINGS {
        if choices.are_used_up() {
            break;
        }
        installation.happen(&mut choices);
    }
    installation.come_to_rest();
}
