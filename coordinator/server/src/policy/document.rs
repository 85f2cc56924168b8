//! A TOML document as tables and items that know where they stand.
//!
//! Reading never stops at a fault: what is wrong is noted and reads as absent.
//! Not here: which keys there are.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use molt_domain::scope::nearest;
use toml::de::{DeTable, DeValue};

use super::finding::{Finding, Problem, Severity};

/// What was found so far, and the text's lines to place it in.
pub(crate) struct Findings<'t> {
    text: &'t str,
    /// Where each line starts.
    starts: Vec<usize>,
    list: Vec<Finding>,
    errors: usize,
}

impl<'t> Findings<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { text, starts, list: Vec::new(), errors: 0 }
    }

    /// The findings in the order of their places.
    pub(crate) fn into_sorted(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| (finding.line, finding.column));
        self.list
    }

    /// How many errors there are so far: a part without new ones is sound.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// The line that the byte `at` is in; the first is 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|&start| start <= at)
    }

    /// Notes an error that the TOML parser found.
    pub(crate) fn syntax(&mut self, error: &toml::de::Error) {
        // An error without a place is about the end of the text.
        let at = error.span().map_or(self.text.len(), |span: Range<usize>| span.start);
        let line = self.line(at);
        let before = self.text.get(self.starts[line - 1]..at).unwrap_or_default();
        // A byte order mark is no character of the line.
        let column = before.chars().filter(|&c| c != '\u{feff}').count() + 1;
        let problem = Problem::Syntax(error.message().to_owned());
        let finding = self.finding(at, "", problem);
        self.push(Finding { column: Some(column), ..finding });
    }

    /// Notes an error at the byte `at`.
    pub(crate) fn error(&mut self, at: usize, key: &str, problem: Problem) {
        let finding = self.finding(at, key, problem);
        self.push(finding);
    }

    /// Notes an error about a name, and which of `known` it is nearest to.
    pub(crate) fn misnamed<'a>(
        &mut self,
        at: usize,
        key: &str,
        problem: Problem,
        (name, known): (&str, impl IntoIterator<Item = &'a str>),
    ) {
        let finding = self.finding(at, key, problem);
        let nearest = nearest(name, known).map(str::to_owned);
        self.push(Finding { nearest, ..finding });
    }

    /// Notes something odd that keeps no policy from being in force.
    pub(crate) fn note(&mut self, at: usize, key: &str, problem: Problem) {
        let finding = self.finding(at, key, problem);
        self.push(Finding { severity: Severity::Note, ..finding });
    }

    fn push(&mut self, finding: Finding) {
        self.errors += usize::from(finding.severity == Severity::Error);
        self.list.push(finding);
    }

    fn finding(&self, at: usize, key: &str, problem: Problem) -> Finding {
        Finding {
            severity: Severity::Error,
            line: self.line(at),
            column: None,
            key: key.to_owned(),
            problem,
            nearest: None,
        }
    }
}

/// The keys that a table may have.
pub(crate) struct Keys {
    /// Those that this version honours.
    pub(crate) honoured: &'static [&'static str],
    /// Those of the format that it does not.
    pub(crate) unsupported: &'static [&'static str],
}

/// A table of the document.
#[derive(Clone)]
pub(crate) struct Table<'d> {
    /// Its key from the root; empty for the root.
    pub(crate) key: String,
    /// The byte where it is named.
    pub(crate) at: usize,
    entries: &'d DeTable<'d>,
}

/// A value of the document.
#[derive(Clone)]
pub(crate) struct Item<'d> {
    /// Its key from the root.
    pub(crate) key: String,
    /// The byte where its key is, or for a member of an array the byte where it is.
    pub(crate) at: usize,
    value: &'d DeValue<'d>,
}

impl<'d> Table<'d> {
    pub(crate) fn root(entries: &'d DeTable<'d>) -> Self {
        Self { key: String::new(), at: 0, entries }
    }

    /// Every entry with its name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'d str, Item<'d>)> {
        self.entries.iter().map(|(name, value)| {
            let key = dotted(&self.key, name.get_ref());
            (&**name.get_ref(), Item { key, at: name.span().start, value: value.get_ref() })
        })
    }

    /// The entry called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<Item<'d>> {
        let (found, value) = self.entries.get_key_value(name)?;
        let key = dotted(&self.key, name);
        Some(Item { key, at: found.span().start, value: value.get_ref() })
    }

    /// The entry called `name`, which must be there: `example` shows how.
    pub(crate) fn require(
        &self,
        name: &str,
        example: &'static str,
        findings: &mut Findings<'_>,
    ) -> Option<Item<'d>> {
        let item = self.get(name);
        if item.is_none() {
            findings.error(self.at, &dotted(&self.key, name), Problem::Missing(example));
        }
        item
    }

    /// The table called `name`; an empty one reads as absent does.
    pub(crate) fn table(&self, name: &str, findings: &mut Findings<'_>) -> Option<Self> {
        self.get(name)?.table(findings)
    }

    /// Notes every key that is not among `keys`.
    pub(crate) fn allow(&self, keys: &Keys, findings: &mut Findings<'_>) {
        for (name, item) in self.unknown(keys, findings) {
            item.unknown_key(name, keys, findings);
        }
    }

    /// The entries that are not among `keys`. Notes those that this version does not support.
    pub(crate) fn unknown(
        &self,
        keys: &Keys,
        findings: &mut Findings<'_>,
    ) -> Vec<(&'d str, Item<'d>)> {
        let mut unknown = Vec::new();
        for (name, item) in self.entries() {
            if keys.unsupported.contains(&name) {
                let what = format!("`{name}`");
                findings.error(item.at, &item.key, Problem::Unsupported { what, instead: None });
            } else if !keys.honoured.contains(&name) {
                unknown.push((name, item));
            }
        }
        unknown
    }
}

