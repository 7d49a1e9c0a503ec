//! Looks at what a configuration names: certificates, keys, folders, hosts. That is `--check-config`, and each daemon does it once a
//! day, since certificates expire and files change.
//!
//! Nothing is made or changed, except for a nameless file in the data folder for a moment. A daemon may be running meanwhile.

use super::agent::{AgentConfig, SubagentConfig};
use super::controller::ControllerConfig;
use super::findings::{Finding, Findings, Origin, Place, Setting, Severity};
use super::parts::{Common, Member};
use super::watch::WatchConfig;
use crate::driver::wall_clock;
use baton_net::tls::{MaterialError, Tls, TlsFiles, WallClock};
use std::io::{self, Write};
use std::net::ToSocketAddrs as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// A certificate is complained of so long before it expires.
const EXPIRES_SOON: Duration = Duration::from_secs(30 * 86_400);

/// How often a daemon checks its configuration.
const DAY: Duration = Duration::from_secs(86_400);

/// A configuration that can be checked.
pub trait Checked {
    /// All settings, with where they came from.
    fn settings(&self) -> &[Setting];

    /// Looks at what it names. The findings of reading are among those which are returned. Asks the name service, so it may take
    /// seconds.
    fn check(&self, clock: &WallClock) -> Findings;
}

impl Checked for ControllerConfig {
    fn settings(&self) -> &[Setting] {
        &self.settings
    }

    fn check(&self, clock: &WallClock) -> Findings {
        let members = self.pair.iter().flat_map(|pair| [("pair.peer", &pair.peer), ("pair.watch", &pair.watch)]);
        look(&self.common, &self.settings, &self.warnings, members, clock)
    }
}

impl Checked for WatchConfig {
    fn settings(&self) -> &[Setting] {
        &self.settings
    }

    fn check(&self, clock: &WallClock) -> Findings {
        let members = [("nodes.first", &self.nodes.first), ("nodes.second", &self.nodes.second)];
        look(&self.common, &self.settings, &self.warnings, members, clock)
    }
}

impl Checked for AgentConfig {
    fn settings(&self) -> &[Setting] {
        &self.settings
    }

    fn check(&self, clock: &WallClock) -> Findings {
        look(&self.common, &self.settings, &self.warnings, [], clock)
    }
}

impl Checked for SubagentConfig {
    fn settings(&self) -> &[Setting] {
        &self.settings
    }

    fn check(&self, clock: &WallClock) -> Findings {
        look(&self.common, &self.settings, &self.warnings, [], clock)
    }
}

/// `--check-config`: prints all settings to standard output and all findings to standard error. Fails if there is an error.
pub fn main<C: Checked>(read: Result<C, Findings>) -> ExitCode {
    let clock = WallClock::new(wall_clock);
    let (settings, findings) = match read {
        Ok(config) => (config.settings().to_vec(), config.check(&clock)),
        Err(findings) => (Vec::new(), findings),
    };
    match print(&settings, &findings) {
        // Who closes the pipe early has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
        _ if findings.has_errors() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Logs all findings, now and once a day, as long as the process lives. On a thread of its own, since it reads files and asks the name
/// service.
///
/// # Errors
/// When the system gives no thread.
pub fn keep_checking<C: Checked + Send + 'static>(config: C) -> io::Result<()> {
    let check = move || {
        loop {
            for finding in config.check(&WallClock::new(wall_clock)).as_slice() {
                match finding.severity {
                    Severity::Error => tracing::error!("{finding}"),
                    Severity::Warning => tracing::warn!("{finding}"),
                }
            }
            thread::sleep(DAY);
        }
    };
    thread::Builder::new().name("check".to_owned()).spawn(check).map(drop)
}

fn print(settings: &[Setting], findings: &Findings) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for setting in settings {
        writeln!(out, "{setting}")?;
    }
    out.flush()?;
    let mut out = io::stderr().lock();
    for finding in findings.as_slice() {
        writeln!(out, "{finding}")?;
    }
    Ok(())
}

