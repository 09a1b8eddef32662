//! EventBridge's event patterns.

use std::fmt;

use crate::compile::{Dialect, compile};
use crate::event::Event;
use crate::set::Matcher;

/// A rule's event pattern, compiled. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventPattern {
    matcher: Matcher,
}

impl EventPattern {
    /// Parses a pattern and checks its grammar. The caller must check its length.
    pub fn parse(text: &str) -> Result<EventPattern, PatternFault> {
        let pattern = compile(text, Dialect::EventPattern)
            .map_err(|fault| PatternFault { reason: fault.describe(text) })?;
        Ok(EventPattern { matcher: Matcher::new(pattern) })
    }

    /// Returns whether the event matches.
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.matcher.matches(event)
    }

    /// Returns the compiled pattern for a [`PatternSet`](crate::PatternSet).
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }
}

/// Why a pattern is refused: the text after `Event pattern is not valid. Reason: ` in an
/// InvalidEventPatternException, with the place in the pattern where AWS adds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternFault {
    reason: String,
}

impl PatternFault {
    /// Returns the reason, in AWS's words.
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
