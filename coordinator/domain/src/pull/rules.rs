//! What the forge's own rules leave to us: rulesets, branch protection, permissions.
//!
//! We land by moving the base's ref, not by the forge's merge button, so every rule of the branch
//! is met in one of four ways: our way of landing keeps it by itself, it is judged here on the
//! change's head, it is about the change and shows when it lands, or it stands in the way. The
//! last is found before anything is tested, and each obstacle names its fix. A bypass counts only
//! if it holds for moves of the ref; a rule that nobody knows is in the way without one. Not here:
//! reading the rules (`molt-forge`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::check::Required;
use crate::policy::Method;

/// A rule of the branch that changes land on, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The rule.
    pub rule: Rule,
    /// Where it stands.
    pub place: Place,
    /// Whether it holds for us.
    pub bypass: Bypass,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a ruleset, by the name that somebody gave it.
    Ruleset(String),
    /// In the protection of the branch.
    Protection,
}

/// Whether a rule holds for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bypass {
    /// It does not.
    Always,
    /// It does, unless the forge's own merge is used, which is not our way.
    PullRequests,
    /// It does.
    Never,
}

impl Bypass {
    /// What a ruleset's `current_user_can_bypass` says.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "always" | "exempt" => Self::Always,
            "pull_requests_only" => Self::PullRequests,
            _ => Self::Never,
        }
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Changes come by pull requests that were approved.
    PullRequest {
        /// By how many.
        approvals: u32,
        /// What else it asks, which only the forge can tell.
        beyond: BTreeSet<Beyond>,
    },
    /// Contexts are green on the commit that lands.
    StatusChecks {
        /// Which.
        contexts: Vec<Required>,
        /// Whether the head must contain the base.
        strict: Strict,
    },
    /// The forge's own queue lands changes.
    MergeQueue,
    /// No merge commits.
    LinearHistory,
    /// Every commit is signed.
    Signatures,
    /// Deployments to environments succeeded.
    Deployments,
    /// The branch is not made anew.
    Creation,
    /// The branch does not move.
    Update,
    /// The branch is not deleted.
    Deletion,
    /// The branch never moves but ahead.
    NonFastForward,
    /// A pattern or limit for messages, authors or files, by the forge's word.
    Content(String),
    /// A program of the forge that must have passed the pull request, by the forge's word.
    Program(String),
    /// A word that is none of the forge's when this was written.
    Unknown(String),
}

/// What a rule about pull requests asks beside a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beyond {
    /// An owner of the changed files approved.
    CodeOwners,
    /// Somebody else than the last pusher approved.
    LastPush,
    /// Every thread is resolved.
    Threads,
    /// Teams that the rule names approved.
    Reviewers,
}

/// Whether a change's head must contain the base before it lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strict {
    /// It must.
    Yes,
    /// It need not.
    No,
}

impl Rule {
    /// The rule that the forge calls `word`, for those that say nothing more.
    #[must_use]
    pub fn plain(word: &str) -> Self {
        match word {
            "creation" => Self::Creation,
            "update" => Self::Update,
            "deletion" => Self::Deletion,
            "non_fast_forward" => Self::NonFastForward,
            "merge_queue" => Self::MergeQueue,
            "required_linear_history" => Self::LinearHistory,
            "required_signatures" => Self::Signatures,
            "required_deployments" => Self::Deployments,
            "commit_message_pattern"
            | "commit_author_email_pattern"
            | "committer_email_pattern"
            | "branch_name_pattern"
            | "file_path_restriction"
            | "file_extension_restriction"
            | "max_file_path_length"
            | "max_file_size" => Self::Content(word.to_owned()),
            "workflows" | "code_scanning" | "copilot_code_review" => Self::Program(word.to_owned()),
            word => Self::Unknown(word.to_owned()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PullRequest { .. } => "pull requests with approvals",
            Self::StatusChecks { strict: Strict::Yes, .. } => "status checks, up to date",
            Self::StatusChecks { strict: Strict::No, .. } => "status checks",
            Self::MergeQueue => "merge queue",
            Self::LinearHistory => "linear history",
            Self::Signatures => "signed commits",
            Self::Deployments => "deployments",
            Self::Creation => "no creation",
            Self::Update => "no updates",
            Self::Deletion => "no deletion",
            Self::NonFastForward => "no forced pushes",
            Self::Content(word) | Self::Program(word) | Self::Unknown(word) => word,
        })
    }
}

/// How a rule is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// Our way of landing keeps it by itself.
    Kept,
    /// It is judged here, on the change's head.
    Judged,
    /// It is about the change: the forge tells when it lands.
    AtLanding,
    /// The bypass passes it, and nobody judges it.
    Bypassed,
    /// It stands in the way.
    InTheWay,
}