fn look<'a>(
    common: &Common,
    settings: &[Setting],
    warnings: &Findings,
    members: impl IntoIterator<Item = (&'static str, &'a Member)>,
    clock: &WallClock,
) -> Findings {
    let mut look = Look { settings, findings: warnings.as_slice().to_vec() };
    if let Some(files) = &common.tls {
        look.at_tls(files, common, clock);
    }
    look.at_data(&common.data);
    for (key, member) in members {
        look.at_member(key, member);
    }
    Findings::new(look.findings)
}

struct Look<'a> {
    settings: &'a [Setting],
    findings: Vec<Finding>,
}

impl Look<'_> {
    fn find(&mut self, key: &str, severity: Severity, message: String) {
        let setting = self.settings.iter().find(|setting| setting.key == key);
        let place = match setting.map(|setting| &setting.origin) {
            Some(Origin::Set(place)) => place.clone(),
            _ => Place::File("the configuration".into()),
        };
        self.findings.push(Finding { place, severity, key: key.to_owned(), message });
    }

    fn at_tls(&mut self, files: &TlsFiles, common: &Common, clock: &WallClock) {
        let tls = match Tls::from_files(files.clone(), clock.clone()) {
            Ok(tls) => tls,
            Err(error) => return self.find(key_of(&error, files), Severity::Error, error.to_string()),
        };
        let Some(own) = &files.own else { return };
        match tls.identity() {
            Some(identity) if !identity.is_for(common.node.as_str()) => {
                let message = format!(
                    "{} is for {}, but this node is called {}: others would refuse it; expected is a certificate with the DNS name {}",
                    own.certificate.display(),
                    identity.names().join(", "),
                    common.node,
                    common.node
                );
                self.find("tls.certificate", Severity::Error, message);
            }
            _ => {}
        }
        if !tls.trusts_itself() {
            let message = format!(
                "{} was issued by none of the authorities in {}: nodes which trust the same would refuse it",
                own.certificate.display(),
                files.authorities.display()
            );
            self.find("tls.certificate", Severity::Error, message);
        }
        let later = clock.now() + EXPIRES_SOON;
        if let Err(MaterialError::Certificate { file, .. }) =
            Tls::from_files(files.clone(), WallClock::new(move || later))
        {
            let message = format!("{file} expires within 30 days; renew it, then send the daemon SIGHUP");
            self.find("tls.certificate", Severity::Warning, message);
        }
        match std::fs::metadata(&own.key) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                let (key, mode) = (own.key.display(), metadata.permissions().mode() & 0o777);
                let message = format!(
                    "others can read or change {key}, its mode is {mode:03o}: who has it can be this node; expected is `chmod 600 {key}`"
                );
                self.find("tls.key", Severity::Error, message);
            }
            _ => {}
        }
    }

    fn at_data(&mut self, data: &Path) {
        // The daemon makes folders that are missing.
        let there = data.ancestors().find(|folder| folder.exists());
        let folder = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Err(error) = tempfile::tempfile_in(folder) {
            let message = format!(
                "nothing can be written into {}: {error}; expected is a folder of the user that the daemon runs as",
                folder.display()
            );
            self.find("data", Severity::Error, message);
        }
    }

    fn at_member(&mut self, key: &str, member: &Member) {
        let address = &member.address;
        if let Err(error) = (address.host(), address.port()).to_socket_addrs() {
            let message = format!("the host of {address} cannot be found at present: {error}");
            self.find(&format!("{key}.address"), Severity::Warning, message);
        }
    }
}

