//! The cases that every engine has to pass: tests of the commands that look at no file of a store.

use super::Case;

/// Names the tests of a command's module.
macro_rules! cases {
    ($module:ident: $($($name:ident)::+),* $(,)?) => {
        &[$((
            concat!(stringify!($module), $("::", stringify!($name)),+),
            crate::$module::$($name)::+ as fn(),
        )),*]
    };
}

pub const APPEND: &[Case] = cases![append:
    adds_all_of_standard_input, adds_to_the_end_and_nothing_between,
    an_expired_value_is_not_added_to, keeps_the_expiry, makes_a_key_that_is_absent,
    nothing_added_is_a_write_too, only_a_dash_and_negative_numbers_are_text,
    standard_input_must_be_one,
];

pub const BATCH: &[Case] = cases![batch:
    a_large_value_has_its_length_in_front, a_line_may_have_a_namespace_of_its_own,
    a_reply_has_the_status_the_bytes_and_a_newline, any_bytes_pass_as_keys_and_values,
    every_command_about_values_has_its_place, input::a_command_is_what_the_same_words_are_to_kv,
    input::a_quote_that_is_not_closed_is_told_with_the_line_where_its_command_begins,
    input::json_takes_a_command_a_line_and_any_bytes,
    input::json_that_is_no_command_is_told_with_its_line,
    input::lines_are_counted_over_commands_of_several_lines, input::lines_are_quoted_as_in_a_shell,
    input::what_has_no_place_is_refused_with_its_line, no_input_is_no_failure,
    process::a_reply_comes_before_the_next_command,
    process::a_reply_does_not_wait_for_a_pop_that_waits, process::bash_talks_to_it_as_a_coprocess,
    process::batches_beside_each_other_lose_nothing,
    process::what_was_acknowledged_before_a_kill_is_there,
    replies_that_nobody_can_read_are_a_failure, stop_ends_at_the_first_failure_and_not_at_a_no,
    the_exit_status_is_the_highest,
];

pub const CONCURRENCY: &[Case] = cases![concurrency:
    a_change_of_expiry_loses_no_put, a_namespace_can_be_removed_beside_its_writers,
    each_value_is_taken_once, nobody_unkilled_leaves_litter,
    readers_beside_writers_see_whole_values, what_happens_to_a_key_happened_in_some_order,
];

pub const COUNTING: &[Case] = cases![counting:
    appended_lines_are_all_there, each_of_many_elements_is_taken_once,
    killed_pushers_lose_nothing_that_was_acknowledged, killed_takers_take_one_element_at_most,
    many_can_be_the_first_to_push, pushed_elements_are_all_there,
];

pub const EDIT: &[Case] = cases![edit:
    text_that_stays_as_it_is_stores_nothing, what_another_changes_meanwhile_is_left_and_the_text_is_kept,
    what_the_editor_leaves_is_stored_and_the_expiry_stays,
];

pub const EXPIRE: &[Case] = cases![expire:
    a_missing_key_is_silent_and_makes_nothing, gives_an_expiry_and_takes_it_back,
    keeps_value_and_modified_and_makes_a_new_etag, needs_a_duration_or_the_word_never,
];

pub const EXPORT: &[Case] = cases![export:
    a_line_is_what_ls_prints_as_json, all_takes_every_namespace_and_lists_pop_in_their_order,
    every_byte_comes_back_in_keys_and_values, it_takes_little_memory_however_much_there_is,
    large_values_and_many_entries_come_back, only_a_pattern_that_nothing_matches_is_a_no,
    where_it_goes_may_close_or_fail,
];

pub const GC: &[Case] = cases![gc:
    a_size_has_the_units_of_other_tools, a_wrong_command_line_changes_nothing,
    every_namespace_is_treated_in_silence_and_answers_as_before, it_has_no_place_in_a_batch,
];

pub const FACTS: &[Case] = cases![facts:
    a_value_as_json_is_what_a_listing_has_of_it, the_life_of_a_key_as_json_has_no_word_for_never,
];

