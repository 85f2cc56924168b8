//! The configuration, as `serve --check-config` sees it.

use std::path::Path;

use molt_proto::exit::Exit;

use super::Finding;
use crate::config::{Config, Examined, spans_line};
use crate::policy::Severity;
use crate::transfer::serve_args;

/// Looks at the configuration in `file`; answers what can be served.
pub(super) fn examine(
    file: &Path,
    data: Option<&Path>,
    findings: &mut Vec<Finding>,
) -> Option<Config> {
    let args = match serve_args(file) {
        Ok(args) => args,
        Err(error) => {
            findings.push(Finding::error("config", &error));
            return None;
        }
    };
    let mut args = args;
    args.data = data.map(Path::to_owned).or(args.data);
    let Examined { config, findings: found } = match args.examine() {
        Ok(examined) => examined,
        Err(error) => {
            findings.push(Finding::error("config", &error.into()));
            return None;
        }
    };
    for finding in found {
        findings.push(match finding.severity() {
            Severity::Error => Finding::fail("config", Exit::Usage, finding.to_string()),
            Severity::Note => Finding::warn("config", finding.to_string()),
        });
    }
    let config = config?;
    let repos = config.repos.len();
    let detail = format!("{}: `{}`, {repos} repositories", file.display(), config.name);
    findings.push(Finding::ok("config", detail));
    if let Some(webhooks) = &config.webhooks {
        let secrets = webhooks.secret_files.len();
        let detail = format!("taken in on {}, by {secrets} secrets", webhooks.listen);
        findings.push(Finding::ok("webhooks", detail));
    }
    findings.push(Finding::ok("spans", spans_line(&config.spans)));
    Some(config)
}