/// The setting that a mistake is about.
fn key_of(error: &MaterialError, files: &TlsFiles) -> &'static str {
    let file = match error {
        MaterialError::File { file, .. }
        | MaterialError::Missing { file, .. }
        | MaterialError::Authority { file, .. }
        | MaterialError::Certificate { file, .. }
        | MaterialError::Key { file, .. } => Path::new(file),
    };
    match &files.own {
        Some(own) if file == own.certificate => "tls.certificate",
        Some(own) if file == own.key => "tls.key",
        _ => "tls.authorities",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use baton_net::certificate::{NODE_VALIDITY, NodeFiles, write_cluster};
    use baton_net::name::{ClusterId, NodeId};
    use baton_protocol::time::Timestamp;
    use std::fs::{self, Permissions};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// What is found in a folder with a configuration and certificates, after it was changed.
    fn found(at: Timestamp, change: impl FnOnce(&Path)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let nodes = ["c", "other"].map(|name| NodeFiles { node: NodeId::new(name).unwrap(), hosts: Vec::new() });
        for (tls, cluster) in [("tls", "m"), ("strange", "n")] {
            write_cluster(&folder.path().join(tls), &ClusterId::new(cluster).unwrap(), &nodes, NOW).unwrap();
        }
        let file = folder.path().join("c.toml");
        let text = "cluster = 'm'\nnode = 'c'\ndata = 'data'\n[links]\nlisten = '0.0.0.0:1'\n[tls]\nauthorities = 'tls/authority.pem'\n\
                    certificate = 'tls/c.pem'\nkey = 'tls/c.key'\n[pair]\nseat = 'first'\n\
                    peer = { node = 'd', address = '127.0.0.1:2' }\nwatch = { node = 'w', address = 'no-such-host.invalid:3' }\n\
                    [[api.users]]\nname = 'u'\npermissions = []\n\
                    secret_sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'\n";
        fs::write(&file, text).unwrap();
        change(folder.path());
        let config = ControllerConfig::read(&file, &Environment::default()).unwrap();
        let findings = config.check(&WallClock::new(move || at)).to_string();
        findings.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn what_is_right_is_not_complained_of() {
        let findings = found(NOW, |_| {});
        let host =
            "c.toml:13:33: warning: pair.watch.address: the host of no-such-host.invalid:3 cannot be found at present";
        assert!(findings.starts_with(host) && findings.lines().count() == 1, "{findings}");
    }

    #[test]
    fn what_is_wrong_with_files_is_told() {
        let copy =
            |folder: &Path, from: &str, to: &str| fs::copy(folder.join(from), folder.join(to)).map(drop).unwrap();
        let findings = found(NOW, |folder| {
            copy(folder, "tls/other.pem", "tls/c.pem");
            copy(folder, "tls/other.key", "tls/c.key");
            fs::set_permissions(folder.join("tls/c.key"), Permissions::from_mode(0o640)).unwrap();
            fs::write(folder.join("data"), "").unwrap();
        });
        for expected in [
            "c.toml:3:8: error: data: nothing can be written into data: Not a directory",
            "c.toml:8:15: error: tls.certificate: tls/c.pem is for other, but this node is called c",
            "c.toml:9:7: error: tls.key: others can read or change tls/c.key, its mode is 640",
        ] {
            assert!(findings.contains(expected), "{findings}");
        }
        let findings = found(NOW, |folder| copy(folder, "strange/authority.pem", "tls/authority.pem"));
        assert!(
            findings.contains("tls/c.pem was issued by none of the authorities in tls/authority.pem"),
            "{findings}"
        );
        let findings = found(NOW, |folder| fs::remove_file(folder.join("tls/c.key")).unwrap());
        assert!(findings.contains("c.toml:9:7: error: tls.key: tls/c.key cannot be read: No such file"), "{findings}");
        let findings = found(NOW + NODE_VALIDITY - Duration::from_secs(86_400), |_| {});
        assert!(findings.contains("warning: tls.certificate: tls/c.pem expires within 30 days"), "{findings}");
        let findings = found(NOW + NODE_VALIDITY + Duration::from_secs(86_400 * 3), |_| {});
        assert!(
            findings.contains("error: tls.certificate: the certificate in tls/c.pem cannot be used: "),
            "{findings}"
        );
    }
}