pub const GET: &[Case] = cases![get:
    a_missing_key_is_silent, of_several_takers_one_gets_the_value,
    prints_the_value_and_nothing_else, remove_and_default_go_together, remove_prints_the_value_once,
    takes_one_key,
];

pub const HAS: &[Case] = cases![has:
    answers_by_its_status_alone, reads_as_a_condition_in_a_shell, takes_one_key,
];

pub const IMPORT: &[Case] = cases![import:
    a_bad_line_leaves_what_was_there, a_bad_line_stops_it_wherever_it_is,
    a_mark_in_front_of_a_table_is_no_part_of_it,
    an_input_of_nothing_is_no_failure_unless_it_would_remove_everything,
    an_input_that_cannot_be_read_imports_nothing,
    carriage_returns_are_taken_off_where_that_is_asked_for, lines_become_entries,
    merge::an_entry_takes_the_place_of_what_is_there, merge::if_absent_leaves_what_is_there,
    merge::merge_keeps_the_newer_one, merge::replace_leaves_exactly_what_is_imported,
    merge::what_has_no_time_counts_as_of_now, merge::what_was_removed_comes_in_again,
    modified_and_expires_are_kept_and_the_etag_is_new, namespaces::a_bad_line_stops_all_of_them,
    namespaces::a_dry_run_looks_at_all_of_them,
    namespaces::a_namespace_that_was_given_is_the_only_one,
    namespaces::each_entry_goes_into_its_own, namespaces::replace_is_about_those_that_are_named,
    nothing_is_stored_before_the_input_has_ended, of_equal_keys_the_last_wins,
    options_that_exclude_each_other_are_refused, scale::a_hundred_thousand_entries_come_in,
    scale::values_may_be_large, watched::where_nobody_looks_a_long_import_says_nothing,
    what_has_expired_is_passed_over,
];

pub const INCR: &[Case] = cases![incr:
    an_expired_key_counts_from_zero_again, by_is_a_number_of_64_bits,
    by_says_how_much_and_may_be_negative, counts_in_the_namespace_that_is_named,
    one_final_newline_is_passed_over_and_not_kept, prints_the_new_value,
    the_bounds_are_reached_and_not_passed, ttl_cannot_be_nothing,
    ttl_counts_only_when_it_makes_the_key, what_cannot_be_printed_is_a_failure_and_counted,
    what_is_no_number_is_refused_and_stays,
];

pub const INFO: &[Case] = cases![info:
    a_bar_ends_where_the_terminal_does, a_namespace_that_is_named_is_told_alone,
    expired_and_removed_keys_are_no_entries, it_changes_nothing, it_takes_no_arguments,
    location::a_location_of_any_bytes_is_one_line_on_a_terminal,
    location::a_password_is_never_printed, location::the_setting_that_chose_the_location_is_named,
];

pub const ITEMS: &[Case] = cases![items:
    a_reader_that_has_enough_is_no_failure, expired_and_removed_elements_are_gone,
    json_is_one_object_a_line, nothing_in_a_whole_listing_is_no_failure, null_ends_each_with_nul,
    order_does_not_end_at_ten, other_keys_are_no_elements, prints_one_a_line_in_their_order,
];

pub const JOBS: &[Case] = cases![jobs:
    a_kv_that_is_killed_gives_it_back, a_wrong_command_line_is_2_and_125_where_a_program_is_named,
    any_element_comes_whole_and_need_not_be_read, any_other_end_leaves_it_at_its_place,
    long_says_who_works_on_what_and_how_often_that_was_tried,
    nobody_else_gets_it_while_it_is_worked_on, success_removes_the_element_that_the_program_got,
    what_fails_too_often_moves_to_another_list, what_is_changed_meanwhile_is_not_removed,
    what_the_program_has_started_keeps_it_when_kv_is_killed, who_waits_gets_what_is_given_back,
    who_was_killed_in_a_move_leaves_it_to_the_next,
];

