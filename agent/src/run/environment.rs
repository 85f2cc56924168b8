//! Which variables a run gets: an allow-list, less what looks like a secret.
//!
//! Not here: which variables a particular gate or job adds.

use std::collections::BTreeMap;

/// What every run may see. A trailing `*` stands for any ending.
pub const DEFAULT_ALLOW: &[&str] =
    &["PATH", "HOME", "LANG", "TZ", "MOLT_*", "CARGO_*", "RUST*", "UV_*", "PYTHON*", "SCCACHE_*"];

/// A variable whose name contains one of these is a secret, whatever allows it.
const SECRET_WORDS: &[&str] = &["TOKEN", "SECRET", "PASSWORD", "PASSWD", "KEY", "CREDENTIAL"];

/// This process's environment, less what `allow` does not name and less what
/// looks like a secret: by its name, or as a URL with a password in it.
///
/// Variables that are not UTF-8 are left out: a specification could not say them.
pub fn scrubbed_environment(allow: &[&str]) -> BTreeMap<String, String> {
    let readable = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    scrub(readable, allow)
}

fn scrub(
    variables: impl Iterator<Item = (String, String)>,
    allow: &[&str],
) -> BTreeMap<String, String> {
    variables
        .filter(|(name, _)| allow.iter().any(|pattern| matches(pattern, name)))
        .filter(|(name, value)| !names_secret(name) && !holds_password(value))
        .collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Whether `value` has a URL of the form `scheme://user:password@host`.
fn holds_password(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        scrub(variables, DEFAULT_ALLOW).into_keys().collect()
    }

    #[test]
    fn only_what_the_list_names_passes() {
        let seen = kept(&[
            ("PATH", "/bin"),
            ("PATHS", "/bin"),
            ("CARGO_HOME", "/c"),
            ("CARGO", "/c"),
            ("RUSTFLAGS", "-g"),
            ("LD_PRELOAD", "x.so"),
            ("SSH_AUTH_SOCK", "/s"),
        ]);
        assert_eq!(seen, ["CARGO_HOME", "PATH", "RUSTFLAGS"]);
    }

    #[test]
    fn a_secret_stays_behind_even_where_the_list_names_it() {
        let seen = kept(&[
            ("CARGO_REGISTRY_TOKEN", "t"),
            ("MOLT_api_Key", "k"),
            ("UV_PUBLISH_PASSWORD", "p"),
            ("SCCACHE_S3_CREDENTIALS", "c"),
            ("UV_INDEX_URL", "https://u:p@host/simple"),
            ("UV_EXTRA_INDEX_URL", "https://a.example/x https://:p@host"),
            ("UV_DEFAULT_INDEX", "https://user@host:8443/simple"),
        ]);
        assert_eq!(seen, ["UV_DEFAULT_INDEX"]);
    }
}
