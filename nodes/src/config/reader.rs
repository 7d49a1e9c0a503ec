//! Reads a configuration: the file, and over it the environment. Collects everything that is wrong, and tells of each
//! value where it came from.
//!
//! It goes over the parsed document rather than through serde, which ends at the first mistake and knows no places.
//!
//! What a caller asks for is what is known: all else in the file is a mistake, and so are variables that look like settings.
//! A getter gives nothing exactly if it has put a mistake on record.

use super::findings::{Finding, Findings, Origin, Place, Setting, Severity};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A configuration is not longer, in bytes.
const LONGEST: u64 = 1 << 20;

/// So many characters of a value are repeated in messages.
const SHOWN: usize = 80;

/// What begins the names of all our variables.
const PREFIX: &str = "BATON_";

/// How a secret is shown.
const HIDDEN: &str = "(hidden)";

/// Short for another variable, since it is set by hand.
const SHORT: (&str, &str) = ("BATON_LOG", "BATON_LOG_LEVEL");

/// Variables of the environment. Empty ones count as not set, those which do not begin with `BATON_` are not looked at.
/// `BATON_LOG` is short for `BATON_LOG_LEVEL`. Printed without the values, for there may be secrets of others among them.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Of this process. Values that are no Unicode text are taken with replacements.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let is_ours = |(name, value): &(String, String)| name.starts_with(PREFIX) && !value.is_empty();
        let mut variables: BTreeMap<_, _> = variables.filter(is_ours).collect();
        if let Some(value) = variables.remove(SHORT.0) {
            variables.entry(SHORT.1.to_owned()).or_insert(value);
        }
        Self(variables)
    }
}

/// What was read besides the values.
pub(super) struct Read<T> {
    pub(super) value: T,
    pub(super) settings: Vec<Setting>,
    /// No errors.
    pub(super) warnings: Findings,
}

/// Reads a configuration from a file and the environment; `read` takes what it wants.
pub(super) fn read_file<T>(
    file: &Path,
    environment: &Environment,
    read: impl FnOnce(&Section<'_>) -> Option<T>,
) -> Result<Read<T>, Findings> {
    let fail = |message: String| {
        let place = Place::File(file.to_owned());
        Findings::new(vec![Finding { place, severity: Severity::Error, key: String::new(), message }])
    };
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.is_dir() => {
            Err(fail("this is a folder; expected is a configuration file in it".into()))
        }
        Ok(metadata) if metadata.len() > LONGEST => {
            Err(fail(format!("this is no configuration: it is longer than {LONGEST} bytes")))
        }
        Ok(_) => match std::fs::read_to_string(file) {
            Ok(text) => read_text(file, &text, environment, read),
            Err(error) => Err(fail(format!("cannot be read: {error}"))),
        },
        Err(error) => {
            Err(fail(format!("cannot be read: {error}; `baton init cluster` writes configurations to begin with")))
        }
    }
}

/// As [`read_file`], from what stands in the file.
pub(super) fn read_text<T>(
    file: &Path,
    text: &str,
    environment: &Environment,
    read: impl FnOnce(&Section<'_>) -> Option<T>,
) -> Result<Read<T>, Findings> {
    let reader = Reader {
        file,
        text,
        environment,
        variables: RefCell::default(),
        findings: RefCell::default(),
        settings: RefCell::default(),
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let place = error.span().map_or_else(|| Place::File(file.to_owned()), |span| reader.place(&span));
            reader.find(place, Severity::Error, "", format!("this is no TOML: {}", error.message()));
        }
        return Err(Findings::new(reader.findings.into_inner()));
    }
    let root = Section {
        reader: &reader,
        above: None,
        path: String::new(),
        place: Place::File(file.to_owned()),
        table: Some(document.get_ref()),
        is_numbered: false,
        known: RefCell::default(),
    };
    let value = read(&root);
    root.refuse_unknown();
    reader.refuse_unknown_variables();
    let findings = Findings::new(reader.findings.into_inner());
    match value {
        Some(value) if !findings.has_errors() => {
            Ok(Read { value, settings: reader.settings.into_inner(), warnings: findings })
        }
        _ => Err(findings),
    }
}