pub const KEYS: &[Case] = cases![keys:
    a_key_that_is_not_utf_8_is_base64_in_json, every_byte_but_nul_makes_the_round_trip,
    keys_that_look_like_paths_are_no_paths, the_empty_key_is_none,
    the_longest_key_is_a_key_and_one_byte_more_is_none,
];

pub const LOCK: &[Case] = cases![lock:
    a_lock_and_a_key_of_one_name_are_strangers, a_lock_belongs_to_its_namespace,
    a_lock_that_is_inherited_is_free_when_the_last_is_gone,
    a_lock_within_its_own_lock_does_not_come, a_loss_is_nothing_where_locks_cannot_be_lost,
    a_name_is_any_bytes, a_program_that_does_not_run_leaves_no_lock,
    a_program_that_inherits_a_lock_lives_on_with_it, a_program_that_is_killed_leaves_no_lock,
    a_script_of_cron_locks_itself, kv_and_the_program_end_together, one_runs_at_a_time,
    standard_input_is_the_programs, those_who_share_run_together_and_with_nobody_else,
    wait_and_no_wait_exclude_each_other, what_goes_on_in_the_background_has_no_lock,
    what_is_shared_is_inherited_shared, who_does_not_wait_is_turned_away_in_silence,
    who_waits_in_vain_says_so_in_a_line, without_an_option_it_waits_as_long_as_it_takes,
];

pub const LS: &[Case] = cases![ls:
    a_glob_matches_the_whole_key, a_limit_counts_after_the_bounds_and_from_where_the_listing_begins,
    a_whole_listing_of_nothing_is_a_success_and_makes_nothing,
    formats_that_contradict_each_other_are_refused,
    from_is_included_and_to_is_not_in_either_direction, json_is_one_object_a_line,
    json_of_what_is_not_utf_8_is_base64_however_large, keys_come_in_byte_order_one_a_line,
    list_is_another_name, long_lines_hold_five_fields, only_a_bound_that_nothing_matches_is_a_no,
    the_bounds_hold_all_at_once, values_stand_behind_their_keys,
];

pub const MEMO: &[Case] = cases![memo:
    a_key_that_is_given_is_the_whole_key, a_program_that_cannot_be_run_has_a_status_of_its_own,
    a_reader_that_has_enough_is_no_failure_and_the_run_is_kept_whole,
    a_run_is_replayed_byte_for_byte, a_run_that_a_signal_ends_is_never_kept,
    a_run_that_prints_nothing_is_remembered, a_ttl_is_demanded,
    a_variable_counts_and_unset_is_not_empty, a_variable_has_a_name_that_can_be_one,
    both_outputs_come_as_they_are_printed_and_are_replayed_in_that_order,
    failures_are_kept_only_on_demand, large_outputs_are_replayed_whole,
    results_are_ordinary_keys_of_their_own_namespace,
    the_command_line_is_the_key_and_reads_as_it_was_typed, the_program_gets_no_standard_input,
    the_time_of_a_file_counts_and_a_missing_one_too,
    the_working_directory_counts_if_it_is_asked_for, what_breaks_off_is_run_over,
    what_has_expired_is_run_anew,
];

pub const MEMO_FLIGHT: &[Case] = cases![memo_flight:
    a_failed_run_is_for_those_who_waited_and_for_nobody_later,
    a_line_is_there_before_the_program_ends, a_refresh_that_fails_keeps_the_old_result,
    a_result_that_is_not_old_is_not_refreshed,
    an_old_result_is_answered_at_once_and_refreshed_by_one,
    of_fifty_callers_one_runs_and_all_get_what_it_prints,
];

pub const NAMESPACES: &[Case] = cases![namespaces:
    a_name_is_a_name_and_no_path, a_store_that_does_not_exist_has_none,
    dry_run_needs_something_to_remove, lists_names_in_byte_order, namespaces_do_not_see_each_other,
];

