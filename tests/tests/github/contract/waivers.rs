//! Where GitHub itself departs from its description, as seen in recordings and examples.
//!
//! Only what GitHub has said is excused by this; the simulator is not.

use serde::Deserialize;

use super::Violation;

const WAIVERS: &str = include_str!("../data/waivers.json");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waivers {
    pub(crate) recordings: Vec<Waiver>,
    /// `METHOD /template` of each operation whose own example breaks its own schema.
    pub(crate) examples: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waiver {
    /// Any operation if there is none.
    operation: Option<String>,
    /// As in [`Violation::place`], with `*` for one segment; anywhere if there is none.
    place: Option<String>,
    /// What the violation's text must hold.
    what: String,
    /// The waiver is for recordings that are older than this day.
    before: Option<String>,
    /// Why GitHub's answer is as it is.
    #[serde(rename = "because")]
    _because: String,
}

impl Waivers {
    pub(crate) fn load() -> Self {
        serde_json::from_str(WAIVERS).expect("the waivers are JSON of this shape")
    }
}

impl Waiver {
    /// Whether it excuses this violation in a recording of that day.
    pub(crate) fn covers(&self, violation: &Violation, day: &str) -> bool {
        self.operation.as_ref().is_none_or(|operation| *operation == violation.operation)
            && self.place.as_ref().is_none_or(|place| fits(place, &violation.place))
            && self.before.as_ref().is_none_or(|before| day < before.as_str())
            && violation.what.contains(&self.what)
    }
}

fn fits(pattern: &str, place: &str) -> bool {
    let (pattern, place) = (pattern.split('/'), place.split('/'));
    pattern.clone().count() == place.clone().count()
        && pattern.zip(place).all(|(pattern, part)| pattern == "*" || pattern == part)
}
