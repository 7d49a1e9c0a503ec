//! Looks at a node as it is, between two of its steps. Nothing of what is seen may be shown as done.

use baton_protocol::machine::Machine;
use baton_protocol::node::Node;
use tokio::sync::{mpsc, oneshot};

/// Looks at a node.
pub type Peek<M> = Box<dyn FnOnce(&Node<M>) + Send>;

/// Looks at a node that takes requests, when it has time. None if it has ended.
pub async fn peek<M, R, T>(requests: &mpsc::Sender<R>, look: impl FnOnce(&Node<M>) -> T + Send + 'static) -> Option<T>
where
    M: Machine,
    R: From<Peek<M>>,
    T: Send + 'static,
{
    let (reply, replied) = oneshot::channel();
    // Who has gone does not want it.
    let peek: Peek<M> = Box::new(move |node| drop(reply.send(look(node))));
    requests.send(R::from(peek)).await.ok()?;
    replied.await.ok()
}
