use molt_domain::board::{Change as BoardChange, Reply};
use molt_domain::policy::Spans;
use molt_domain::session::{Root, Session, State};

use super::*;

/// A store that holds only answers, and the board that they are of.
struct Ground {
    board: Board,
    answers: Answers,
    stored: BTreeMap<Key, Json>,
    /// The number of the last request.
    number: u64,
}

impl Ground {
    fn new(sessions: u64) -> Self {
        let mut board = Board::new(Spans::default());
        for n in 0..sessions {
            board.apply(session(n, Some(n)));
        }
        Self { board, answers: Answers::default(), stored: BTreeMap::new(), number: 0 }
    }

    /// Gives each of `sessions` an answer of `bytes` bytes, those of one commit.
    fn answer(&mut self, sessions: &[u64], bytes: usize) -> Texts {
        let mut texts = Texts::new();
        for &n in sessions {
            self.number += 1;
            let (number, digest) = (self.number, "d".repeat(bytes));
            let key = AnswerKey::of(SessionId::from_counter(n), number);
            let answer = Arc::new(Answer { number, digest, reply: Reply::Done });
            texts.insert(key, Some(text(key, &answer)));
            self.board.apply(BoardChange::Answer(key, Some(answer)));
        }
        texts
    }

    /// Ends a session, and sweeps its answers as the board does.
    fn end(&mut self, n: u64) -> Texts {
        self.board.apply(session(n, None));
        let id = SessionId::from_counter(n);
        let answers = self.board.tables().answers.keys();
        let gone: Vec<AnswerKey> = answers.filter(|key| key.session == id).copied().collect();
        for &key in &gone {
            self.board.apply(BoardChange::Answer(key, None));
        }
        gone.into_iter().map(|key| (key, None)).collect()
    }

    /// Commits; how many changes that took.
    fn commit(&mut self, texts: &Texts, layout: Layout) -> usize {
        let (step, changes) = self.answers.step(texts, &self.board, layout);
        let count = changes.len();
        let bytes = texts.values().flatten().map(String::len).sum();
        assert!(count <= layout.changes(texts.len(), bytes), "{count} changes: {changes:?}");
        for change in changes {
            match change {
                Change::Put(Record { key, value }) => self.stored.insert(key, value),
                Change::Delete { key } => {
                    Some(self.stored.remove(&key).expect("what is removed was there"))
                }
            };
        }
        self.answers.take(step);
        count
    }

    /// What another leader would find: where answers stand, and which there are.
    fn recovered(&self) -> (Answers, BTreeMap<AnswerKey, Arc<Answer>>) {
        let mut reading = Reading::default();
        for (key, value) in &self.stored {
            let record = Record { key: key.clone(), value: value.clone() };
            if !reading.page(&record).unwrap() {
                let found = BoardChange::read(key.as_str(), value.as_str().as_bytes()).unwrap();
                let BoardChange::Answer(key, Some(answer)) = found else { panic!("{found:?}") };
                reading.single(key, answer);
            }
        }
        let sessions = self.board.tables().sessions.keys().copied().collect();
        let (answers, changes) = reading.end(&sessions);
        let answer = |change| match change {
            BoardChange::Answer(key, Some(answer)) => (key, answer),
            other => panic!("{other:?}"),
        };
        (answers, changes.into_iter().map(answer).collect())
    }

    /// Another leader finds the same answers in the same places.
    #[track_caller]
    fn holds(&self) {
        let (answers, found) = self.recovered();
        assert_eq!(found, self.board.tables().answers);
        // What was given up stands on its old page too, until that is written over.
        assert_eq!(answers.homes.len(), self.answers.homes.len());
        for answers in [&answers, &self.answers] {
            let on = |home: &&Home| matches!(home, Home::Page(_));
            let living: usize = answers.pages.values().map(|page| page.living).sum();
            assert_eq!(living, answers.homes.values().filter(on).count());
            let written: usize = answers.pages.values().map(|page| page.answers.len()).sum();
            assert_eq!(written, answers.written);
            let by_dead = answers.pages.iter().map(|(number, page)| (page.dead(), *number));
            assert_eq!(by_dead.collect::<BTreeSet<_>>(), answers.by_dead);
        }
        let pages = |answers: &Answers| {
            answers.pages.keys().chain(&answers.free).copied().collect::<BTreeSet<u64>>()
        };
        assert_eq!(pages(&answers), pages(&self.answers), "every page is known");
        let stale = |answers: &Answers| answers.stale.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(stale(&answers), stale(&self.answers));
    }
}

