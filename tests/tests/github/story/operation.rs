//! What the coordinator asks of GitHub, by the names that faults are planned under.

pub(super) const MAKE_CHECK: &str = "POST /repos/{owner}/{repo}/check-runs";
pub(super) const EDIT_CHECK: &str = "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}";
pub(super) const COMMENT: &str = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";
pub(super) const EDIT_COMMENT: &str = "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}";
pub(super) const LAND: &str = "POST /graphql";
/// What makes and deletes branches, publishes a candidate, and then stages its landing.
pub(super) const PUSH: &str = "git-receive-pack";
pub(super) const SET_STATUS: &str = "POST /repos/{owner}/{repo}/statuses/{sha}";
pub(super) const CHECKS: &str = "GET /repos/{owner}/{repo}/commits/{ref}/check-runs";
pub(super) const COMMENTS: &str = "GET /repos/{owner}/{repo}/issues/{issue_number}/comments";
pub(super) const ALL_COMMENTS: &str = "GET /repos/{owner}/{repo}/issues/comments";
pub(super) const REPOSITORY: &str = "GET /repos/{owner}/{repo}";
pub(super) const PULLS: &str = "GET /repos/{owner}/{repo}/pulls";
pub(super) const OPEN_PULL: &str = "POST /repos/{owner}/{repo}/pulls";
pub(super) const EDIT_PULL: &str = "PATCH /repos/{owner}/{repo}/pulls/{pull_number}";
pub(super) const PULL: &str = "GET /repos/{owner}/{repo}/pulls/{pull_number}";
pub(super) const PERMISSION: &str = "GET /repos/{owner}/{repo}/collaborators/{username}/permission";
/// What reads branches and heads by git.
pub(super) const FETCH: &str = "git-upload-pack";
