//! Telling: one check run for each head, edited in place, and at most one comment.
//!
//! What is said follows from the board and from the last judgement. What was said last is on the
//! board, so that nothing is said twice, and a coordinator that takes over goes on with the same
//! check run and the same comment. Of mere progress less is said than there is: a request that
//! changes something costs more than a reader gains.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use molt_domain::board::Command;
use molt_domain::gate::Results;
use molt_domain::id::JobId;
use molt_domain::name::GateName;
use molt_domain::policy::Method;
use molt_domain::pull::admission::Stage;
use molt_domain::pull::rules::{Level, Permission};
use molt_domain::pull::words::{self, CheckRun, Light, Marker};
use molt_domain::pull::{Basis, CheckTold, Closes, CommitId, Report, Told, pause};
use molt_domain::train::{Car, Ejection, State};
use molt_forge::Oid;
use molt_forge::github::{Annotation, CheckReport, CommentReport, Outcome, shape};
use tokio::time::Instant;

use super::branch::as_told;
use super::judge::STANDS;
use super::{Memory, OnBoard, Pulls, PullsError, read};

/// What this coordinator said of a pull request last.
#[derive(Debug)]
pub(super) struct Spoken {
    head: CommitId,
    progress: Option<String>,
    at: Instant,
    /// Reports of the same progress before this one.
    before: u32,
}

impl Spoken {
    /// After it was said now.
    fn of(head: CommitId, report: &Report, last: Option<&Self>) -> Self {
        let before = last.filter(|it| it.goes_on(&head, report)).map_or(0, |it| it.before + 1);
        Self { head, progress: report.progress.clone(), at: Instant::now(), before }
    }

    fn goes_on(&self, head: &CommitId, report: &Report) -> bool {
        self.head == *head && report.progress.is_some() && self.progress == report.progress
    }

    /// Whether a report is to wait.
    fn holds_back(&self, head: &CommitId, report: &Report) -> bool {
        self.goes_on(head, report) && self.at.elapsed() < pause(self.before)
    }
}

/// What we may tell in.
enum Voice {
    CheckRun,
    Status,
    None,
}

impl Pulls {
    /// Says what is to be said and was not yet.
    pub(super) async fn tell(&self, memory: &mut Memory) -> Result<(), PullsError> {
        let (required, method) = self.gates().await?;
        let board = self.on_board().await?;
        let found = self.found(&board).await?;
        for (number, entry) in board {
            let Some(pull) = memory.pulls.get(&number).cloned() else { continue };
            let pull = as_told(pull, &entry);
            let entry = match self.landed_unseen(&pull, &entry).await {
                Ok(true) => OnBoard { closes: Closes::Yes, ..entry },
                unseen => {
                    self.or_skip(number, unseen.map(drop))?;
                    entry
                }
            };
            let closes = entry.closes;
            // What we close is at no door any more.
            let judged = memory.judged.get(&number).filter(|_| closes == Closes::No);
            let judged = judged.map(|judged| &judged.admission);
            let (known, car) = (entry.known.as_ref(), entry.car.as_deref());
            let found = car.and_then(ended_by).and_then(|job| found.get(&job));
            let found = found.map(|results| &results.finding);
            let basis = Basis { known, car, found, judged, required: &required, method, closes };
            let report = Report::of(basis);
            let said = self.tell_one(memory, pull, &entry, report).await;
            self.or_skip(number, said)?;
        }
        Ok(())
    }

    /// Says what is to be said of one, and is done with it if it is over.
    async fn tell_one(
        &self,
        memory: &mut Memory,
        pull: shape::Pull,
        entry: &OnBoard,
        report: Option<Report>,
    ) -> Result<(), PullsError> {
        let number = pull.number;
        let mut over = matches!(read::stage(&pull), Stage::Closed | Stage::Merged);
        let said = match report {
            Some(report) => self.say(memory, &pull, entry, &report).await,
            None => Ok(()),
        };
        // Where GitHub does not let us tell people why, as in a conversation that is locked, it is
        // closed all the same.
        self.or_skip(number, said)?;
        if entry.closes == Closes::Yes && !over {
            memory.pulls.insert(number, self.close(number).await?);
            over = true;
        }
        if over && !entry.is_in() {
            self.retire(entry).await?;
            self.forget(memory, number).await?;
        }
        Ok(())
    }

