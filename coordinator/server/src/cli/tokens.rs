//! `tokens`: who may come in by a token, and who may not any more.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use molt_domain::access::{Role, TokenHash};
use molt_domain::name::{ActorName, RepoName};
use molt_proto::credentials::TOKEN_PREFIX;
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;
use molt_proto::v1::reply::Answer;
use molt_proto::v1::view::View;

use super::error::Error;
use super::output::Output;
use super::{CallArgs, client};

/// Where random bytes come from.
const RANDOM: &str = "/dev/urandom";

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokensVerb {
    /// Let somebody in by a new token, which is shown once
    Issue(IssueArgs),
    /// List who may come in by a token
    List(ListArgs),
    /// Take a token back
    Revoke(RevokeArgs),
}

/// For whom, and what it is good for.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  molt-coordinator tokens issue --role agent --name ann --repo main --expires 30d"
)]
pub(super) struct IssueArgs {
    /// agent, host, prover, operator, viewer or bot
    #[arg(long, value_name = "ROLE")]
    role: Role,

    /// Who the bearer is: the audit names it, and a host's is the host's own name
    #[arg(long, value_name = "NAME")]
    name: ActorName,

    /// Limit it to a repository; may be given again
    #[arg(long = "repo", value_name = "NAME")]
    repos: Vec<RepoName>,

    /// How long it is good; else until it is revoked
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,

    #[command(flatten)]
    call: CallArgs,
}

/// Where to look.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator tokens list")]
pub(super) struct ListArgs {
    #[command(flatten)]
    call: CallArgs,
}

/// Which, and why.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator tokens revoke tok_0042 --reason 'it leaked'")]
pub(super) struct RevokeArgs {
    /// A token's id (tok_…), never the token itself
    id: String,

    /// Why; the audit and the token's bearer are told
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Say what would be taken back, and take nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    call: CallArgs,
}

/// Issues, lists or revokes tokens.
pub(super) async fn tokens(verb: &TokensVerb) -> Result<ExitCode, Error> {
    match verb {
        TokensVerb::Issue(args) => issue(args).await,
        TokensVerb::List(args) => list(args).await,
        TokensVerb::Revoke(args) => revoke(args).await,
    }
}

/// A new token. It is made here, and its digest alone is sent: nobody else ever has it.
fn fresh() -> Result<String, Error> {
    let failed = |source| Error::File { path: RANDOM.into(), source };
    let mut bytes = [0; 32];
    File::open(Path::new(RANDOM))
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(failed)?;
    Ok(format!("{TOKEN_PREFIX}{}", blake3::Hash::from_bytes(bytes).to_hex()))
}

async fn issue(args: &IssueArgs) -> Result<ExitCode, Error> {
    let token = fresh()?;
    let life = args.expires.map_or(0, molt_domain::id::millis);
    if args.expires.is_some() && life == 0 {
        return Err(Error::Usage("--expires: a token lives longer than 0 s".to_owned()));
    }
    let verb = Verb::IssueToken(v1::IssueToken {
        hash: TokenHash::of(&token).to_string(),
        name: args.name.to_string(),
        role: args.role.to_string(),
        repos: args.repos.iter().map(ToString::to_string).collect(),
        life_ms: life,
    });
    let mut stub = client::connect(&args.call).await?;
    let command = v1::Command { caller: Some(client::operator()), number: 0, verb: Some(verb) };
    let reply = stub.act(command).await.map_err(Failure::from)?.into_inner();
    let Some(Answer::Issued(issued)) = reply.answer else { return Err(another_question()) };
    if args.call.json {
        let data = serde_json::json!({"id": issued.id, "token": token, "role": issued.role,
            "name": issued.name, "repos": issued.repos, "expires_ms": issued.expires_ms});
        Output::json("molt.tokens/1", "issued", reply.rev, &data);
        return Ok(ExitCode::SUCCESS);
    }
    Output::stdout(&format!(
        "issued   {}  {} {}, {}, {}",
        issued.id,
        issued.role,
        issued.name,
        places(&issued.repos),
        args.expires.map_or_else(
            || "until it is revoked".to_owned(),
            |span| format!("for {}", humantime::format_duration(span))
        ),
    ));
    Output::stdout(&format!("token    {token}"));
    Output::stdout(
        "next     keep it in a file of mode 600 and name that in MOLT_COORD_TOKEN_FILE: \
         it is not shown again",
    );
    Ok(ExitCode::SUCCESS)
}

