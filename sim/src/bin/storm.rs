//! Lets storms pass and prints what came out, one line for each seed: to look for a seed that finds something, and to compare
//! the digests of processes. Exit status: 0 all orders survived, 1 something was found, 2 the input is not usable.

use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut seeds: Vec<u64> = Vec::new();
    for argument in std::env::args().skip(1) {
        let range = argument.split_once("..").unwrap_or((&argument, ""));
        match (range.0.parse(), range.1.parse()) {
            (Ok(first), Ok(end)) => seeds.extend(first..end),
            (Ok(seed), Err(_)) if range.1.is_empty() => seeds.push(seed),
            _ => {
                let _ = writeln!(io::stderr(), "storm: {argument} is no seed\nusage: storm SEED|FIRST..END ...");
                return ExitCode::from(2);
            }
        }
    }
    let mut status = ExitCode::SUCCESS;
    for seed in seeds {
        let line = match baton_sim::storm::pass(seed) {
            Ok(report) => format!(
                "seed {seed}: digest {:016x}, {} steps, {} crashes, {} processes",
                report.digest, report.steps, report.crashes, report.starts
            ),
            Err(problem) => {
                status = ExitCode::FAILURE;
                format!("seed {seed}: {problem}")
            }
        };
        let _ = writeln!(io::stdout(), "{line}");
    }
    status
}
