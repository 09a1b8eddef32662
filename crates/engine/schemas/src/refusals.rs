//! Why Schemas refuses. AWS's texts are recorded for exports alone.

use kernel::Refusal;

/// A parameter is wrong; the whole text is the caller's.
pub fn bad_request(text: impl Into<String>) -> Refusal {
    Refusal::new("BadRequestException", text.into())
}

/// The operation is not allowed on this resource.
pub fn forbidden(text: impl Into<String>) -> Refusal {
    Refusal::new("ForbiddenException", text.into())
}

/// There is no such thing.
pub fn missing(what: &str, name: &str) -> Refusal {
    Refusal::new("NotFoundException", format!("{what} {name} does not exist."))
}

/// There is such a thing already.
pub fn exists(what: &str, name: &str) -> Refusal {
    Refusal::new("ConflictException", format!("{what} {name} already exists."))
}

/// An account has as many as it can have.
pub fn quota_exceeded(what: &str, most: usize) -> Refusal {
    forbidden(format!("The limit of {most} {what} is reached."))
}

/// The contents of all schemas take as much memory as the server gives them.
pub fn no_room() -> Refusal {
    let text = "The schemas of this server take all the memory that it has for them. Delete versions.";
    Refusal::new("ServiceUnavailableException", text)
}
