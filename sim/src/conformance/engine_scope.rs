//! The scopes which the engine builds for the places where expressions stand, from an order, a workflow and their surroundings.

use super::input::{member, members, read, read_optional, text, value_of};
use super::known_members;
use super::verdict::{Fault, Verdict};
use baton_workflow::expression::evaluation::Evaluation;
use baton_workflow::expression::scope::{Scope, Scopes, unknown_key};
use baton_workflow::flow::Flow;
use baton_workflow::id::{ControllerId, JobName, JobResourcePath};
use baton_workflow::json::{Node, NodeKind};
use baton_workflow::model::history::History;
use baton_workflow::model::item::JobResource;
use baton_workflow::model::job::Expressions;
use baton_workflow::model::order::{FreshOrder, Order, OrderState};
use baton_workflow::model::workflow::Workflow;
use baton_workflow::position::{Position, WorkflowPosition};
use baton_workflow::preparation::{prepare_arguments, with_parameters};
use baton_workflow::problem::Checked;
use baton_workflow::schedule::TimeZone;
use baton_workflow::scope::{FreshOrderScope, Host, InstructionScope, OrderScope, ProcessScope, TemporaryFiles};
use baton_workflow::time::Timestamp;
use baton_workflow::value::{Fields, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a node contributes to scopes.
pub(super) struct Surroundings {
    controller_id: ControllerId,
    env: BTreeMap<String, String>,
    zone: TimeZone,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { controller_id: ControllerId::new("Controller"), env: BTreeMap::new(), zone: TimeZone::utc() }
    }
}

impl Surroundings {
    pub(super) fn host(&self) -> Host<'_> {
        Host { controller_id: &self.controller_id, env: &self.env, zone: &self.zone }
    }
}

/// From what the engine builds a scope.
pub(super) struct EngineScope {
    kind: String,
    surroundings: Surroundings,
    fresh_order: FreshOrder,
    workflow: Option<Workflow>,
    position: Position,
    history: History,
    job_name: Option<JobName>,
    now: Option<Timestamp>,
    job_resources: Vec<JobResource>,
    /// Whether variables of JobResources see what the expression sees.
    shares_scope: bool,
}

const MEMBERS: &[&str] = &[
    "kind",
    "controllerId",
    "order",
    "workflow",
    "position",
    "historicOutcomes",
    "jobName",
    "job",
    "now",
    "jobResources",
    "env",
];

impl EngineScope {
    /// Reads the member `scope`.
    pub(super) fn read(node: &Node) -> Result<Self, Fault> {
        known_members(node, MEMBERS)?;
        let mut surroundings = Surroundings::default();
        if let Some(controller_id) = read_optional(node, "controllerId")? {
            surroundings.controller_id = controller_id;
        }
        if let Some(env) = read_optional::<BTreeMap<Arc<str>, String>>(node, "env")? {
            surroundings.env = env.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        }
        let mut workflow: Option<Workflow> = read_optional(node, "workflow")?;
        let job_name = read_optional::<JobName>(node, "jobName")?;
        if let (Some(job), Some(workflow), Some(name)) = (read_optional(node, "job")?, &mut workflow, &job_name) {
            workflow.jobs.insert(name.clone(), Arc::new(job));
        }
        Ok(Self {
            kind: if member(node, "kind").is_some() {
                text(node, "kind")?.to_owned()
            } else {
                String::from("freshOrder")
            },
            surroundings,
            fresh_order: read(node, "order")?,
            workflow,
            position: read_optional(node, "position")?.unwrap_or(Position::START),
            history: read_optional(node, "historicOutcomes")?.unwrap_or_default(),
            job_name,
            now: read_optional(node, "now")?,
            job_resources: job_resources(node)?,
            shares_scope: matches!(member(node, "jobResources").map(|node| &node.kind), Some(NodeKind::List(_))),
        })
    }

    fn find(&self, path: &str) -> Option<&JobResource> {
        self.job_resources.iter().find(|resource| resource.path.as_str() == path)
    }

    fn now(&self) -> Timestamp {
        self.now.unwrap_or(Timestamp::EPOCH)
    }

    /// Calls with what an order that is being added sees, besides its arguments and parameters.
    pub(super) fn with_added<T>(&self, body: impl FnOnce(&dyn Scope) -> T) -> T {
        let order = &self.fresh_order;
        let find = |path: &str| self.find(path);
        let host = self.surroundings.host();
        let now = self.now();
        let added = FreshOrderScope::new(&order.id.0, &order.workflow_path, order.scheduled_for, host, now, &find);
        if self.shares_scope { body(&Scopes(&[&SharedScope(&self.job_resources), &added])) } else { body(&added) }
    }

