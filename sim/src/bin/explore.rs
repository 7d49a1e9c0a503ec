//! Looks at all runs of a small cluster: `explore [STATES [ADDS CRASHES LOSSES DUES SWITCHES LOOKS]] [--fine] [--images] [--plant BUG]`. Ends with 1
//! when something is violated, and with 2 when not all could be looked at. With `--images` nodes take an image after each other record, and release
//! the records before.

use baton_protocol::pair::planted::{Bug, Bugs};
use baton_sim::cluster::explorer::{Budget, Grain, Plan, explore};
use std::process::ExitCode;
use std::time::Instant;

#[expect(clippy::print_stdout, reason = "a command")]
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|said| said == word);
    let numbers: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let most = numbers.first().copied().unwrap_or(usize::MAX);
    let mut budget = Budget { adds: 2, crashes: 2, losses: 1, dues: 0, switches: 0, looks: 0 };
    let Budget { adds, crashes, losses, dues, switches, looks } = &mut budget;
    let fields = [adds, crashes, losses, dues, switches, looks];
    for (field, number) in fields.into_iter().zip(numbers.iter().skip(1)) {
        *field = u8::try_from(*number).unwrap_or(u8::MAX);
    }
    let grain = if has("--fine") { Grain::Message } else { Grain::Host };
    let plan = Plan {
        bugs: Bug::ALL.into_iter().find(|bug| has(&format!("{bug:?}"))).map_or(Bugs::NONE, Bugs::plant),
        image_after: if has("--images") { 2 } else { 0 },
        is_reduced: !has("--unreduced"),
        ..Plan::new(grain, budget)
    };
    let began = Instant::now();
    let explored = explore(&plan, most);
    if let Some(story) = &explored.counterexample {
        println!("{story}");
    }
    println!("{}", explored.last);
    println!(
        "{grain:?} {budget:?}: {} states ({} of hosts), {} steps, {} deep, {} in {:.1?}",
        explored.states,
        explored.hosts,
        explored.steps,
        explored.depth,
        if explored.is_exhausted { "all" } else { "not all" },
        began.elapsed()
    );
    match explored {
        explored if explored.counterexample.is_some() => ExitCode::FAILURE,
        explored if explored.is_exhausted => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}
