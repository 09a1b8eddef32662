//! What a schema's content must be, by its type.

use kernel::Refusal;
use serde_json::Value;

use crate::inference::Dialect;
use crate::{limits, refusals};

/// The type that a request names.
pub fn dialect(given: Option<&str>) -> Result<Dialect, Refusal> {
    let given = given.ok_or_else(|| refusals::bad_request("Type is missing."))?;
    Dialect::named(given).ok_or_else(|| {
        refusals::bad_request(format!("Type must be OpenApi3 or JSONSchemaDraft4, not {given}."))
    })
}

/// Checks the content of a schema: its length, and that it is a document of its type.
pub fn check(content: &str, dialect: Dialect) -> Result<(), Refusal> {
    if content.chars().count() > limits::CONTENT {
        return Err(refusals::bad_request(format!("Content is longer than {} characters.", limits::CONTENT)));
    }
    let fault = |reason: &str| {
        refusals::bad_request(format!("Content is not a valid {} schema: {reason}", dialect.name()))
    };
    let document: Value = serde_json::from_str(content).map_err(|error| fault(&error.to_string()))?;
    let Value::Object(document) = document else { return Err(fault("it is no object")) };
    match dialect {
        Dialect::OpenApi3 => {
            let version = document.get("openapi").and_then(Value::as_str);
            if !version.is_some_and(|version| version.starts_with("3.")) {
                return Err(fault("openapi must be 3.x"));
            }
            for member in ["info", "paths"] {
                if !document.get(member).is_some_and(Value::is_object) {
                    return Err(fault(&format!("{member} must be an object")));
                }
            }
        }
        Dialect::Draft4 => {
            let version = document.get("$schema").and_then(Value::as_str);
            if version.is_some_and(|version| !version.contains("draft-04")) {
                return Err(fault("$schema must be http://json-schema.org/draft-04/schema#"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_a_document_of_its_type() {
        let openapi = r#"{"openapi":"3.0.0","info":{"title":"a","version":"1"},"paths":{}}"#;
        assert_eq!(check(openapi, Dialect::OpenApi3), Ok(()));
        let draft = r#"{"$schema":"http://json-schema.org/draft-04/schema#","type":"object"}"#;
        assert_eq!(check(draft, Dialect::Draft4), Ok(()));
        assert_eq!(check("{}", Dialect::Draft4), Ok(()));
        for (content, dialect) in [
            ("{", Dialect::OpenApi3),
            ("[]", Dialect::Draft4),
            (r#"{"openapi":"2.0","info":{},"paths":{}}"#, Dialect::OpenApi3),
            (r#"{"openapi":"3.0.0","info":{}}"#, Dialect::OpenApi3),
            (r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#, Dialect::Draft4),
        ] {
            assert_eq!(check(content, dialect).unwrap_err().shape, "BadRequestException", "{content}");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(limits::CONTENT));
        assert!(check(&long, Dialect::Draft4).is_err());
    }
}
