//! The `git` backend: any remote that git can push to.
//!
//! Changes are `refs/molt/changes/<id>`, candidates `refs/molt/train/<id>`,
//! reports `refs/molt/reports/<id>`; what a forge on top of this one is about to
//! land is staged below `refs/molt/staged/`. It works in a git directory that it is
//! given, usually a mirror, and leaves that directory's own refs alone. Landing
//! never deletes a ref and never moves a branch backwards.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{DENIED, MOVED};
use crate::fence::{self, FENCE_REF};
use crate::program::{Finished, GitError, Program, redact};
use crate::{
    Access, Branch, Description, FenceCommit, FenceMove, FenceRecord, Fencing, Forge, ForgeError,
    HeadMove, HeadMoved, Landed, Landing, Oid, Proposed, ReadBack, RefId, Report, Settled,
    Withdrawn,
};

const CHANGES: &str = "refs/molt/changes/";
const STAGED: &str = "refs/molt/staged/";
/// Long enough for hooks at the other end; a push that takes longer is settled.
const LIMIT: Duration = Duration::from_secs(300);

/// A git remote as a forge.
#[derive(Debug, Clone)]
pub struct GitForge {
    git: Program,
    remote: String,
    access: Option<Arc<dyn Access>>,
}

/// What a push came to.
enum Pushed {
    Moved,
    /// The remote, or git before it sent anything, refused every ref.
    Refused {
        reason: String,
    },
    /// No complete answer came back.
    Unknown(GitError),
}

impl GitForge {
    /// The forge at `remote` (an address, a folder, or a remote's name in the
    /// git directory), worked on from `git_dir` by the git `program`.
    pub fn new(program: impl Into<PathBuf>, git_dir: impl Into<PathBuf>, remote: &str) -> Self {
        let git = Program { program: program.into(), git_dir: git_dir.into(), limit: LIMIT };
        Self { git, remote: remote.to_owned(), access: None }
    }

