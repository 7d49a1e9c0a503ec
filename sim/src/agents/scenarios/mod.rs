//! The scenarios of agents: what controller, directors, subagents and processes have to stand, one short function for each story.
//! A function panics with the story so far when something is not as it has to be.
//!
//! Numbers are those of the situations in which such systems have been tested before us; W1 to W48 are the weak spots which they have
//! shown, and each of those stories is named after what cannot happen here. What is told by tests elsewhere is in [`ELSEWHERE`].

pub mod coupling;
pub mod jobs;
pub mod subagents;

/// A story.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The numbers of the situations and weak spots that it is about.
    pub numbers: &'static str,
    /// The name of the function.
    pub name: &'static str,
    /// Lets it happen, and panics when it goes wrong.
    pub run: fn(),
}

macro_rules! scenarios {
    ($($numbers:literal => $function:path;)+) => {
        &[$(Scenario { numbers: $numbers, name: stringify!($function), run: $function },)+]
    };
}

/// All of them.
pub const ALL: &[Scenario] = scenarios! {
    "1" => coupling::an_agent_from_a_backup_is_not_followed;
    "2 3 W20 W39" => coupling::everything_restarts_again_and_again;
    "4 W40" => coupling::orders_wait_for_an_agent_that_is_not_there;
    "5 W21" => coupling::an_agent_keeps_what_was_not_adopted;
    "7 W42" => coupling::two_agents_at_one_address;
    "8" => coupling::a_reset_agent_starts_anew;
    "9" => coupling::an_unreachable_agent_is_reset_later;
    "W45 W48" => coupling::the_last_word_of_a_replaced_controller;
    "12 W16 W17" => coupling::a_cancellation_reaches_an_agent_that_was_away;
    "W19 W34" => coupling::an_item_is_changed_while_it_is_on_its_way;
    "15 W3 W18" => subagents::a_process_outlives_its_director;
    "16" => subagents::a_subagent_is_restarted;
    "17" => subagents::a_subagent_dies_and_the_next_one_goes_on;
    "18 W3b" => subagents::director_and_subagent_are_restarted;
    "37 W10" => subagents::a_job_that_must_not_be_repeated;
    "W1 W2 W23" => subagents::a_silent_subagent_keeps_what_it_runs_until_its_lease_is_over;
    "W4 W5 W7" => subagents::a_short_silence_changes_nothing;
    "W8 W43" => subagents::the_power_of_a_subagent_is_lost;
    "21" => subagents::a_subagent_is_reset_while_it_runs_something;
    "20" => subagents::a_subagent_is_reset_before_its_agent_knows_it;
    "23" => subagents::a_subagent_moves_while_it_runs_something;
    "25" => subagents::a_subagent_moves_there_and_back;
    "24 W37" => subagents::a_subagent_is_deleted_while_it_runs_something;
    "26 W35" => subagents::jobs_are_distributed_by_priority_and_in_turn;
    "27 W14 W15" => subagents::a_disabled_subagent_gets_nothing_new;
    "28" => subagents::an_order_sticks_to_its_subagent;
    "14 W9 W26" => subagents::a_process_outlives_everybody_else;
    "35" => jobs::a_process_is_ended_by_command;
    "36" => jobs::a_process_is_ended_when_its_time_is_over;
    "42" => jobs::output_is_whole;
    "39 41 W12 W29" => jobs::limits_are_kept;
    "W11" => jobs::clocks_jump;
};

/// What tests elsewhere tell: the numbers, the file from the root of the workspace, and the test.
pub const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("6", "engine/machine/tests/machine/reset.rs", "an_agent_that_lost_its_journal_is_refused_until_it_is_reset"),
    (
        "W22",
        "engine/machine/tests/machine/disagreement.rs",
        "an_agent_with_another_history_is_tried_less_and_less_often_until_it_is_reset",
    ),
    ("W47", "engine/machine/tests/machine/rubbish.rs", "of_strangers"),
    ("10", "engine/machine/tests/machine/coupling.rs", "many_orders_cost_no_more_each_than_few"),
    ("13", "engine/machine/tests/machine/recovery.rs", "repeated_messages_change_nothing"),
    (
        "19 W6",
        "engine/machine/tests/machine/loss.rs",
        "a_subagent_that_is_told_to_stop_ends_what_it_has_and_takes_nothing_new",
    ),
    ("22", "engine/machine/tests/machine/reset.rs", "a_reset_subagent_has_lost_its_processes"),
    ("W36", "engine/machine/tests/machine/recovery.rs", "orders_wait_for_their_job_in_the_same_order_after_a_restart"),
    (
        "W13",
        "engine/machine/tests/machine/metering.rs",
        "the_number_of_processes_is_limited_by_a_priority_that_is_missing",
    ),
    ("W28", "engine/machine/src/director/outcome.rs", "only_losses_of_processes_which_may_have_run_count"),
    ("38", "engine/machine/tests/machine/execution.rs", "writing_to_stderr_may_mean_failure"),
    ("W24", "engine/machine/src/subagent/process.rs", "pauses_when_nobody_receives"),
    ("W46", "engine/machine/src/subagent/process.rs", "a_signal_waits_for_the_start"),
];
