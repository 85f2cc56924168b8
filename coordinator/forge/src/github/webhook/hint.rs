//! What a verified body says is dirty.
//!
//! Of a body as little is read as names the thing, and nothing of what it says about the thing. So
//! an action that is new today is no different from the others, and a body whose shape has changed
//! makes the hint coarser: its repository, else its installation, else everything.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::Oid;

/// The longest name of a branch that is kept, in bytes; GitHub's own are shorter.
const MAX_BRANCH: usize = 255;

/// Something at GitHub that may not be any more as it was read. Repositories are known by their
/// ids, which outlast a new name or owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dirty {
    /// All that was ever read.
    Everything,
    /// Where the App may do what: its repositories and its permissions there.
    Installation {
        /// Its id.
        installation: u64,
    },
    /// All that was read of a repository, its name included.
    Repository {
        /// Its id.
        repository: u64,
    },
    /// What a repository demands of those who land, and who may do what there.
    Rules {
        /// The repository's id.
        repository: u64,
    },
    /// Where a branch stands.
    Branch {
        /// The repository's id.
        repository: u64,
        /// Its name, without `refs/heads/`.
        branch: String,
    },
    /// A pull request with its reviews, labels and comments; or an issue of that number, which
    /// whoever reads it finds out.
    Pull {
        /// The repository's id.
        repository: u64,
        /// Its number.
        number: u64,
    },
    /// The checks and statuses of a commit.
    Head {
        /// The repository's id.
        repository: u64,
        /// The commit.
        sha: Oid,
    },
}

/// How a body was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It names what its event is about.
    Whole,
    /// It does not, so the hint is coarse: its shape is new, or it is no JSON.
    Coarse,
    /// Nothing that is read at GitHub depends on such an event.
    Ignored,
}

/// What a webhook says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// What to read again; `None` if nothing.
    pub dirty: Option<Dirty>,
    /// How it was read.
    pub reading: Reading,
    /// What was done to the thing, for the log.
    pub action: Option<String>,
    /// The repository's name as the body has it, for the log.
    pub repository: Option<String>,
    /// The account that did it, by its id, for the log.
    pub sender: Option<u64>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy)]
enum About {
    Pull,
    Issue,
    CheckRun,
    CheckSuite,
    Status,
    MergeGroup,
    Push,
    Rules,
    Repository,
    Installation,
}

impl About {
    fn of(event: &str) -> Option<Self> {
        Some(match event {
            "pull_request"
            | "pull_request_review"
            | "pull_request_review_comment"
            | "pull_request_review_thread" => Self::Pull,
            "issue_comment" => Self::Issue,
            "check_run" => Self::CheckRun,
            "check_suite" => Self::CheckSuite,
            "status" => Self::Status,
            "merge_group" => Self::MergeGroup,
            "push" => Self::Push,
            "branch_protection_rule"
            | "branch_protection_configuration"
            | "repository_ruleset"
            | "member" => Self::Rules,
            "repository" | "public" => Self::Repository,
            "installation" | "installation_repositories" | "installation_target" => {
                Self::Installation
            }
            _ => return None,
        })
    }
}

/// What is read of any body. A field of another shape reads as one that is not there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope {
    action: Lenient<String>,
    installation: Lenient<Numbered>,
    repository: Lenient<Named>,
    sender: Lenient<Numbered>,
    number: Lenient<u64>,
    pull_request: Lenient<Thread>,
    issue: Lenient<Thread>,
    check_run: Lenient<Tested>,
    check_suite: Lenient<Tested>,
    merge_group: Lenient<Tested>,
    sha: Lenient<Oid>,
    #[serde(rename = "ref")]
    reference: Lenient<String>,
}

#[derive(Debug, Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Debug, Deserialize)]
struct Named {
    id: u64,
    #[serde(default)]
    full_name: Lenient<String>,
}

#[derive(Debug, Deserialize)]
struct Thread {
    number: u64,
}

#[derive(Debug, Deserialize)]
struct Tested {
    head_sha: Oid,
}

/// A value, if it has the shape that is wanted of it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Read(T),
    Other(IgnoredAny),
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

