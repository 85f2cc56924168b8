//! What is said about a change at GitHub: one check run, edited in place, and at most one comment;
//! and that it is over, where GitHub cannot see that by itself.
//!
//! Both are made once, whatever happens in between. A check run is found again by what its author
//! calls it, a comment by a mark in its text. A personal token has no check runs: it sets a status,
//! which has room for a line. Texts come ready to be shown (`molt-domain`): nothing is escaped or
//! cut here.

use serde_json::{Value, json};

use super::client::Client;
use super::error::GithubError;
use super::operation::Operation;
use super::place::Slug;
use super::shape::{self, Account, CheckRun, CheckRuns, Comment, Made};
use crate::Oid;

/// So many annotations go with one request, which is the most that GitHub takes.
const ANNOTATIONS: usize = 50;

/// How often annotations are looked for and sent.
const PASSES: u32 = 3;

/// So long a status's line may be, in characters.
const LINE: usize = 140;

/// Whose comments are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ourselves {
    /// Those of a personal token's owner, by the account's id.
    Account(u64),
    /// Those of an App, by its name among accounts: `molt[bot]`. No person's name has brackets.
    Bot(String),
}

impl Ourselves {
    /// Whether an account is ours.
    #[must_use]
    pub fn is(&self, account: &Account) -> bool {
        match self {
            Self::Account(id) => account.id == *id,
            Self::Bot(login) => account.login == *login,
        }
    }
}

/// How a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// On its way.
    Open,
    /// It landed, or may.
    Passed,
    /// It does not.
    Failed,
    /// A person has to do something first.
    Wanted,
    /// Nobody wants it any more.
    Dropped,
}

/// A remark at a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: u64,
    /// The remark.
    pub message: String,
}

/// What a check run says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Its name, by which a rule may require it.
    pub name: String,
    /// What we call it: the same for as long as the change has this head.
    pub id: String,
    /// The head.
    pub head: Oid,
    /// How it stands.
    pub outcome: Outcome,
    /// One line.
    pub title: String,
    /// Some more, in Markdown.
    pub summary: String,
    /// Where in the files.
    pub annotations: Vec<Annotation>,
}

/// What our comment says.
#[derive(Debug, Clone, Copy)]
pub struct CommentReport<'a> {
    /// The account that we write as.
    pub us: &'a Ourselves,
    /// What the text begins with, and no other comment of ours does.
    pub mark: &'a str,
    /// All of it, in Markdown.
    pub text: &'a str,
}

impl From<shape::Annotation> for Annotation {
    fn from(it: shape::Annotation) -> Self {
        Self { path: it.path, line: it.start_line, message: it.message.unwrap_or_default() }
    }
}

impl CheckReport {
    fn body(&self, annotations: &[Annotation]) -> Value {
        let annotations: Vec<Value> = annotations.iter().map(annotation).collect();
        let mut output = json!({"title": self.title, "summary": self.summary});
        if !annotations.is_empty() {
            output["annotations"] = annotations.into();
        }
        let mut body = json!({"name": self.name, "external_id": self.id, "output": output});
        match conclusion(self.outcome) {
            None => body["status"] = "in_progress".into(),
            Some(conclusion) => {
                body["status"] = "completed".into();
                body["conclusion"] = conclusion.into();
            }
        }
        body
    }
}

fn annotation(it: &Annotation) -> Value {
    json!({
        "path": it.path, "start_line": it.line, "end_line": it.line,
        "annotation_level": "failure", "message": it.message,
    })
}

fn conclusion(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Open => None,
        Outcome::Passed => Some("success"),
        Outcome::Failed => Some("failure"),
        Outcome::Wanted => Some("action_required"),
        Outcome::Dropped => Some("cancelled"),
    }
}

impl Client {
    /// Says it in the check run `known`, else in the one that this report has already, else in a
    /// new one; its id.
    ///
    /// # Errors
    ///
    /// It was not said, or not all of it. Saying it again makes no second one.
    pub async fn report_check(
        &self,
        place: &Slug,
        known: Option<u64>,
        report: &CheckReport,
    ) -> Result<u64, GithubError> {
        let found = match known {
            Some(id) => Some(id),
            None => self.check_of(place, report).await?.map(|made| made.id),
        };
        let id = match found {
            Some(id) => self.edit_check(place, id, report.body(&[])).await?,
            None => {
                let mut body = report.body(&[]);
                body["head_sha"] = report.head.as_str().into();
                let route = place.route(Operation::MAKE_CHECK).body(body);
                self.ensure(route, || self.check_of(place, report)).await?.id
            }
        };
        self.annotate(place, id, report).await?;
        Ok(id)
    }

