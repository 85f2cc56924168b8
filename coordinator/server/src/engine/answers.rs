//! The last answers of sessions, as the store has them.
//!
//! On the board each answer has a place of its own. Stored that way they are
//! half of what a commit writes, scattered over the whole store; so each commit
//! writes its answers as one page (ADR 0015). An answer lives until another one
//! takes its place or its session is gone. A page without a living answer is
//! written over by the next; when most of what is written is dead, pages give
//! up their living ones to the page that is written. Not here: which answers a
//! session has (`molt-domain`).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use molt_domain::board::answer::{Answer, AnswerKey};
use molt_domain::board::{self, Board, Unreadable};
use molt_domain::id::SessionId;
use molt_store::{Change, Format, Json, Key, Record};

use crate::fault::fault;

/// The kind of pages.
const PAGE: &str = "answers/";

/// The kind of the records of single answers.
const SINGLE: &str = "answer/";

/// Records that are removed at most in one commit.
const REMOVED: usize = 8;

/// What a page holds, in bytes, before the next one begins.
const PAGE_BYTES: usize = 64 * 1024;

/// Dead answers that there may be beyond as many as live, before pages give up their living ones.
const SLACK: usize = 512;

/// How answers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Each as a record, which is what a store of the first format has.
    Singles,
    /// Those of one commit on one page.
    Pages,
}

impl Layout {
    /// That of a store in `format`.
    pub(crate) fn of(format: Format) -> Self {
        if format.written < 2 { Self::Singles } else { Self::Pages }
    }

    /// How many changes a commit needs at most for `count` answers of `bytes` bytes.
    pub(super) fn changes(self, count: usize, bytes: usize) -> usize {
        match self {
            Self::Singles => count,
            // What other pages give up fills two at most, and the last one is not full.
            Self::Pages => bytes / PAGE_BYTES + 3 + REMOVED,
        }
    }
}

/// Answers that a commit writes, as JSON; `None` where they are gone.
pub(super) type Texts = BTreeMap<AnswerKey, Option<String>>;

/// Where an answer stands in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// In a record of its own.
    Single,
    /// On the page of this number.
    Page(u64),
}

/// What is on a page.
#[derive(Debug, Default, PartialEq)]
struct Page {
    answers: Vec<AnswerKey>,
    living: usize,
}

impl Page {
    fn dead(&self) -> usize {
        self.answers.len() - self.living
    }
}

/// Where the answers stand that the store has.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    homes: HashMap<AnswerKey, Home>,
    /// Pages with a living answer.
    pages: BTreeMap<u64, Page>,
    /// The same, by how much of them is dead.
    by_dead: BTreeSet<(usize, u64)>,
    /// How many answers are on them, living and dead.
    written: usize,
    /// Pages without a living answer.
    free: BTreeSet<u64>,
    /// Singles that are dead and not removed yet.
    stale: VecDeque<AnswerKey>,
}

/// What a commit does to the answers in the store.
#[derive(Debug)]
pub(super) struct Step {
    layout: Layout,
    /// Where answers stand from then on; `None` where they are gone.
    homes: Vec<(AnswerKey, Option<Home>)>,
    /// How many of the stale singles are removed.
    swept: usize,
    /// Free pages that are removed.
    removed: Vec<u64>,
    /// Pages that give up their living answers.
    emptied: Vec<u64>,
}

impl Answers {
    /// The step that writes `texts`, which the board has already, and its changes.
    pub(super) fn step(&self, texts: &Texts, board: &Board, layout: Layout) -> (Step, Vec<Change>) {
        match layout {
            Layout::Singles => singles(texts),
            Layout::Pages => self.paged(texts, board),
        }
    }

    fn paged(&self, texts: &Texts, board: &Board) -> (Step, Vec<Change>) {
        let mut changes: Vec<Change> = self
            .stale
            .iter()
            .take(REMOVED)
            .map(|key| Change::Delete { key: single(*key) })
            .collect();
        let swept = changes.len();
        let mut writer = Writer::on(self.unused());
        for (&key, text) in texts.iter().filter_map(|(key, text)| Some((key, text.as_ref()?))) {
            writer.add(key, text);
        }
        let emptied = self.empty(texts, board, &mut writer);
        let (mut homes, records) = writer.end();
        // Others wait for their turn to be written over.
        let excess = self.free.len().saturating_sub(self.pages.len() + REMOVED);
        let removed: Vec<u64> =
            self.free.iter().rev().take(excess.min(REMOVED - swept)).copied().collect();
        changes.extend(removed.iter().map(|number| Change::Delete { key: key_of(*number) }));
        changes.extend(records.into_iter().map(Change::Put));
        homes.extend(texts.iter().filter(|(_, text)| text.is_none()).map(|(key, _)| (*key, None)));
        (Step { layout: Layout::Pages, homes, swept, removed, emptied }, changes)
    }