/// How a rule is met by landings of a shape.
#[must_use]
pub fn met(found: &Found, method: Method) -> Met {
    let passes = found.bypass == Bypass::Always;
    let unless = |met| if passes { met } else { Met::InTheWay };
    match (&found.rule, method) {
        (Rule::Creation | Rule::Deletion | Rule::NonFastForward, _) => Met::Kept,
        // Beside the forge's queue there would be two orders for one branch (B17).
        (Rule::MergeQueue, _) => Met::InTheWay,
        (Rule::PullRequest { beyond, .. }, _) if beyond.is_empty() => unless(Met::Judged),
        // No merge commit is made, and what is carried has none.
        (Rule::LinearHistory, Method::Squash | Method::Rebase) => Met::Kept,
        // The head itself lands, and its checks with it.
        (Rule::StatusChecks { .. }, Method::Ff) => Met::Judged,
        (Rule::StatusChecks { .. }, _) => unless(Met::Judged),
        (Rule::LinearHistory | Rule::Signatures, Method::Ff) | (Rule::Content(_), _) => {
            if passes {
                Met::Bypassed
            } else {
                Met::AtLanding
            }
        }
        (
            Rule::PullRequest { .. }
            | Rule::LinearHistory
            | Rule::Signatures
            | Rule::Deployments
            | Rule::Update
            | Rule::Program(_)
            | Rule::Unknown(_),
            _,
        ) => unless(Met::Bypassed),
    }
}

/// What the base's rules want of a head before it lands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The contexts that must be green.
    pub contexts: Vec<Required>,
    /// How many must have approved.
    pub approvals: u32,
}

/// What all rules together want; a bypass takes nothing of it away.
#[must_use]
pub fn wanted(rules: &[Found]) -> Wanted {
    let mut contexts = BTreeSet::new();
    let mut most = 0;
    for found in rules {
        match &found.rule {
            Rule::StatusChecks { contexts: more, .. } => contexts.extend(more.iter().cloned()),
            Rule::PullRequest { approvals, .. } => most = most.max(*approvals),
            _ => {}
        }
    }
    Wanted { contexts: contexts.into_iter().collect(), approvals: most }
}

/// A permission of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Everything about the repository but its contents.
    Metadata,
    /// Commits and refs.
    Contents,
    /// Pull requests, their labels and comments.
    PullRequests,
    /// Check runs.
    Checks,
    /// Commit statuses.
    Statuses,
    /// Files under `.github/workflows`.
    Workflows,
}

/// How far a permission goes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not at all.
    #[default]
    None,
    /// To look.
    Read,
    /// To change.
    Write,
}

impl Level {
    /// What the forge's word grants.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "write" | "admin" => Self::Write,
            "read" => Self::Read,
            _ => Self::None,
        }
    }
}

/// What an installation takes to work at all.
pub const NEEDS: [(Permission, Level); 5] = [
    (Permission::Metadata, Level::Read),
    (Permission::Contents, Level::Write),
    (Permission::PullRequests, Level::Write),
    (Permission::Checks, Level::Write),
    (Permission::Statuses, Level::Read),
];

/// An installation of our App, as the forge tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installation {
    /// It works.
    Active(BTreeMap<Permission, Level>),
    /// Its owner stopped it.
    Suspended,
    /// There is none any more.
    Gone,
}

impl Installation {
    /// How far a permission goes.
    #[must_use]
    pub fn level(&self, permission: Permission) -> Level {
        match self {
            Self::Active(granted) => granted.get(&permission).copied().unwrap_or_default(),
            Self::Suspended | Self::Gone => Level::None,
        }
    }
}

/// What stands in the way, of all changes or of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A rule of the branch.
    Rule {
        /// The rule.
        rule: Rule,
        /// Where it stands.
        place: Place,
    },
    /// A permission is missing.
    Permission(Permission, Level),
    /// The installation was stopped by its owner.
    Suspended,
    /// The installation is gone.
    Gone,
    /// The change has files that take a right of their own (B24).
    Workflows {
        /// One of them.
        path: String,
    },
    /// The change is part of a stack, which only the forge's own merge lands (B29).
    Stacked,
    /// The change is on top of another one.
    OnTop {
        /// The number of that one.
        of: u64,
    },
}

