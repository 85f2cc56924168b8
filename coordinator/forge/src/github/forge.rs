//! GitHub as a forge: git carries the objects, and the API moves base and fence.
//!
//! Reading, publishing and ancestry are a git remote's, so they are [`GitForge`]'s, let in by the
//! client's token. A landing first stages its commits by git, then `updateRefs` moves both refs or
//! neither; it moves the branch of a head as well, alone and from a named commit. Not here: pull
//! requests, comments and check runs. Changes and reports are refs as at any git remote; what people
//! see of them at GitHub is somebody else's to write.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::access::TokenAccess;
use super::client::Client;
use super::error::GithubError;
use super::operation::Operation;
use super::place::Slug;
use super::refs::{Course, Moved, RefMove};
use crate::fence::FENCE_REF;
use crate::git::head_ref;
use crate::{
    Access, Branch, Description, FenceCommit, FenceMove, FenceRecord, Fencing, Forge, ForgeError,
    GitForge, HeadMove, HeadMoved, Landed, Landing, Oid, Proposed, ReadBack, RefId, Report,
    Settled, Unheard, Withdrawn,
};

/// Below which names a landing's commits are staged.
const BASE: &str = "base";
const FENCE: &str = "fence";
/// And below which a head whose branch is moved away from it: nothing else may name it then.
const HEAD: &str = "head";

/// What a step of refs came to.
enum Stepped {
    /// All of them moved.
    Moved,
    /// None did, in GitHub's words.
    Refused(String),
    /// Nobody knows.
    Unknown(Unheard),
}

/// One repository at GitHub.
///
/// Its methods block on requests, so they are called from threads that may block, while the runtime
/// whose handle it has runs on others.
#[derive(Debug)]
pub struct GithubForge {
    git: GitForge,
    access: Arc<dyn Access>,
    client: Arc<Client>,
    place: Slug,
    runtime: Handle,
    fencing: Fencing,
}

impl GithubForge {
    /// The repository at `place`, which `git` knows by its address there. Git's commands are let in
    /// by the client's token.
    ///
    /// # Errors
    ///
    /// The address is none that a token may be sent to: `https`, or loopback.
    pub fn new(
        git: GitForge,
        place: Slug,
        client: Arc<Client>,
        runtime: Handle,
    ) -> Result<Self, ForgeError> {
        let (asking, within) = (Arc::clone(&client), runtime.clone());
        let access = TokenAccess::new(asking, within, place.clone(), git.remote())?;
        let access: Arc<dyn Access> = Arc::new(access);
        let git = git.with_access(Arc::clone(&access));
        Ok(Self { git, access, client, place, runtime, fencing: Fencing::Together })
    }

    /// The same forge, whose landings are fenced so.
    #[must_use]
    pub fn with_fencing(self, fencing: Fencing) -> Self {
        Self { fencing, ..self }
    }

    /// What lets git in there, for whoever else fetches from it.
    #[must_use]
    pub fn access(&self) -> Arc<dyn Access> {
        Arc::clone(&self.access)
    }

    fn refused(&self, error: GithubError) -> ForgeError {
        ForgeError::of_github(self.git.remote(), error)
    }

    /// What a step came to; the error where it is certain that none was made.
    fn stepped(&self, moved: Result<Moved, GithubError>) -> Result<Stepped, ForgeError> {
        match moved {
            Ok(Moved::All) => Ok(Stepped::Moved),
            Ok(Moved::None(words)) => Ok(Stepped::Refused(words)),
            // Without a token nothing was asked.
            Err(error) if error.may_have_changed() && error.operation != Operation::TOKEN => {
                Ok(Stepped::Unknown(error.into()))
            }
            Err(error) => Err(self.refused(error)),
        }
    }

    /// The repository's id in GraphQL. It is read before anything is pushed: its name may be another
    /// one's by now, and what is private here is not for whoever that is. Where a ref is only taken
    /// away that stands where we left it, there is nothing to see.
    fn node(&self) -> Result<String, ForgeError> {
        let read = self.runtime.block_on(self.client.look(&self.place));
        Ok(read.map_err(|error| self.refused(error))?.node_id)
    }

    fn move_together(&self, node: &str, moves: &[RefMove]) -> Result<Stepped, ForgeError> {
        self.stepped(self.runtime.block_on(self.client.move_together(node, moves)))
    }

    fn land_together(&self, landing: &Landing) -> Result<Landed, ForgeError> {
        let (node, fence) = (self.node()?, &landing.fence);
        self.git.stage(&[(&landing.candidate, BASE), (&fence.next.commit, FENCE)])?;
        match self.move_together(&node, &[base_move(landing), fence_move(fence)])? {
            Stepped::Moved => Ok(Landed::Moved),
            Stepped::Refused(words) => self.git.refused_landing(landing, words),
            Stepped::Unknown(why) => Ok(Landed::Unknown { why }),
        }
    }

    /// Looks, and then moves the base forward, which is all that keeps it from moving in between.
    fn land_alone(&self, landing: &Landing) -> Result<Landed, ForgeError> {
        self.node()?;
        if let Some(known) = self.decided(landing)? {
            return Ok(known);
        }
        self.git.stage(&[(&landing.candidate, BASE)])?;
        let name = format!("heads/{}", landing.branch);
        let route = self.place.route(Operation::MOVE_REF).branch("ref", &name);
        let moved = self.runtime.block_on(self.client.move_forward(route, &landing.candidate));
        match self.stepped(moved)? {
            Stepped::Moved => Ok(Landed::Moved),
            Stepped::Refused(words) => {
                self.decided(landing)?.ok_or_else(|| self.git.declined(words))
            }
            Stepped::Unknown(why) => Ok(Landed::Unknown { why }),
        }
    }

