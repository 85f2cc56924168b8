//! The simulator is what it says: tests of itself, by plain HTTP and by the git program.
//!
//! A product that is only tried at a simulation is as good as the simulation is. What keeps this one
//! from being what we would like GitHub to be, each with the tests that hold it, is in [`HELD`].

mod asking;
mod bugs;
mod client;
mod faults;
mod guards;
mod hooks;
mod landing;
mod limits;
mod receiver;
mod shapes;
mod stories;

/// What is held of the simulator, and by which tests.
const HELD: [(&str, &[&str]); 7] = [
    (
        "every exchange is as GitHub's description has it, in both directions",
        &[
            "a_request_that_github_would_ignore_or_refuse_is_a_violation",
            "an_answer_that_github_would_not_give_is_a_violation",
            "an_event_that_github_would_not_send_fails_the_test",
            "recordings_conform_but_for_the_waivers_and_every_waiver_is_needed",
        ],
    ),
    (
        "what is asked in GraphQL is as GitHub's own schema has it",
        &[
            "what_the_schema_has_not_is_told",
            "what_the_product_sends_holds_by_this_schema_and_by_no_other",
        ],
    ),
    (
        "its answers have the fields of those that GitHub has given",
        &[
            "recorded_answers_have_nothing_that_the_simulators_lack",
            "a_field_that_is_missing_or_of_another_kind_is_found",
        ],
    ),
    (
        "git is the truth: sound, no base moved back, nothing that was merged is lost",
        &[
            "a_repository_that_git_finds_broken_fails_the_test",
            "a_rewind_that_nobody_took_fails_the_test",
            "what_was_merged_and_is_not_in_its_base_any_more_fails_the_test",
        ],
    ),
    (
        "others who simulate GitHub come to the same, but for what is listed",
        &[
            "what_others_take_github_to_be_is_what_we_do",
            "the_steps_and_a_gated_merge_are_rehearsed",
        ],
    ),
    (
        "what is wrong with it on purpose is seen by the product's own parts, and by its stories",
        &[
            "each_bug_is_seen_and_nothing_is_seen_without_it",
            "webhooks_that_are_not_sent_are_seen",
            "webhooks_that_others_signed_are_seen",
            "a_base_that_moves_from_wherever_it_stands_is_seen",
            "check_runs_that_are_lost_are_seen",
            "rights_that_everybody_has_are_seen",
            "a_status_that_stays_what_it_was_is_seen",
            "a_list_of_one_page_is_seen",
        ],
    ),
    (
        "GitHub's words are in one table, each with its source",
        &["githubs_words_are_in_one_table_each_with_its_source"],
    ),
];

/// All source text below a folder.
fn source(folder: &std::path::Path) -> String {
    let entries = std::fs::read_dir(folder).expect("the folder").map(|it| it.expect("an entry"));
    let text = |path: std::path::PathBuf| match path.extension() {
        _ if path.is_dir() => source(&path),
        Some(ending) if ending == "rs" => std::fs::read_to_string(&path).expect("source is text"),
        _ => String::new(),
    };
    entries.map(|entry| text(entry.path())).collect()
}

#[test]
fn every_test_that_holds_something_is_there() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/github");
    let source = source(&here);
    for (what, tests) in HELD {
        let gone = tests.iter().find(|name| !source.contains(&format!("fn {name}()")));
        assert_eq!(gone, None, "{what}");
        assert!(!tests.is_empty(), "{what}");
    }
}
