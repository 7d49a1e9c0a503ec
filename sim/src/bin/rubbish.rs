//! Throws random bytes at what fuzzers call, on the stable toolchain: `rubbish TARGET [SECONDS [SEED]]`. Ends with 1 at the first input
//! on which something does not hold, and prints that input in hexadecimal digits, cut down as far as it still fails.

use baton_protocol::random::Random;
use baton_sim::fuzz::{TARGETS, Target};
use baton_sim::quiet::quietly;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The longest input.
const MOST: u64 = 600;

#[expect(clippy::print_stdout, reason = "a command")]
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, play)) = TARGETS.into_iter().find(|(name, _)| Some(*name) == words.first().map(String::as_str))
    else {
        println!("rubbish TARGET [SECONDS [SEED]], with a target of: {}", TARGETS.map(|(name, _)| name).join(", "));
        return ExitCode::FAILURE;
    };
    let number = |at: usize, or| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(or);
    let (seconds, mut random) = (number(1, 60), Random::new(number(2, 1)));
    let (began, mut count) = (Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_secs(seconds) {
        let length = random.below(MOST);
        let data: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        if fails(play, &data) {
            let data = shrunk(play, data);
            println!("{name} does not hold for:");
            println!("{}", data.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            play(&data);
            return ExitCode::FAILURE;
        }
        count += 1;
    }
    println!("{name} holds for {count} inputs");
    ExitCode::SUCCESS
}

fn fails(play: Target, data: &[u8]) -> bool {
    quietly(|| play(data)).is_err()
}

/// Without what is not needed to fail: parts of half the length first, single bytes at last.
fn shrunk(play: Target, mut data: Vec<u8>) -> Vec<u8> {
    let mut part = data.len().next_power_of_two();
    while part > 0 {
        let mut at = 0;
        while at < data.len() {
            let end = data.len().min(at + part);
            let mut shorter = data.clone();
            shorter.drain(at..end);
            if fails(play, &shorter) { data = shorter } else { at = end }
        }
        part /= 2;
    }
    data
}
