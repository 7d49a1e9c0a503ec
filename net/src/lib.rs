//! The network of a node: links to other nodes, and HTTP.
//!
//! What travels does so over a [`network`]: the sockets of the machine, or simulated ones for tests. Everything above is the
//! same code for both. Between machines it is always encrypted, and both sides show certificates ([`tls`]).
//!
//! A link is made by a [dialler](dial) and an [acceptor](accept), who [shake hands](handshake) before the first frame: who are you, whom
//! do you want, which versions do you speak. Then it is a [`link`]: frames in both directions.
//!
//! Everything that waits for a peer has a deadline, everything that grows has a bound, and each failure says what was
//! expected. Nothing here reads a clock of its own for anything else than deadlines: wall time and seeds are given.

pub mod accept;
pub mod address;
pub mod backoff;
pub mod certificate;
pub mod connect;
pub mod dial;
pub mod handshake;
pub mod http;
pub mod link;
pub mod name;
pub mod network;
pub mod tls;
