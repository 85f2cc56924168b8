//! Judging: whether a pull request enters the train, stays in it, or leaves it.
//!
//! What is judged by is read anew, because GitHub tells of no change in time; but of a pull request
//! that waits it is read again only when something about it changed, or now and then.

use std::time::Duration;

use molt_domain::board::Command;
use molt_domain::pull::admission::{self, Admission, Asked, Facts, How, Stage, Wait, Wish};
use molt_domain::pull::check::{Listing, Said};
use molt_domain::pull::rules::{self, Found, Installation, Level, Permission};
use molt_domain::pull::{Entry, Known, Left, Shown, Wanted};
use molt_domain::train::{Car, Proposer};
use molt_forge::github::shape;
use molt_repo::Oid;
use tokio::time::Instant;

use super::branch::{Standing, as_pushed, is_astray};
use super::{Memory, OnBoard, Pulls, PullsError, read};

/// How many rounds' time the judgement of who waits stands, when nothing about it changed.
pub(super) const STANDS: u32 = 8;

/// Pull requests judged in one round by reading GitHub; the others' turn is the next one.
const JUDGED: usize = 64;

/// How a pull request was judged last.
#[derive(Debug)]
pub(super) struct Judged {
    /// What was known of it then.
    known: Known,
    /// When it had changed last.
    updated: String,
    at: Instant,
    pub(super) admission: Admission,
}

impl Pulls {
    /// Lets pull requests into the train, and out of it.
    pub(super) async fn judge(&self, memory: &mut Memory) -> Result<(), PullsError> {
        let anew = std::mem::take(&mut memory.seen.anew);
        if anew {
            memory.judged.clear();
            self.account.forget_installations().await;
        }
        let heads = std::mem::take(&mut memory.seen.heads);
        for number in std::mem::take(&mut memory.seen.pulls) {
            memory.judged.remove(&number);
        }
        let mut due = Vec::new();
        for (number, entry) in self.on_board().await? {
            let Some(pull) = memory.pulls.get(&number).cloned() else { continue };
            if is_astray(&pull, &entry) {
                let back = self.bring_back(&pull, &entry.known).await;
                self.or_skip(number, back)?;
                // What that came to is seen first.
                continue;
            }
            let pull = as_pushed(pull, &entry.known);
            if heads.contains(&pull.head.sha) {
                memory.judged.remove(&number);
            }
            let looked_at = self.look(memory, &pull, &entry).await;
            if let Ok(true) = looked_at {
                due.push((memory.judged.get(&number).map(|it| it.at), pull, entry));
            }
            self.or_skip(number, looked_at.map(drop))?;
        }
        // Who waited longest is judged first, so that everybody's turn comes.
        due.sort_by_key(|(at, pull, _)| (*at, pull.number));
        for (_, pull, entry) in due.into_iter().take(JUDGED) {
            let judged = self.judge_one(memory, &pull, &entry).await;
            self.or_skip(pull.number, judged)?;
        }
        Ok(())
    }

    /// Whether a pull request is to be judged. One that is not is out, has entered, or was judged
    /// and stands.
    async fn look(
        &self,
        memory: &mut Memory,
        pull: &shape::Pull,
        entry: &OnBoard,
    ) -> Result<bool, PullsError> {
        let wanted = self.wanted(pull, &entry.known)?;
        if self.is_out(pull, entry, &wanted).await? || has_entered(pull, entry, &wanted) {
            memory.judged.remove(&pull.number);
            return Ok(false);
        }
        let span = self.account.every * STANDS;
        let judged = memory.judged.get(&pull.number);
        Ok(!judged.is_some_and(|it| it.stands(pull, &entry.known, span)))
    }

    async fn judge_one(
        &self,
        memory: &mut Memory,
        pull: &shape::Pull,
        entry: &OnBoard,
    ) -> Result<(), PullsError> {
        let wanted = self.wanted(pull, &entry.known)?;
        let judged = read::pull(pull, read::stack(pull, &self.branch, memory.pulls.values()))?;
        let admission = self.admission((pull, &judged), &entry.known, &wanted.wish).await?;
        if let Admission::Enter { head } = &admission {
            self.enter(pull, head, wanted.comment).await?;
        }
        let (known, updated) = (without_told(&entry.known), pull.updated_at.clone());
        let judged = Judged { known, updated, at: Instant::now(), admission };
        memory.judged.insert(pull.number, judged);
        Ok(())
    }

