//! What is wrong with a definition, in AWS's words.

use std::fmt;

/// Diagnostics that AWS returns at most.
const MOST: usize = 100;

/// How bad a diagnostic is. A definition with an error is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The definition is refused.
    Error,
    /// The definition may not mean what its author thinks.
    Warning,
}

/// AWS's codes (ValidateStateMachineDefinitionDiagnostic in the API reference; the two of JSONata are recorded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the codes")]
pub enum Code {
    InvalidJsonDescription,
    SchemaValidationFailed,
    InvalidJsonataExpression,
    UnsupportedJsonataExpression,
    MissingTransitionTarget,
    MissingEndState,
    DuplicateStateName,
    InvalidStateName,
    NoDollar,
    NoPath,
    PassResultIsStatic,
    /// Not AWS's: what a server that is not AWS says.
    ResourceNotServed,
}

impl Code {
    /// The code as AWS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidJsonDescription => "INVALID_JSON_DESCRIPTION",
            Code::SchemaValidationFailed => "SCHEMA_VALIDATION_FAILED",
            Code::InvalidJsonataExpression => "INVALID_JSONATA_EXPRESSION",
            Code::UnsupportedJsonataExpression => "UNSUPPORTED_JSONATA_EXPRESSION",
            Code::MissingTransitionTarget => "MISSING_TRANSITION_TARGET",
            Code::MissingEndState => "MISSING_END_STATE",
            Code::DuplicateStateName => "DUPLICATE_STATE_NAME",
            Code::InvalidStateName => "INVALID_STATE_NAME",
            Code::NoDollar => "NO_DOLLAR",
            Code::NoPath => "NO_PATH",
            Code::PassResultIsStatic => "PASS_RESULT_IS_STATIC",
            Code::ResourceNotServed => "RESOURCE_NOT_SERVED",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is.
    pub code: Code,
    /// The explanation.
    pub message: String,
    /// Where it is: `/States/Pay/Catch[0]/Next`. Some have no place.
    pub location: Option<String>,
}

/// Everything that is wrong with a definition, up to AWS's limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    truncated: bool,
    errors: usize,
}

impl Diagnostics {
    /// What was found: at most 100.
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Whether there is more than was kept.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Whether the definition is refused.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        if self.found.len() < MOST {
            self.found.push(diagnostic);
        } else {
            self.truncated = true;
        }
    }
}

/// The text of AWS's error `InvalidDefinition`: `Invalid State Machine Definition: 'CODE: message at /place, …'`.
impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Invalid State Machine Definition: '")?;
        let errors = self.found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        for (at, diagnostic) in errors.enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(formatter, "{comma}{}: {}", diagnostic.code.as_str(), diagnostic.message)?;
            if let Some(location) = &diagnostic.location {
                write!(formatter, " at {location}")?;
            }
        }
        formatter.write_str("'")
    }
}
