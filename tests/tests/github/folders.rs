//! Where GitHub's own words lie: the folder here, and those that `MOLT_GITHUB_DATA` names.
//!
//! Each has recordings and webhooks in the form that `data/README.md` describes, or the tests say
//! what it lacks: a folder that is left out in silence would look like one without a fault.

use std::fs;
use std::path::{Path, PathBuf};

/// Names more folders, separated as those of `PATH` are.
const NAMED: &str = "MOLT_GITHUB_DATA";

/// The folder of this repository.
pub(crate) fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/github/data")
}

/// Every folder there is.
pub(crate) fn all() -> Vec<PathBuf> {
    let named = std::env::var_os(NAMED).unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
    let whole = |folder: PathBuf| match lacks(&folder) {
        None => folder,
        Some(what) => panic!("{NAMED}: {} has no {what}", folder.display()),
    };
    std::iter::once(own()).chain(named).map(whole).collect()
}

/// The files of recordings in a folder, in order.
pub(crate) fn recordings(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("recordings")).into_iter().flatten();
    let files = files.map(|file| file.expect("a folder that can be read").path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|it| it == "jsonl")).collect();
    files.sort();
    files
}

/// The index of the webhooks in a folder.
pub(crate) fn webhooks(folder: &Path) -> PathBuf {
    folder.join("webhooks/index.json")
}

/// What a folder has to have and has not.
fn lacks(folder: &Path) -> Option<&'static str> {
    if recordings(folder).is_empty() {
        return Some("recordings/*.jsonl");
    }
    (!webhooks(folder).is_file()).then_some("webhooks/index.json")
}

#[test]
fn a_folder_of_another_form_is_told_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let folder = folder.path();
    assert_eq!(lacks(&folder.join("nowhere")), Some("recordings/*.jsonl"));
    for part in ["recordings", "webhooks"] {
        fs::create_dir(folder.join(part)).expect("a folder");
    }
    assert_eq!(lacks(folder), Some("recordings/*.jsonl"));
    fs::write(folder.join("recordings/one.jsonl"), "").expect("a file");
    assert_eq!(lacks(folder), Some("webhooks/index.json"));
    fs::write(webhooks(folder), "{}").expect("a file");
    assert_eq!(lacks(folder), None);
    assert_eq!(lacks(&own()), None);
}
