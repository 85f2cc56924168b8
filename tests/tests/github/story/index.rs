//! How GitHub behaves, row by row, and which tests hold the product against it.

use std::fs;
use std::path::{Path, PathBuf};

/// The rows of what GitHub does that others have stumbled over, each with the tests that show what
/// the product does then. The names are those that `cargo nextest list` prints.
const ROWS: [(&str, &str, &[&str]); 30] = [
    (
        "B01",
        "the requests of an hour are used up",
        &[
            "molt-forge github::answer::tests::too_much_is_told_from_not_allowed",
            "molt-tests::github story::faults::an_hour_that_is_used_up_is_waited_for",
        ],
    ),
    (
        "B02",
        "too much at once, said in two ways or in none",
        &[
            "molt-forge github::answer::tests::too_much_is_told_from_not_allowed",
            "molt-forge::github client::in_a_cooldown_nothing_is_asked",
            "molt-forge::github refs::too_much_in_graphql_is_a_cooldown_as_well",
            "molt-tests::github story::faults::who_wants_to_hear_nothing_hears_nothing_and_from_the_next_one_neither",
        ],
    ),
    (
        "B03",
        "points a minute, and posts a minute and an hour",
        &[
            "molt-forge github::governor::tests::no_span_has_more_than_its_budget",
            "molt-forge github::governor::tests::reads_and_changes_share_the_points",
            "molt-forge github::governor::tests::changes_go_one_after_another",
            "molt-tests::github story::load::twenty_at_once_all_land_and_github_hardly_notices",
            "molt-tests::github story::load::landings_one_by_one_are_within_githubs_limits",
        ],
    ),
    (
        "B04",
        "what did not change costs nothing",
        &[
            "molt-forge::github client::what_did_not_change_is_not_read_again",
            "molt-tests::github story::load::rounds_in_which_nothing_changes_cost_nothing",
        ],
    ),
    (
        "B05",
        "the head moves while it is merged",
        &[
            "molt-tests::github story::rows::a_head_that_moves_while_it_is_tested_lands_neither_as_it_was_nor_as_it_is",
            "molt-tests::github story::asking::a_head_that_moved_is_not_what_was_asked_for",
        ],
    ),
    (
        "B06",
        "the button says no for many reasons",
        &[
            "molt-tests::github story::rows::github_is_never_asked_to_merge",
            "molt-tests::github story::rows::what_github_believes_to_merge_and_git_does_not_is_refused",
        ],
    ),
    (
        "B07",
        "merging a branch says no for two reasons",
        &["molt-tests::github story::rows::github_is_never_asked_to_merge"],
    ),
    (
        "B08",
        "a ref is elsewhere, or may not be moved",
        &[
            "molt-forge::github refs::one_alone_goes_forward_only",
            "molt-forge::github refs::a_refusal_moved_nothing_and_says_why",
            "molt-tests::github forge::alone::a_base_that_stands_elsewhere_refuses_it",
            "molt-tests::github story::races::who_pushes_to_the_base_before_it_lands_has_it_tested_again_on_that",
        ],
    ),
    (
        "B09",
        "whether it merges is not known, or not so any more",
        &[
            "molt-tests::github story::rows::whether_it_merges_is_asked_of_git_where_github_does_not_know",
            "molt-tests::github story::rows::what_github_believes_to_merge_and_git_does_not_is_refused",
        ],
    ),
    (
        "B10",
        "a pull request shows an older head",
        &[
            "molt-tests::github story::faults::a_list_that_lags_by_default_is_no_trouble",
            "molt-tests::github story::faults::old_lists_delay_and_decide_nothing",
        ],
    ),
    (
        "B11",
        "the merge that is shown was only tried",
        &["molt-tests::github story::rows::the_merge_that_github_tried_is_not_what_lands"],
    ),
    (
        "B12",
        "anybody who may push can set a status",
        &[
            "molt-domain pull::check::tests::a_context_of_an_app_counts_from_that_app_alone",
            "molt-tests::github story::rules::a_check_counts_from_its_app_alone_and_once_it_is_green",
            "molt-tests::github story::races::a_status_under_our_name_is_nothing_to_us",
            "molt-tests::github story::personal::a_person_tells_by_statuses_and_hears_others_alone",
        ],
    ),
    (
        "B13",
        "which words of a check are green, and of which commit",
        &[
            "molt-domain pull::check::tests::green_are_success_skipped_and_neutral_of_a_completed_run",
            "molt-domain pull::check::tests::the_latest_of_each_app_counts_and_a_status_beside_it",
            "molt-domain pull::check::tests::a_word_that_nobody_knows_is_never_green",
            "molt-tests::github story::rules::a_green_check_of_another_head_says_nothing_of_this_one",
        ],
    ),
    (
        "B14",
        "silence is not green, nor is half a list",
        &[
            "molt-domain pull::check::tests::silence_another_commit_and_half_a_list_are_not_green",
            "molt-tests::github story::rules::what_anybody_may_report_has_to_be_green_from_everybody",
            "molt-tests::github story::rules::a_check_beyond_the_first_page_counts",
        ],
    ),
    (
        "B15",
        "texts and annotations have limits",
        &[
            "molt-forge::github report::annotations_go_by_fifty",
            "molt-forge::github report::a_status_has_room_for_a_line",
            "molt-domain pull::words::tests::what_is_too_long_is_cut_at_a_character_and_says_so",
            "molt-domain pull::command::tests::a_comment_of_any_length_is_answered",
            "molt-tests::github story::failing::the_lines_that_a_gate_failed_at_are_annotated_once",
        ],
    ),
    (
        "B16",
        "what is required stands in two places",
        &[
            "molt-domain pull::rules::tests::each_rule_is_kept_judged_or_in_the_way",
            "molt-tests::github story::rules::what_no_landing_could_pass_is_told_before_with_its_fix",
        ],
    ),
    (
        "B17",
        "GitHub's own queue lands by itself",
        &[
            "molt-tests::github story::rules::beside_githubs_own_queue_nothing_lands_whoever_may_pass_it_by",
        ],
    ),
    (
        "B18",
        "webhooks are lost, late, doubled and out of order",
        &[
            "molt-tests::github story::webhooks::with_every_webhook_lost_it_ends_the_same",
            "molt-tests::github story::webhooks::with_webhooks_lost_it_ends_the_same",
            "molt-tests::github story::webhooks::with_webhooks_twice_it_ends_the_same",
            "molt-tests::github story::webhooks::with_webhooks_out_of_order_it_ends_the_same",
            "molt-tests::github story::webhooks::with_webhooks_too_late_it_ends_the_same",
            "molt-tests::github webhooks::heard::a_delivery_that_comes_again_marks_again",
        ],
    ),
    (
        "B19",
        "a webhook is as good as its signature",
        &[
            "molt-tests::github webhooks::forged::no_forged_payload_is_taken_in",
            "molt-tests::github webhooks::forged::a_body_that_is_too_long_is_turned_away_whoever_signed_it",
            "molt-tests::github webhooks::forged::a_secret_that_is_replaced_counts_until_it_is_gone",
            "molt-tests::github webhooks::heard::the_documented_signature_is_good",
            "molt-tests::github story::webhooks::with_webhooks_forged_it_ends_the_same",
        ],
    ),
    (
        "B20",
        "lists come in pages, at addresses of GitHub's making",
        &[
            "molt-forge::github client::pages_are_followed_on_this_host_alone",
            "molt-forge github::answer::tests::the_next_page_is_a_path_and_never_a_host",
            "molt-tests::github story::rules::a_check_beyond_the_first_page_counts",
        ],
    ),
    (
        "B21",
        "a fork is another repository, and may be gone",
        &[
            "molt-tests::github story::races::of_a_fork_that_is_gone_the_head_lands_still",
            "molt-tests::github story::asking::of_a_fork_nothing_runs_before_a_maintainer_looked_at_that_head",
        ],
    ),
    (
        "B22",
        "a comment is anybody's, edited, quoted, or of a head that is gone",
        &[
            "molt-domain pull::head::tests::no_word_is_ever_about_a_head_that_is_gone",
            "molt-tests::github story::words::what_is_no_persons_own_word_commands_nothing",
            "molt-tests::github story::words::a_comment_that_was_edited_may_be_somebody_elses",
            "molt-tests::github story::words::a_command_that_does_not_read_as_it_is_written_is_none",
            "molt-tests::github story::words::who_names_no_head_means_the_one_that_was_seen_before",
            "molt-tests::github story::races::a_name_is_worth_what_its_owner_may_do_now",
        ],
    ),
    (
        "B23",
        "of each reviewer the latest word counts",
        &[
            "molt-domain pull::review::tests::the_latest_word_of_each_who_may_write_counts",
            "molt-domain pull::review::tests::an_older_head_and_a_dismissed_review_count_no_more",
            "molt-tests::github story::rules::reviews_count_of_who_may_write_and_for_this_head",
        ],
    ),
    (
        "B24",
        "workflows take a right of their own",
        &["molt-tests::github story::rules::workflows_take_a_right_of_their_own"],
    ),
    (
        "B25",
        "a push is refused",
        &[
            "molt-tests::github forge::refused::a_rule_in_the_way_is_told_in_githubs_words",
            "molt-tests::github forge::refused::an_app_that_may_only_read_lands_nothing",
            "molt-tests::github story::rules::a_rule_that_is_made_while_it_lands_is_told_and_waited_for",
        ],
    ),
    (
        "B26",
        "a token ends, an installation is suspended or lacks a right, a key is gone",
        &[
            "molt-tests::github story::lacking::what_may_not_be_said_in_a_check_run_is_said_in_a_status",
            "molt-tests::github story::lacking::who_is_suspended_tells_the_log_once_and_goes_on_afterwards",
            "molt-tests::github story::rules::a_permission_that_is_missing_is_named_and_granted_is_used_at_once",
            "molt-tests::github story::faults::a_token_that_has_ended_is_made_anew",
            "molt-tests::github story::key::with_a_key_that_is_gone_nothing_lands_and_with_a_new_one_it_goes_on",
        ],
    ),
    (
        "B27",
        "it was done, and the answer is lost",
        &[
            "molt-tests::github story::faults::a_check_run_is_made_once",
            "molt-tests::github story::faults::a_change_is_landed_once",
            "molt-tests::github story::faults::a_comment_is_made_once",
            "molt-tests::github story::crash::killed_while_it_lands",
            "molt-tests::github story::crash::a_landing_that_arrives_after_the_next_one_has_landed_it_moves_nothing",
        ],
    ),
    (
        "B28",
        "a repository is renamed, transferred, or replaced",
        &[
            "molt-tests::github story::renamed::renamed_while_it_lands_it_lands_once",
            "molt-tests::github story::renamed::transferred_while_a_landing_is_staged_it_lands_once",
            "molt-tests::github story::renamed::nothing_is_done_to_another_repository_that_takes_the_name_meanwhile",
            "molt-tests::github story::renamed::a_comment_that_cannot_be_written_keeps_nothing_from_landing",
        ],
    ),
    (
        "B29",
        "a stack is GitHub's alone to land",
        &[
            "molt-tests::github story::stacks::a_part_of_a_stack_is_left_to_github",
            "molt-tests::github story::stacks::what_is_on_top_of_another_waits_until_it_is_not",
        ],
    ),
    (
        "B30",
        "a list has not yet what was written",
        &[
            "molt-tests::github story::faults::a_list_that_has_not_yet_what_was_made_makes_no_second_one",
            "molt-tests::github story::faults::a_list_that_lags_by_default_is_no_trouble",
        ],
    ),
];

