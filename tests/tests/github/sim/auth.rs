//! Who asks, and whether GitHub lets them.
//!
//! An App signs a token of its own for ten minutes at most, and gets one of an installation for an
//! hour; what that may do is a map of permissions, which GitHub's own table holds each operation
//! against. A personal token is its owner with whatever rights he has.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;

use super::answer::{self, Answer};
use super::records::Right;
use super::state::State;

const PERMISSIONS: &str = include_str!("../data/permissions.json");

/// How long before now a token may be issued that GitHub takes: clocks drift.
const DRIFT: u64 = 60;
/// How long a token that an App signs may last.
const LONGEST: u64 = 600;

/// Permissions by name: `contents` is `write`.
pub(crate) type Permissions = BTreeMap<String, String>;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    Nobody,
    /// The App itself.
    App(u64),
    /// An installation of the App, with what its token may do.
    Installation {
        app: u64,
        permissions: Permissions,
    },
    /// A person by personal token.
    Person(String),
}

impl Actor {
    /// Whoever the value of `Authorization` is.
    pub(super) fn of(state: &State, header: Option<&str>) -> Result<Self, Answer> {
        let Some(header) = header else { return Ok(Self::Nobody) };
        let (scheme, value) = header.split_once(' ').unwrap_or_default();
        let token = match scheme.to_ascii_lowercase().as_str() {
            "bearer" | "token" => value.to_owned(),
            "basic" => password(value).ok_or(answer::BAD_CREDENTIALS)?,
            _ => return Err(answer::BAD_CREDENTIALS.into()),
        };
        if token.split('.').count() == 3 {
            return signed(state, &token).map(Self::App);
        }
        if let Some(login) = state.personal.get(&token) {
            return Ok(Self::Person(login.clone()));
        }
        let granted = state.tokens.get(&token).ok_or(answer::BAD_CREDENTIALS)?;
        if granted.expires <= state.now() {
            return Err(answer::BAD_CREDENTIALS.into());
        }
        if state.suspended {
            return Err(answer::SUSPENDED.into());
        }
        Ok(Self::Installation { app: state.app.id, permissions: granted.permissions.clone() })
    }

    /// Whether GitHub's table lets this actor ask for the operation.
    pub(super) fn may(
        &self,
        state: &State,
        operation: &str,
        repository: Option<u64>,
    ) -> Result<(), Answer> {
        let needed = needed(operation);
        match self {
            Self::App(_) if needed == "jwt" => Ok(()),
            _ if needed == "jwt" => Err(answer::NO_JWT.into()),
            Self::App(_) => Err(answer::BAD_CREDENTIALS.into()),
            Self::Nobody => Err(answer::NO_CREDENTIALS.into()),
            Self::Installation { .. } if needed == "user-token-only" => {
                Err(answer::NO_RIGHT.into())
            }
            Self::Installation { permissions, .. } if granted(permissions, needed) => Ok(()),
            Self::Installation { .. } => Err(answer::NO_RIGHT.into()),
            Self::Person(login) => person_may(state, login, needed, repository),
        }
    }
}

/// What GitHub's table asks for an operation.
fn needed(operation: &str) -> &'static str {
    static TABLE: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let table: Value = serde_json::from_str(PERMISSIONS).expect("the table is JSON");
        let rows = table["operations"].as_array().expect("the table has rows").iter();
        let row =
            |row: &Value| Some((row["op"].as_str()?.into(), row["permission"].as_str()?.into()));
        rows.filter_map(row).collect()
    });
    // GraphQL asks for what its mutation does.
    if operation == "POST /graphql" {
        return "contents:write";
    }
    table.get(operation).map_or_else(|| panic!("{operation} is not in the table"), String::as_str)
}

/// `issues:write | pull_requests:write (+ remarks)` against what was granted.
fn granted(permissions: &Permissions, needed: &str) -> bool {
    let needed = needed.split(" (").next().unwrap_or_default();
    needed == "none"
        || needed.split(" | ").any(|one| {
            let (name, level) = one.split_once(':').unwrap_or((one, "read"));
            // Every App can read what a repository is.
            let has = permissions.get(name).map_or("", String::as_str);
            has == "write" || (level == "read" && (has == "read" || name == "metadata"))
        })
}

fn person_may(
    state: &State,
    login: &str,
    needed: &str,
    repository: Option<u64>,
) -> Result<(), Answer> {
    if needed.starts_with("checks:write") {
        return Err(answer::APPS_ONLY.into());
    }
    let Some(repository) = repository else { return Ok(()) };
    let right = state.repository(repository).right(login);
    let writes = needed.contains("contents:write") || needed.contains("statuses:write");
    if writes && right < Right::Write { Err(answer::NO_RIGHT_OF_TOKEN.into()) } else { Ok(()) }
}

/// The password of a Basic value whose user is what GitHub asks for.
fn password(value: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    (user == "x-access-token" && !password.is_empty()).then(|| password.to_owned())
}

/// The App that signed this token, if it holds now.
fn signed(state: &State, token: &str) -> Result<u64, Answer> {
    let undecodable = || Answer::from(answer::NO_JWT);
    let (message, signature) = token.rsplit_once('.').ok_or_else(undecodable)?;
    let (head, claims) = message.split_once('.').ok_or_else(undecodable)?;
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| undecodable());
    let json =
        |part: &str| serde_json::from_slice::<Value>(&bytes(part)?).map_err(|_| undecodable());
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(state.app.key.public());
    let genuine =
        public.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &bytes(signature)?);
    let claims = json(claims)?;
    let issuer = match &claims["iss"] {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    if json(head)?["alg"] != "RS256" || genuine.is_err() || issuer != Some(state.app.id) {
        return Err(undecodable());
    }
    let now = state.now();
    let expires =
        claims["exp"].as_u64().filter(|expires| *expires > now).ok_or(answer::JWT_OVER)?;
    let issued = claims["iat"].as_u64().filter(|issued| *issued <= now).ok_or(answer::JWT_EARLY)?;
    if expires > now + LONGEST || expires - issued.min(expires) > LONGEST + DRIFT {
        return Err(answer::JWT_TOO_LONG.into());
    }
    Ok(state.app.id)
}
