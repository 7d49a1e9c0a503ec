//! `cargo bench --bench processes [-- CONCURRENCY …]`: the launcher against spawning directly, from a small program and from
//! one with 2 GiB of touched heap.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::error::Error;

use baton_nodes::process::bench::{Load, compare};
use baton_nodes::process::{Launcher, LauncherConfig};

const BALLAST: usize = 2 << 30;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut concurrencies: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if concurrencies.is_empty() {
        concurrencies = vec![1, 2, 4, 16, 100];
    }
    let directory = tempfile::tempdir()?;
    let launcher = Launcher::start(LauncherConfig {
        work_directory: directory.path().to_owned(),
        guard_program: Some(env!("CARGO_BIN_EXE_baton").into()),
        process_limit: None,
    })
    .await?;
    let commands: [&[&str]; 2] = [&["/bin/true"], &["/bin/sh", "-c", "echo hello"]];
    let mut ballast = Vec::new();
    for (parent, size) in [("small", 0), ("2 GiB", BALLAST)] {
        ballast.resize(size, 1_u8);
        for command in commands {
            for &concurrency in &concurrencies {
                let command = command.iter().map(ToString::to_string).collect();
                let load = Load { command, count: 1000, concurrency };
                let comparison = compare(&launcher, &load).await?;
                println!("{parent:5} {:24} at once {concurrency:3}: {comparison}", load.command.join(" "));
            }
        }
    }
    drop(std::hint::black_box(ballast));
    launcher.stop().await;
    Ok(())
}