/// Where the tests of a binary are.
const BINARIES: [(&str, &str); 4] = [
    ("molt-tests::github", "tests/tests/github"),
    ("molt-forge::github", "coordinator/forge/tests/github"),
    ("molt-forge", "coordinator/forge/src"),
    ("molt-domain", "coordinator/domain/src"),
];

/// The file that a module is in: tests stand below what they test, or in a file of their own.
fn file(folder: &Path, modules: &[&str]) -> Option<PathBuf> {
    let of = |modules: &[&str]| folder.join(modules.join("/")).with_extension("rs");
    let above = modules.strip_suffix(&["tests"]).map(of);
    [Some(of(modules)), above].into_iter().flatten().find(|path| path.is_file())
}

/// Whether there is a test of this name.
fn is_there(name: &str) -> bool {
    let Some((binary, path)) = name.split_once(' ') else { return false };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = BINARIES.iter().find(|(known, _)| *known == binary).map(|it| root.join(it.1));
    let modules: Vec<&str> = path.split("::").collect();
    let Some((test, modules)) = modules.split_last() else { return false };
    let Some(file) = folder.and_then(|folder| file(&folder, modules)) else { return false };
    let source = fs::read_to_string(file).expect("source is text");
    let Some((before, _)) = source.split_once(&format!("fn {test}(")) else { return false };
    let attributes = before.rsplit("\n\n").next().unwrap_or_default();
    ["#[test]", "#[tokio::test"].iter().any(|it| attributes.contains(it))
}

#[test]
fn every_row_is_held_by_tests_that_are_there() {
    for (at, (id, what, tests)) in ROWS.into_iter().enumerate() {
        assert_eq!(id, format!("B{:02}", at + 1), "each row once, in order: {what}");
        assert!(!tests.is_empty(), "{id}: {what}");
        let gone = tests.iter().find(|name| !is_there(name));
        assert_eq!(gone, None, "{id}: {what}");
    }
    for wrong in [
        "molt-tests::github story::index::is_there",
        "molt-tests::github story::index::every_row",
        "molt-tests::github story::rows::every_row_is_held_by_tests_that_are_there",
        "molt-tests story::index::every_row_is_held_by_tests_that_are_there",
    ] {
        assert!(!is_there(wrong), "{wrong}");
    }
}
