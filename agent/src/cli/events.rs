//! `events`: what happened in the fleet, read on from where one was.
//!
//! What is printed is behind the cursor, no more: the cursor moves after the
//! line, so a reader that dies in between is told that line again, and none is
//! ever passed over. Not here: where a cursor is kept ([`cursor`]), and what
//! happens ([`molt_domain::board::Event`]).

mod cursor;

use std::str::FromStr;

use clap::Args;
use molt_proto::v1;
use molt_retry::{Delays, Policy};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use self::cursor::{Cursor, CursorName};
use super::args::Globals;
use super::context::Context;
use super::wait::LOOK_AGAIN;
use crate::client::{ANSWER_LIMIT, Client};
use crate::error::{Error, Exit};
use crate::ui::{self, Answer, Format, Reader};
use crate::wrap::Interrupts;

/// What happened in the fleet since you last asked.
///
/// What is printed is behind the cursor: the next call begins there, also after a
/// crash. Nothing new is exit code 12. With --follow it goes on until a signal,
/// over restarts of the coordinator; with --json each line is a document then.
/// Entries that are not kept any more are exit code 9 with the oldest that is:
/// nothing is passed over in silence.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent events
  molt-agent events --from 812 --limit 100
  molt-agent events --follow --json --cursor notes")]
pub(super) struct Events {
    /// Go on as things happen, until SIGINT or SIGTERM.
    #[arg(long)]
    follow: bool,
    /// Begin after this entry instead of after the last one that was printed: its
    /// number, `oldest` for all that are kept, or `now`.
    #[arg(long, value_name = "CURSOR")]
    from: Option<From>,
    /// The cursor to read at, kept for you on this host; else your session's own.
    #[arg(long, value_name = "NAME")]
    cursor: Option<CursorName>,
    /// So many at most; else 10, with --json 1000, with --follow no end.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,
}

/// How many are printed at once where nobody says otherwise: as text, beside the cursor and the
/// next step; and as a document, which has its bound too.
const IN_TEXT: u32 = 10;
const IN_A_DOCUMENT: u32 = 1000;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    After(u64),
    Oldest,
    Now,
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "oldest" => Ok(Self::Oldest),
            "now" => Ok(Self::Now),
            number => number
                .parse()
                .map(Self::After)
                .map_err(|_| "an entry's number, `oldest` or `now`".to_owned()),
        }
    }
}

/// What happened, once.
#[derive(Debug, Serialize)]
struct Happened {
    seq: u64,
    line: String,
    entry: Value,
}

/// Carries the verb out. It prints by itself: the cursor is moved by what was printed.
pub(super) fn main(events: Events, globals: Globals) -> Exit {
    let format = globals.format();
    let ended = Context::new(globals).and_then(|context| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::bug(format!("no runtime: {error}")))?;
        runtime.block_on(events.run(&context, format))
    });
    ended.unwrap_or_else(|error| {
        let answer = Answer::of_error("events", &error);
        // Where stdout is what cannot be written to, the exit code still tells.
        let _unheard = ui::print(&answer, format);
        answer.exit()
    })
}

impl Events {
    async fn run(self, context: &Context, format: Format) -> Result<Exit, Error> {
        let client = context.client()?;
        let name = match &self.cursor {
            Some(name) => name.clone(),
            None => CursorName::own(context.session()?.map(|record| record.id)),
        };
        let cursor = Cursor::open(context.state(), client.fleet(), &name)?;
        let mut follower = Follower { verb: &self, context, client: &client, format, cursor };
        let told = match self.follow {
            true => follower.follow().await,
            false => follower.read().await,
        };
        match told {
            Err(error @ Error::Compacted { oldest }) => {
                let answer = Answer::of_error("events", &error);
                let from = format!("{} --from {}", self.again(), oldest.saturating_sub(1));
                follower.print(answer.next(from)).map(|_| error.exit())
            }
            // The cursor is ahead of all that happened.
            Err(error @ Error::Refused { .. }) if error.exit() == Exit::Precondition => {
                let answer = Answer::of_error("events", &error);
                let from = format!("{} --from oldest", self.again());
                follower.print(answer.next(from)).map(|_| error.exit())
            }
            told => told,
        }
    }

    /// The command that reads on.
    fn again(&self) -> String {
        let mut again = "molt-agent events".to_owned();
        if let Some(name) = &self.cursor {
            again.push_str(&format!(" --cursor {name}"));
        }
        again
    }

    /// What is printed at once.
    fn most(&self, format: Format) -> u32 {
        self.limit.unwrap_or(match format {
            Format::Text => IN_TEXT,
            Format::Json => IN_A_DOCUMENT,
        })
    }