impl<T> Lenient<T> {
    fn get(&self) -> Option<&T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Other(IgnoredAny) => None,
        }
    }
}

impl Envelope {
    fn repository(&self) -> Option<u64> {
        Some(self.repository.get()?.id)
    }

    fn installation(&self) -> Option<Dirty> {
        let Numbered { id } = self.installation.get()?;
        Some(Dirty::Installation { installation: *id })
    }

    /// The smallest thing that the body names without doubt.
    fn coarse(&self) -> Dirty {
        let repository = self.repository().map(|repository| Dirty::Repository { repository });
        repository.or_else(|| self.installation()).unwrap_or(Dirty::Everything)
    }

    /// The very thing; `None` if the body does not name it.
    fn dirty(&self, about: About) -> Option<Dirty> {
        if let About::Installation = about {
            return self.installation();
        }
        let repository = self.repository()?;
        let pull = |number: &u64| Dirty::Pull { repository, number: *number };
        let head = |sha: &Oid| Dirty::Head { repository, sha: sha.clone() };
        let tested = |tested: &Tested| head(&tested.head_sha);
        match about {
            About::Pull => {
                let of_review = self.pull_request.get().map(|pull| &pull.number);
                self.number.get().or(of_review).map(pull)
            }
            About::Issue => self.issue.get().map(|issue| pull(&issue.number)),
            About::CheckRun => self.check_run.get().map(tested),
            About::CheckSuite => self.check_suite.get().map(tested),
            About::MergeGroup => self.merge_group.get().map(tested),
            About::Status => self.sha.get().map(head),
            About::Push => {
                let branch = self.reference.get()?.strip_prefix("refs/heads/")?;
                let short = branch.len() <= MAX_BRANCH;
                short.then(|| Dirty::Branch { repository, branch: branch.to_owned() })
            }
            About::Rules => Some(Dirty::Rules { repository }),
            About::Repository => Some(Dirty::Repository { repository }),
            About::Installation => self.installation(),
        }
    }

    /// Whether the body is about something that nobody reads: no change rests on a tag.
    fn is_idle(&self, about: About) -> bool {
        let tag = self.reference.get().is_some_and(|name| name.starts_with("refs/tags/"));
        matches!(about, About::Push) && tag
    }
}