    /// Says what there is to say at lines of files. GitHub adds it to what is there, so somebody looks
    /// first what that is: also after an answer that did not come.
    async fn annotate(
        &self,
        place: &Slug,
        id: u64,
        report: &CheckReport,
    ) -> Result<(), GithubError> {
        if report.annotations.is_empty() {
            return Ok(());
        }
        for _ in 1..PASSES {
            match self.annotate_once(place, id, report).await {
                Err(error) if error.may_have_changed() => {}
                settled => return settled,
            }
        }
        self.annotate_once(place, id, report).await
    }

    async fn annotate_once(
        &self,
        place: &Slug,
        id: u64,
        report: &CheckReport,
    ) -> Result<(), GithubError> {
        let route = place.route(Operation::ANNOTATIONS).with("check_run_id", id);
        let there = self.pages(route, |page: Vec<shape::Annotation>| page).await?;
        let there: Vec<Annotation> = there.into_iter().map(Annotation::from).collect();
        let lacking = report.annotations.iter().filter(|it| !there.contains(it));
        let lacking: Vec<Annotation> = lacking.cloned().collect();
        for part in lacking.chunks(ANNOTATIONS) {
            let route = place.route(Operation::EDIT_CHECK).with("check_run_id", id);
            let _: Made = self.read(route.body(report.body(part))).await?;
        }
        Ok(())
    }

    /// An edit says all that there is to say but for lines of files, so that it may be said twice.
    async fn edit_check(&self, place: &Slug, id: u64, body: Value) -> Result<u64, GithubError> {
        let route = place.route(Operation::EDIT_CHECK).with("check_run_id", id).body(body);
        let made: Made = self.repeat(route).await?;
        Ok(made.id)
    }

    async fn check_of(
        &self,
        place: &Slug,
        report: &CheckReport,
    ) -> Result<Option<Made>, GithubError> {
        let route = place.route(Operation::CHECKS).with("ref", report.head.as_str());
        let route = route.query("check_name", &report.name).query("filter", "all");
        let runs = self.pages(route, |page: CheckRuns| page.check_runs).await?;
        let ours = |run: &&CheckRun| run.external_id.as_deref() == Some(&report.id);
        Ok(runs.iter().filter(ours).map(|run| Made { id: run.id }).min_by_key(|made| made.id))
    }

    /// Says it in a status, for want of check runs. The last one of a name counts, so that it may
    /// be said twice.
    ///
    /// # Errors
    ///
    /// It was not said.
    pub async fn report_status(
        &self,
        place: &Slug,
        report: &CheckReport,
    ) -> Result<(), GithubError> {
        let state = match report.outcome {
            Outcome::Open => "pending",
            Outcome::Passed => "success",
            Outcome::Failed | Outcome::Wanted => "failure",
            Outcome::Dropped => "error",
        };
        let line: String = report.title.chars().take(LINE).collect();
        let body = json!({"state": state, "context": report.name, "description": line});
        let route = place.route(Operation::SET_STATUS).with("sha", report.head.as_str());
        let _: Made = self.repeat(route.body(body)).await?;
        Ok(())
    }

    /// Says it in the comment `known`, else in ours that has the mark already, else in a new one;
    /// its id.
    ///
    /// # Errors
    ///
    /// It was not said. Saying it again makes no second comment.
    pub async fn report_comment(
        &self,
        place: &Slug,
        number: u64,
        known: Option<u64>,
        report: CommentReport<'_>,
    ) -> Result<u64, GithubError> {
        let body = json!({"body": report.text});
        let look = || self.comment_of(place, number, report);
        let found = match known {
            Some(id) => Some(Made { id }),
            None => look().await?,
        };
        let made: Made = match found {
            Some(Made { id }) => {
                let route = place.route(Operation::EDIT_COMMENT).with("comment_id", id);
                self.repeat(route.body(body)).await?
            }
            None => {
                let route = place.route(Operation::COMMENT).with("issue_number", number);
                self.ensure(route.body(body), look).await?
            }
        };
        Ok(made.id)
    }

    /// Nobody else's: a mark is easily copied.
    async fn comment_of(
        &self,
        place: &Slug,
        number: u64,
        CommentReport { us, mark, .. }: CommentReport<'_>,
    ) -> Result<Option<Made>, GithubError> {
        let route = place.route(Operation::COMMENTS_OF).with("issue_number", number);
        let comments = self.pages(route, |page: Vec<Comment>| page).await?;
        let ours = |comment: &&Comment| {
            comment.user.as_ref().is_some_and(|user| us.is(user))
                && comment.body.as_ref().is_some_and(|body| body.starts_with(mark))
        };
        Ok(comments.iter().find(ours).map(|comment| Made { id: comment.id }))
    }
}