    /// What happened, all at once, and whether there is more.
    fn answer(&self, events: &[Happened], cursor: u64, more: bool, format: Format) -> Answer {
        let data = json!({ "events": events, "cursor": cursor, "more": more });
        if events.is_empty() {
            let nothing = format!("new after entry {cursor}");
            let answer = Answer::new("events", "nothing_new", data).line("nothing", [nothing]);
            return answer.exits(Exit::Empty);
        }
        let most = usize::try_from(self.most(format)).unwrap_or(usize::MAX);
        let answer = Answer::new("events", "happened", data).lines_at_most(most.saturating_add(2));
        let answer = events
            .iter()
            .fold(answer, |answer, it| answer.line(&it.seq.to_string(), [&it.line]))
            .line("cursor", [cursor.to_string(), if more { "more" } else { "" }.to_owned()]);
        if more { answer.next(self.again()) } else { answer }
    }
}

/// One call, with the cursor that it reads at.
struct Follower<'a> {
    verb: &'a Events,
    context: &'a Context,
    client: &'a Client,
    format: Format,
    cursor: Cursor,
}

impl Follower<'_> {
    fn print(&self, answer: Answer) -> Result<Reader, Error> {
        let answer = self.context.notes().into_iter().fold(answer, Answer::warn);
        ui::print(&answer, self.format)
            .map_err(|error| Error::usage(format!("cannot write to stdout: {error}")))
    }

    /// What is new, printed once.
    async fn read(&mut self) -> Result<Exit, Error> {
        let begin = self.begin().await?;
        let most = usize::try_from(self.verb.most(self.format)).unwrap_or(usize::MAX);
        let mut stream = self.client.watch(present(begin)).await?;
        let (mut events, mut more): (Vec<Happened>, bool) = (Vec::new(), false);
        let mut after = begin;
        while let Some(entry) = said(self.client, &mut stream).await? {
            if events.len() == most {
                more = true;
                break;
            }
            events.push(happened(&mut after, entry)?);
        }
        let answer = self.verb.answer(&events, after, more, self.format);
        let exit = answer.exit();
        if self.print(answer)? == Reader::There {
            self.cursor.move_behind(after)?;
        }
        Ok(exit)
    }

    /// What is new and what happens, line by line.
    async fn follow(&mut self) -> Result<Exit, Error> {
        let interrupts = Interrupts::listen();
        let mut interrupts = interrupts.map_err(|failure| Error::bug(failure.to_string()))?;
        let mut after = self.begin().await?;
        self.cursor.move_behind(after)?;
        let ended = tokio::select! {
            _ = interrupts.next() => Ok(()),
            ended = self.go_on(&mut after) => ended,
        };
        ended?;
        let data = json!({ "events": [], "cursor": after, "more": false });
        self.print(Answer::new("events", "ended", data)).map(|_| Exit::Ok)
    }

    /// Goes on until there were enough or nobody reads, over streams that break.
    async fn go_on(&mut self, after: &mut u64) -> Result<(), Error> {
        let mut left = self.verb.limit;
        let mut delays = Delays::from(Policy::RECONNECT);
        let mut away = false;
        loop {
            let request = v1::WatchRequest { after: *after, ..v1::WatchRequest::default() };
            match self.client.watch(request).await {
                Ok(mut stream) => {
                    let before = *after;
                    while let Some(entry) = self.happens(&mut stream).await? {
                        let event = happened(after, entry)?;
                        if self.print(one(&event))? == Reader::Gone {
                            return Ok(());
                        }
                        self.cursor.move_behind(*after)?;
                        left = left.map(|left| left - 1);
                        if left == Some(0) {
                            return Ok(());
                        }
                    }
                    if *after > before {
                        delays.reset();
                    }
                    away = false;
                }
                Err(Error::Unavailable { problem }) => {
                    if !std::mem::replace(&mut away, true) {
                        ui::warn(&format!("{problem}; it is asked again"));
                    }
                }
                Err(error) => return Err(error),
            }
            sleep(delays.next_delay().unwrap_or(LOOK_AGAIN)).await;
        }
    }

    /// The next entry; `None` when the stream ended and another one is to be opened.
    async fn happens(&self, stream: &mut Streaming<v1::Entry>) -> Result<Option<v1::Entry>, Error> {
        match stream.message().await {
            Ok(entry) => Ok(entry),
            Err(status) => self.client.broken(status).map_or(Ok(None), Err),
        }
    }

    /// The entry after which to begin.
    async fn begin(&self) -> Result<u64, Error> {
        match (self.verb.from, self.cursor.after()) {
            (Some(From::After(after)), _) | (None, Some(after)) => Ok(after),
            (Some(From::Oldest), _) | (None, None) => match self.client.watch(present(0)).await {
                Ok(_) => Ok(0),
                Err(Error::Compacted { oldest }) => Ok(oldest.saturating_sub(1)),
                Err(error) => Err(error),
            },
            (Some(From::Now), _) => {
                let last = v1::WatchRequest { tail: true, ..present(0) };
                let mut stream = self.client.watch(last).await?;
                let last = said(self.client, &mut stream).await?;
                Ok(last.map_or(0, |entry| entry.seq))
            }
        }
    }
}

