//! W3C trace context: the trace to which a message belongs (<https://www.w3.org/TR/trace-context/>).

use std::fmt;
use std::str::FromStr;

/// The trace to which a message belongs, and the span that sent it.
///
/// ```
/// use toolkit::TraceContext;
///
/// let sent: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// let next = sent.child();
/// assert_eq!(next.trace_id, sent.trace_id);
/// assert_ne!(next.span_id, sent.span_id);
/// # Ok::<(), toolkit::TraceContextError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceContext {
    /// The trace; never zero.
    pub trace_id: u128,
    /// The span that sent the message; never zero.
    pub span_id: u64,
    /// Whether a service upstream records this trace.
    pub sampled: bool,
}

impl TraceContext {
    /// Starts a new trace.
    pub fn root() -> TraceContext {
        TraceContext { trace_id: fastrand::u128(1..), span_id: fastrand::u64(1..), sampled: true }
    }

    /// Creates a new span of the same trace.
    pub fn child(&self) -> TraceContext {
        TraceContext { span_id: fastrand::u64(1..), ..*self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = TraceContextError;

    fn from_str(text: &str) -> Result<TraceContext, TraceContextError> {
        let mut parts = text.split('-');
        let mut part = |length: usize| {
            let part = parts.next()?;
            // Upper-case digits are not allowed.
            let plain = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            (part.len() == length && plain).then_some(part)
        };
        let read = || -> Option<TraceContext> {
            let version = part(2)?;
            let trace_id = u128::from_str_radix(part(32)?, 16).ok()?;
            let span_id = u64::from_str_radix(part(16)?, 16).ok()?;
            let flags = u8::from_str_radix(part(2)?, 16).ok()?;
            // Versions after 00 may append parts; 00 may not, and ff is forbidden.
            let ends_well = version != "00" || text.len() == 55;
            let known = version != "ff" && trace_id != 0 && span_id != 0 && ends_well;
            known.then_some(TraceContext { trace_id, span_id, sampled: flags & 1 == 1 })
        }();
        read.ok_or_else(|| TraceContextError(text.chars().take(64).collect()))
    }
}

/// The text is not a valid `traceparent`.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a W3C traceparent")]
pub struct TraceContextError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let context = TraceContext::root();
        assert_eq!(context.to_string().parse::<TraceContext>().unwrap(), context);
    }

    #[test]
    fn malformed_contexts_are_refused() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(text.parse::<TraceContext>().is_err(), "{text}");
        }
        assert!(
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more".parse::<TraceContext>().is_ok()
        );
    }
}
