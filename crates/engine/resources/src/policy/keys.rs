//! The condition keys of a request.

use super::Principal;

/// The condition keys of a request, such as `aws:SourceIp`, with their values. Keys that follow from the principal are computed. Names
/// ignore case (facts/security.md § 3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys<'a> {
    principal: &'a Principal<'a>,
    given: &'a [(&'a str, &'a [&'a str])],
}

impl<'a> Keys<'a> {
    /// Joins the given keys with those that follow from the principal. A key without values counts as missing.
    pub fn new(principal: &'a Principal<'a>, given: &'a [(&'a str, &'a [&'a str])]) -> Keys<'a> {
        Keys { principal, given }
    }

    /// The values of a key; empty if the request does not have the key.
    pub fn values(&self, name: &str) -> &'a [&'a str] {
        if let Some((_, values)) = self.given.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            return values;
        }
        let is = |key: &str| name.eq_ignore_ascii_case(key);
        // Which requests have these keys: IAM User Guide, "AWS global condition context keys".
        match self.principal {
            Principal::Identity { account, .. } if is("aws:PrincipalAccount") => {
                std::slice::from_ref(account)
            }
            Principal::Identity { arns, .. } if is("aws:PrincipalArn") => {
                &arns[arns.len().saturating_sub(1)..]
            }
            Principal::Identity { .. } if is("aws:PrincipalIsAWSService") => &["false"],
            Principal::Service(_) if is("aws:PrincipalIsAWSService") => &["true"],
            Principal::Service(name) if is("aws:PrincipalServiceName") => std::slice::from_ref(name),
            Principal::Anonymous if is("aws:PrincipalAccount") => &["anonymous"],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_keys_of_its_principal() {
        // IAM User Guide, "AWS global condition context keys", "Properties of the principal"
        let session = Principal::Identity {
            account: "111111111111",
            arns: &["arn:aws:sts::111111111111:assumed-role/r/s", "arn:aws:iam::111111111111:role/r"],
        };
        let service = Principal::Service("s3.amazonaws.com");
        for (principal, key, expected) in [
            (session, "aws:PrincipalArn", &["arn:aws:iam::111111111111:role/r"][..]),
            (session, "AWS:principalaccount", &["111111111111"]),
            (session, "aws:PrincipalIsAWSService", &["false"]),
            (session, "aws:PrincipalServiceName", &[]),
            (Principal::Identity { account: "1", arns: &[] }, "aws:PrincipalArn", &[]),
            (service, "aws:PrincipalIsAWSService", &["true"]),
            (service, "aws:PrincipalServiceName", &["s3.amazonaws.com"]),
            (service, "aws:PrincipalArn", &[]),
            (Principal::Anonymous, "aws:PrincipalIsAWSService", &[]),
            (Principal::Anonymous, "aws:PrincipalAccount", &["anonymous"]),
            (Principal::Anonymous, "AWS:SOURCEIP", &["10.0.0.1"]),
        ] {
            let keys = Keys::new(&principal, &[("aws:SourceIp", &["10.0.0.1"])]);
            assert_eq!(keys.values(key), expected, "{principal:?} {key}");
        }
    }
}
