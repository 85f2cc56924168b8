//! Who may ask for which view.

use molt_domain::access::{Identity, Repos, Right};
use molt_domain::board::{Board, Caller, Refusal};
use molt_domain::id::{CarId, ClaimId, JobId, RefusalId, SessionId, TaskId};
use molt_domain::name::RepoName;

use super::{asking, repo};
use crate::convert;
use crate::v1;
use crate::v1::query::What;

/// That somebody who proved a name may read what `query` asks for.
///
/// # Errors
///
/// The right that is missing, or the repository that its token is not good for.
pub fn may_read(board: &Board, query: &v1::Query, identity: &Identity) -> Result<(), Box<Refusal>> {
    identity.may(Right::Read, "read")?;
    if matches!(convert::caller(query.caller.clone())?, Caller::Operator(_)) {
        identity.may(Right::Operate, "read")?;
    }
    if matches!(query.what, Some(What::Tokens(_))) {
        identity.may(Right::Operate, "tokens")?;
    }
    if identity.repos == Repos::All {
        return Ok(());
    }
    let me = asking(query)?;
    match &query.what {
        // A digest tells nothing; machines, their slots and the format are of no repository.
        None | Some(What::Digest(_) | What::Format(_) | What::Slots(_) | What::Hosts(_)) => Ok(()),
        Some(What::Statuses(_)) => {
            let mut repos = board.tables().repos.keys();
            repos.try_for_each(|repo| identity.may_in(Some(repo), "read"))
        }
        Some(What::Tokens(_)) => identity.may_in(None, "tokens"),
        Some(What::Sessions(_)) if query.repo.is_empty() => identity.may_in(None, "sessions"),
        Some(What::Why(id) | What::Car(id) | What::Task(id)) => {
            if id.parse::<RefusalId>().is_ok() {
                return Ok(());
            }
            identity.may_in(repo_of(board, id), "why")
        }
        Some(_) => identity.may_in(Some(&repo(board, &query.repo, me)?.name), "read"),
    }
}

/// The repository of a thing that is told by its id.
fn repo_of<'a>(board: &'a Board, id: &str) -> Option<&'a RepoName> {
    let tables = board.tables();
    if let Ok(id) = id.parse::<ClaimId>() {
        return tables.claims.get(&id).map(|claim| &claim.repo);
    }
    if let Ok(id) = id.parse::<SessionId>() {
        return tables.sessions.get(&id).map(|session| &session.repo);
    }
    if let Ok(id) = id.parse::<TaskId>() {
        return tables.tasks.get(&id).map(|task| &task.repo);
    }
    if let Ok(id) = id.parse::<JobId>() {
        return tables.jobs.get(&id).map(|job| &job.repo);
    }
    let id = id.parse::<CarId>().ok()?;
    tables.cars.get(&id).map(|car| &car.repo)
}

#[cfg(test)]
mod tests {
    use molt_domain::access::Role;

    use super::*;
    use crate::fixture::{World, parsed};

    fn identity(role: Role, repos: Repos) -> Identity {
        Identity { name: parsed("ci"), role, repos, token: None }
    }

    fn asked(repo: &str, what: What) -> v1::Query {
        v1::Query { caller: None, repo: repo.to_owned(), what: Some(what) }
    }

    #[test]
    fn everybody_reads_and_operators_alone_see_tokens() {
        let world = World::new();
        for role in Role::ALL {
            let known = identity(role, Repos::All);
            let ask = |what| may_read(&world.board, &asked("", what), &known);
            assert_eq!(ask(What::Status(v1::Empty {})), Ok(()), "{role}");
            let tokens = ask(What::Tokens(v1::Empty {}));
            assert_eq!(tokens.is_ok(), role == Role::Operator, "{role}");
        }
    }

    #[test]
    fn a_limited_token_sees_its_own_repository() {
        let mut world = World::new();
        let ann = world.join("ann", "h1");
        let Caller::Session(ann) = ann else { panic!("a session") };
        let own = identity(Role::Agent, Repos::Only([parsed("molt")].into()));
        let other = identity(Role::Agent, Repos::Only([parsed("other")].into()));
        let session = ann.session.to_string();
        let empty = v1::Empty {};
        for (repo, what) in [
            ("", What::Status(empty)),
            ("molt", What::Queue(empty)),
            ("molt", What::Sessions(empty)),
            ("", What::Why(session.clone())),
        ] {
            let query = asked(repo, what);
            assert_eq!(may_read(&world.board, &query, &own), Ok(()), "{query:?}");
            let refused = may_read(&world.board, &query, &other).expect_err("another's");
            let needs = "as agent ci needs a token for the repository molt";
            assert!(refused.to_string().ends_with(needs), "{refused}");
        }
        let all = asked("", What::Statuses(empty));
        assert_eq!(may_read(&world.board, &all, &own), Ok(()), "there is no other");
        world.read_base("other");
        let refused = may_read(&world.board, &all, &own).expect_err("one of them is another's");
        assert!(refused.to_string().ends_with("for the repository other"), "{refused}");
        for what in [What::Sessions(empty), What::Why("codex".to_owned())] {
            let refused = may_read(&world.board, &asked("", what), &own).expect_err("all of them");
            let needs = "needs a token that is not limited to repositories";
            assert!(refused.to_string().ends_with(needs), "{refused}");
        }
        for what in [What::Digest(empty), What::Slots(empty), What::Why("ref_0001".to_owned())] {
            assert_eq!(may_read(&world.board, &asked("", what), &own), Ok(()));
        }
    }
}
