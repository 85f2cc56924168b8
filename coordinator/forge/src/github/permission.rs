//! What each operation takes, by GitHub's own tables, and what an App therefore asks for.
//!
//! The tables are GitHub's documentation on the permissions of fine-grained tokens and on webhook
//! events. A fine-grained personal token takes the same permissions by the same names. Not here:
//! what was granted ([`Rights`](super::Rights)), and what follows where something is missing.

use std::collections::BTreeMap;

use super::operation::Operation;

/// How far a permission goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// To look.
    Read,
    /// To change.
    Write,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

/// A permission by GitHub's name, and how far.
pub type Grant = (&'static str, Access);

/// Who asks for an operation at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// An App by its key, which takes no permission.
    Key,
    /// An App where it is installed: nobody else has check runs.
    App,
    /// The owner of a personal token, who has what an App does without.
    Person,
    /// Either.
    Anybody,
}

/// What an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Who asks for it.
    pub asker: Asker,
    /// The permission; of several that will do, the one that is asked for.
    pub grant: Option<Grant>,
}

const KEY: Needs = Needs { asker: Asker::Key, grant: None };
const METADATA: Needs = anybody("metadata", Access::Read);
const CONTENTS: Needs = anybody("contents", Access::Read);
const PULLS: Needs = anybody("pull_requests", Access::Read);
const TALK: Needs = anybody("pull_requests", Access::Write);
const MOVE: Needs = anybody("contents", Access::Write);

const fn anybody(name: &'static str, access: Access) -> Needs {
    Needs { asker: Asker::Anybody, grant: Some((name, access)) }
}

const fn app(name: &'static str, access: Access) -> Needs {
    Needs { asker: Asker::App, grant: Some((name, access)) }
}

const fn person(grant: Option<Grant>) -> Needs {
    Needs { asker: Asker::Person, grant }
}

/// What each operation takes.
const TABLE: &[(Operation, Needs)] = &[
    (Operation::APP, KEY),
    (Operation::INSTALLATION, KEY),
    (Operation::TOKEN, KEY),
    (Operation::USER, person(None)),
    (Operation::REPOSITORY, METADATA),
    (Operation::BRANCH, CONTENTS),
    (Operation::RULES, METADATA),
    (Operation::RULESET, METADATA),
    (Operation::PERMISSION, METADATA),
    (Operation::PULLS, PULLS),
    (Operation::PULL, PULLS),
    (Operation::OPEN_PULL, TALK),
    (Operation::EDIT_PULL, TALK),
    (Operation::REVIEWS, PULLS),
    (Operation::COMMENTS, PULLS),
    (Operation::COMMENTS_OF, PULLS),
    (Operation::COMMENT, TALK),
    (Operation::EDIT_COMMENT, TALK),
    (Operation::CHECKS, app("checks", Access::Read)),
    (Operation::MAKE_CHECK, app("checks", Access::Write)),
    (Operation::EDIT_CHECK, app("checks", Access::Write)),
    (Operation::ANNOTATIONS, app("checks", Access::Read)),
    (Operation::STATUS, anybody("statuses", Access::Read)),
    (Operation::SET_STATUS, person(Some(("statuses", Access::Write)))),
    (Operation::REF, CONTENTS),
    (Operation::MOVE_REF, MOVE),
    // `updateRefs` moves refs as the operations on refs do.
    (Operation::GRAPHQL, MOVE),
];

impl Operation {
    /// What it takes; `None` for one that the table forgot.
    #[must_use]
    pub fn needs(self) -> Option<Needs> {
        let row = TABLE.iter().find(|(operation, _)| *operation == self);
        row.map(|(_, needs)| *needs)
    }
}

/// What all operations take together that such an asker asks for.
#[must_use]
pub fn needed(by: Asker) -> BTreeMap<&'static str, Access> {
    let is_asked = |needs: &Needs| needs.asker == by || needs.asker == Asker::Anybody;
    let asked = TABLE.iter().filter(|(_, needs)| is_asked(needs));
    most(asked.filter_map(|(_, needs)| needs.grant))
}

