//! `baton init`: writes what is needed to begin with.

pub mod certificate;
pub mod cluster;
mod ports;

use crate::cli::{CertificateArguments, ClusterArguments, InitCommand};
use crate::driver::wall_clock;
use baton_net::name::{ClusterId, NodeId};
use baton_net::tls::OwnFiles;
use cluster::{AGENTS, Cluster, InitError, Layout};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Does what the arguments say.
pub fn main(command: &InitCommand) -> ExitCode {
    let told = match command {
        InitCommand::Cluster(arguments) => init_cluster(arguments)
            .map(|cluster| tell(&cluster, &arguments.directory, &mut io::stdout().lock()))
            .map_err(|error| format!("cluster: {error}")),
        InitCommand::Certificate(arguments) => issue(arguments)
            .map(|files| tell_certificate(&files, &mut io::stdout().lock()))
            .map_err(|error| format!("certificate: {error}")),
    };
    match told {
        // Who closes the pipe early has seen enough.
        Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
        Ok(_) => ExitCode::SUCCESS,
        Err(message) => {
            _ = writeln!(io::stderr().lock(), "baton init {message}");
            ExitCode::FAILURE
        }
    }
}

fn issue(arguments: &CertificateArguments) -> Result<OwnFiles, InitError> {
    let cluster = ClusterId::new(arguments.cluster.as_str())?;
    let node = NodeId::new(arguments.node.as_str())?;
    certificate::issue(&arguments.directory, &cluster, &node, &arguments.hosts, wall_clock())
}

fn tell_certificate(files: &OwnFiles, out: &mut dyn Write) -> io::Result<()> {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    writeln!(out, "{certificate} and {key} are new. Copy them to the node, and send its daemon SIGHUP.")
}

fn init_cluster(arguments: &ClusterArguments) -> Result<Cluster, InitError> {
    let cluster = ClusterId::new(arguments.cluster.as_str())?;
    let ClusterArguments { hosts, agents, director_pairs, port, .. } = arguments;
    let layout = Layout::of(hosts, usize::from(*agents), *director_pairs, *port)?;
    let cluster = Cluster::plan(cluster, layout)?;
    cluster.write(&arguments.directory, wall_clock())?;
    Ok(cluster)
}

/// Says what to do next.
fn tell(cluster: &Cluster, directory: &Path, out: &mut dyn Write) -> io::Result<()> {
    let folder = directory.display();
    writeln!(out, "Cluster {} is in {folder}: {}.", cluster.id(), what(cluster))?;
    if cluster.is_on_one_machine() {
        writeln!(out, "\nStart each in a terminal of its own, in any order:\n")?;
    } else {
        writeln!(out, "\nCopy to each host, for a user of its own that runs the daemon:\n")?;
        for (node, host) in cluster.nodes() {
            writeln!(out, "  to {host}: {node}.toml, and tls/authority.pem, tls/{node}.pem, tls/{node}.key into tls/")?;
        }
        writeln!(out, "\nKeep tls/authority.key in a safe place, not on these hosts: who has it can be any node.")?;
        writeln!(out, "\nStart each on its host, in any order, in the folder with the copies:\n")?;
    }
    let folder = if cluster.is_on_one_machine() { format!("{folder}/") } else { String::new() };
    for (command, node) in cluster.daemons() {
        writeln!(out, "  baton {command} --config {folder}{node}.toml")?;
    }
    let ctl = format!("baton ctl --config {}/ctl.toml", directory.display());
    writeln!(out, "\nThen see how they are:\n\n  {ctl} status")?;
    if cluster.has_agents() {
        writeln!(out, "\nand make the agents known:\n\n  {ctl} deploy {}", directory.join(AGENTS).display())?;
    }
    Ok(())
}

fn what(cluster: &Cluster) -> &'static str {
    if cluster.has_agents() { "two controllers, a watch, and agents" } else { "two controllers and a watch" }
}
