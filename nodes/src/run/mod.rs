//! `baton run`: runs one workflow now, with all nodes in this process, and shows what happens.
//!
//! The nodes are the same as in production and talk over links; only their clients differ. The run ends when its order does,
//! or when nobody but an operator could move it on. The exit status says how: 0 finished, 1 failed, 2 unusable input, 3 broken
//! off, 128 plus the number of the signal that ended it.

mod items;
mod json;
mod lines;
mod nodes;
mod prompt;
mod report;
mod signals;
mod terminal;
mod view;

use crate::cli::RunArguments;
use crate::driver::{Halt, Halted, Saying};
use crate::host::controller::{Client, Unanswered};
use baton_machine::codec::Stamped;
use baton_protocol::event_id::EventId;
use baton_workflow::id::{GivenOrderId, OrderId};
use baton_workflow::model::command::{Command, OrderIds};
use baton_workflow::model::event::Event;
use baton_workflow::model::order::{CancellationMode, FreshOrder, Kill, OrderState};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::plan::PlanId;
use baton_workflow::problem::Problem;
use items::{Items, Unusable};
use json::JsonReport;
use nodes::{Memory, Nodes, StartFailure};
use prompt::{Answer, Answering, Questions};
use report::{HOW_TO_ANSWER, Report};
use signals::Signals;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use terminal::TerminalReport;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use view::{End, How, View};

/// How often the screen is renewed.
const SCREEN: Duration = Duration::from_millis(200);

/// So long it may take that everything ends, when the order has.
const STOPPING: Duration = Duration::from_secs(5);

/// Parts of the event stream that may wait for being shown.
const PARTS: usize = 4;

/// Why a run failed that is not due to the workflow.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What was given cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The controller refuses the items or the order.
    #[error("{0}")]
    Refused(Problem),
    /// The nodes do not start.
    #[error(transparent)]
    Start(#[from] StartFailure),
    /// A node has halted.
    #[error("the run has broken off, {0}")]
    Halted(Halted),
    /// The controller does not answer.
    #[error("the run has broken off, {0}")]
    Unanswered(#[from] Unanswered),
    /// The events make no sense.
    #[error("a bug: the events of the controller contradict each other: {0}")]
    Contradiction(Problem),
    /// Nobody takes the output.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// The operating system refuses something.
    #[error("the operating system refuses {0}: {1}")]
    System(&'static str, io::Error),
}

impl Failure {
    /// What became of the order, as far as that is known.
    fn how(&self) -> How {
        match self {
            Self::Unusable(_) | Self::Refused(_) | Self::Start(_) | Self::System(..) => How::NotRun,
            Self::Halted(_) | Self::Unanswered(_) | Self::Contradiction(_) | Self::Output(_) => How::BrokenOff,
        }
    }

    fn status(&self) -> u8 {
        match self {
            Self::Unusable(_) | Self::Refused(_) => 2,
            Self::Start(StartFailure::Halt(Halt::Journal(_))) => 2,
            Self::Start(
                StartFailure::NothingToResume(_) | StartFailure::JournalExists(_) | StartFailure::NotAJournal(_),
            ) => 2,
            Self::Start(_) | Self::System(..) => 1,
            Self::Halted(_) | Self::Unanswered(_) | Self::Contradiction(_) | Self::Output(_) => 3,
        }
    }
}

/// Runs the workflow and returns the exit status.
#[must_use]
pub fn main(arguments: &RunArguments) -> ExitCode {
    let is_json = arguments.json || !io::stdout().is_terminal();
    let mut report = if is_json { Report::Json(JsonReport::new()) } else { Report::Terminal(TerminalReport::new()) };
    let result = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(run(arguments, &mut report));
            // A person may still be asked; that thread ends with the process.
            runtime.shutdown_timeout(Duration::ZERO);
            result
        }
        Err(error) => Err(Failure::System("threads", error)),
    };
    let (end, status) = match result {
        Ok(ended) => ended,
        Err(failure) => (End { how: failure.how(), reason: Some(failure.to_string()) }, failure.status()),
    };
    // Where nobody can be told, the status must do.
    let told = report.end(&end, status);
    if let (How::NotRun | How::BrokenOff, Some(reason)) = (end.how, &end.reason) {
        let _ = writeln!(io::stderr(), "baton run: {reason}");
    }
    match told {
        Err(error) if !matches!(end.how, How::BrokenOff) => {
            let failure = Failure::Output(error);
            let _ = writeln!(io::stderr(), "baton run: {failure}");
            ExitCode::from(failure.status())
        }
        _ => ExitCode::from(status),
    }
}

