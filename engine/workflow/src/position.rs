//! Positions in a workflow.
//!
//! A position is the way to an instruction: instruction number, branch, number, branch …, number. Branches of `try`,
//! `catch` and `cycle` carry the state of the repetition, so a position tells also in which repetition an order is.

use crate::id::Label;
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json, NodeKind};
use crate::problem::{Checked, Problem};
use crate::schedule::CycleState;
use crate::time::Timestamp;
use crate::value::Value;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// Deepest nesting of blocks. Documents nest less ([`crate::json::limit::DEPTH`]), positions need not nest deeper.
pub const MAX_DEPTH: usize = 100;

/// A branch of an instruction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum BranchId {
    /// The i-th alternative of an If, from 1: `then`, `then+2`, …
    Then(u32),
    /// `else` of an If.
    Else,
    /// `try+N` with the number of the repetition, from 0. `None` is the normalized form `try`.
    Try(Option<u32>),
    /// `catch+N`. `None` is the normalized form `catch`.
    Catch(Option<u32>),
    /// `fork+X`
    Fork(Arc<str>),
    /// `fork`: the only branch of a ForkList, taken by all children.
    ForkList,
    /// `lock`
    Lock,
    /// `cycle+…` with the state of the repetition. `None` is the normalized form `cycle`.
    Cycle(Option<Arc<CycleState>>),
    /// `consumeNotices`
    ConsumeNotices,
    /// `stickySubagent`
    StickySubagent,
    /// `options`
    Options,
    /// `admissionTime`
    AdmissionTime,
    /// A name which no instruction has.
    Other(Arc<str>),
}

impl BranchId {
    /// Whether an order must not be moved across the border of this branch.
    #[must_use]
    pub fn is_move_boundary(&self) -> bool {
        match self {
            Self::Fork(_) | Self::ForkList | Self::Lock | Self::ConsumeNotices | Self::StickySubagent => true,
            Self::Then(_)
            | Self::Else
            | Self::Try(_)
            | Self::Catch(_)
            | Self::Cycle(_)
            | Self::Options
            | Self::AdmissionTime
            | Self::Other(_) => false,
        }
    }

    /// Whether this is a branch of a Fork or ForkList.
    #[must_use]
    pub fn is_fork(&self) -> bool {
        matches!(self, Self::Fork(_) | Self::ForkList)
    }

    /// Without the state of a repetition.
    #[must_use]
    pub fn normalized(&self) -> Self {
        match self {
            Self::Try(_) => Self::Try(None),
            Self::Catch(_) => Self::Catch(None),
            Self::Cycle(_) => Self::Cycle(None),
            other => other.clone(),
        }
    }

    /// The cycle state of a cycle branch.
    ///
    /// # Errors
    /// When this is no cycle branch, or one without a state.
    pub fn cycle_state(&self) -> Checked<&CycleState> {
        match self {
            Self::Cycle(Some(state)) => Ok(state),
            other => Err(Problem::new(format!("Expected a Cycle BranchId but got: {other}"))),
        }
    }
}

impl fmt::Display for BranchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Then(1) => f.write_str("then"),
            Self::Then(i) => write!(f, "then+{i}"),
            Self::Else => f.write_str("else"),
            Self::Try(None) => f.write_str("try"),
            Self::Try(Some(n)) => write!(f, "try+{n}"),
            Self::Catch(None) => f.write_str("catch"),
            Self::Catch(Some(n)) => write!(f, "catch+{n}"),
            Self::Fork(id) => write!(f, "fork+{id}"),
            Self::ForkList => f.write_str("fork"),
            Self::Lock => f.write_str("lock"),
            Self::Cycle(None) => f.write_str("cycle"),
            Self::Cycle(Some(state)) => {
                write!(f, "cycle+end={}", state.end.as_millis())?;
                if state.scheme_index != 0 {
                    write!(f, ",scheme={}", state.scheme_index)?;
                }
                if state.period_index != 0 {
                    write!(f, ",period={}", state.period_index)?;
                }
                if state.index != 0 {
                    write!(f, ",i={}", state.index)?;
                }
                if state.next != Timestamp::EPOCH {
                    write!(f, ",next={}", state.next.as_millis())?;
                }
                Ok(())
            }
            Self::ConsumeNotices => f.write_str("consumeNotices"),
            Self::StickySubagent => f.write_str("stickySubagent"),
            Self::Options => f.write_str("options"),
            Self::AdmissionTime => f.write_str("admissionTime"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl BranchId {
    /// Reads a branch id. A text which is none of the known forms becomes [`BranchId::Other`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let known = match text.split_once('+') {
            None => match text {
                "then" => Some(Self::Then(1)),
                "else" => Some(Self::Else),
                "try" => Some(Self::Try(None)),
                "catch" => Some(Self::Catch(None)),
                "fork" => Some(Self::ForkList),
                "lock" => Some(Self::Lock),
                "cycle" => Some(Self::Cycle(None)),
                "consumeNotices" => Some(Self::ConsumeNotices),
                "stickySubagent" => Some(Self::StickySubagent),
                "options" => Some(Self::Options),
                "admissionTime" => Some(Self::AdmissionTime),
                _ => None,
            },
            Some(("then", i)) => number(i).filter(|i| *i > 0).map(Self::Then),
            Some(("try", n)) => number(n).map(|n| Self::Try(Some(n))),
            Some(("catch", n)) => number(n).map(|n| Self::Catch(Some(n))),
            Some(("fork", id)) => Some(Self::Fork(id.into())),
            Some(("cycle", state)) => parse_cycle_state(state).map(|state| Self::Cycle(Some(Arc::new(state)))),
            Some(_) => None,
        };
        known.unwrap_or_else(|| Self::Other(text.into()))
    }
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|n: &u32| n.to_string() == text)
}

