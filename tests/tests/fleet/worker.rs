//! What agents do under load: each asks until it has a definite answer, writes down what was
//! acknowledged, and goes on.

use std::time::Duration;

use molt_tests::verify::fleet::journal::{Holding, Pen, Sign};
use serde_json::Value;

use crate::harness::{Agent, Said, pause, until};
use crate::load::Load;

/// What the system says where a disk is full, and every program that cannot go on for it.
const NO_ROOM: &str = "No space left on device";

/// An agent at work.
pub(crate) struct Worker<'a> {
    pub(crate) load: &'a Load<'a>,
    pub(crate) agent: &'a Agent,
    pub(crate) pen: Pen,
}

impl Worker<'_> {
    fn heard(&self, kind: &'static str, id: &str, fence: Option<&str>) {
        let fence = fence.map(str::to_owned);
        self.write(Sign::Acknowledged { kind: kind.to_owned(), id: id.to_owned(), fence });
        self.load.heard(kind);
    }

    fn write(&self, sign: Sign) {
        self.pen.write(sign).expect("a journal that can be written");
    }

    /// Runs a verb once; its code is one of `definite`, or of `trouble`, which is counted.
    fn once(&self, arguments: &[&str], definite: &[i32], trouble: &[i32]) -> Option<Said> {
        let said = self.agent.run(arguments);
        if definite.contains(&said.code) {
            return Some(said);
        }
        let Said { asked, code, out, err } = said;
        // 125: a supervisor could not say how its run ended.
        let no_room = self.load.was_without_room()
            && (code == 125 || [&out, &err].iter().any(|said| said.contains(NO_ROOM)));
        assert!(
            trouble.contains(&code) || no_room,
            "{}: `{asked}` exits {code}: {out}{err}",
            self.agent.name()
        );
        self.load.trouble();
        // A verb that finds nobody may answer at once: leave the machine to those who work.
        pause(Duration::from_millis(50));
        None
    }

    /// Runs a verb until its code is one of `definite`. 10: try again. 11: repeat.
    fn insist(&self, arguments: &[&str], definite: &[i32]) -> Said {
        self.insist_through(arguments, definite, &[])
    }

    /// The same, with more codes that are no end.
    fn insist_through(&self, arguments: &[&str], definite: &[i32], pending: &[i32]) -> Said {
        let trouble = [&[10, 11], pending].concat();
        until(&format!("a definite answer to {arguments:?}"), || {
            self.once(arguments, definite, &trouble)
        })
    }

    pub(crate) fn claims(&self) {
        for round in 0_u32.. {
            if self.load.is_over() {
                return;
            }
            let scopes: &[&str] = if round % 5 == 4 { &["a", "b"] } else { &["a"] };
            let asked = [&["claim"], scopes, &["--wait", "10s", "--json"]].concat();
            // 5: still in line, for the same. Who is in line for one thing and asks for another
            // closes a circle with those behind it.
            let granted = self.insist_in_session(&asked, &[5]);
            self.hold_claim(&granted, scopes);
        }
    }

    fn hold_claim(&self, granted: &Said, scopes: &[&str]) {
        let claim = &granted.document()["data"];
        let (id, fence) = (text(&claim["id"]), text(&claim["fence"]));
        self.heard("claim", &id, Some(&fence));
        let lives = || {
            for scope in scopes {
                let (kind, what) = ("claim".to_owned(), (*scope).to_owned());
                self.write(Sign::Lives(Holding {
                    kind,
                    what,
                    by: id.clone(),
                    fence: fence.clone(),
                }));
            }
        };
        for _ in 0..4 {
            lives();
            pause(Duration::from_millis(5));
        }
        lives();
        let released = [&["release"], scopes, &["--json"]].concat();
        self.insist_in_session(&released, &[]);
        self.heard("release", &id, None);
    }

    /// Insists on success, and comes back to the session where that was lost: its claims wait.
    fn insist_in_session(&self, arguments: &[&str], pending: &[i32]) -> Said {
        loop {
            let said = self.insist_through(arguments, &[0, 6], pending);
            if said.code == 0 {
                return said;
            }
            self.load.trouble();
            self.insist(&["resume", "--json"], &[0]);
        }
    }

    /// Runs the holder under a verb of the wrapper; whether it came to its end.
    fn wrapped(&self, verb: &[&str], holder: &[&str]) -> bool {
        // The same for all: a build is known by its command too.
        let journal = self.load.scene().journal("held");
        let journal = journal.to_str().expect("a path of text");
        let program = env!("CARGO_BIN_EXE_molt-holder");
        let begin = ["--wait", "20s", "--", program, "--journal", journal];
        let asked = [verb, &begin, holder].concat();
        // 120 not acquired, 121 lost and stopped, 122 unavailable, 137 stopped by the daemon.
        self.once(&asked, &[0], &[6, 10, 11, 120, 121, 122, 137, 143]).is_some()
    }

    pub(crate) fn locks(&self) {
        while !self.load.is_over() {
            let holder = ["--kind", "lock", "--what", "diff", "--millis", "30"];
            if self.wrapped(&["lock", "run", "diff"], &holder) {
                self.heard("lock", "diff", None);
            }
        }
    }

    pub(crate) fn slots(&self) {
        while !self.load.is_over() {
            if self.wrapped(&["slot", "run", "cargo"], &["--kind", "slot", "--millis", "30"]) {
                self.heard("slot", "cargo", None);
            }
        }
    }

    pub(crate) fn builds(&self) {
        let mut number = 1;
        while !self.load.is_over() {
            let fingerprint = format!("{number:08x}");
            let verb = ["build", "app", "--place", "all", "--fingerprint", &fingerprint];
            let holder = ["--kind", "build", "--what", &fingerprint, "--millis", "30"];
            if self.wrapped(&verb, &holder) {
                self.heard("build", &fingerprint, None);
                number += 1;
            }
        }
    }

    pub(crate) fn landings(&self) {
        self.insist_in_session(&["claim", "work", "--json"], &[]);
        for number in 0_u32.. {
            if self.load.is_over() {
                return;
            }
            let name = format!("work/{number}");
            self.agent.commit(&[(&name, "fine\n")], &name);
            let submitted = self.insist_in_session(&["submit", "--json"], &[]);
            let car = text(&submitted.document()["data"]["id"]);
            self.heard("submit", &car, None);
            if self.has_landed(&car) {
                self.heard("landing", &car, None);
            }
        }
    }

    /// Work for whoever is free, and whatever is there to be done.
    pub(crate) fn tasks(&self) {
        while !self.load.is_over() {
            let added =
                self.insist_in_session(&["task", "add", "mend it", "--scope", "c", "--json"], &[]);
            self.heard("add", &text(&added.document()["data"]["id"]), None);
            // 12: the other one has the scope.
            let taken = self.insist_in_session(&["next", "--wait", "10s", "--json"], &[12]);
            let task = taken.document()["data"].clone();
            let (id, claim) = (text(&task["id"]), &task["claim"]);
            let fence = text(&claim["fence"]);
            self.heard("task", &id, Some(&fence));
            let (kind, what) = ("claim".to_owned(), "c".to_owned());
            self.write(Sign::Lives(Holding { kind, what, by: text(&claim["id"]), fence }));
            self.insist_in_session(&["task", "done", &id, "--json"], &[]);
            self.heard("done", &id, None);
        }
    }

    /// Waits for the end of a change. A good one is never sent away.
    fn has_landed(&self, car: &str) -> bool {
        let asked = ["gate", "wait", car, "--wait", "20s", "--json"];
        let said = until(&format!("{car} lands"), || {
            let said = self.once(&asked, &[0, 7], &[5, 6, 10, 11])?;
            let pending = said.code == 7 && said.document()["data"]["phase"] != "ejected";
            (!pending).then_some(said)
        });
        if said.code != 0 {
            let complaint = format!("{car} did not land: {}", said.document()["data"]["detail"]);
            println!("{complaint}");
            self.load.complain(complaint);
        }
        said.code == 0
    }
}

fn text(field: &Value) -> String {
    field.as_str().expect("text").to_owned()
}
