//! The audit told once more, by car, run and claim, with what is odd in the telling itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Report;
use super::audit::{Audit, Event, Fence, Finished, Overridden, Proof, Step};

/// What the audit tells.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Where the train found the branch.
    pub(super) first: Option<(String, String)>,
    /// The cars by id.
    pub(super) cars: BTreeMap<String, Car>,
    /// The runs that ended, in order.
    pub(super) runs: Vec<At<Finished>>,
    /// The landings in order.
    pub(super) landings: Vec<At<Step>>,
    /// What persons answer for, in order.
    pub(super) overrides: Vec<At<Overridden>>,
    /// The board time of the entry that is told, in milliseconds.
    now: u64,
    claims: BTreeMap<String, Claim>,
    /// The heads that maintainers looked at, by pull request; a new head has none.
    looked: BTreeMap<u64, BTreeSet<String>>,
    assigned: BTreeSet<(String, String, u32)>,
    fence: Option<Fence>,
    read: Option<String>,
}

/// Something at its place in the audit.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) seq: u64,
    /// When, by the board's time, in milliseconds.
    pub(super) at: u64,
    pub(super) is: T,
}

/// A change in the train.
#[derive(Debug)]
pub(super) struct Car {
    pub(super) name: String,
    pub(super) head: String,
    /// The scopes that its claims held when it was proposed.
    pub(super) held: BTreeSet<String>,
    /// The paths that they held beside scopes.
    pub(super) globs: BTreeSet<String>,
    /// The claims among them that nobody announced.
    pub(super) silent: Vec<String>,
    pub(super) candidates: Vec<At<Candidate>>,
    pub(super) passes: Vec<At<Pass>>,
    pub(super) intents: Vec<At<Step>>,
    pub(super) ejections: Vec<String>,
    /// Whether its head comes from a fork.
    pub(super) fork: bool,
    /// The pull request that it is of, if it is of one.
    pub(super) pull: Option<u64>,
    /// The pull request that shows it, if one does.
    pub(super) shown: Option<u64>,
    /// The heads that a person approved.
    pub(super) approvals: Vec<At<String>>,
}

/// The commit that would land.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) base: String,
    pub(super) commit: String,
    pub(super) tree: String,
}

/// A gate that passed.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) gate: String,
    pub(super) commit: String,
    pub(super) tree: String,
    pub(super) proof: Option<Proof>,
}

#[derive(Debug)]
struct Claim {
    session: String,
    scopes: BTreeSet<String>,
    globs: BTreeSet<String>,
    announced: bool,
}

impl Book {
    /// Tells the audit by car, run and claim.
    pub(super) fn of(audit: &Audit, report: &mut Report) -> Self {
        let mut book = Self::default();
        for entry in &audit.entries {
            book.now = entry.at;
            match entry.event() {
                Ok(event) => book.take(entry.seq, &entry.actor, event, report),
                Err(error) => {
                    report.violation(format!("audit {}: {}: {error}", entry.seq, entry.what()));
                }
            }
        }
        if let Some(landed) = book.landings.last()
            && book.read.as_ref() != Some(&landed.is.commit)
        {
            report.violation(format!("{}: nobody read the base after it landed", landed.is.car));
        }
        book
    }

