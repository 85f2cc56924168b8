//! When claims lapse without their holder, on virtual time: a lost session that shows signs of
//! life, and a living one that does nothing while somebody waits.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod world;

use std::time::Duration;

use molt_domain::board::{Board, Caller, Command, Format, Formats, Reply};
use molt_domain::claim::{Mode, Otherwise, State, Wanted};
use molt_domain::id::{BoardTime, ClaimId};
use molt_domain::message;
use molt_domain::name::HostName;
use molt_domain::session::{Credentials, Root, Told};
use world::World;

/// How often the coordinator looks at the time here.
const TICK: Duration = Duration::from_secs(5);

const MINUTE: Duration = Duration::from_secs(60);

/// After so long a holder is asked, by default.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// So long it has to answer, by default.
const ANSWER: Duration = Duration::from_secs(10 * 60);

/// Ann holds the docs, Bob waits for them.
struct Story {
    world: World,
    ann: Credentials,
    bob: Credentials,
    held: ClaimId,
    wait: ClaimId,
}

fn claim(world: &mut World, who: &Credentials) -> Reply {
    let wanted = Wanted {
        scopes: vec!["docs".parse().unwrap()],
        globs: Vec::new(),
        why: "work".to_owned(),
        task: None,
        mode: Mode::Exclusive,
        risk: None,
        tests: Vec::new(),
        max: None,
        otherwise: Otherwise::Wait,
    };
    world.by(who, Command::Claim(wanted)).unwrap()
}

fn host() -> HostName {
    "h1".parse().unwrap()
}

impl Story {
    fn new() -> Self {
        let mut world = World::new(&[("docs", "docs/**")]);
        let (ann, bob) = (world.join("ann"), world.join("bob"));
        let Reply::Granted { .. } = claim(&mut world, &ann) else { panic!("the docs are free") };
        let held = *world.board.tables().claims.keys().next().unwrap();
        let Reply::Queued { claim: wait, .. } = claim(&mut world, &bob) else {
            panic!("nothing to wait for");
        };
        Self { world, ann, bob, held, wait }
    }

    /// Lets time pass; `told`: what Ann's host sees of her at each beat.
    fn pass(&mut self, span: Duration, ann_lives: bool, told: Option<Told>) {
        let end = self.world.now.board.plus(span);
        while self.world.now.board < end {
            let now = self.world.now.board.plus(TICK);
            let board = &mut self.world.board;
            self.world.now.board = now;
            board.beat(self.bob.session, now);
            if ann_lives {
                board.beat(self.ann.session, now);
            }
            if let Some(told) = told {
                board.beat_host(&host(), now);
                board.note_signs(&host(), self.ann.session, told, now);
            }
            self.world.ask(Caller::Coordinator, Command::Tick).unwrap();
        }
    }

    fn is_held(&self) -> bool {
        self.world.board.tables().claims.contains_key(&self.held)
    }

    fn is_served(&self) -> bool {
        let wait = self.world.board.tables().claims.get(&self.wait);
        wait.is_some_and(|it| !matches!(it.state, State::Waiting { .. }))
    }

    /// What somebody was told.
    fn told(&self, who: &Credentials) -> Vec<String> {
        let all = self.world.board.tables().messages.values();
        let mine = all.filter(|it| it.to.contains(&who.session));
        mine.map(|it: &std::sync::Arc<message::Message>| it.content.to_string()).collect()
    }

    fn use_a_command(&mut self) {
        let now = self.world.now.board;
        self.world.board.note_use(&Caller::Session(self.ann.clone()), now);
    }

    fn set_first_format(&mut self) {
        let first = Format { written: 1, min_reader: 1, min_writer: 1 };
        let formats = Formats { stored: first, ..Formats::default() };
        self.world.board.set_formats(formats);
    }

    /// Another coordinator takes the lead: it has what was committed, and heard of nobody.
    fn change_leader(&mut self) {
        let board = &self.world.board;
        let (spans, records, formats) = (*board.spans(), board.records(), board.formats());
        let ledger = molt_domain::board::Ledger { time: self.now(), ..board.ledger().clone() };
        self.world.board = Board::recover(spans, ledger, records);
        self.world.board.set_formats(formats);
    }

    fn resumes(&mut self) -> bool {
        let ann = self.ann.clone();
        self.world.by(&ann, Command::Resume { root: Root::Use }).is_ok()
    }

    /// The ttl and the grace, and a little.
    fn grace(&self) -> Duration {
        let spans = self.world.board.spans();
        spans.session_ttl + spans.grace + 2 * TICK
    }
}

