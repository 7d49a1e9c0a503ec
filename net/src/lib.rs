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
//!
//! # Example
//!
//! Two nodes on one machine:
//!
//! ```
//! use baton_net::accept::{Acceptor, Arrival, Limits};
//! use baton_net::address::Address;
//! use baton_net::dial::Dialler;
//! use baton_net::handshake::{Introduction, Role, Versions};
//! use baton_net::name::{ClusterId, NodeId};
//! use baton_net::network::Network;
//! use baton_net::tls::Security;
//! use baton_protocol::frame;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let introduce = |name: &str, role| {
//!     let versions = Versions { oldest: 1, newest: 1 };
//!     let (cluster, node) = (ClusterId::new("main")?, NodeId::new(name)?);
//!     Ok::<_, baton_net::name::NameError>(Introduction { cluster, node, role, versions, epoch: 0, run: 1 })
//! };
//! let director = introduce("director", Role::Director)?;
//! let subagent = introduce("subagent", Role::Subagent)?;
//!
//! let (node, at) = (subagent.node.clone(), Address::new("127.0.0.1", 0));
//! let me = move || subagent.clone();
//! let mut acceptor =
//!     Acceptor::bind(Network::Sockets, &at, Security::Plain, me, &[Role::Director], Limits::default()).await?;
//! let address = acceptor.local_address()?.into();
//! tokio::spawn(async move {
//!     loop {
//!         match acceptor.accept().await {
//!             Arrival::Node(connection) => {
//!                 let (sender, mut receiver) = connection.open();
//!                 while let Ok(frame) = receiver.next().await {
//!                     let mut answer = Vec::new();
//!                     if frame::encode(1, frame.kind, &frame.payload, &mut answer).is_ok() {
//!                         let _ = sender.send(answer.into());
//!                     }
//!                 }
//!             }
//!             Arrival::TurnedAway { from, why } => eprintln!("{from}: {why}"),
//!             Arrival::Failed(error) => eprintln!("{error}"),
//!         }
//!     }
//! });
//!
//! let dialler = Dialler::new(Network::Sockets, Security::Plain);
//! let (sender, mut receiver) = dialler.dial(&address, &node, &director).await?.open();
//! let mut question = Vec::new();
//! frame::encode(1, 7, b"hello", &mut question)?;
//! sender.send(question.into())?;
//! assert_eq!(receiver.next().await?.payload, b"hello");
//! # Ok(())
//! # }
//! ```

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
