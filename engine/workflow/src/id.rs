//! Names and keys: each kind of name is a type of its own, so that they cannot be confused.
//!
//! All are cheap to clone. What a name may contain is checked where it enters the system, in JSON or through `checked`.

use crate::json::basic::Text;
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json};
use crate::problem::{Checked, Problem};
use crate::value::Value;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident, $label:literal, $rule:path) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as it is, unchecked: for names from the journal or known to be right.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// The name, if it may be one.
            ///
            /// # Errors
            /// `EmptyString`, `InvalidName`, or a message which says what is not allowed.
            pub fn checked(text: &str) -> Checked<Self> {
                $rule($label, text)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, shared.
            #[must_use]
            pub fn to_arc(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl core::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Text for $name {
            fn from_json_text(text: &str) -> Checked<Self> {
                Self::checked(text)
            }

            fn to_json_text(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl Json for $name {
            fn read(doc: &Doc<'_>) -> Option<Self> {
                match Self::checked(doc.string()?) {
                    Ok(id) => {
                        doc.mention($label, &id.0);
                        Some(id)
                    }
                    Err(problem) => doc.fail(problem),
                }
            }

            fn write(&self) -> Value {
                Value::String(self.0.clone())
            }

            fn schema(_: &mut Schemas) -> Value {
                schema::of_type("string")
            }
        }
    };
}

text_id! {
    /// Identifies an order. `|` separates the ids of child orders from their parent's.
    OrderId, "OrderId", not_empty
}
text_id! {
    /// Names a command, given by who gives it, so that it is carried out once however often it is asked for.
    CommandId, "CommandId", command_id
}
text_id! {
    /// Path of a workflow.
    WorkflowPath, "WorkflowPath", path
}
text_id! {
    /// A version of a workflow.
    VersionId, "VersionId", not_empty
}
text_id! {
    /// Path of a lock.
    LockPath, "LockPath", path
}
text_id! {
    /// Path of a notice board.
    BoardPath, "BoardPath", path
}
text_id! {
    /// Path of an agent: a director or a pair of directors with their subagents.
    AgentPath, "AgentPath", path
}
text_id! {
    /// Path of a job resource.
    JobResourcePath, "JobResourcePath", path
}
text_id! {
    /// Path of a calendar.
    CalendarPath, "CalendarPath", path
}
text_id! {
    /// Path of a file watch.
    OrderWatchPath, "OrderWatchPath", path
}
text_id! {
    /// Identifies a subagent.
    SubagentId, "SubagentId", name
}
text_id! {
    /// Identifies a subagent bundle.
    SubagentBundleId, "SubagentBundleId", name
}
text_id! {
    /// Identifies a plan schema.
    PlanSchemaId, "PlanSchemaId", name
}
text_id! {
    /// Identifies a plan within its schema.
    PlanKey, "PlanKey", name
}
text_id! {
    /// Identifies a notice within its plan and board. Empty for boards with one notice per plan.
    NoticeKey, "NoticeKey", any
}
text_id! {
    /// Name of a job within a workflow.
    JobName, "WorkflowJob.Name", name
}
text_id! {
    /// Label of an instruction.
    Label, "Label", any
}
text_id! {
    /// Identifies a controller.
    ControllerId, "ControllerId", name
}
text_id! {
    /// Name of what a file watch found: the file's name.
    ExternalOrderName, "ExternalOrderName", any
}

/// Longest name, bytes.
pub const MAX_NAME: usize = 1000;

#[expect(clippy::unnecessary_wraps, reason = "the signature of all rules")]
fn any(_: &'static str, _: &str) -> Checked<()> {
    Ok(())
}

/// Longest id of a command, in bytes.
const COMMAND_ID: usize = 100;

fn command_id(kind: &'static str, text: &str) -> Checked<()> {
    not_empty(kind, text)?;
    if text.len() > COMMAND_ID || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message =
            format!("Invalid {kind}: it consists of 1 to {COMMAND_ID} visible ASCII characters without blanks");
        return Err(Problem::coded("InvalidName", [("type", kind.to_string())], message));
    }
    Ok(())
}

fn not_empty(kind: &'static str, text: &str) -> Checked<()> {
    if text.is_empty() {
        return Err(Problem::coded("EmptyString", [("type", kind.to_string())], format!("{kind} must not be empty")));
    }
    if text.len() > MAX_NAME {
        return Err(invalid(kind, text, &format!("is longer than {MAX_NAME} bytes")));
    }
    Ok(())
}

fn name(kind: &'static str, text: &str) -> Checked<()> {
    not_empty(kind, text)?;
    segment(kind, text, text)
}

fn path(kind: &'static str, text: &str) -> Checked<()> {
    not_empty(kind, text)?;
    text.split('/').try_for_each(|part| segment(kind, text, part))
}

fn segment(kind: &'static str, text: &str, part: &str) -> Checked<()> {
    let is_start = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || u32::from(c) > 0xffff;
    let mut chars = part.chars();
    match chars.next() {
        None => return Err(invalid(kind, text, "has an empty part")),
        Some(c) if !is_start(c) => {
            return Err(invalid(kind, text, &format!("must not start with '{}'", c.escape_debug())));
        }
        Some(_) => {}
    }
    let is_mark =
        |c: char| ('\u{300}'..='\u{36f}').contains(&c) || ('\u{fe00}'..='\u{fe0f}').contains(&c) || c == '\u{200d}';
    if let Some(c) = chars.find(|c| !is_start(*c) && !is_mark(*c) && *c != '-' && *c != '.') {
        return Err(invalid(kind, text, &format!("must not contain '{}'", c.escape_debug())));
    }
    if part.ends_with('.') {
        return Err(invalid(kind, text, "must not end with '.'"));
    }
    Ok(())
}

fn invalid(kind: &'static str, text: &str, why: &str) -> Problem {
    let shown: String = text.chars().take(100).collect();
    Problem::coded(
        "InvalidName",
        [("type", kind.to_string()), ("name", text.to_string())],
        format!(
            "Invalid {kind} '{shown}': it {why}. A name consists of letters, digits, '_', '-' and '.', starts with a letter or digit, \
             and does not end with '.'"
        ),
    )
}

impl OrderId {
    /// Separates a child's id from its parent's.
    pub const CHILD_SEPARATOR: char = '|';

    /// The id of the child order `child`.
    #[must_use]
    pub fn child(&self, child: &str) -> Self {
        Self(format!("{}{}{child}", self.0, Self::CHILD_SEPARATOR).into())
    }

    /// The id, if it is one which a user may give.
    ///
    /// # Errors
    /// When empty or with the reserved `|`.
    pub fn given(text: &str) -> Checked<Self> {
        if text.contains(Self::CHILD_SEPARATOR) {
            return Err(Problem::new("OrderId must not contain reserved characters: |"));
        }
        Self::checked(text)
    }

    /// The ids of all ancestors by name, nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        let mut rest = &*self.0;
        core::iter::from_fn(move || {
            let at = rest.rfind(Self::CHILD_SEPARATOR)?;
            rest = &rest[..at];
            Some(Self(rest.into()))
        })
    }

    /// The id of the outermost ancestor, or this.
    #[must_use]
    pub fn root(&self) -> Self {
        match self.0.find(Self::CHILD_SEPARATOR) {
            Some(at) => Self(self.0[..at].into()),
            None => self.clone(),
        }
    }
}

crate::json_struct! {
    /// A workflow in one of its versions. In nested blocks both parts are absent.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
    pub struct WorkflowId {
        /// Path of the workflow.
        path: WorkflowPath => "path";
        /// Its version.
        version_id: VersionId => "versionId";
    }
}

impl core::fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}~{}", self.path, self.version_id)
    }
}

/// The order id of the vectors' and commands' form: `|` refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct GivenOrderId(pub OrderId);

impl Json for GivenOrderId {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match OrderId::given(doc.string()?) {
            Ok(id) => Some(Self(id)),
            Err(problem) => doc.fail(problem),
        }
    }

    fn write(&self) -> Value {
        self.0.write()
    }

    fn schema(schemas: &mut Schemas) -> Value {
        OrderId::schema(schemas)
    }
}
