//! Courses of faults with a point each: what a fleet under faults drawn by chance meets seldom.
//!
//! Each is a test of its own, under its name, and comes to its point in every seed that it is
//! lived through with. `mutants` switches bugs on in them.

use crate::fault::{COORDINATORS, Fault, HOSTS, Timed, across, everybody_but, to_hosts};
use crate::net::{Link, Place};
use crate::outcome::{Outcome, Tally};
use crate::world;

/// The seeds that each is lived through with.
pub(crate) const SEEDS: std::ops::Range<u64> = 0..3;

/// Until everything that was begun has ended, where people only look.
const CALM: u64 = 40_000;

/// A course of faults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    /// The test that lives through it, for the table of those that catch a bug.
    #[cfg_attr(not(feature = "seeded-bugs"), expect(dead_code, reason = "there is no table"))]
    pub(crate) name: &'static str,
    course: fn(usize) -> Vec<Timed>,
    lasts: u64,
    /// Whether a run came to what it is about.
    point: fn(&Tally) -> bool,
}

impl Scenario {
    pub(crate) fn live(self, seed: u64) -> Outcome {
        world::live_through(seed, self.course, self.lasts)
    }

    fn holds(self) {
        for seed in SEEDS {
            let outcome = self.live(seed);
            assert_eq!(outcome.broken, None, "{outcome}");
            assert!((self.point)(&outcome.tally), "seed {seed} misses it: {:?}", outcome.tally);
        }
    }
}