    /// Pages that nothing living is on: the free ones, then those that were never written.
    fn unused(&self) -> impl Iterator<Item = u64> {
        let last = |numbers: Option<&u64>| numbers.map_or(0, |number| number + 1);
        let new = last(self.free.last()).max(last(self.pages.keys().next_back()));
        self.free.iter().copied().chain(new..)
    }

    /// Writes the living answers of pages that are mostly dead once more; which pages.
    fn empty(
        &self,
        texts: &Texts,
        board: &Board,
        writer: &mut Writer<impl Iterator<Item = u64>>,
    ) -> Vec<u64> {
        let (mut emptied, own) = (Vec::new(), writer.bytes);
        let mut written = self.written + texts.len();
        for (number, page) in self.by_dead.iter().rev().map(|(_, n)| (*n, &self.pages[n])) {
            let enough = written <= 2 * self.homes.len() + SLACK;
            if enough || page.dead() == 0 || writer.bytes - own > PAGE_BYTES / 2 {
                break;
            }
            for &key in &page.answers {
                let lives = self.homes.get(&key) == Some(&Home::Page(number));
                if lives
                    && !texts.contains_key(&key)
                    && let Some(answer) = board.tables().answers.get(&key)
                {
                    writer.add(key, &text(key, answer));
                }
            }
            written -= page.dead();
            emptied.push(number);
        }
        emptied
    }

    /// Takes note of a step that the store has taken.
    pub(super) fn take(&mut self, step: Step) {
        let Step { layout, homes, swept, removed, emptied } = step;
        self.stale.drain(..swept);
        for number in removed {
            self.free.remove(&number);
        }
        for number in emptied {
            self.set_free(number);
        }
        for (key, home) in homes {
            if let Some(Home::Page(number)) = home {
                self.enter(number, key);
            }
            let before = match home {
                Some(home) => self.homes.insert(key, home),
                None => self.homes.remove(&key),
            };
            match before {
                Some(Home::Page(number)) => self.died_on(number),
                // A page never writes over it.
                Some(Home::Single) if layout == Layout::Pages => self.stale.push_back(key),
                Some(Home::Single) | None => {}
            }
        }
    }

    fn enter(&mut self, number: u64, key: AnswerKey) {
        self.free.remove(&number);
        let page = match self.pages.entry(number) {
            Entry::Occupied(page) => page.into_mut(),
            Entry::Vacant(page) => {
                self.by_dead.insert((0, number));
                page.insert(Page::default())
            }
        };
        page.answers.push(key);
        page.living += 1;
        self.written += 1;
    }

    fn died_on(&mut self, number: u64) {
        let Some(page) = self.pages.get_mut(&number) else { return };
        self.by_dead.remove(&(page.dead(), number));
        page.living -= 1;
        self.by_dead.insert((page.dead(), number));
        if page.living == 0 || fault!(LivingPageFreed) {
            self.set_free(number);
        }
    }

    fn set_free(&mut self, number: u64) {
        if let Some(page) = self.pages.remove(&number) {
            self.by_dead.remove(&(page.dead(), number));
            self.written -= page.answers.len();
        }
        self.free.insert(number);
    }
}

/// Each answer as its own record.
fn singles(texts: &Texts) -> (Step, Vec<Change>) {
    let change = |(&key, text): (&AnswerKey, &Option<String>)| match text {
        Some(text) => {
            let value = Json::from_writer(text.clone());
            Change::Put(Record { key: single(key), value })
        }
        None => Change::Delete { key: single(key) },
    };
    let home =
        |(key, text): (&AnswerKey, &Option<String>)| (*key, text.as_ref().map(|_| Home::Single));
    let homes = texts.iter().map(home).collect();
    let (removed, emptied) = (Vec::new(), Vec::new());
    let step = Step { layout: Layout::Singles, homes, swept: 0, removed, emptied };
    (step, texts.iter().map(change).collect())
}

/// The records of a store that has all answers of `board` and nothing before them.
pub(crate) fn records(board: &Board, layout: Layout) -> Vec<Record> {
    let answers = board.tables().answers.iter();
    let texts = answers.map(|(key, answer)| (*key, Some(text(*key, answer)))).collect();
    let (_, changes) = Answers::default().step(&texts, board, layout);
    let put = |change| match change {
        Change::Put(record) => Some(record),
        Change::Delete { .. } => None,
    };
    changes.into_iter().filter_map(put).collect()
}

/// Whether a stored record is one of answers.
pub(crate) fn is_of_answers(key: &Key) -> bool {
    key.as_str().starts_with(PAGE) || key.as_str().starts_with(SINGLE)
}

/// An answer as JSON.
#[expect(clippy::expect_used, reason = "JSON is text, and an answer that is there has a value")]
pub(super) fn text(key: AnswerKey, answer: &Arc<Answer>) -> String {
    let value = board::Change::Answer(key, Some(Arc::clone(answer))).value();
    String::from_utf8(value.expect("it is there")).expect("JSON is UTF-8")
}