/// Everything that stands in the way of every change.
#[must_use]
pub fn preflight(rules: &[Found], method: Method, installation: &Installation) -> Vec<Obstacle> {
    let mut obstacles = match installation {
        Installation::Suspended => vec![Obstacle::Suspended],
        Installation::Gone => vec![Obstacle::Gone],
        Installation::Active(_) => {
            let missing =
                NEEDS.iter().filter(|(permission, level)| installation.level(*permission) < *level);
            missing.map(|&(permission, level)| Obstacle::Permission(permission, level)).collect()
        }
    };
    let in_the_way = rules.iter().filter(|found| met(found, method) == Met::InTheWay);
    obstacles.extend(
        in_the_way
            .map(|found| Obstacle::Rule { rule: found.rule.clone(), place: found.place.clone() }),
    );
    obstacles
}

/// Whether a change is part of a stack at the forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// It stands alone.
    None,
    /// It is.
    Part,
    /// Nobody made it one, but it is to land on the branch of another change.
    OnTop {
        /// The number of that one.
        of: u64,
    },
}

impl Stack {
    /// What is in the way.
    #[must_use]
    pub fn obstacle(self) -> Option<Obstacle> {
        match self {
            Self::None => None,
            Self::Part => Some(Obstacle::Stacked),
            Self::OnTop { of } => Some(Obstacle::OnTop { of }),
        }
    }
}

/// What stands in the way of one change; `changed` has both sides of a rename.
#[must_use]
pub fn of_change<'a>(
    stack: Stack,
    changed: impl IntoIterator<Item = &'a str>,
    installation: &Installation,
) -> Vec<Obstacle> {
    let mut obstacles: Vec<Obstacle> = stack.obstacle().into_iter().collect();
    if installation.level(Permission::Workflows) < Level::Write {
        let path = changed.into_iter().find(|path| path.starts_with(".github/workflows/"));
        obstacles.extend(path.map(|path| Obstacle::Workflows { path: path.to_owned() }));
    }
    obstacles
}

impl Obstacle {
    /// The stable reason code.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Rule { .. } | Self::Stacked | Self::OnTop { .. } => "ruleset-blocked",
            Self::Permission(..) | Self::Suspended | Self::Gone | Self::Workflows { .. } => {
                "auth-lost"
            }
        }
    }

    /// What mends it, in one sentence.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Rule { rule, .. } => fix(rule),
            Self::Permission(..) => {
                "grant it in the App's settings and accept it for the installation"
            }
            Self::Suspended => "let the owner of the installation resume it",
            Self::Gone => "install the App on the repository",
            Self::Workflows { .. } => {
                "grant the App `workflows: write`, or leave those files out of the change"
            }
            Self::Stacked => "take the pull request out of its stack, or land it at the forge",
            Self::OnTop { .. } => "land that one first, then make the train's branch its base",
        }
    }
}

fn fix(rule: &Rule) -> &'static str {
    match rule {
        Rule::MergeQueue => "turn the merge queue off for this branch: the train is one",
        Rule::LinearHistory => {
            "set `method` in molt.toml to squash, rebase or ff, or let the App bypass the rule"
        }
        Rule::Signatures => "let the App bypass the rule, as the train's commits are not signed",
        Rule::Deployments => {
            "let the App bypass the rule, as the commit that lands was deployed nowhere"
        }
        Rule::StatusChecks { .. } => {
            "let the App bypass the rule: the train judges the same contexts on the change's head"
        }
        Rule::PullRequest { .. } => {
            "let the App bypass the rule always, not for pull requests only: the train counts the \
             approvals itself"
        }
        Rule::Creation | Rule::Update | Rule::Deletion | Rule::NonFastForward => {
            "let the App bypass the rule, so that it may move the branch"
        }
        Rule::Content(_) | Rule::Program(_) => "let the App bypass the rule, or turn it off",
        Rule::Unknown(_) => "look at what the rule asks, then let the App bypass it or turn it off",
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { rule, place: Place::Ruleset(name) } => {
                write!(f, "the ruleset {name} wants {rule}")
            }
            Self::Rule { rule, place: Place::Protection } => {
                write!(f, "the branch protection wants {rule}")
            }
            Self::Permission(permission, level) => {
                write!(f, "the installation lacks `{permission}: {level}`")
            }
            Self::Suspended => f.write_str("the installation is suspended"),
            Self::Gone => f.write_str("the installation is gone"),
            Self::Workflows { path } => write!(f, "it changes {path}"),
            Self::Stacked => f.write_str("it is part of a stack"),
            Self::OnTop { of } => write!(f, "it is to land on the branch of #{of}"),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "metadata",
            Self::Contents => "contents",
            Self::PullRequests => "pull_requests",
            Self::Checks => "checks",
            Self::Statuses => "statuses",
            Self::Workflows => "workflows",
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

#[cfg(test)]
mod tests;
