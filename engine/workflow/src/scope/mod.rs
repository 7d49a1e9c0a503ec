//! What expressions see of an order, its workflow, a job, a file: built from plain data, for each place where an expression
//! can stand.
//!
//! | place | scope |
//! |---|---|
//! | Say, StickySubagent, bundle of a job, expect key of a GlobalBoard | [`OrderScope`] |
//! | other instructions, post key and end of life of a GlobalBoard, fork results | [`InstructionScope`] |
//! | ForkList.children | that, joined with [`SubagentIdsScope`] |
//! | AddOrder.orderId | that, joined with [`UniqueOrderIdScope`](crate::expression::scope::UniqueOrderIdScope) |
//! | keys of a PlannableBoard | [`MinimalOrderScope`] |
//! | environment and arguments of a process | [`ProcessScope`], which computes them |
//! | defaults of parameters, when an order is added | [`FreshOrderScope`] within [`crate::preparation::with_parameters`] |
//! | orders of a file watch | [`file_order`] |
//! | plan schemas | [`FieldsScope`](crate::expression::scope::FieldsScope) of their named values |
//!
//! Nothing here reads a clock or an environment: both are given as values.

mod file_watch;
mod fresh;
mod identity;
mod instruction;
mod job;
mod job_resource;
mod order;
mod place;
mod process;
mod subagents;
mod temporary_file;
#[cfg(test)]
mod tests;
mod values;

pub use file_watch::{FileOrder, file_order, file_pattern};
pub use fresh::{FreshOrderScope, MinimalOrderScope};
pub use identity::IdentityScope;
pub use instruction::InstructionScope;
pub use job::{ExpressionsScope, JobScope};
pub use job_resource::FindJobResource;
pub use order::OrderScope;
pub use place::PlaceScope;
pub use process::{Environment, ProcessScope};
pub use subagents::SubagentIdsScope;
pub use temporary_file::{MAX_FILES, TemporaryFile, TemporaryFiles};
pub use values::{ArgumentsScope, OutcomesScope, named_values, v1_named_values};

use crate::id::ControllerId;
use crate::schedule::TimeZone;
use alloc::collections::BTreeMap;
use alloc::string::String;

/// What the evaluating node contributes.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// The controller to which the order belongs.
    pub controller_id: &'a ControllerId,
    /// The environment variables of the node, taken once.
    pub env: &'a BTreeMap<String, String>,
    /// The zone in which `now()` and `scheduledOrEmpty()` are formatted if none is given.
    pub zone: &'a TimeZone,
}

/// Makes a type a scope: these parts of it, joined.
macro_rules! joined_scope {
    ($type:ident, $this:ident => $parts:expr) => {
        impl $crate::expression::scope::Scope for $type<'_> {
            fn named_value(
                &self,
                name: &str,
                evaluation: &mut $crate::expression::evaluation::Evaluation<'_>,
            ) -> Option<$crate::problem::Checked<$crate::value::Value>> {
                let $this = self;
                $crate::expression::scope::Scopes(&$parts).named_value(name, evaluation)
            }

            fn argument(
                &self,
                name: &str,
                evaluation: &mut $crate::expression::evaluation::Evaluation<'_>,
            ) -> Option<$crate::problem::Checked<$crate::value::Value>> {
                let $this = self;
                $crate::expression::scope::Scopes(&$parts).argument(name, evaluation)
            }

            fn historic_value(
                &self,
                origin: &$crate::expression::Origin,
                name: &str,
                evaluation: &mut $crate::expression::evaluation::Evaluation<'_>,
            ) -> Option<$crate::problem::Checked<$crate::value::Value>> {
                let $this = self;
                $crate::expression::scope::Scopes(&$parts).historic_value(origin, name, evaluation)
            }

            fn job_resource(
                &self,
                path: &str,
                variable: Option<&str>,
                evaluation: &mut $crate::expression::evaluation::Evaluation<'_>,
            ) -> Option<$crate::problem::Checked<$crate::value::Value>> {
                let $this = self;
                $crate::expression::scope::Scopes(&$parts).job_resource(path, variable, evaluation)
            }

            fn call(
                &self,
                call: &$crate::expression::scope::Call<'_>,
                evaluation: &mut $crate::expression::evaluation::Evaluation<'_>,
            ) -> Option<Result<$crate::value::Value, $crate::expression::evaluation::Failure>> {
                let $this = self;
                $crate::expression::scope::Scopes(&$parts).call(call, evaluation)
            }
        }
    };
}
use joined_scope;