/// What is there after an entry.
fn present(after: u64) -> v1::WatchRequest {
    v1::WatchRequest { after, tail: false, present: true }
}

/// The next entry of those that are there; `None` after the last.
async fn said(
    client: &Client,
    stream: &mut Streaming<v1::Entry>,
) -> Result<Option<v1::Entry>, Error> {
    match timeout(ANSWER_LIMIT, stream.message()).await {
        Ok(Ok(entry)) => Ok(entry),
        Ok(Err(status)) => {
            let broke = || Error::unavailable("the coordinator went away while it told");
            Err(client.broken(status).unwrap_or_else(broke))
        }
        // One of an earlier version goes on with what happens.
        Err(_) => Err(Error::unavailable(format!(
            "the coordinator did not say within {ANSWER_LIMIT:?} that this is all"
        ))),
    }
}

/// An entry as it is printed, if it is the one right after `after`, which it moves.
fn happened(after: &mut u64, entry: v1::Entry) -> Result<Happened, Error> {
    let v1::Entry { seq, json, line } = entry;
    if seq != *after + 1 {
        return Err(Error::bug(format!("entry {seq} came after entry {after}")));
    }
    let entry = serde_json::from_str(&json)
        .map_err(|error| Error::bug(format!("entry {seq} is no JSON: {error}")))?;
    *after = seq;
    Ok(Happened { seq, line, entry })
}

/// One event of many, on a line of its own.
fn one(event: &Happened) -> Answer {
    let data = json!({ "events": [event], "cursor": event.seq, "more": false });
    Answer::new("events", "happened", data).line(&event.seq.to_string(), [&event.line])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64) -> v1::Entry {
        v1::Entry { seq, json: format!("{{\"seq\":{seq}}}"), line: format!("thing {seq}") }
    }

    fn events(count: u64) -> Vec<Happened> {
        let mut after = 0;
        (1..=count).map(|seq| happened(&mut after, entry(seq)).unwrap()).collect()
    }

    fn verb(cursor: Option<&str>, limit: Option<u32>) -> Events {
        let cursor = cursor.map(|name| name.parse().unwrap());
        Events { follow: false, from: None, cursor, limit }
    }

    #[test]
    fn a_gap_or_a_repetition_is_never_passed_on() {
        let mut after = 7;
        assert_eq!(happened(&mut after, entry(8)).unwrap().seq, 8);
        for wrong in [7, 8, 10] {
            assert_eq!(happened(&mut after, entry(wrong)).unwrap_err().exit(), Exit::Bug);
            assert_eq!(after, 8, "the cursor stays");
        }
    }

    #[test]
    fn what_is_new_fits_the_lines_and_says_how_to_read_on() {
        let text = verb(Some("notes"), None).answer(&events(10), 10, true, Format::Text).text();
        assert_eq!(text.lines().count(), ui::MAX_LINES, "{text}");
        assert!(text.starts_with("1        thing 1\n"), "{text}");
        let end = "cursor   10  more\nnext     molt-agent events --cursor notes\n";
        assert!(text.ends_with(end), "{text}");
        let all = verb(None, Some(40)).answer(&events(40), 40, false, Format::Text).text();
        assert_eq!(all.lines().count(), 41, "{all}");
    }

    #[test]
    fn nothing_new_is_no_success_and_names_its_place() {
        let answer = verb(None, None).answer(&[], 42, false, Format::Text);
        assert_eq!(answer.text(), "nothing  new after entry 42\n");
        assert_eq!(answer.exit(), Exit::Empty);
    }

    #[test]
    fn a_document_of_one_event_is_like_one_of_many() {
        let event = &events(1)[0];
        assert_eq!(
            one(event).json(),
            "{\"schema\":\"molt.events/1\",\"ok\":true,\"code\":\"happened\",\"data\":{\"cursor\":1,\
             \"events\":[{\"entry\":{\"seq\":1},\"line\":\"thing 1\",\"seq\":1}],\"more\":false},\
             \"next\":[],\"warn\":[],\"rev\":0}"
        );
    }

    #[test]
    fn where_to_begin_is_a_number_or_a_word() {
        assert_eq!("812".parse(), Ok(From::After(812)));
        assert_eq!(("oldest".parse(), "now".parse()), (Ok(From::Oldest), Ok(From::Now)));
        for wrong in ["", "-1", "soon", "1.5"] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }
}
