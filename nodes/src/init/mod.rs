//! `baton init`: writes what is needed to begin with.

pub mod cluster;
mod ports;

use crate::cli::{ClusterArguments, InitCommand};
use crate::driver::wall_clock;
use baton_net::name::ClusterId;
use cluster::{Cluster, InitError, Layout};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Does what the arguments say.
pub fn main(command: &InitCommand) -> ExitCode {
    let InitCommand::Cluster(arguments) = command;
    let written = match init_cluster(arguments) {
        Ok(written) => written,
        Err(error) => {
            _ = writeln!(io::stderr().lock(), "baton init cluster: {error}");
            return ExitCode::FAILURE;
        }
    };
    match tell(&written, &arguments.directory, &mut io::stdout().lock()) {
        // Who closes the pipe early has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
        _ => ExitCode::SUCCESS,
    }
}

fn init_cluster(arguments: &ClusterArguments) -> Result<Cluster, InitError> {
    let cluster = ClusterId::new(arguments.cluster.as_str())?;
    let layout = Layout::of(&arguments.hosts, arguments.port)?;
    let cluster = Cluster::plan(cluster, layout)?;
    cluster.write(&arguments.directory, wall_clock())?;
    Ok(cluster)
}

/// Says what to do next.
fn tell(cluster: &Cluster, directory: &Path, out: &mut dyn Write) -> io::Result<()> {
    let folder = directory.display();
    writeln!(out, "Cluster {} is in {folder}: two controllers and a watch.", cluster.id())?;
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
    writeln!(out, "\nThen see how they are:\n\n  baton ctl --config {}/ctl.toml status", directory.display())
}
