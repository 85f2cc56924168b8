//! Which function carries out which of GitHub's operations.

use super::call::{Call, Said};
use super::state::State;
use super::{checks, issues, pulls, refs, repositories, reviews};

pub(super) type Handler = fn(&mut State, &Call) -> Said;

/// What an operation does; none if the simulator doesn't serve it.
pub(super) fn handler(operation: &str) -> Option<Handler> {
    let (method, template) = operation.split_once(' ')?;
    let of_repository = template.strip_prefix("/repos/{owner}/{repo}");
    Some(match (method, of_repository.unwrap_or(template)) {
        ("GET", "/app") => repositories::app,
        ("GET", "/user") => repositories::user,
        ("GET", "/app/installations/{installation_id}" | "/installation") => {
            repositories::installation
        }
        ("POST", "/app/installations/{installation_id}/access_tokens") => {
            repositories::access_token
        }
        ("GET", "") => repositories::repository,
        ("GET", "/branches/{branch}") => repositories::branch,
        ("GET", "/rules/branches/{branch}") => repositories::rules,
        ("GET", "/rulesets/{ruleset_id}") => repositories::ruleset,
        ("GET", "/collaborators/{username}/permission") => repositories::permission,
        ("GET", "/git/ref/{ref}") => refs::reference,
        ("POST", "/git/refs") => refs::create_reference,
        ("PATCH", "/git/refs/{ref}") => refs::update_reference,
        ("DELETE", "/git/refs/{ref}") => refs::delete_reference,
        ("GET", "/commits/{commit_sha}/pulls") => repositories::pulls_of_commit,
        ("GET", "/pulls") => pulls::list,
        ("POST", "/pulls") => pulls::create,
        ("GET", "/pulls/{pull_number}") => pulls::get,
        ("PATCH", "/pulls/{pull_number}") => pulls::update,
        ("GET", "/pulls/{pull_number}/reviews") => reviews::list,
        ("GET", "/issues/comments" | "/issues/{issue_number}/comments") => issues::comments,
        ("GET", "/issues/comments/{comment_id}") => issues::get_comment,
        ("POST", "/issues/{issue_number}/comments") => issues::create_comment,
        ("PATCH", "/issues/comments/{comment_id}") => issues::update_comment,
        ("GET", "/issues/{issue_number}/labels") => issues::labels,
        ("POST", "/issues/{issue_number}/labels") => issues::add_labels,
        ("DELETE", "/issues/{issue_number}/labels/{name}") => issues::remove_label,
        ("POST", "/check-runs") => checks::create,
        ("GET", "/check-runs/{check_run_id}") => checks::get,
        ("PATCH", "/check-runs/{check_run_id}") => checks::update,
        ("GET", "/check-runs/{check_run_id}/annotations") => checks::annotations,
        ("GET", "/commits/{ref}/check-runs") => checks::list,
        ("POST", "/statuses/{sha}") => checks::set_status,
        ("GET", "/commits/{ref}/status") => checks::combined_status,
        _ => return None,
    })
}
