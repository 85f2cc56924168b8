//! What is added, in which order, and what is not.

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::scope::{ScopeName, nearest};
use molt_proto::v1;
use molt_proto::view::MAX_ROWS;

use super::source::{At, Draft, Found, Remark};
use crate::ui::{cut, plain};

/// At most so many tasks come from one file.
pub(super) const MAX_TASKS: usize = 1000;

/// What the rules allow of each text, in bytes.
const TITLE_BYTES: usize = 200;
const BODY_BYTES: usize = 16 * 1024;
const ACCEPTANCE_BYTES: usize = 4096;

/// What is to be done about a file. Nothing is, if it has faults.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order in which they are added: what is needed comes first.
    pub(super) steps: Vec<Step>,
    pub(super) skipped: Vec<Remark>,
    pub(super) notes: Vec<Remark>,
    pub(super) faults: Vec<Remark>,
}

/// A task to be added.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) draft: Draft,
    pub(super) needs: Vec<Need>,
}

/// A task that must be done before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// One that is on the board, by id.
    Known(String),
    /// One of an earlier step.
    Step(usize),
}

/// What a name in a file stands for.
#[derive(Debug, Clone)]
enum Meant {
    Known(String),
    /// The draft at this place among those that are new.
    Draft(usize),
}

impl Plan {
    /// A plan for what was found, where the board has `tasks` and `scopes`.
    pub(super) fn new(mut found: Found, tasks: &[v1::TaskView], scopes: &[String]) -> Self {
        let drafts = std::mem::take(&mut found.drafts);
        if drafts.len() > MAX_TASKS {
            let count = drafts.len();
            found.fault(At::File, format!("{count} tasks, the limit of one file is {MAX_TASKS}"));
        }
        if tasks.len() >= MAX_ROWS {
            found.note(
                At::File,
                format!("the board shows {MAX_ROWS} tasks: others may be repeated"),
            );
        }
        let drafts = drafts.into_iter().map(|draft| fitted(draft, &mut found)).collect();
        let (new, names) = fresh(drafts, tasks, &mut found);
        for draft in &new {
            known_scopes(draft, scopes, &mut found);
        }
        let needs: Vec<Vec<Meant>> =
            new.iter().map(|draft| meant(draft, &names, tasks, &mut found)).collect();
        let steps = in_order(new, &needs, &mut found);
        let Found { mut skipped, mut notes, mut faults, .. } = found;
        skipped.sort();
        notes.sort();
        faults.sort();
        Self { steps, skipped, notes, faults }
    }
}

/// The draft as the rules allow it.
fn fitted(mut draft: Draft, found: &mut Found) -> Draft {
    let at = draft.at;
    let title = plain(draft.title.trim());
    if title.is_empty() {
        found.fault(at, "a task without a title");
    }
    if title.len() > TITLE_BYTES {
        found.note(at, format!("its title is cut to {TITLE_BYTES} bytes: the body has all of it"));
        draft.body = format!("{title}\n\n{}", draft.body);
    }
    draft.title = cut(&title, TITLE_BYTES);
    let mut shorten = |what: &str, text: &mut String, limit: usize| {
        if text.len() > limit {
            found.note(at, format!("its {what} is cut from {} to {limit} bytes", text.len()));
            *text = cut(text, limit);
        }
    };
    shorten("body", &mut draft.body, BODY_BYTES);
    shorten("acceptance", &mut draft.acceptance, ACCEPTANCE_BYTES);
    draft
}

/// The drafts that are new, and what each name and title of the file stands for.
fn fresh(
    drafts: Vec<Draft>,
    tasks: &[v1::TaskView],
    found: &mut Found,
) -> (Vec<Draft>, BTreeMap<String, Meant>) {
    let mut new: Vec<Draft> = Vec::new();
    let mut names: BTreeMap<String, Meant> = BTreeMap::new();
    for draft in drafts {
        let there = tasks.iter().find(|task| task.title == draft.title);
        let earlier = new.iter().position(|other| other.title == draft.title);
        let meant = match (there, earlier) {
            (Some(task), _) => {
                found.skip(draft.at, format!("{}: there as {}", draft.title, task.id));
                Meant::Known(task.id.clone())
            }
            (None, Some(earlier)) => {
                let other = new[earlier].at;
                let same = Draft { at: other, name: new[earlier].name.clone(), ..draft.clone() };
                let how = if same == new[earlier] { "repeats" } else { "has the title of" };
                found.skip(draft.at, format!("{}: {how} {other}", draft.title));
                Meant::Draft(earlier)
            }
            (None, None) => Meant::Draft(new.len()),
        };
        if let Some(name) = &draft.name
            && names.insert(name.clone(), meant.clone()).is_some()
        {
            found.fault(draft.at, format!("`{name}` names two tasks"));
        }
        if matches!(meant, Meant::Draft(place) if place == new.len()) {
            new.push(draft);
        }
    }
    (new, names)
}

fn known_scopes(draft: &Draft, scopes: &[String], found: &mut Found) {
    for name in &draft.scopes {
        match name.parse::<ScopeName>() {
            Err(error) => found.fault(draft.at, error.to_string()),
            Ok(_) if scopes.contains(name) => {}
            Ok(_) => {
                let near = near(name, scopes.iter().map(String::as_str));
                found.fault(draft.at, format!("no scope `{name}`{near}"));
            }
        }
    }
}

/// What a draft needs: by the name of another draft, or by id.
fn meant(
    draft: &Draft,
    names: &BTreeMap<String, Meant>,
    tasks: &[v1::TaskView],
    found: &mut Found,
) -> Vec<Meant> {
    let mut needs = Vec::new();
    for need in &draft.needs {
        let known = tasks.iter().find(|task| task.id == *need);
        match (names.get(need), known) {
            (Some(meant), _) => needs.push(meant.clone()),
            (None, Some(task)) => needs.push(Meant::Known(task.id.clone())),
            (None, None) => {
                let near = near(need, names.keys().map(String::as_str));
                found.fault(draft.at, format!("it needs `{need}`, which is no task{near}"));
            }
        }
    }
    needs
}

fn near<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(name, candidates);
    near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"))
}

/// Steps in the order of the file, except that what is needed comes first.
fn in_order(drafts: Vec<Draft>, needs: &[Vec<Meant>], found: &mut Found) -> Vec<Step> {
    let mut left: BTreeSet<usize> = (0..drafts.len()).collect();
    // The place of each draft among the steps.
    let mut placed: BTreeMap<usize, usize> = BTreeMap::new();
    let mut order: Vec<(usize, Vec<Need>)> = Vec::new();
    let step = |place: usize, placed: &BTreeMap<usize, usize>| -> Option<Vec<Need>> {
        let needs = needs[place].iter().map(|need| match need {
            Meant::Known(id) => Some(Need::Known(id.clone())),
            Meant::Draft(other) => placed.get(other).map(|&at| Need::Step(at)),
        });
        needs.collect()
    };
    while let Some((place, needs)) =
        left.iter().find_map(|&place| step(place, &placed).map(|needs| (place, needs)))
    {
        left.remove(&place);
        placed.insert(place, order.len());
        order.push((place, needs));
    }
    for &place in &left {
        let draft = &drafts[place];
        let needs = draft.needs.join(", ");
        found.fault(draft.at, format!("{}: its needs ({needs}) go round in a circle", draft.title));
    }
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    let steps = order.into_iter().filter_map(|(place, needs)| {
        let draft = drafts[place].take()?;
        Some(Step { draft, needs })
    });
    steps.collect()
}
