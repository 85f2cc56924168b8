//! The paths of a patch in the form that Codex's `apply_patch` takes.
//!
//! Every line that could be a header is read as one, also where the tool would
//! take it for content: reading too many paths only denies more. Not here: what
//! a patch does to the files.

/// The line that a patch begins with.
const BEGIN: &str = "*** Begin Patch";

/// What stands before the path of a file that is written or removed.
const WITH_PATH: [&str; 4] =
    ["*** Add File:", "*** Update File:", "*** Delete File:", "*** Move to:"];

/// Headers without a path.
const WITHOUT_PATH: [&str; 3] = [BEGIN, "*** End Patch", "*** End of File"];

/// Why a patch does not say which files it writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is none.
    #[error("it does not begin with `{BEGIN}`")]
    NoBegin,
    /// It names no file.
    #[error("it names no file")]
    NoFile,
    /// A header that may name a file in a way that is not known.
    #[error("its line `{0}` is not known")]
    Header(String),
}

/// The files that `patch` writes, moves or removes.
pub(super) fn paths(patch: &str) -> Result<Vec<String>, Unreadable> {
    if !is_in(patch) {
        return Err(Unreadable::NoBegin);
    }
    let mut paths = Vec::new();
    for whole in patch.lines() {
        let line = whole.trim();
        if !line.starts_with("***") || WITHOUT_PATH.contains(&line) {
            continue;
        }
        let path = WITH_PATH.iter().find_map(|header| line.strip_prefix(header)).map(str::trim);
        match path {
            Some(path) if !path.is_empty() => paths.push(path.to_owned()),
            // An unchanged line of a file that has stars in it.
            None if whole.starts_with(' ') => {}
            _ => return Err(Unreadable::Header(line.chars().take(80).collect())),
        }
    }
    match paths.is_empty() {
        true => Err(Unreadable::NoFile),
        false => Ok(paths),
    }
}

/// Whether `text` has a patch in it.
pub(super) fn is_in(text: &str) -> bool {
    text.contains(BEGIN)
}

/// Whether `command` is a call of the patch program with nothing before it, and
/// with nothing but a quote or the begin of a here-document before the patch.
pub(super) fn is_invocation(command: &str) -> bool {
    let Some((call, _)) = command.split_once(BEGIN) else { return false };
    let call = call.trim();
    let names = ["apply_patch", "applypatch"];
    let Some(rest) = names.iter().find_map(|name| call.strip_prefix(name)) else { return false };
    match rest.trim() {
        "" | "'" | "\"" => true,
        rest => rest.strip_prefix("<<").is_some_and(|tag| {
            let tag = tag.trim().trim_matches(['\'', '"']);
            !tag.is_empty() && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_a_patch_is_found() {
        let patch = "*** Begin Patch\n*** Add File: a/new.rs\n+fn main() {}\n\
                     *** Update File: b.rs\n*** Move to: c/d.rs\n@@ fn x\n-old\n+new\n\
                     *** End of File\n  *** Delete File:  e f.md \r\n*** End Patch\n";
        assert_eq!(paths(patch).unwrap(), ["a/new.rs", "b.rs", "c/d.rs", "e f.md"]);
    }

    #[test]
    fn content_is_no_header_but_what_could_be_one_is() {
        let patch =
            "*** Begin Patch\n*** Update File: a\n+*** Add File: b\n *** Add File: c\n ***\n";
        assert_eq!(paths(patch).unwrap(), ["a", "c"]);
    }

    #[test]
    fn what_is_not_known_is_unreadable() {
        assert_eq!(paths("diff --git a/x b/x"), Err(Unreadable::NoBegin));
        assert_eq!(paths("*** Begin Patch\n*** End Patch"), Err(Unreadable::NoFile));
        for line in ["*** Environment ID: remote", "*** Add File:", "*** Copy File: x", "***"] {
            let patch = format!("*** Begin Patch\n*** Add File: a\n{line}\n*** End Patch");
            assert_eq!(paths(&patch), Err(Unreadable::Header(line.to_owned())));
        }
    }

    #[test]
    fn only_a_plain_call_has_paths_that_start_here() {
        for call in
            ["apply_patch '", " apply_patch <<'EOF'\n", "applypatch << PATCH\n", "apply_patch "]
        {
            assert!(is_invocation(&format!("{call}{BEGIN}\n")), "{call}");
        }
        for call in [
            "cd a && apply_patch <<EOF\n",
            "apply_patch --cwd a '",
            "echo '",
            "apply_patch <<A; cd b <<B\n",
        ] {
            assert!(!is_invocation(&format!("{call}{BEGIN}\n")), "{call}");
        }
    }
}