macro_rules! scenarios {
    ($($(#[$doc:meta])+ $name:ident: $lasts:expr, $course:expr, $point:expr;)+) => {
        $(
            $(#[$doc])+
            pub(crate) const fn $name() -> Scenario {
                Scenario { name: stringify!($name), course: $course, lasts: $lasts, point: $point }
            }
        )+

        mod lived {
            $(
                #[test]
                fn $name() {
                    super::$name().holds();
                }
            )+
        }
    };
}

scenarios! {
    /// Nothing goes wrong: people work, and one coordinator leads.
    a_calm_fleet_works:
        40_000,
        |_| Vec::new(),
        |tally| tally.terms == 1 && tally.events.contains_key("lock");

    /// The last commit of a leader is under way for so long that another one leads when it
    /// arrives, and nothing was committed in between: the head is the one that it was made for.
    a_leader_that_was_replaced_commits_nothing:
        CALM + 15_000,
        |leader| {
            // Everybody goes to work at once, and reaches no other leader.
            let others = (0..COORDINATORS).filter(|it| *it != leader).map(Place::Coordinator);
            let hosts: Vec<Place> = (0..HOSTS).map(Place::Host).collect();
            let cut = across(&hosts, &others.collect::<Vec<_>>());
            let mut all = quiet(0..HOSTS, CALM);
            all.push((Fault::Cut(cut), CALM - 1_000, CALM + 12_000));
            all.push((Fault::Slow(commits(leader), (8_000, 8_000)), CALM, CALM + 9_000));
            all
        },
        |tally| tally.terms == 2 && tally.deposed > 0;

    /// The store hears its leader in time, and its answers are nearly as late as a horizon is far:
    /// a leader that counts from when it heard them answers when it may be replaced.
    a_leader_counts_its_horizon_from_what_it_sent:
        CALM + 16_000,
        |leader| {
            let answers = vec![(Place::Store, Place::Coordinator(leader))];
            let mut all = quiet(0..HOSTS, CALM + 16_000);
            all.push((Fault::Slow(answers, (2_700, 2_900)), CALM, CALM + 15_000));
            all
        },
        |tally| tally.terms == 1 && tally.heard_late > 3;

    /// A leader is cut off from the store and the other coordinators, with everybody who looks:
    /// what it does not commit it answers from memory, and another one leads meanwhile.
    a_leader_that_is_cut_off_answers_nobody:
        CALM + 12_000,
        |leader| {
            let mut alone: Vec<Place> = (0..HOSTS).map(Place::Host).collect();
            alone.push(Place::Coordinator(leader));
            let cut = across(&alone, &everybody_but(&alone));
            let mut all = quiet(0..HOSTS, CALM + 12_000);
            all.push((Fault::Cut(cut), CALM, CALM + 10_000));
            all
        },
        |tally| tally.terms > 1 && tally.answers > 0;

    /// A leader is stopped, for not so long that another one takes the lead.
    board_time_does_not_make_up_for_a_stall:
        20_000,
        |leader| {
            let stall = |at| (Fault::Stall(vec![leader]), at, at + 2_800);
            vec![stall(0), stall(8_000)]
        },
        |tally| tally.terms == 1;

    /// The store takes no change for a while, and then goes on with the same leader.
    what_a_full_store_refused_is_undone:
        30_000,
        |_| vec![(Fault::Full, 0, 2_000), (Fault::Full, 8_000, 10_000), (Fault::Full, 16_000, 18_000)],
        |tally| tally.terms == 1;

    /// Commits reach the store late and in any order, after others that were sent for them.
    a_commit_that_comes_late_changes_nothing:
        25_000,
        |leader| {
            vec![(Fault::Slow(commits(leader), (50, 2_500)), 0, 20_000)]
        },
        |tally| tally.overtaken > 0;

    /// What is carried out is answered to nobody for a while, and asked for again.
    a_request_that_is_repeated_is_carried_out_once:
        50_000,
        |leader| {
            let silent = |at| (Fault::Cut(to_hosts(leader)), at, at + 6_000);
            let mut all = vec![silent(0), silent(15_000), silent(30_000)];
            // What is done twice shows: of other requests a second one has no effect.
            all.extend((0..HOSTS).map(|host| (Fault::Adds(host), 14_000, 22_000)));
            all
        },
        |tally| tally.terms == 1 && tally.events.contains_key("task");

    /// Answers to beats are late, and then hosts hear nothing: what they run ends by a deadline
    /// that follows from when they asked.
    a_child_ends_by_its_deadline_however_late_a_beat_was_answered:
        70_000,
        |_| {
            let coordinators = (0..COORDINATORS).flat_map(to_hosts).collect::<Vec<_>>();
            let mut all: Vec<_> =
                (0..HOSTS).map(|host| (Fault::LongRuns(host), 0, 70_000)).collect();
            for at in [6_000, 38_000] {
                let late = Fault::Slow(coordinators.clone(), (2_000, 2_800));
                all.push((late, at, at + 8_000));
                all.push((Fault::Cut(coordinators.clone()), at + 8_000, at + 24_000));
            }
            all
        },
        |tally| tally.stopped > 0;

    /// A leader gives the lead back while its last answers are under way, and they arrive after
    /// those of the next one.
    an_answer_of_an_older_term_is_not_believed:
        20_000,
        |leader| {
            let late = Fault::Slow(to_hosts(leader), (2_300, 2_900));
            vec![(late, 0, 600), (Fault::Restart(leader), 600, 4_000)]
        },
        |tally| tally.outdated > 0;

    /// The grace of who was lost ends when another leader has just begun: it judges nobody before
    /// their hosts could reach it.
    whom_another_leader_lost_is_heard_out:
        95_000,
        |leader| {
            let mut all = frozen(79_000);
            let slow = (0..COORDINATORS).flat_map(commits).collect();
            all.push((Fault::Crash(leader), 74_000, 90_000));
            all.push((Fault::Slow(slow, (900, 950)), 79_000, 90_000));
            all
        },
        |tally| tally.terms == 2 && tally.returned_late > 0 && tally.events.contains_key("extended");
}

/// All hosts but one are stopped from the beginning, and go on one after the other, for so long
/// that some come back just before their grace ends, whenever the next leader began.
fn frozen(until: u64) -> Vec<Timed> {
    let hosts = 0..HOSTS - 1;
    hosts.map(|host| (Fault::Freeze(host), 0, until + 1_100 * host as u64)).collect()
}

/// The link by which a coordinator's commits reach the store.
fn commits(coordinator: usize) -> Vec<Link> {
    vec![(Place::Coordinator(coordinator), Place::Store)]
}

/// People on these hosts only look, from the beginning.
fn quiet(hosts: std::ops::Range<usize>, until: u64) -> Vec<Timed> {
    hosts.map(|host| (Fault::Quiet(host), 0, until)).collect()
}
