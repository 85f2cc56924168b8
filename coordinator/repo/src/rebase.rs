//! A head's commits carried onto its base, one by one, without a checkout.
//!
//! Each is merged by git's own strategy, as [`crate::merge`] has it: the tree so far is taken for a
//! commit on the carried one's parent, so that the two have that parent for their merge base. What is
//! written keeps the words of whoever wrote the commit, byte by byte. Not here: which shape a
//! candidate has, and a head that is carried as one commit.

use git2::{ObjectType, Repository, Sort};

use crate::merge::{CandidateIdentity, Merge, Met};
use crate::{Mirror, Oid, RepoError};

/// Commits of a head that are carried at most: each takes a run of git.
const MAX_CARRIED: usize = 250;

/// Who wrote what nobody ever sees.
const NOBODY: &[u8] = b"nobody <nobody@molt.invalid> 0 +0000";

/// A commit as it is to be written.
struct Written<'a> {
    tree: &'a Oid,
    parent: &'a Oid,
    /// Name, address and date.
    author: &'a [u8],
    committer: &'a [u8],
    /// How its words are encoded, where it is not UTF-8.
    encoding: Option<&'a [u8]>,
    message: &'a [u8],
}

/// A commit of the head with the tree that it has on the base.
struct Carried {
    commit: git2::Oid,
    tree: Oid,
}

/// The commits of a head that are to be carried, oldest first, or why they are not.
enum Own {
    Commits(Vec<git2::Oid>),
    Unfit(Merge),
}

impl Mirror {
    /// Carries every commit of `head` that `base` lacks onto `base`. One that changes nothing there
    /// is left out.
    pub(crate) fn rebase(
        &self,
        base: &Oid,
        head: &Oid,
        identity: &CandidateIdentity,
    ) -> Result<Merge, RepoError> {
        let objects = self.objects()?;
        let own = match self.own_commits(&objects, base, head)? {
            Own::Commits(own) => own,
            Own::Unfit(why) => return Ok(why),
        };
        let mut tree = self.tree_of(base)?;
        let mut carried = Vec::new();
        for commit in own {
            match self.carry(&objects, commit, &tree)? {
                Met::Tree(same) if same == tree => {}
                Met::Tree(next) => {
                    tree = next.clone();
                    carried.push(Carried { commit, tree: next });
                }
                Met::Conflict(paths) => return Ok(Merge::Conflict { paths }),
            }
        }
        let mut tip = base.clone();
        let last = carried.len().checked_sub(1);
        for (at, Carried { commit, tree }) in carried.iter().enumerate() {
            let trailers = if Some(at) == last { identity.trailers.as_str() } else { "" };
            let original = self.commit(&objects, &Oid::from(*commit))?;
            let header = original.raw_header_bytes();
            let author = self.header(header, b"author ")?;
            let encoding = line(header, b"encoding ");
            let committer = committer(identity);
            let message = with_trailers(original.message_raw_bytes(), trailers);
            let written = Written {
                tree,
                parent: &tip,
                author,
                committer: committer.as_bytes(),
                encoding,
                message: &message,
            };
            tip = self.write(&objects, &written)?;
        }
        Ok(if tip == *base { Merge::Nothing } else { Merge::Clean { commit: tip, tree } })
    }

    /// One commit on `base` by the author of `head`, with the candidate's own words.
    pub(crate) fn commit_of(
        &self,
        base: &Oid,
        head: &Oid,
        tree: &Oid,
        identity: &CandidateIdentity,
    ) -> Result<Oid, RepoError> {
        let objects = self.objects()?;
        let original = self.commit(&objects, head)?;
        let header = original.raw_header_bytes();
        let mut author = who(self.header(header, b"author ")?).to_vec();
        author.extend_from_slice(format!(" {} +0000", identity.time).as_bytes());
        let message = format!("{}{}", identity.message, identity.trailers);
        let committer = committer(identity);
        let written = Written {
            tree,
            parent: base,
            author: &author,
            committer: committer.as_bytes(),
            encoding: None,
            message: message.as_bytes(),
        };
        self.write(&objects, &written)
    }

    fn own_commits(&self, objects: &Repository, base: &Oid, head: &Oid) -> Result<Own, RepoError> {
        let (base, head) = (self.commit(objects, base)?.id(), self.commit(objects, head)?.id());
        let unreadable = |error| self.unreadable("the history", error);
        let mut walk = objects.revwalk().map_err(unreadable)?;
        walk.push(head).map_err(unreadable)?;
        walk.hide(base).map_err(unreadable)?;
        walk.set_sorting(Sort::TOPOLOGICAL).map_err(unreadable)?;
        let mut own = Vec::new();
        for id in walk {
            let id = id.map_err(unreadable)?;
            if self.commit(objects, &id.into())?.parent_count() > 1 {
                return Ok(Own::Unfit(Merge::HasMerge { commit: id.into() }));
            }
            if own.len() == MAX_CARRIED {
                return Ok(Own::Unfit(Merge::TooMany { limit: MAX_CARRIED }));
            }
            own.push(id);
        }
        own.reverse();
        Ok(Own::Commits(own))
    }