/// Each permission once, as far as any of them goes.
fn most(grants: impl Iterator<Item = Grant>) -> BTreeMap<&'static str, Access> {
    let mut all = BTreeMap::new();
    for (name, access) in grants {
        let most = all.entry(name).or_insert(access);
        *most = access.max(*most);
    }
    all
}

/// How an event comes to an App.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comes {
    /// To all Apps; it cannot be asked for.
    Always,
    /// It is asked for, which takes a permission.
    For(Grant),
    /// It would take a permission that nothing else does and that opens too much: what it tells is
    /// found out later without it.
    Later(Grant),
}

/// How the events come that [`webhook`](super::webhook) reads.
pub const EVENTS: &[(&str, Comes)] = &[
    ("pull_request", Comes::For(("pull_requests", Access::Read))),
    ("pull_request_review", Comes::For(("pull_requests", Access::Read))),
    ("pull_request_review_comment", Comes::For(("pull_requests", Access::Read))),
    ("pull_request_review_thread", Comes::For(("pull_requests", Access::Read))),
    // GitHub ties comments on pull requests to issues here, and here alone.
    ("issue_comment", Comes::For(("issues", Access::Read))),
    ("check_run", Comes::For(("checks", Access::Read))),
    ("check_suite", Comes::For(("checks", Access::Read))),
    ("status", Comes::For(("statuses", Access::Read))),
    ("push", Comes::For(("contents", Access::Read))),
    ("repository", Comes::For(("metadata", Access::Read))),
    ("public", Comes::For(("metadata", Access::Read))),
    ("merge_group", Comes::Later(("merge_queues", Access::Read))),
    ("branch_protection_rule", Comes::Later(("administration", Access::Read))),
    ("branch_protection_configuration", Comes::Later(("administration", Access::Read))),
    ("repository_ruleset", Comes::Later(("administration", Access::Read))),
    ("member", Comes::Later(("members", Access::Read))),
    ("installation", Comes::Always),
    ("installation_repositories", Comes::Always),
    ("installation_target", Comes::Always),
];

/// What an App asks for: what its operations take, and what the events take that it asks for.
#[must_use]
pub fn asked_for() -> BTreeMap<&'static str, Access> {
    let of_events = EVENTS.iter().filter_map(|(_, comes)| match *comes {
        Comes::For(grant) => Some(grant),
        Comes::Always | Comes::Later(_) => None,
    });
    most(needed(Asker::App).into_iter().chain(of_events))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_one_row() {
        for operation in Operation::ALL {
            let rows = TABLE.iter().filter(|(row, _)| row == operation).count();
            assert_eq!(rows, 1, "{operation}");
        }
        assert_eq!(TABLE.len(), Operation::ALL.len());
    }

    #[test]
    fn whoever_signs_as_the_app_needs_its_key() {
        for (operation, needs) in TABLE {
            let signs = operation.by == super::super::operation::As::App;
            assert_eq!(
                signs || *operation == Operation::TOKEN,
                needs.asker == Asker::Key,
                "{operation}"
            );
        }
    }

    #[test]
    fn what_is_asked_for_is_the_most_of_each() {
        let read_and_write = [
            ("checks", Access::Write),
            ("contents", Access::Write),
            ("metadata", Access::Read),
            ("pull_requests", Access::Write),
            ("statuses", Access::Read),
        ];
        assert_eq!(needed(Asker::App), read_and_write.into());
        let token = needed(Asker::Person);
        assert_eq!(token.get("statuses"), Some(&Access::Write));
        assert_eq!(token.get("checks"), None);
        let asked = asked_for();
        assert_eq!(asked.get("issues"), Some(&Access::Read));
        assert_eq!((asked.len(), asked.get("administration")), (6, None));
    }

    #[test]
    fn what_an_event_is_worth_a_permission_for_is_told_apart() {
        let asked = asked_for();
        for (event, comes) in EVENTS {
            match *comes {
                Comes::Always => {}
                Comes::For((name, access)) => assert!(asked.get(name) >= Some(&access), "{event}"),
                // One that costs nothing is to be asked for.
                Comes::Later((name, _)) => assert_eq!(asked.get(name), None, "{event}"),
            }
        }
    }
}
