//! Accepts links from other nodes, for as long as the node runs.
//!
//! Whoever is turned away is told in the log, so that a person finds a wrong name, an expired certificate, or somebody who tries
//! doors. A flood of such lines is cut down.

use crate::flood::Flood;
use baton_net::accept::{Acceptor, Arrival};
use baton_net::dial::Connection;
use std::pin::pin;

/// Accepts links until the node has ended; `take` gets each.
pub(super) async fn accept(mut acceptor: Acceptor, take: impl Fn(Connection), ended: impl Future<Output = ()>) {
    let mut ended = pin!(ended);
    let flood = Flood::new("connections like these were turned away");
    loop {
        let arrival = tokio::select! {
            biased;
            () = &mut ended => return,
            arrival = acceptor.accept() => arrival,
        };
        match arrival {
            Arrival::Node(connection) => take(*connection),
            Arrival::TurnedAway { from, why } => flood.write(|| tracing::warn!(%from, "turned away: {why}")),
            Arrival::Failed(error) => {
                flood
                    .write(|| tracing::error!("the system cannot accept connections now, and is asked again: {error}"));
            }
        }
    }
}
