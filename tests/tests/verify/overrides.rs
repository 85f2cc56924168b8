//! What a person answers for holds, and what nobody answers for is found.

use super::{Report, Story, Told, Value, found, job, json};

/// How long failures that landed are answered for, in milliseconds.
const WEEK: u64 = 7 * 24 * 3600 * 1000;

/// What stands beside a run that passed although it failed.
struct Failure {
    car: u64,
    gate: &'static str,
    job: String,
}

impl Failure {
    fn of(car: u64, gate: &'static str) -> Self {
        let job = match gate {
            "lint" => job(car, 1),
            "diff" => job(car, 2),
            // The second change has the inputs of the first.
            _ => job(1, 4),
        };
        Self { car, gate, job }
    }

    fn car(&self) -> String {
        format!("car_000{}", self.car)
    }
}

impl Story {
    /// A gate's run finds these red, and passes all the same.
    fn fail(&mut self, failure: &Failure, red: &[&str]) {
        let run = self.event("job_finished", |event| event["job"] == failure.job.as_str());
        let finding = &mut run["finding"];
        finding["class"] = json!("failed");
        finding["exit"] = json!(1);
        finding["red"] = json!(red);
        finding["red_count"] = json!(red.len());
        let car = failure.car();
        let pass = |event: &Value| event["gate"] == failure.gate && event["car"] == car.as_str();
        self.event("gate_passed", pass)["proof"]["forgiven"] = json!(red.len());
    }

    /// Where a gate of a car passes in what is told.
    fn pass(&self, failure: &Failure) -> usize {
        let car = failure.car();
        let at = self.told.iter().position(|Told { event, .. }| {
            event["what"] == "gate_passed" && event["gate"] == failure.gate && event["car"] == *car
        });
        at.expect("it passes")
    }

    /// Somebody answers for items just before the gate passes.
    fn answer(&mut self, failure: &Failure, items: &[&str]) -> &mut Told {
        let car = failure.car();
        let submitted = self.event("submitted", |event| event["car"] == car.as_str());
        let head = submitted["head"].clone();
        let event = json!({
            "what": "overridden", "car": car, "name": "ann", "head": head, "gate": failure.gate,
            "job": failure.job, "items": items, "by": "operator pat", "reason": "it flakes"
        });
        let (at, actor) = (self.pass(failure), json!({"operator": "pat"}));
        self.told.insert(at, Told { actor, event });
        &mut self.told[at]
    }
}

/// A story in which a person answered for what `diff` found red of the second change.
fn answered(red: &[&str], items: &[&str]) -> Story {
    let (mut story, failure) = (Story::new(), Failure::of(2, "diff"));
    story.fail(&failure, red);
    story.answer(&failure, items);
    story
}

#[track_caller]
fn holds(report: &Report) {
    assert_eq!(report.violations(), [] as [&str; 0]);
}

#[test]
fn red_items_that_a_person_answers_for_hold() {
    holds(&answered(&["worse"], &["worse"]).verify());
    holds(&answered(&["worse", "bad"], &["worse", "bad"]).verify());
    // The base has the rest.
    holds(&answered(&["known", "worse"], &["worse"]).verify());
}

#[test]
fn red_items_that_nobody_answers_for_are_found() {
    let mut story = answered(&["worse"], &["worse"]);
    story.drop_event("overridden", |_| true);
    found(&story.verify(), "diff by job_0022: red items that are not known of the base");
    let mut story = answered(&["bad", "known", "worse"], &["worse"]);
    found(&story.verify(), "nobody answers for: bad");
    // The word of somebody for one change is none for another, nor for another gate.
    story.event("overridden", |_| true)["car"] = json!("car_0003");
    found(&story.verify(), "nobody answers for: bad known worse");
    let mut story = answered(&["worse"], &["worse"]);
    story.event("overridden", |_| true)["gate"] = json!("spell");
    found(&story.verify(), "nobody answers for: worse");
}

#[test]
fn a_word_after_the_pass_is_found() {
    let mut story = answered(&["worse"], &["worse"]);
    let at = story.pass(&Failure::of(2, "diff"));
    story.told.swap(at, at - 1);
    found(&story.verify(), "nobody answers for: worse");
}

#[test]
fn an_override_by_an_agent_is_found() {
    let agent = json!({"session": {"id": "ses_0002", "name": "ann"}});
    for actor in [agent, json!({"host": "h1"}), json!("coordinator")] {
        let (mut story, failure) = (Story::new(), Failure::of(2, "diff"));
        story.fail(&failure, &["worse"]);
        story.answer(&failure, &["worse"]).actor = actor.clone();
        found(&story.verify(), &format!("car_0002 was overridden by {actor}"));
    }
}

#[test]
fn an_override_amiss_is_found() {
    type Tamper = fn(&mut Value);
    let table: [Tamper; 5] = [
        |given| given["head"] = json!("9".repeat(40)),
        |given| given["reason"] = json!(" "),
        |given| given["job"] = json!("job_0021"),
        |given| given["job"] = json!("job_9999"),
        |given| given["items"] = json!(["worse", "of no run"]),
    ];
    for tamper in table {
        let mut story = answered(&["worse"], &["worse"]);
        tamper(story.event("overridden", |_| true));
        found(&story.verify(), "diff of car_0002 was overridden amiss");
    }
}

/// The first change landed with a failure that a person answered for, and the second has it too.
fn of_the_base() -> Story {
    let (mut story, first) = (Story::new(), Failure::of(1, "spell"));
    story.fail(&first, &["worse"]);
    story.answer(&first, &["worse"]);
    story.fail(&Failure::of(2, "spell"), &["worse"]);
    story
}

#[test]
fn an_expired_override_is_found() {
    let mut story = of_the_base();
    holds(&story.verify());
    let landed = story.told.iter().position(|told| told.event["what"] == "landed");
    let landed = landed.expect("the first lands");
    let between = (story.pass(&Failure::of(2, "spell")) - landed) as u64 * 10;
    story.pause = (landed + 1, WEEK - between - 1);
    holds(&story.verify());
    story.pause.1 += 1;
    found(&story.verify(), "car_0002 of ann: spell by job_0014: red items");
}

#[test]
fn a_run_that_names_no_items_is_answered_for_alone() {
    let lint = |n| Failure::of(n, "lint");
    let mut story = Story::new();
    story.fail(&lint(2), &["lint"]);
    story.answer(&lint(2), &[]);
    holds(&story.verify());
    // Its one item is the gate, so a word for it would be a word for every failure.
    story.event("overridden", |_| true)["items"] = json!(["lint"]);
    found(&story.verify(), "lint by job_0021: red items that are not known of the base");
    let mut story = Story::new();
    for n in [1, 2] {
        story.fail(&lint(n), &["lint"]);
    }
    story.answer(&lint(1), &[]);
    found(&story.verify(), "car_0002 of ann: lint by job_0021: red items");
    let mut story = answered(&[], &[]);
    holds(&story.verify());
    story.drop_event("overridden", |_| true);
    found(&story.verify(), "it failed, and nobody answers for it");
}
