//! Reports: who may report of what, and what becomes of those that come too late.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod world;

use molt_domain::board::{Caller, Command, Format, Formats, Refusal, Reply};
use molt_domain::id::{BoardTime, MessageId, TaskId};
use molt_domain::message::{self, Content};
use molt_domain::report::{Full, MAX_NOTES, Micro, Report, Subject, Word};
use molt_domain::session::{Credentials, Root};
use molt_domain::task::{End, New};
use world::World;

const FULL: &str = "## Mend it\n\n### Status\nhalf done\n\n### Summary\n- one store less\n\n\
    ### Files Touched\n- src/vm.c — the barrier\n\n### Tests\n- make test → FAIL\n\n\
    ### Notes\nnone\n\n### Resume\nmake test\n";

fn says(update: &str) -> Word {
    Word::Micro(Micro::new(["running", update, "logs/x", "test it", "make"]).unwrap())
}

fn line(update: &str) -> String {
    format!("- [00:00] running — {update}. Output: logs/x. Next: test it. Resume: make.")
}

fn report(
    world: &mut World,
    who: &Credentials,
    about: Option<TaskId>,
    word: Word,
) -> Result<Reply, Box<Refusal>> {
    world.by(who, Command::Report { about, word })
}

fn add(world: &mut World, who: &Credentials) -> TaskId {
    let (body, acceptance) = (String::new(), String::new());
    let scopes = vec!["gc".parse().unwrap()];
    let new = New { title: "it".to_owned(), body, priority: 0, needs: vec![], scopes, acceptance };
    match world.by(who, Command::AddTask(new)) {
        Ok(Reply::TaskAdded { task }) => task,
        other => panic!("{other:?}"),
    }
}

fn revoke(world: &mut World, who: &Credentials) {
    let command = Command::RevokeSession { session: who.session, reason: "silent".to_owned() };
    world.ask(Caller::Operator("pat".to_owned()), command).unwrap();
}

/// Two agents and a task that the first one has.
fn begun() -> (World, Credentials, Credentials, TaskId) {
    let mut world = World::new(&[("gc", "gc/**")]);
    let (ann, bob) = (world.join("ann"), world.join("bob"));
    let task = add(&mut world, &bob);
    world.by(&ann, Command::Next).unwrap();
    (world, ann, bob, task)
}

fn kept(world: &World, of: Subject) -> Report {
    world.board.tables().reports.get(&of).map(|it| Report::clone(it)).unwrap_or_default()
}

fn told(world: &World, who: &Credentials) -> Vec<String> {
    let messages = message::after(&world.board, who.session, MessageId::START);
    let noted = messages.filter(|it| matches!(it.content, Content::Noted { .. }));
    noted.map(|it| it.content.to_string()).collect()
}

#[test]
fn a_report_is_of_the_task_else_of_the_session() {
    let (mut world, ann, bob, task) = begun();
    let said = Reply::Reported { about: Subject::Task(task), line: line("it builds") };
    assert_eq!(report(&mut world, &ann, None, says("it builds")), Ok(said.clone()));
    assert_eq!(report(&mut world, &ann, Some(task), says("it builds")), Ok(said));
    let full = Word::Full(Full::parse(FULL).unwrap());
    report(&mut world, &ann, None, full).unwrap();
    let Report { line: micro, full, notes } = kept(&world, Subject::Task(task));
    assert_eq!(micro.unwrap().text, line("it builds"), "a full report leaves the line");
    assert_eq!((full.unwrap().text.as_str(), notes), (FULL, vec![]));

    let own = Subject::Session(bob.session);
    report(&mut world, &bob, None, says("I look around")).unwrap();
    assert_eq!(kept(&world, own).line.unwrap().by.as_str(), "bob");
    world.by(&bob, Command::Leave { park: None }).unwrap();
    assert_eq!(kept(&world, own), Report::default(), "gone with the session");
}

#[test]
fn the_next_holder_finds_what_was_said_last() {
    let (mut world, ann, bob, task) = begun();
    report(&mut world, &ann, None, says("it builds")).unwrap();
    revoke(&mut world, &ann);
    let Ok(Reply::TaskTaken { task: retry, .. }) = world.by(&bob, Command::Next) else {
        panic!("nothing was taken")
    };
    assert_eq!((retry.id, retry.report), (task, Some(line("it builds"))));
    // Why it was given back is newer than a line.
    let end = End::Return("the disk is full".to_owned());
    world.by(&bob, Command::EndTask { task, end }).unwrap();
    world.now.board = BoardTime(2_000);
    let cyd = world.join("cyd");
    world.by(&cyd, Command::Next).unwrap();
    revoke(&mut world, &cyd);
    let left = world.board.tables().tasks[&task].report.clone();
    assert_eq!(left.as_deref(), Some("the disk is full"), "cyd said nothing of its own");
    let why = world.why(task);
    assert!(why.contains(&format!("report   {}", line("it builds"))), "{why:?}");
    assert!(why.contains(&"left     the disk is full".to_owned()), "{why:?}");
}

