//! `gate`: what stands between a change and its landing.

use std::time::Duration;

use clap::{Args, Subcommand};
use molt_domain::id::CarId;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;

use super::args::span;
use super::context::{Acted, Context, unexpected};
use super::render;
use super::wait::{Until, car, follow};
use crate::error::{Error, Exit};
use crate::ui::{Answer, short};

/// The gates of a change: look, wait, run an interrupted one again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent gate show car_0007
  molt-agent gate wait car_0007 --wait 30m
  molt-agent gate retry car_0007")]
pub(super) struct Gate {
    #[command(subcommand)]
    what: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// How the gates stand; exit 7 unless the change has landed or all have passed.
    #[command(after_help = "Examples:\n  molt-agent gate show car_0007")]
    Show {
        /// The change.
        car: CarId,
    },
    /// Wait until it landed (0) or was ejected (7); exit 5 when the wait ends first.
    #[command(after_help = "Examples:\n  molt-agent gate wait car_0007 --wait 30m")]
    Wait {
        /// The change.
        car: CarId,
        /// Wait so long at most.
        #[arg(long, value_name = "DUR", default_value = "10m", value_parser = span)]
        wait: Duration,
    },
    /// Put an ejected change in again whose gate was interrupted.
    #[command(after_help = "Examples:\n  molt-agent gate retry car_0007")]
    Retry {
        /// The change.
        car: CarId,
    },
}

impl Gate {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = context.client()?;
        match self.what {
            Part::Show { car: id } => {
                let (car, rev) = car(context, &client, &id.to_string()).await?;
                Ok(shown(&car).rev(rev))
            }
            Part::Wait { car, wait } => {
                let (car, rev) =
                    follow(context, &client, &car.to_string(), Until::Ended, wait).await?;
                Ok(ended("gate", &car).rev(rev))
            }
            Part::Retry { car } => {
                let verb = Verb::Retry(v1::Retry { car: car.to_string() });
                let Acted { answer, rev } = context.act(&client, verb).await?;
                let place = match answer {
                    Reply::Submitted(place) => place,
                    Reply::Done(_) => v1::Queued { id: car.to_string(), ahead: 0 },
                    _ => return Err(unexpected("a place in the train")),
                };
                Ok(submitted("gate", &place).rev(rev))
            }
        }
    }
}

/// How a change stands with its gates.
fn shown(car: &v1::CarView) -> Answer {
    let passed = car.gates.iter().all(|gate| gate.state == "passed");
    let through = match car.phase.as_str() {
        "landed" => true,
        "open" => passed && !car.gates.is_empty(),
        _ => false,
    };
    let mut answer = Answer::new("gate", &car.state, car)
        .line("car", render::car(car))
        .line_if("pull", &car.pull)
        .line_if("detail", &car.detail);
    for gate in &car.gates {
        answer = answer.line("gate", render::gate(gate));
    }
    answer = answer.line_if("remedy", &car.remedy);
    if through { answer } else { answer.exits(Exit::Gate) }
}

/// Who has to do what, for a change that goes on only then; its place is kept meanwhile.
pub(super) fn withheld(verb: &str, car: &v1::CarView) -> Answer {
    let command =
        format!("molt-coordinator approve {} --head {} --reason WHY", car.id, short(&car.head));
    let mut data = serde_json::json!(car);
    // What the forge asks for, nobody here can say in its place.
    let here = car.needs != "forge";
    if here {
        data["approve"] = command.as_str().into();
    }
    Answer::new(verb, &car.state, data)
        .line("waiting", render::car(car))
        .line_if("pull", &car.pull)
        .line_if("detail", &car.detail)
        .line_if("remedy", &car.remedy)
        .line_if("operator", if here { command.as_str() } else { "" })
        .line("place", ["kept: others go ahead meanwhile"])
        .next(format!("molt-agent gate wait {} --wait 30m", car.id))
        .exits(Exit::Gate)
}

/// How a change ended, or how it stood when the wait ended.
pub(super) fn ended(verb: &str, car: &v1::CarView) -> Answer {
    let answer = Answer::new(verb, &car.state, car);
    match car.phase.as_str() {
        "landed" => {
            let commit = short(&car.commit).to_owned();
            answer
                .line("landed", [car.id.clone(), commit, car.title.clone()])
                .line_if("pull", &car.pull)
        }
        "open" => answer
            .line("waiting", render::car(car))
            .line_if("pull", &car.pull)
            .line_if("detail", &car.detail)
            .line_if("remedy", &car.remedy)
            .next(format!("molt-agent gate wait {} --wait 30m", car.id))
            .exits(Exit::Queued),
        _ => {
            let mut answer = answer
                .line("ejected", render::car(car))
                .line_if("pull", &car.pull)
                .line_if("reason", &car.detail);
            for gate in car.gates.iter().filter(|gate| gate.state == "failed") {
                answer = answer.line("gate", render::gate(gate));
            }
            answer
                .line_if("remedy", &car.remedy)
                .next(format!("molt-agent why {}", car.id))
                .exits(Exit::Gate)
        }
    }
}

