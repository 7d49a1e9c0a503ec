//! `baton check`: tells everything that is wrong with documents, without running anything.
//!
//! One finding per line, in the form that editors and compilers use:
//! `file:line:column: error: path: message`.

use std::io::{self, Write};
use std::process::ExitCode;

use baton_workflow::document::{self, Document, check_set};
use baton_workflow::json::{Finding, Place, print_pretty};
use baton_workflow::value::Value;

use crate::cli::{CheckArguments, Dialect, Format};
use crate::documents::read_all;

/// Checks the documents. Only errors count for the exit status, warnings do not.
pub fn main(arguments: &CheckArguments) -> ExitCode {
    match check(arguments, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            _ = writeln!(io::stderr().lock(), "baton check: {message}");
            ExitCode::from(2)
        }
    }
}

/// Whether there is no error. Fails if it could not be found out.
fn check(arguments: &CheckArguments, out: &mut dyn Write) -> Result<bool, String> {
    let format = arguments.format.map(|format| match format {
        Format::Json => document::Format::Json,
        Format::Yaml => document::Format::Yaml,
    });
    let dialect = arguments.dialect.map(|dialect| match dialect {
        Dialect::Controller => document::Dialect::Controller,
        Dialect::Inventory => document::Dialect::Inventory,
    });
    let mut documents = read_all(&arguments.files, format, dialect).map_err(|error| error.to_string())?;
    for (i, finding) in check_set(&documents) {
        documents[i].findings.push(finding);
    }
    for document in &mut documents {
        document.findings.sort_by_key(|finding| (finding.place, finding.severity));
    }
    let written = if arguments.json { write_json(&documents, out) } else { write_lines(&documents, out) };
    match written {
        // Who closes the pipe early has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        Err(_) | Ok(()) => Ok(!documents.iter().any(Document::has_errors)),
    }
}

fn write_lines(documents: &[Document], out: &mut dyn Write) -> io::Result<()> {
    for document in documents {
        for Finding { place, path, message, severity, .. } in &document.findings {
            write!(out, "{}:", document.name)?;
            if *place != Place::default() {
                write!(out, "{}:{}:", place.line, place.column)?;
            }
            let separator = if path.is_empty() { "" } else { ": " };
            writeln!(out, " {severity}: {path}{separator}{message}")?;
        }
        if document.omitted > 0 {
            writeln!(out, "{}: error: … and {} more errors", document.name, document.omitted)?;
        }
    }
    Ok(())
}

fn write_json(documents: &[Document], out: &mut dyn Write) -> io::Result<()> {
    let files = documents.iter().map(|document| {
        Value::object([
            ("file", Value::from(document.name.as_str())),
            ("items", Value::list(document.entries.iter().map(|entry| Value::string(&entry.item.key().to_string())))),
            ("findings", Value::list(document.findings.iter().map(finding))),
            ("omitted", i64::try_from(document.omitted).unwrap_or(i64::MAX).into()),
        ])
    });
    writeln!(out, "{}", print_pretty(&Value::list(files)))
}

fn finding(finding: &Finding) -> Value {
    let number = |n: u32| if n == 0 { Value::Missing } else { i64::from(n).into() };
    let code = &*finding.problem.code;
    Value::object([
        ("severity", Value::string(&finding.severity.to_string())),
        ("line", number(finding.place.line)),
        ("column", number(finding.place.column)),
        ("path", Value::from(finding.path.as_str())),
        ("message", Value::from(finding.message.as_str())),
        ("code", if code.is_empty() { Value::Missing } else { Value::from(code) }),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_workflow::json::{limit, parse};
    use std::fs;
    use std::path::PathBuf;

    fn checked(files: &[PathBuf], json: bool) -> (Result<bool, String>, String) {
        let arguments = CheckArguments { files: files.to_vec(), format: None, dialect: None, json };
        let mut out = Vec::new();
        let result = check(&arguments, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn findings_are_lines_with_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let good = write("L.lock.json", br#"{"limit": 1}"#);
        let bad = write("w.yaml", b"instructions:\n- TYPE: Execute.Named\n  jobName: J\n- TYPE: Lock\n  lockName: L\n  lockedWorkflow: {instructions: []}\n  x: 1\n");
        assert_eq!(checked(std::slice::from_ref(&good), false), (Ok(true), String::new()));
        let shown = format!(
            "{0}:2:3: error: instructions[0]: Unknown job name 'J'\n\
             {0}:7:3: warning: instructions[1].x: unknown member 'x' is ignored\n",
            bad.display()
        );
        let (result, text) = checked(&[bad.clone(), good], false);
        assert_eq!((result, text.as_str()), (Ok(false), shown.as_str()));
        let (result, json) = checked(&[folder.path().to_owned()], true);
        assert_eq!(result, Ok(false));
        assert!(matches!(parse(&json).unwrap().to_value(), Value::List(files) if files.len() == 2), "{json}");

        let binary = write("b.json", b"{\"a\":\n \xff}");
        let (result, text) = checked(std::slice::from_ref(&binary), false);
        assert_eq!(result, Ok(false));
        assert_eq!(text, format!("{}:2:2: error: the document is no text in UTF-8\n", binary.display()));

        let huge = write("huge.json", b"");
        fs::File::options().write(true).open(&huge).unwrap().set_len(100 << 20).unwrap();
        let (result, text) = checked(std::slice::from_ref(&huge), false);
        assert_eq!(result, Ok(false));
        assert_eq!(text, format!("{}: error: the document is longer than {} bytes\n", huge.display(), limit::TEXT));

        let (result, _) = checked(&[folder.path().join("none.json")], false);
        assert!(result.unwrap_err().contains("none.json"));
    }
}
