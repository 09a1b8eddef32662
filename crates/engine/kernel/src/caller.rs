//! Who asks.

/// Who sent a request, as far as the engine needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The 12-digit account that the request acts for.
    pub account: String,
    /// The region that the request was signed for, such as `us-east-1`.
    pub region: String,
    /// The identity shown as a message's `SenderId`: in the local posture, the account.
    pub principal: String,
    /// Whether the request was signed: the links in notifications are followed without a signature.
    pub signed: bool,
}

impl Caller {
    /// A service that asks another inside the server for an account, such as `schemas.amazonaws.com`. No client has such a principal.
    pub fn service(name: &str, account: &str, region: &str) -> Caller {
        Caller {
            account: account.to_owned(),
            region: region.to_owned(),
            principal: name.to_owned(),
            signed: true,
        }
    }

    /// The service that asks, if none of the clients does.
    pub fn as_service(&self) -> Option<&str> {
        Some(&*self.principal).filter(|principal| principal.ends_with(".amazonaws.com"))
    }
}