fn parse_cycle_state(text: &str) -> Option<CycleState> {
    let mut state =
        CycleState { end: Timestamp::EPOCH, scheme_index: 0, period_index: 0, index: 0, next: Timestamp::EPOCH };
    let mut has_end = false;
    for part in text.split(',') {
        let (name, value) = part.split_once('=')?;
        match name {
            "end" => {
                state.end = Timestamp::from_millis(value.parse().ok()?);
                has_end = true;
            }
            "scheme" => state.scheme_index = value.parse().ok()?,
            "period" => state.period_index = value.parse().ok()?,
            "i" => state.index = value.parse().ok()?,
            "next" => state.next = Timestamp::from_millis(value.parse().ok()?),
            _ => return None,
        }
    }
    has_end.then_some(state)
}

/// One step into a block: the number of an instruction and its branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Segment {
    /// Number of the instruction, from 0.
    pub nr: u32,
    /// Its branch.
    pub branch: BranchId,
}

/// The way to a block. Empty for the workflow itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct BranchPath(pub Vec<Segment>);

/// The way to an instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The block.
    pub block: BranchPath,
    /// Number of the instruction in the block, from 0.
    pub nr: u32,
}

impl BranchPath {
    /// The position of this number in the block.
    #[must_use]
    pub fn position(&self, nr: u32) -> Position {
        Position { block: self.clone(), nr }
    }

    /// Whether this is the workflow itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The instruction whose block this is, with the branch; `None` for the workflow itself.
    #[must_use]
    pub fn parent(&self) -> Option<(Position, &BranchId)> {
        let (last, parents) = self.0.split_last()?;
        Some((Position { block: Self(parents.to_vec()), nr: last.nr }, &last.branch))
    }

    /// Without the states of repetitions.
    #[must_use]
    pub fn normalized(&self) -> Self {
        Self(self.0.iter().map(|s| Segment { nr: s.nr, branch: s.branch.normalized() }).collect())
    }

    /// The common start of both paths.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).take_while(|(a, b)| a == b).map(|(a, _)| a.clone()).collect())
    }

    /// Whether this is `other` or a block within it.
    #[must_use]
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The block of the innermost fork branch around, or the workflow itself.
    #[must_use]
    pub fn fork_branch(&self) -> Self {
        let depth = self.0.iter().rposition(|s| s.branch.is_fork()).map_or(0, |i| i + 1);
        Self(self.0[..depth].to_vec())
    }
}

impl Position {
    /// The first instruction of a workflow.
    pub const START: Self = Self { block: BranchPath(Vec::new()), nr: 0 };

    /// A position in the workflow itself.
    #[must_use]
    pub fn root(nr: u32) -> Self {
        Self { block: BranchPath::default(), nr }
    }

    /// The block of this instruction's branch.
    #[must_use]
    pub fn branch(&self, branch: BranchId) -> BranchPath {
        let mut segments = Vec::with_capacity(self.block.0.len() + 1);
        segments.extend(self.block.0.iter().cloned());
        segments.push(Segment { nr: self.nr, branch });
        BranchPath(segments)
    }

    /// The first instruction of this instruction's branch.
    #[must_use]
    pub fn first_of(&self, branch: BranchId) -> Self {
        self.branch(branch).position(0)
    }

