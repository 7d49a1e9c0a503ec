//! JSON forms of types which are not declared with the JSON macros.

use crate::expression::Expression;
use crate::expression::board::BoardExpression;
use crate::expression::command_line::CommandLine;
use crate::expression::function::ExprFunction;
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json, NodeKind};
use crate::problem::Problem;
use crate::text::range_set::RangeSet;
use crate::text::return_code::ReturnCodeMeaning;
use crate::value::Value;
use alloc::borrow::Cow;
use alloc::string::ToString as _;
use alloc::vec::Vec;

/// Types whose JSON form is their source text.
macro_rules! source_text {
    ($($type:ty),*) => {$(
        impl Json for $type {
            fn read(doc: &Doc<'_>) -> Option<Self> {
                match Self::parse(doc.string()?) {
                    Ok(parsed) => Some(parsed),
                    Err(problem) => doc.fail(problem),
                }
            }

            fn write(&self) -> Value {
                Value::from(&*self.to_string())
            }

            fn schema(_: &mut Schemas) -> Value {
                schema::of_type("string")
            }
        }
    )*};
}

source_text!(ExprFunction, CommandLine);

impl Json for BoardExpression {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match Self::parse(doc.string()?) {
            Ok(parsed) => {
                for board in parsed.boards() {
                    doc.mention("BoardPath", &board);
                }
                Some(parsed)
            }
            Err(problem) => doc.fail(problem),
        }
    }

    fn write(&self) -> Value {
        Value::from(&*self.to_string())
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("string")
    }
}

impl Json for Expression {
    /// Constants may be written as JSON booleans and numbers.
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let text = match &doc.node.kind {
            NodeKind::Boolean(b) => Cow::Owned(b.to_string()),
            NodeKind::Number(number) => Cow::Owned(number.to_string()),
            _ => Cow::Borrowed(doc.string()?),
        };
        parsed(doc, &text)
    }

    fn write(&self) -> Value {
        Value::from(&*self.to_string())
    }

    fn schema(_: &mut Schemas) -> Value {
        Value::object([("type", Value::list(["string", "number", "boolean"].map(Value::from)))])
    }
}

/// Parses an expression of a document.
pub(super) fn parsed(doc: &Doc<'_>, text: &str) -> Option<Expression> {
    match Expression::parse(text) {
        Ok(parsed) => {
            for path in parsed.job_resource_paths() {
                doc.mention("JobResourcePath", &path);
            }
            Some(parsed)
        }
        Err(problem) => doc.fail(problem),
    }
}

/// The expression `missing`.
#[expect(clippy::expect_used, reason = "a constant text, parsed in every test")]
pub(super) fn missing() -> Expression {
    Expression::parse("missing").expect("is an expression")
}

/// The expression which gives an empty text.
#[expect(clippy::expect_used, reason = "a constant text, parsed in every test")]
pub(super) fn empty_string() -> Expression {
    Expression::parse("\"\"").expect("is an expression")
}

/// The function which gives an empty object.
#[expect(clippy::expect_used, reason = "a constant text, parsed in every test")]
pub(super) fn empty_object_function() -> ExprFunction {
    ExprFunction::parse("() => {}").expect("is a function")
}

impl Json for ReturnCodeMeaning {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let object = doc.object()?;
        let success: Option<Option<RangeSet>> = object.optional("success", &[], || None);
        let failure: Option<Option<RangeSet>> = object.optional("failure", &[], || None);
        match (success?, failure?) {
            (Some(success), None) => Some(Self::Success(success)),
            (None, Some(failure)) => Some(Self::Failure(failure)),
            (None, None) => doc.expected("return codes of \"success\" or of \"failure\""),
            (Some(_), Some(_)) => doc.fail(Problem::new("\"success\" and \"failure\" exclude each other")),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Success(codes) => Value::object([("success", codes.write())]),
            Self::Failure(codes) => Value::object([("failure", codes.write())]),
        }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        schemas.define("ReturnCodeMeaning", |_| {
            let codes = Value::object([("type", Value::list([Value::from("string"), Value::from("array")]))]);
            let member = |name, doc: &str| schema::Member {
                name,
                aliases: &[],
                doc: doc.into(),
                schema: codes.clone(),
                required: false,
            };
            schema::object(
                "Which return codes of a process mean success.",
                &[],
                Vec::from([
                    member("success", "Only these mean success, like \"0,4..8\"."),
                    member("failure", "Only these mean failure; empty: none."),
                ]),
            )
        })
    }
}

/// An integer, or a range.
fn range(doc: &Doc<'_>) -> Option<(i32, i32)> {
    match &doc.node.kind {
        NodeKind::List(nodes) => match nodes.as_slice() {
            [from, to] => {
                let (from, to) = (i32::read(&doc.element(0, from))?, i32::read(&doc.element(1, to))?);
                if from > to { doc.fail(Problem::new("a range begins with its smaller end")) } else { Some((from, to)) }
            }
            _ => doc.expected("a range: [from, to]"),
        },
        _ => i32::read(doc).map(|code| (code, code)),
    }
}

impl Json for RangeSet {
    /// A list of integers and of ranges (`[from, to]`), or a text like `0,4..8`.
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match &doc.node.kind {
            NodeKind::String(text) => match text.parse() {
                Ok(set) => Some(set),
                Err(problem) => doc.fail(problem),
            },
            _ => doc.list(range).map(Self::of),
        }
    }

    fn write(&self) -> Value {
        Value::from(&*self.to_string())
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("string")
    }
}