#[test]
fn without_a_sign_of_life_the_claims_of_a_lost_session_lapse_with_its_grace() {
    let mut story = Story::new();
    story.pass(story.grace(), false, Some(Told::default()));
    assert!(!story.is_held() && story.is_served());
}

#[test]
fn each_sign_of_life_gives_more_time_and_those_who_wait_are_told_once() {
    let ago = Some(MINUTE);
    let signs = [
        Told { root: true, ..Told::default() },
        Told { log: ago, ..Told::default() },
        Told { files: ago, ..Told::default() },
    ];
    for told in signs {
        let mut story = Story::new();
        story.pass(story.grace() + 60 * MINUTE, false, Some(told));
        assert!(story.is_held(), "{told:?}");
        let [text] = &story.told(&story.bob)[..] else { panic!("{:?}", story.told(&story.bob)) };
        assert!(text.contains("ann was lost, but there is"), "{text}");
        let why = story.world.why(story.held).join(" ");
        let session = story.world.board.tables().sessions[&story.ann.session].clone();
        let [sign] = story.world.board.signs_of(&session, story.now())[..] else {
            panic!("one sign of {told:?}");
        };
        assert!(why.contains(&format!("there is {sign}")), "{why}");
        // It can come back, with what it had.
        assert!(story.resumes() && story.is_held());
        // Whatever is seen, a day is enough.
        story.pass(25 * 60 * MINUTE, false, Some(told));
        assert!(!story.is_held(), "{told:?}");
    }
}

#[test]
fn what_was_before_the_loss_or_long_ago_or_told_by_others_is_no_sign() {
    let mut story = Story::new();
    let old = Told { files: Some(16 * MINUTE), log: Some(16 * MINUTE), root: false };
    story.pass(story.grace(), false, Some(old));
    assert!(!story.is_held(), "it is too old");

    let mut story = Story::new();
    let now = story.world.now.board;
    let told = Told { files: Some(Duration::ZERO), log: Some(Duration::ZERO), root: true };
    story.world.board.note_signs(&host(), story.ann.session, told, now);
    story.pass(story.grace(), false, None);
    assert!(!story.is_held(), "it was before the loss");

    let mut story = Story::new();
    story.pass(story.grace() - MINUTE, false, None);
    let now = story.world.now.board;
    story.world.board.note_signs(&"h2".parse().unwrap(), story.ann.session, told, now);
    story.pass(2 * MINUTE, false, None);
    assert!(!story.is_held(), "another host knows nothing of it");
}

#[test]
fn a_slot_is_a_sign_of_life_while_its_machine_is_heard_of() {
    for (told, held) in [(Some(Told::default()), true), (None, false)] {
        let mut story = Story::new();
        let slot = Command::AcquireSlot {
            pool: "cargo".parse().unwrap(),
            host: host(),
            what: "cargo test".to_owned(),
            otherwise: Otherwise::Refuse,
        };
        let ann = story.ann.clone();
        story.world.by(&ann, slot).unwrap();
        story.pass(story.grace(), false, told);
        assert_eq!(story.is_held(), held, "{told:?}");
    }
}

#[test]
fn who_was_lost_before_the_lead_changed_may_come_back_until_it_can_be_judged() {
    let ttl = Duration::from_secs(60);
    // The grace ends a moment after the new leader begins, and the agent could not reach it yet.
    for (wait, back) in [(TICK, true), (ttl - TICK, true), (ttl + TICK, false)] {
        let mut story = Story::new();
        story.pass(story.grace() - 3 * TICK, false, None);
        story.change_leader();
        story.pass(wait, false, None);
        assert_eq!(story.resumes(), back, "{wait:?} after the takeover");
        assert_eq!(story.is_held(), back, "{wait:?} after the takeover");
    }
    // Whoever is lost under this leader has the grace and nothing beyond it.
    let mut story = Story::new();
    story.change_leader();
    let spans = *story.world.board.spans();
    story.pass(spans.session_ttl + spans.grace - TICK, false, None);
    story.world.now.board = story.now().plus(2 * TICK);
    assert!(!story.resumes());
}

