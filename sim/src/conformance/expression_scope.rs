//! The scope of expressions, composed of what a vector gives.

use super::engine_scope::{EngineScope, SharedScope, job_resources};
use super::input::{member, members, read_optional, text};
use super::known_members;
use super::verdict::{Fault, Verdict};
use baton_workflow::expression::pattern::Pattern;
use baton_workflow::expression::scope::{
    ArgumentScope, EnvScope, FieldsScope, HistoryScope, NowScope, Scope, Scopes, UniqueOrderIdScope,
};
use baton_workflow::expression::{Expression, Origin};
use baton_workflow::id::JobResourcePath;
use baton_workflow::json::{Node, NodeKind};
use baton_workflow::model::item::JobResource;
use baton_workflow::model::job::Expressions;
use baton_workflow::schedule::TimeZone;
use baton_workflow::time::Timestamp;
use baton_workflow::value::{Fields, Name, Value};
use std::collections::BTreeMap;

const MEMBERS: &[&str] = &["named", "label", "job", "arguments", "jobResources", "env", "now", "orderIds", "fileWatch"];

/// Calls with the scope that a vector describes.
pub(super) fn with_scope(node: &Node, check: impl FnOnce(&dyn Scope) -> Verdict) -> Verdict {
    if member(node, "kind").is_some() {
        return EngineScope::read(node)?.with_scope(check);
    }
    known_members(node, MEMBERS)?;
    let fields = |name| read_optional::<Fields>(node, name).map(Option::unwrap_or_default);
    let values = |name| read_optional::<BTreeMap<Name, Fields>>(node, name).map(Option::unwrap_or_default);
    let (named, arguments) = (fields("named")?, fields("arguments")?);
    let (label, job) = (values("label")?, values("job")?);
    let latest = |origin: &Origin| match origin {
        Origin::Label(name) => label.get(name).cloned(),
        Origin::Job(name) => job.get(name).cloned(),
        Origin::Any => None,
    };
    let env = member(node, "env")
        .map_or(&[][..], members)
        .iter()
        .map(|(name, _, value)| {
            let value = value.as_str().ok_or_else(|| Fault::malformed("an environment variable is a string"))?;
            Ok((name.to_string(), value.to_owned()))
        })
        .collect::<Result<BTreeMap<_, _>, Fault>>()?;
    let now = read_optional::<Timestamp>(node, "now")?;
    let utc = TimeZone::utc();
    let now_scope = NowScope { now: now.unwrap_or(Timestamp::EPOCH), zone: &utc };
    let order_ids = read_optional::<Vec<String>>(node, "orderIds")?.unwrap_or_default();
    let exists = |id: &str| order_ids.iter().any(|known| known == id);
    let file = file_watch(node)?;
    let resources = resources(node)?;
    let resources = SharedScope(&resources);

    let history = HistoryScope { outcomes: &[], latest: &latest };
    let (named, arguments, file) = (FieldsScope(&named), ArgumentScope(&arguments), FieldsScope(&file));
    let (env, unique) = (EnvScope(&env), UniqueOrderIdScope { exists: &exists });
    let mut scopes: Vec<&dyn Scope> = vec![&named, &history, &arguments, &file, &env, &unique];
    if now.is_some() {
        scopes.push(&now_scope);
    }
    scopes.push(&resources);
    check(&Scopes(&scopes))
}

/// What an expression sees of a file: its watch, and the groups of the pattern as `$0`, `$1`, ….
fn file_watch(node: &Node) -> Result<Fields, Fault> {
    let Some(watch) = node.get("fileWatch") else { return Ok(Fields::default()) };
    known_members(watch, &["orderWatchPath", "pattern", "filename"])?;
    let filename = text(watch, "filename")?;
    let pattern = Pattern::new(text(watch, "pattern")?.into());
    let groups = pattern
        .groups(filename)
        .map_err(|problem| Fault::malformed(problem.message))?
        .ok_or_else(|| Fault::malformed("the pattern does not match the file name"))?;
    let watch_path = (Name::from("orderWatchPath"), Value::from(text(watch, "orderWatchPath")?));
    let groups = groups.into_iter().enumerate();
    Ok(groups
        .map(|(i, group)| (Name::from(i.to_string()), Value::from(group.unwrap_or_default())))
        .chain([watch_path])
        .collect())
}

/// JobResources: an object of their variables' values, or a list of items.
fn resources(node: &Node) -> Result<Vec<JobResource>, Fault> {
    let Some(Node { kind: NodeKind::Object(resources), .. }) = node.get("jobResources") else {
        return job_resources(node);
    };
    let constant =
        |value: &Node| Expression::constant(value.to_value()).map_err(|problem| Fault::malformed(problem.message));
    resources
        .iter()
        .map(|(path, _, variables)| {
            let variables = members(variables).iter().map(|(name, _, value)| Ok((name.clone(), constant(value)?)));
            Ok(JobResource {
                path: JobResourcePath::new(path),
                variables: variables.collect::<Result<_, Fault>>()?,
                env: Expressions::new(),
                item_revision: None,
            })
        })
        .collect()
}
