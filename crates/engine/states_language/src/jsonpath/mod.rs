//! JSONPath in the dialect of Jayway's library, which Step Functions uses: `$.orders[?(@.total > 10)].id`.

mod compare;
mod evaluate;
mod filter;
mod parse;
mod reference;

pub(crate) use evaluate::NoResult;
pub(crate) use reference::ReferencePath;

#[cfg(test)]
mod tests;

use std::fmt;

/// Where a path begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Root {
    /// `$`: the input of the state.
    Input,
    /// `$$`: the context object.
    Context,
    /// `$name`: a variable.
    Variable(String),
    /// `@`: the element to which a filter is applied.
    Element,
}

/// One step from values to values below them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// `.name`, `['name']`, `['one', 'two']`.
    Names(Vec<String>),
    /// `[0]`, `[-1]`, `[0, 2]`.
    Indexes(Vec<i64>),
    /// `[1:3]`, `[-2:]`, `[:2]`.
    Slice(Option<i64>, Option<i64>),
    /// `.*`, `[*]`.
    Wildcard,
    /// `[?(…)]`.
    Filter(Box<filter::Filter>),
    /// `..`: the next step is applied to the value and to all values below it.
    Scan,
    /// `.length()`.
    Length,
    /// `.sum()` and others, which AWS accepts in a definition and which then find nothing.
    Unavailable,
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    text: String,
    root: Root,
    steps: Vec<Step>,
}

impl Path {
    /// Parses a path: `$…`, `$$…`, or `$name…`.
    pub(crate) fn parse(text: &str) -> Result<Path, InvalidPath> {
        parse::whole(text)
    }

    /// The path as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The variable that the path reads.
    pub(crate) fn variable(&self) -> Option<&str> {
        match &self.root {
            Root::Variable(name) => Some(name),
            _ => None,
        }
    }

    /// Whether the path denotes at most one value. Others give an array.
    pub(crate) fn is_definite(&self) -> bool {
        self.steps.iter().enumerate().all(|(at, step)| is_definite(step, at + 1 == self.steps.len()))
    }

    /// Whether the path is one of AWS's reference paths: names and indexes only.
    pub(crate) fn is_reference(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Names(names) => names.len() == 1,
            Step::Indexes(indexes) => matches!(indexes[..], [index] if index >= 0),
            _ => false,
        })
    }
}

/// Whether one value gives at most one. Several names at the end are one object; before the end they are several values.
fn is_definite(step: &Step, last: bool) -> bool {
    match step {
        Step::Names(names) => names.len() == 1 || last,
        Step::Indexes(indexes) => indexes.len() == 1,
        Step::Length | Step::Unavailable => true,
        Step::Slice(..) | Step::Wildcard | Step::Filter(_) | Step::Scan => false,
    }
}

/// A text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidPath {
    /// The byte at which the parser gave up.
    pub(crate) position: usize,
    /// What belongs there.
    pub(crate) expected: &'static str,
}

impl fmt::Display for InvalidPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "expected {} at byte {}", self.expected, self.position)
    }
}

impl std::error::Error for InvalidPath {}
