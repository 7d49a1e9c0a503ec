//! `cargo bench -p baton --bench orders [-- COUNT …]`: what orders cost which wait for their time at the controller: memory of
//! each, time to add and to start one, size of the image, and time until a restarted controller is ready.
//!
//! The machine is that of production. Its journal is confirmed at once, so that only the engine is measured.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use baton_machine::controller::{Controller, ControllerConfig, ControllerInput};
use baton_machine::host::CallerId;
use baton_machine::replica::Locality;
use baton_machine::timing::Timing;
use baton_protocol::journal::{Journal, Recovered, Stored};
use baton_protocol::limit::Limits;
use baton_protocol::machine::Input;
use baton_protocol::node::Node;
use baton_protocol::outbox::Effect;
use baton_protocol::time::{Instant as Monotonic, Now, Timestamp};
use baton_workflow::id::ControllerId;
use baton_workflow::json::from_text;
use baton_workflow::model::command::Command;
use std::error::Error;
use std::time::{Duration, Instant};

/// Orders of one command.
const BATCH: usize = 1_000;
/// Of these one starts now, the others wait, so that the cost of a step among so many is seen.
const STARTED: usize = 1_000;
const START: i64 = 1_700_000_000_000;
const WAIT_UNTIL: i64 = 4_000_000_000_000;

const ITEMS: &str = r#"{"TYPE": "UpdateItems", "operations": [
  {"TYPE": "AddVersion", "versionId": "1"},
  {"TYPE": "AddOrChangeVersioned", "item": {"TYPE": "Workflow", "path": "W", "orderPreparation": {"parameters":
    {"customer": {"type": "String"}}}, "instructions": [{"TYPE": "Prompt", "question": "'Go on?'"}]}}]}"#;

struct Host {
    node: Node<Controller>,
    callers: u64,
}

impl Host {
    fn start(controller: Controller) -> Self {
        let node = Node::new(controller, Journal::alone(Recovered::default(), Limits::DEFAULT));
        let mut host = Self { node, callers: 0 };
        host.step(Input::Start { seed: 1 });
        host
    }

    fn step(&mut self, input: Input<ControllerInput>) {
        let now = Now { instant: Monotonic::ZERO, timestamp: Timestamp::from_millis(START) };
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Vec::new();
            self.node.step(now, input, &mut effects);
            for effect in effects {
                if let Effect::Append { generation, record } = effect {
                    let durable = record.id.after().offset;
                    inputs.push(Input::Stored(Stored { generation, durable, puts: 0 }));
                }
            }
        }
    }

    fn command(&mut self, text: &str) -> Result<(), Box<dyn Error>> {
        let command: Command = from_text(text).map_err(|problem| problem.to_string())?;
        self.callers += 1;
        self.step(Input::Arrived(ControllerInput::Command { caller: CallerId(self.callers), id: None, command }));
        Ok(())
    }

    fn add(&mut self, prefix: &str, count: usize, scheduled_for: i64) -> Result<(), Box<dyn Error>> {
        for first in (0..count).step_by(BATCH) {
            let orders: Vec<String> = (first..count.min(first + BATCH))
                .map(|n| {
                    format!(
                        r#"{{"id": "{prefix}-{n:07}", "workflowPath": "W", "planId": [], "scheduledFor": {scheduled_for},
                           "arguments": {{"customer": "Customer {n}"}}}}"#
                    )
                })
                .collect();
            self.command(&format!(r#"{{"TYPE": "AddOrders", "orders": [{}]}}"#, orders.join(",")))?;
        }
        Ok(())
    }
}

fn config() -> ControllerConfig {
    ControllerConfig {
        controller_id: ControllerId::new("Controller"),
        node_id: "controller".into(),
        locality: Locality::default(),
        timing: Timing::DEFAULT,
    }
}

/// Resident memory of this process in bytes.
fn resident() -> Result<usize, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = text.split(' ').nth(1).unwrap_or_default().parse()?;
    Ok(pages * 4096)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn each(total: f64, count: usize) -> f64 {
    total / count as f64
}

fn micros(duration: Duration, count: usize) -> f64 {
    each(duration.as_secs_f64() * 1e6, count)
}

/// Measured in a process of its own: memory that was given back is not seen as free.
fn measure(count: usize) -> Result<(), Box<dyn Error>> {
    let mut host = Host::start(Controller::new(config()));
    host.command(ITEMS)?;
    let (began, before) = (Instant::now(), resident()?);
    host.add("wait", count, WAIT_UNTIL)?;
    let (added, memory) = (began.elapsed(), resident()?.saturating_sub(before));
    let began = Instant::now();
    host.add("start", STARTED, START)?;
    let started = began.elapsed();
    if host.node.machine().state().order_count() != count + STARTED {
        return Err("not all orders were added".into());
    }

    let began = Instant::now();
    let image = host.node.machine().replica().image();
    let written = began.elapsed();
    drop(host);
    let began = Instant::now();
    let controller = Controller::recover(config(), Some(&image), [])?;
    let mut host = Host::start(controller);
    host.command(r#"{"TYPE": "ControlWorkflowPath", "workflowPath": "W", "suspend": false}"#)?;
    let ready = began.elapsed();

    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let (memory, size) = (memory as f64, image.len() as f64);
    println!(
        "{count:9} waiting: {:5.0} bytes each; added in {:6.2} µs each; {STARTED} more added and started in {:6.2} µs each; \
         image {:4.0} bytes each, made in {:.2} s; ready {:.2} s after a restart",
        each(memory, count),
        micros(added, count),
        micros(started, STARTED),
        each(size, count),
        written.as_secs_f64(),
        ready.as_secs_f64(),
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let counts: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    match *counts.as_slice() {
        [count] => measure(count),
        _ => {
            let counts = if counts.is_empty() { vec![1_000, 100_000, 1_000_000] } else { counts };
            for count in counts {
                let status = std::process::Command::new(std::env::current_exe()?).arg(count.to_string()).status()?;
                if !status.success() {
                    return Err(format!("the measurement of {count} orders has failed").into());
                }
            }
            Ok(())
        }
    }
}
