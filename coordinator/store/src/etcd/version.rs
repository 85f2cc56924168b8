//! Which versions of etcd may be used.

use std::fmt;

/// What is to be thought of something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing speaks against it.
    Fine,
    /// It works; a person should know this.
    Warn(String),
    /// It must not be used, for this reason.
    Refuse(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine => f.write_str("fine"),
            Self::Warn(reason) => write!(f, "warning: {reason}"),
            Self::Refuse(reason) => write!(f, "refused: {reason}"),
        }
    }
}

/// What is to be thought of a member of `version` in a cluster of `members`.
pub(super) fn judge(version: &str, members: usize) -> Verdict {
    let Some(number) = parse(version) else {
        return Verdict::Warn(format!("etcd {version}: nothing is known of this version"));
    };
    let why = |reason: &str| format!("etcd {version}: {reason}");
    let alone = members == 1;
    match number {
        (..=2, ..) | (3, ..=3, _) => {
            Verdict::Refuse(why("it is older than 3.4, the oldest that was tried"))
        }
        (3, 5, ..=2) => Verdict::Refuse(why(
            "its members may diverge after a crash (etcd issue 13766): use 3.5.33 or newer",
        )),
        (3, 4, ..=20) | (3, 5, 3 | 4) if alone => Verdict::Refuse(why(
            "a single member may lose an acknowledged write in a crash (etcd issue 14370): use \
             3.5.33 or newer",
        )),
        (3, 5, 3..=5) => Verdict::Warn(why(
            "it may crash while it defragments (etcd issue 14685): use 3.5.33 or newer",
        )),
        (3, 4, _) => Verdict::Warn(why(
            "the 3.4 line is no longer maintained and lacks fixes: use 3.5.33 or newer",
        )),
        (3, 5, ..=32) => Verdict::Warn(why("it lacks fixes that 3.5.33 has")),
        (3, 6, ..=13) => Verdict::Warn(why("it lacks fixes that 3.6.14 has")),
        _ => Verdict::Fine,
    }
}

fn parse(version: &str) -> Option<(u32, u32, u32)> {
    // What follows a dash or a plus names a build, not a version.
    let mut numbers = version.split(['-', '+']).next()?.split('.').map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Some((major, minor, patch)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_at_its_edges() {
        enum Expected {
            Fine,
            Warn,
            Refuse,
        }
        use Expected::{Fine, Refuse, Warn};
        for (version, members, expected) in [
            ("2.3.8", 3, Refuse),
            ("3.3.27", 3, Refuse),
            ("3.4.20", 1, Refuse),
            ("3.4.20", 3, Warn),
            ("3.4.21", 1, Warn),
            ("3.4.23", 1, Warn),
            ("3.4.44", 3, Warn),
            ("3.5.0", 3, Refuse),
            ("3.5.2", 3, Refuse),
            ("3.5.3", 3, Warn),
            ("3.5.4", 1, Refuse),
            ("3.5.5", 1, Warn),
            ("3.5.32", 3, Warn),
            ("3.5.33", 1, Fine),
            ("3.6.0", 3, Warn),
            ("3.6.13", 3, Warn),
            ("3.6.14", 3, Fine),
            ("3.7.0-rc.1", 3, Fine),
            ("4.0.0", 3, Fine),
            ("newest", 3, Warn),
            ("3.5", 3, Warn),
        ] {
            let found = judge(version, members);
            let as_expected = match expected {
                Fine => found == Verdict::Fine,
                Warn => matches!(&found, Verdict::Warn(reason) if reason.contains(version)),
                Refuse => matches!(&found, Verdict::Refuse(reason) if reason.contains(version)),
            };
            assert!(as_expected, "{version} with {members} members: {found}");
        }
    }
}