    /// Whether nothing is to be judged: it is over, or nobody wants it. A car that is still on its
    /// way is taken out then.
    async fn is_out(
        &self,
        pull: &shape::Pull,
        entry: &OnBoard,
        wanted: &Wanted,
    ) -> Result<bool, PullsError> {
        let over = matches!(read::stage(pull), Stage::Closed | Stage::Merged);
        let why = match wanted.wish {
            _ if over => Left::Closed,
            Wish::None | Wish::Withdrawn => Left::Withdrawn,
            Wish::Land(_) => return Ok(false),
        };
        if entry.is_in() {
            self.leave(pull.number, why).await?;
        }
        Ok(true)
    }

    async fn leave(&self, number: u64, why: Left) -> Result<(), PullsError> {
        self.tell_board(number, Command::LeavePull { repo: self.repo.clone(), number, why }).await
    }

    async fn enter(
        &self,
        pull: &shape::Pull,
        head: &molt_domain::pull::CommitId,
        comment: Option<u64>,
    ) -> Result<(), PullsError> {
        let entry = Entry {
            head: head.clone(),
            title: pull.title.clone(),
            body: pull.body.clone().unwrap_or_default(),
            login: pull.user.as_ref().map(|user| user.login.clone()).unwrap_or_default(),
            comment,
        };
        let (repo, number) = (self.repo.clone(), pull.number);
        self.tell_board(number, Command::EnterPull { repo, number, entry }).await
    }

    /// Whether a car may land as far as GitHub is concerned, asked at the last moment. One that may
    /// not for longer than a moment is taken out of the train, and may enter it again later.
    pub(crate) async fn still_admits(
        &self,
        car: &Car,
        number: u64,
    ) -> Result<Standing, PullsError> {
        let entry = self.one_on_board(number).await?;
        let (Some(entry), Some(pull)) = (entry, self.pull(number).await?) else {
            self.leave(number, Left::Closed).await?;
            return Ok(Standing::NotAdmitted);
        };
        if is_astray(&pull, &entry) {
            self.bring_back(&pull, &entry.known).await?;
            return Ok(Standing::NotAdmitted);
        }
        let wanted = self.wanted(&pull, &entry.known)?;
        if self.is_out(&pull, &entry, &wanted).await? {
            return Ok(Standing::NotAdmitted);
        }
        let judged = read::pull(&pull, read::stack(&pull, &self.branch, []))?;
        let left = match self.admission((&pull, &judged), &entry.known, &wanted.wish).await? {
            Admission::Enter { head } if head.as_str() == car.head => {
                if self.head_in_git(number).await?.as_deref() != Some(&car.head) {
                    // What somebody pushed right before is read in the next round.
                    return Ok(Standing::NotAdmitted);
                }
                let (_, method) = self.gates().await?;
                let branch = self.movable(&pull, method).await?;
                return Ok(Standing::Admitted { branch });
            }
            Admission::Enter { .. } => return Ok(Standing::NotAdmitted),
            Admission::NotAsked => Left::Withdrawn,
            // It entered with every check green, so it is one that runs again. A session's change
            // entered with none, and holds up nobody while it waits.
            Admission::Wait { first: Wait::Check(lacking), .. }
                if lacking.lack.may_pass() && matches!(car.proposer, Proposer::Pull(_)) =>
            {
                return Ok(Standing::NotAdmitted);
            }
            Admission::Wait { first, .. } => {
                Left::Hindered { code: first.reason().to_owned(), what: first.to_string() }
            }
            Admission::Refused(refusal) => {
                Left::Hindered { code: refusal.reason().to_owned(), what: refusal.to_string() }
            }
        };
        self.leave(number, left).await?;
        Ok(Standing::NotAdmitted)
    }

    /// Who wants it to land.
    fn wanted(&self, pull: &shape::Pull, known: &Known) -> Result<Wanted, PullsError> {
        let label = self.account.label.as_ref();
        Ok(known.wanted(Shown {
            head: &read::commit(&pull.head.sha)?,
            opened_by: read::user(pull.user.as_ref()),
            labelled: label.is_some_and(|label| pull.labels.iter().any(|it| it.name == *label)),
            auto_merge: pull.auto_merge.as_ref().map(|auto| read::user(auto.enabled_by.as_ref())),
        }))
    }