/// Runs the workflow. Says how the order ended, and with which exit status the process is to end.
async fn run(arguments: &RunArguments, report: &mut Report) -> Result<(End, u8), Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::System("signals", error))?;
    let items = Items::read(&arguments.file, arguments.items.as_deref())?;
    let order = fresh_order(arguments, &items)?;
    report.set_order(&order.id.0);
    let memory = match &arguments.journal {
        Some(path) => Memory::Folder { path: path.clone(), resume: arguments.resume },
        None => Memory::None,
    };
    let executables = arguments.file.parent().unwrap_or(Path::new("."));
    let mut nodes = tokio::select! {
        nodes = Nodes::start(&items, &memory, executables) => nodes?,
        status = signals.first() => {
            return Ok((End { how: How::NotRun, reason: Some("interrupted before it began".to_owned()) }, status));
        }
    };
    signals.set_launcher(nodes.launcher());
    let client = nodes.client.clone();
    let begun = tokio::select! {
        run = Run::begin(arguments, &items, order, client, report) => run,
        halted = nodes.news.halted() => Err(Failure::Halted(halted)),
    };
    let result = match begun {
        Ok(run) => run.follow(&mut nodes, &mut signals).await,
        Err(failure) => Err(failure),
    };
    let result = match result {
        // Why it has ended is about to be told.
        Err(Failure::Unanswered(Unanswered::Gone)) => {
            let halted = timeout(STOPPING, nodes.news.halted()).await;
            Err(halted.map_or(Failure::Unanswered(Unanswered::Gone), Failure::Halted))
        }
        result => result,
    };
    // A node that has halted may not stop in time.
    let _ = timeout(STOPPING, nodes.stop()).await;
    result
}

fn fresh_order(arguments: &RunArguments, items: &Items) -> Result<FreshOrder, Failure> {
    let path = &items.workflow.path;
    let id = arguments.order_id.clone().unwrap_or_else(|| items::default_order_id(path));
    Ok(FreshOrder {
        id: GivenOrderId(OrderId::given(&id).map_err(Failure::Refused)?),
        workflow_path: path.clone(),
        plan_id: PlanId::Global,
        arguments: items.arguments(&arguments.arguments)?,
        scheduled_for: None,
        priority: 0.into(),
        delete_when_terminated: false,
        force_admission: false,
        inner_block: Default::default(),
        start_position: None,
        stop_positions: Vec::new(),
    })
}

/// A run under way.
struct Run<'a> {
    client: Client,
    view: View,
    after: EventId,
    report: &'a mut Report,
    answering: Answering,
    questions: Questions,
    /// The exit status that the signal asks for which came.
    interrupted: Option<u8>,
    /// Why the run cancels its order itself.
    giving_up: Option<String>,
}

impl<'a> Run<'a> {
    /// Gives the controller what it needs, and the order, unless it has it already.
    async fn begin(
        arguments: &RunArguments,
        items: &Items,
        order: FreshOrder,
        client: Client,
        report: &'a mut Report,
    ) -> Result<Self, Failure> {
        let root = order.id.0.clone();
        let looked = client.look(|controller| (controller.state().clone(), controller.replica().last_event_id()));
        let (state, after) = looked.await?.map_err(Failure::Refused)?;
        let is_known = state.order(&root).is_some();
        let run = Self {
            client,
            view: View::of(root, state),
            after,
            report,
            answering: Answering::new(arguments.yes),
            questions: Questions::default(),
            interrupted: None,
            giving_up: None,
        };
        if !is_known {
            run.command(items.update()).await?.map_err(Failure::Refused)?;
            run.command(Command::AddOrder { order }).await?.map_err(Failure::Refused)?;
        }
        Ok(run)
    }

    /// Follows the order to its end.
    async fn follow(mut self, nodes: &mut Nodes, signals: &mut Signals) -> Result<(End, u8), Failure> {
        let (part, mut parts) = mpsc::channel(PARTS);
        tokio::spawn(read_events(self.client.clone(), self.after, part));
        let mut screen = interval(SCREEN);
        screen.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let asking: Vec<OrderId> = self
            .view
            .living()
            .filter(|order| matches!(order.state, OrderState::Prompting { .. }))
            .map(|order| order.id.clone())
            .collect();
        for order in asking {
            self.ask(order).await?;
        }
        loop {
            if let Some(end) = self.view.end().cloned() {
                while let Some(warning) = nodes.news.warning() {
                    self.report.warning(&warning).map_err(Failure::Output)?;
                }
                return Ok(self.finish(end));
            }
            tokio::select! {
                biased;
                status = signals.first() => {
                    self.interrupted = Some(status);
                    self.note("interrupted: the order is being cancelled; once more to end at once")?;
                    self.cancel().await?;
                }
                saying = nodes.news.next() => match saying {
                    Saying::Halted(halted) => return Err(Failure::Halted(halted)),
                    Saying::Warning(warning) => self.report.warning(&warning).map_err(Failure::Output)?,
                },
                events = parts.recv() => {
                    let events = events.unwrap_or(Err(Unanswered::Gone))?;
                    self.take(events).await?;
                }
                answer = self.questions.answered() => self.answered(answer).await?,
                _ = screen.tick() => self.report.show(&self.view).map_err(Failure::Output)?,
            }
        }
    }

