//! What agents and subagents tell.

use super::page::Page;
use crate::api::{DirectorStatus, SubagentStatus};
use crate::host::tally::Counted;

pub(super) fn render_director(director: &DirectorStatus, page: &mut Page) {
    // Else it is told with the pair.
    if director.pair.is_none() {
        page.gauge("baton_epoch", "The epoch of the director.", director.epoch);
    }
    page.gauge(
        "baton_controller_epoch",
        "The highest epoch of a controller that has coupled.",
        director.controller_epoch,
    );
    page.gauge("baton_controller_coupled", "Whether the controller is coupled.", u8::from(director.is_coupled));
    if let Some(lag) = director.lag {
        page.gauge(
            "baton_controller_lag_seconds",
            "Age of the oldest event that the controller has not adopted.",
            lag.as_secs_f64(),
        );
    }
    page.gauge("baton_orders", "Orders.", director.orders);
    page.family("baton_orders_waiting", "gauge", "Orders whose jobs cannot start, and what they wait for.");
    page.sample("", &[("for", "job")], director.work.waiting);
    page.sample("", &[("for", "subagent")], director.work.without_subagent);
    page.gauge("baton_orders_processing", "Orders whose processes are taken for running.", director.work.running);
    if let Some(limit) = director.work.process_limit {
        page.gauge("baton_process_limit", "So many processes the agent may run.", limit);
    }
    let subagents = || director.subagents.iter().map(|subagent| (subagent, subagent.id.to_string()));
    page.family("baton_subagent_coupled", "gauge", "Whether the subagent is coupled.");
    subagents().for_each(|(it, id)| page.sample("", &[("subagent", &id)], u8::from(it.is_coupled)));
    page.family("baton_subagent_selectable", "gauge", "Whether the subagent gets jobs.");
    subagents().for_each(|(it, id)| page.sample("", &[("subagent", &id)], u8::from(it.is_selectable)));
    page.family("baton_subagent_processes", "gauge", "Processes that are taken for running at the subagent.");
    subagents().for_each(|(it, id)| page.sample("", &[("subagent", &id)], it.processes));
}

pub(super) fn render_subagent(subagent: &SubagentStatus, page: &mut Page) {
    page.gauge("baton_director_coupled", "Whether a director is coupled.", u8::from(subagent.is_coupled));
    page.gauge("baton_stopping", "Whether no more processes are taken.", u8::from(subagent.is_stopping));
    page.gauge("baton_processes", "Processes that are being started or run.", subagent.running);
    page.gauge(
        "baton_processes_unconfirmed",
        "Processes that have ended without the director having confirmed that.",
        subagent.unconfirmed,
    );
    let Counted { started, succeeded, failed, signaled, not_started, output_bytes } = subagent.counted;
    page.counter("baton_processes_started_total", "Processes that were started.", started);
    page.family("baton_processes_ended_total", "counter", "Processes that have ended, and how.");
    for (how, count) in
        [("succeeded", succeeded), ("failed", failed), ("signaled", signaled), ("not_started", not_started)]
    {
        page.sample("", &[("how", how)], count);
    }
    page.counter("baton_output_bytes_total", "Bytes that processes wrote.", output_bytes);
}