/// That a change is in the train.
pub(super) fn submitted(verb: &str, place: &v1::Queued) -> Answer {
    Answer::new(verb, "submitted", place)
        .line("submitted", [place.id.clone(), format!("{} ahead", place.ahead)])
        .next(format!("molt-agent gate wait {} --wait 30m", place.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::wait::is_withheld;

    fn car(phase: &str, state: &str) -> v1::CarView {
        let gate = |name: &str, state: &str| v1::GateView {
            gate: name.to_owned(),
            state: state.to_owned(),
            ..v1::GateView::default()
        };
        let failed = v1::GateView {
            red: 3,
            green: 40,
            host: "build2".to_owned(),
            job: "job_0004".to_owned(),
            ..gate("test", "failed")
        };
        v1::CarView {
            id: "car_0007".to_owned(),
            head: "0123456789abcdef".to_owned(),
            agent: "codex-3".to_owned(),
            title: "fix".to_owned(),
            phase: phase.to_owned(),
            state: state.to_owned(),
            commit: "fedcba9876543210".to_owned(),
            gates: vec![gate("lint", "passed"), failed],
            ..v1::CarView::default()
        }
    }

    #[test]
    fn an_ejection_names_gate_reason_and_remedy() {
        let ejected = v1::CarView {
            detail: "gate-failed: test failed, 3 red".to_owned(),
            remedy: "mend what the gate found, submit the new head".to_owned(),
            ..car("ejected", "gate-failed")
        };
        let answer = ended("submit", &ejected);
        assert_eq!(answer.exit(), Exit::Gate);
        assert_eq!(
            answer.text(),
            "ejected  car_0007  gate-failed  0123456789  codex-3  fix\n\
             reason   gate-failed: test failed, 3 red\n\
             gate     test  failed  40 green, 3 red  build2  job_0004\n\
             remedy   mend what the gate found, submit the new head\n\
             next     molt-agent why car_0007\n"
        );
        assert!(answer.json().contains("\"schema\":\"molt.submit/1\",\"ok\":false"));
    }

    #[test]
    fn each_end_has_its_code() {
        assert_eq!(
            ended("gate", &car("landed", "landed")).text(),
            "landed   car_0007  fedcba9876  fix\n"
        );
        let table = [("landed", 0), ("ejected", 7), ("open", 5)];
        for (phase, code) in table {
            assert_eq!(ended("gate", &car(phase, "x")).exit().code(), code, "{phase}");
        }
    }

    #[test]
    fn who_must_approve_is_told_at_once_and_the_place_is_kept() {
        let withheld_car = v1::CarView {
            detail: "it changes molt.toml, which the policy protects".to_owned(),
            remedy: "ask an operator to look at this head and approve it".to_owned(),
            ..car("open", "policy-change")
        };
        assert!(is_withheld(&withheld_car) && is_withheld(&car("open", "approval-missing")));
        assert!(!is_withheld(&car("open", "building")) && !is_withheld(&car("landed", "landed")));
        // A claim that was taken away ejects with the same word.
        assert!(!is_withheld(&car("ejected", "approval-missing")));
        let answer = withheld("submit", &withheld_car);
        assert_eq!(answer.exit().code(), 7);
        assert_eq!(
            answer.text(),
            "waiting  car_0007  policy-change  0123456789  codex-3  fix\n\
             detail   it changes molt.toml, which the policy protects\n\
             remedy   ask an operator to look at this head and approve it\n\
             operator molt-coordinator approve car_0007 --head 0123456789 --reason WHY\n\
             place    kept: others go ahead meanwhile\n\
             next     molt-agent gate wait car_0007 --wait 30m\n"
        );
        let approve = "molt-coordinator approve car_0007 --head 0123456789 --reason WHY";
        assert!(answer.json().contains(&format!("\"approve\":\"{approve}\"")));
    }

    #[test]
    fn what_waits_for_the_forge_is_nobodys_here_to_approve() {
        let waiting = v1::CarView {
            detail: "0 of 1 approvals of this head".to_owned(),
            remedy: "mend that at the forge: it goes on by itself".to_owned(),
            pull: "https://forge.example/pull/17".to_owned(),
            needs: "forge".to_owned(),
            ..car("open", "approval-missing")
        };
        let answer = withheld("submit", &waiting);
        assert_eq!(
            answer.text(),
            "waiting  car_0007  approval-missing  0123456789  codex-3  fix\n\
             pull     https://forge.example/pull/17\n\
             detail   0 of 1 approvals of this head\n\
             remedy   mend that at the forge: it goes on by itself\n\
             place    kept: others go ahead meanwhile\n\
             next     molt-agent gate wait car_0007 --wait 30m\n"
        );
        assert!(!answer.json().contains("approve\":"), "{}", answer.json());
    }

    #[test]
    fn looking_at_gates_that_fail_or_wait_is_no_success() {
        assert_eq!(shown(&car("open", "building")).exit(), Exit::Gate);
        assert_eq!(shown(&car("landed", "landed")).exit(), Exit::Ok);
        let mut passed = car("open", "ready");
        passed.gates.truncate(1);
        assert_eq!(shown(&passed).exit(), Exit::Ok);
        passed.gates.clear();
        assert_eq!(shown(&passed).exit(), Exit::Gate, "no gate has passed yet");
    }
}
