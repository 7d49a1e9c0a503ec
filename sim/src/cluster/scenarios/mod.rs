//! The scenarios: what a pair and its watch have to stand, one short function for each story. A function panics with the story so
//! far when something is not as it has to be.
//!
//! I1 to I7 are about images for a standby, L1 about what is shown; W1 to W6 were found by worlds (`cargo swarm`). S1 to S39 are
//! the situations in which such systems have been tested before us; 9.1 to 9.25 are the weak spots which they have shown, and
//! each of those stories is named after what cannot happen here. What is not about the pair (items, HTTP, jobs) is told in the
//! comment of the function, with the place where it is tested.

pub mod coupling;
pub mod found_by_worlds;
pub mod founding;
pub mod images;
pub mod looks;
pub mod standby_lost;
pub mod stop;
pub mod strangers;
pub mod switch_over;
pub mod take_over;
pub mod truncation;
pub mod watch;
pub mod weak_spots_of_asking;
pub mod weak_spots_of_commits;
pub mod weak_spots_of_life;

/// A story.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its number, like S1 or 9.1. Some have several stories, and some stories several numbers.
    pub number: &'static str,
    /// The name of the function.
    pub name: &'static str,
    /// Lets it happen, and panics when it goes wrong.
    pub run: fn(),
}

macro_rules! scenarios {
    ($($number:literal => $($function:path),+;)+) => {
        &[$($(Scenario { number: $number, name: stringify!($function), run: $function },)+)+]
    };
}