    /// The order at its position, and its workflow.
    pub(super) fn order_and_flow(&self) -> Result<(Order, Flow), Fault> {
        let workflow = self.workflow.clone().ok_or_else(|| Fault::malformed("the scope needs a workflow"))?;
        let flow = Flow::new(Arc::new(workflow));
        let fresh = &self.fresh_order;
        let workflow_position = WorkflowPosition { workflow_id: flow.id().clone(), position: self.position.clone() };
        let preparation = flow.workflow().order_preparation.as_ref();
        let arguments = self
            .with_added(|outer| prepare_arguments(preparation, &fresh.arguments, outer))
            .map_err(|problem| Fault::malformed(format!("the order is rejected: {}", problem.message)))?;
        let order = Order {
            state: OrderState::Ready,
            arguments,
            plan_id: fresh.plan_id.clone(),
            scheduled_for: fresh.scheduled_for,
            priority: fresh.priority.clone(),
            historic_outcomes: self.history.clone(),
            ..Order::fresh(fresh.id.0.clone(), workflow_position)
        };
        Ok((order, flow))
    }

    /// Calls with the scope of this kind.
    pub(super) fn with_scope(&self, check: impl FnOnce(&dyn Scope) -> Verdict) -> Verdict {
        let find = |path: &str| self.find(path);
        let host = self.surroundings.host();
        if self.kind == "freshOrder" {
            let preparation = self.workflow.as_ref().and_then(|workflow| workflow.order_preparation.as_ref());
            return self.with_added(|outer| with_parameters(preparation, &self.fresh_order.arguments, outer, check));
        }
        let (order, flow) = self.order_and_flow()?;
        if self.kind == "order" {
            return match self.now {
                Some(now) => check(&InstructionScope::new(&order, &flow, host, now, &find)),
                None => check(&OrderScope::new(&order, &flow, host)),
            };
        }
        let job_at = flow.job_at(&self.position).map_err(|problem| Fault::malformed(problem.message))?;
        let job_name = match &self.job_name {
            Some(name) => name.to_arc(),
            None => ProcessScope::job_name(&order, &job_at),
        };
        let files = TemporaryFiles::new("/tmp");
        let process = ProcessScope::new(&order, &flow, &job_at, &job_name, 1, host, self.now(), &find, &files);
        match self.kind.as_str() {
            "process" => check(&process),
            "defaultArguments" => check(&process.default_arguments()),
            "jobResourceEnv" => match self.job_resources.first() {
                Some(resource) => process.with_job_resource_env(resource, check),
                None => Err(Fault::malformed("the scope needs a JobResource")),
            },
            other => Err(Fault::malformed(format!("unknown kind of scope '{other}'"))),
        }
    }
}

/// JobResources whose variables see what the expression that names them sees.
pub(super) struct SharedScope<'a>(pub(super) &'a [JobResource]);

impl Scope for SharedScope<'_> {
    fn job_resource(
        &self,
        path: &str,
        variable: Option<&str>,
        evaluation: &mut Evaluation<'_>,
    ) -> Option<Checked<Value>> {
        let resource = self.0.iter().find(|resource| resource.path.as_str() == path)?;
        Some(match variable {
            Some(name) => match resource.variables.get(name) {
                Some(expression) => evaluation.eval(expression),
                None => Err(unknown_key("JobResource variable", &format!("{path}:{name}"))),
            },
            None => {
                let values = resource.variables.iter();
                let values = values.map(|(name, expression)| Ok((name.clone(), evaluation.eval(expression)?)));
                values.collect::<Checked<Fields>>().map(Value::Object)
            }
        })
    }
}

/// JobResources: items, or the expressions of their variables by path.
pub(super) fn job_resources(node: &Node) -> Result<Vec<JobResource>, Fault> {
    let Some(resources) = node.get("jobResources") else { return Ok(Vec::new()) };
    if let NodeKind::List(items) = &resources.kind {
        return items.iter().map(value_of).collect();
    }
    members(resources)
        .iter()
        .map(|(path, _, variables)| {
            Ok(JobResource {
                path: JobResourcePath::new(path),
                variables: value_of(variables)?,
                env: Expressions::new(),
                item_revision: None,
            })
        })
        .collect()
}
