//! What names a topic, a subscription.

use kernel::codec::{Malformed, Reader, put_str};
use kernel::{Arn, Secret};

/// A topic's number: from the counter that the whole server shares, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct TopicId(pub u64);

/// A subscription's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct SubscriptionId(pub u64);

/// Account, region and name: what a topic's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopicKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// With `.fifo` at its end for a FIFO topic.
    pub name: String,
}

impl TopicKey {
    /// The topic's ARN.
    pub fn arn(&self) -> Arn {
        Arn::new("sns", &self.region, &self.account, &self.name)
    }

    /// The topic that an ARN names, if it names one.
    pub fn from_arn(arn: &Arn) -> Option<TopicKey> {
        (arn.service == "sns" && !arn.resource.contains([':', '/'])).then(|| TopicKey {
            account: arn.account.clone(),
            region: arn.region.clone(),
            name: arn.resource.clone(),
        })
    }

    /// Whether the name is a FIFO topic's.
    pub fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
        put_str(out, &self.name);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(TopicKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}

/// A platform application's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ApplicationId(pub u64);

/// A platform endpoint's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct EndpointId(pub u64);

/// Account, region, platform and name: what a platform application's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ApplicationKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Such as `GCM`.
    pub platform: String,
    /// What its owner calls it.
    pub name: String,
}

impl ApplicationKey {
    /// The application's ARN (facts/sns.md § 1).
    pub fn arn(&self) -> String {
        let resource = format!("app/{}/{}", self.platform, self.name);
        Arn::new("sns", &self.region, &self.account, &resource).to_string()
    }

    /// The ARN of one of its endpoints.
    pub fn endpoint_arn(&self, uuid: &str) -> String {
        let resource = format!("endpoint/{}/{}/{uuid}", self.platform, self.name);
        Arn::new("sns", &self.region, &self.account, &resource).to_string()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for part in [&self.account, &self.region, &self.platform, &self.name] {
            put_str(out, part);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ApplicationKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            platform: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}

/// The last word of a platform endpoint's ARN.
pub fn endpoint_uuid(secret: &Secret, id: EndpointId) -> String {
    kernel::uuid_text(secret.derive("platform endpoint", id.0))
}

/// The one-time password for a telephone of the sandbox, from the number that was drawn for it: six digits.
pub fn passcode(secret: &Secret, number: u64) -> String {
    let [a, b, c, d, ..] = secret.derive("passcode", number);
    format!("{:06}", u32::from_be_bytes([a, b, c, d]) % 1_000_000)
}

/// The last word of a subscription's ARN.
pub fn subscription_uuid(secret: &Secret, id: SubscriptionId) -> String {
    notification::subscription_uuid(secret, id.0)
}

/// The token that confirms a subscription, as it stands in the link.
pub fn confirmation_token(secret: &Secret, id: SubscriptionId) -> String {
    notification::confirmation_token(secret, id.0)
}

/// The subscription that a token confirms; none if it is not a token of this server.
pub fn subscription_of_token(secret: &Secret, token: &str) -> Option<SubscriptionId> {
    notification::subscription_of_token(secret, token).map(SubscriptionId)
}
