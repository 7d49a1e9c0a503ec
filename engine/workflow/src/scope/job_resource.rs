//! Variables of job resources.

use crate::expression::evaluation::Evaluation;
use crate::expression::scope::{Scope, unknown_key};
use crate::model::item::JobResource;
use crate::problem::Checked;
use crate::value::{Fields, Value};
use alloc::format;

/// Finds a job resource by its path.
pub type FindJobResource<'a> = dyn Fn(&str) -> Option<&'a JobResource> + 'a;

/// The value of `JobResource:path:variable` or `JobResource:path`. Its expressions are evaluated `within` another
/// scope, which does not know order arguments.
pub(super) fn variable_of(
    find: &FindJobResource<'_>,
    path: &str,
    variable: Option<&str>,
    within: &dyn Scope,
    evaluation: &mut Evaluation<'_>,
) -> Checked<Value> {
    let resource = find(path).ok_or_else(|| unknown_key("JobResource", path))?;
    let mut evaluation = evaluation.within(within);
    match variable {
        Some(name) => match resource.variables.get(name) {
            Some(expression) => evaluation.eval(expression),
            None => Err(unknown_key("JobResource variable", &format!("{path}:{name}"))),
        },
        None => {
            let values =
                resource.variables.iter().map(|(name, expression)| Ok((name.clone(), evaluation.eval(expression)?)));
            values.collect::<Checked<Fields>>().map(Value::Object)
        }
    }
}