/// All of them.
pub const ALL: &[Scenario] = scenarios! {
    "S1" => coupling::the_standby_refuses_and_has_everything;
    "S2" => founding::a_node_works_alone_before_the_second_one_joins;
    "S3" => coupling::long_records_replicate;
    "S4" => coupling::the_state_is_the_same_before_and_after_a_restart_of_both;
    "S5" => coupling::acknowledgements_come_in_batches;
    "S6" => coupling::both_nodes_can_be_read;
    "S7" => founding::the_second_node_is_appointed_late_and_replaced;
    "S8" => founding::a_first_node_without_a_second_one_works,
        strangers::a_node_of_another_cluster_is_not_obeyed,
        strangers::a_watch_of_another_cluster_has_no_vote,
        strangers::a_copy_of_the_standby_is_not_heard,
        strangers::a_copy_of_the_active_is_not_heard,
        strangers::a_node_whose_copy_was_faster_is_deposed;
    "S9" => take_over::a_killed_active_is_replaced_and_a_living_one_is_not;
    "S10" => truncation::the_failed_one_cuts_its_tail;
    "S11" => take_over::no_person_has_to_confirm_a_take_over;
    "S12" => take_over::the_failed_one_returns_with_one_start;
    "S13" => coupling::an_active_that_is_back_at_once_stays_active;
    "S14" => stop::a_stopped_active_is_not_replaced, stop::a_person_appoints_the_standby_of_a_stopped_active;
    "S15" => standby_lost::the_standby_stops;
    "S16" => switch_over::the_active_hands_over_and_ends;
    "S17" => switch_over::there_and_back, switch_over::commits_go_on_at_once_after_a_switch_over,
        strangers::a_switch_over_is_not_refused_because_the_standby_is_just_joining,
        strangers::a_switch_over_waits_for_a_standby_that_comes_back;
    "S18" => standby_lost::the_standby_disappears_five_times;
    "S19" => truncation::the_last_record_is_damaged;
    "S20" => take_over::an_active_that_is_not_heard_is_replaced;
    "S21" => watch::the_watch_changes;
    "S22" => watch::the_watch_is_another_one_after_a_restart_of_both;
    "S23" => watch::a_watch_that_stands_alone_is_enough;
    "S24" => standby_lost::the_standby_dies_while_the_watch_is_away;
    "S25" => watch::the_active_dies_while_the_watch_is_away,
        watch::a_person_forces_the_standby_beside_a_new_watch;
    "S26" => standby_lost::the_link_is_cut_while_the_watch_is_away,
        standby_lost::the_link_is_cut_and_the_watch_is_a_new_one;
    "S27" => watch::the_active_is_lost_while_the_watch_is_away_and_returns;
    "S28" => watch::both_nodes_were_lost_and_the_watch_knows_nothing;
    "S29" => stop::everything_is_shut_down_and_comes_back;
    "S30" => take_over::a_killed_director_is_replaced_before_its_subagents_give_up;
    "S31" => founding::a_single_node_becomes_a_pair;
    "S32" => take_over::a_killed_director_is_replaced_before_its_subagents_give_up;
    "S33" => switch_over::there_and_back;
    "S34" => coupling::both_are_stopped_and_couple_again;
    "S35" => founding::a_reset_cluster_is_founded_anew;
    "S36" => watch::a_new_watch_and_a_restarted_active_need_no_person;
    "S37" => watch::a_new_watch_that_hears_nothing_of_the_active;
    "S38" => coupling::the_standby_moves_with_its_journal;
    "S39" => take_over::a_reader_sees_each_record_once;
    "I1" => images::a_wiped_standby_comes_back;
    "I2" => images::a_standby_is_away_for_long;
    "I3" => images::a_crash_in_the_middle;
    "I4" => images::the_image_is_released_in_the_middle;
    "I5" => images::a_former_active_begins_anew;
    "I6" => images::a_mute_standby_does_not_hold_back_the_journal;
    "I7" => images::what_the_standby_needs_is_kept;
    "L1" => looks::a_replaced_node_that_was_paused_shows_nothing,
        looks::a_replaced_node_that_is_cut_off_shows_nothing,
        looks::who_looks_is_answered_soon,
        looks::a_lost_word_is_said_again,
        looks::a_deaf_standby_does_not_keep_looks_waiting;
    "W1" => found_by_worlds::a_take_over_that_may_be_decided_is_resolved;
    "W2" => found_by_worlds::a_founding_that_is_interrupted_is_finished,
        found_by_worlds::a_founding_that_is_interrupted_twice_is_finished,
        found_by_worlds::a_founding_by_two_that_is_interrupted_is_finished;
    "W3" => found_by_worlds::a_node_that_waits_to_stop_is_forced;
    "W4" => found_by_worlds::what_was_decided_before_excludes_nobody;
    "W5" => found_by_worlds::pieces_of_two_images_are_not_mixed;
    "W6" => found_by_worlds::the_second_of_two_forcings_counts;
    "9.1" => weak_spots_of_asking::a_black_holed_peer_blocks_nothing;
    "9.2" => weak_spots_of_asking::both_ask_and_do_not_cancel_each_other;
    "9.3" => weak_spots_of_asking::a_single_survivor_is_not_stuck;
    "9.4" => weak_spots_of_asking::an_unanswered_start_does_not_make_active;
    "9.5" => weak_spots_of_asking::no_state_is_active_without_asking;
    "9.6" => weak_spots_of_asking::an_active_that_is_asked_is_not_inhibited;
    "9.7" => weak_spots_of_commits::ids_do_not_go_back_with_the_clock;
    "9.8" => weak_spots_of_commits::no_answer_is_lost_with_the_power_of_all;
    "9.9" => weak_spots_of_commits::nothing_is_committed_without_the_standby_while_they_couple;
    "9.10" => weak_spots_of_commits::a_switch_over_does_not_end_with_nobody;
    "9.11" => weak_spots_of_commits::nobody_is_answered_before_the_loss_is_decided;
    "9.12" => weak_spots_of_asking::the_watch_is_not_told_too_late;
    "9.13" => weak_spots_of_asking::a_grant_is_not_lost_with_who_asked;
    "9.14" => weak_spots_of_asking::a_restarted_watch_does_not_ask_a_person;
    "9.15" => weak_spots_of_life::no_failure_stops_commits_for_long;
    "9.16" => weak_spots_of_life::a_restarted_standby_is_not_useless;
    "9.17" => weak_spots_of_life::no_refusal_halts_a_process;
    "9.18" => weak_spots_of_life::a_stop_does_not_wait_for_ever;
    "9.19" => weak_spots_of_commits::a_journal_with_another_content_is_not_continued;
    "9.20" => weak_spots_of_commits::a_stall_is_not_taken_for_a_loss;
    "9.21" => weak_spots_of_commits::a_repeated_command_does_not_show_what_is_not_committed;
    "9.22" => weak_spots_of_life::a_restart_before_the_first_coupling_does_not_lose_it;
    "9.23" => weak_spots_of_life::times_are_not_frozen;
    "9.24" => weak_spots_of_commits::a_replaced_active_confirms_nothing;
    "9.25" => strangers::a_late_answer_of_storage_misleads_nobody,
        weak_spots_of_asking::a_late_active_loses_nothing_but_its_office,
        weak_spots_of_commits::a_replaced_active_is_not_acknowledged;
};
