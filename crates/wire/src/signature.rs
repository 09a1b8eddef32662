//! Who signed a request, as its signature says. The signature itself is not verified here yet.

use http::HeaderMap;

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
    pub(crate) fn of(headers: &HeaderMap, form: Option<&Form>) -> Option<Credential> {
        match headers.get(http::header::AUTHORIZATION) {
            Some(header) => {
                let (_, rest) = header.to_str().ok()?.split_once("Credential=")?;
                Credential::parse(rest.split([',', ' ']).next()?)
            }
            None => Credential::parse(form?.get("X-Amz-Credential")?),
        }
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
        let mut headers = HeaderMap::new();
        let header = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/sqs/aws4_request,SignedHeaders=host, Signature=00";
        headers.insert(http::header::AUTHORIZATION, header.parse().unwrap());
        let expected = Credential {
            access_key: "AKID".into(),
            date: "20260101".into(),
            region: "eu-west-1".into(),
            service: "sqs".into(),
        };
        assert_eq!(Credential::of(&headers, None), Some(expected.clone()));
        let form =
            Form::parse("X-Amz-Credential=AKID%2F20260101%2Feu-west-1%2Fsqs%2Faws4_request", "").unwrap();
        assert_eq!(Credential::of(&HeaderMap::new(), Some(&form)), Some(expected));
        headers.insert(http::header::AUTHORIZATION, "Basic Zm9v".parse().unwrap());
        assert_eq!(Credential::of(&headers, None), None);
    }
}
