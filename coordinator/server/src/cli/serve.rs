//! `serve`: the service, and what to type next.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::client;
use super::error::Error;
use super::output::Output;
use crate::config::{ServeArgs, spans_line};
use crate::serve::{self, Serving};
use crate::telemetry;

/// Serves until SIGTERM or SIGINT.
pub(super) async fn serve(args: &ServeArgs) -> Result<ExitCode, Error> {
    let data = args.data().map_err(serve::ServeError::from)?;
    let logs = data.join("logs");
    let _logging =
        telemetry::start(&logs).map_err(|source| Error::File { path: logs.clone(), source })?;
    let ready = serve::prepare(args).await?;
    if let Some(reason) = &args.raise_epoch {
        ready.raise_epoch(client::operator_name(), reason.clone()).await?;
    }
    for line in greeting(&ready.serving) {
        Output::stdout(&line);
    }
    if let Some(path) = &args.ready_file {
        let address = ready.serving.address.to_string();
        std::fs::write(path, address)
            .map_err(|source| Error::File { path: path.clone(), source })?;
    }
    let stop = CancellationToken::new();
    let signals = stopping(stop.clone()).map_err(|source| Error::Runtime { source })?;
    let (served, ()) = tokio::join!(ready.run(stop.clone()), signals);
    served?;
    Ok(ExitCode::SUCCESS)
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
    let repo = &serving.repo;
    let base = repo.base.get(..10).unwrap_or(&repo.base);
    let mut lines = vec![
        format!("serving  {} at {}", repo.name, serving.address),
        format!("base     {} at {base}", repo.branch),
        format!(
            "state    {} (term {}, revision {}, {} records)",
            serving.data.display(),
            serving.term,
            serving.revision,
            serving.records
        ),
        format!("spans    {}", spans_line(&serving.spans)),
    ];
    if let Some(bytes) = serving.dropped {
        lines.push(format!("dropped  {bytes} bytes of an unfinished commit"));
    }
    if let Some(reason) = &repo.unreadable {
        lines.push(format!("closed   the base's policy: {reason}"));
    }
    let first = repo.policy.scopes.names().next();
    let scope = first.map_or("SCOPE", |name| name.as_str());
    lines.push(format!("next     in a clone of the repository: molt-agent claim {scope}"));
    if serving.address.port() != 7420 {
        lines.push(format!("         with MOLT_COORD_ENDPOINTS={}", serving.address));
    }
    lines
}
