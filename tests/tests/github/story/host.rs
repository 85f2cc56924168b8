//! A machine that runs the gates of what is to land.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use super::harness::programs;
use super::stand::Stand;

/// The daemon of a host, which runs the gates. It ends with this.
pub(super) struct Host(Child);

impl Host {
    /// Starts it in a folder of its own. It fetches as a person who may read.
    pub(super) fn start(stand: &Stand) -> Self {
        Self::of(stand, &stand.address())
    }

    /// The same of the coordinator that answers there.
    pub(super) fn of(stand: &Stand, address: &str) -> Self {
        let folder = stand.folder.path().join("host");
        fs::create_dir(&folder).expect("a folder");
        let ask = folder.join("ask");
        let token = stand.github.personal_token("mona");
        let script = format!(
            "#!/bin/sh\ncase $1 in Username*) echo x-access-token ;; *) echo {token} ;; esac\n"
        );
        fs::write(&ask, script).expect("a script");
        fs::set_permissions(&ask, Permissions::from_mode(0o700)).expect("its mode");
        let log = fs::File::create(folder.join("log")).expect("a log");
        let mut command = Command::new(programs::agent());
        command.args(["daemon", "--jobs", "2"]).current_dir(&folder).env("GIT_ASKPASS", &ask);
        command.env("MOLT_HOST", "build-1").env("MOLT_STATE", folder.join("state"));
        command.env("MOLT_COORD_ENDPOINTS", address);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(command.spawn().expect("it starts"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }
}
