//! One line of a story: who asks what, and how it ends.

use super::world::World;

/// What happens next in a story.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// A command is run, and what it says is part of the contract.
    Say(Row),
    /// Something else happens in between.
    Do(fn(&mut World<'_>)),
}

impl Step {
    /// The row, if a command is run.
    pub(super) fn row(&self) -> Option<&Row> {
        match self {
            Self::Say(row) => Some(row),
            Self::Do(_) => None,
        }
    }

    /// With something on standard input.
    pub(super) const fn told(self, stdin: &'static str) -> Self {
        match self {
            Self::Say(row) => Self::Say(Row { stdin: Some(stdin), ..row }),
            Self::Do(_) => self,
        }
    }

    /// Refused with what was probably meant.
    pub(super) const fn means(self, nearest: &'static str) -> Self {
        match self {
            Self::Say(row) => Self::Say(Row { nearest: Some(nearest), ..row }),
            Self::Do(_) => self,
        }
    }

    /// With the output of another command instead of an answer.
    pub(super) const fn passes(self) -> Self {
        self.of(Form::Output)
    }

    /// Until it is told to stop, once it has done what `begun` waits for.
    pub(super) const fn served(self, begun: fn(&World<'_>, &str) -> bool) -> Self {
        self.of(Form::Service(begun))
    }

    const fn of(self, form: Form) -> Self {
        match self {
            Self::Say(row) => Self::Say(Row { form, ..row }),
            Self::Do(_) => self,
        }
    }
}

/// A command and how it ends.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Who asks: an agent of the world, or `nobody` outside of any repository.
    pub(super) who: &'static str,
    /// The command line without the program; `{clm}` is the id of this kind that was said last.
    pub(super) line: &'static str,
    /// How it ends.
    pub(super) code: i32,
    /// What it is told; otherwise a pipe on which nothing ever comes, so a prompt would hang.
    pub(super) stdin: Option<&'static str>,
    /// What was probably meant, which the refusal of a misspelt name says.
    pub(super) nearest: Option<&'static str>,
    /// What its output is.
    pub(super) form: Form,
}

/// What the output of a command is.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// An answer of ours: short text, or one document.
    Answer,
    /// Another command's, passed on.
    Output,
    /// What a service says until it is told to stop; the function sees when it has begun, from the
    /// world and what was said so far.
    Service(fn(&World<'_>, &str) -> bool),
}

impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// A row of an answer.
pub(super) const fn say(who: &'static str, line: &'static str, code: i32) -> Step {
    Step::Say(Row { who, line, code, stdin: None, nearest: None, form: Form::Answer })
}

/// A line as a shell splits it, as far as stories need it.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("one is open").push(c),
        }
    }
    words
}
