//! `baton schema`: the JSON Schema of documents, made of the same declarations which read them.

use std::io::{self, Write as _};
use std::process::ExitCode;

use baton_workflow::json::schema::Schemas;
use baton_workflow::json::{Json as _, print_pretty};
use baton_workflow::model::item::Item;

/// Prints the schema.
pub fn main() -> ExitCode {
    let mut schemas = Schemas::default();
    let root = Item::schema(&mut schemas);
    let text = print_pretty(&schemas.document("Baton items", root));
    // A reader which closes the pipe early has got what it wanted.
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