/// Writes answers on pages, a new one where one is full.
struct Writer<N> {
    numbers: N,
    /// What is on the page so far, and its number; `None` before the first answer.
    page: Option<(u64, String)>,
    bytes: usize,
    homes: Vec<(AnswerKey, Option<Home>)>,
    records: Vec<Record>,
}

impl<N: Iterator<Item = u64>> Writer<N> {
    fn on(numbers: N) -> Self {
        Self { numbers, page: None, bytes: 0, homes: Vec::new(), records: Vec::new() }
    }

    #[expect(clippy::expect_used, reason = "numbers do not run out")]
    fn add(&mut self, key: AnswerKey, answer: &str) {
        if self.page.as_ref().is_some_and(|(_, text)| text.len() >= PAGE_BYTES) {
            self.close();
        }
        let next = || (self.numbers.next().expect("there are more numbers"), String::new());
        let (number, text) = self.page.get_or_insert_with(next);
        text.push(if text.is_empty() { '{' } else { ',' });
        // Ids are written as they are: nothing in them needs an escape.
        text.push_str(&format!("\"{}\":{answer}", String::from(key)));
        self.bytes += answer.len();
        self.homes.push((key, Some(Home::Page(*number))));
    }

    fn close(&mut self) {
        if let Some((number, mut text)) = self.page.take() {
            text.push('}');
            self.records.push(Record { key: key_of(number), value: Json::from_writer(text) });
        }
    }

    fn end(mut self) -> (Vec<(AnswerKey, Option<Home>)>, Vec<Record>) {
        self.close();
        (self.homes, self.records)
    }
}

#[expect(clippy::expect_used, reason = "a word and digits")]
fn key_of(number: u64) -> Key {
    Key::parse(format!("{PAGE}{number:08}")).expect("a word and digits")
}

#[expect(clippy::expect_used, reason = "a word, an id and a digit")]
fn single(key: AnswerKey) -> Key {
    Key::parse(format!("{SINGLE}{}", String::from(key))).expect("a word, an id and a digit")
}

/// Answers as they are read back, record by record.
#[derive(Default)]
pub(super) struct Reading {
    pages: BTreeMap<u64, Vec<AnswerKey>>,
    singles: Vec<AnswerKey>,
    /// Of those in one place the last one: numbers of a session only grow.
    last: BTreeMap<AnswerKey, (Home, Arc<Answer>)>,
}

impl Reading {
    /// Takes in a record of one answer.
    pub(super) fn single(&mut self, key: AnswerKey, answer: Arc<Answer>) {
        self.singles.push(key);
        self.found(key, Home::Single, answer);
    }

    /// Takes in a page; says whether the record is one.
    ///
    /// # Errors
    ///
    /// It does not read.
    pub(super) fn page(&mut self, record: &Record) -> Result<bool, Unreadable> {
        let key = record.key.as_str();
        let Some(number) = key.strip_prefix(PAGE) else { return Ok(false) };
        let number = number.parse().map_err(|_| Unreadable::Key(key.to_owned()))?;
        let page: BTreeMap<AnswerKey, Answer> = record
            .value
            .decode()
            .map_err(|source| Unreadable::Value { key: key.to_owned(), source })?;
        self.pages.insert(number, page.keys().copied().collect());
        for (key, answer) in page {
            self.found(key, Home::Page(number), Arc::new(answer));
        }
        Ok(true)
    }

    fn found(&mut self, key: AnswerKey, home: Home, answer: Arc<Answer>) {
        let known = self.last.get(&key);
        if known.is_none_or(|(_, known)| known.number < answer.number) {
            self.last.insert(key, (home, answer));
        }
    }

    /// What was found: where it stands, and the answers of the sessions that are there.
    pub(super) fn end(self, sessions: &BTreeSet<SessionId>) -> (Answers, Vec<board::Change>) {
        let Self { pages, singles, mut last } = self;
        last.retain(|key, _| sessions.contains(&key.session));
        let homes: HashMap<AnswerKey, Home> =
            last.iter().map(|(key, (home, _))| (*key, *home)).collect();
        let lives = |key: &AnswerKey, home| homes.get(key) == Some(&home);
        let stale = singles.into_iter().filter(|key| !lives(key, Home::Single)).collect();
        let mut answers = Answers { stale, ..Answers::default() };
        for (number, keys) in pages {
            let living = keys.iter().filter(|key| lives(key, Home::Page(number))).count();
            if living == 0 {
                answers.free.insert(number);
                continue;
            }
            answers.written += keys.len();
            let page = Page { answers: keys, living };
            answers.by_dead.insert((page.dead(), number));
            answers.pages.insert(number, page);
        }
        answers.homes = homes;
        let change = |(key, (_, answer))| board::Change::Answer(key, Some(answer));
        (answers, last.into_iter().map(change).collect())
    }
}

#[cfg(test)]
mod tests;
