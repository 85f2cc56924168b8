//! `certs dev`: the certificates of a first fleet, made on this machine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use molt_domain::access::Role;
use molt_domain::name::ActorName;

use super::FormArgs;
use super::error::Error;
use super::output::Output;
use crate::auth::authority::{self, Plan};

/// What to make.
#[derive(Debug, Subcommand)]
pub(super) enum CertsVerb {
    /// Make an authority, a server certificate and client certificates, for a first fleet
    Dev(DevArgs),
}

/// Whose, and where to.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  molt-coordinator certs dev --out certs --host coord-1.example --client prover=build2"
)]
pub(super) struct DevArgs {
    /// The folder; none of the files may be there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// A name or address that the coordinators are reached by, beside this machine's; may be
    /// given again
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,

    /// A client and its role, instead of one of each role; may be given again
    ///
    /// The name of a host or prover is that of the machine, as its daemon says it.
    #[arg(long = "client", value_name = "ROLE=NAME")]
    clients: Vec<Client>,

    /// How long they are good
    #[arg(long, value_name = "SPAN", default_value = "365d", value_parser = humantime::parse_duration)]
    valid: Duration,

    /// Say what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    form: FormArgs,
}

/// A client and its role.
#[derive(Debug, Clone)]
struct Client(Role, ActorName);

impl FromStr for Client {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, name) = text.split_once('=').ok_or("expected ROLE=NAME")?;
        let role = role.parse().map_err(|error| format!("{error}"))?;
        let name = name.parse().map_err(|error| format!("{error}"))?;
        Ok(Self(role, name))
    }
}

/// Makes the files, or says which they would be.
pub(super) fn certs(verb: &CertsVerb) -> Result<ExitCode, Error> {
    let CertsVerb::Dev(args) = verb;
    let plan = plan(args)?;
    let names = plan.names()?;
    authority::absent(&args.out, &names)?;
    let wrote = if args.dry_run { "would write" } else { "wrote" };
    if !args.dry_run {
        authority::write(&args.out, &plan.make()?)?;
    }
    let folder = std::path::absolute(&args.out).unwrap_or_else(|_| args.out.clone());
    if args.form.json {
        let client = |(role, name): &(Role, ActorName)| serde_json::json!({"role": role.to_string(), "name": name.to_string()});
        let clients: Vec<serde_json::Value> = plan.clients.iter().map(client).collect();
        let data = serde_json::json!({
            "folder": folder, "files": names, "hosts": plan.hosts, "clients": clients,
        });
        let code = if args.dry_run { "would-write" } else { "wrote" };
        Output::json("molt.certs/1", code, 0, &data);
        return Ok(ExitCode::SUCCESS);
    }
    let at = |name: &str| folder.join(name).display().to_string();
    Output::stdout(&format!("{wrote}  {} files into {}", names.len(), folder.display()));
    Output::stdout(&format!("names    {}", plan.hosts.join(" ")));
    let clients: Vec<String> =
        plan.clients.iter().map(|(role, name)| format!("{role} {name}")).collect();
    Output::stdout(&format!("clients  {}", clients.join(", ")));
    Output::stdout("next     in the coordinator's configuration:");
    Output::stdout("         [tls]");
    for (key, name) in [("cert", "server.pem"), ("key", "server.key"), ("client_ca", "ca.pem")] {
        Output::stdout(&format!("         {key} = {}", quoted(&at(name))));
    }
    Output::stdout(&format!(
        "         and for a client: MOLT_COORD_CA={} MOLT_COORD_CERT=… MOLT_COORD_KEY=…",
        at("ca.pem")
    ));
    Output::stdout("note     for a first fleet: keep ca.key off the coordinators, or destroy it");
    Ok(ExitCode::SUCCESS)
}

fn plan(args: &DevArgs) -> Result<Plan, Error> {
    let machine = machine()?;
    let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    hosts.extend(std::iter::once(machine.clone()).chain(args.hosts.iter().cloned()));
    let mut seen = std::collections::BTreeSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    let mut clients: Vec<(Role, ActorName)> =
        args.clients.iter().map(|Client(role, name)| (*role, name.clone())).collect();
    if clients.is_empty() {
        for role in Role::ALL {
            // A machine is called as its daemon calls itself, others as their role.
            let name = if role.is_host() { machine.as_str() } else { role.word() };
            let name = name.parse().map_err(|error| Error::Usage(format!("{error}")))?;
            clients.push((role, name));
        }
    }
    Ok(Plan { hosts, clients, life: args.valid })
}

fn machine() -> Result<String, Error> {
    let name = nix::unistd::gethostname()
        .map_err(|error| Error::Usage(format!("this machine has no name: {error}")))?;
    Ok(name.to_string_lossy().into_owned())
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
