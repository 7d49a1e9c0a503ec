//! What this machine contributes to expressions: its environment and its time zone.

use baton_machine::replica::Locality;
use baton_workflow::schedule::TimeZone;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the folder of zones ends, in the path to which `/etc/localtime` leads.
const ZONES: &str = "zoneinfo/";

/// Of this machine and process, now.
#[must_use]
pub fn locality() -> Locality {
    Locality { environment: environment(), zone: zone() }
}

/// The environment of this process, as far as it is text.
#[must_use]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The zone that `TZ` names, or the machine's; UTC if it has no name.
fn zone() -> TimeZone {
    let from_variable = std::env::var("TZ").ok();
    let name = from_variable.or_else(|| {
        let path = Path::new("/etc/localtime").canonicalize().ok()?;
        Some(path.to_str()?.split_once(ZONES)?.1.to_owned())
    });
    name.and_then(|name| TimeZone::get(name.trim_start_matches(':')).ok()).unwrap_or_else(TimeZone::utc)
}