impl<'d> Item<'d> {
    pub(crate) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(crate) fn table(&self, findings: &mut Findings<'_>) -> Option<Table<'d>> {
        let Some(entries) = self.value.as_table() else {
            return self.wrong_type("a table", findings);
        };
        Some(Table { key: self.key.clone(), at: self.at, entries })
    }

    pub(crate) fn text(&self, findings: &mut Findings<'_>) -> Option<&'d str> {
        let DeValue::String(text) = self.value else {
            return self.wrong_type("a string", findings);
        };
        Some(text)
    }

    /// A text that says something.
    pub(crate) fn words(&self, findings: &mut Findings<'_>) -> Option<&'d str> {
        let text = self.text(findings)?;
        if text.trim().is_empty() {
            return self.invalid("is empty", findings);
        }
        if text.contains('\0') {
            return self.invalid("has a NUL character", findings);
        }
        Some(text)
    }

    pub(crate) fn flag(&self, findings: &mut Findings<'_>) -> Option<bool> {
        let DeValue::Boolean(flag) = self.value else {
            return self.wrong_type("true or false", findings);
        };
        Some(*flag)
    }

    /// A whole number from 1.
    pub(crate) fn count(&self, findings: &mut Findings<'_>) -> Option<u32> {
        let count = self.whole(u64::from(u32::MAX), findings)?;
        u32::try_from(count).ok()
    }

    /// A whole number from 1 to `most`.
    pub(crate) fn whole(&self, most: u64, findings: &mut Findings<'_>) -> Option<u64> {
        let DeValue::Integer(integer) = self.value else {
            return self.wrong_type("a whole number", findings);
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if (1..=most).contains(&number) => Some(number),
            _ => self.invalid(format_args!("{integer} is not from 1 to {most}"), findings),
        }
    }

    /// The members of an array, under the array's key.
    pub(crate) fn list(&self, findings: &mut Findings<'_>) -> Option<Vec<Self>> {
        let Some(members) = self.value.as_array() else {
            return self.wrong_type("an array", findings);
        };
        let member = |value: &'d toml::Spanned<DeValue<'d>>| Self {
            key: self.key.clone(),
            at: value.span().start,
            value: value.get_ref(),
        };
        Some(members.iter().map(member).collect())
    }

    /// The members of an array of texts that say something; faulty ones are left out.
    pub(crate) fn all_words(&self, findings: &mut Findings<'_>) -> Option<Vec<String>> {
        let members = self.list(findings)?;
        Some(members.iter().filter_map(|member| Some(member.words(findings)?.to_owned())).collect())
    }

    /// A text that is a `T`.
    pub(crate) fn parse<T>(&self, findings: &mut Findings<'_>) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        match self.text(findings)?.parse() {
            Ok(value) => Some(value),
            Err(error) => self.invalid(error, findings),
        }
    }

    /// The members of an array of texts that are each a `T`; faulty ones are left out.
    pub(crate) fn parse_all<T>(&self, findings: &mut Findings<'_>) -> Option<Vec<T>>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let members = self.list(findings)?;
        Some(members.iter().filter_map(|member| member.parse(findings)).collect())
    }

    /// A text that is one of a few.
    pub(crate) fn choice<T: Copy>(
        &self,
        options: &[(&'static str, T)],
        findings: &mut Findings<'_>,
    ) -> Option<T> {
        let text = self.text(findings)?;
        if let Some(&(_, value)) = options.iter().find(|&&(option, _)| option == text) {
            return Some(value);
        }
        let options: Vec<&str> = options.iter().map(|&(option, _)| option).collect();
        let problem = Problem::NotOneOf { found: text.to_owned(), options: options.clone() };
        findings.misnamed(self.at, &self.key, problem, (text, options));
        None
    }

    /// Notes that the item's `name` is not among `keys`.
    pub(crate) fn unknown_key(&self, name: &str, keys: &Keys, findings: &mut Findings<'_>) {
        let known = keys.honoured.iter().copied();
        findings.misnamed(self.at, &self.key, Problem::UnknownKey, (name, known));
    }

    /// Notes that the value cannot be.
    pub(crate) fn invalid<T>(
        &self,
        why: impl fmt::Display,
        findings: &mut Findings<'_>,
    ) -> Option<T> {
        findings.error(self.at, &self.key, Problem::Invalid(why.to_string()));
        None
    }

    fn wrong_type<T>(&self, wanted: &'static str, findings: &mut Findings<'_>) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        findings.error(self.at, &self.key, Problem::WrongType { wanted, found });
        None
    }
}

/// The key of `name` in the table at `parent`, quoted where TOML needs it.
pub(crate) fn dotted(parent: &str, name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let name = if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.escape_debug())
    };
    if parent.is_empty() { name } else { format!("{parent}.{name}") }
}