    /// The same forge, whose exchanges are cut off after `limit`.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.git.limit = limit;
        self
    }

    /// The same forge, which is let in at its remote by `access`.
    #[must_use]
    pub fn with_access(mut self, access: Arc<dyn Access>) -> Self {
        self.access = Some(access);
        self
    }

    pub(crate) fn remote(&self) -> &str {
        &self.remote
    }

    /// Runs a command that goes to the remote. One that was not let in there, or was sent elsewhere,
    /// has done nothing, so it is run once more, with what opens the door then.
    fn exchange(&self, args: &[&str]) -> Result<Finished, GitError> {
        let Some(access) = &self.access else {
            return self.git.finish(args, "");
        };
        let attempt = |again| {
            let environment =
                access.environment(again).map_err(|error| GitError::NoAccess(Box::new(error)))?;
            self.git.finish_in(&environment, args, "")
        };
        match attempt(false)? {
            finished if finished.failed_saying(DENIED) => attempt(true),
            finished if finished.failed_saying(MOVED) => attempt(true),
            finished => Ok(finished),
        }
    }

    /// The same for a command that must end with code 0, and may be repeated.
    fn ask(&self, args: &[&str]) -> Result<String, ForgeError> {
        let sorted = |source| ForgeError::of_remote(&self.remote, source);
        let finished = self.exchange(args).map_err(sorted)?;
        match finished.code {
            Some(0) => Ok(finished.stdout),
            _ => Err(sorted(finished.into_error())),
        }
    }

    /// The refs at the remote that match, with their ids, in one exchange.
    fn list(&self, patterns: &[&str]) -> Result<Vec<(Oid, String)>, ForgeError> {
        let args = [&["ls-remote", "--refs", "--quiet", "--", self.remote.as_str()], patterns];
        self.ask(&args.concat())?.lines().map(parse_ref).collect()
    }

    fn find(refs: &[(Oid, String)], wanted: &str) -> Option<Oid> {
        refs.iter().find(|(_, name)| name == wanted).map(|(oid, _)| oid.clone())
    }

    /// Pushes without touching anything that is not named. `leases` are
    /// `ref:old` pairs, all of which must hold, else nothing moves.
    fn push(&self, leases: &[String], moves: &[String]) -> Result<Pushed, ForgeError> {
        let leases: Vec<_> =
            leases.iter().map(|lease| format!("--force-with-lease={lease}")).collect();
        let mut args = vec!["push", "--porcelain", "--no-verify"];
        if moves.len() > 1 {
            args.push("--atomic");
        }
        args.extend(leases.iter().map(String::as_str));
        args.extend(["--", self.remote.as_str()]);
        args.extend(moves.iter().map(String::as_str));
        let finished = match self.exchange(&args) {
            Ok(finished) => finished,
            Err(source) => return self.unheard(source),
        };
        match (finished.code, refusal(&finished.stdout, moves.len())) {
            (Some(0), _) => Ok(Pushed::Moved),
            (Some(_), Some(reason)) => Ok(Pushed::Refused { reason }),
            _ => self.unheard(finished.into_error()),
        }
    }

    fn unheard(&self, source: GitError) -> Result<Pushed, ForgeError> {
        match ForgeError::unsent(&self.remote, source) {
            Ok(certain) => Err(certain),
            Err(source) => Ok(Pushed::Unknown(source)),
        }
    }

    /// A push that may be repeated as often as one likes.
    fn publish(&self, leases: &[String], moves: &[String]) -> Result<(), ForgeError> {
        match self.push(leases, moves)? {
            Pushed::Moved => Ok(()),
            Pushed::Refused { reason } => Err(self.declined(reason)),
            Pushed::Unknown(source) => Err(ForgeError::of_remote(&self.remote, source)),
        }
    }

    pub(crate) fn declined(&self, reason: String) -> ForgeError {
        ForgeError::Declined { remote: redact(&self.remote), reason }
    }

    fn has(&self, commit: &Oid) -> Result<bool, ForgeError> {
        let finished = self.git.finish(&["cat-file", "-e", &format!("{commit}^{{commit}}")], "")?;
        Ok(finished.code == Some(0))
    }

    /// Makes sure that a commit, which a ref of the remote names, is here too.
    fn obtain(&self, commit: &Oid, refname: &str) -> Result<(), ForgeError> {
        if self.has(commit)? {
            return Ok(());
        }
        let args = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap="];
        let args = [&args[..], &["--", self.remote.as_str(), refname]].concat();
        self.ask(&args)?;
        if self.has(commit)? {
            return Ok(());
        }
        Err(ForgeError::MissingCommit { commit: commit.clone(), remote: redact(&self.remote) })
    }

    fn is_ancestor(&self, ancestor: &Oid, commit: &Oid) -> Result<bool, ForgeError> {
        let args = ["merge-base", "--is-ancestor", ancestor.as_str(), commit.as_str()];
        let finished = self.git.finish(&args, "")?;
        match finished.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(finished.into_error().into()),
        }
    }

    /// Writes a commit of the empty tree. Author and date are always the same.
    fn write_commit(&self, parent: Option<&Oid>, message: &str) -> Result<Oid, ForgeError> {
        let tree = self.git.run(&["mktree"], "")?;
        let mut args = vec!["commit-tree", tree.trim(), "-F", "-"];
        args.extend(parent.iter().flat_map(|parent| ["-p", parent.as_str()]));
        let printed = self.git.run(&args, message)?;
        parse_oid("commit-tree", printed.trim())
    }

    fn fence_at(&self, refs: &[(Oid, String)]) -> Result<Option<FenceCommit>, ForgeError> {
        let Some(commit) = Self::find(refs, FENCE_REF) else {
            return Ok(None);
        };
        self.obtain(&commit, FENCE_REF)?;
        let printed = self.git.run(&["cat-file", "commit", commit.as_str()], "")?;
        let record = fence::parse(&commit, &printed)?;
        Ok(Some(FenceCommit { commit, record }))
    }

    /// Refuses a step that is not what it says. Making it again also brings it
    /// here, for a leader that only knows the stored intent.
    pub(crate) fn check_fence(&self, step: &FenceMove) -> Result<(), ForgeError> {
        let made = self.next_fence(step.expected.as_ref(), &step.next.record)?;
        if made == *step {
            return Ok(());
        }
        let (expected, next) = (step.expected.clone(), step.next.commit.clone());
        Err(ForgeError::ForeignFence { expected, next })
    }

    /// Refuses to go on without a commit that nobody brought here.
    pub(crate) fn check_here(&self, commit: &Oid) -> Result<(), ForgeError> {
        if self.has(commit)? {
            return Ok(());
        }
        Err(ForgeError::MissingCommit { commit: commit.clone(), remote: redact(&self.remote) })
    }

    pub(crate) fn check_candidate(&self, landing: &Landing) -> Result<(), ForgeError> {
        let Landing { expected_base: base, candidate, .. } = landing;
        for commit in [base, candidate] {
            self.check_here(commit)?;
        }
        if base == candidate || !self.is_ancestor(base, candidate)? {
            let (base, candidate) = (base.clone(), candidate.clone());
            return Err(ForgeError::NotDescendant { base, candidate });
        }
        Ok(())
    }

    /// Whether the branch, as it was read back, holds the landing's candidate.
    pub(crate) fn holds(&self, now: &ReadBack, landing: &Landing) -> Result<bool, ForgeError> {
        let Some(base) = &now.base else {
            return Ok(false);
        };
        self.obtain(base, &head_ref(&landing.branch))?;
        // The base is here with its history: a candidate that is not here is not in it.
        Ok(self.has(&landing.candidate)? && self.is_ancestor(&landing.candidate, base)?)
    }

    /// Brings commits to the remote that are about to land, each under a name that the next one
    /// takes over: whoever moves refs by their ids needs them there.
    pub(crate) fn stage(&self, commits: &[(&Oid, &str)]) -> Result<(), ForgeError> {
        let moves = commits.iter().map(|(commit, name)| format!("+{commit}:{STAGED}{name}"));
        self.publish(&[], &moves.collect::<Vec<_>>())
    }

    /// What a landing came to that the remote refused for `reason`.
    pub(crate) fn refused_landing(
        &self,
        landing: &Landing,
        reason: String,
    ) -> Result<Landed, ForgeError> {
        let ReadBack { base: base_now, fence: fence_now } = self.read_back(&landing.branch)?;
        let fence_id = fence_now.as_ref().map(|fence| &fence.commit);
        if fence_id == Some(&landing.fence.next.commit) {
            // A landing that was repeated: its first step had moved both.
            Ok(Landed::Moved)
        } else if base_now.as_ref() == Some(&landing.expected_base)
            && fence_id == landing.fence.expected.as_ref()
        {
            Err(self.declined(reason))
        } else {
            Ok(Landed::Refused { base_now, fence_now })
        }
    }

    /// What is decided of a step of a head by where its branch stands; `None` where it may happen.
    pub(crate) fn decided_head(&self, step: &HeadMove) -> Result<Option<HeadMoved>, ForgeError> {
        let name = head_ref(&step.branch);
        let now = Self::find(&self.list(&[&name])?, &name);
        Ok(match now {
            Some(now) if now == step.to => Some(HeadMoved::Moved),
            Some(now) if now == step.from => None,
            now => Some(HeadMoved::Elsewhere { now }),
        })
    }

    /// What a withdrawal came to that the remote refused for `reason`.
    pub(crate) fn refused_withdrawal(
        &self,
        fence: &FenceMove,
        reason: String,
    ) -> Result<Withdrawn, ForgeError> {
        let fence_now = self.fence()?;
        let now = fence_now.as_ref().map(|fence| &fence.commit);
        if now == Some(&fence.next.commit) {
            Ok(Withdrawn::Moved)
        } else if now == fence.expected.as_ref() {
            Err(self.declined(reason))
        } else {
            Ok(Withdrawn::Refused { fence_now })
        }
    }
}

