//! What the expressions of a job see, and the environment and arguments of its process.

use super::job_resource::{FindJobResource, variable_of};
use super::{ExpressionsScope, Host, JobScope, OrderScope, TemporaryFiles, named_values, v1_named_values};
use crate::expression::Expression;
use crate::expression::Origin;
use crate::expression::evaluation::{Evaluation, Failure};
use crate::expression::scope::{Call, NowScope, Scope, Scopes, unknown_key};
use crate::flow::{Flow, JobAt};
use crate::model::item::JobResource;
use crate::model::job::{Executable, Expressions};
use crate::model::order::Order;
use crate::problem::Checked;
use crate::time::Timestamp;
use crate::value::{Fields, Name, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Environment variables of a process, besides those it inherits. `None` unsets a variable.
pub type Environment = BTreeMap<Name, Option<Arc<str>>>;

/// What `env` and `arguments` of an executable see: values of the order, of the job, the time, job resources, files, and at last
/// default arguments, which do not see each other.
pub struct ProcessScope<'a> {
    order: OrderScope<'a>,
    job: JobScope<'a>,
    instruction_defaults: &'a Expressions,
    now: NowScope<'a>,
    job_resources: &'a FindJobResource<'a>,
    files: &'a TemporaryFiles<'a>,
}

impl<'a> ProcessScope<'a> {
    /// For an order which executes a job. `job_name` is the name of the job, or the position of an anonymous one
    /// ([`Self::job_name`]); `execution_count` tells how often the job has been executed, this time included.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "all that a job may ask for")]
    pub fn new(
        order: &'a Order,
        flow: &'a Flow,
        job_at: &JobAt<'a>,
        job_name: &'a str,
        execution_count: u32,
        host: Host<'a>,
        now: Timestamp,
        job_resources: &'a FindJobResource<'a>,
        files: &'a TemporaryFiles<'a>,
    ) -> Self {
        Self {
            order: OrderScope::new(order, flow, host),
            job: JobScope { name: job_name, job: job_at.job, execution_count },
            instruction_defaults: job_at.default_arguments,
            now: NowScope { now, zone: host.zone },
            job_resources,
            files,
        }
    }

    /// The name of the job, or the position of an anonymous one.
    #[must_use]
    pub fn job_name(order: &Order, job_at: &JobAt<'_>) -> Name {
        match job_at.name {
            Some(name) => name.to_arc(),
            None => order.position().normalized().to_string().into(),
        }
    }

    /// The scope of default arguments: that of the process without time, files and default arguments.
    #[must_use]
    pub fn default_arguments(&self) -> impl Scope {
        DefaultArguments(self)
    }

    /// The environment of the process. Later ones override: order values for old jobs, the executable's, the job resources',
    /// the first of these having the last word.
    ///
    /// # Errors
    /// The first expression which fails or gives a list or object; an unknown job resource.
    pub fn environment(&self) -> Checked<Environment> {
        let executable = &self.job.job.executable;
        let mut environment = Environment::new();
        if executable.is_v1_compatible() {
            self.add_v1_variables(&mut environment);
        }
        if let Some(expressions) = executable.env() {
            add_evaluated(expressions, self, &mut environment)?;
        }
        for resource in self.resources()?.into_iter().rev() {
            self.with_job_resource_env(resource, |scope| add_evaluated(&resource.env, scope, &mut environment))?;
        }
        Ok(environment)
    }

    /// The arguments of a built-in job: all values of the order, overridden by the executable's.
    ///
    /// # Errors
    /// The first expression which fails.
    pub fn arguments(&self) -> Checked<Fields> {
        let preparation = self.order.place.flow.workflow().order_preparation.as_ref();
        let values = named_values(self.order.order(), preparation);
        let Executable::InternalExecutable { arguments, .. } = &self.job.job.executable else {
            return Ok(values);
        };
        let evaluated = arguments.iter().map(|(name, expression)| Ok((name.clone(), expression.eval(self)?)));
        Ok(values.overridden_by(&evaluated.collect::<Checked<Fields>>()?))
    }