pub const POP: &[Case] = cases![pop:
    a_gap_of_any_width_is_passed_over, a_list_can_begin_with_an_element_put_by_its_key,
    a_list_that_is_not_there_is_empty, a_namespace_that_was_removed_is_an_empty_list,
    a_removed_or_expired_element_is_passed_over, a_replaced_element_keeps_its_place,
    an_element_put_by_its_key_takes_its_place, an_element_that_nobody_read_is_lost_and_said_to_be,
    last_takes_the_newest, prints_the_bytes_alone, takes_the_oldest_and_removes_it,
];

pub const POP_WAIT: &[Case] = cases![pop_wait:
    a_list_that_was_removed_and_made_anew_is_waited_for, a_push_wakes_who_waits,
    an_element_put_by_its_key_wakes_who_waits, does_not_wait_for_what_is_there,
    gives_up_when_nothing_came, one_element_goes_to_one_of_many_who_wait, the_time_is_a_duration,
    zero_is_one_try,
];

pub const PROGRAM: &[Case] = cases![program:
    a_program_gets_the_arguments_byte_for_byte, a_program_has_the_descriptors_of_kv_and_no_others,
    a_program_without_dashes_before_it_is_told_of_them, a_wrong_command_line_is_125,
    help_runs_nothing, kv_dies_of_the_signal_that_kills_the_program, options_do_not_reach_the_environment, the_status_is_that_of_the_program,
    variables_that_cannot_be_used_are_125, what_cannot_be_executed_is_126, what_is_not_found_is_127,
];

pub const PUSH: &[Case] = cases![push:
    adds_the_argument_as_it_is, all_of_standard_input_is_one_element,
    an_element_behind_a_gap_keeps_its_place, behind_a_double_dash_all_is_text,
    each_line_is_an_element, each_record_is_an_element, lines_are_there_when_the_next_is_awaited,
    numbers_can_be_used_up, one_source_of_elements_at_a_time, some_names_are_no_lists,
    standard_input_must_be_one, the_keys_are_numbers_in_order,
];

pub const PUT: &[Case] = cases![put:
    a_dash_and_negative_numbers_are_text, a_mistyped_option_is_answered_with_the_right_one,
    a_mistyped_option_is_never_stored, a_refused_put_makes_no_store, a_value_is_replaced,
    an_etag_has_16_digits, an_expiry_is_cleared_by_the_next_put, behind_two_dashes_all_is_text,
    if_absent_stores_only_the_first_value, if_etag_stores_only_over_the_entry_that_was_seen,
    if_exists_stores_only_over_a_value, if_value_compares_every_byte,
    if_value_compares_large_values, if_value_knows_the_empty_value,
    keep_ttl_keeps_the_expiry_to_the_millisecond,
    keep_ttl_of_what_never_expires_or_is_absent_is_never,
    options_that_contradict_each_other_are_refused, print_etag_prints_that_of_the_new_entry,
    success_is_silent,
];

pub const REMOVE: &[Case] = cases![remove:
    a_bad_line_removes_nothing, a_glob_removes_what_ls_lists,
    a_key_that_is_named_twice_is_absent_the_second_time, conditions_are_decided_on_the_entry,
    dry_run_prints_what_would_go_and_removes_nothing, keys_are_read_from_standard_input,
    many_keys_go_together_and_are_answered_as_few_are, many_keys_that_match_go_together,
    null_reads_keys_that_hold_newlines, of_a_store_that_does_not_exist_nothing_is_made,
    of_several_keys_all_that_are_there_go, removes_in_silence_and_says_no_to_what_is_absent,
    rm_del_and_delete_are_other_names, the_published_collision_is_refused,
    what_does_not_go_together_is_refused_and_nothing_removed,
];

pub const RENAME: &[Case] = cases![rename:
    a_key_stays_itself, an_element_gets_another_place_in_its_list, any_value_comes_along_whole,
    of_many_who_rename_a_key_one_does, value_expiry_and_modified_come_along,
    what_is_missing_or_expired_is_not_moved, what_is_there_is_replaced_unless_it_is_to_stay,
];

