//! Which repository, by its name at GitHub.

use super::operation::{Operation, Route};

/// A name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no repository at github: expected OWNER/NAME")]
pub struct InvalidSlug {
    /// What was given.
    pub text: String,
}

/// A repository's name: `owner/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slug {
    owner: String,
    name: String,
}

impl std::str::FromStr for Slug {
    type Err = InvalidSlug;

    fn from_str(text: &str) -> Result<Self, InvalidSlug> {
        let invalid = || InvalidSlug { text: text.to_owned() };
        let (owner, name) = text.split_once('/').ok_or_else(invalid)?;
        let is_word = |word: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !word.is_empty() && !matches!(word, "." | "..") && word.chars().all(plain)
        };
        match is_word(owner) && is_word(name) {
            true => Ok(Self { owner: owner.to_owned(), name: name.to_owned() }),
            false => Err(invalid()),
        }
    }
}

impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl Slug {
    /// Whose it is. An App is installed for an owner.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What its owner calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of the same repository by another name, if `remote` has this one at its end.
    pub(super) fn renamed(&self, remote: &str, now: &Self) -> Option<String> {
        let bare = remote.trim_end_matches('/');
        let bare = bare.strip_suffix(".git").unwrap_or(bare);
        let ours = format!("/{self}");
        let at = bare.len().checked_sub(ours.len())?;
        let (host, name) = bare.split_at_checked(at)?;
        name.eq_ignore_ascii_case(&ours).then(|| format!("{host}/{now}.git"))
    }

    /// Where git finds it, beside the API at the sound address `api`: an enterprise's server has
    /// both on one host, GitHub's own has the API on a host of that name.
    #[must_use]
    pub fn remote(&self, api: &str) -> String {
        let (scheme, rest) = api.split_once("://").unwrap_or(("https", api));
        let host = rest.split('/').next().unwrap_or(rest);
        let beside = host
            .strip_prefix("api.")
            .filter(|name| *name == "github.com" || name.ends_with(".ghe.com"));
        format!("{scheme}://{}/{self}.git", beside.unwrap_or(host))
    }

    /// Whether both name one repository, for which GitHub does not look at case.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }

    /// A request about this repository.
    #[must_use]
    pub fn route(&self, operation: Operation) -> Route {
        operation.route().about(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_words() {
        assert_eq!(
            "acme/widget.git".parse::<Slug>().map(|it| it.to_string()).as_deref(),
            Ok("acme/widget.git")
        );
        for bad in
            ["acme", "/widget", "acme/", "a/b/c", "acme/..", "acme/w w", "https://github.com/a"]
        {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
    }

    #[test]
    fn git_is_beside_the_api() {
        let slug: Slug = "acme/widget".parse().unwrap();
        for (api, remote) in [
            ("https://api.github.com", "https://github.com/acme/widget.git"),
            ("https://git.example/api/v3", "https://git.example/acme/widget.git"),
            ("https://api.acme.ghe.com", "https://acme.ghe.com/acme/widget.git"),
            ("https://api.example/api/v3", "https://api.example/acme/widget.git"),
            ("http://127.0.0.1:81", "http://127.0.0.1:81/acme/widget.git"),
        ] {
            assert_eq!(slug.remote(api), remote);
        }
    }

    #[test]
    fn an_address_follows_the_name_and_keeps_its_host() {
        let (old, new): (Slug, Slug) =
            ("acme/widget".parse().unwrap(), "b/gadget".parse().unwrap());
        let now = |remote| old.renamed(remote, &new);
        for remote in
            ["https://h/acme/widget.git", "https://h/Acme/widget", "https://h/acme/widget/"]
        {
            assert_eq!(now(remote).as_deref(), Some("https://h/b/gadget.git"), "{remote}");
        }
        for other in ["https://h/mirrors/w.git", "https://h/xacme/widget.git", "", "h\u{e4}"] {
            assert_eq!(now(other), None, "{other}");
        }
    }

    #[test]
    fn case_makes_no_other_repository() {
        let slug: Slug = "acme/widget".parse().unwrap();
        assert!(slug.is_same(&"Acme/Widget".parse().unwrap()));
        assert!(!slug.is_same(&"acme/widgets".parse().unwrap()));
    }
}
