//! `serve`: the service, and what to type next.

use std::path::Path;
use std::process::ExitCode;

use molt_proto::exit::Exit;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::client;
use super::error::Error;
use super::output::Output;
use crate::config::{ServeArgs, spans_line};
use crate::engine::Start;
use crate::lead::Found;
use crate::serve::{self, Role, Serving};
use crate::telemetry;
use crate::webhooks;

/// Serves until SIGTERM or SIGINT.
pub(super) async fn serve(args: &ServeArgs) -> Result<ExitCode, Error> {
    if args.check_config {
        return check(args);
    }
    let config = args.config().map_err(serve::ServeError::from)?;
    let logs = config.data.join("logs");
    let _logging =
        telemetry::start(&logs).map_err(|source| Error::File { path: logs.clone(), source })?;
    let sign = config.ready_file.as_deref().map(ReadyFile::before_the_start).transpose()?;
    let ready = serve::prepare(&config, &client::operator_name()).await?;
    for line in greeting(&ready.serving) {
        Output::stdout(&line);
    }
    if let Some(sign) = &sign {
        sign.write(&ready.serving.address.to_string())?;
    }
    let stop = CancellationToken::new();
    let signals = stopping(stop.clone()).map_err(|source| Error::Runtime { source })?;
    let (served, ()) = tokio::join!(ready.run(stop.clone()), signals);
    served?;
    Ok(ExitCode::SUCCESS)
}

/// The file that says that calls are answered, and where; it is gone with this value.
struct ReadyFile<'a> {
    path: &'a Path,
}

impl<'a> ReadyFile<'a> {
    /// Removes the file of a service that was killed: it said nothing about this one.
    fn before_the_start(path: &'a Path) -> Result<Self, Error> {
        match std::fs::remove_file(path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::File { path: path.to_owned(), source })
            }
            _ => Ok(Self { path }),
        }
    }

    fn write(&self, address: &str) -> Result<(), Error> {
        std::fs::write(self.path, address)
            .map_err(|source| Error::File { path: self.path.to_owned(), source })
    }
}

impl Drop for ReadyFile<'_> {
    fn drop(&mut self) {
        // The next start removes what is left.
        let _gone = std::fs::remove_file(self.path);
    }
}

/// Prints a line for each finding; exit 2 when the configuration could not be served.
fn check(args: &ServeArgs) -> Result<ExitCode, Error> {
    let examined = args.examine().map_err(serve::ServeError::from)?;
    for finding in &examined.findings {
        Output::stdout(&finding.to_string());
    }
    let sound = examined.config.is_some();
    Ok(if sound { ExitCode::SUCCESS } else { Exit::Usage.into() })
}

/// Turns the first signal into a stop; ends with it.
fn stopping(stop: CancellationToken) -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stop.cancelled() => {}
        }
        stop.cancel();
    })
}

fn greeting(serving: &Serving) -> Vec<String> {
    let mut lines = match &serving.role {
        Role::Leading(found) => leading(serving, found),
        Role::StandingBy { leader } => {
            vec![format!("standby  at {}; the leader is {leader}", serving.address)]
        }
        Role::Hindered { reason } => vec![
            format!("standby  at {}; no leader is known", serving.address),
            format!("hindered {reason}: will ask again"),
        ],
    };
    if let Some(address) = serving.webhooks {
        lines.push(format!("webhooks at http://{address}{}", webhooks::PATH));
    }
    lines.push(format!("spans    {}", spans_line(&serving.spans)));
    lines.push(format!("limits   {}", serving.limits));
    if let Some(bytes) = serving.dropped {
        lines.push(format!("dropped  {bytes} bytes of an unfinished commit"));
    }
    let Role::Leading(found) = &serving.role else { return lines };
    for repo in &found.repos {
        if let Some(reason) = &repo.unreadable {
            lines.push(format!("closed   {}: the base's policy: {reason}", repo.name));
        }
    }
    let first = found.repos.first().and_then(|repo| repo.policy.scopes.names().next());
    let scope = first.map_or("SCOPE", |name| name.as_str());
    lines.push(format!("next     in a clone of the repository: molt-agent claim {scope}"));
    if serving.address.port() != 7420 || !serving.scheme.is_empty() {
        let Serving { scheme, address, .. } = serving;
        lines.push(format!("         with MOLT_COORD_ENDPOINTS={scheme}{address}"));
    }
    lines
}

fn leading(serving: &Serving, found: &Found) -> Vec<String> {
    let mut lines = Vec::new();
    for repo in &found.repos {
        let base = repo.base.get(..10).unwrap_or(&repo.base);
        lines.push(format!("serving  {} at {}", repo.name, serving.address));
        lines.push(format!("base     {} at {base}", repo.branch));
    }
    let Start { term, number, records } = found.start;
    lines.push(format!(
        "state    {} (term {term}, revision {number}, {records} records)",
        serving.data.display(),
    ));
    lines
}
