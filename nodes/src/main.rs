//! The `baton` command.

use std::path::Path;
use std::process::ExitCode;

use baton_nodes::process;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [command, directory] if command == process::GUARD_COMMAND => process::guard_main(Path::new(directory)),
        _ => ExitCode::from(2),
    }
}