fn session(n: u64, there: Option<u64>) -> BoardChange {
    let id = SessionId::from_counter(n);
    let session = there.map(|_| {
        Arc::new(Session {
            id,
            repo: "main".parse().unwrap(),
            name: format!("agent-{n}").parse().unwrap(),
            host: "host".parse().unwrap(),
            root: Root::Use,
            worktree: "/w".to_owned(),
            secret: n.to_string(),
            epoch: 1,
            state: State::Live,
            joined: molt_domain::id::BoardTime(0),
            begun: molt_domain::id::BoardTime(0),
        })
    });
    BoardChange::Session(id, session)
}

/// A small generator of numbers: the same seed gives the same history.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[test]
fn whatever_happens_the_next_leader_finds_every_answer() {
    for seed in 0..10 {
        let mut random = Random(seed);
        let mut ground = Ground::new(60);
        let raised = random.below(40);
        for step in 0..400 {
            let layout = if step < raised { Layout::Singles } else { Layout::Pages };
            // The first are busy, the last are hardly ever heard of.
            let busy = 1 + random.below(60);
            let asks = random.below(30);
            let mut texts = Texts::new();
            if random.below(40) == 0 {
                texts.extend(ground.end(random.below(60)));
            }
            let living = |n: &u64| {
                let id = SessionId::from_counter(*n);
                ground.board.tables().sessions.contains_key(&id)
            };
            let sessions: Vec<u64> = (0..asks).map(|_| random.below(busy)).filter(living).collect();
            let bytes = if random.below(20) == 0 { 9_000 } else { 100 };
            texts.extend(ground.answer(&sessions, bytes as usize));
            if random.below(10) == 0 {
                // The store does not take it: the board has it, and the next commit brings it.
                let (_lost, _) = ground.answers.step(&texts, &ground.board, layout);
            }
            ground.commit(&texts, layout);
            if random.below(8) == 0 {
                ground.holds();
            }
        }
        println!("seed {seed}: {} pages, {} written", ground.stored.len(), ground.answers.written);
    }
}

#[test]
fn a_commit_writes_one_page_and_removes_nothing() {
    let mut ground = Ground::new(40);
    let all: Vec<u64> = (0..40).collect();
    for _ in 0..1000 {
        let texts = ground.answer(&all, 300);
        assert_eq!(ground.commit(&texts, Layout::Pages), 1);
    }
    assert!(ground.stored.len() <= 30, "{} pages", ground.stored.len());
}

#[test]
fn pages_that_a_crowd_has_left_go() {
    let mut ground = Ground::new(500);
    for n in 0..500 {
        let texts = ground.answer(&[n], 100);
        ground.commit(&texts, Layout::Pages);
    }
    for n in 1..500 {
        let texts = ground.end(n);
        ground.commit(&texts, Layout::Pages);
    }
    for _ in 0..60 {
        let texts = ground.answer(&[0], 100);
        ground.commit(&texts, Layout::Pages);
    }
    assert!(ground.stored.len() <= 17 + 17 + REMOVED, "{} pages", ground.stored.len());
    ground.holds();
}

#[test]
fn dead_answers_are_few_although_some_live_long() {
    let mut ground = Ground::new(1001);
    // A thousand that are never heard of again, each on a page with busy ones.
    for quiet in 1..=1000 {
        let texts = ground.answer(&[quiet, 0, 0, 0, 0], 100);
        ground.commit(&texts, Layout::Pages);
    }
    for _ in 0..5000 {
        let texts = ground.answer(&[0], 100);
        ground.commit(&texts, Layout::Pages);
    }
    let living = ground.answers.homes.len();
    assert_eq!(living, 1016);
    assert!(ground.answers.written <= 2 * living + SLACK, "{}", ground.answers.written);
    ground.holds();
}

#[test]
fn answers_that_were_stored_one_by_one_go_when_they_are_old() {
    let mut ground = Ground::new(10);
    let all: Vec<u64> = (0..10).collect();
    for _ in 0..16 {
        let texts = ground.answer(&all, 100);
        assert_eq!(ground.commit(&texts, Layout::Singles), 10);
    }
    let singles = |ground: &Ground| {
        ground.stored.keys().filter(|key| key.as_str().starts_with(SINGLE)).count()
    };
    let before = singles(&ground);
    for _ in 0..60 {
        let texts = ground.answer(&all, 100);
        ground.commit(&texts, Layout::Pages);
    }
    assert_eq!((before > 0, singles(&ground)), (true, 0));
    ground.holds();
}

#[test]
fn a_move_writes_all_answers_into_few_records() {
    let mut ground = Ground::new(100);
    for n in 0..100 {
        let texts = ground.answer(&[n], 1000);
        ground.commit(&texts, Layout::Pages);
    }
    let moved = records(&ground.board, Layout::Pages);
    assert_eq!(moved.len(), 2, "of 64 KiB each");
    ground.stored = moved.into_iter().map(|Record { key, value }| (key, value)).collect();
    assert_eq!(ground.recovered().1, ground.board.tables().answers);
    assert_eq!(records(&ground.board, Layout::Singles).len(), 100);
}