    /// What the runs found that took cars out of the train, as long as that is kept.
    async fn found(
        &self,
        board: &BTreeMap<u64, OnBoard>,
    ) -> Result<BTreeMap<JobId, Arc<Results>>, PullsError> {
        let cars = board.values().filter_map(|entry| entry.car.as_deref());
        let jobs: BTreeSet<JobId> = cars.filter_map(ended_by).collect();
        if jobs.is_empty() {
            return Ok(BTreeMap::new());
        }
        let read = self.handle.read(move |at| {
            let results = at.board.tables().results.values();
            let wanted = results.filter(|results| jobs.contains(&results.job));
            wanted.map(|results| (results.job, Arc::clone(results))).collect()
        });
        Ok(read.await?)
    }

    /// Forgets a pull request of which nothing is left to say.
    pub(super) async fn forget(&self, memory: &mut Memory, number: u64) -> Result<(), PullsError> {
        let command = Command::ForgetPull { repo: self.repo.clone(), number };
        self.tell_board(number, command).await?;
        memory.pulls.remove(&number);
        memory.judged.remove(&number);
        memory.spoken.remove(&number);
        memory.unsaid.remove(&number);
        Ok(())
    }

    /// The gates that the base requires, and how it lands.
    pub(super) async fn gates(&self) -> Result<(Vec<GateName>, Method), PullsError> {
        let name = self.repo.clone();
        let read = self.handle.read(move |at| {
            let policy = &at.board.tables().repos.get(&name)?.policy;
            Some((policy.merge.required.clone(), policy.merge.method))
        });
        read.await?.ok_or_else(|| PullsError::NoBase { repo: self.repo.clone() })
    }

    /// Says it, unless it was said, and takes note of it.
    async fn say(
        &self,
        memory: &mut Memory,
        pull: &shape::Pull,
        entry: &OnBoard,
        report: &Report,
    ) -> Result<(), PullsError> {
        let told = &entry.known.told;
        let head = read::commit(&pull.head.sha)?;
        let digest = report.digest(head.as_str());
        let last = memory.spoken.get(&pull.number);
        let refused = memory
            .unsaid
            .get(&pull.number)
            .filter(|(of, at)| *of == digest && at.elapsed() < self.account.every * STANDS);
        let holds_back = last.is_some_and(|it| it.holds_back(&head, report));
        if told.digest == digest || holds_back || refused.is_some() {
            return Ok(());
        }
        let spoken = Spoken::of(head.clone(), report, last);
        match self.say_now(pull, entry, report, head, digest.clone()).await {
            Ok(()) => {
                memory.spoken.insert(pull.number, spoken);
                memory.unsaid.remove(&pull.number);
                Ok(())
            }
            Err(error) => {
                if error.is_of_one() {
                    memory.unsaid.insert(pull.number, (digest, Instant::now()));
                }
                Err(error)
            }
        }
    }