impl Forge for GitForge {
    fn describe(&self) -> Description {
        let remote = redact(&self.remote);
        Description { backend: "git", remote, fencing: Fencing::Together }
    }

    fn changes(&self) -> Result<Vec<Proposed>, ForgeError> {
        let refs = self.list(&[&format!("{CHANGES}*")])?;
        // A name that is no id was not put there by a coordinator.
        let proposed = |(head, name): (Oid, String)| {
            let change = name.strip_prefix(CHANGES)?.parse().ok()?;
            Some(Proposed { change, head })
        };
        Ok(refs.into_iter().filter_map(proposed).collect())
    }

    fn base(&self, branch: &Branch) -> Result<Oid, ForgeError> {
        let name = head_ref(branch);
        if let Some(base) = Self::find(&self.list(&[&name])?, &name) {
            return Ok(base);
        }
        let remote = redact(&self.remote);
        if self.list(&["refs/heads/*"])?.is_empty() {
            Err(ForgeError::NoCommits { remote })
        } else {
            Err(ForgeError::MissingBranch { remote, branch: branch.clone() })
        }
    }

    fn publish_change(&self, change: &RefId, head: &Oid) -> Result<(), ForgeError> {
        self.publish(&[], &[format!("+{head}:{CHANGES}{change}")])
    }

