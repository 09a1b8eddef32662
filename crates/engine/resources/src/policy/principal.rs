//! Principals: who sends a request, and whom a statement of a policy names.

use serde_json::Value;

use super::document::{is_account, one_or_many};

/// Who sends a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Principal<'a> {
    /// An identity of an account.
    Identity {
        /// The account, twelve digits.
        account: &'a str,
        /// The ARNs by which policies can name the identity. For a user: the user's. For a session: the session's, then its role's. For
        /// the account itself: `arn:aws:iam::ACCOUNT:root`. The last of them is the condition key `aws:PrincipalArn`.
        arns: &'a [&'a str],
    },
    /// A service of AWS that acts for one of its resources, such as `s3.amazonaws.com`.
    Service(&'a str),
    /// The request is not signed.
    Anonymous,
}

impl<'a> Principal<'a> {
    /// The account that an identity belongs to.
    pub fn account(&self) -> Option<&'a str> {
        match self {
            Principal::Identity { account, .. } => Some(account),
            Principal::Service(_) | Principal::Anonymous => None,
        }
    }
}

/// The principals that a statement names in `Principal` or `NotPrincipal` (facts/security.md § 3). `Federated` and `CanonicalUser` match no
/// [`Principal`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Principals {
    /// `*` or `{"AWS": "*"}`: everybody, unsigned requests included.
    everybody: bool,
    /// Accounts as a whole: twelve digits, or the ARN of the account's root.
    accounts: Box<[Box<str>]>,
    /// Users, roles and sessions, without wildcards.
    arns: Box<[Box<str>]>,
    /// Services; `*` names all of them.
    services: Box<[Box<str>]>,
}

impl Principals {
    /// Reads the element. JSON of another shape names nobody.
    pub fn new(element: &Value) -> Principals {
        let texts = |value: &'_ Value| -> Vec<String> {
            one_or_many(Some(value)).iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let Value::Object(kinds) = element else {
            return Principals {
                everybody: texts(element).iter().any(|name| name == "*"),
                ..Default::default()
            };
        };
        let of_kind = |kind: &str| kinds.get(kind).map(texts).unwrap_or_default();
        let (mut principals, mut accounts, mut arns) = (Principals::default(), Vec::new(), Vec::new());
        for name in of_kind("AWS") {
            match account_of(&name) {
                _ if name == "*" => principals.everybody = true,
                Some(account) => accounts.push(account.into()),
                None => arns.push(name.into()),
            }
        }
        principals.accounts = accounts.into();
        principals.arns = arns.into();
        principals.services = of_kind("Service").into_iter().map(Into::into).collect();
        principals
    }

    /// Whether the statement names this principal.
    pub fn include(&self, principal: &Principal<'_>) -> bool {
        let lists = |names: &[Box<str>], name: &str| names.iter().any(|listed| **listed == *name);
        self.everybody
            || match principal {
                Principal::Identity { account, arns } => {
                    lists(&self.accounts, account) || arns.iter().any(|arn| lists(&self.arns, arn))
                }
                Principal::Service(name) => lists(&self.services, name) || lists(&self.services, "*"),
                Principal::Anonymous => false,
            }
    }
}

/// The account that a name denotes as a whole: `123456789012` or `arn:aws:iam::123456789012:root`.
fn account_of(name: &str) -> Option<&str> {
    if is_account(name) {
        return Some(name);
    }
    let mut parts = name.splitn(6, ':');
    let mut next = || parts.next();
    match (next()?, next()?, next()?, next()?, next()?, next()?) {
        ("arn", _, "iam", "", account, "root") => Some(account).filter(|account| is_account(account)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Principal<'_> =
        Principal::Identity { account: "111111111111", arns: &["arn:aws:iam::111111111111:user/ann"] };
    const SESSION: Principal<'_> = Principal::Identity {
        account: "111111111111",
        arns: &["arn:aws:sts::111111111111:assumed-role/app/s1", "arn:aws:iam::111111111111:role/team/app"],
    };
    const S3: Principal<'_> = Principal::Service("s3.amazonaws.com");

    #[test]
    fn a_principal_is_named_as_aws_names_it() {
        // facts/security.md § 3, "Principal forms"
        for (element, named) in [
            (r#""*""#, &[ANN, SESSION, S3, Principal::Anonymous][..]),
            (r#"{"AWS":"*"}"#, &[ANN, SESSION, S3, Principal::Anonymous]),
            (r#"{"AWS":"111111111111"}"#, &[ANN, SESSION]),
            (r#"{"AWS":"arn:aws:iam::111111111111:root"}"#, &[ANN, SESSION]),
            (r#"{"AWS":["222222222222","arn:aws-cn:iam::111111111111:root"]}"#, &[ANN, SESSION]),
            (r#"{"AWS":"222222222222"}"#, &[]),
            (r#"{"AWS":"arn:aws:iam::111111111111:user/ann"}"#, &[ANN]),
            (r#"{"AWS":"arn:aws:iam::111111111111:user/*"}"#, &[]),
            (r#"{"AWS":"arn:aws:iam::111111111111:role/team/app"}"#, &[SESSION]),
            (r#"{"AWS":"arn:aws:sts::111111111111:assumed-role/app/s1"}"#, &[SESSION]),
            (r#"{"AWS":"arn:aws:sts::111111111111:assumed-role/app/s2"}"#, &[]),
            (r#"{"Service":"s3.amazonaws.com"}"#, &[S3]),
            (r#"{"Service":["events.amazonaws.com","s3.amazonaws.com"],"AWS":"222222222222"}"#, &[S3]),
            (r#"{"Service":"events.amazonaws.com"}"#, &[]),
            (r#"{"Federated":"*"}"#, &[]),
            (r#""111111111111""#, &[]),
            ("7", &[]),
            (r#"{"AWS":7}"#, &[]),
        ] {
            let principals = Principals::new(&serde_json::from_str(element).unwrap());
            for principal in [ANN, SESSION, S3, Principal::Anonymous] {
                assert_eq!(
                    principals.include(&principal),
                    named.contains(&principal),
                    "{element} {principal:?}"
                );
            }
        }
    }
}