    async fn admission(
        &self,
        (pull, judged): (&shape::Pull, &admission::Pull),
        known: &Known,
        wish: &Wish,
    ) -> Result<Admission, PullsError> {
        let wish = &self.with_right(pull, wish.clone()).await?;
        let (_, ours) = self.account.ourselves().await?;
        let installation = self.account.installation(&self.slug).await?;
        let rules = self.rules().await?;
        let said = match rules::wanted(&rules).contexts.is_empty() {
            true => Said { runs: Vec::new(), statuses: Vec::new(), listing: Listing::Whole },
            false => self.said(&judged.head).await?,
        };
        let (reviews, rights) = self.reviews(pull.number).await?;
        let looked: Vec<admission::Looked> = known
            .looked
            .iter()
            .map(|look| admission::Looked { head: look.head.clone(), right: look.right })
            .collect();
        let changed = self.changed_paths(pull, &installation).await?;
        let (_, method) = self.gates().await?;
        Ok(admission::admission(&Facts {
            pull: judged,
            branch: &self.branch,
            method,
            wish,
            looked: &looked,
            rules: &rules,
            installation: &installation,
            changed: &changed,
            said: &said,
            ours: *ours,
            reviews: &reviews,
            rights: &rights,
        }))
    }

    /// The rules of the branch.
    async fn rules(&self) -> Result<Vec<Found>, PullsError> {
        Ok(self.account.rules(&self.slug, &self.branch).await?)
    }

    /// A wish with what whoever chose auto-merge may do now.
    async fn with_right(&self, pull: &shape::Pull, wish: Wish) -> Result<Wish, PullsError> {
        let chosen = pull.auto_merge.as_ref().and_then(|auto| auto.enabled_by.as_ref());
        match (wish, chosen) {
            (Wish::Land(asked), Some(account)) if asked.how == How::AutoMerge => {
                Ok(Wish::Land(Asked { right: self.right(account).await?, ..asked }))
            }
            (wish, _) => Ok(wish),
        }
    }

    /// The paths that a pull request changes, as far as anybody asks: where the App may change
    /// workflows too, no path is different from others.
    async fn changed_paths(
        &self,
        pull: &shape::Pull,
        installation: &Installation,
    ) -> Result<Vec<String>, PullsError> {
        if installation.level(Permission::Workflows) >= Level::Write {
            return Ok(Vec::new());
        }
        let (mirror, branch) = (self.mirror.clone(), self.branch.clone());
        let (number, head) = (pull.number, pull.head.sha.clone());
        let work = move || {
            let head: Oid = head.parse().map_err(|_| PullsError::Commit { text: head.clone() })?;
            mirror.obtain(&format!("refs/pull/{number}/head"))?;
            let base = mirror.branch(&branch)?;
            let from = mirror.merge_base(&base, &head)?.unwrap_or(base);
            let changed = mirror.changed_paths(&from, &head)?;
            Ok(changed.iter().filter_map(|it| it.path.as_text()).map(str::to_owned).collect())
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| PullsError::Panicked)?
    }
}

impl Judged {
    /// Whether nothing that is known of here has changed since, and it was not long ago.
    fn stands(&self, pull: &shape::Pull, known: &Known, span: Duration) -> bool {
        self.updated == pull.updated_at
            && self.known == without_told(known)
            && self.at.elapsed() < span
    }
}

/// What we said is no reason to judge anew.
fn without_told(known: &Known) -> Known {
    Known { told: Default::default(), answers: Vec::new(), ..known.clone() }
}

/// Whether the wish was carried out: the head is in the train, or was and left it. One that GitHub
/// hinders is judged until it does not.
fn has_entered(pull: &shape::Pull, entry: &OnBoard, wanted: &Wanted) -> bool {
    entry.known.entered.as_ref().is_some_and(|entered| {
        let same = entered.head.as_str() == pull.head.sha;
        let done = entry.is_in() || entered.comment >= wanted.comment;
        same && done && !entry.is_hindered()
    })
}
