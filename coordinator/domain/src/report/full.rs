//! The full report: a Markdown text with the sections that readers look for.

use crate::board::Invalid;
use crate::scope::nearest;

/// The longest full report, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// The sections in their order.
const SECTIONS: [&str; 6] = ["Status", "Summary", "Files Touched", "Tests", "Notes", "Resume"];

/// A full report that has its sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full {
    text: String,
    title: String,
    status: String,
}

impl Full {
    /// Reads a report: a title (`##`), then each section (`###`) once and in order, none empty.
    ///
    /// # Errors
    ///
    /// The first line that is not as it should be, by its number.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_BYTES {
            let problem = format!("{} bytes, the limit is {MAX_BYTES}", text.len());
            return Err(Invalid::field("report", problem));
        }
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let title = match lines.next() {
            Some((_, line)) => line.strip_prefix("## ").map(str::trim).filter(|it| !it.is_empty()),
            None => return Err(wrong(1, "nothing in it")),
        };
        let title = title.ok_or_else(|| wrong(1, "no title: it begins with `## <title>`"))?;
        let mut sections: Vec<(usize, Vec<(usize, &str)>)> = Vec::new();
        for (number, line) in lines {
            match (line.strip_prefix("### "), sections.last_mut()) {
                (Some(head), _) => {
                    expected(number, head.trim(), sections.len())?;
                    sections.push((number, Vec::new()));
                }
                (None, Some((_, content))) => content.push((number, line.trim())),
                (None, None) => return Err(wrong(number, "before the section `### Status`")),
            }
        }
        if let Some(missing) = SECTIONS.get(sections.len()) {
            let end = text.lines().count();
            return Err(wrong(end, format!("the section `### {missing}` is missing")));
        }
        for (name, (number, content)) in SECTIONS.into_iter().zip(&sections) {
            check(name, *number, content)?;
        }
        let status = sections[0].1[0].1.to_owned();
        Ok(Self { text: text.to_owned(), title: title.to_owned(), status })
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// How it stands, in one line.
    #[must_use]
    pub fn status(&self) -> &str {
        &self.status
    }
}

fn wrong(line: usize, problem: impl std::fmt::Display) -> Invalid {
    Invalid::field("report", format!("line {line}: {problem}"))
}

/// That the section after `at` others is this one.
fn expected(line: usize, head: &str, at: usize) -> Result<(), Invalid> {
    match SECTIONS.get(at) {
        Some(next) if *next == head => Ok(()),
        Some(next) => {
            let near = nearest(head, SECTIONS).filter(|near| *near != head);
            let near = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
            Err(wrong(line, format!("`### {head}` where `### {next}` comes next{near}")))
        }
        None => Err(wrong(line, format!("`### {head}` after the last section"))),
    }
}

/// That a section says what it is for.
fn check(name: &str, line: usize, content: &[(usize, &str)]) -> Result<(), Invalid> {
    let Some(&(first, text)) = content.first() else {
        return Err(wrong(line, format!("`### {name}` is empty")));
    };
    let left = |text: &str| text.contains("...") && text.trim_matches(['-', ' ', '.']).is_empty();
    if let Some((line, _)) = content.iter().find(|(_, text)| left(text)) {
        return Err(wrong(*line, format!("`### {name}` is as the skeleton has it")));
    }
    match name {
        "Status" if content.len() > 1 => Err(wrong(content[1].0, "the status is one line")),
        "Files Touched" => items(name, content, " — ", "- <path> — <one-line change>"),
        "Tests" => items(name, content, " → ", "- <command> → PASS or FAIL"),
        "Resume" if text.starts_with('<') => {
            Err(wrong(first, "`### Resume` is as the skeleton has it"))
        }
        _ => Ok(()),
    }
}

/// That a list has items of a form, or says `- none`.
fn items(name: &str, content: &[(usize, &str)], mark: &str, form: &str) -> Result<(), Invalid> {
    let good = |text: &str| {
        let item = text.strip_prefix("- ");
        let parts = item.and_then(|item| item.split_once(mark));
        let verdict = |after: &str| after.starts_with("PASS") || after.starts_with("FAIL");
        item == Some("none")
            || parts.is_some_and(|(before, after)| {
                !before.starts_with('<') && (mark != " → " || verdict(after))
            })
    };
    match content.iter().find(|(_, text)| text.starts_with("- ") && !good(text)) {
        Some((line, _)) => Err(wrong(*line, format!("an item of `### {name}` is `{form}`"))),
        None if content.iter().any(|(_, text)| good(text)) => Ok(()),
        None => {
            let line = content.first().map_or(1, |(line, _)| *line);
            Err(wrong(line, format!("`### {name}` has no item `{form}`; say `- none` if so")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "## Mend the barrier\n\n### Status\ndone\n\n### Summary\n- one word less\n\n\
        ### Files Touched\n- runtime/gc.c — no second store\n\n### Tests\n\
        - make test → PASS\n- make soak → FAIL (out of disk)\n\n### Notes\nnone\n\n\
        ### Resume\nmake soak\n";

    #[test]
    fn a_report_with_its_sections_is_read() {
        let full = Full::parse(GOOD).unwrap();
        assert_eq!((full.title(), full.status()), ("Mend the barrier", "done"));
        assert_eq!(full.text(), GOOD);
        Full::parse(&GOOD.replace("- runtime/gc.c — no second store", "- none")).unwrap();
    }

    #[test]
    fn what_is_missing_is_named_with_its_line() {
        let table: [(&str, &str, &str); 12] = [
            ("## Mend the barrier\n", "", "line 1: no title: it begins with `## <title>`"),
            ("done\n", "", "line 3: `### Status` is empty"),
            ("done\n", "done\nand dusted\n", "line 5: the status is one line"),
            (
                "### Summary",
                "### Sumary",
                "line 6: `### Sumary` where `### Summary` comes next, did you mean `Summary`?",
            ),
            ("### Notes\nnone\n\n", "", "line 16: `### Resume` where `### Notes` comes next"),
            ("\n### Resume\nmake soak\n", "", "line 17: the section `### Resume` is missing"),
            ("- one word less", "- ...", "line 7: `### Summary` is as the skeleton has it"),
            (
                " — no second store",
                "",
                "line 10: an item of `### Files Touched` is `- <path> — <one-line change>`",
            ),
            (
                "- runtime/gc.c — no",
                "- <path> — no",
                "line 10: an item of `### Files Touched` is `- <path> — <one-line change>`",
            ),
            (
                "→ PASS",
                "→ maybe",
                "line 13: an item of `### Tests` is `- <command> → PASS or FAIL`",
            ),
            ("make soak\n", "make soak\n### More\n", "line 21: `### More` after the last section"),
            ("### Status\n", "text\n### Status\n", "line 3: before the section `### Status`"),
        ];
        for (from, to, said) in table {
            let at = if from == "make soak\n" { GOOD.len() - from.len() } else { 0 };
            let text = format!("{}{}", &GOOD[..at], GOOD[at..].replacen(from, to, 1));
            let error = Full::parse(&text).unwrap_err().to_string();
            assert_eq!(error, format!("report: {said}"));
        }
        assert!(Full::parse("").is_err());
        assert!(Full::parse(&"x".repeat(MAX_BYTES + 1)).is_err());
    }
}