    fn take(&mut self, seq: u64, actor: &Value, event: Event, report: &mut Report) {
        let at = self.now;
        match event {
            Event::BaseRead { repo, branch, commit, tree, by } => {
                self.base(seq, (repo, branch, commit), &tree, &by, report);
            }
            Event::Claimed { claim, session, scopes, globs, fence } => {
                self.grow(seq, fence, report);
                let (none, no_globs) = (BTreeSet::new(), BTreeSet::new());
                let fresh = Claim { session, scopes: none, globs: no_globs, announced: false };
                let claim = self.claims.entry(claim).or_insert(fresh);
                claim.scopes.extend(scopes);
                claim.globs.extend(globs);
            }
            Event::Narrowed { claim, from, to, globs } => {
                if let Some(claim) = self.claims.get_mut(&claim) {
                    claim.scopes.remove(&from);
                    claim.scopes.extend(to);
                    claim.globs.extend(globs);
                }
            }
            Event::HandedOver { claim, to, fence } => {
                self.grow(seq, fence, report);
                if let Some(claim) = self.claims.get_mut(&claim) {
                    claim.session = to;
                }
            }
            Event::Released { claim, scopes, globs } => {
                if let Some(claim) = self.claims.get_mut(&claim) {
                    claim.scopes.retain(|scope| !scopes.contains(scope));
                    claim.globs.retain(|glob| !globs.contains(glob));
                }
            }
            Event::Lapsed { claim } | Event::Revoked { claim } => {
                if let Some(claim) = self.claims.get_mut(&claim) {
                    claim.scopes.clear();
                    claim.globs.clear();
                }
            }
            Event::Announced { claim } => {
                if let Some(claim) = self.claims.get_mut(&claim) {
                    claim.announced = true;
                }
            }
            Event::LockGranted { fence } => self.grow(seq, fence, report),
            Event::JobAssigned { job, host, attempt } => {
                self.assigned.insert((job, host, attempt));
            }
            Event::JobFinished(run) => self.finished(seq, actor, run, report),
            Event::Submitted { car, session, pull, name, head, scopes, globs, origin } => {
                if session.is_some() == pull.is_some() {
                    report.violation(format!("audit {seq}: {car} is not of one proposer"));
                }
                self.submitted(seq, &car, (session, name, head), (&scopes, &globs), report);
                let fork = origin.get("fork").is_some();
                self.of_car(seq, &car, report, |car| (car.fork, car.pull) = (fork, pull));
            }
            Event::Overridden(given) => self.overridden(seq, actor, given, report),
            Event::PullSeen { number } => drop(self.looked.remove(&number)),
            Event::PullOpened { number, car } => self.opened(seq, &car, number, report),
            Event::PullLooked { number, look } => {
                if ["maintain", "admin"].contains(&look.right.as_str()) {
                    self.looked.entry(number).or_default().insert(look.head);
                }
            }
            Event::Approved { car, head } => self.approved(seq, actor, &car, head, report),
            Event::Ejected { car, ejection } => self.ejected(seq, &car, &ejection, report),
            Event::Landed(step) => self.landings.push(At { seq, at: self.now, is: step }),
            Event::Intended(step) => {
                self.grow(seq, step.fence, report);
                let car = step.car.clone();
                self.of_car(seq, &car, report, |car| car.intents.push(At { seq, at, is: step }));
            }
            Event::IntentWithdrawn { car, fence } => {
                self.of_car(seq, &car, report, |car| {
                    car.intents.retain(|intent| intent.is.fence != fence);
                });
            }
            Event::CandidateMade { car, base, commit, tree } => {
                let is = Candidate { base, commit, tree };
                self.of_car(seq, &car, report, |car| car.candidates.push(At { seq, at, is }));
            }
            Event::GatePassed { car, gate, commit, tree, proof } => {
                let is = Pass { gate, commit, tree, proof };
                self.of_car(seq, &car, report, |car| car.passes.push(At { seq, at, is }));
            }
            Event::Other => {}
        }
    }

    /// A person answers for red items of a run: an operator, or somebody at the forge, of whom the
    /// board says who it is; and never without a reason.
    fn overridden(&mut self, seq: u64, actor: &Value, given: Overridden, report: &mut Report) {
        let car = self.cars.get(&given.car);
        let at_forge = *actor == "coordinator"
            && car.is_some_and(|car| car.pull.or(car.shown).is_some())
            && given.by.starts_with('@');
        if !at_forge && actor.get("operator").is_none() {
            report.violation(format!("audit {seq}: {} was overridden by {actor}", given.car));
        }
        let found = self.runs.iter().any(|run| {
            (&run.is.job, &run.is.gate) == (&given.job, &given.gate)
                && run.is.finding.class == "failed"
                && given.items.is_subset(&run.is.finding.red)
        });
        let is_of_head = car.is_some_and(|car| car.head == given.head);
        if !found || !is_of_head || given.reason.trim().is_empty() {
            let Overridden { car, gate, .. } = &given;
            report.violation(format!("audit {seq}: {gate} of {car} was overridden amiss"));
        }
        self.overrides.push(At { seq, at: self.now, is: given });
    }

    /// A session's change is shown by one pull request, and that shows no other change.
    fn opened(&mut self, seq: u64, id: &str, number: u64, report: &mut Report) {
        if self.cars.get(id).is_some_and(|car| car.pull.or(car.shown).is_some()) {
            report.violation(format!("audit {seq}: a second pull request was opened for {id}"));
        }
        if self.cars.values().any(|car| car.shown == Some(number)) {
            report.violation(format!("audit {seq}: pull request {number} was opened twice"));
        }
        self.of_car(seq, id, report, |car| car.shown = Some(number));
    }

    /// A person lets a head go on: an operator, or a maintainer who looked at it at the forge.
    fn approved(&mut self, seq: u64, actor: &Value, id: &str, head: String, report: &mut Report) {
        let pull = self.cars.get(id).and_then(|car| car.pull.or(car.shown));
        let looked = pull.and_then(|number| self.looked.get(&number));
        let at_forge = *actor == "coordinator" && looked.is_some_and(|heads| heads.contains(&head));
        if !at_forge && actor.get("operator").is_none() {
            report.violation(format!("audit {seq}: {id} was approved by {actor}"));
        }
        let at = self.now;
        self.of_car(seq, id, report, |car| car.approvals.push(At { seq, at, is: head }));
    }

    fn of_car(&mut self, seq: u64, id: &str, report: &mut Report, change: impl FnOnce(&mut Car)) {
        match self.cars.get_mut(id) {
            Some(car) => change(car),
            None => report.violation(format!("audit {seq}: {id} was never submitted")),
        }
    }