/// The one of `known` that is meant by `name`, perhaps: one mistake in so many characters.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, per_mistake: usize) -> Option<&'a str> {
    // Names that are much longer are something else, and would take long.
    let name: String = name.chars().take(SHOWN).collect::<String>().to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&name, &other.to_lowercase());
    let near = known.into_iter().map(|other| (distance(other), other)).min()?;
    (near.0 <= near.1.chars().count() / per_mistake).then_some(near.1)
}

/// A value as it is shown in messages.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    environment: &'a Environment,
    /// The names of variables that were looked for.
    variables: RefCell<Vec<String>>,
    findings: RefCell<Vec<Finding>>,
    settings: RefCell<Vec<Setting>>,
}

impl Reader<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::Line {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn find(&self, place: Place, severity: Severity, key: &str, message: String) {
        self.findings.borrow_mut().push(Finding { place, severity, key: key.to_owned(), message });
    }

    fn set(&self, key: String, value: &str, origin: Origin) {
        self.settings.borrow_mut().push(Setting { key, value: value.to_owned(), origin });
    }

    /// Variables which look as if they were to be settings.
    fn refuse_unknown_variables(&self) {
        let known = self.variables.borrow();
        for name in self.environment.0.keys().filter(|name| !known.contains(name)) {
            let section = name.match_indices('_').nth(1).map(|(end, _)| &name[..=end]);
            let has_section = section.is_some_and(|section| known.iter().any(|known| known.starts_with(section)));
            let endings = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
            match nearest(&name[PREFIX.len()..], endings, 4) {
                Some(near) => {
                    let message = format!("there is no such setting; {PREFIX}{near} was meant, perhaps");
                    self.find(Place::Variable(name.clone()), Severity::Error, "", message);
                }
                None if has_section => {
                    let message = "there is no such setting, or it can be made in the file only".to_owned();
                    self.find(Place::Variable(name.clone()), Severity::Error, "", message);
                }
                None => {}
            }
        }
    }
}

