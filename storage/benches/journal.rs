//! Prints what [`baton_storage::bench`] measures. `cargo bench -p baton-storage [-- FOLDER]`; the folder should lie on the
//! disk that is to be measured, a temporary one is used without it.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::path::PathBuf;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    for figure in baton_storage::bench::run(folder.as_deref().unwrap_or(temporary.path()), Duration::from_secs(4))? {
        println!("{figure}");
    }
    Ok(())
}
