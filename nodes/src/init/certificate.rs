//! `baton init certificate`: a new certificate for a node, by the authority that `baton init cluster` has made: when the old one
//! expires, the node moves to another host, or there is another node.

use super::cluster::{InitError, LOCAL};
use baton_net::certificate::{NodeFiles, write_cluster};
use baton_net::name::{ClusterId, NodeId};
use baton_net::tls::OwnFiles;
use baton_protocol::time::Timestamp;
use std::path::Path;

/// Issues a certificate to a node that runs on these hosts. Its files are in the folder of the authority then, in the place of older ones.
///
/// # Errors
/// When there is no authority of the cluster in the folder, or something cannot be written.
pub fn issue(
    folder: &Path,
    cluster: &ClusterId,
    node: &NodeId,
    hosts: &[String],
    now: Timestamp,
) -> Result<OwnFiles, InitError> {
    // Without it there would be a new authority, which nobody trusts.
    if !folder.join("authority.key").is_file() {
        return Err(InitError::NoAuthority(folder.to_owned()));
    }
    let mut hosts = hosts.to_vec();
    hosts.extend(["localhost".to_owned(), LOCAL.to_owned()]);
    let files = write_cluster(folder, cluster, &[NodeFiles { node: node.clone(), hosts }], now)?;
    let own = files.into_iter().find_map(|files| files.own);
    own.ok_or_else(|| InitError::NoAuthority(folder.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_net::tls::{Tls, TlsFiles, WallClock};
    use std::fs;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_certificate_is_renewed_by_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, node) = (ClusterId::new("m").unwrap(), NodeId::new("a").unwrap());
        let hosts = ["one.example".to_owned(), "localhost".to_owned()];
        let error = issue(folder.path(), &cluster, &node, &hosts, NOW).unwrap_err();
        assert!(matches!(error, InitError::NoAuthority(_)) && fs::read_dir(folder.path()).unwrap().next().is_none());

        let first = write_cluster(folder.path(), &cluster, &[NodeFiles { node: node.clone(), hosts: Vec::new() }], NOW);
        let before = fs::read(first.unwrap().remove(0).own.unwrap().certificate).unwrap();
        let own = issue(folder.path(), &cluster, &node, &hosts, NOW).unwrap();
        assert_ne!(fs::read(&own.certificate).unwrap(), before);
        let files = TlsFiles { authorities: folder.path().join("authority.pem"), own: Some(own) };
        let tls = Tls::from_files(files, WallClock::new(|| NOW)).unwrap();
        assert!(tls.trusts_itself() && tls.identity().unwrap().is_for("one.example"));

        let other = ClusterId::new("other").unwrap();
        let error = issue(folder.path(), &other, &node, &[], NOW).unwrap_err().to_string();
        assert!(error.contains("is no certificate of the authority of cluster other"), "{error}");
    }
}