/// What `body` says of the event that `event` names.
pub(super) fn read(event: &str, body: &[u8]) -> Hint {
    let about = About::of(event);
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    let is_json = envelope.is_some();
    let envelope = envelope.unwrap_or_default();
    let (dirty, reading) = match about {
        // A hook that sends forms would otherwise be silent for ever.
        None if !is_json => (Some(Dirty::Everything), Reading::Coarse),
        None => (None, Reading::Ignored),
        Some(about) if envelope.is_idle(about) => (None, Reading::Ignored),
        Some(about) => match envelope.dirty(about) {
            Some(dirty) => (Some(dirty), Reading::Whole),
            None => (Some(envelope.coarse()), Reading::Coarse),
        },
    };
    Hint {
        dirty,
        reading,
        action: envelope.action.get().cloned(),
        repository: envelope.repository.get().and_then(|named| named.full_name.get().cloned()),
        sender: envelope.sender.get().map(|sender| sender.id),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::permission::EVENTS;
    use super::*;

    const SHA: &str = "ec26c3e57ca3a959ca5aad62de7213c562f8c821";

    fn hint(event: &str, body: &Value) -> Hint {
        read(event, body.to_string().as_bytes())
    }

    /// A body of repository 7 and installation 9 with `more` in it.
    fn body(more: &Value) -> Value {
        let mut body = json!({
            "action": "done", "installation": {"id": 9}, "sender": {"id": 3},
            "repository": {"id": 7, "full_name": "acme/widget"},
        });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    }

    fn whole(event: &str, more: &Value, dirty: Dirty) {
        let hint = hint(event, &body(more));
        assert_eq!((hint.dirty, hint.reading), (Some(dirty), Reading::Whole), "{event} {more}");
        assert_eq!((hint.action.as_deref(), hint.sender), (Some("done"), Some(3)));
        assert_eq!(hint.repository.as_deref(), Some("acme/widget"));
    }

    fn coarse(event: &str, body: &Value, dirty: Dirty) {
        let hint = hint(event, body);
        assert_eq!((hint.dirty, hint.reading), (Some(dirty), Reading::Coarse), "{event} {body}");
    }

    #[test]
    fn a_body_names_the_thing() {
        let sha: Oid = SHA.parse().unwrap();
        let head = || Dirty::Head { repository: 7, sha: sha.clone() };
        let pull = || Dirty::Pull { repository: 7, number: 4 };
        whole("pull_request", &json!({"number": 4, "pull_request": {"number": 4}}), pull());
        whole("pull_request_review", &json!({"pull_request": {"number": 4}}), pull());
        whole("issue_comment", &json!({"issue": {"number": 4}}), pull());
        for event in ["check_run", "check_suite", "merge_group"] {
            whole(event, &json!({event: {"head_sha": SHA}}), head());
        }
        whole("status", &json!({"sha": SHA}), head());
        let branch = "feature/x".to_owned();
        let branch = Dirty::Branch { repository: 7, branch };
        whole("push", &json!({"ref": "refs/heads/feature/x"}), branch);
        whole("member", &json!({}), Dirty::Rules { repository: 7 });
        whole("repository_ruleset", &json!({}), Dirty::Rules { repository: 7 });
        whole("repository", &json!({}), Dirty::Repository { repository: 7 });
        whole("installation", &json!({}), Dirty::Installation { installation: 9 });
    }

    #[test]
    fn a_body_of_a_new_shape_is_as_coarse_as_is_safe() {
        let repository = || Dirty::Repository { repository: 7 };
        coarse("pull_request", &body(&json!({"number": "4"})), repository());
        coarse("issue_comment", &body(&json!({"issue": "four"})), repository());
        coarse("status", &body(&json!({"sha": "main"})), repository());
        coarse("check_run", &body(&json!({"check_run": null})), repository());
        coarse("push", &body(&json!({"ref": "refs/molt/fence"})), repository());
        coarse("push", &body(&json!({"ref": format!("refs/heads/{:300}", "x")})), repository());
        let installation = Dirty::Installation { installation: 9 };
        coarse("push", &body(&json!({"repository": "acme/widget"})), installation.clone());
        coarse("repository_ruleset", &body(&json!({"repository": null})), installation);
        coarse("installation", &body(&json!({"installation": 9})), repository());
        coarse("push", &json!({}), Dirty::Everything);
        coarse("push", &json!([1]), Dirty::Everything);
    }

    #[test]
    fn what_is_no_json_makes_everything_dirty() {
        for event in ["push", "ping", ""] {
            for body in ["payload=%7B%7D", "", "{\"number\": 4", "\u{0}"] {
                let hint = read(event, body.as_bytes());
                assert_eq!(hint.dirty, Some(Dirty::Everything), "{event} {body}");
                assert_eq!(hint.reading, Reading::Coarse);
            }
        }
    }

    #[test]
    fn it_is_known_how_every_event_comes_that_is_read() {
        for (event, _) in EVENTS {
            assert!(About::of(event).is_some(), "{event} is not read");
        }
        let text = include_str!("hint.rs");
        let from = text.find("fn of(event").expect("the events are told apart");
        let to = from + text[from..].find("_ => return None").expect("all others are ignored");
        let read: Vec<&str> = text[from..to].split('"').skip(1).step_by(2).collect();
        assert_eq!(read.len(), EVENTS.len(), "{read:?}");
        for event in read {
            assert!(EVENTS.iter().any(|(known, _)| *known == event), "{event} comes nohow");
        }
    }

    #[test]
    fn what_nobody_reads_is_ignored() {
        for (event, more) in [
            ("ping", json!({})),
            ("star", json!({})),
            ("event_of_next_year", json!({"number": 4})),
            ("push", json!({"ref": "refs/tags/v1"})),
        ] {
            let hint = hint(event, &body(&more));
            assert_eq!((hint.dirty, hint.reading), (None, Reading::Ignored), "{event}");
        }
    }
}
