//! The text format of Prometheus.

use std::fmt::{Display, Write as _};

/// What has been written, and of which family samples are now.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
    family: &'static str,
}

// A text takes all that is written.
impl Page {
    pub(super) fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        _ = write!(self.text, "{}{suffix}", self.family);
        for (i, (name, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            _ = write!(self.text, "{}{name}=\"{value}\"", if i == 0 { "{" } else { "," });
        }
        _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample("", &[], value);
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample("", &[], value);
    }
}