    /// The tree of a commit's change made to `onto`.
    fn carry(&self, objects: &Repository, commit: git2::Oid, onto: &Oid) -> Result<Met, RepoError> {
        let commit = self.commit(objects, &commit.into())?;
        let parent =
            commit.parent(0).map_err(|error| self.unreadable("a carried parent", error))?;
        if Oid::from(parent.tree_id()) == *onto {
            return Ok(Met::Tree(commit.tree_id().into()));
        }
        let ours = Written {
            tree: onto,
            parent: &parent.id().into(),
            author: NOBODY,
            committer: NOBODY,
            encoding: None,
            message: b"",
        };
        self.meet(&self.write(objects, &ours)?, &commit.id().into())
    }

    fn write(&self, objects: &Repository, it: &Written<'_>) -> Result<Oid, RepoError> {
        let mut text = format!("tree {}\nparent {}\n", it.tree, it.parent).into_bytes();
        let lines = [(&b"author "[..], Some(it.author)), (b"committer ", Some(it.committer))];
        for (name, value) in lines.into_iter().chain([(&b"encoding "[..], it.encoding)]) {
            if let Some(value) = value {
                text.extend_from_slice(name);
                text.extend_from_slice(value);
                text.push(b'\n');
            }
        }
        text.push(b'\n');
        text.extend_from_slice(it.message);
        let database = objects.odb();
        let written = database.and_then(|odb| odb.write(ObjectType::Commit, &text));
        written.map(Oid::from).map_err(|error| self.unreadable("a commit to write", error))
    }

    fn header<'h>(&self, header: &'h [u8], name: &[u8]) -> Result<&'h [u8], RepoError> {
        let missing = || git2::Error::from_str("a commit without an author");
        line(header, name).ok_or_else(|| self.unreadable("a commit", missing()))
    }
}

fn committer(identity: &CandidateIdentity) -> String {
    format!("{} <{}> {} +0000", identity.name, identity.email, identity.time)
}

/// The rest of the line of a commit's header that begins so. Lines that go on begin with a space.
fn line<'h>(header: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    header.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(name))
}

/// Name and address of an author, without the date.
fn who(author: &[u8]) -> &[u8] {
    let end = author.iter().rposition(|&byte| byte == b'>').map_or(author.len(), |at| at + 1);
    &author[..end]
}

/// A message that ends in `trailers`, which join those that it has.
fn with_trailers(message: &[u8], trailers: &str) -> Vec<u8> {
    if trailers.is_empty() {
        return message.to_vec();
    }
    let text = message.trim_ascii_end();
    let mut whole = text.to_vec();
    if !text.is_empty() {
        whole.extend_from_slice(if ends_in_trailers(text) { b"\n" } else { b"\n\n" });
    }
    whole.extend_from_slice(trailers.as_bytes());
    whole
}

/// Whether the last paragraph, which is not the first, has nothing but trailers.
fn ends_in_trailers(text: &[u8]) -> bool {
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    let Some(gap) = lines.iter().rposition(|line| line.trim_ascii().is_empty()) else {
        return false;
    };
    lines[gap + 1..].iter().all(|line| is_trailer(line))
}

fn is_trailer(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return false };
    let (key, rest) = line.split_at(colon);
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    !key.is_empty() && key.iter().all(is_key) && rest.starts_with(b": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_join_those_that_are_there() {
        let with = |message: &str| {
            String::from_utf8(with_trailers(message.as_bytes(), "Molt-Car: car_1\n")).unwrap()
        };
        for (message, expected) in [
            ("subject\n", "subject\n\nMolt-Car: car_1\n"),
            ("fix: it\n", "fix: it\n\nMolt-Car: car_1\n"),
            ("subject\n\nbody: it\nmore\n", "subject\n\nbody: it\nmore\n\nMolt-Car: car_1\n"),
            ("subject\n\nAcked-by: a\n\n", "subject\n\nAcked-by: a\nMolt-Car: car_1\n"),
            ("", "Molt-Car: car_1\n"),
        ] {
            assert_eq!(with(message), expected);
        }
        assert_eq!(with_trailers(b"as it is\n\n", ""), b"as it is\n\n");
    }

    #[test]
    fn an_author_is_read_byte_by_byte() {
        let header =
            b"tree x\nauthor J\xf6rg <j@x> 7 +0200\ncommitter c <c> 8 +0000\ngpgsig a\n author z";
        let author = line(header, b"author ").unwrap();
        assert_eq!(author, b"J\xf6rg <j@x> 7 +0200");
        assert_eq!(who(author), b"J\xf6rg <j@x>");
        assert_eq!(line(header, b"encoding "), None);
        assert_eq!(who(b"no address"), b"no address");
    }
}