    /// What is decided of a landing by where base and fence stand; `None` where it may happen.
    fn decided(&self, landing: &Landing) -> Result<Option<Landed>, ForgeError> {
        let now = self.git.read_back(&landing.branch)?;
        if self.git.holds(&now, landing)? {
            return Ok(Some(Landed::Moved));
        }
        let fence = now.fence.as_ref().map(|fence| &fence.commit);
        if now.base.as_ref() == Some(&landing.expected_base)
            && fence == landing.fence.expected.as_ref()
        {
            return Ok(None);
        }
        Ok(Some(Landed::Refused { base_now: now.base, fence_now: now.fence }))
    }
}

fn base_move(landing: &Landing) -> RefMove {
    RefMove {
        name: head_ref(&landing.branch),
        from: Some(landing.expected_base.clone()),
        to: landing.candidate.clone(),
        course: Course::Forward,
    }
}

fn fence_move(step: &FenceMove) -> RefMove {
    RefMove {
        name: FENCE_REF.to_owned(),
        from: step.expected.clone(),
        to: step.next.commit.clone(),
        course: Course::Forward,
    }
}

fn head_move(step: &HeadMove) -> RefMove {
    RefMove {
        name: head_ref(&step.branch),
        from: Some(step.from.clone()),
        to: step.to.clone(),
        course: Course::Anywhere,
    }
}

impl Forge for GithubForge {
    fn describe(&self) -> Description {
        Description { backend: "github", fencing: self.fencing, ..self.git.describe() }
    }

    fn changes(&self) -> Result<Vec<Proposed>, ForgeError> {
        self.git.changes()
    }

    fn base(&self, branch: &Branch) -> Result<Oid, ForgeError> {
        self.git.base(branch)
    }

    fn publish_change(&self, change: &RefId, head: &Oid) -> Result<(), ForgeError> {
        self.node()?;
        self.git.publish_change(change, head)
    }

    fn publish_candidate(&self, candidate: &RefId, commit: &Oid) -> Result<(), ForgeError> {
        self.node()?;
        self.git.publish_candidate(candidate, commit)
    }

    fn retire_candidate(&self, candidate: &RefId, commit: &Oid) -> Result<(), ForgeError> {
        self.git.retire_candidate(candidate, commit)
    }

    fn publish_branch(&self, branch: &Branch, head: &Oid) -> Result<(), ForgeError> {
        self.node()?;
        self.git.publish_branch(branch, head)
    }

    fn retire_branch(&self, branch: &Branch, head: &Oid) -> Result<(), ForgeError> {
        self.node()?;
        self.git.retire_branch(branch, head)
    }

    fn report(&self, report: &Report) -> Result<(), ForgeError> {
        self.node()?;
        self.git.report(report)
    }

    fn fence(&self) -> Result<Option<FenceCommit>, ForgeError> {
        self.git.fence()
    }

    fn next_fence(
        &self,
        expected: Option<&Oid>,
        record: &FenceRecord,
    ) -> Result<FenceMove, ForgeError> {
        self.git.next_fence(expected, record)
    }

    fn land(&self, landing: &Landing) -> Result<Landed, ForgeError> {
        self.git.check_candidate(landing)?;
        self.git.check_fence(&landing.fence)?;
        match self.fencing {
            Fencing::Together => self.land_together(landing),
            Fencing::BaseAlone => self.land_alone(landing),
        }
    }

    /// Where the base moves alone, this stops a landing that has not looked yet, and none that has.
    fn withdraw(&self, fence: &FenceMove) -> Result<Withdrawn, ForgeError> {
        let node = self.node()?;
        if self.fencing == Fencing::BaseAlone {
            return self.git.withdraw(fence);
        }
        self.git.check_fence(fence)?;
        self.git.stage(&[(&fence.next.commit, FENCE)])?;
        match self.move_together(&node, &[fence_move(fence)])? {
            Stepped::Moved => Ok(Withdrawn::Moved),
            Stepped::Refused(words) => self.git.refused_withdrawal(fence, words),
            Stepped::Unknown(why) => Ok(Withdrawn::Unknown { why }),
        }
    }

    fn move_head(&self, step: &HeadMove) -> Result<HeadMoved, ForgeError> {
        if let Some(decided) = self.git.decided_head(step)? {
            return Ok(decided);
        }
        if self.fencing == Fencing::BaseAlone {
            let reason = "this github moves no branch from a named commit".to_owned();
            return Ok(HeadMoved::Declined { reason });
        }
        self.git.check_here(&step.pushed)?;
        let node = self.node()?;
        self.git.stage(&[(&step.pushed, HEAD)])?;
        match self.move_together(&node, &[head_move(step)])? {
            Stepped::Moved => Ok(HeadMoved::Moved),
            Stepped::Unknown(why) => Ok(HeadMoved::Unknown { why }),
            Stepped::Refused(reason) => {
                Ok(self.git.decided_head(step)?.unwrap_or(HeadMoved::Declined { reason }))
            }
        }
    }

    fn read_back(&self, branch: &Branch) -> Result<ReadBack, ForgeError> {
        self.git.read_back(branch)
    }

    fn settle(&self, landing: &Landing) -> Result<Settled, ForgeError> {
        self.git.settle(landing)
    }
}
