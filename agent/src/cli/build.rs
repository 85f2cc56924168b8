//! `build`: done once for equal trees.

use std::path::PathBuf;

use clap::Args;
use molt_domain::name::BuildName;

use super::context::Context;
use super::wrapped::{Waiting, Wrapped, wrapper};
use crate::wrap::{self, Failure, Fingerprint};

/// Build once: whoever asks for the same build of the same tree at the same
/// place waits for the one run and inherits its end. When the tree changes while
/// it is built, the result is nobody else's, and the next who waits builds.
///
/// Exit codes: the command's own; 0 for what was built before; 1 when it failed
/// elsewhere a moment ago; 120 not acquired, 121 lost, 122 unavailable, 125
/// wrapper error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent build runtime -- cargo build -p molt-runtime
  molt-agent build wheel --profile release --place shared --artifact dist -- make wheel")]
pub(super) struct Build {
    /// What is built.
    name: BuildName,
    /// What it is built from: `auto` for the worktree as it is on disk, which is
    /// looked at again at the end, or a digest of your own in hex: that nothing
    /// of it changes is your word then.
    #[arg(long, value_name = "auto|HEX", default_value = "auto")]
    fingerprint: Fingerprint,
    /// How it is built.
    #[arg(long, value_name = "NAME", default_value = "dev")]
    profile: BuildName,
    /// Share with other worktrees of this host: the artifacts are copied through
    /// a store of this name. Without it, only this worktree's builds count.
    #[arg(long, value_name = "NAME")]
    place: Option<BuildName>,
    /// A file or folder that the build makes; without it, what was built before
    /// is believed unseen.
    #[arg(long = "artifact", value_name = "PATH")]
    artifacts: Vec<PathBuf>,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    wrapped: Wrapped,
}

impl Build {
    pub(super) async fn wrap(self, context: &Context) -> Result<u8, Failure> {
        let command = self.wrapped.command()?;
        let client = context.client()?;
        let build = wrap::Build {
            name: self.name,
            fingerprint: self.fingerprint,
            profile: self.profile,
            place: self.place,
            artifacts: self.artifacts,
            command: &command,
            patience: self.waiting.patience(),
        };
        build.run(&wrapper(context, &client).await?).await
    }
}