    async fn take(&mut self, events: Vec<Stamped>) -> Result<(), Failure> {
        for stamped in events {
            self.view.apply(&stamped).map_err(Failure::Contradiction)?;
            self.report.event(&self.view, &stamped).map_err(Failure::Output)?;
            self.after = stamped.event_id;
            match stamped.event {
                Event::Order(id, OrderEvent::OrderPrompted { .. }) => self.ask(id).await?,
                Event::Order(id, OrderEvent::OrderPromptAnswered | OrderEvent::OrderStateReset) => {
                    self.questions.forget(&id);
                    self.put_question()?;
                }
                _ => {}
            }
        }
        self.report.show(&self.view).map_err(Failure::Output)?;
        Ok(self.client.release(self.after).await?)
    }

    /// A question of the workflow.
    async fn ask(&mut self, order: OrderId) -> Result<(), Failure> {
        match self.answering {
            Answering::Yes => self.answer(order).await,
            Answering::Person => {
                self.questions.ask(order);
                self.put_question()
            }
            Answering::Nobody => self.give_up().await,
        }
    }

    /// Puts the next question to the person, when it is its turn.
    fn put_question(&mut self) -> Result<(), Failure> {
        if self.interrupted.is_some() || self.giving_up.is_some() {
            return Ok(());
        }
        let Some(order) = self.questions.next() else { return Ok(()) };
        self.report.question(&self.view, &order).map_err(Failure::Output)
    }

    /// The person has answered something.
    async fn answered(&mut self, answer: Answer) -> Result<(), Failure> {
        match answer {
            Answer::Yes(order) => {
                self.report.line_was_typed();
                // The event of it lets the next question be put.
                self.answer(order).await
            }
            Answer::Unclear { is_line } => {
                if is_line {
                    self.report.line_was_typed();
                }
                self.note(&format!("that is no yes: {HOW_TO_ANSWER}"))
            }
            Answer::Gone => {
                self.answering = Answering::Nobody;
                self.questions = Questions::default();
                self.give_up().await
            }
        }
    }

    /// Nobody answers.
    async fn give_up(&mut self) -> Result<(), Failure> {
        if self.giving_up.is_none() {
            let reason = "the workflow asks a question, but standard input is no terminal; --yes answers all questions";
            self.giving_up = Some(reason.to_owned());
            self.cancel().await?;
        }
        Ok(())
    }

    async fn answer(&mut self, order_id: OrderId) -> Result<(), Failure> {
        // It may have been cancelled meanwhile.
        drop(self.command(Command::AnswerOrderPrompt { order_id }).await?);
        Ok(())
    }

    /// Cancels everything that lives, each for itself: one that cannot be cancelled must not keep the others alive.
    async fn cancel(&mut self) -> Result<(), Failure> {
        let kill = Some(Kill { immediately: false, workflow_position: None });
        let mode = CancellationMode::FreshOrStarted { kill };
        let commands = self
            .view
            .living()
            .map(|order| Command::CancelOrders {
                order_ids: OrderIds::These(vec![order.id.clone()]),
                mode: mode.clone(),
            })
            .collect();
        drop(self.command(Command::Batch { commands }).await?);
        Ok(())
    }

    fn finish(self, end: End) -> (End, u8) {
        let end = match (self.giving_up, end.how) {
            (Some(reason), How::Cancelled) => End { how: How::Failed, reason: Some(reason) },
            _ => end,
        };
        let status = match (self.interrupted, end.how) {
            (_, How::Finished) => 0,
            (Some(status), _) => status,
            (None, _) => 1,
        };
        (end, status)
    }

    fn note(&mut self, text: &str) -> Result<(), Failure> {
        self.report.note(text).map_err(Failure::Output)
    }

    async fn command(
        &self,
        command: Command,
    ) -> Result<Result<baton_workflow::model::command::Response, Problem>, Failure> {
        Ok(self.client.command(command).await?.answer)
    }
}

/// Reads events until nobody wants them, or the controller does not answer.
async fn read_events(client: Client, mut after: EventId, parts: mpsc::Sender<Result<Vec<Stamped>, Unanswered>>) {
    loop {
        let events = client.events(after).await;
        let last = events.as_ref().ok().and_then(|events| events.last()).map(|event| event.event_id);
        // Who does not want events, does not want to know that there are none, either.
        let is_wanted = parts.send(events).await.is_ok();
        match last {
            Some(last) if is_wanted => after = last,
            _ => return,
        }
    }
}
