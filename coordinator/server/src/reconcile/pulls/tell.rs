//! Telling: one check run for each head, edited in place, and at most one comment.
//!
//! What is said follows from the board and from the last judgement. What was said last is on the
//! board, so that nothing is said twice, and a coordinator that takes over goes on with the same
//! check run and the same comment.

use molt_domain::board::Command;
use molt_domain::name::GateName;
use molt_domain::policy::Method;
use molt_domain::pull::admission::{Admission, Refusal, Stage};
use molt_domain::pull::words::{Answer, CheckRun, Light, Marker};
use molt_domain::pull::{CheckTold, Told, standing, words};
use molt_domain::train::State;
use molt_forge::Oid;
use molt_forge::github::{CheckReport, Outcome, shape};

use super::{Memory, OnBoard, Pulls, PullsError, read};

/// All that there is to say of a pull request.
struct Said {
    check: CheckRun,
    /// The comment, if there is to be one.
    comment: Option<String>,
}

impl Said {
    /// The same as long as the same is said of the same head.
    fn digest(&self, head: &str) -> String {
        let CheckRun { light, title, summary } = &self.check;
        let comment = self.comment.as_deref().unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        for part in [head, &format!("{light:?}"), title, summary, comment] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

impl Pulls {
    /// Says what is to be said and was not yet.
    pub(super) async fn tell(&self, memory: &mut Memory) -> Result<(), PullsError> {
        let (required, method) = self.gates().await?;
        for (number, entry) in self.on_board().await? {
            let Some(pull) = memory.pulls.get(&number).cloned() else { continue };
            let over = matches!(read::pull(&pull)?.stage, Stage::Closed | Stage::Merged);
            let judged = memory.judged.get(&number).map(|judged| &judged.admission);
            if let Some(said) = said(&entry, judged, (&required, method)) {
                self.say(&pull, &entry, &said).await?;
            }
            let is_open = entry.car.as_ref().is_some_and(|car| car.state.is_open());
            if over && !is_open {
                self.forget(memory, number).await?;
            }
        }
        Ok(())
    }

    /// Forgets a pull request of which nothing is left to say.
    pub(super) async fn forget(&self, memory: &mut Memory, number: u64) -> Result<(), PullsError> {
        let command = Command::ForgetPull { repo: self.repo.clone(), number };
        self.tell_board(number, command).await?;
        memory.pulls.remove(&number);
        memory.judged.remove(&number);
        Ok(())
    }

    async fn gates(&self) -> Result<(Vec<GateName>, Method), PullsError> {
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
        pull: &shape::Pull,
        entry: &OnBoard,
        said: &Said,
    ) -> Result<(), PullsError> {
        let told = &entry.known.told;
        let head = read::commit(&pull.head.sha)?;
        let digest = said.digest(head.as_str());
        if told.digest == digest {
            return Ok(());
        }
        let known = told.check.as_ref().filter(|check| check.head == head).map(|check| check.id);
        if let (None, Some(old)) = (known, &told.check) {
            self.drop_check(pull.number, old).await?;
        }
        let report = self.report(pull.number, &pull.head.sha, &said.check)?;
        let check = if self.account.client().credentials().is_app() {
            let id = self.account.client().report_check(&self.slug, known, &report).await?;
            Some(CheckTold { head, id })
        } else {
            self.account.client().report_status(&self.slug, &report).await?;
            None
        };
        let comment = match &said.comment {
            Some(text) => Some(self.comment(pull.number, told.comment, text).await?),
            None => told.comment,
        };
        let told = Told { check, comment, digest };
        let (repo, number) = (self.repo.clone(), pull.number);
        self.tell_board(number, Command::TellPull { repo, number, told }).await
    }

    /// A head that is another one's by now waits for nothing any more.
    async fn drop_check(&self, number: u64, old: &CheckTold) -> Result<(), PullsError> {
        let check = CheckRun {
            light: Light::Dropped,
            title: "head-moved: the pull request has another head".to_owned(),
            summary: "What was tested of this head is void.\n".to_owned(),
        };
        let report = self.report(number, old.head.as_str(), &check)?;
        self.account.client().report_check(&self.slug, Some(old.id), &report).await?;
        Ok(())
    }

    fn report(&self, number: u64, head: &str, check: &CheckRun) -> Result<CheckReport, PullsError> {
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
        // The mark is the text's own first line, which the report sets before it.
        let text = text.strip_prefix(&mark).map_or(text, |rest| rest.trim_start_matches('\n'));
        let said = (us, mark.as_str(), text);
        Ok(self.account.client().report_comment(&self.slug, number, known, said).await?)
    }
}

/// What there is to say, if anything: of who asked for nothing nothing is said.
fn said(
    entry: &OnBoard,
    judged: Option<&Admission>,
    (required, method): (&[GateName], Method),
) -> Option<Said> {
    let known = &entry.known;
    let of_head = entry
        .car
        .as_ref()
        .filter(|car| known.seen.last().is_some_and(|it| it.head.as_str() == car.head));
    let (check, state, is_refused) = match (judged, of_head) {
        (Some(admission @ (Admission::Wait { .. } | Admission::Refused(_))), _) => {
            let state = match admission {
                Admission::Wait { first, .. } => words::Told::from(first),
                Admission::Refused(refusal) => words::Told::from(refusal),
                Admission::NotAsked | Admission::Enter { .. } => return None,
            };
            let refused = matches!(admission, Admission::Refused(it) if *it != Refusal::Withdrawn);
            (CheckRun::of(admission), state, refused)
        }
        (_, Some(car)) => {
            let (light, state) = standing(car, required, method);
            let refused = matches!(car.state, State::Ejected { .. }) && light == Light::Red;
            (CheckRun::listing(light, std::slice::from_ref(&state)), state, refused)
        }
        (Some(Admission::NotAsked | Admission::Enter { .. }) | None, None) => {
            let admission = Admission::NotAsked;
            let nothing = known.answers.is_empty() && known.told.check.is_none();
            if nothing {
                return None;
            }
            let state = words::Told {
                code: "closed",
                what: "nobody asked for it to land".to_owned(),
                remedy: "ask for it by a comment",
            };
            (CheckRun::of(&admission), state, false)
        }
    };
    let has_comment = known.told.comment.is_some();
    let comment = (is_refused || has_comment || !known.answers.is_empty())
        .then(|| comment_of(known.number, &state, &known.answers));
    Some(Said { check, comment })
}

fn comment_of(number: u64, state: &words::Told, answers: &[Answer]) -> String {
    Marker(number).comment(state, answers)
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