    /// The following instruction of the block.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { block: self.block.clone(), nr: self.nr + 1 }
    }

    /// The instruction whose block contains this.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.block.parent().map(|(position, _)| position)
    }

    /// Without the states of repetitions.
    #[must_use]
    pub fn normalized(&self) -> Self {
        Self { block: self.block.normalized(), nr: self.nr }
    }

    /// Whether this is in a branch of a fork.
    #[must_use]
    pub fn is_in_fork(&self) -> bool {
        self.block.0.iter().any(|s| s.branch.is_fork())
    }

    /// How often the innermost Try around is being tried, from 1; 0 outside of a Try. Looks through If, but not through
    /// other blocks.
    #[must_use]
    pub fn try_count(&self) -> u32 {
        for segment in self.block.0.iter().rev() {
            match &segment.branch {
                BranchId::Try(n) | BranchId::Catch(n) => return n.unwrap_or(0) + 1,
                BranchId::Then(_) | BranchId::Else => {}
                _ => return 0,
            }
        }
        0
    }

    /// How often the innermost Catch around has been entered, from 1; in a Try how often its Catch was; else 0.
    #[must_use]
    pub fn catch_count(&self) -> u32 {
        for segment in self.block.0.iter().rev() {
            match &segment.branch {
                BranchId::Try(n) => return n.unwrap_or(0),
                BranchId::Catch(n) => return n.unwrap_or(0) + 1,
                BranchId::Then(_) | BranchId::Else => {}
                _ => return 0,
            }
        }
        0
    }

    /// The block of the next try, for a Retry here.
    ///
    /// # Errors
    /// When this is not in a catch block, reached through If, Try and Options only.
    pub fn next_try(&self) -> Checked<BranchPath> {
        for (depth, segment) in self.block.0.iter().enumerate().rev() {
            match &segment.branch {
                BranchId::Catch(n) => {
                    let parent = Self { block: BranchPath(self.block.0[..depth].to_vec()), nr: segment.nr };
                    return Ok(parent.branch(BranchId::Try(Some(n.unwrap_or(0) + 1))));
                }
                BranchId::Try(_) | BranchId::Then(_) | BranchId::Else | BranchId::Options => {}
                _ => break,
            }
        }
        Err(Problem::new("Not in a try or catch block"))
    }
}

impl fmt::Display for BranchPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            write!(f, "{}/{}", segment.nr, segment.branch)?;
        }
        Ok(())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.block.is_root() {
            write!(f, "{}:", self.block)?;
        }
        write!(f, "{}", self.nr)
    }
}

impl FromStr for Position {
    type Err = Problem;

    fn from_str(text: &str) -> Checked<Self> {
        let invalid = || Problem::new(format!("Not a position: {text}; one looks like 0 or 1/then:0"));
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some((nr, tail)) = rest.split_once('/') {
            let (branch, tail) = tail.split_once(':').ok_or_else(invalid)?;
            segments.push(Segment { nr: number(nr).ok_or_else(invalid)?, branch: BranchId::parse(branch) });
            rest = tail;
        }
        Ok(Self { block: BranchPath(segments), nr: number(rest).ok_or_else(invalid)? })
    }
}

fn read_segments(doc: &Doc<'_>, is_position: bool) -> Option<(Vec<Segment>, Option<u32>)> {
    let what = if is_position {
        "a position: a list like [0] or [1, \"then\", 0]"
    } else {
        "a branch path: a list like [] or [1, \"then\"]"
    };
    let NodeKind::List(nodes) = &doc.node.kind else {
        return doc.expected(what);
    };
    if nodes.len() % 2 != usize::from(is_position) || nodes.len() / 2 > MAX_DEPTH {
        return doc.expected(what);
    }
    let mut segments = Vec::with_capacity(nodes.len() / 2);
    for (i, pair) in nodes.chunks(2).enumerate() {
        let nr = u32::read(&doc.element(2 * i, &pair[0]))?;
        let Some(branch) = pair.get(1) else {
            return Some((segments, Some(nr)));
        };
        let branch_doc = doc.element(2 * i + 1, branch);
        segments.push(Segment { nr, branch: BranchId::parse(branch_doc.string()?) });
    }
    Some((segments, None))
}

fn write_segments(segments: &[Segment], nr: Option<u32>) -> Value {
    let steps = segments
        .iter()
        .flat_map(|s| [i64::from(s.nr).into(), Value::from(&*s.branch.to_string())])
        .chain(nr.map(|nr| i64::from(nr).into()));
    Value::list(steps)
}

impl Json for Position {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let (segments, nr) = read_segments(doc, true)?;
        Some(Self { block: BranchPath(segments), nr: nr? })
    }

    fn write(&self) -> Value {
        write_segments(&self.block.0, Some(self.nr))
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("array")
    }
}

impl Json for BranchPath {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        Some(Self(read_segments(doc, false)?.0))
    }

    fn write(&self) -> Value {
        write_segments(&self.0, None)
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("array")
    }
}

/// A position, or the label of an instruction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum PositionOrLabel {
    /// A position.
    Position(Position),
    /// A label of the workflow.
    Label(Label),
}

impl Json for PositionOrLabel {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        if doc.node.as_str().is_some() {
            Label::read(doc).map(Self::Label)
        } else {
            Position::read(doc).map(Self::Position)
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Position(position) => position.write(),
            Self::Label(label) => label.write(),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        Value::object([("type", Value::list([Value::from("array"), Value::from("string")]))])
    }
}

impl fmt::Display for PositionOrLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position(position) => position.fmt(f),
            Self::Label(label) => label.fmt(f),
        }
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

crate::json_struct! {
    /// A position in a version of a workflow.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub struct WorkflowPosition {
        /// The workflow.
        workflow_id: crate::id::WorkflowId => "workflowId";
        /// The position in it.
        position: Position => "position";
    }
}
