//! Looks at all runs of a small cluster: `explore [STATES [ADDS CRASHES LOSSES DUES SWITCHES LOOKS]] [--fine] [--images] [--plant BUG]`. Ends with 1
//! when something is violated. With `--images` nodes take an image after each other record, and release the records before.

use baton_protocol::pair::planted::{Bug, Bugs};
use baton_sim::cluster::explorer::{Budget, Grain, Small, explore};
use std::process::ExitCode;
use std::time::Instant;

#[expect(clippy::print_stdout, reason = "a command")]
fn main() -> ExitCode {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let most = numbers.first().copied().unwrap_or(usize::MAX);
    let mut budget = Budget::SMALL;
    let Budget { adds, crashes, losses, dues, switches, looks } = &mut budget;
    let fields = [adds, crashes, losses, dues, switches, looks];
    for (field, number) in fields.into_iter().zip(numbers.iter().skip(1)) {
        *field = u8::try_from(*number).unwrap_or(u8::MAX);
    }
    let words: Vec<String> = std::env::args().collect();
    let grain = if words.iter().any(|word| word == "--fine") { Grain::Message } else { Grain::Host };
    let bugs = Bug::ALL.into_iter().find(|bug| words.contains(&format!("{bug:?}"))).map_or(Bugs::NONE, Bugs::plant);
    let began = Instant::now();
    let images = if words.iter().any(|word| word == "--images") { 2 } else { 0 };
    let explored = explore(Small::coupled_with_images(grain, budget, bugs, images), most);
    if let Some(story) = &explored.counterexample {
        println!("{story}");
    }
    println!("{}", explored.last);
    println!(
        "{grain:?} {budget:?}: {} states, {} steps deep, {} in {:.1?}",
        explored.states,
        explored.depth,
        if explored.is_exhausted { "all" } else { "not all" },
        began.elapsed()
    );
    if explored.counterexample.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
