//! Runs conformance vectors against the engine. Exit status: 0 all passed, 1 some failed, 2 the input is not usable.

use baton_sim::conformance::matching::Matcher;
use baton_sim::conformance::{Settings, loader, run};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: conformance DIR [--only NAME]... [--kind KIND]... [--json] [--ignore-texts]

Runs all vectors (*.json) below DIR.
  --only NAME      only the vectors of this name
  --kind KIND      only the vectors of this kind
  --json           prints the result as JSON
  --ignore-texts   compares only codes and arguments of problems, not their messages
";

struct Arguments {
    folder: PathBuf,
    only: Vec<String>,
    kinds: Vec<String>,
    json: bool,
    ignores_texts: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut folder = None;
    let (mut only, mut kinds, mut json, mut ignores_texts) = (Vec::new(), Vec::new(), false, false);
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--only" => only.push(value()?),
            "--kind" => kinds.push(value()?),
            "--json" => json = true,
            "--ignore-texts" => ignores_texts = true,
            option if option.starts_with("--") => return Err(format!("unknown option {option}")),
            path if folder.is_none() => folder = Some(PathBuf::from(path)),
            path => return Err(format!("unexpected argument {path}")),
        }
    }
    let folder = folder.ok_or("DIR is missing")?;
    Ok(Arguments { folder, only, kinds, json, ignores_texts })
}

fn main() -> ExitCode {
    let unusable = |why: &str| {
        let _ = writeln!(io::stderr(), "conformance: {why}");
        ExitCode::from(2)
    };
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(why) => return unusable(&format!("{why}\n{USAGE}")),
    };
    let mut vectors = match loader::load(&arguments.folder) {
        Ok(vectors) => vectors,
        Err(error) => return unusable(&error.to_string()),
    };
    let is_wanted = |wanted: &[String], vector: &loader::Loaded, member: &str| {
        let value = vector.content.as_ref().ok().and_then(|node| node.get(member)?.as_str());
        wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|w| w == value))
    };
    vectors.retain(|v| is_wanted(&arguments.only, v, "name") && is_wanted(&arguments.kinds, v, "kind"));
    if vectors.is_empty() {
        return unusable("no vector has this name or kind");
    }
    let report = run(
        &vectors,
        Settings {
            matcher: Matcher { ignores_texts: arguments.ignores_texts },
            start_world: Some(baton_sim::world::conformance::start),
        },
    );
    let text = if arguments.json { report.json() + "\n" } else { report.text() };
    if io::stdout().write_all(text.as_bytes()).is_err() {
        return unusable("cannot write to stdout");
    }
    ExitCode::from(u8::from(!report.passed()))
}
