//! Agents and subagents, as the controller knows them: what they are, whether they can be reached, and why not.

use super::answer::{Answer, Refusal, number, object, ok};
use super::listing::{LONGEST_PAGE, PAGE, Page, stamped, value};
use super::query::Query;
use super::{Api, Shown};
use baton_machine::controller::Controller;
use baton_machine::relations::{AgentRelation, Relations};
use baton_protocol::event_id::EventId;
use baton_workflow::id::{AgentPath, SubagentId};
use baton_workflow::json::Json as _;
use baton_workflow::model::item::{AgentRef, Item};
use baton_workflow::model::key::ItemKey;
use baton_workflow::state::subagent::SubagentState;
use baton_workflow::value::{Name, Value};

/// `GET /controller/api/agent`
pub(super) async fn agents(api: &Api, query: Query<'_>) -> Result<Answer, Refusal> {
    let limit = query.limit(PAGE, LONGEST_PAGE)?;
    let after = query.text("after").map(AgentPath::checked).transpose()?;
    let wanted = move |path: &AgentPath| after.as_ref().is_none_or(|after| path > after);
    let Shown { seen, event_id } = api.look(move |controller| look_at_agents(controller, limit + 1, wanted)).await?;
    let mut page = Page::new("agents");
    page.event_id = Some(event_id);
    page.fill(limit, seen);
    Ok(page.into_answer())
}

/// `GET /controller/api/agent/PATH`
pub(super) async fn agent(api: &Api, path: &str) -> Result<Answer, Refusal> {
    let path = AgentPath::checked(path)?;
    let wanted = path.clone();
    let Shown { seen, event_id } =
        api.look(move |controller| look_at_agents(controller, 1, |path| *path == wanted)).await?;
    match seen.into_iter().next() {
        Some((_, agent)) => Ok(ok(&stamped(event_id, agent))),
        None => Err(Refusal::not_found(baton_workflow::state::items::unknown_item(&ItemKey::Agent(path)))),
    }
}

/// `GET /controller/api/subagent`
pub(super) async fn subagents(api: &Api, query: Query<'_>) -> Result<Answer, Refusal> {
    let limit = query.limit(PAGE, LONGEST_PAGE)?;
    let after = query.text("after").map(SubagentId::checked).transpose()?;
    let wanted = move |id: &SubagentId| after.as_ref().is_none_or(|after| id > after);
    let Shown { seen, event_id } = api.look(move |controller| look_at_subagents(controller, limit + 1, wanted)).await?;
    let mut page = Page::new("subagents");
    page.event_id = Some(event_id);
    page.fill(limit, seen);
    Ok(page.into_answer())
}

/// `GET /controller/api/subagent/ID`
pub(super) async fn subagent(api: &Api, id: &str) -> Result<Answer, Refusal> {
    let id = SubagentId::checked(id)?;
    let wanted = id.clone();
    let Shown { seen, event_id } =
        api.look(move |controller| look_at_subagents(controller, 1, |id| *id == wanted)).await?;
    match seen.into_iter().next() {
        Some((_, subagent)) => Ok(ok(&stamped(event_id, subagent))),
        None => Err(Refusal::not_found(baton_workflow::state::items::unknown_item(&ItemKey::Subagent(id)))),
    }
}

fn look_at_subagents(
    controller: &Controller,
    most: usize,
    is_wanted: impl Fn(&SubagentId) -> bool,
) -> Vec<(String, Value)> {
    let relations = controller.replica().relations();
    let wanted = relations.subagents.iter().filter(|(id, _)| is_wanted(id)).take(most);
    let json = |(id, subagent): (&SubagentId, &SubagentState)| {
        let is_told = controller.is_coupled_with(&subagent.item().agent_path);
        (id.to_string(), subagent_json(relations, id, subagent, is_told))
    };
    wanted.map(json).collect()
}

/// `is_told` says whether the agent is coupled, and so tells of it.
fn subagent_json(relations: &Relations, id: &SubagentId, subagent: &SubagentState, is_told: bool) -> Value {
    let mut members: Vec<(Name, Value)> = vec![
        ("id".into(), id.write()),
        ("agentPath".into(), subagent.item().agent_path.write()),
        ("isReachable".into(), Value::Boolean(subagent.is_reachable())),
        ("isSelectable".into(), Value::Boolean(subagent.is_selectable())),
        ("agentIsCoupled".into(), Value::Boolean(is_told)),
        ("isDisabled".into(), Value::Boolean(subagent.item().disabled)),
        ("processes".into(), number(subagent.process_count() as u64)),
    ];
    let since = relations.subagents_since.get(id).map(|since| EventId(*since));
    members.extend(since.map(|since| ("since".into(), Value::from(since.timestamp().as_millis()))));
    if let Value::Object(state) = subagent.to_json() {
        members.extend(state.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Value::Object(members.into_iter().collect())
}

fn look_at_agents(
    controller: &Controller,
    most: usize,
    is_wanted: impl Fn(&AgentPath) -> bool,
) -> Vec<(String, Value)> {
    let agents = controller.state().items().simple().filter_map(|item| match item {
        Item::AgentRef(agent) if is_wanted(&agent.path) => Some(agent),
        _ => None,
    });
    agents.take(most).map(|agent| (agent.path.to_string(), agent_json(controller, agent))).collect()
}

fn agent_json(controller: &Controller, agent: &AgentRef) -> Value {
    let relations = controller.replica().relations();
    let relation = relations.agents.get(&agent.path);
    let subagents: Vec<(&SubagentId, &SubagentState)> =
        relations.subagents.iter().filter(|(_, subagent)| subagent.item().agent_path == agent.path).collect();
    let processes: usize = subagents.iter().map(|(_, subagent)| subagent.process_count()).sum();
    let is_limit_reached = agent.process_limit.is_some_and(|limit| processes >= limit as usize);
    let has_subagent = subagents.iter().any(|(_, subagent)| subagent.is_selectable());
    let is_coupled = controller.is_coupled_with(&agent.path);
    let subagents = subagents.iter().map(|(id, subagent)| subagent_json(relations, id, subagent, is_coupled));
    let mut members = vec![
        ("path", agent.path.write()),
        ("agentRef", Item::AgentRef(agent.clone().into()).write()),
        ("isCoupled", Value::Boolean(is_coupled)),
        ("couplingState", coupling_state(relation)),
        ("processes", number(processes as u64)),
        ("isLimitReached", Value::Boolean(is_limit_reached)),
        ("hasSelectableSubagent", Value::Boolean(has_subagent)),
        ("subagents", Value::list(subagents)),
    ];
    if let Some(relation) = relation {
        members.extend(relation.run_id.as_deref().map(|id| ("agentRunId", Value::from(id))));
        members.push(("eventId", number(relation.adopted.0)));
        if relation.since > EventId::BEFORE_FIRST {
            members.push(("since", Value::from(relation.since.timestamp().as_millis())));
        }
        members.extend(relation.problem.as_ref().map(|problem| ("problem", problem.clone().recorded().write())));
    }
    value(members)
}

fn coupling_state(relation: Option<&AgentRelation>) -> Value {
    let named = |name: &str| object([("TYPE", Value::from(name))]);
    match relation {
        Some(AgentRelation { resetting: Some(force), .. }) => {
            object([("TYPE", Value::from("Resetting")), ("force", Value::Boolean(*force))])
        }
        Some(AgentRelation { is_coupled: true, .. }) => named("Coupled"),
        Some(AgentRelation { run_id: Some(_), .. }) => named("ShutDown"),
        _ => object([("TYPE", Value::from("Reset")), ("reason", Value::from("Fresh"))]),
    }
}
