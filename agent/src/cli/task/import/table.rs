//! Tasks from TOML: tables `[[task]]`.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::{At, Draft, Found, line_of};

/// A value and where it is.
type Value<'a> = Spanned<DeValue<'a>>;

pub(super) fn read(text: &str, found: &mut Found) {
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let at = error.span().map_or(At::File, |span| line_of(text, span.start));
            found.fault(at, error.message().replace('\n', " "));
            return;
        }
    };
    for (key, value) in root.get_ref() {
        let at = line_of(text, key.span().start);
        let tasks = value.get_ref().as_array().filter(|_| key.get_ref() == "task");
        match tasks {
            Some(tasks) => tasks.iter().for_each(|value| task(text, value, found)),
            None if key.get_ref() == "task" => {
                found.fault(at, "`task` is no list of tables: write [[task]]");
            }
            None => found.note(at, format!("unknown key `{}`: left out", key.get_ref())),
        }
    }
    // The tables of a document come in the order of their keys.
    found.drafts.sort_by_key(|draft| draft.at);
}

fn task(text: &str, value: &Value<'_>, found: &mut Found) {
    let at = line_of(text, value.span().start);
    let Some(table) = value.get_ref().as_table() else {
        found.fault(at, "a task is no table: write [[task]]");
        return;
    };
    let mut draft = Draft { at, ..Draft::default() };
    for (key, value) in table {
        let at = line_of(text, key.span().start);
        let wrong = |wanted: &str| format!("`{}` is no {wanted}", key.get_ref());
        let fits = match key.get_ref().as_ref() {
            "name" => self::text(value).map(|text| draft.name = Some(text)).ok_or("text"),
            "title" => self::text(value).map(|text| draft.title = text).ok_or("text"),
            "body" => self::text(value).map(|text| draft.body = text).ok_or("text"),
            "acceptance" => self::text(value).map(|text| draft.acceptance = text).ok_or("text"),
            "priority" => number(value).map(|it| draft.priority = it).ok_or("number of 32 bits"),
            "needs" => texts(value).map(|texts| draft.needs = texts).ok_or("list of texts"),
            "scopes" => texts(value).map(|texts| draft.scopes = texts).ok_or("list of texts"),
            unknown => {
                found.note(at, format!("unknown key `{unknown}`: left out"));
                Ok(())
            }
        };
        if let Err(wanted) = fits {
            found.fault(at, wrong(wanted));
        }
    }
    found.drafts.push(draft);
}

fn text(value: &Value<'_>) -> Option<String> {
    value.get_ref().as_str().map(str::to_owned)
}

fn texts(value: &Value<'_>) -> Option<Vec<String>> {
    value.get_ref().as_array()?.iter().map(text).collect()
}

fn number(value: &Value<'_>) -> Option<i32> {
    let number = value.get_ref().as_integer()?;
    i32::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
}
