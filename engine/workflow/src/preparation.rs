//! The arguments of an order that is added: checked against the parameters of its workflow, and completed.
//!
//! Defaults that are constants are not copied into the order: they are looked up when they are needed
//! ([`constant_default`]), so a newer version of the workflow can change them. Other defaults are evaluated once, when the order is
//! added. All problems of an order are reported together.

use crate::expression::Expression;
use crate::expression::evaluation::Evaluation;
use crate::expression::scope::{ArgumentScope, LazyScope, Scope, Scopes};
use crate::model::preparation::{OrderPreparation, Parameter, ValueType};
use crate::problem::{Checked, Problem};
use crate::value::{Fields, Name, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// The arguments with which an order is added: those given, and the values of defaults which are not constant.
/// `outer` is what default expressions see besides arguments and parameters.
///
/// # Errors
/// All of `MissingOrderArgument`, `UndeclaredOrderArgument`, `FinalOrderArgument`, `WrongValueType`,
/// `MissingObjectFields`, `UndeclaredObjectFields` and `EvaluationFailed` that apply.
pub fn prepare_arguments(
    preparation: Option<&OrderPreparation>,
    arguments: &Fields,
    outer: &dyn Scope,
) -> Checked<Fields> {
    let Some(preparation) = preparation else {
        return Ok(arguments.clone());
    };
    let mut problems: Vec<Problem> = Vec::new();
    for (name, value) in arguments.iter() {
        if let Err(problem) = check_given(preparation, name, value) {
            problems.push(problem);
        }
    }
    for (name, parameter) in &preparation.parameters {
        if expression_of(parameter).is_none() && arguments.get(name).is_none() {
            problems.push(missing_argument(name, parameter));
        }
    }
    let evaluated = with_parameters(Some(preparation), arguments, outer, |scope| {
        let mut evaluated: Vec<(Name, Value)> = Vec::new();
        for (name, parameter) in &preparation.parameters {
            let Some(expression) = expression_of(parameter) else { continue };
            let is_given = parameter.default.is_some() && arguments.get(name).is_some();
            if is_given || expression.as_constant().is_some() {
                continue;
            }
            let result = Evaluation::run(scope, |evaluation| scope.named_value(name, evaluation));
            match result.unwrap_or_else(|| expression.eval(scope)) {
                Ok(value) => evaluated.push((name.clone(), value)),
                Err(problem) => problems.push(evaluation_failed(name, expression, &problem)),
            }
        }
        evaluated
    });
    match Problem::combine(problems) {
        None => Ok(arguments.overridden_by(&evaluated.into_iter().collect())),
        Some(problem) => Err(problem),
    }
}

/// Runs `body` with the scope of default expressions: arguments, parameters (evaluated when needed, a cycle is a
/// problem), and what `outer` knows.
pub fn with_parameters<T>(
    preparation: Option<&OrderPreparation>,
    arguments: &Fields,
    outer: &dyn Scope,
    body: impl FnOnce(&dyn Scope) -> T,
) -> T {
    let expressions: Vec<(Name, Expression)> = preparation
        .iter()
        .flat_map(|preparation| &preparation.parameters)
        .filter_map(|(name, parameter)| Some((name.clone(), expression_of(parameter)?.clone())))
        .collect();
    body(&Scopes(&[&ArgumentScope(arguments), &LazyScope::new(&expressions, None), outer]))
}

/// The value of an argument which is not given: the constant default or final value of the parameter.
#[must_use]
pub fn constant_default(preparation: Option<&OrderPreparation>, name: &str) -> Option<Value> {
    expression_of(preparation?.parameters.get(name)?)?.as_constant()
}

/// The arguments, complemented by constant defaults.
#[must_use]
pub fn with_constant_defaults(preparation: Option<&OrderPreparation>, arguments: &Fields) -> Fields {
    let defaults: Fields = preparation
        .iter()
        .flat_map(|preparation| &preparation.parameters)
        .filter_map(|(name, parameter)| Some((name.clone(), expression_of(parameter)?.as_constant()?)))
        .collect();
    defaults.overridden_by(arguments)
}

/// The default or final value; none for a required parameter.
fn expression_of(parameter: &Parameter) -> Option<&Expression> {
    parameter.default.as_ref().or(parameter.fixed.as_ref())
}

fn check_given(preparation: &OrderPreparation, name: &Name, value: &Value) -> Checked<()> {
    match preparation.parameters.get(name) {
        None if preparation.allow_undeclared => Ok(()),
        None => Err(Problem::coded(
            "UndeclaredOrderArgument",
            [("name", name.to_string())],
            format!("The workflow declares no parameter '{name}'"),
        )),
        Some(Parameter { default: None, fixed: Some(_), .. }) => Err(Problem::coded(
            "FinalOrderArgument",
            [("name", name.to_string())],
            format!("The value of '{name}' is fixed by the workflow and cannot be given"),
        )),
        Some(Parameter { value_type: Some(value_type), .. }) => check_type(name, value, value_type),
        Some(Parameter { value_type: None, .. }) => Ok(()),
    }
}

/// Checks a value, without any conversion. The nesting of types is bounded by that of documents.
fn check_type(path: &str, value: &Value, value_type: &ValueType) -> Checked<()> {
    match (value_type, value) {
        (ValueType::Any, _)
        | (ValueType::String, Value::String(_))
        | (ValueType::Number, Value::Number(_))
        | (ValueType::Boolean, Value::Boolean(_)) => Ok(()),
        (ValueType::List(element_type), Value::List(elements)) => elements
            .iter()
            .enumerate()
            .try_for_each(|(i, element)| check_type(&format!("{path}[{i}]"), element, element_type)),
        (ValueType::Object(field_types), Value::Object(fields)) => check_fields(path, fields, field_types),
        _ => Err(Problem::coded(
            "WrongValueType",
            [
                ("name", path.to_string()),
                ("type", value.type_name().to_string()),
                ("expectedType", type_name(Some(value_type)).to_string()),
            ],
            format!("'{path}' must be a {}, not a {}", type_name(Some(value_type)), value.type_name()),
        )),
    }
}

fn check_fields(path: &str, fields: &Fields, field_types: &BTreeMap<Name, ValueType>) -> Checked<()> {
    let undeclared = fields.iter().map(|(name, _)| name).filter(|name| !field_types.contains_key(*name));
    refuse(undeclared, "UndeclaredObjectFields", path, "has fields which are not declared")?;
    let missing = field_types.keys().filter(|name| fields.get(name).is_none());
    refuse(missing, "MissingObjectFields", path, "lacks fields")?;
    field_types.iter().try_for_each(|(name, field_type)| match fields.get(name) {
        Some(field) => check_type(&format!("{path}.{name}"), field, field_type),
        None => Ok(()),
    })
}

fn refuse<'a>(names: impl Iterator<Item = &'a Name>, code: &'static str, path: &str, what: &str) -> Checked<()> {
    let names: Vec<&str> = names.map(|name| &**name).collect();
    if names.is_empty() {
        return Ok(());
    }
    let names: String = names.join(", ");
    let message = format!("The object '{path}' {what}: {names}");
    Err(Problem::coded(code, [("path", path.to_string()), ("names", names)], message))
}

fn missing_argument(name: &Name, parameter: &Parameter) -> Problem {
    let type_name = type_name(parameter.value_type.as_ref());
    Problem::coded(
        "MissingOrderArgument",
        [("name", name.to_string()), ("type", type_name.to_string())],
        format!("The order needs the argument '{name}' (type {type_name})"),
    )
}

fn evaluation_failed(name: &Name, expression: &Expression, problem: &Problem) -> Problem {
    Problem::coded(
        "EvaluationFailed",
        [("name", name.to_string()), ("expression", expression.to_string()), ("problem", problem.to_string())],
        format!("The value of '{name}' cannot be computed from {expression}: {problem}"),
    )
}

fn type_name(value_type: Option<&ValueType>) -> &'static str {
    match value_type {
        None | Some(ValueType::Any) => "Any",
        Some(ValueType::String) => "String",
        Some(ValueType::Number) => "Number",
        Some(ValueType::Boolean) => "Boolean",
        Some(ValueType::List(_)) => "List",
        Some(ValueType::Object(_)) => "Object",
    }
}
