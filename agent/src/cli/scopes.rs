//! `scopes`: the map of the repository and who holds what.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use molt_domain::scope::{Owner, ScopeName, nearest};
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;
use molt_proto::v1::{self, Empty};
use serde_json::json;

use super::context::{Context, unexpected};
use crate::client::Client;
use crate::error::Error;
use crate::guard::{Snapshot, Verdict, judge};
use crate::ui::{Answer, ago, list, plural};

/// The map of the repository, and who holds what.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent scopes
  molt-agent scopes show runtime
  molt-agent scopes of runtime/src/vm.rs
  molt-agent scopes free")]
pub(super) struct Scopes {
    #[command(subcommand)]
    what: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// All scopes; the default.
    #[command(after_help = "Examples:\n  molt-agent scopes list")]
    List,
    /// One scope: its paths, tests and holder.
    #[command(after_help = "Examples:\n  molt-agent scopes show runtime")]
    Show {
        /// Its name.
        scope: ScopeName,
    },
    /// Whose paths are.
    #[command(after_help = "Examples:\n  molt-agent scopes of runtime/src/vm.rs Cargo.toml")]
    Of {
        /// Paths, as seen from here.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Scopes that can be claimed now.
    #[command(after_help = "Examples:\n  molt-agent scopes free")]
    Free,
}

impl Scopes {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = context.client()?;
        if let Some(Part::Of { paths }) = &self.what {
            return of_paths(context, &client, paths).await;
        }
        let view = context.read(&client, What::Scopes(Empty {})).await?;
        let Some(View::Scopes(v1::Scopes { scopes })) = view.view else {
            return Err(unexpected("scopes"));
        };
        let answer = match self.what {
            Some(Part::Show { scope }) => show(&scopes, &scope)?,
            Some(Part::Free) => free(&scopes),
            _ => all(&scopes),
        };
        Ok(answer.rev(view.rev))
    }
}

fn all(scopes: &[v1::ScopeView]) -> Answer {
    let answer = Answer::new("scopes", "scopes", json!({ "scopes": scopes }));
    scopes.iter().fold(answer, |answer, scope| {
        let label = if scope.claim.is_some() { "held" } else { "free" };
        answer.line(label, [scope.name.clone(), holder(scope), waiting(scope)])
    })
}

fn free(scopes: &[v1::ScopeView]) -> Answer {
    let free: Vec<&v1::ScopeView> = scopes.iter().filter(|scope| scope.claim.is_none()).collect();
    let names: Vec<&str> = free.iter().map(|scope| scope.name.as_str()).collect();
    let answer = Answer::new("scopes", "free", json!({ "scopes": free }));
    match names.first() {
        None => answer.line("free", ["none"]),
        Some(first) => {
            answer.line("free", [list(&names)]).next(format!("molt-agent claim {first}"))
        }
    }
}

fn show(scopes: &[v1::ScopeView], name: &ScopeName) -> Result<Answer, Error> {
    let Some(scope) = scopes.iter().find(|scope| scope.name == name.as_str()) else {
        let names = scopes.iter().map(|scope| scope.name.as_str());
        let nearest = nearest(name.as_str(), names).map(str::to_owned);
        return Err(Error::NotFound { kind: "scope", name: name.to_string(), nearest });
    };
    let carve = if scope.carve { "its paths are its alone" } else { "" };
    let answer = Answer::new("scopes", "scope", scope)
        .line("scope", [scope.name.clone(), format!("risk {}", scope.risk), carve.to_owned()])
        .line_if("paths", list(&scope.paths))
        .line_if("tests", scope.tests.join("; "));
    Ok(match &scope.claim {
        Some(claim) => answer
            .line("held", [holder(scope), claim.id.clone(), claim.why.clone()])
            .line_if("line", waiting(scope))
            .next(format!("molt-agent claim {} --wait 15m", scope.name)),
        None => answer.line("free", [""]).next(format!("molt-agent claim {}", scope.name)),
    })
}

fn holder(scope: &v1::ScopeView) -> String {
    scope.claim.as_ref().map_or_else(String::new, |claim| {
        format!("by {} (seen {})", claim.holder, ago(claim.seen_ms))
    })
}

fn waiting(scope: &v1::ScopeView) -> String {
    match scope.waiting {
        0 => String::new(),
        waiting => format!("{waiting} waiting"),
    }
}

async fn of_paths(context: &Context, client: &Client, paths: &[PathBuf]) -> Result<Answer, Error> {
    let worktree = context.worktree()?;
    let view = context.read(client, What::Snapshot(Empty {})).await?;
    let Some(View::Snapshot(message)) = view.view else {
        return Err(unexpected("a snapshot"));
    };
    let session = context.session()?;
    let repo = context.repo(session.as_ref())?;
    let snapshot = Snapshot::received(repo, view.rev, &message)?;
    let me = session.map(|record| record.id);
    let mut rows = Vec::new();
    for path in paths {
        let found = worktree.paths_of(path, context.cwd())?;
        if found.is_empty() {
            let top = worktree.top.display();
            return Err(Error::usage(format!("{} is not a file below {top}", path.display())));
        }
        for path in found {
            rows.push((scopes_of(&snapshot, &path), judge(&snapshot, me, &path), path));
        }
    }
    Ok(owners(&rows).rev(view.rev))
}

fn scopes_of(snapshot: &Snapshot, path: &str) -> Vec<String> {
    match snapshot.scopes.of_path(path) {
        Owner::Scopes(scopes) => scopes.iter().map(|scope| scope.name.to_string()).collect(),
        Owner::Open | Owner::Nobody => Vec::new(),
    }
}

fn owners(rows: &[(Vec<String>, Verdict, String)]) -> Answer {
    let data: Vec<_> = rows
        .iter()
        .map(|(scopes, verdict, path)| json!({ "path": path, "scopes": scopes, "is": verdict }))
        .collect();
    let answer = Answer::new("scopes", "owners", json!({ "paths": data }));
    let answer = rows.iter().fold(answer, |answer, (scopes, verdict, path)| {
        answer.line("path", [path.clone(), list(scopes), verdict.to_string()])
    });
    if rows.len() > 1 { answer.line("total", [plural(rows.len(), "path")]) } else { answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes() -> Vec<v1::ScopeView> {
        let claim = v1::ClaimView {
            id: "clm_0001".to_owned(),
            holder: "codex-3".to_owned(),
            seen_ms: 3_000,
            why: "write barrier".to_owned(),
            ..v1::ClaimView::default()
        };
        let scope = |name: &str, claim| v1::ScopeView {
            name: name.to_owned(),
            risk: "med".to_owned(),
            claim,
            ..v1::ScopeView::default()
        };
        vec![scope("docs", None), v1::ScopeView { waiting: 2, ..scope("runtime", Some(claim)) }]
    }

    #[test]
    fn the_map_says_who_holds_what() {
        assert_eq!(
            all(&scopes()).text(),
            "free     docs\nheld     runtime  by codex-3 (seen 3s ago)  2 waiting\n"
        );
        assert_eq!(free(&scopes()).text(), "free     docs\nnext     molt-agent claim docs\n");
    }

    #[test]
    fn a_misspelt_scope_gets_the_nearest() {
        let error = show(&scopes(), &"rutime".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "no scope `rutime`: did you mean `runtime`?");
        assert_eq!(error.exit().code(), 3);
    }

    #[test]
    fn a_held_scope_offers_to_wait() {
        let text = show(&scopes(), &"runtime".parse().unwrap()).unwrap().text();
        assert!(text.ends_with("next     molt-agent claim runtime --wait 15m\n"), "{text}");
    }
}
