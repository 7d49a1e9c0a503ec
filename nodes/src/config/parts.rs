//! The sections that configurations of several daemons have in common: each with its type, and how it is read.

use super::reader::{Section, quoted};
use baton_net::address::Address;
use baton_net::name::{ClusterId, NodeId};
use baton_net::tls::{MaterialError, OwnFiles, Security, Tls, TlsFiles, WallClock};
use baton_protocol::pair::timing::Timing;
use baton_storage::fjall::{Durability, Options};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where other nodes connect, when nothing else is said.
pub const LINKS: &str = "127.0.0.1:4454";

/// Where a controller answers HTTP, when nothing else is said.
pub const API: &str = "127.0.0.1:4444";

/// Where an agent or subagent answers HTTP, when its section `[api]` is there but says nothing else.
pub(super) const WORKER_API: &str = "127.0.0.1:4465";

/// What every daemon has: who it is, where it keeps its data, how it talks.
#[derive(Clone, Debug)]
pub struct Common {
    /// The cluster.
    pub cluster: ClusterId,
    /// Who this is, as in the certificate.
    pub node: NodeId,
    /// The folder of the journal.
    pub data: PathBuf,
    /// Where other nodes connect.
    pub links: Address,
    /// Certificates and key; none means: no encryption, and so this machine only.
    pub tls: Option<TlsFiles>,
    /// How the journal is kept.
    pub journal: Options,
    /// Events are kept for so long at most, whether readers have released them or not.
    pub keep_events: Duration,
    /// What is logged.
    pub log: Log,
}

/// Another node: who it is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who it is, as in its certificate.
    pub node: NodeId,
    /// Where it listens for links.
    pub address: Address,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Everything from this level on.
    pub level: Level,
    /// For whom.
    pub format: LogFormat,
}

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody has to act.
    Error,
    /// Somebody should look at it.
    Warn,
    /// What an operator wants to know of a sound system.
    Info,
    /// For who looks for the cause of something.
    Debug,
    /// Everything.
    Trace,
}

/// For whom the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: lines.
    Text,
    /// For programs: a JSON object in each line.
    Json,
}

impl Common {
    /// How connections are secured. Reads the files.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn security(&self, clock: WallClock) -> Result<Security, MaterialError> {
        match &self.tls {
            Some(files) => Tls::from_files(files.clone(), clock).map(Security::Tls),
            None => Ok(Security::Plain),
        }
    }

    /// Reads what is at the top, and the sections `[links]`, `[tls]`, `[journal]` and `[log]`.
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let cluster = section.required("cluster", |text| ClusterId::new(text).map_err(|error| error.to_string()));
        let node = section.required("node", node);
        let data = section.required("data", |text| Ok(section.folder().join(text)));
        let tls = section.optional_section("tls", tls);
        let links = section.section("links", |links| listen(links, LINKS, section.has("tls")));
        let journal = section.section("journal", journal);
        let log = section.section("log", log);
        Some(Self {
            cluster: cluster?,
            node: node?,
            data: data?,
            links: links?,
            tls: tls?,
            journal: journal?.0,
            keep_events: journal?.1,
            log: log?,
        })
    }
}

impl Member {
    /// Reads `node` and `address`. Without TLS the address has to be one of this machine.
    pub(super) fn read(section: &Section<'_>, is_secured: bool) -> Option<Self> {
        let node = section.required("node", node);
        let address = section.required("address", |text| {
            let address = address(text)?;
            if address.port() == 0 {
                return Err(
                    "nobody can be called at port 0; expected is the port where the node listens for links".into()
                );
            }
            private_unless(is_secured, address)
        });
        Some(Self { node: node?, address: address? })
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.node, self.address)
    }
}

impl Level {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// Reads `listen`.
pub(super) fn listen(section: &Section<'_>, default: &str, is_secured: bool) -> Option<Address> {
    section.or("listen", default, |text| private_unless(is_secured, address(text)?))
}

/// Reads times; all of them have defaults.
pub(super) fn timing(section: &Section<'_>) -> Option<Timing> {
    let default = Timing::DEFAULT;
    let read = |key, default| section.or(key, &shown(default), duration);
    let heartbeat = read("heartbeat", default.heartbeat);
    let silence = read("silence", default.silence);
    let watch_silence = read("watch_silence", default.watch_silence);
    let exchange = read("exchange", default.exchange);
    let timing =
        Timing { heartbeat: heartbeat?, silence: silence?, watch_silence: watch_silence?, exchange: exchange? };
    if let Some(mistake) = timing.mistake() {
        let Timing { heartbeat, silence, watch_silence, exchange } = timing;
        section.complain("", format!(
            "the times do not fit each other: {mistake}; they are heartbeat {}, silence {}, watch_silence {}, exchange {}",
            shown(heartbeat), shown(silence), shown(watch_silence), shown(exchange)
        ));
        return None;
    }
    Some(timing)
}

/// One of several words.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            Err(format!("this is {}; expected is one of {}", quoted(text), words.join(", ")))
        }
    }
}