#[test]
fn whoever_is_gone_is_refused_and_heard() {
    let (mut world, ann, bob, task) = begun();
    revoke(&mut world, &ann);
    world.by(&bob, Command::Next).unwrap();
    for (n, about) in [None, Some(task)].into_iter().enumerate() {
        let late = report(&mut world, &ann, about, says(&format!("COMPLETE {n}")));
        assert!(matches!(late, Ok(Reply::Noted { task: of, .. }) if of == task), "{late:?}");
    }
    let Report { line: counted, notes, .. } = kept(&world, Subject::Task(task));
    assert_eq!(counted, None, "it counts for nothing");
    let said: Vec<_> = notes.iter().map(|note| (note.by.as_str(), note.text.clone())).collect();
    assert_eq!(said, [("ann", line("COMPLETE 0")), ("ann", line("COMPLETE 1"))]);
    let heard = format!("{task} had a late report of ann: {}", line("COMPLETE 1"));
    assert_eq!(told(&world, &bob).last(), Some(&heard));
    // Said again it is the same note; more than are kept push out the first.
    let digest = world.board.digest();
    report(&mut world, &ann, None, says("COMPLETE 1")).unwrap();
    assert_eq!(world.board.digest(), digest);
    for n in 2..10 {
        report(&mut world, &ann, None, says(&format!("COMPLETE {n}"))).unwrap();
    }
    let notes = kept(&world, Subject::Task(task)).notes;
    assert_eq!((notes.len(), &notes[0].text), (MAX_NOTES, &line("COMPLETE 7")));
}

#[test]
fn an_older_epoch_of_the_holder_is_too_late_as_well() {
    let (mut world, ann, _, task) = begun();
    world.by(&ann, Command::Resume { root: Root::Use }).unwrap();
    let late = report(&mut world, &ann, None, says("I am the first"));
    assert!(matches!(late, Ok(Reply::Noted { task: of, .. }) if of == task), "{late:?}");
    let now = Credentials { epoch: 2, ..ann.clone() };
    report(&mut world, &now, None, says("I am the second")).unwrap();
    let Report { line: counted, notes, .. } = kept(&world, Subject::Task(task));
    assert_eq!(counted.unwrap().text, line("I am the second"));
    assert_eq!(notes.len(), 1);
    // Whoever gave it up itself is heard too, and whoever has another secret is not.
    world.by(&now, Command::EndTask { task, end: End::Return("later".to_owned()) }).unwrap();
    let late = report(&mut world, &now, Some(task), says("it was done"));
    assert!(matches!(late, Ok(Reply::Noted { .. })), "{late:?}");
    let guess = Credentials { secret: "guess".to_owned(), ..now };
    let digest = world.board.digest();
    let refused = report(&mut world, &guess, Some(task), says("it was done")).unwrap_err();
    assert_eq!((refused.reason(), world.board.digest()), ("FORBIDDEN", digest));
}

#[test]
fn who_never_had_it_leaves_no_note() {
    let (mut world, ann, bob, task) = begun();
    let digest = world.board.digest();
    let refused = report(&mut world, &bob, Some(task), says("mine")).unwrap_err();
    assert!(refused.to_string().contains("ann has it now"), "{refused}");
    let unknown = Some(TaskId::from_counter(u64::MAX));
    assert_eq!(report(&mut world, &ann, unknown, says("what")).unwrap_err().reason(), "NOT_FOUND");
    let person = Caller::Operator("pat".to_owned());
    let word = says("I am a person");
    let refused = world.ask(person, Command::Report { about: None, word }).unwrap_err();
    assert_eq!((refused.reason(), world.board.digest()), ("FORBIDDEN", digest));
}

#[test]
fn a_store_of_an_older_format_has_no_reports() {
    let (mut world, ann, bob, task) = begun();
    let first = Format { written: 1, min_reader: 1, min_writer: 1 };
    world.board.set_formats(Formats { stored: first, ..Formats::default() });
    let refused = report(&mut world, &ann, None, says("it builds")).unwrap_err();
    assert!(matches!(*refused, Refusal::FormatTooLow { needed: 2, .. }), "{refused}");
    revoke(&mut world, &ann);
    world.by(&bob, Command::Next).unwrap();
    assert!(world.board.tables().tasks[&task].former.is_empty(), "no field that it has not");
    let late = report(&mut world, &ann, Some(task), says("COMPLETE")).unwrap_err();
    assert!(matches!(*late, Refusal::Lost { .. }), "{late}");
}
