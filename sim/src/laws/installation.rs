//! A controller with its agents, and what may happen to them.

use super::agent::Agent;
use super::choices::Choices;
use super::command;
use super::instruction::{AGENTS, WORKFLOWS, workflow};
use super::node::{Clock, Node, check_json};
use super::story::Story;
use baton_workflow::command::execute;
use baton_workflow::id::ControllerId;
use baton_workflow::json::{from_text, print};
use baton_workflow::model::command::Command;
use baton_workflow::state::State;
use baton_workflow::step::Agenda;
use baton_workflow::time::{Duration, Timestamp};
use baton_workflow::value::Value;

/// 2025-01-01T12:00Z
const START: Timestamp = Timestamp::from_millis(1_735_732_800_000);

/// Most rounds until everything that can go on without time, people and files has gone on.
const MOST_ROUNDS: usize = 200;

/// The installation.
pub(super) struct Installation {
    clock: Clock,
    controller: Node,
    agents: Vec<Agent>,
    version: usize,
    story: Story,
}

impl Installation {
    /// With items, and workflows made of choices.
    pub(super) fn new(choices: &mut Choices<'_>, story: &Story) -> Self {
        let id = ControllerId::new("Controller");
        let mut installation = Self {
            clock: Clock::new(START),
            controller: Node::new(State::controller(id.clone()), story),
            agents: AGENTS.iter().map(|path| Agent::new(path, &id, story)).collect(),
            version: 0,
            story: story.clone(),
        };
        let first_items = command::update(command::first_items(), Vec::new(), 0);
        installation.command(&first_items);
        for path in WORKFLOWS {
            installation.version += 1;
            let workflow = workflow(choices, path);
            installation.command(&command::update(Vec::new(), vec![workflow], installation.version));
        }
        installation
    }

    /// Lets something happen.
    pub(super) fn happen(&mut self, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0..=6 => {
                let command = command::command(choices, self.controller.state(), &mut self.version);
                self.command(&command);
            }
            7 | 8 => self.wait(choices),
            9 => {
                let agent = &mut self.agents[choices.below(AGENTS.len())];
                agent.obey(&self.clock, &mut self.controller, choices.once_in(2));
            }
            10 => {
                let agent = &mut self.agents[choices.below(AGENTS.len())];
                let count = 1 + choices.below(8);
                agent.report(&self.clock, &mut self.controller, count);
            }
            11 | 12 => {
                let agent = &mut self.agents[choices.below(AGENTS.len())];
                agent.work(&self.clock, choices);
            }
            13 => {
                self.controller.restore();
                for agent in &mut self.agents {
                    agent.node_mut().restore();
                }
            }
            _ => {
                self.round(choices);
            }
        }
    }

    /// Everything goes on as far as it can at the present time.
    pub(super) fn come_to_rest(&mut self) {
        let mut choices = Choices::new(&[]);
        for _ in 0..MOST_ROUNDS {
            if !self.round(&mut choices) {
                return;
            }
        }
    }

    /// Agents get what is on its way to them, work, and report. Whether anything happened.
    fn round(&mut self, choices: &mut Choices<'_>) -> bool {
        let mut happened = false;
        for agent in &mut self.agents {
            happened |= agent.obey(&self.clock, &mut self.controller, true);
            happened |= agent.work(&self.clock, choices);
            happened |= agent.report(&self.clock, &mut self.controller, usize::MAX);
        }
        happened
    }

    fn command(&mut self, command: &Value) {
        self.story.tell(|| print(command));
        // What has no right form never reaches the engine.
        let command = match from_text::<Command>(&print(command)) {
            Ok(command) => command,
            Err(problem) => return self.story.tell(|| format!("    unreadable: {problem}")),
        };
        check_json(&command);
        let clock = &self.clock;
        let _ = self.controller.decide(|state, events| {
            execute(state, clock.around(), &command, &mut Agenda::default(), events).map(|_| ())
        });
        self.controller.check_rest(clock);
    }

    fn wait(&mut self, choices: &mut Choices<'_>) {
        let until = match choices.below(8) {
            0..=3 => self.next_due(),
            n => {
                let seconds = [1, 60, 3600, 86_400, 40 * 86_400][n - 4 + choices.below(2)];
                Some(self.clock.now + Duration::from_secs(seconds))
            }
        };
        let Some(until) = until else { return };
        self.clock.now = until;
        self.story.tell(|| format!("It is {until}"));
        let clock = &self.clock;
        self.controller.carry_out(|state, events| {
            let ends = state.notices().decide_ends(clock.now, usize::MAX);
            for event in ends {
                state.take(&event);
                events.push(event);
            }
            let deletions = state.plans().decide_deletions(state.notices(), clock.now);
            for event in deletions {
                state.take(&event);
                events.push(event);
            }
        });
        self.controller.step_all(clock);
        self.controller.check_rest(clock);
        for agent in &mut self.agents {
            agent.wait(clock);
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        let nodes = self.agents.iter().map(Agent::node).chain([&self.controller]);
        let state = self.controller.state();
        nodes
            .flat_map(|node| node.state().orders().filter_map(|order| order.delayed_until()))
            .chain(state.notices().next_end_of_life())
            .chain(state.plans().next_deletion())
            .filter(|until| *until > self.clock.now)
            .min()
    }
}
