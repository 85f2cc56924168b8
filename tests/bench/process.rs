//! Programs that run for a while and are gone with the value that stands for them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clock;

/// How long a program may take to start, or to stop when it is asked to.
const PATIENCE: Duration = Duration::from_secs(15);

/// A program that is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// What a program that works until its input ends waits for.
    input: Option<ChildStdin>,
    log: PathBuf,
}

impl Running {
    /// Starts `command`; what it prints goes into the file `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        Self::spawn(command.stdin(Stdio::null()), log)
    }

    /// Starts `command`, which works until its input ends: at [`Self::finish`], or with this
    /// process.
    pub(crate) fn listening(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        Self::spawn(command.stdin(Stdio::piped()), log)
    }

    fn spawn(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let out = File::create(log)?;
        command.stdout(out.try_clone()?).stderr(out);
        let program = command.get_program().to_owned();
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let input = child.stdin.take();
        Ok(Self { child, input, log: log.to_owned() })
    }

    /// What it has printed.
    pub(crate) fn said(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// Ends its input, and returns what it printed until it ended by itself.
    pub(crate) fn finish(mut self) -> anyhow::Result<String> {
        drop(self.input.take());
        let status = self.child.wait()?;
        let said = self.said()?;
        anyhow::ensure!(status.success(), "it ended with {status} and said {said}");
        Ok(said)
    }

    /// Asks `is_ready` until it has something to say.
    pub(crate) async fn ready<T>(
        &mut self,
        mut is_ready: impl AsyncFnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let until = clock::now() + PATIENCE;
        loop {
            if let Some(ready) = is_ready().await {
                return Ok(ready);
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || clock::now() > until {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(5).collect();
                anyhow::bail!("not ready ({ended:?}); it said last: {last:#?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once (SIGKILL), and returns when it is gone.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it in its tracks (SIGSTOP): its connections stay, nothing is answered.
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on after it was frozen.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// Asks it to stop, and makes it stop when it does not.
    fn stop(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_none() {
            self.signal(Signal::SIGTERM)?;
            // One that is frozen hears it only then.
            self.thaw()?;
        }
        let until = clock::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if clock::now() > until {
                self.child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            crate::report::warn(&format!("process {} was not stopped: {error}", self.child.id()));
        }
    }
}

/// An address on loopback that nobody listened on a moment ago, for programs that cannot tell
/// which port they were given.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_owned();
    let name = program.display();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{name}: {}: {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// One of this workspace's programs, built beside this one.
pub(crate) fn own(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(path.exists(), "{} is not built: run `make bench`", path.display());
    Ok(path)
}
