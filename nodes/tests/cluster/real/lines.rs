//! Looks into JSON objects that Baton writes in one line, whose members are sorted: names in capitals first, so that what is found is
//! a member of the object itself rather than of something in it. Good enough for tests, and a line is not parsed twice.

/// A member that is a text without escapes.
pub(crate) fn text<'l>(line: &'l str, member: &str) -> Option<&'l str> {
    rest(line, member)?.strip_prefix('"')?.split('"').next()
}

/// A member that is a number.
pub(crate) fn number(line: &str, member: &str) -> Option<u64> {
    rest(line, member)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The line without a member that is a number.
pub(crate) fn without_number(line: &str, member: &str) -> String {
    let name = format!("\"{member}\":");
    let Some((before, after)) = line.split_once(&name) else { return line.to_owned() };
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}{}", after.strip_prefix(',').unwrap_or(after))
}

fn rest<'l>(line: &'l str, member: &str) -> Option<&'l str> {
    Some(line.split_once(&format!("\"{member}\":"))?.1)
}
