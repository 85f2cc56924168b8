//! What repositories are called now (B28).
//!
//! A repository is known by its id. One that was renamed or transferred is found at its new name
//! from then on, and another one that took its old name is never taken for it. Not here: asking
//! GitHub, which [`Client`](super::Client) does when it is sent to another address.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::warn;

use super::error::Cause;
use super::place::Slug;
use super::shape::Repository;

/// What is known of one repository.
#[derive(Debug, Default)]
struct Known {
    /// Which one it is, once that was read or told.
    id: Option<u64>,
    /// Its name, once it was read.
    now: Option<Slug>,
}

/// Repositories by the names that they were configured with.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: Mutex<HashMap<Slug, Known>>,
}

impl Names {
    /// From now on `place` is the repository with this id, wherever that is.
    pub(super) fn expect(&self, place: &Slug, id: u64) {
        let mut known = self.known();
        let known = known.entry(place.clone()).or_default();
        if known.id != Some(id) {
            *known = Known { id: Some(id), now: None };
        }
    }

    /// The name now, as far as anybody knows.
    pub(super) fn now(&self, place: &Slug) -> Slug {
        let read = self.known().get(place).and_then(|known| known.now.clone());
        read.unwrap_or_else(|| place.clone())
    }

    /// Takes the name of a repository that was read where `place` is. The first one that is read
    /// there, unless it was told before, is the one to be found there ever after.
    pub(super) fn take(&self, place: &Slug, read: &Repository) -> Result<(), Cause> {
        let now: Slug = read
            .full_name
            .parse()
            .map_err(|error: super::InvalidSlug| Cause::Unreadable { detail: error.to_string() })?;
        let mut known = self.known();
        let known = known.entry(place.clone()).or_default();
        match known.id {
            Some(expected) if expected != read.id => {
                let name = Box::new(now);
                return Err(Cause::Replaced { name, id: read.id, expected });
            }
            _ => known.id = Some(read.id),
        }
        let before = known.now.replace(now.clone());
        if !now.is_same(before.as_ref().unwrap_or(place)) {
            warn!(phase = "github", %place, %now, "the repository was renamed: mend `github` in its [[repo]]");
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Slug, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of the repository that an address within it, as GitHub redirects to, belongs to.
pub(super) fn repository_of(path: &str) -> Option<String> {
    let path = path.split('?').next()?;
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["repositories", id, ..] if id.parse::<u64>().is_ok() => {
            Some(format!("/repositories/{id}"))
        }
        ["repos", owner, name, ..] => {
            let slug: Slug = format!("{owner}/{name}").parse().ok()?;
            Some(format!("/repos/{slug}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: u64, name: &str) -> Repository {
        let (node_id, default_branch) = (String::new(), String::new());
        Repository { id, node_id, full_name: name.to_owned(), default_branch }
    }

    fn slug(text: &str) -> Slug {
        text.parse().expect("a name")
    }

    #[test]
    fn a_repository_is_its_id_and_not_its_name() {
        let (names, widget) = (Names::default(), slug("acme/widget"));
        assert_eq!(names.now(&widget), widget);
        assert_eq!(names.take(&widget, &read(5, "acme/widget")), Ok(()));
        assert_eq!(names.take(&widget, &read(5, "other/gadget")), Ok(()));
        assert_eq!(names.now(&widget), slug("other/gadget"));
        let refused = names.take(&widget, &read(7, "acme/widget"));
        let (name, id, expected) = (Box::new(widget.clone()), 7, 5);
        assert_eq!(refused, Err(Cause::Replaced { name, id, expected }));
        assert_eq!(names.now(&widget), slug("other/gadget"), "what was refused is forgotten");
        names.expect(&widget, 7);
        assert_eq!(names.now(&widget), widget, "where another one is was not read yet");
        assert_eq!(names.take(&widget, &read(7, "acme/widget")), Ok(()));
    }

    #[test]
    fn an_address_is_of_one_repository() {
        for (path, of) in [
            ("/repositories/12", Some("/repositories/12")),
            ("/repositories/12/pulls?state=open", Some("/repositories/12")),
            ("/repos/acme/gadget/pulls/1", Some("/repos/acme/gadget")),
            ("/repositories/x/pulls", None),
            ("/repos/acme/..", None),
            ("/repos/acme", None),
            ("/user", None),
            ("", None),
        ] {
            assert_eq!(repository_of(path).as_deref(), of, "{path}");
        }
    }
}
