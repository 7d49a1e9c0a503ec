//! Which path is what, by which methods, and for whom.

use super::access::permit;
use super::answer::{Answer, Refusal, json, text_of};
use super::query::{Query, decode};
use super::{Api, agents, command, events, listing};
use crate::daemon::stop::{Manner, StopRequest};
use baton_net::http::RequestBody;
use baton_protocol::pair::Order;
use hyper::header::ALLOW;
use hyper::{Method, Request, StatusCode};
use std::borrow::Cow;
use std::sync::Arc;

/// What can be asked for.
#[derive(Debug, PartialEq, Eq)]
enum Endpoint<'r> {
    Metrics,
    Overview,
    Command,
    Events,
    Orders,
    OrderDeletion,
    Order(Cow<'r, str>),
    Items,
    Item(Cow<'r, str>),
    Workflows,
    Agents,
    Agent(Cow<'r, str>),
    Subagents,
    Subagent(Cow<'r, str>),
    Cluster,
    ClusterCommand(Order),
    Terminate,
}

impl<'r> Endpoint<'r> {
    fn of(path: &'r str) -> Result<Option<Self>, Refusal> {
        Ok(Some(match path {
            "/metrics" => Self::Metrics,
            "/controller/api" => Self::Overview,
            path => {
                let Some(path) = path.strip_prefix("/controller/api/") else { return Ok(None) };
                let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
                match (first, rest) {
                    ("", None) => Self::Overview,
                    ("command", None) => Self::Command,
                    ("event", None) => Self::Events,
                    ("order", None) => Self::Orders,
                    ("order", Some("DeleteOrdersWhenTerminated")) => Self::OrderDeletion,
                    ("order", Some(id)) => Self::Order(decode(id)?),
                    ("item", None) => Self::Items,
                    ("item", Some(key)) => Self::Item(decode(key)?),
                    ("workflow", None) => Self::Workflows,
                    ("agent", None) => Self::Agents,
                    ("agent", Some(path)) => Self::Agent(decode(path)?),
                    ("subagent", None) => Self::Subagents,
                    ("subagent", Some(id)) => Self::Subagent(decode(id)?),
                    ("terminate", None) => Self::Terminate,
                    ("cluster", None) => Self::Cluster,
                    ("cluster", Some(order)) => match cluster_order(order) {
                        Some(order) => Self::ClusterCommand(order),
                        None => return Ok(None),
                    },
                    _ => return Ok(None),
                }
            }
        }))
    }

    /// What it can be asked with, and the header `Allow`.
    fn methods(&self) -> (&'static [Method], &'static str) {
        match self {
            Self::Orders | Self::Items => (&[Method::GET, Method::HEAD, Method::POST], "GET, HEAD, POST"),
            Self::Command | Self::OrderDeletion | Self::ClusterCommand(_) | Self::Terminate => {
                (&[Method::POST], "POST")
            }
            _ => (&[Method::GET, Method::HEAD], "GET, HEAD"),
        }
    }

    /// Its parameters.
    fn parameters(&self, method: &Method) -> &'static [&'static str] {
        match self {
            Self::Terminate => &["manner", "restart"],
            _ if method == Method::POST => &[],
            Self::Events => &["after", "limit", "timeout", "heartbeat", "return"],
            Self::Orders => &["after", "limit", "state", "workflowPath"],
            Self::Items => &["after", "limit", "type"],
            Self::Workflows | Self::Agents | Self::Subagents => &["after", "limit"],
            _ => &[],
        }
    }
}

impl Api {
    /// Finds out what is asked for, by whom, and answers.
    pub(super) async fn route(self: &Arc<Self>, request: Request<RequestBody>) -> Result<Answer, Refusal> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if head.method == Method::GET || head.method == Method::HEAD {
            match path {
                "/healthz" => return Ok(text_of(StatusCode::OK, "text/plain", "ok\n".to_owned())),
                "/readyz" => return self.readiness().await,
                _ => {}
            }
        }
        let user = self.access.caller(&head)?;
        let Some(endpoint) = Endpoint::of(path)? else {
            let message = format!("there is nothing at '{}'", path.chars().take(100).collect::<String>());
            return Err(Refusal::new(StatusCode::NOT_FOUND, "UnknownPath", message));
        };
        let (methods, allow) = endpoint.methods();
        if !methods.contains(&head.method) {
            let message = format!("the method {} is not for this path; expected is {allow}", head.method);
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).header(ALLOW, allow));
        }
        let changes = permit(user, &head)?;
        // Never closed.
        let _place = self.requests.acquire().await;
        let query = Query::read(head.uri.query(), endpoint.parameters(&head.method))?;
        match endpoint {
            Endpoint::Metrics => self.metrics().await,
            Endpoint::Overview => listing::overview(self).await,
            Endpoint::Command => command::command(self, &head.headers, body).await,
            Endpoint::Events => events::events(self, &head.headers, query).await,
            Endpoint::Orders if changes => command::orders(self, &head.headers, body).await,
            Endpoint::Orders => listing::orders(self, query).await,
            Endpoint::OrderDeletion => command::delete_orders(self, &head.headers, body).await,
            Endpoint::Order(id) => listing::order(self, &id).await,
            Endpoint::Items if changes => command::items(self, &head.headers, body).await,
            Endpoint::Items => listing::items(self, query).await,
            Endpoint::Item(key) => listing::item(self, &key).await,
            Endpoint::Workflows => listing::workflows(self, query).await,
            Endpoint::Agents => agents::agents(self, query).await,
            Endpoint::Agent(path) => agents::agent(self, &path).await,
            Endpoint::Subagents => agents::subagents(self, query).await,
            Endpoint::Subagent(id) => agents::subagent(self, &id).await,
            Endpoint::Cluster => self.cluster().await,
            Endpoint::Terminate => {
                command::no_body(&self.long_bodies, &head.headers, body).await?;
                self.terminate(&query)
            }
            Endpoint::ClusterCommand(order) => command::cluster_command(self, order, &head.headers, body).await,
        }
    }

    /// Whether commands are taken here now. For load balancers, which have no credential, so nothing else is told.
    async fn readiness(&self) -> Result<Answer, Refusal> {
        let (code, text) = if self.status().await?.is_ready {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        };
        Ok(text_of(code, "text/plain", text.to_owned()))
    }

    /// Ends the daemon. What that means for the pair says [`Manner`].
    fn terminate(&self, query: &Query<'_>) -> Result<Answer, Refusal> {
        let manner = query.value::<Manner>("manner", "stop, switch-over, abort or kill")?.unwrap_or(Manner::Stop);
        let restarts = query.value("restart", "true or false")?.unwrap_or(false);
        self.control.stop(StopRequest { manner, restarts, signal: None });
        Ok(text_of(StatusCode::ACCEPTED, "application/json", "{\"TYPE\":\"Accepted\"}\n".to_owned()))
    }

    async fn cluster(&self) -> Result<Answer, Refusal> {
        let status = self.status().await?;
        Ok(json(StatusCode::OK, &status.cluster(&self.urls)))
    }

    async fn metrics(&self) -> Result<Answer, Refusal> {
        let status = self.status().await?;
        Ok(text_of(StatusCode::OK, "text/plain; version=0.0.4", (self.metrics)(&status)))
    }
}

/// What is ordered of a pair by the last part of a path.
pub(super) fn cluster_order(name: &str) -> Option<Order> {
    Some(match name {
        "switch-over" => Order::SwitchOver,
        "stop" => Order::Stop,
        "appoint" => Order::Appoint,
        "accept-loss" => Order::AcceptLoss,
        "found" => Order::Found,
        "force" => Order::Force,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded() {
        let endpoint = |path| Endpoint::of(path).unwrap();
        assert_eq!(endpoint("/controller/api/order/A%7CB"), Some(Endpoint::Order("A|B".into())));
        assert_eq!(endpoint("/controller/api/item/Workflow:A/B"), Some(Endpoint::Item("Workflow:A/B".into())));
        assert_eq!(endpoint("/controller/api/cluster/force"), Some(Endpoint::ClusterCommand(Order::Force)));
        assert_eq!(endpoint("/controller/api/"), Some(Endpoint::Overview));
        for unknown in
            ["", "/", "/controller", "/controller/api/x", "/controller/api/command/x", "/controller/api/cluster/x"]
        {
            assert_eq!(endpoint(unknown), None, "{unknown}");
        }
        assert!(Endpoint::of("/controller/api/order/%zz").is_err());
    }
}
