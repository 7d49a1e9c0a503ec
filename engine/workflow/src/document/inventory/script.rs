//! Scripts which include others: `##!include NAME --replace="what","with"`, alone on a line, maybe as a comment.

use super::Rewriter;
use crate::json::{Node, Place};
use alloc::format;
use alloc::string::String;

const INCLUDE: &str = "##!include";

impl Rewriter<'_> {
    /// The script with included ones in the place of the lines which name them.
    pub(super) fn script(&self, node: &Node) -> Node {
        match node.as_str() {
            Some(script) if script.contains(INCLUDE) => {
                super::edit::string(&self.expanded(script, node.place), node.place)
            }
            _ => node.clone(),
        }
    }

    fn expanded(&self, script: &str, place: Place) -> String {
        let mut expanded = String::with_capacity(script.len());
        for line in script.split_inclusive('\n') {
            let Some(demand) = include(line) else {
                expanded.push_str(line);
                continue;
            };
            let (name, options) = demand.split_once(char::is_whitespace).unwrap_or((demand, ""));
            match (self.scripts.get(name), replacements(options)) {
                (Some(script), Some(replacements)) => {
                    let script = replacements
                        .iter()
                        .fold(String::from(&**script), |script, (what, with)| script.replace(what, with));
                    if expanded.len() + script.len() > crate::json::limit::TEXT {
                        self.fail(
                            place,
                            "script",
                            format!(
                                "the script with all it includes is longer than {} bytes",
                                crate::json::limit::TEXT
                            ),
                        );
                        return expanded;
                    }
                    expanded.push_str(&script);
                    if line.ends_with('\n') && !script.ends_with('\n') {
                        expanded.push('\n');
                    }
                }
                (None, _) => self.fail(
                    place,
                    "script",
                    format!("includes the script '{name}', which is not given; add an IncludeScript of that name"),
                ),
                (Some(_), None) => self.fail(
                    place,
                    "script",
                    format!("'{}' is no option of an include; expected --replace=\"what\",\"with\"", options.trim()),
                ),
            }
        }
        expanded
    }
}

/// What a line includes: name and options.
fn include(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = ["::", "//"].iter().find_map(|comment| line.strip_prefix(comment)).unwrap_or(line);
    let demand = line.trim_start().strip_prefix(INCLUDE)?;
    demand.starts_with(char::is_whitespace).then(|| demand.trim())
}

/// `--replace="what","with"`, repeated.
fn replacements(options: &str) -> Option<alloc::vec::Vec<(&str, &str)>> {
    let mut replacements = alloc::vec::Vec::new();
    let mut rest = options.trim();
    while !rest.is_empty() {
        let (what, after) = rest.strip_prefix("--replace=\"")?.split_once('"')?;
        let (with, after) = after.strip_prefix(',')?.trim_start().strip_prefix('"')?.split_once('"')?;
        if what.is_empty() {
            return None;
        }
        replacements.push((what, with));
        rest = after.trim_start();
    }
    Some(replacements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_stand_alone_on_a_line() {
        assert_eq!(include("  ##!include lib --replace=\"a\",\"b\" \n"), Some("lib --replace=\"a\",\"b\""));
        assert_eq!(include(":: ##!include lib"), Some("lib"));
        assert_eq!(include("echo ##!include lib"), None);
        assert_eq!(include("##!includes lib"), None);
        assert_eq!(
            replacements(" --replace=\"a\",\"b c\" --replace=\"d\", \"\""),
            Some(alloc::vec![("a", "b c"), ("d", "")])
        );
        assert_eq!(replacements("--replace=a,b"), None);
    }
}
