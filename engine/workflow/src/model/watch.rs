//! File watches: orders from files.

use super::order::ExternalOrderKey;
use crate::expression::Expression;
use crate::expression::pattern::Pattern;
use crate::id::{AgentPath, ExternalOrderName, OrderId, OrderWatchPath, WorkflowPath};
use crate::problem::{Checked, Problem};
use crate::time::Duration;
use crate::value::Fields;
use alloc::string::String;

/// What file names a watch takes when it has no pattern: all but hidden ones.
pub const DEFAULT_PATTERN: &str = "[^.].*";

crate::json_struct! {
    /// Watches a directory; each file becomes an order.
    #[derive(Clone, Debug, PartialEq)]
    pub struct FileWatch {
        /// Its path.
        path: OrderWatchPath => "path";
        /// The workflow of the orders.
        workflow_path: WorkflowPath => "workflowPath";
        /// The agent which watches.
        agent_path: AgentPath => "agentPath";
        /// The directory.
        directory_expr: Expression => "directoryExpr";
        /// Which file names are taken: a regular expression for the whole name.
        pattern: Option<String> => "pattern", default None;
        /// An object with `orderId`, `planId`, `priority`, all optional.
        order_expr: Option<Expression> => "orderExpr", default None;
        /// Older form of `orderExpr`: the order id.
        order_id_expression: Option<Expression> => "orderIdExpression", default None;
        /// How long a file must be unchanged.
        delay: Duration => "delay", default Duration::ZERO;
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
    check check_file_watch;
    rewrite super::legacy::file_watch;
}

fn check_file_watch(watch: &FileWatch) -> Checked<()> {
    if watch.order_expr.is_some() && watch.order_id_expression.is_some() {
        return Err(Problem::new("orderExpr and orderIdExpression exclude each other"));
    }
    watch.pattern.as_deref().map_or(Ok(()), |pattern| Pattern::new(pattern.into()).check())
}

crate::json_union! {
    /// What happens to what a watch found.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum OrderWatchEvent {
        /// A file appeared.
        ExternalOrderAppeared => "ExternalOrderAppeared" | "ExternalOrderArised" {
            /// Its name.
            external_order_name: ExternalOrderName => "externalOrderName";
            /// Arguments for the order.
            arguments: Fields => "arguments", default Fields::default();
            /// The order id, from old agents only.
            order_id: Option<OrderId> => "orderId", default None;
        };
        /// No order can be made of the file.
        ExternalOrderRejected => "ExternalOrderRejected" {
            /// Its name.
            external_order_name: ExternalOrderName => "externalOrderName";
            /// Why.
            problem: Problem => "problem";
        };
        /// A file vanished.
        ExternalOrderVanished => "ExternalOrderVanished" {
            /// Its name.
            external_order_name: ExternalOrderName => "externalOrderName";
        };
    }
}

crate::json_union! {
    /// State of something that a watch found.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum ExternalOrderState {
        /// The order has not been added yet.
        Appeared => "Appeared" {
            /// The order id, from old agents only.
            order_id: Option<OrderId> => "orderId", default None;
            /// Arguments for the order.
            arguments: Fields => "arguments", default Fields::default();
        };
        /// There is an order.
        HasOrder => "HasOrder" {
            /// The order.
            order_id: OrderId => "orderId";
            /// What happened meanwhile.
            queued: Option<QueuedExternalState> => "queued", default None;
        };
        /// No order can be made.
        Rejected => "Rejected" {
            /// Why.
            problem: Option<Problem> => "problem", default None;
        };
    }
}

crate::json_union! {
    /// What happened while there is an order.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum QueuedExternalState {
        /// The file vanished.
        Vanished => "Vanished";
        /// It vanished and appeared again.
        Appeared => "Appeared" {
            /// The order id, from old agents only.
            order_id: Option<OrderId> => "orderId", default None;
            /// Arguments for the order.
            arguments: Fields => "arguments", default Fields::default();
        };
    }
}

impl ExternalOrderKey {
    /// The order id of a file for which the watch computes none.
    #[must_use]
    pub fn default_order_id(&self) -> OrderId {
        OrderId::new(&alloc::format!("file:{}:{}", self.order_watch_path, self.name))
    }
}
