//! `queue`: the changes on their way, in the order in which they land.

use clap::Args;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;
use molt_proto::v1::{self, Empty};

use super::context::{Context, unexpected};
use super::render;
use crate::error::Error;
use crate::ui::Answer;

/// The changes on their way, in the order in which they land.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent queue
  molt-agent queue --json")]
pub(super) struct Queue {}

impl Queue {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let view = context.read(&context.client()?, What::Queue(Empty {})).await?;
        match view.view {
            Some(View::Cars(cars)) => Ok(listed(&cars).rev(view.rev)),
            _ => Err(unexpected("the train")),
        }
    }
}

fn listed(cars: &v1::Cars) -> Answer {
    let answer = Answer::new("queue", "queue", cars);
    match cars.cars.is_empty() {
        true => answer.line("queue", ["empty"]),
        false => cars.cars.iter().fold(answer, |answer, car| answer.line("car", render::car(car))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cars_stand_in_their_order() {
        let car = |id: &str| v1::CarView {
            id: id.to_owned(),
            state: "building".to_owned(),
            head: "0123456789abcdef".to_owned(),
            agent: "codex-3".to_owned(),
            title: "fix".to_owned(),
            ..v1::CarView::default()
        };
        assert_eq!(
            listed(&v1::Cars { cars: vec![car("car_0002"), car("car_0001")] }).text(),
            "car      car_0002  building  0123456789  codex-3  fix\n\
             car      car_0001  building  0123456789  codex-3  fix\n"
        );
        assert_eq!(listed(&v1::Cars::default()).text(), "queue    empty\n");
    }
}