async fn list(args: &ListArgs) -> Result<ExitCode, Error> {
    let mut stub = client::connect(&args.call).await?;
    let (caller, what) = (Some(client::operator()), Some(What::Tokens(v1::Empty {})));
    let query = v1::Query { caller, what, ..v1::Query::default() };
    let view = stub.read(query).await.map_err(Failure::from)?.into_inner();
    let Some(View::Tokens(tokens)) = view.view else { return Err(another_question()) };
    if args.call.json {
        Output::json("molt.tokens/1", "ok", view.rev, &tokens);
        return Ok(ExitCode::SUCCESS);
    }
    Output::lines(&tokens.tokens.iter().map(|token| row(token, view.now_ms)).collect::<Vec<_>>());
    if tokens.tokens.is_empty() {
        Output::stdout("none     nobody comes in by a token");
    }
    Ok(ExitCode::SUCCESS)
}

fn row(token: &v1::TokenView, now: u64) -> String {
    let v1::TokenView { id, name, role, repos, state, expires_ms, reason, .. } = token;
    let end = match (state.as_str(), *expires_ms) {
        ("revoked", _) => format!("revoked {reason}"),
        ("expired", _) => "expired".to_owned(),
        (_, 0) => "until it is revoked".to_owned(),
        (_, end) => {
            let left = Duration::from_secs(end.saturating_sub(now) / 1000);
            format!("for {}", humantime::format_duration(left))
        }
    };
    format!("{id}  {role:<8} {name}  {}  {end}", places(repos))
}

fn places(repos: &[String]) -> String {
    if repos.is_empty() { "every repository".to_owned() } else { repos.join(" ") }
}

async fn revoke(args: &RevokeArgs) -> Result<ExitCode, Error> {
    let mut stub = client::connect(&args.call).await?;
    let caller = Some(client::operator());
    if args.dry_run {
        let what = Some(What::Why(args.id.clone()));
        let query = v1::Query { caller, what, ..v1::Query::default() };
        let view = stub.read(query).await.map_err(Failure::from)?.into_inner();
        let facts = match view.view {
            Some(View::Why(why)) => why.facts,
            _ => Vec::new(),
        };
        if args.call.json {
            let data = serde_json::json!({"id": args.id, "facts": facts});
            Output::json("molt.tokens/1", "would-revoke", view.rev, &data);
            return Ok(ExitCode::SUCCESS);
        }
        let first = format!("would revoke  {}", args.id);
        let facts = facts.iter().map(|fact| format!("              {fact}"));
        Output::lines(&std::iter::once(first).chain(facts).collect::<Vec<_>>());
        return Ok(ExitCode::SUCCESS);
    }
    let verb =
        Verb::RevokeToken(v1::RevokeToken { id: args.id.clone(), reason: args.reason.clone() });
    let command = v1::Command { caller, number: 0, verb: Some(verb) };
    let reply = stub.act(command).await.map_err(Failure::from)?.into_inner();
    if args.call.json {
        Output::json("molt.tokens/1", "revoked", reply.rev, &serde_json::json!({"id": args.id}));
    } else {
        Output::stdout(&format!("revoked  {}  ({})", args.id, args.reason));
    }
    Ok(ExitCode::SUCCESS)
}

fn another_question() -> Error {
    let reason = "the coordinator answered another question".to_owned();
    Failure::Unknown { reason }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_random_and_begins_as_all_do() {
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one, other);
        assert_eq!((one.len(), &one[..5]), (69, TOKEN_PREFIX));
    }

    #[test]
    fn a_row_says_what_it_is_good_for() {
        let token = v1::TokenView {
            id: "tok_0007".to_owned(),
            name: "ann".to_owned(),
            role: "agent".to_owned(),
            repos: vec!["main".to_owned()],
            state: "live".to_owned(),
            expires_ms: 62_000,
            ..v1::TokenView::default()
        };
        assert_eq!(row(&token, 2000), "tok_0007  agent    ann  main  for 1m");
        let reason = "by operator bob: it leaked".to_owned();
        let revoked = v1::TokenView { state: "revoked".to_owned(), reason, ..token };
        assert!(row(&revoked, 2000).ends_with("main  revoked by operator bob: it leaked"));
    }
}
