//! The types which vectors name by `of`, and how each is read and written.

use super::input;
use baton_workflow::expression::Expression;
use baton_workflow::expression::board::BoardExpression;
use baton_workflow::expression::command_line::CommandLine;
use baton_workflow::expression::function::ExprFunction;
use baton_workflow::id::*;
use baton_workflow::json::schema::Schemas;
use baton_workflow::json::{Doc, Json, Node, NodeKind};
use baton_workflow::model::command::{Command, Response};
use baton_workflow::model::event::{AgentEvent, SubagentEvent};
use baton_workflow::model::instruction::{LockDemand, Statement};
use baton_workflow::model::item::{
    AgentRef, Calendar, Item, JobResource, Lock, SubagentBundle, SubagentItem, WorkflowControl, WorkflowPathControl,
};
use baton_workflow::model::job::{Executable, JobKey, Login, WorkflowJob};
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::notice::{
    BoardNoticeKey, GlobalBoard, Notice, NoticeEvent, NoticeId, NoticePlace, PlannableBoard, PlannedNoticeKey,
};
use baton_workflow::model::operation::{ItemEvent, ItemOperation, SignedString};
use baton_workflow::model::order::{
    AttachedState, CancellationMode, ExternalOrder, ExternalOrderKey, FreshOrder, HistoricOutcome, HistoryOperation,
    Kill, Obstacle, Order, OrderMark, OrderState, StickySubagent, SuspensionMode,
};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::outcome::{Completed, Disruption, Outcome};
use baton_workflow::model::plan::{PlanEvent, PlanId, PlanSchema, PlanSchemaEvent, PlanStatus};
use baton_workflow::model::preparation::{OrderPreparation, Parameter, ValueType};
use baton_workflow::model::watch::{ExternalOrderState, FileWatch, OrderWatchEvent};
use baton_workflow::model::workflow::{Block, Workflow};
use baton_workflow::position::{BranchPath, Position, PositionOrLabel, WorkflowPosition};
use baton_workflow::problem::Problem;
use baton_workflow::schedule::{
    AdmissionPeriod, AdmissionTimeScheme, CycleState, MonthRestriction, Repeat, RestrictedScheme, Schedule,
    ScheduleScheme, TimeZone,
};
use baton_workflow::state::lock::Acquired;
use baton_workflow::state::order_watch::OrderWatchSnapshot;
use baton_workflow::state::plan::PlanSnapshot;
use baton_workflow::text::range_set::RangeSet;
use baton_workflow::text::return_code::ReturnCodeMeaning;
use baton_workflow::time::{Duration, Timestamp};
use baton_workflow::value::{Fields, Value};

/// A document that has been read.
pub(super) struct Decoded {
    /// What is written for it.
    pub(super) written: Value,
    /// What the reading warned of, like unknown members.
    pub(super) warnings: Vec<String>,
}

/// Reads and writes a type.
pub(super) type Decode = fn(&Node) -> Result<Decoded, Problem>;

fn decode<T: Json>(node: &Node) -> Result<Decoded, Problem> {
    let written = input::decode::<T>(node)?.write();
    Ok(Decoded { written, warnings: input::warnings::<T>(node) })
}

/// An item: with its `TYPE` or, where it is clear which one is meant, without.
fn item<T: Json>(node: &Node) -> Result<Decoded, Problem> {
    if node.get("TYPE").is_some() { decode::<Item>(node) } else { decode::<T>(node) }
}

/// An event with or without its key.
struct Keyed<K, E>(Option<K>, E);

impl<K: Json, E: Json> Json for Keyed<K, E> {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let key = doc.node.get("Key").map(|key| K::read(&doc.member("Key", key)));
        let body = match &doc.node.kind {
            NodeKind::Object(members) => {
                let others = members.iter().filter(|(name, _, _)| &**name != "Key").cloned().collect();
                Node { kind: NodeKind::Object(others), place: doc.node.place }
            }
            _ => doc.node.clone(),
        };
        let event = E::read(&doc.replaced_by(&body))?;
        match key {
            None => Some(Self(None, event)),
            Some(key) => Some(Self(Some(key?), event)),
        }
    }

    fn write(&self) -> Value {
        let body = self.1.write();
        match (&self.0, &body) {
            (Some(key), Value::Object(fields)) => {
                let key = [("Key".into(), key.write())];
                Value::Object(fields.iter().map(|(n, v)| (n.clone(), v.clone())).chain(key).collect())
            }
            _ => body,
        }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        E::schema(schemas)
    }
}

/// A part of the image of a file watch: the watch, or a file which it found.
enum WatchSnapshot {
    Watch(ItemEvent),
    File(OrderWatchSnapshot),
}

