//! Who signed a request, as its signature says. The signature itself is not verified here yet.

use crate::form::Form;

/// `Credential=AKID/20260101/us-east-1/sqs/aws4_request`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    /// The access key's id.
    pub access_key: String,
    /// The day for which it was signed, as eight digits.
    pub date: String,
    /// The region for which it was signed.
    pub region: String,
    /// The service for which it was signed, as AWS calls it in signatures.
    pub service: String,
}

impl Credential {
    /// The credential in the `Authorization` header, or else of a presigned request: the parameter `X-Amz-Credential`.
    pub(crate) fn of(authorization: Option<&str>, form: Option<&Form>) -> Option<Credential> {
        let Some(header) = authorization else { return Credential::parse(form?.get("X-Amz-Credential")?) };
        // So everyone writes it, but it is not the only way.
        let rest = match header.strip_prefix("AWS4-HMAC-SHA256 Credential=") {
            Some(rest) => rest,
            None => header.split_once("Credential=")?.1,
        };
        Credential::parse(rest.split([',', ' ']).next()?)
    }

    fn parse(text: &str) -> Option<Credential> {
        // An access key's id may itself contain slashes; the scope has four parts.
        let mut parts = text.trim().rsplitn(5, '/');
        let _terminator = parts.next()?;
        let service = parts.next()?.to_owned();
        let region = parts.next()?.to_owned();
        let date = parts.next()?.to_owned();
        let access_key = parts.next()?.to_owned();
        Some(Credential { access_key, date, region, service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_names_region_and_service() {
        let expected = Credential {
            access_key: "AKID".into(),
            date: "20260101".into(),
            region: "eu-west-1".into(),
            service: "sqs".into(),
        };
        for header in [
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=00",
            "AWS4-HMAC-SHA256 SignedHeaders=host,Credential=AKID/20260101/eu-west-1/sqs/aws4_request,Signature=00",
        ] {
            assert_eq!(Credential::of(Some(header), None), Some(expected.clone()));
        }
        let presigned = "X-Amz-Credential=AKID%2F20260101%2Feu-west-1%2Fsqs%2Faws4_request";
        let form = Form::parse(presigned, "").unwrap();
        assert_eq!(Credential::of(None, Some(&form)), Some(expected));
        assert_eq!(Credential::of(Some("Basic Zm9v"), None), None);
        assert_eq!(Credential::of(Some("AWS4-HMAC-SHA256 Credential=AKID"), None), None);
    }
}
