//! What tells services apart on the wire: their names, their versions, their routes, their errors.

use crate::rest::Route;

/// A service, as its model describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service {
    /// The name of its folder under `models`.
    pub name: &'static str,
    /// What it is called in signatures.
    pub signing_name: &'static str,
    /// The version of its API, as in the query protocol's `Version`.
    pub version: &'static str,
    /// What stands before the dot in `X-Amz-Target`; none if it is not spoken in JSON.
    pub json_target: Option<&'static str>,
    /// The same of the operations that AWS does not have, if there are any.
    pub additions_target: Option<&'static str>,
    /// Which version of the JSON protocol it speaks: `1.0` or `1.1`.
    pub json_version: &'static str,
    /// Whether it is also spoken in the old CBOR (`application/x-amz-cbor-1.1`).
    pub speaks_cbor: bool,
    /// What it is called in the paths of Smithy's RPC v2 with CBOR; none if it is not spoken so.
    pub rpc_name: Option<&'static str>,
    /// Its routes in restJson1, those first that say more; empty if it is not spoken so.
    pub routes: &'static [Route],
    /// Whether it is spoken in the query protocol.
    pub speaks_query: bool,
    /// Whether its JSON errors also tell what the query protocol calls them.
    pub is_query_compatible: bool,
    /// Whether its answers carry the CRC-32 of their bodies (`x-amz-crc32`).
    pub has_checksums: bool,
    /// The name space of its XML answers.
    pub xml_namespace: &'static str,
    /// What stands before the `#` in the names of its errors.
    pub shape_namespace: &'static str,
    /// The errors that its model has.
    pub errors: &'static [ErrorForm],
}

/// An error of a service: what it is called and which status it has, by protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorForm {
    /// The shape's name: what stands in JSON's `__type`.
    pub shape: &'static str,
    /// What the query protocol calls it.
    pub query_code: &'static str,
    /// The HTTP status, as the query protocol has it.
    pub status: u16,
    /// What the member is called that holds the text: `message` or `Message`.
    pub message: &'static str,
    /// Whether its name stands in the body, too, in a member `Code`.
    pub has_code: bool,
}

impl ErrorForm {
    /// Whether the fault is the server's.
    pub const fn is_server_fault(&self) -> bool {
        self.status >= 500
    }
}

impl Service {
    /// The service's form of an error, if its model has it.
    pub fn error(&self, shape: &str) -> Option<ErrorForm> {
        self.errors.iter().find(|form| form.shape == shape).copied()
    }
}

/// The form of an error that AWS sends without having it in its models. One that nobody knows is a fault of ours.
pub fn framework_error(shape: &str) -> ErrorForm {
    let known = FRAMEWORK.iter().find(|form| form.shape == shape);
    known.copied().unwrap_or(form("InternalFailure", "InternalFailure", 500))
}

/// What stands before the `#` in the name of an error that AWS sends without having it in its models, by the framework's part that
/// sends it (facts/dynamodb.md § 1).
pub fn framework_namespace(shape: &str, service: &Service) -> &'static str {
    match shape {
        // Recorded from SQS.
        _ if service.is_query_compatible => "com.amazon.coral.service",
        "ValidationException" => "com.amazon.coral.validate",
        "ThrottlingException" => "com.amazon.coral.availability",
        _ => "com.amazon.coral.service",
    }
}

const fn form(shape: &'static str, query_code: &'static str, status: u16) -> ErrorForm {
    ErrorForm { shape, query_code, status, message: "message", has_code: false }
}

/// facts/sqs.md § 11, facts/protocols.md § 7, facts/security.md § 2.
const FRAMEWORK: &[ErrorForm] = &[
    form("InvalidParameterValueException", "InvalidParameterValue", 400),
    form("MissingRequiredParameterException", "MissingParameter", 400),
    form("InvalidAction", "InvalidAction", 400),
    form("UnknownOperationException", "InvalidAction", 400),
    form("SerializationException", "MalformedInput", 400),
    form("MalformedQueryString", "MalformedQueryString", 400),
    form("ValidationException", "ValidationError", 400),
    form("ValidationError", "ValidationError", 400),
    form("AccessDeniedException", "AccessDenied", 403),
    form("RequestEntityTooLarge", "RequestEntityTooLarge", 413),
    form("RequestTimeout", "RequestTimeout", 408),
    form("ThrottlingException", "Throttling", 400),
    form("InternalFailure", "InternalFailure", 500),
    form("ServiceUnavailable", "ServiceUnavailable", 503),
];
