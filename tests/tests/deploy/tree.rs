//! The files that deploy the programs, in memory, so that a fault can be planted in a copy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Texts by their path from the root of the repository.
#[derive(Clone)]
pub(crate) struct Tree(BTreeMap<String, String>);

/// A fault: in which file, what is written, what is written instead, and what is then said.
pub(crate) type Fault = (&'static str, &'static str, &'static str, &'static str);

impl Tree {
    /// The files as they are: all that is below `deploy`, the versions that they name, and the pages
    /// about them.
    pub(crate) fn load() -> Self {
        let root = root();
        let mut tree = Self(BTreeMap::new());
        tree.gather(&root, &root.join("deploy"));
        let pages = ["docs/operations.md", "docs/github.md"];
        for file in ["Cargo.toml", "rust-toolchain.toml"].into_iter().chain(pages) {
            tree.read(&root, &root.join(file));
        }
        tree
    }

    fn gather(&mut self, root: &Path, folder: &Path) {
        for entry in folder.read_dir().expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.gather(root, &path);
            } else {
                self.read(root, &path);
            }
        }
    }

    fn read(&mut self, root: &Path, path: &Path) {
        let text = std::fs::read_to_string(path).expect("a text file");
        let name = path.strip_prefix(root).expect("a file of the repository");
        self.0.insert(name.to_str().expect("a UTF-8 name").to_owned(), text);
    }

    /// The text of a file that must be there.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.find(path).unwrap_or_else(|| panic!("there is no {path}"))
    }

    pub(crate) fn find(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// The files below `folder` whose names end in `end`.
    pub(crate) fn below<'t>(
        &'t self,
        folder: &'t str,
        end: &'t str,
    ) -> impl Iterator<Item = (&'t str, &'t str)> {
        let files = self.0.iter().filter(move |(path, _)| path.starts_with(folder));
        files.filter(move |(path, _)| path.ends_with(end)).map(|(path, text)| (&**path, &**text))
    }

    /// Checks that the tree is sound, and that each fault in a copy of it is complained about.
    #[track_caller]
    pub(crate) fn hold(check: impl Fn(&Self) -> Vec<String>, faults: &[Fault]) {
        let tree = Self::load();
        let complaints = check(&tree);
        assert!(complaints.is_empty(), "{complaints:#?}");
        for &(path, from, to, expected) in faults {
            let mut faulty = tree.clone();
            let text = faulty.0.get_mut(path).unwrap_or_else(|| panic!("there is no {path}"));
            assert!(text.contains(from), "{path} does not say `{from}`");
            *text = text.replacen(from, to, 1);
            let complaints = check(&faulty);
            let told = complaints.iter().any(|complaint| complaint.contains(expected));
            assert!(told, "`{to}` in {path}: no `{expected}` in {complaints:#?}");
        }
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