    async fn say_now(
        &self,
        pull: &shape::Pull,
        entry: &OnBoard,
        report: &Report,
        head: CommitId,
        digest: String,
    ) -> Result<(), PullsError> {
        let told = &entry.known.told;
        let known = told.check.as_ref().filter(|check| check.head == head).map(|check| check.id);
        if let (None, Some(old)) = (known, &told.check) {
            // A head that we moved ourselves ends as the change does.
            let is_ours = entry.known.is_moved_to(head.as_str());
            let last = if is_ours { report.check.clone() } else { moved_on() };
            let last = self.check_report(pull.number, old.head.as_str(), &last)?;
            self.account.client().report_check(&self.slug, Some(old.id), &last).await?;
        }
        let run = self.check_report(pull.number, &pull.head.sha, &report.check)?;
        let annotations = report.annotations.iter().map(annotation).collect();
        let run = CheckReport { annotations, ..run };
        let check = match self.voice().await? {
            Voice::CheckRun => {
                let id = self.account.client().report_check(&self.slug, known, &run).await?;
                if told.check.is_none() && !told.digest.is_empty() {
                    self.hand_over(&run).await?;
                }
                Some(CheckTold { head, id })
            }
            Voice::Status => {
                self.account.client().report_status(&self.slug, &run).await?;
                None
            }
            Voice::None => None,
        };
        let comment = match &report.comment {
            Some(text) => Some(self.comment(pull.number, told.comment, text).await?),
            None => told.comment,
        };
        let told = Told { check, comment, digest };
        let (repo, number) = (self.repo.clone(), pull.number);
        self.tell_board(number, Command::TellPull { repo, number, told }).await
    }

    /// How we may tell. An App that may not write check runs says it in a status, if it may: people
    /// are told more by a line than by nothing.
    async fn voice(&self) -> Result<Voice, PullsError> {
        if !self.account.client().credentials().is_app() {
            return Ok(Voice::Status);
        }
        let installation = self.account.installation(&self.slug).await?;
        let may = |permission| installation.level(permission) >= Level::Write;
        Ok(match (may(Permission::Checks), may(Permission::Statuses)) {
            (true, _) => Voice::CheckRun,
            (false, true) => Voice::Status,
            (false, false) => Voice::None,
        })
    }

    /// Ends what was said in a status before there was a check run: GitHub wants both of one name.
    async fn hand_over(&self, run: &CheckReport) -> Result<(), PullsError> {
        let installation = self.account.installation(&self.slug).await?;
        if installation.level(Permission::Statuses) < Level::Write {
            return Ok(());
        }
        let title = "the check run of this name says it now".to_owned();
        let over = CheckReport { outcome: Outcome::Passed, title, ..run.clone() };
        self.account.client().report_status(&self.slug, &over).await?;
        Ok(())
    }

    fn check_report(
        &self,
        number: u64,
        head: &str,
        check: &CheckRun,
    ) -> Result<CheckReport, PullsError> {
        let head: Oid = head.parse().map_err(|_| PullsError::Commit { text: head.to_owned() })?;
        Ok(CheckReport {
            name: self.account.check.clone(),
            id: format!("{}#{number}", self.repo),
            head,
            outcome: outcome(check.light),
            title: check.title.clone(),
            summary: check.summary.clone(),
            annotations: Vec::new(),
        })
    }

    async fn comment(
        &self,
        number: u64,
        known: Option<u64>,
        text: &str,
    ) -> Result<u64, PullsError> {
        let (us, _) = self.account.ourselves().await?;
        let mark = Marker(number).to_string();
        let said = CommentReport { us, mark: &mark, text };
        Ok(self.account.client().report_comment(&self.slug, number, known, said).await?)
    }
}

/// The run that took a car out of the train, if one did.
fn ended_by(car: &Car) -> Option<JobId> {
    match &car.state {
        State::Ejected { ejection: Ejection::GateFailed { job, .. }, .. } => Some(*job),
        _ => None,
    }
}

/// What is said last of a head that is another one by now.
fn moved_on() -> CheckRun {
    CheckRun {
        light: Light::Dropped,
        title: "head-moved: the pull request has another head".to_owned(),
        summary: "What was tested of this head is void.\n".to_owned(),
    }
}

fn annotation(it: &words::Annotation) -> Annotation {
    let message = it.message().to_owned();
    Annotation { path: it.path.clone(), line: u64::from(it.line), message }
}

fn outcome(light: Light) -> Outcome {
    match light {
        Light::Neutral | Light::Pending => Outcome::Open,
        Light::Green => Outcome::Passed,
        Light::Wanted => Outcome::Wanted,
        Light::Red => Outcome::Failed,
        Light::Dropped => Outcome::Dropped,
    }
}
