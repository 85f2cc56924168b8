//! Reading GitHub: its shapes become the domain's types, and words are judged there.

use std::collections::{BTreeMap, btree_map};
use std::time::{SystemTime, UNIX_EPOCH};

use molt_domain::pull::check::{Listing, Run, Said, Status, Word};
use molt_domain::pull::command::{Author, Edits};
use molt_domain::pull::review::{Opinion, Review};
use molt_domain::pull::rules::Stack;
use molt_domain::pull::{AppId, CommitId, ForgeTime, Heard, Right, UserId, admission};
use molt_domain::train::Origin;
use molt_forge::github::shape::{self, Account};
use molt_forge::github::{Cause, GithubError, Operation, Ourselves};

use super::{Pulls, PullsError};

/// The id that nobody has: of an account that is gone.
const NOBODY: UserId = UserId(0);

/// A moment of GitHub's clock, in whole seconds.
pub(super) fn forge_time(at: SystemTime) -> ForgeTime {
    ForgeTime(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// A moment as GitHub writes it.
pub(super) fn moment(text: &str) -> Result<ForgeTime, PullsError> {
    let read = humantime::parse_rfc3339(text);
    read.map(forge_time).map_err(|_| PullsError::Time { text: text.to_owned() })
}

pub(super) fn commit(sha: &str) -> Result<CommitId, PullsError> {
    sha.parse().map_err(|_| PullsError::Commit { text: sha.to_owned() })
}

pub(super) fn user(account: Option<&Account>) -> UserId {
    account.map_or(NOBODY, |account| UserId(account.id))
}

/// Whose repository the head comes from. One that is gone was not ours.
pub(super) fn origin(pull: &shape::Pull) -> Origin {
    let (head, base) = (pull.head.repo.as_ref(), pull.base.repo.as_ref());
    match (head, base) {
        (Some(head), Some(base)) if head.id == base.id => Origin::Own,
        (Some(head), _) => Origin::Fork(head.full_name.clone()),
        (None, _) => Origin::Fork("a repository that is gone".to_owned()),
    }
}

/// Where a pull request is.
pub(super) fn stage(pull: &shape::Pull) -> admission::Stage {
    match pull.state.as_str() {
        _ if pull.merged_at.is_some() => admission::Stage::Merged,
        "open" if pull.draft => admission::Stage::Draft,
        "open" => admission::Stage::Open,
        _ => admission::Stage::Closed,
    }
}

/// Whether a pull request is part of a stack: one of GitHub's, or one that is only meant. `others`
/// are those that may be below it; the train's `branch` is below all.
pub(super) fn stack<'a>(
    pull: &shape::Pull,
    branch: &str,
    others: impl IntoIterator<Item = &'a shape::Pull>,
) -> Stack {
    if pull.stack.is_some() {
        return Stack::Part;
    }
    let is_below = |other: &&shape::Pull| {
        let is_own = origin(other).is_own() && other.state == "open";
        is_own && other.head.branch == pull.base.branch && pull.base.branch != branch
    };
    let below = others.into_iter().find(is_below);
    below.map_or(Stack::None, |below| Stack::OnTop { of: below.number })
}

/// A pull request as admission judges it.
pub(super) fn pull(pull: &shape::Pull, stack: Stack) -> Result<admission::Pull, PullsError> {
    Ok(admission::Pull {
        head: commit(&pull.head.sha)?,
        base: pull.base.branch.clone(),
        origin: origin(pull),
        opened_by: user(pull.user.as_ref()),
        stage: stage(pull),
        stack,
    })
}

/// A comment as the board hears it, of somebody whose right was not read.
pub(super) fn heard(
    comment: &shape::Comment,
    us: &Ourselves,
    handle: &molt_domain::pull::command::Handle,
) -> Result<Heard, PullsError> {
    let written = moment(&comment.created_at)?;
    let edited = comment.updated_at != comment.created_at;
    let (author, login) = match &comment.user {
        Some(account) if account.kind == "User" && !us.is(account) => {
            (Author::Person(UserId(account.id)), account.login.clone())
        }
        Some(account) => (Author::Program, account.login.clone()),
        None => (Author::Program, String::new()),
    };
    Ok(Heard {
        id: comment.id,
        written,
        by: user(comment.user.as_ref()),
        login,
        right: Right::None,
        author,
        edits: if edited { Edits::Some } else { Edits::None },
        text: comment.body.clone().unwrap_or_default(),
        handle: handle.clone(),
    })
}

impl Pulls {
    pub(super) async fn pull(&self, number: u64) -> Result<Option<shape::Pull>, PullsError> {
        let route = self.slug.route(Operation::PULL).with("pull_number", number);
        let client = self.account.client();
        match client.read::<shape::Pull>(route).await {
            Ok(pull) => {
                let of = pull.base.repo.as_ref();
                of.map_or(Ok(()), |repository| client.recognize(&self.slug, repository))?;
                Ok(Some(pull))
            }
            Err(GithubError { cause: Cause::Missing { .. } | Cause::Gone { .. }, .. }) => {
                // Nothing is gone where another repository has the name.
                client.look(&self.slug).await?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What somebody may do now. A name that is somebody else's by now has no right.
    pub(super) async fn right(&self, account: &Account) -> Result<Right, PullsError> {
        let route = self.slug.route(Operation::PERMISSION).with("username", &account.login);
        let read = self.account.client().read::<shape::Permission>(route).await;
        let found = match read {
            Ok(found) => found,
            Err(GithubError { cause: Cause::Missing { .. }, .. }) => return Ok(Right::None),
            Err(error) => return Err(error.into()),
        };
        let same = found.user.as_ref().is_some_and(|user| user.id == account.id);
        let role = found.role_name.as_deref().unwrap_or_default();
        Ok(if same { Right::of(&found.permission, role) } else { Right::None })
    }

    /// What people say of a pull request, and what each of them may do now.
    pub(super) async fn reviews(
        &self,
        number: u64,
    ) -> Result<(Vec<Review>, BTreeMap<UserId, Right>), PullsError> {
        let route = self.slug.route(Operation::REVIEWS).with("pull_number", number);
        let pages = self.account.client().pages(route, |page: Vec<shape::Review>| page);
        let (mut reviews, mut rights) = (Vec::new(), BTreeMap::new());
        for review in pages.await? {
            let Some(account) = &review.user else { continue };
            let by = UserId(account.id);
            if let btree_map::Entry::Vacant(unread) = rights.entry(by) {
                unread.insert(self.right(account).await?);
            }
            let head = review.commit_id.as_deref().map(commit).transpose()?;
            reviews.push(Review { id: review.id, by, head, opinion: Opinion::of(&review.state) });
        }
        Ok((reviews, rights))
    }

    /// What other programs say of a head.
    pub(super) async fn said(&self, head: &CommitId) -> Result<Said, PullsError> {
        let route = self.slug.route(Operation::CHECKS).with("ref", head.as_str());
        let counted = |page: shape::CheckRuns| vec![page];
        let pages = self.account.client().pages(route.query("filter", "all"), counted).await?;
        let total = pages.iter().map(|page| page.total_count).max().unwrap_or(0);
        let runs: Vec<Run> = pages
            .into_iter()
            .flat_map(|page| page.check_runs)
            .map(|it| run(&it))
            .collect::<Result<_, _>>()?;
        let route = self.slug.route(Operation::STATUS).with("ref", head.as_str());
        let pages = self.account.client().pages(route, |page: shape::Statuses| vec![page]).await?;
        let stated = pages.iter().map(|page| page.total_count).max().unwrap_or(0);
        let statuses: Vec<Status> = pages
            .into_iter()
            .flat_map(|page| page.statuses)
            // The forge lists the last status of each name alone.
            .map(|it| {
                let word = Word::of_status(&it.state);
                Status { id: 0, context: it.context, head: head.clone(), word }
            })
            .collect();
        let whole = runs.len() as u64 >= total && statuses.len() as u64 >= stated;
        let listing = if whole { Listing::Whole } else { Listing::Cut };
        Ok(Said { runs, statuses, listing })
    }
}

fn run(it: &shape::CheckRun) -> Result<Run, PullsError> {
    Ok(Run {
        id: it.id,
        name: it.name.clone(),
        app: AppId(it.app.as_ref().map_or(0, |app| app.id)),
        head: commit(&it.head_sha)?,
        word: Word::of_run(&it.status, it.conclusion.as_deref()),
    })
}
