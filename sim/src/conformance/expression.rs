//! The kinds `expression`, `function`, `command-line` and `board-expression`.

use super::basics::rejected;
use super::expression_scope::with_scope;
use super::input::{self, flag, list, member, members, need, text};
use super::matching::Matcher;
use super::verdict::{Cases, Difference, Fault, Verdict, equal};
use super::{Kind, Vector, form_of};
use baton_workflow::expression::Expression;
use baton_workflow::expression::board::{Availability, BoardExpression};
use baton_workflow::expression::command_line::CommandLine;
use baton_workflow::expression::function::ExprFunction;
use baton_workflow::expression::scope::Scope;
use baton_workflow::json::{Json as _, Node};
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::value::Value;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "expression",
        members: &["scope", "cases"],
        case: &["expr", "value", "error", "syntaxError", "parses", "pure", "same"],
        check: |vector, cases| {
            vector.each_case(cases, |case| {
                with_scope(need(vector.node, "scope")?, |scope| expression(vector.matcher(), case, scope))
            })
        },
    },
    Kind {
        name: "function",
        members: &["scope", "cases"],
        case: &["function", "restrict", "args", "value", "error"],
        check: |vector, cases| {
            vector.each_case(cases, |case| {
                with_scope(need(vector.node, "scope")?, |scope| function(vector.matcher(), case, scope))
            })
        },
    },
    Kind {
        name: "command-line",
        members: &["scope", "cases"],
        case: &["commandLine", "args", "syntaxError"],
        check: |vector, cases| {
            vector.each_case(cases, |case| {
                with_scope(need(vector.node, "scope")?, |scope| command_line(vector.matcher(), case, scope))
            })
        },
    },
    Kind {
        name: "board-expression",
        members: &["cases"],
        case: &["expr", "boards", "result", "parses"],
        check: |vector: &Vector<'_>, cases: &Cases| vector.each_case(cases, board_expression),
    },
];

/// What is evaluated has this value.
pub(super) fn evaluated(matcher: Matcher, expected: &Node, actual: Checked<Value>) -> Verdict {
    match actual {
        Ok(value) => matcher.element(expected, &value).map_err(|d| d.within("value").into()),
        Err(problem) => Err(Difference::new(input::show(expected), shown(&problem)).within("value").into()),
    }
}

fn shown(problem: &Problem) -> String {
    format!("the problem {}", baton_workflow::json::print(&problem.write()))
}

fn parsed<T>(result: Checked<T>) -> Result<T, Fault> {
    result.map_err(|problem| Difference::new("it is valid", shown(&problem)).into())
}

/// The text must not be valid; if `expected` is false, it must.
fn syntax_error<T: std::fmt::Display>(case: &Node, parsed: &Checked<T>) -> Verdict {
    let found = match parsed {
        Ok(parsed) => format!("valid: {parsed}"),
        Err(problem) => shown(problem),
    };
    if flag(case, "syntaxError")? == parsed.is_err() {
        Ok(())
    } else {
        Err(Difference::new("a syntax error", found).into())
    }
}

fn expression(matcher: Matcher, case: &Node, scope: &dyn Scope) -> Verdict {
    let expression = Expression::parse(text(case, "expr")?);
    match form_of(case, &["value", "error", "syntaxError", "parses", "pure"])? {
        "syntaxError" => return syntax_error(case, &expression),
        "parses" => equal("parses", &flag(case, "parses")?, &true)?,
        "pure" => {
            let expression = parsed(expression.clone())?;
            equal("pure", &flag(case, "pure")?, &expression.is_pure())?;
        }
        "value" => {
            let value = parsed(expression.clone())?.eval(scope);
            evaluated(matcher, need(case, "value")?, value)?;
        }
        _ => rejected(matcher, need(case, "error")?, parsed(expression.clone())?.eval(scope))?,
    }
    let expression = parsed(expression)?;
    let printed = expression.to_string();
    let reparsed = parsed(Expression::parse(&printed))?;
    if reparsed != expression {
        return Err(Difference::new(text(case, "expr")?, printed).within("printed").into());
    }
    if member(case, "same").is_some() {
        let same = parsed(Expression::parse(text(case, "same")?))?;
        if same != expression {
            return Err(Difference::new(same.to_string(), printed).within("same").into());
        }
    }
    Ok(())
}

fn function(matcher: Matcher, case: &Node, scope: &dyn Scope) -> Verdict {
    let mut function = parsed(ExprFunction::parse(text(case, "function")?))?;
    if member(case, "restrict").is_some() {
        let [name, minimum, maximum] = list(case, "restrict")? else {
            return Err(Fault::malformed("restrict is [name, min, max]"));
        };
        let name = name.as_str().ok_or_else(|| Fault::malformed("restrict is [name, min, max]"))?;
        let number = |node| {
            usize::try_from(input::integer(node)?)
                .map_err(|_| Fault::malformed("a number of parameters is not negative"))
        };
        match function.restrict(name, number(minimum)?, number(maximum)?) {
            Ok(restricted) => function = restricted,
            Err(problem) => {
                return match member(case, "error") {
                    Some(expected) => rejected(matcher, expected, Err(problem)),
                    None => Err(Difference::new("the function is accepted", shown(&problem)).into()),
                };
            }
        }
    }
    let value = match member(case, "args") {
        Some(_) => {
            let arguments: Vec<Value> = list(case, "args")?.iter().map(Node::to_value).collect();
            function.apply(&arguments, scope)
        }
        None => Ok(Value::from(&*function.to_string())),
    };
    match (member(case, "value"), member(case, "error")) {
        (Some(expected), None) => evaluated(matcher, expected, value),
        (None, Some(expected)) => rejected(matcher, expected, value),
        (None, None) if member(case, "args").is_none() => Ok(()),
        _ => Err(Fault::malformed("a case has exactly one of value, error")),
    }
}

fn command_line(matcher: Matcher, case: &Node, scope: &dyn Scope) -> Verdict {
    let command = CommandLine::parse(text(case, "commandLine")?);
    match form_of(case, &["args", "syntaxError"])? {
        "syntaxError" => syntax_error(case, &command),
        _ => {
            let arguments = parsed(command)?.eval(scope);
            let arguments = arguments.map(|texts| Value::list(texts.iter().map(|text| Value::from(text.as_str()))));
            evaluated(matcher, need(case, "args")?, arguments)
        }
    }
}

fn board_expression(case: &Node) -> Verdict {
    let expression = parsed(BoardExpression::parse(text(case, "expr")?))?;
    match form_of(case, &["result", "parses"])? {
        "parses" => equal("parses", &flag(case, "parses")?, &true),
        _ => {
            let boards = members(need(case, "boards")?)
                .iter()
                .map(|(name, _, node)| Ok((&**name, availability(node)?)))
                .collect::<Result<Vec<_>, Fault>>()?;
            let of =
                |board: &str| boards.iter().find(|(name, _)| *name == board).map(|(_, availability)| *availability);
            if let Some(unknown) = expression.boards().iter().find(|board| of(board).is_none()) {
                return Err(Fault::malformed(format!("nothing is said about the board {unknown}")));
            }
            let found = expression.eval(&mut |board| of(board).unwrap_or(Availability::Unknown));
            equal("result", &availability(need(case, "result")?)?, &found)
        }
    }
}

fn availability(node: &Node) -> Result<Availability, Fault> {
    match node.as_str() {
        Some("True") => Ok(Availability::True),
        Some("False") => Ok(Availability::False),
        Some("Unknown") => Ok(Availability::Unknown),
        _ => Err(Fault::malformed(format!("{} is none of True, False, Unknown", input::show(node)))),
    }
}
