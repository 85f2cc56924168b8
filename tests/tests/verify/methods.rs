//! Each method's landings hold, and commits that are not what it makes are found.

use super::{Point, Story, found};

/// What is done to a story once a commit was made.
type Tamper = fn(&Story, Made);

/// How a story's changes land, and what is done to their commits on the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) method: &'static str,
    /// What happens once a commit was made: the first that is carried, or the last.
    tamper: Tamper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    First,
    Last,
}

impl Way {
    pub(super) const MERGE: Self = Self { method: "merge", tamper: |_, _| {} };

    fn honest(method: &'static str) -> Self {
        Self { method, ..Self::MERGE }
    }
}

impl Story {
    /// Commits a change in a branch of its own: two commits, which forked where the branch began
    /// unless it is merged.
    pub(super) fn propose(&self, n: u64, scope: &str) -> Point {
        let begin = self.git(&["rev-list", "--max-parents=0", "main"]);
        let from = if self.way.method == "merge" { "main" } else { &begin };
        self.git(&["checkout", "--quiet", "-b", &format!("change-{n}"), from]);
        self.write(&format!("{scope}/more{n}"), "more\n");
        self.commit(&format!("more of change {n}"));
        self.write(&format!("{scope}/new{n}"), "new\n");
        self.commit(&format!("change {n}"))
    }

    /// Makes of a change what its method makes on the base; what the base is then.
    pub(super) fn join(&self, head: &Point) -> Point {
        let head = &head.commit;
        let named = format!("Molt-Head: {head}");
        self.git(&["checkout", "--quiet", "main"]);
        match self.way.method {
            "squash" => {
                self.git(&["merge", "--quiet", "--squash", head]);
                self.git(&["commit", "--quiet", "-m", "new", "-m", &named]);
            }
            "rebase" => {
                self.git(&["cherry-pick", &format!("{head}~1")]);
                (self.way.tamper)(self, Made::First);
                self.git(&["cherry-pick", head]);
                let subject = self.git(&["log", "-1", "--format=%s", head]);
                self.git(&["commit", "--quiet", "--amend", "-m", &subject, "-m", &named]);
            }
            _ => drop(self.git(&["merge", "--quiet", "--no-ff", "--no-edit", head])),
        }
        (self.way.tamper)(self, Made::Last);
        self.point()
    }
}

/// Writes to a file of no change, each time something else.
fn sneak(story: &Story) {
    story.write("docs/a.md", &story.git(&["rev-parse", "HEAD"]));
}

#[test]
fn landings_of_every_method_hold() {
    for method in ["merge", "squash", "rebase"] {
        let report = Story::landing_by(Way::honest(method)).verify();
        assert_eq!(report.violations(), [] as [&str; 0], "{method}");
    }
}

#[test]
fn what_is_put_among_carried_commits_is_found() {
    let cases: [(Tamper, &str); 6] = [
        (
            |story, made| {
                if made == Made::First {
                    sneak(story);
                    story.commit("sneaked in");
                }
            },
            "is no commit of",
        ),
        (
            |story, made| {
                if made == Made::First {
                    sneak(story);
                    story.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
                }
            },
            "changed docs/a.md, which",
        ),
        (
            |story, made| {
                if made == Made::First {
                    story.git(&["commit", "--quiet", "--amend", "-m", "other words"]);
                }
            },
            "is no commit of",
        ),
        (
            |story, made| {
                if made == Made::First {
                    let author = "--author=Eve <eve@x.invalid>";
                    story.git(&["commit", "--quiet", "--amend", "--no-edit", author]);
                }
            },
            "is no commit of",
        ),
        (
            |story, made| {
                if made == Made::Last {
                    let subject = story.git(&["log", "-1", "--format=%s"]);
                    story.git(&["commit", "--quiet", "--amend", "-m", &subject]);
                }
            },
            "does not name",
        ),
        (
            |story, made| {
                if made == Made::First {
                    let parent = story.git(&["rev-parse", "HEAD^"]);
                    let side = ["merge", "--quiet", "--no-ff", "-s", "ours", "-m", "side"];
                    let tree = story.git(&["rev-parse", "HEAD^{tree}"]);
                    let aside = story.git(&["commit-tree", &tree, "-p", &parent, "-m", "aside"]);
                    story.git(&[&side[..], &[&aside]].concat());
                }
            },
            "is not a commit on",
        ),
    ];
    for (tamper, words) in cases {
        found(&Story::landing_by(Way { method: "rebase", tamper }).verify(), words);
    }
}

#[test]
fn a_squash_that_is_not_of_its_head_is_found() {
    let cases: [(Tamper, &str); 3] = [
        (
            |story, _| {
                sneak(story);
                story.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
            },
            "changed docs/a.md, which",
        ),
        (
            |story, _| {
                let author = "--author=Eve <eve@x.invalid>";
                story.git(&["commit", "--quiet", "--amend", "--no-edit", author]);
            },
            "is by Eve",
        ),
        (
            |story, _| drop(story.git(&["commit", "--quiet", "--amend", "-m", "no name"])),
            "does not name",
        ),
    ];
    for (tamper, words) in cases {
        found(&Story::landing_by(Way { method: "squash", tamper }).verify(), words);
    }
}

#[test]
fn commits_that_land_with_another_are_carried_by_a_rebase_alone() {
    // What a base that merges or squashes lets land is one step, whatever the commits say.
    let mut story = Story::landing_by(Way::honest("rebase"));
    let policy = story.git(&["show", "main:molt.toml"]).replace("\"rebase\"", "\"squash\"");
    story.write("molt.toml", &policy);
    let base = story.commit("another method");
    story.by_coordinator(super::base_read(&base, "outside"));
    story.git(&["checkout", "--quiet", "main"]);
    story.land(4, "docs", &base, None);
    let report = story.verify().violations().join("\n");
    assert!(report.contains("never landed"), "{report}");
}
