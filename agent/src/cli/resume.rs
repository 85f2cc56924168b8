//! `resume`: come back as the session that was.

use clap::Args;
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;
use molt_proto::v1::{self, Empty};

use super::context::{Acted, Context, session_reply, unexpected};
use super::guarded::{self, Change};
use super::join::introduce;
use crate::error::Error;
use crate::session::{Record, Root, SessionFile};
use crate::ui::Answer;

/// Come back to a session with the claims that it still has.
///
/// Which one: the file given by --session, else this agent program's own, else
/// the newest of this worktree whose agent program is gone. Whoever used it
/// before is refused from now on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent resume
  molt-agent resume --session .git/molt/sessions/use.json")]
pub(super) struct Resume {}

impl Resume {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = context.client()?;
        let root = context.root()?;
        let (file, target) = choose(context, &root)?;
        let verb = Verb::Resume(v1::Resume { root: Some((&root).into()) });
        let Acted { answer, rev } = context.act_as(&client, &file, verb).await?;
        let reply = v1::Reply { answer: Some(answer), ..v1::Reply::default() };
        let (_, name, epoch) = session_reply(reply)?;
        let former = file.read()?.ok_or_else(|| Error::bug("the session file vanished"))?;
        let record = moved(&file, &target, former.resumed((name, epoch), root))?;
        context.keep_alive(&record, &target)?;
        let answer = introduce("resume", "resumed", &record).rev(rev).next("molt-agent status");
        // It is back whatever becomes of this: what it holds is told for the guard's sake.
        let view = match context.read(&client, What::Status(Empty {})).await {
            Ok(view) => view,
            Err(error) => return Ok(answer.warn(format!("what it holds was not read: {error}"))),
        };
        let Some(View::Status(status)) = view.view else { return Err(unexpected("a status")) };
        guarded::known(context, &target, answer, (Change::Kept(&status.claims), view.rev)).await
    }
}

/// The file to go on from, and the file that the session has from now on.
fn choose(context: &Context, root: &Root) -> Result<(SessionFile, SessionFile), Error> {
    if let Some(named) = context.named_session() {
        if named.read()?.is_none() {
            let name = named.path().display().to_string();
            return Err(Error::NotFound { kind: "session file", name, nearest: None });
        }
        return Ok((named.clone(), named));
    }
    let own = context.file_of(root)?;
    if own.read()?.is_some() {
        return Ok((own.clone(), own));
    }
    match context.orphan()? {
        Some((_, file)) => Ok((file, own)),
        None => Err(Error::NotFound {
            kind: "session to resume in",
            name: context.worktree()?.sessions().display().to_string(),
            nearest: None,
        }),
    }
}

/// Writes the session to its new file. Of two that resume it at once, the later
/// epoch stays.
fn moved(file: &SessionFile, target: &SessionFile, record: Record) -> Result<Record, Error> {
    let lock = target.lock()?;
    let record = match lock.read()? {
        Some(other) if other.id == record.id && other.epoch > record.epoch => other,
        _ => record,
    };
    lock.write(&record)?;
    if file != target {
        file.lock()?.remove()?;
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::file::tests::record;

    #[test]
    fn a_session_moves_to_the_file_of_its_new_root() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| SessionFile::at(scratch.path().join(name));
        let (old, new) = (at("7-0.json"), at("9-0.json"));
        let first = record(Root::Use);
        old.lock().unwrap().write(&first).unwrap();
        let second = first.clone().resumed((first.name.clone(), 2), Root::Use);
        assert_eq!(moved(&old, &new, second.clone()).unwrap(), second);
        assert_eq!((old.read().unwrap(), new.read().unwrap()), (None, Some(second.clone())));
        assert_eq!(moved(&new, &new, first).unwrap(), second, "an older epoch does not come back");
    }
}