pub const STAT: &[Case] = cases![stat:
    a_missing_key_is_silent, an_unknown_field_is_answered_with_the_known_ones,
    field_prints_the_value_alone, json_is_one_object_on_one_line,
    modified_never_goes_back_with_the_next_write, prints_name_and_value_lines,
];

pub const TIMES: &[Case] = cases![times:
    a_time_of_modification_comes_back, a_time_that_cannot_be_kept_is_refused,
    an_expiry_comes_back, the_longest_time_to_live_is_told_as_it_is,
];

pub const EXISTING: &[Case] = cases![existing:
    a_store_that_must_exist_is_not_made, a_store_with_a_namespace_exists,
];

pub const NONBLOCKING: &[Case] = cases![nonblocking:
    what_comes_in_is_waited_for, what_is_printed_arrives_whole,
];

pub const TTL: &[Case] = cases![ttl:
    a_living_key_never_shows_zero, a_missing_key_is_silent,
    a_negative_duration_with_a_unit_is_no_option,
    an_expired_key_is_absent_in_every_command_at_once, durations_are_read_as_the_manual_says,
    keep_ttl_does_not_keep_an_expiry_that_is_over, prints_whole_seconds_rounded_up_or_never,
    the_etag_of_an_expired_entry_is_of_no_use, the_time_to_live_counts_from_the_end_of_a_slow_value,
    what_is_no_duration_is_refused_and_nothing_stored,
];

pub const UPDATE: &[Case] = cases![update:
    a_key_that_never_holds_still_is_busy, a_program_may_close_its_output_early,
    a_program_may_use_the_store, a_program_need_not_read_its_input,
    a_program_that_fails_changes_nothing, a_program_that_fails_is_not_run_again,
    an_absent_key_is_empty_input, empty_output_stores_the_empty_value,
    standard_error_is_the_programs, the_expiry_stays, the_output_becomes_the_value,
    updates_at_once_lose_none, values_of_any_size_go_both_ways,
    when_the_key_has_changed_the_program_runs_again,
];

pub const VALUES: &[Case] = cases![values:
    a_file_is_stored_byte_for_byte, a_file_that_cannot_be_read_is_named_and_nothing_is_stored,
    a_value_goes_through_two_stores_unchanged, an_argument_is_stored_byte_for_byte,
    file_dash_takes_standard_input_whatever_it_is, nothing_that_is_printed_depends_on_the_locale,
    only_a_command_that_needs_it_reads_standard_input, standard_input_can_be_a_file,
    standard_input_that_is_closed_or_null_is_refused,
    the_empty_value_is_stored_when_it_is_asked_for, values_of_every_size_around_a_buffer_come_back,
    what_a_pipe_brings_is_stored_byte_for_byte,
];

pub const WAIT: &[Case] = cases![wait:
    a_namespace_that_goes_and_comes_again_is_still_watched, a_timeout_is_no_in_silence,
    a_waiter_can_be_killed, a_wrong_command_line_is_refused,
];

pub const WATCH: &[Case] = cases![watch:
    a_file_that_ls_has_not_printed_is_refused, a_reader_that_goes_away_ends_it,
    a_timeout_is_no_unless_something_was_told, a_wrong_command_line_is_refused,
    an_expired_key_is_gone_at_its_time, each_change_is_told_with_its_etag,
    history::the_last_state_of_every_key_is_told_and_none_that_never_was, it_can_be_killed,
    only_keys_that_were_asked_for_are_told, program::a_signal_reaches_the_program_and_ends_both,
    program::it_gets_the_key_the_event_the_etag_and_the_value, program::it_need_not_read,
    program::its_status_ends_it_and_is_returned, program::what_changes_meanwhile_is_one_run_more,
    since_tells_what_is_another_than_it_was, values_come_with_the_etag_that_they_belong_to,
    what_rests_is_told_once_as_it_is_then,
];
