//! The git program, for making the repository that everything is shown on.

use std::path::Path;
use std::process::Command;

use super::error::DemoError;
use super::programs;

/// Who commits here, whatever the caller's own settings are.
pub(super) const SETTINGS: [(&str, &str); 6] = [
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_AUTHOR_NAME", "demo"),
    ("GIT_AUTHOR_EMAIL", "demo@molt.invalid"),
    ("GIT_COMMITTER_NAME", "demo"),
    ("GIT_COMMITTER_EMAIL", "demo@molt.invalid"),
];

/// Runs git in a folder; what it printed.
pub(super) fn git(folder: &Path, arguments: &[&str]) -> Result<String, DemoError> {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command.envs(SETTINGS).arg("-C").arg(folder).args(arguments);
    programs::output(command, &format!("git {}", arguments.join(" ")))
}
