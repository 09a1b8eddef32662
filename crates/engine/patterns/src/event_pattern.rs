//! EventBridge's event patterns.

use std::fmt;

use crate::compile::{Dialect, compile};
use crate::event::Event;
use crate::set::Matcher;

/// A rule's event pattern, ready for comparison. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventPattern {
    matcher: Matcher,
}

impl EventPattern {
    /// Reads a pattern and checks its grammar. How long it may be is the caller's to check.
    pub fn parse(text: &str) -> Result<EventPattern, PatternFault> {
        let pattern = compile(text, Dialect::EventPattern)
            .map_err(|fault| PatternFault { reason: fault.describe(text) })?;
        Ok(EventPattern { matcher: Matcher::new(pattern) })
    }

    /// Whether the rule wants this event.
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.matcher.matches(event)
    }

    /// What a [`PatternSet`](crate::PatternSet) takes.
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }
}

/// Why a pattern is refused: what follows `Event pattern is not valid. Reason: ` in an InvalidEventPatternException, with
/// the place in the pattern where AWS says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternFault {
    reason: String,
}

impl PatternFault {
    /// The reason, in AWS's words.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for PatternFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for PatternFault {}
