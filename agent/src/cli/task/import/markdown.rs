//! Tasks from a list of boxes: `- [ ] title`, and what is indented below it.

use super::source::{At, Draft, Found};
use crate::ui::cut;

/// How far a line is indented that belongs to the item above it.
const BODY_INDENT: usize = 2;

/// How much of a line is repeated in a remark.
const SHOWN_BYTES: usize = 80;

/// The item that lines belong to.
enum Item {
    Open(Draft),
    /// It is done, with all that is below it.
    Over,
}

pub(super) fn read(text: &str, found: &mut Found) {
    let mut item: Option<Item> = None;
    let mut fence = None;
    for (at, line) in (1..).map(At::Line).zip(text.lines()) {
        let (indent, rest) = indented(line);
        let is_fence = rest.starts_with("```") || rest.starts_with("~~~");
        if fence.is_some() || (is_fence && indent < BODY_INDENT) {
            if fence.is_none() {
                close(&mut item, found);
                found.note(at, "a block of code is left out");
            }
            if is_fence && indent < BODY_INDENT {
                fence = if fence.is_some() { None } else { Some(at) };
            }
            continue;
        }
        match (boxed(rest), &mut item) {
            (Some((mark, title)), _) if indent < BODY_INDENT => {
                close(&mut item, found);
                item = Some(begun(at, mark, title, found));
            }
            (nested, Some(Item::Open(draft))) if indent >= BODY_INDENT || rest.is_empty() => {
                if nested.is_some() {
                    found.note(at, "a box in a box is kept in the body of the task above");
                }
                draft.body.push_str(line);
                draft.body.push('\n');
            }
            (_, Some(Item::Over)) if indent >= BODY_INDENT => {}
            _ if rest.is_empty() => {}
            _ => {
                close(&mut item, found);
                found.note(at, format!("no task, left out: {}", cut(rest, SHOWN_BYTES)));
            }
        }
    }
    close(&mut item, found);
    if let Some(at) = fence {
        found.fault(at, "a block of code begins here and never ends");
    }
}

fn begun(at: At, mark: char, title: &str, found: &mut Found) -> Item {
    match mark {
        'x' | 'X' => {
            found.skip(at, format!("done: {}", cut(title, SHOWN_BYTES)));
            return Item::Over;
        }
        ' ' => {}
        mark => found.note(at, format!("unknown mark [{mark}]: taken as not done")),
    }
    Item::Open(Draft { at, title: title.to_owned(), ..Draft::default() })
}

fn close(item: &mut Option<Item>, found: &mut Found) {
    if let Some(Item::Open(mut draft)) = item.take() {
        draft.body = outdented(&draft.body);
        found.drafts.push(draft);
    }
}

/// The lines without the indent that they have in common.
fn outdented(body: &str) -> String {
    let full = || body.lines().filter(|line| !line.trim().is_empty());
    let common = full().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    let lines: Vec<&str> = body.lines().map(|line| line.get(common..).unwrap_or("")).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// How far a line is indented, a tab as four, and the rest of it.
fn indented(line: &str) -> (usize, &str) {
    let rest = line.trim_start();
    let space = &line[..line.len() - rest.len()];
    (space.chars().map(|c| if c == '\t' { 4 } else { 1 }).sum(), rest.trim_end())
}

/// The mark and the title of an item with a box.
fn boxed(line: &str) -> Option<(char, &str)> {
    let rest = line.strip_prefix(['-', '*', '+'])?.strip_prefix([' ', '\t'])?;
    let rest = rest.trim_start().strip_prefix('[')?;
    let mark = rest.chars().next()?;
    let rest = rest[mark.len_utf8()..].strip_prefix(']')?;
    match rest.chars().next() {
        None | Some(' ' | '\t') => Some((mark, rest.trim())),
        Some(_) => None,
    }
}
