//! What names a bus and a rule.

use kernel::codec::{Malformed, Reader, put_str};
use kernel::{Arn, Caller, Secret, Time};
use resources::Key;

/// A bus's number: from the counter that the whole server shares, never reused. The default bus has none until something about
/// it is declared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct BusId(pub u64);

/// A rule's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct RuleId(pub u64);

/// A connection's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ConnectionId(pub u64);

/// An API destination's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct DestinationId(pub u64);

/// An archive's number, from the same counter. Its series has the same one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ArchiveId(pub u64);

/// A replay's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ReplayId(pub u64);

/// Account, region and name: what names a connection, an API destination, an archive or a replay among those that there are now.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResourceKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Its name.
    pub name: String,
}

impl ResourceKey {
    /// What a caller means by a name.
    pub fn of(name: Option<&str>, caller: &Caller) -> ResourceKey {
        ResourceKey {
            account: caller.account.clone(),
            region: caller.region.clone(),
            name: name.unwrap_or_default().to_owned(),
        }
    }

    /// Its ARN, which ends with a part that no other has (facts/eventbridge.md § 8). `kind` is such as `connection`.
    pub fn arn(&self, kind: &str, unique: &str) -> String {
        let ResourceKey { account, region, name } = self;
        Arn::new("events", region, account, &format!("{kind}/{name}/{unique}")).to_string()
    }

    /// The ARN of an archive or a replay (facts/eventbridge.md § 7). `kind` is such as `archive`.
    pub fn plain_arn(&self, kind: &str) -> String {
        let ResourceKey { account, region, name } = self;
        Arn::new("events", region, account, &format!("{kind}/{name}")).to_string()
    }

    /// What such an ARN names.
    pub fn from_plain_arn(arn: &Arn, kind: &str) -> Option<ResourceKey> {
        let name = arn.resource.strip_prefix(kind)?.strip_prefix('/').filter(|_| arn.service == "events")?;
        let is_name = !name.is_empty() && !name.contains('/');
        is_name.then(|| ResourceKey {
            account: arn.account.clone(),
            region: arn.region.clone(),
            name: name.to_owned(),
        })
    }

    /// What an ARN of this kind names, and its last part.
    pub fn from_arn(arn: &Arn, kind: &str) -> Option<(ResourceKey, String)> {
        let rest = arn.resource.strip_prefix(kind)?.strip_prefix('/').filter(|_| arn.service == "events")?;
        let (name, unique) = rest.split_once('/')?;
        let is_name = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        let key =
            ResourceKey { account: arn.account.clone(), region: arn.region.clone(), name: name.to_owned() };
        (is_name(name, b".-_") && is_name(unique, b"-")).then(|| (key, unique.to_owned()))
    }
}

impl Key for ResourceKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
        put_str(out, &self.name);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ResourceKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}

/// The name of the bus that every account has in every region.
pub const DEFAULT_BUS: &str = "default";

/// Account, region and name: what a bus's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BusKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Such as `default`.
    pub name: String,
}

impl BusKey {
    /// The bus's ARN.
    pub fn arn(&self) -> Arn {
        Arn::new("events", &self.region, &self.account, &format!("event-bus/{}", self.name))
    }

    /// The bus that an ARN names, if it names one.
    pub fn from_arn(arn: &Arn) -> Option<BusKey> {
        let name = arn.resource.strip_prefix("event-bus/")?;
        (arn.service == "events" && !name.is_empty()).then(|| BusKey {
            account: arn.account.clone(),
            region: arn.region.clone(),
            name: name.to_owned(),
        })
    }

    /// Whether it is the bus that every account has.
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT_BUS
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
        put_str(out, &self.name);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(BusKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}

/// A bus and a name: what a rule's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleKey {
    /// Whose rule it is.
    pub bus: BusKey,
    /// Its name there.
    pub name: String,
}

impl RuleKey {
    /// The rule's ARN: that of a rule of the default bus does not name the bus (facts/eventbridge.md § 16).
    pub fn arn(&self) -> Arn {
        let RuleKey { bus, name } = self;
        let resource = match bus.is_default() {
            true => format!("rule/{name}"),
            false => format!("rule/{}/{name}", bus.name),
        };
        Arn::new("events", &bus.region, &bus.account, &resource)
    }

    /// The rule that an ARN names, if it names one. A partner's bus has slashes in its name, a rule has none.
    pub fn from_arn(arn: &Arn) -> Option<RuleKey> {
        let rest = arn.resource.strip_prefix("rule/").filter(|_| arn.service == "events")?;
        let (bus, name) = rest.rsplit_once('/').unwrap_or((DEFAULT_BUS, rest));
        let bus = BusKey { account: arn.account.clone(), region: arn.region.clone(), name: bus.to_owned() };
        (!name.is_empty() && !bus.name.is_empty()).then(|| RuleKey { bus, name: name.to_owned() })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.bus.encode(out);
        put_str(out, &self.name);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(RuleKey { bus: BusKey::decode(reader)?, name: reader.str()?.to_owned() })
    }
}

/// An event's id, where nobody said one: from the moment, from its place in the request, and from a number that was drawn for it. The
/// number is drawn again if nobody takes the event, since nothing is recorded then.
pub fn event_id(secret: &Secret, at: Time, place: usize, number: u64) -> String {
    kernel::uuid_text(secret.derive(&format!("event {} {place}", at.0), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_buses_are_found_by_their_arns() {
        // facts/eventbridge.md § 16
        let bus = |name: &str| BusKey {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            name: name.into(),
        };
        for (bus, arn) in [
            (bus("default"), "arn:aws:events:us-east-1:000000000000:rule/r"),
            (bus("b"), "arn:aws:events:us-east-1:000000000000:rule/b/r"),
            (bus("aws.partner/a/b"), "arn:aws:events:us-east-1:000000000000:rule/aws.partner/a/b/r"),
        ] {
            let rule = RuleKey { bus: bus.clone(), name: "r".into() };
            assert_eq!(rule.arn().to_string(), arn);
            assert_eq!(RuleKey::from_arn(&arn.parse().unwrap()), Some(rule));
            assert_eq!(BusKey::from_arn(&bus.arn()), Some(bus));
        }
        for other in
            ["arn:aws:events:us-east-1:000000000000:archive/a", "arn:aws:sqs:us-east-1:000000000000:rule/r"]
        {
            let arn = other.parse().unwrap();
            assert_eq!((RuleKey::from_arn(&arn), BusKey::from_arn(&arn)), (None, None));
        }
    }
}