impl Json for WatchSnapshot {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match doc.type_name()? {
            "ExternalOrder" => Json::read(doc).map(Self::File),
            _ => Json::read(doc).map(Self::Watch),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Watch(event) => event.write(),
            Self::File(file) => file.write(),
        }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        ItemEvent::schema(schemas)
    }
}

/// How to read and write the type of this name. A nested name, like `OrderEvent.OrderAdded`, is one of the type around it.
pub(super) fn decoder(of: &str) -> Option<Decode> {
    known_decoder(of).or_else(|| known_decoder(of.split_once('.')?.0))
}

fn known_decoder(of: &str) -> Option<Decode> {
    Some(match of {
        "Workflow" | "WorkflowItem" => item::<Workflow>,
        "Lock" => item::<Lock>,
        "GlobalBoard" | "Board" => item::<GlobalBoard>,
        "PlannableBoard" => item::<PlannableBoard>,
        "PlanSchema" => item::<PlanSchema>,
        "JobResource" => item::<JobResource>,
        "Calendar" => item::<Calendar>,
        "AgentRef" | "Agent" => item::<AgentRef>,
        "SubagentItem" | "Subagent" | "SubagentRef" => item::<SubagentItem>,
        "SubagentBundle" | "SubagentSelection" => item::<SubagentBundle>,
        "FileWatch" => item::<FileWatch>,
        "WorkflowPathControl" => item::<WorkflowPathControl>,
        "WorkflowControl" => item::<WorkflowControl>,
        "Item" | "InventoryItem" | "SimpleItem" | "UnsignedSimpleItem" | "UnsignedItem" | "SignableItem" => {
            decode::<Item>
        }
        "ItemKey" | "InventoryItemKey" | "InventoryItemPath" | "SimpleItemPath" | "VersionedItemPath"
        | "VersionedItemId" => decode::<ItemKey>,
        "ItemOperation" => decode::<ItemOperation>,
        "SignedString" => decode::<SignedString>,
        "ItemEvent"
        | "InventoryItemEvent"
        | "BasicItemEvent"
        | "UnsignedSimpleItemEvent"
        | "SignedItemEvent"
        | "VersionedEvent" => decode::<ItemEvent>,

        "Instruction" | "Instruction.Labeled" => decode::<Statement>,
        "Block" => decode::<Block>,
        "LockDemand" => decode::<LockDemand>,
        "LockState.Acquired" | "Acquired" => decode::<Acquired>,
        "WorkflowJob" | "Job" => decode::<WorkflowJob>,
        "WorkflowJob.Name" | "JobName" => decode::<JobName>,
        "JobKey" => decode::<JobKey>,
        "Executable" => decode::<Executable>,
        "PathExecutable" => path_executable,
        "Login" => decode::<Login>,
        "ReturnCodeMeaning" => decode::<ReturnCodeMeaning>,
        "RangeSet" => decode::<RangeSet>,
        "OrderPreparation" => decode::<OrderPreparation>,
        "OrderParameter" | "WorkflowParameter" => decode::<Parameter>,
        "ValueType" | "ExprValueType" => decode::<ValueType>,

        "Expression" => decode::<Expression>,
        "ExprFunction" => decode::<ExprFunction>,
        "BoardExpression" | "BoardPathExpression" => decode::<BoardExpression>,
        "CommandLine" | "CommandLineExpression" => decode::<CommandLine>,
        "Value" => decode::<Value>,
        "NamedValues" => decode::<Fields>,

        "Schedule" => decode::<Schedule>,
        "Schedule.Scheme" => decode::<ScheduleScheme>,
        "Schedule.Repeat" | "Repeat" => decode::<Repeat>,
        "AdmissionTimeScheme" => decode::<AdmissionTimeScheme>,
        "AdmissionPeriod" => decode::<AdmissionPeriod>,
        "RestrictedScheme" => decode::<RestrictedScheme>,
        "MonthRestriction" | "SchemeRestriction" => decode::<MonthRestriction>,
        "CycleState" => decode::<CycleState>,
        "Timezone" | "TimeZone" => decode::<TimeZone>,
        "Timestamp" => decode::<Timestamp>,
        "FiniteDuration" | "Duration" => decode::<Duration>,

        "Order" => decode::<Order>,
        "FreshOrder" => decode::<FreshOrder>,
        "FreshOrder.id" => decode::<GivenOrderId>,
        "Order.State" | "OrderState" => decode::<OrderState>,
        "Order.AttachedState" | "AttachedState" => decode::<AttachedState>,
        "Order.ExternalOrder" | "ExternalOrder" => decode::<ExternalOrder>,
        "Order.StickySubagent" | "StickySubagent" => decode::<StickySubagent>,
        "OrderMark" => decode::<OrderMark>,
        "OrderObstacle" | "Obstacle" => decode::<Obstacle>,
        "CancellationMode" => decode::<CancellationMode>,
        "SuspensionMode" => decode::<SuspensionMode>,
        "CancellationMode.Kill" | "Kill" => decode::<Kill>,
        "OrderEvent" => decode::<Keyed<OrderId, OrderEvent>>,
        "OrderOutcome" | "Outcome" => decode::<Outcome>,
        "OrderOutcome.Completed" | "Outcome.Completed" => decode::<Completed>,
        "OrderOutcome.Disrupted.Reason" | "Disrupted.Reason" => decode::<Disruption>,
        "HistoricOutcome" => decode::<HistoricOutcome>,
        "HistoryOperation" | "OrderEvent.HistoryOperation" | "OrderResumed.HistoryOperation" => {
            decode::<HistoryOperation>
        }
        "Problem" => decode::<Problem>,
        "Command" | "ControllerCommand" => decode::<Command>,
        "Response" | "ControllerCommand.Response" => decode::<Response>,

        "Notice" => decode::<Notice>,
        "NoticeId" => decode::<NoticeId>,
        "NoticePlace" => decode::<NoticePlace>,
        "NoticeKey" => decode::<NoticeKey>,
        "PlannedNoticeKey" => decode::<PlannedNoticeKey>,
        "BoardNoticeKey" => decode::<BoardNoticeKey>,
        "NoticeEvent" => decode::<Keyed<BoardPath, NoticeEvent>>,
        "Plan" => decode::<PlanSnapshot>,
        "PlanId" => decode::<PlanId>,
        "PlanKey" => decode::<PlanKey>,
        "PlanSchemaId" => decode::<PlanSchemaId>,
        "PlanStatus" => decode::<PlanStatus>,
        "PlanEvent" => decode::<Keyed<PlanId, PlanEvent>>,
        "PlanSchemaEvent" => decode::<Keyed<PlanSchemaId, PlanSchemaEvent>>,
        "OrderWatch" => |node| {
            if matches!(node.kind, NodeKind::List(_)) {
                decode::<Vec<WatchSnapshot>>(node)
            } else {
                item::<FileWatch>(node)
            }
        },
        "OrderWatchEvent" => decode::<Keyed<OrderWatchPath, OrderWatchEvent>>,
        "ExternalOrderState" => decode::<ExternalOrderState>,
        "ExternalOrderKey" => decode::<ExternalOrderKey>,
        "ExternalOrderName" => decode::<ExternalOrderName>,
        "AgentRefStateEvent" | "AgentEvent" => decode::<Keyed<AgentPath, AgentEvent>>,
        "SubagentItemStateEvent" | "SubagentEvent" => decode::<Keyed<SubagentId, SubagentEvent>>,

        "Position" => decode::<Position>,
        "BranchPath" => decode::<BranchPath>,
        "PositionOrLabel" => decode::<PositionOrLabel>,
        "WorkflowPosition" => decode::<WorkflowPosition>,
        "WorkflowId" => decode::<WorkflowId>,
        "Label" => decode::<Label>,
        "VersionId" => decode::<VersionId>,
        "OrderId" => decode::<OrderId>,
        "WorkflowPath" => decode::<WorkflowPath>,
        "LockPath" => decode::<LockPath>,
        "BoardPath" => decode::<BoardPath>,
        "AgentPath" => decode::<AgentPath>,
        "JobResourcePath" => decode::<JobResourcePath>,
        "CalendarPath" => decode::<CalendarPath>,
        "OrderWatchPath" | "FileWatchPath" => decode::<OrderWatchPath>,
        "SubagentId" => decode::<SubagentId>,
        "SubagentBundleId" | "SubagentSelectionId" => decode::<SubagentBundleId>,
        "ControllerId" => decode::<ControllerId>,
        _ => return None,
    })
}

/// An executable file: its path alone, or the executable.
fn path_executable(node: &Node) -> Result<Decoded, Problem> {
    let text = |text: &str| Node { kind: NodeKind::String(text.into()), place: node.place };
    let member = |name: &str, node: Node| (name.into(), node.place, node);
    let members = match &node.kind {
        NodeKind::String(_) => vec![member("TYPE", text("PathExecutable")), member("path", node.clone())],
        NodeKind::Object(members) if node.get("TYPE").is_none() => {
            members.iter().cloned().chain([member("TYPE", text("PathExecutable"))]).collect()
        }
        _ => return decode::<Executable>(node),
    };
    decode::<Executable>(&Node { kind: NodeKind::Object(members), place: node.place })
}