/// A table of the configuration; it may be that it does not stand in the file.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    above: Option<&'a Self>,
    /// As in `pair.peer`.
    path: String,
    place: Place,
    table: Option<&'a DeTable<'a>>,
    /// Whether it is one of several, which the environment cannot name.
    is_numbered: bool,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// A text that must be there.
    pub(super) fn required<T>(&self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match self.text(key)? {
            Some((text, place)) => self.parsed(key, text, place, parse),
            None => {
                self.complain_of_missing(key);
                None
            }
        }
    }

    /// A text; else it is the default.
    pub(super) fn or<T>(
        &self,
        key: &'static str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.text(key)? {
            Some((text, place)) => self.parsed(key, text, place, parse),
            None => {
                self.reader.set(self.path_of(key), default, Origin::Default);
                parse(default).map_err(|message| self.complain(key, message)).ok()
            }
        }
    }

    /// A text that may be missing.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.text(key)? {
            Some((text, place)) => self.parsed(key, text, place, parse).map(Some),
            None => Some(None),
        }
    }

    /// A text that must be there, and is never shown. Nor may the parser show it.
    pub(super) fn secret<T>(&self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match self.text(key)? {
            Some((text, place)) => {
                self.reader.set(self.path_of(key), HIDDEN, Origin::Set(place.clone()));
                self.value(key, place, parse(text))
            }
            None => {
                self.complain_of_missing(key);
                None
            }
        }
    }

    /// A list of texts that must be there. It stands in the file only.
    pub(super) fn texts<T>(&self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        self.know(key);
        let Some(value) = self.get(key) else {
            self.complain_of_missing(key);
            return None;
        };
        let expected = "expected is a list of texts, as in [\"one\", \"two\"]";
        let DeValue::Array(values) = value.get_ref() else {
            self.complain(key, format!("this is {}; {expected}", kind(value.get_ref())));
            return None;
        };
        let mut shown = Vec::new();
        let read = |value: &Spanned<DeValue<'a>>| match value.get_ref() {
            DeValue::String(text) => {
                shown.push(text.to_string());
                self.value(key, self.reader.place(&value.span()), parse(text))
            }
            other => {
                self.value(key, self.reader.place(&value.span()), Err(format!("this is {}; {expected}", kind(other))))
            }
        };
        // All are read, for the sake of their mistakes.
        let texts: Vec<_> = values.iter().map(read).collect();
        self.reader.set(self.path_of(key), &shown.join(" "), Origin::Set(self.reader.place(&value.span())));
        texts.into_iter().collect()
    }

    /// A section that has defaults for everything, or else complains of what it misses.
    pub(super) fn section<T>(&self, key: &'static str, read: impl FnOnce(&Section<'_>) -> Option<T>) -> Option<T> {
        self.know(key);
        let found = self.get(key);
        let (place, table) = match found.map(|value| (value, value.get_ref())) {
            None => (self.place.clone(), None),
            Some((_, DeValue::Table(table))) => (self.key_place(key), Some(table)),
            Some((_, other)) => {
                let path = self.path_of(key);
                self.complain(
                    key,
                    format!("this is {}; expected is a section, [{path}], or {{ key = \"value\" }}", kind(other)),
                );
                return None;
            }
        };
        let section = Section {
            reader: self.reader,
            above: Some(self),
            path: self.path_of(key),
            place,
            table,
            is_numbered: self.is_numbered,
            known: RefCell::default(),
        };
        let value = read(&section);
        section.refuse_unknown();
        value
    }

    /// Whether there is such a section, in the file or in the environment.
    pub(super) fn has(&self, key: &str) -> bool {
        let prefix = format!("{}_", self.variable(key));
        let is_variable = |name: &String| !self.is_numbered && name.starts_with(&prefix);
        self.get(key).is_some() || self.reader.environment.0.keys().any(is_variable)
    }

    /// A section that may be missing.
    pub(super) fn optional_section<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Section<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        if !self.has(key) {
            self.know(key);
            return Some(None);
        }
        self.section(key, read).map(Some)
    }

    /// Sections of one name, `[[name]]`; perhaps none.
    pub(super) fn sections<T>(&self, key: &'static str, read: impl Fn(&Section<'_>) -> Option<T>) -> Option<Vec<T>> {
        self.know(key);
        let Some(value) = self.get(key) else { return Some(Vec::new()) };
        let path = self.path_of(key);
        let expected = format!("expected are sections, each begun by [[{path}]]");
        let DeValue::Array(values) = value.get_ref() else {
            self.complain(key, format!("this is {}; {expected}", kind(value.get_ref())));
            return None;
        };
        let read_one = |(i, value): (usize, &Spanned<DeValue<'_>>)| {
            let place = self.reader.place(&value.span());
            let DeValue::Table(table) = value.get_ref() else {
                let message = format!("this is {}; {expected}", kind(value.get_ref()));
                return self.value(key, place, Err(message));
            };
            let section = Section {
                reader: self.reader,
                above: Some(self),
                path: format!("{path}[{i}]"),
                place,
                table: Some(table),
                is_numbered: true,
                known: RefCell::default(),
            };
            let value = read(&section);
            section.refuse_unknown();
            value
        };
        let all: Vec<_> = values.iter().enumerate().map(read_one).collect();
        all.into_iter().collect()
    }

    /// Complains of what was set.
    pub(super) fn complain(&self, key: &str, message: impl Into<String>) {
        self.reader.find(self.place_of(key), Severity::Error, &self.path_of(key), message.into());
    }

    /// Doubts what was set.
    pub(super) fn doubt(&self, key: &str, message: impl Into<String>) {
        self.reader.find(self.place_of(key), Severity::Warning, &self.path_of(key), message.into());
    }

    /// The folder to which paths are relative.
    pub(super) fn folder(&self) -> PathBuf {
        self.reader.file.parent().map(Path::to_owned).unwrap_or_default()
    }

    fn complain_of_missing(&self, key: &str) {
        let variable = self.variable(key);
        let or = if self.is_numbered { String::new() } else { format!(" or the variable {variable}") };
        let place = match &self.path {
            path if path.is_empty() => "at the top of the file".to_owned(),
            path if self.is_numbered => format!("in this section, {path}"),
            path => format!("in the section [{path}]"),
        };
        self.complain(key, format!("this is missing; expected is {key} = … {place}{or}"));
    }

    /// What was set, and where. Nothing if it is no text.
    fn text(&self, key: &'static str) -> Option<Option<(&str, Place)>> {
        self.know(key);
        if !self.is_numbered {
            let variable = self.variable(key);
            if let Some(text) = self.reader.environment.get(&variable) {
                return Some(Some((text, Place::Variable(variable))));
            }
        }
        let Some(value) = self.get(key) else { return Some(None) };
        match value.get_ref() {
            DeValue::String(text) => Some(Some((text.as_ref(), self.reader.place(&value.span())))),
            other => {
                self.complain(key, format!("this is {}; expected is a text in quotes, {key} = \"…\"", kind(other)));
                None
            }
        }
    }

    fn parsed<T>(
        &self,
        key: &str,
        text: &str,
        place: Place,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.reader.set(self.path_of(key), text, Origin::Set(place.clone()));
        self.value(key, place, parse(text))
    }

    fn value<T>(&self, key: &str, place: Place, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|message| self.reader.find(place, Severity::Error, &self.path_of(key), message)).ok()
    }

    fn know(&self, key: &'static str) {
        self.known.borrow_mut().push(key);
        if !self.is_numbered {
            self.reader.variables.borrow_mut().push(self.variable(key));
        }
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table?.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn key_place(&self, key: &str) -> Place {
        let found = self.table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == key));
        found.map_or_else(|| self.place.clone(), |(name, _)| self.reader.place(&name.span()))
    }

    /// Where a setting was made; where the section is if it was not.
    fn place_of(&self, key: &str) -> Place {
        let variable = self.variable(key);
        if !self.is_numbered && self.reader.environment.get(&variable).is_some() {
            return Place::Variable(variable);
        }
        self.get(key).map_or_else(|| self.place.clone(), |value| self.reader.place(&value.span()))
    }

    fn path_of(&self, key: &str) -> String {
        let separator = if self.path.is_empty() || key.is_empty() { "" } else { "." };
        format!("{}{separator}{key}", self.path)
    }

    fn variable(&self, key: &str) -> String {
        format!("{PREFIX}{}", self.path_of(key).replace('.', "_").to_uppercase())
    }

    fn refuse_unknown(&self) {
        let known = self.known.borrow();
        for (name, _) in self.table.into_iter().flatten() {
            let key = name.get_ref().as_ref();
            if known.contains(&key) {
                continue;
            }
            let knows = |section: &Section<'_>| section.known.borrow().contains(&key);
            let message = if let Some(near) = nearest(key, known.iter().copied(), 3) {
                format!("there is no such setting; {} was meant, perhaps", self.path_of(near))
            } else if self.above.is_some_and(knows) {
                "there is no such setting in this section; it stands above the first section, perhaps".to_owned()
            } else {
                format!("there is no such setting here; known are {}", known.join(", "))
            };
            self.reader.find(
                self.reader.place(&name.span()),
                Severity::Error,
                &self.path_of(&quoted_key(key)),
                message,
            );
        }
    }
}

/// A key as it is written.
fn quoted_key(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.len() <= SHOWN && key.chars().all(is_bare) { key.to_owned() } else { quoted(key) }
}

/// What a value is, in words.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