    fn publish_candidate(&self, candidate: &RefId, commit: &Oid) -> Result<(), ForgeError> {
        self.publish(&[], &[format!("+{commit}:{}", train_ref(candidate))])
    }

    fn retire_candidate(&self, candidate: &RefId, commit: &Oid) -> Result<(), ForgeError> {
        let name = train_ref(candidate);
        self.publish(&[format!("{name}:{commit}")], &[format!(":{name}")])
    }

    fn publish_branch(&self, branch: &Branch, head: &Oid) -> Result<(), ForgeError> {
        let name = head_ref(branch);
        match self.publish(&[format!("{name}:")], &[format!("{head}:{name}")]) {
            Err(ForgeError::Declined { .. }) if !self.list(&[&name])?.is_empty() => Ok(()),
            published => published,
        }
    }

    fn retire_branch(&self, branch: &Branch, head: &Oid) -> Result<(), ForgeError> {
        let name = head_ref(branch);
        if Self::find(&self.list(&[&name])?, &name).as_ref() != Some(head) {
            return Ok(());
        }
        self.publish(&[format!("{name}:{head}")], &[format!(":{name}")])
    }

    fn report(&self, report: &Report) -> Result<(), ForgeError> {
        let Report { change, head, title, text, time } = report;
        let message = format!("{title}\n\n{text}\n\nMolt-Head: {head}\nMolt-Time: {time}\n");
        let commit = self.write_commit(None, &message)?;
        self.publish(&[], &[format!("+{commit}:refs/molt/reports/{change}")])
    }

    fn fence(&self) -> Result<Option<FenceCommit>, ForgeError> {
        self.fence_at(&self.list(&[FENCE_REF])?)
    }

    fn next_fence(
        &self,
        expected: Option<&Oid>,
        record: &FenceRecord,
    ) -> Result<FenceMove, ForgeError> {
        if let Some(expected) = expected {
            self.obtain(expected, FENCE_REF)?;
        }
        let commit = self.write_commit(expected, &record.to_message()?)?;
        let next = FenceCommit { commit, record: record.clone() };
        Ok(FenceMove { expected: expected.cloned(), next })
    }

    fn land(&self, landing: &Landing) -> Result<Landed, ForgeError> {
        self.check_candidate(landing)?;
        self.check_fence(&landing.fence)?;
        let base = head_ref(&landing.branch);
        let leases = [format!("{base}:{}", landing.expected_base), fence_lease(&landing.fence)];
        let moves = [format!("{}:{base}", landing.candidate), fence_refspec(&landing.fence)];
        match self.push(&leases, &moves)? {
            Pushed::Moved => Ok(Landed::Moved),
            Pushed::Unknown(why) => Ok(Landed::Unknown { why: why.into() }),
            Pushed::Refused { reason } => self.refused_landing(landing, reason),
        }
    }

    fn withdraw(&self, fence: &FenceMove) -> Result<Withdrawn, ForgeError> {
        self.check_fence(fence)?;
        match self.push(&[fence_lease(fence)], &[fence_refspec(fence)])? {
            Pushed::Moved => Ok(Withdrawn::Moved),
            Pushed::Unknown(why) => Ok(Withdrawn::Unknown { why: why.into() }),
            Pushed::Refused { reason } => self.refused_withdrawal(fence, reason),
        }
    }