#[test]
fn a_change_of_leaders_loses_no_sign_and_asks_nobody_sooner() {
    let told = Some(Told { files: Some(Duration::ZERO), ..Told::default() });
    let mut story = Story::new();
    story.pass(story.grace() - 3 * TICK, false, told);
    story.change_leader();
    story.pass(2 * MINUTE, false, told);
    assert!(story.is_held(), "its host says again what it sees");

    // When somebody last worked is not stored: a leader counts from its own beginning, asks again
    // what another one asked, and no later than that the claim goes on.
    for before in [IDLE - MINUTE, IDLE + ANSWER - MINUTE] {
        let mut story = Story::new();
        story.pass(before, true, None);
        story.change_leader();
        story.pass(IDLE + ANSWER - MINUTE, true, None);
        assert!(story.is_held(), "{before:?} before the takeover");
        story.pass(2 * MINUTE, true, None);
        assert!(!story.is_held() && story.is_served(), "{before:?} before the takeover");
    }
}

#[test]
fn a_store_of_the_first_format_knows_the_grace_alone() {
    let mut story = Story::new();
    story.set_first_format();
    story.pass(story.grace(), false, Some(Told { root: true, ..Told::default() }));
    assert!(!story.is_held());
    let mut story = Story::new();
    story.set_first_format();
    story.pass(2 * IDLE, true, None);
    assert!(story.is_held());
}

#[test]
fn an_idle_claim_lapses_when_its_holder_was_asked_and_does_not_answer() {
    let mut story = Story::new();
    story.pass(IDLE - MINUTE, true, None);
    assert_eq!(story.told(&story.ann), Vec::<String>::new(), "not yet");
    story.pass(2 * MINUTE, true, None);
    let [text] = &story.told(&story.ann)[..] else { panic!("{:?}", story.told(&story.ann)) };
    assert!(text.contains("on docs was idle for 30 min"), "{text}");
    assert!(story.world.why(story.held).iter().any(|line| line.starts_with("idle     ann was")));
    story.pass(ANSWER - 2 * MINUTE, true, None);
    assert!(story.is_held(), "it may still answer");
    story.pass(2 * MINUTE, true, None);
    assert!(!story.is_held() && story.is_served());
    assert!(story.told(&story.ann).iter().any(|text| text.contains("it was idle")));
}

#[test]
fn any_command_is_an_answer() {
    let mut story = Story::new();
    story.pass(IDLE + ANSWER - MINUTE, true, None);
    assert!(story.world.board.tables().claims[&story.held].idle.is_some());
    story.use_a_command();
    story.pass(ANSWER, true, None);
    assert!(story.is_held());
    assert!(story.world.board.tables().claims[&story.held].idle.is_none());
    story.pass(IDLE + ANSWER, true, None);
    assert!(!story.is_held(), "it is asked again, and this time is silent");
}

#[test]
fn a_silent_agent_in_a_tool_call_of_thirty_minutes_keeps_its_claim() {
    // A command that is wrapped holds a slot; of another one the log or the files tell, or the
    // agent's next command.
    let slot = Command::AcquireSlot {
        pool: "cargo".parse().unwrap(),
        host: host(),
        what: "cargo test".to_owned(),
        otherwise: Otherwise::Refuse,
    };
    let mut story = Story::new();
    let ann = story.ann.clone();
    story.world.by(&ann, slot).unwrap();
    story.pass(3 * IDLE, true, None);
    assert!(story.is_held() && story.told(&story.ann).is_empty());

    let mut story = Story::new();
    let told = Told { root: true, files: Some(20 * MINUTE), log: None };
    story.pass(3 * IDLE, true, Some(told));
    assert!(story.is_held() && story.told(&story.ann).is_empty());

    let mut story = Story::new();
    let open = Told { root: true, ..Told::default() };
    story.pass(IDLE + MINUTE, true, Some(open));
    story.use_a_command();
    story.pass(MINUTE, true, Some(open));
    assert!(story.is_held());
}

#[test]
fn nobody_is_asked_for_whom_nobody_waits() {
    let mut story = Story::new();
    let bob = story.bob.clone();
    story.world.by(&bob, Command::Unqueue { claim: story.wait }).unwrap();
    story.pass(3 * IDLE, true, None);
    assert!(story.is_held() && story.told(&story.ann).is_empty());
}

#[test]
fn a_host_is_asked_for_signs_of_the_lost_and_of_those_who_are_long_silent() {
    let mut story = Story::new();
    let wants = |story: &Story| story.world.board.wants_signs(story.ann.session, story.now());
    assert!(!wants(&story), "it just claimed");
    story.pass(16 * MINUTE, true, None);
    assert!(wants(&story));
    story.use_a_command();
    assert!(!wants(&story));
    story.pass(2 * MINUTE, false, None);
    assert!(wants(&story), "it is lost");
}

impl Story {
    fn now(&self) -> BoardTime {
        self.world.now.board
    }
}
