//! What people and other Apps do in the simulated GitHub, as a test has them do it.
//!
//! Each of these is a change like one that was asked for: pull requests follow, and whoever listens
//! to webhooks hears of it. What a test takes to be there has to be there.

use serde_json::Value;

use super::follow::Mover;
use super::git::ZERO;
use super::state::State;
use super::{GitHub, Right};
use super::{checks, events, issues, pulls, reviews};

/// Who pushes, sets rules and suspends where the test doesn't say.
const OWNER: &str = "mona";

impl GitHub {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.world().change(change)
    }

    pub(crate) fn set_right(&self, repository: u64, login: &str, right: Right) {
        self.change(|state| {
            state.user(login);
            let rights = &mut state.repository_mut(repository).rights;
            let action = match rights.insert(login.to_owned(), right) {
                _ if right == Right::None => "removed",
                None | Some(Right::None) => "added",
                Some(_) => "edited",
            };
            events::member(state, repository, login, action, OWNER);
        });
    }

    /// When the App may pass by what rulesets demand: `never`, `always`, `pull_requests_only`.
    /// To be said before [`GitHub::set_rules`], which tells of it.
    pub(crate) fn set_bypass(&self, repository: u64, word: &'static str) {
        self.change(|state| state.repository_mut(repository).bypass = word);
    }

    /// The active rules of a branch, as GitHub answers them.
    pub(crate) fn set_rules(&self, repository: u64, branch: &str, rules: Vec<Value>) {
        self.change(|state| {
            let of = state.repository_mut(repository);
            let none = rules.is_empty();
            let action = match of.rules.insert(branch.to_owned(), rules) {
                _ if none => "deleted",
                None => "created",
                Some(_) => "edited",
            };
            let refs = of.rules.keys().map(|branch| format!("refs/heads/{branch}"));
            let guarded: Vec<_> = refs.filter(|name| of.is_guarded(name)).collect();
            of.git.guard(&guarded);
            events::ruleset(state, repository, branch, action, OWNER);
        });
    }

    /// Forbids by a rule that nobody is shown that `main` moves to a commit whose message has this.
    pub(crate) fn decline(&self, repository: u64, words: &str) {
        self.change(|state| state.repository_mut(repository).declined.push(words.to_owned()));
    }

    /// Protects a branch as in older days: these checks must pass, each by its App or by anybody;
    /// with none of them the branch is not protected any more.
    pub(crate) fn protect(&self, repository: u64, branch: &str, checks: &[(&str, Option<u64>)]) {
        self.change(|state| {
            let of = &mut state.repository_mut(repository).protected;
            if checks.is_empty() {
                of.remove(branch);
                events::protection(state, repository, branch, "deleted", OWNER);
                return;
            }
            let checks = checks.iter().map(|(name, app)| ((*name).to_owned(), *app)).collect();
            let known = of.insert(branch.to_owned(), checks).is_some();
            let action = if known { "edited" } else { "created" };
            events::protection(state, repository, branch, action, OWNER);
        });
    }

    /// Pushes a commit with these files on top of a branch, which begins at `main` if it is new.
    pub(crate) fn push_commit(
        &self,
        repository: u64,
        branch: &str,
        files: &[(&str, &str)],
    ) -> String {
        self.push(repository, branch, files, Option::unwrap_or)
    }

    /// Pushes a commit with these files on top of `main` in place of what a branch had.
    pub(crate) fn force_push(
        &self,
        repository: u64,
        branch: &str,
        files: &[(&str, &str)],
    ) -> String {
        self.push(repository, branch, files, |_, main| main)
    }

    fn push(
        &self,
        repository: u64,
        branch: &str,
        files: &[(&str, &str)],
        onto: impl FnOnce(Option<String>, String) -> String,
    ) -> String {
        self.change(|state| {
            let git = &state.repository(repository).git;
            let name = format!("refs/heads/{branch}");
            let stands = git.tip(&name);
            let main = git.tip("refs/heads/main").expect("main is there");
            let parent = onto(stands.clone(), main);
            let commit = git.commit_files(&[&parent], files, &format!("Change {branch}"));
            let before = stands.unwrap_or_else(|| ZERO.to_owned());
            git.update(&[(name, commit.clone(), Some(before))]).expect("nobody else pushes");
            state.follow_git(Mover::Test(OWNER));
            commit
        })
    }

    /// Deletes a branch, and so closes the pull requests that have it as their head.
    pub(crate) fn delete_branch(&self, repository: u64, branch: &str) {
        self.git(repository, &["update-ref", "-d", &format!("refs/heads/{branch}")]);
    }

    /// Opens a pull request on `main`; `head` is a branch, `owner:branch` of a fork.
    pub(crate) fn open_pull(&self, repository: u64, author: &str, head: &str) -> u64 {
        self.open_pull_onto(repository, author, head, "main")
    }

    pub(crate) fn open_pull_onto(
        &self,
        repository: u64,
        author: &str,
        head: &str,
        base: &str,
    ) -> u64 {
        let title = format!("Change {head}");
        let opened = pulls::Opened { title: &title, body: None, author, draft: false, head, base };
        self.change(|state| pulls::open(state, repository, &opened)).expect("GitHub opens it")
    }

    /// Makes a stack of pull requests, the lowest first; of one that is in it already, nothing more.
    pub(crate) fn stack(&self, repository: u64, numbers: &[u64]) -> u64 {
        self.change(|state| {
            let (of, now) = (state.id(), state.now());
            for (at, number) in numbers.iter().enumerate() {
                let pull = state.pull_mut(repository, *number).expect("the pull request is there");
                (pull.stack, pull.updated) = (Some((of, at + 1)), now);
            }
            of
        })
    }

    /// Takes a stack apart.
    pub(crate) fn unstack(&self, repository: u64, of: u64) {
        self.change(|state| {
            let now = state.now();
            let pulls = state.repository_mut(repository).pulls.values_mut();
            for pull in pulls.filter(|pull| pull.stack.is_some_and(|(number, _)| number == of)) {
                (pull.stack, pull.updated) = (None, now);
            }
        });
    }

    /// Writes `title`, `body` or `base` over a pull request's.
    pub(crate) fn edit_pull(&self, repository: u64, number: u64, login: &str, fields: &Value) {
        self.change(|state| pulls::edit(state, (repository, number), login, fields));
    }

    pub(crate) fn close_pull(&self, repository: u64, number: u64, login: &str) {
        let closed =
            self.change(|state| pulls::set_open(state, (repository, number), login, false));
        closed.expect("it isn't merged");
    }

    pub(crate) fn reopen_pull(&self, repository: u64, number: u64, login: &str) {
        let opened = self.change(|state| pulls::set_open(state, (repository, number), login, true));
        opened.expect("GitHub opens it again");
    }

    pub(crate) fn set_draft(&self, repository: u64, number: u64, login: &str, draft: bool) {
        self.change(|state| pulls::set_draft(state, (repository, number), login, draft));
    }

    /// Has a pull request merged once it may be, by `merge`, `squash` or `rebase`; none for no
    /// longer. Whether it may be is nobody's business here: it is not merged by itself.
    pub(crate) fn set_auto_merge(
        &self,
        repository: u64,
        number: u64,
        login: &str,
        method: Option<&str>,
    ) {
        self.change(|state| pulls::set_auto_merge(state, (repository, number), login, method));
    }

    pub(crate) fn label(&self, repository: u64, number: u64, login: &str, name: &str) {
        let put = self.change(|state| issues::label(state, (repository, number), login, name));
        put.expect("the pull request is there");
    }

    pub(crate) fn unlabel(&self, repository: u64, number: u64, login: &str, name: &str) {
        let taken = self.change(|state| issues::unlabel(state, (repository, number), login, name));
        taken.expect("the label is on the pull request");
    }

    /// Reviews a pull request as of its head: `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`.
    pub(crate) fn review(&self, repository: u64, number: u64, login: &str, verdict: &str) -> u64 {
        let at = (repository, number);
        let given = self.change(|state| reviews::submit(state, at, login, verdict, None));
        given.expect("the pull request is there")
    }

    /// Reviews a pull request as of a commit.
    pub(crate) fn review_of(
        &self,
        (repository, number): (u64, u64),
        login: &str,
        verdict: &str,
        commit: &str,
    ) -> u64 {
        let at = (repository, number);
        let given = self.change(|state| reviews::submit(state, at, login, verdict, Some(commit)));
        given.expect("the pull request is there")
    }

    pub(crate) fn dismiss_review(&self, repository: u64, number: u64, login: &str, review: u64) {
        let at = (repository, number);
        let dismissed = self.change(|state| reviews::dismiss(state, at, review, login));
        dismissed.expect("the review is there");
    }

    pub(crate) fn comment_as(&self, repository: u64, number: u64, login: &str, text: &str) -> u64 {
        let made = self.change(|state| issues::comment(state, repository, number, login, text));
        made.expect("the pull request is there")
    }

    pub(crate) fn edit_comment(&self, repository: u64, comment: u64, login: &str, text: &str) {
        let edited = self.change(|state| issues::edit(state, repository, comment, login, text));
        edited.expect("the comment is there");
    }

    pub(crate) fn delete_comment(&self, repository: u64, comment: u64, login: &str) {
        let gone = self.change(|state| issues::delete(state, repository, comment, login));
        gone.expect("the comment is there");
    }

    /// A check run of another App.
    pub(crate) fn set_check_as(&self, repository: u64, app: u64, fields: &Value) -> u64 {
        let set = self.change(|state| checks::set_check(state, repository, app, None, fields));
        set.expect("the fields are GitHub's")
    }

    /// Writes fields over a check run of another App.
    pub(crate) fn update_check_as(&self, repository: u64, app: u64, run: u64, fields: &Value) {
        let set = self.change(|state| checks::set_check(state, repository, app, Some(run), fields));
        set.expect("the fields are GitHub's");
    }

    /// Somebody asks for a check run once more.
    pub(crate) fn rerequest_check(&self, repository: u64, login: &str, run: u64) {
        self.change(|state| events::check_run(state, repository, run, "rerequested", login));
    }

    /// A status that somebody with the right to push sets.
    pub(crate) fn set_status_as(
        &self,
        repository: u64,
        login: &str,
        sha: &str,
        (context, verdict): (&str, &str),
    ) {
        let given = checks::Given { context, state: verdict, description: None, target: None };
        self.change(|state| checks::give_status(state, repository, sha, login, &given));
    }

    /// Somebody takes another name; his id stays.
    pub(crate) fn rename_user(&self, login: &str, name: &str) {
        self.change(|state| state.rename_user(login, name));
    }

    /// A repository takes another name, `owner/name`: the old one leads to it until another
    /// repository has that.
    pub(crate) fn rename_repository(&self, id: u64, full_name: &str) {
        self.change(|state| state.rename_repository(id, full_name));
    }

    /// Deletes a fork; its pull requests stay, with the head they had.
    pub(crate) fn delete_repository(&self, id: u64) {
        self.change(|state| {
            state.repositories.remove(&id);
            let pulls = state.repositories.values_mut().flat_map(|it| it.pulls.values_mut());
            pulls
                .filter(|pull| pull.head_repository == Some(id))
                .for_each(|pull| pull.head_repository = None);
        });
    }

    /// Grants the App a permission where it is installed. Tokens that were made have it not.
    pub(crate) fn grant(&self, permission: &str, level: &str) {
        self.change(|state| {
            state.app.permissions.insert(permission.to_owned(), level.to_owned());
            events::installation(state, "new_permissions_accepted", OWNER);
        });
    }

    pub(crate) fn suspend_installation(&self, suspended: bool) {
        self.change(|state| {
            state.suspended = suspended;
            let action = if suspended { "suspend" } else { "unsuspend" };
            events::installation(state, action, OWNER);
        });
    }
}