    fn move_head(&self, step: &HeadMove) -> Result<HeadMoved, ForgeError> {
        if let Some(decided) = self.decided_head(step)? {
            return Ok(decided);
        }
        self.check_here(&step.to)?;
        let name = head_ref(&step.branch);
        // A lease lets it go anywhere from there. A plus would let it go from anywhere.
        let (lease, refspec) = (format!("{name}:{}", step.from), format!("{}:{name}", step.to));
        match self.push(&[lease], &[refspec])? {
            Pushed::Moved => Ok(HeadMoved::Moved),
            Pushed::Unknown(why) => Ok(HeadMoved::Unknown { why: why.into() }),
            Pushed::Refused { reason } => {
                Ok(self.decided_head(step)?.unwrap_or(HeadMoved::Declined { reason }))
            }
        }
    }

    fn read_back(&self, branch: &Branch) -> Result<ReadBack, ForgeError> {
        let name = head_ref(branch);
        let refs = self.list(&[&name, FENCE_REF])?;
        Ok(ReadBack { base: Self::find(&refs, &name), fence: self.fence_at(&refs)? })
    }

    fn settle(&self, landing: &Landing) -> Result<Settled, ForgeError> {
        self.check_fence(&landing.fence)?;
        let now = self.read_back(&landing.branch)?;
        if self.holds(&now, landing)? {
            return Ok(Settled::Landed);
        }
        let fence = now.fence.as_ref().map(|fence| &fence.commit);
        if fence == landing.fence.expected.as_ref() {
            return Ok(Settled::Open);
        }
        match fence {
            Some(fence) if self.is_ancestor(&landing.fence.next.commit, fence)? => {
                Ok(Settled::Rewritten(now))
            }
            _ => Ok(Settled::Dead(now)),
        }
    }
}

pub(crate) fn head_ref(branch: &Branch) -> String {
    format!("refs/heads/{branch}")
}

fn train_ref(candidate: &RefId) -> String {
    format!("refs/molt/train/{candidate}")
}

/// An empty id after the colon demands that the ref does not exist yet.
fn fence_lease(step: &FenceMove) -> String {
    format!("{FENCE_REF}:{}", step.expected.as_ref().map_or("", Oid::as_str))
}

fn fence_refspec(step: &FenceMove) -> String {
    format!("{}:{FENCE_REF}", step.next.commit)
}

fn parse_oid(command: &'static str, text: &str) -> Result<Oid, ForgeError> {
    text.parse().map_err(|error: crate::InvalidOid| ForgeError::Output {
        command,
        detail: error.to_string(),
    })
}

/// Reads `<id> TAB <ref>`.
fn parse_ref(line: &str) -> Result<(Oid, String), ForgeError> {
    let (oid, name) = line.split_once('\t').unwrap_or((line, ""));
    Ok((parse_oid("ls-remote", oid)?, name.to_owned()))
}

/// The reasons, if the porcelain output of a push that failed says for each of
/// `refs` refs that it was refused. Anything less may have moved something.
fn refusal(printed: &str, refs: usize) -> Option<String> {
    let summaries: Option<Vec<&str>> = printed
        .lines()
        .filter(|line| line.contains('\t'))
        .map(|line| line.strip_prefix("!\t")?.split_once('\t').map(|(_, summary)| summary))
        .collect();
    let summaries = summaries?;
    let heard = |summary: &&str| {
        summary.starts_with("[rejected]") || summary.starts_with("[remote rejected]")
    };
    if summaries.len() != refs || !summaries.iter().all(heard) || !printed.ends_with("Done\n") {
        return None;
    }
    let mut reasons = summaries;
    reasons.dedup();
    Some(reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_answer_is_a_refusal() {
        let base = "!\tabc:refs/heads/main\t[rejected] (stale info)\n";
        let fence = "!\tdef:refs/molt/fence\t[rejected] (atomic push failed)\n";
        let both = "[rejected] (stale info); [rejected] (atomic push failed)";
        assert_eq!(refusal(&format!("To x\n{base}{fence}Done\n"), 2).as_deref(), Some(both));
        let moved = " \tabc:refs/heads/main\t1..2\n";
        let lost = "!\tabc:refs/heads/main\t[remote failure] (remote failed to report status)\n";
        for open in [
            "",
            "To x\nDone\n",
            &format!("To x\n{base}Done\n"),
            &format!("To x\n{base}{fence}"),
            &format!("To x\n{moved}{fence}Done\n"),
            &format!("To x\n{lost}{fence}Done\n"),
        ] {
            assert_eq!(refusal(open, 2), None, "{open:?}");
        }
    }
}