    fn base(
        &mut self,
        seq: u64,
        (repo, branch, commit): (String, String, String),
        tree: &str,
        by: &str,
        report: &mut Report,
    ) {
        match (by, &self.first) {
            ("first", None) => self.first = Some((format!("{repo} {branch}"), commit.clone())),
            ("first", Some((known, _))) if *known != format!("{repo} {branch}") => {
                report.violation(format!(
                    "audit {seq}: it tells of {repo} {branch} beside {known}: one is verified at a time"
                ));
            }
            ("landing", Some(_)) => {
                let landed = self.landings.last().map(|at| (&at.is.commit, at.is.tree.as_str()));
                if landed != Some((&commit, tree)) {
                    report.violation(format!(
                        "audit {seq}: the base is {commit}, which did not land"
                    ));
                }
            }
            _ => report.violation(format!(
                "audit {seq}: {branch} was moved to {commit} past the train (read as {by})"
            )),
        }
        self.read = Some(commit);
    }

    fn grow(&mut self, seq: u64, fence: Fence, report: &mut Report) {
        if self.fence.is_some_and(|last| fence <= last) {
            report.violation(format!("audit {seq}: the fence goes back to {}", fence.n));
        }
        self.fence = self.fence.max(Some(fence));
    }

    fn finished(&mut self, seq: u64, actor: &Value, run: Finished, report: &mut Report) {
        let Finished { job, host, attempt, .. } = &run;
        if !self.assigned.contains(&(job.clone(), host.clone(), *attempt)) {
            let problem = format!("audit {seq}: {job} ended on {host}, which was not given it");
            report.violation(problem);
        }
        let by_host = *actor == json!({ "host": host });
        if run.finding.class == "passed" && !by_host {
            report.violation(format!("audit {seq}: {job} passed on {host}, which did not say so"));
        }
        self.runs.push(At { seq, at: self.now, is: run });
    }

    fn submitted(
        &mut self,
        seq: u64,
        id: &str,
        (session, name, head): (Option<String>, String, String),
        (scopes, paths): (&BTreeSet<String>, &BTreeSet<String>),
        report: &mut Report,
    ) {
        let own = self.claims.iter().filter(|(_, claim)| {
            let named = !claim.scopes.is_disjoint(scopes) || !claim.globs.is_disjoint(paths);
            session.as_ref() == Some(&claim.session) && named
        });
        let (mut held, mut globs) = (BTreeSet::new(), BTreeSet::new());
        let mut silent = Vec::new();
        for (claim, Claim { scopes, globs: paths, announced, .. }) in own {
            held.extend(scopes.iter().cloned());
            globs.extend(paths.iter().cloned());
            if !announced {
                silent.push(claim.clone());
            }
        }
        let missing = scopes.difference(&held).chain(paths.difference(&globs));
        if let Some(scope) = missing.into_iter().next() {
            report.violation(format!(
                "audit {seq}: {id} rests on {scope}, which {name} did not hold"
            ));
        }
        let car = Car {
            name,
            head,
            held,
            globs,
            silent,
            candidates: Vec::new(),
            passes: Vec::new(),
            intents: Vec::new(),
            ejections: Vec::new(),
            fork: false,
            pull: None,
            shown: None,
            approvals: Vec::new(),
        };
        if self.cars.insert(id.to_owned(), car).is_some() {
            report.violation(format!("audit {seq}: {id} was submitted twice"));
        }
    }

    /// An ejection must tell its reason, and a run that failed must have ended so.
    fn ejected(&mut self, seq: u64, id: &str, ejection: &Value, report: &mut Report) {
        let text = |key: &str| ejection[key].as_str().unwrap_or_default();
        let some = |key: &str| ejection[key].as_array().is_some_and(|list| !list.is_empty());
        let told = match text("why") {
            "gate-failed" => {
                let run = self.runs.iter().any(|run| {
                    run.is.job == text("job")
                        && run.is.gate == text("gate")
                        && (run.is.finding.class != "passed" || text("class") == "vacuous")
                });
                run && (some("red") || !text("note").is_empty() || text("class") != "failed")
            }
            "conflict-base" | "scope-escape" => {
                some("paths") || ejection["count"].as_u64() > Some(0)
            }
            "approval-missing" => !text("reason").is_empty(),
            "unmergeable" => !text("detail").is_empty(),
            "head-moved" => !text("now").is_empty(),
            "hindered" => !text("code").is_empty() && !text("what").is_empty(),
            "announcement-missing" | "policy-change" | "dequeued" | "superseded" | "closed" => true,
            _ => false,
        };
        if !told {
            report.violation(format!("audit {seq}: {id} was ejected without a reason: {ejection}"));
        }
        let reason = match text("why") {
            "gate-failed" => text("gate").to_owned(),
            why => why.to_owned(),
        };
        self.of_car(seq, id, report, |car| car.ejections.push(reason));
    }
}
