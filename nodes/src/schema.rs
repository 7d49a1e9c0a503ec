//! `baton schema`: the JSON Schema of documents, made of the same declarations which read them.

use std::io::{self, Write as _};
use std::process::ExitCode;

use baton_workflow::document;
use baton_workflow::json::print_pretty;

/// Prints the schema.
pub fn main() -> ExitCode {
    let text = print_pretty(&document::schema());
    // A reader which closes the pipe early has got what it wanted.
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
