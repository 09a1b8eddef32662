//! What an error is called and which status it has, by protocol.

/// An error of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorForm {
    /// The shape's name: what stands in JSON's `__type`.
    pub shape: &'static str,
    /// What the query protocol calls it.
    pub query_code: &'static str,
    /// The HTTP status, as the query protocol has it.
    pub status: u16,
}

impl ErrorForm {
    /// Whether the fault is the server's.
    pub const fn is_server_fault(&self) -> bool {
        self.status >= 500
    }
}

const fn form(shape: &'static str, query_code: &'static str, status: u16) -> ErrorForm {
    ErrorForm { shape, query_code, status }
}

/// Errors that AWS sends without having them in its models (facts/sqs.md § 11, facts/protocols.md § 7).
const COMMON: &[ErrorForm] = &[
    form("InvalidParameterValueException", "InvalidParameterValue", 400),
    form("MissingRequiredParameterException", "MissingParameter", 400),
    form("InvalidAction", "InvalidAction", 400),
    form("UnknownOperationException", "InvalidAction", 400),
    form("SerializationException", "MalformedInput", 400),
    form("MalformedQueryString", "MalformedQueryString", 400),
    form("ValidationException", "ValidationError", 400),
    form("AccessDeniedException", "AccessDenied", 403),
    form("RequestEntityTooLarge", "RequestEntityTooLarge", 413),
    form("RequestTimeout", "RequestTimeout", 408),
    form("ThrottlingException", "Throttling", 400),
    form("InternalFailure", "InternalFailure", 500),
    form("ServiceUnavailable", "ServiceUnavailable", 503),
];

/// The form of an error, by its shape. One that nobody knows is a fault of ours.
pub fn lookup(model: &[ErrorForm], shape: &str) -> ErrorForm {
    let known = model.iter().chain(COMMON).find(|form| form.shape == shape);
    known.copied().unwrap_or(form("InternalFailure", "InternalFailure", 500))
}
