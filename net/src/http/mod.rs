//! HTTP 1.1 and 2 over the same network as links: a [server] for any service, a [client] for our own interfaces, and
//! [events]: streams of lines that go on.
//!
//! hyper speaks the protocol. What is added is what a server on the open network needs: bounds for all that a caller may send or
//! hold, deadlines for all that it may delay, and an orderly end.

pub mod client;
pub mod events;
mod idle;
mod request_body;
pub mod server;

pub use request_body::{RequestBody, RequestBodyError};

/// What can go wrong in what somebody else has made.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