    /// Runs `body` with what the `env` of a job resource sees: its variables as `$name`, and what these see. Never values of the
    /// order.
    pub fn with_job_resource_env<T>(&self, resource: &JobResource, body: impl FnOnce(&dyn Scope) -> T) -> T {
        let facts = self.facts();
        let within = Scopes(&facts);
        let variables = ExpressionsScope { expressions: &resource.variables, within: &within };
        body(&Scopes(&[&within, &variables]))
    }

    /// The job resources of the job, then those of the workflow, each once.
    fn resources(&self) -> Checked<Vec<&'a JobResource>> {
        let mut resources: Vec<&'a JobResource> = Vec::new();
        let workflow = self.order.place.flow.workflow();
        for path in self.job.job.job_resource_paths.iter().chain(&workflow.job_resource_paths) {
            let resource =
                (self.job_resources)(path.as_str()).ok_or_else(|| unknown_key("JobResource", path.as_str()))?;
            if !resources.iter().any(|known| known.path == *path) {
                resources.push(resource);
            }
        }
        Ok(resources)
    }

    /// Everything but values of the order, job resources and defaults.
    fn facts(&self) -> [&dyn Scope; 6] {
        [&self.job, &self.order.place, &self.order.identity, &self.order.env, &self.now, self.files]
    }

    /// Lists and objects are left out.
    fn add_v1_variables(&self, environment: &mut Environment) {
        let preparation = self.order.place.flow.workflow().order_preparation.as_ref();
        for (name, value) in v1_named_values(self.order.order(), preparation).iter() {
            let text: Arc<str> = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string().into(),
                Value::Boolean(value) => value.to_string().into(),
                Value::Missing | Value::List(_) | Value::Object(_) => continue,
            };
            environment.insert(format!("SCHEDULER_PARAM_{}", name.to_uppercase()).into(), Some(text));
        }
    }
}

fn add_evaluated(expressions: &Expressions, scope: &dyn Scope, environment: &mut Environment) -> Checked<()> {
    let mut add = |name: &Name, expression: &Expression| {
        environment.insert(name.clone(), expression.eval_to_optional_string(scope)?);
        Ok(())
    };
    expressions.iter().try_for_each(|(name, expression)| add(name, expression))
}

impl Scope for ProcessScope<'_> {
    fn named_value(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        let within = DefaultArguments(self);
        let instruction_defaults = ExpressionsScope { expressions: self.instruction_defaults, within: &within };
        let job_defaults = ExpressionsScope { expressions: &self.job.job.default_arguments, within: &within };
        let parts: [&dyn Scope; 5] = [&self.job, &self.order, &self.now, &instruction_defaults, &job_defaults];
        Scopes(&parts).named_value(name, evaluation)
    }

    fn argument(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.order.argument(name, evaluation)
    }

    fn historic_value(&self, origin: &Origin, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.order.historic_value(origin, name, evaluation)
    }

    fn job_resource(
        &self,
        path: &str,
        variable: Option<&str>,
        evaluation: &mut Evaluation<'_>,
    ) -> Option<Checked<Value>> {
        Some(variable_of(self.job_resources, path, variable, &Scopes(&self.facts()), evaluation))
    }

    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        Scopes(&self.facts()).call(call, evaluation)
    }
}

/// What default arguments see.
struct DefaultArguments<'p, 'a>(&'p ProcessScope<'a>);

impl Scope for DefaultArguments<'_, '_> {
    fn named_value(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        Scopes(&[&self.0.job, &self.0.order]).named_value(name, evaluation)
    }

    fn argument(&self, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.0.argument(name, evaluation)
    }

    fn historic_value(&self, origin: &Origin, name: &str, evaluation: &mut Evaluation<'_>) -> Option<Checked<Value>> {
        self.0.historic_value(origin, name, evaluation)
    }

    fn job_resource(
        &self,
        path: &str,
        variable: Option<&str>,
        evaluation: &mut Evaluation<'_>,
    ) -> Option<Checked<Value>> {
        self.0.job_resource(path, variable, evaluation)
    }

    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        self.0.order.call(call, evaluation)
    }
}