fn node(text: &str) -> Result<NodeId, String> {
    NodeId::new(text).map_err(|error| error.to_string())
}

fn address(text: &str) -> Result<Address, String> {
    text.parse::<Address>().map_err(|error| error.to_string())
}

/// Whether who is there is certainly on this machine. What a name means can be changed by others, except for this one.
pub(super) fn is_private(address: &Address) -> bool {
    address.host() == "localhost" || address.host().parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn private_unless(is_secured: bool, address: Address) -> Result<Address, String> {
    if is_secured || is_private(&address) {
        Ok(address)
    } else {
        Err(format!(
            "{address} can be reached from other machines, but nothing is encrypted; expected is a section [tls], or an address \
             of this machine, as in \"127.0.0.1:{}\"",
            address.port()
        ))
    }
}

fn tls(section: &Section<'_>) -> Option<TlsFiles> {
    let path = |key| section.required(key, |text| Ok(section.folder().join(text)));
    let (authorities, certificate, key) = (path("authorities"), path("certificate"), path("key"));
    Some(TlsFiles { authorities: authorities?, own: Some(OwnFiles { certificate: certificate?, key: key? }) })
}

fn journal(section: &Section<'_>) -> Option<(Options, Duration)> {
    let durabilities = [("disk", Durability::Disk), ("system", Durability::System)];
    let durability = section.or("durability", "disk", |text| one_of(text, &durabilities));
    if matches!(durability, Some(Durability::System)) {
        section.doubt("durability", "what was told to others is lost with the power; \"disk\" is safe");
    }
    let segment = section.or("segment", "64 MiB", |text| {
        let bytes = size(text)?;
        let range = (1 << 20)..=(4 << 30);
        if range.contains(&bytes) { Ok(bytes) } else { Err("a segment has from 1 MiB to 4 GiB".to_owned()) }
    });
    let keep_events = section.or("keep_events", "7d", long_duration);
    Some((Options { durability: durability?, segment: segment? }, keep_events?))
}

fn log(section: &Section<'_>) -> Option<Log> {
    let level = section.or("level", "info", |text| one_of(text, &Level::ALL));
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = section.or("format", "text", |text| one_of(text, &formats));
    Some(Log { level: level?, format: format? })
}

/// As in `7d` or `12h`.
fn long_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number = digits.trim_end().parse::<u32>().ok();
    match (number, &text[digits.len()..]) {
        (Some(number), "h") => Ok(Duration::from_secs(3_600 * u64::from(number))),
        (Some(number), "d") => Ok(Duration::from_secs(86_400 * u64::from(number))),
        _ => Err(format!("{} is no time; expected are days or hours, as in \"7d\" or \"12h\"", quoted(text))),
    }
}

/// As in `4s` or `2500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number = digits.trim_end().parse::<u32>().ok();
    match (number, &text[digits.len()..]) {
        (Some(number), "ms") => Ok(Duration::from_millis(number.into())),
        (Some(number), "s") => Ok(Duration::from_secs(number.into())),
        _ => Err(format!(
            "{} is no time; expected are seconds or milliseconds, as in \"4s\" or \"2500ms\"",
            quoted(text)
        )),
    }
}

fn shown(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// As in `64 MiB`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => 64,
    };
    let bytes = digits.trim_end().parse::<u64>().ok().and_then(|number| number.checked_mul(1u64.checked_shl(unit)?));
    bytes.ok_or_else(|| format!("{} is no size; expected are KiB, MiB or GiB, as in \"64 MiB\"", quoted(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(duration("4s").unwrap(), Duration::from_secs(4));
        assert_eq!(duration("2500 ms").unwrap(), Duration::from_millis(2500));
        for text in ["", "4", "s", "-1s", "4h", "4.5s", "99999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(size("64 MiB").unwrap(), 64 << 20);
        assert_eq!(size("1KiB").unwrap(), 1024);
        for text in ["", "64", "MiB", "64 MB", "18446744073709551615 GiB", "ä"] {
            assert!(size(text).is_err(), "{text}");
        }
        for time in [Duration::from_secs(4), Duration::from_millis(2500)] {
            assert_eq!(duration(&shown(time)).unwrap(), time);
        }
    }

    #[test]
    fn only_loopback_is_private() {
        for (text, expected) in [
            ("localhost:1", true),
            ("127.0.0.9:1", true),
            ("[::1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("example.org:1", false),
        ] {
            assert_eq!(is_private(&text.parse().unwrap()), expected, "{text}");
        }
    }
}
