//! What names a registry, a schema, a version of a schema, and a discoverer.

use kernel::Arn;
use kernel::codec::{Malformed, Reader, put_str, put_u64};
use resources::Key;

/// The registry of AWS's own schemas, which every account has. Here it is empty.
pub const AWS_EVENTS: &str = "aws.events";

/// The registry to which discoverers write.
pub const DISCOVERED: &str = "discovered-schemas";

/// The service in ARNs.
pub const SERVICE: &str = "schemas";

/// Who makes the rules of discoverers (`ManagedBy`; recorded in listings of rules of AWS's buses).
pub const PRINCIPAL: &str = "schemas.amazonaws.com";

/// Account, region and name: what a registry's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RegistryKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Up to 64 letters, digits, hyphens, underscores and dots.
    pub name: String,
}

impl RegistryKey {
    /// Whether it is the registry of AWS's own schemas.
    pub fn is_of_aws(&self) -> bool {
        self.name == AWS_EVENTS
    }

    /// Whether discoverers write to it.
    pub fn is_discovered(&self) -> bool {
        self.name == DISCOVERED
    }

    /// The registry's ARN. AWS's own registry belongs to no account.
    pub fn arn(&self) -> String {
        let account = if self.is_of_aws() { "" } else { &self.account };
        Arn::new(SERVICE, &self.region, account, &format!("registry/{}", self.name)).to_string()
    }
}

impl Key for RegistryKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
        put_str(out, &self.name);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(RegistryKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}

/// A registry and a name: what a schema's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SchemaKey {
    /// Where it is.
    pub registry: RegistryKey,
    /// Its name there.
    pub name: String,
}

impl SchemaKey {
    /// The schema's ARN.
    pub fn arn(&self) -> String {
        let RegistryKey { account, region, name } = &self.registry;
        Arn::new(SERVICE, region, account, &format!("schema/{name}/{}", self.name)).to_string()
    }
}

impl Key for SchemaKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.registry.encode(out);
        put_str(out, &self.name);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(SchemaKey { registry: RegistryKey::decode(reader)?, name: reader.str()?.to_owned() })
    }
}

/// A version of a schema. The versions of a schema lie together, the oldest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VersionKey {
    /// The schema's number.
    pub schema: u64,
    /// The version's number: the first one is 1, and none is used twice.
    pub version: u64,
}

impl Key for VersionKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.schema);
        put_u64(out, self.version);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(VersionKey { schema: reader.u64()?, version: reader.u64()? })
    }
}

/// Account, region and id: what a discoverer's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DiscovererKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// `events-event-bus-` and the name of its bus.
    pub id: String,
}

impl DiscovererKey {
    /// The discoverer of a bus, in the bus's account and region (the form of the id is recorded by Terraform's tests against AWS).
    pub fn of_bus(bus: &Arn) -> Option<DiscovererKey> {
        let name = bus.resource.strip_prefix("event-bus/").filter(|_| bus.service == "events")?;
        let id = format!("events-event-bus-{name}");
        Some(DiscovererKey { account: bus.account.clone(), region: bus.region.clone(), id })
    }

    /// Its ARN.
    pub fn arn(&self) -> String {
        Arn::new(SERVICE, &self.region, &self.account, &format!("discoverer/{}", self.id)).to_string()
    }

    /// The rule that hands it the events of its bus (recorded in listings of rules of AWS's buses).
    pub fn rule(&self) -> String {
        format!("Schemas-{}", self.id)
    }
}

impl Key for DiscovererKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
        put_str(out, &self.id);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(DiscovererKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            id: reader.str()?.to_owned(),
        })
    }
}

/// What an ARN of this service names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// A registry.
    Registry(RegistryKey),
    /// A schema.
    Schema(SchemaKey),
    /// A discoverer.
    Discoverer(DiscovererKey),
}

impl Named {
    /// What an ARN names, if it is one of this service.
    pub fn by(arn: &Arn) -> Option<Named> {
        if arn.service != SERVICE {
            return None;
        }
        let registry = |name: &str| RegistryKey {
            account: arn.account.clone(),
            region: arn.region.clone(),
            name: name.to_owned(),
        };
        let (kind, rest) = arn.resource.split_once('/')?;
        match kind {
            "registry" => Some(Named::Registry(registry(rest))),
            "schema" => {
                let (name, schema) = rest.split_once('/')?;
                Some(Named::Schema(SchemaKey { registry: registry(name), name: schema.to_owned() }))
            }
            "discoverer" => Some(Named::Discoverer(DiscovererKey {
                account: arn.account.clone(),
                region: arn.region.clone(),
                id: rest.to_owned(),
            })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_found_by_their_arns() {
        let registry =
            RegistryKey { account: "000000000000".into(), region: "us-east-1".into(), name: "r".into() };
        let schema = SchemaKey { registry: registry.clone(), name: "shop@Order".into() };
        let bus = "arn:aws:events:us-east-1:000000000000:event-bus/b".parse().unwrap();
        let discoverer = DiscovererKey::of_bus(&bus).unwrap();
        assert_eq!(discoverer.arn(), "arn:aws:schemas:us-east-1:000000000000:discoverer/events-event-bus-b");
        for (arn, named) in [
            (registry.arn(), Named::Registry(registry)),
            (schema.arn(), Named::Schema(schema)),
            (discoverer.arn(), Named::Discoverer(discoverer)),
        ] {
            assert_eq!(Named::by(&arn.parse().unwrap()), Some(named), "{arn}");
        }
        assert_eq!(Named::by(&"arn:aws:sqs:us-east-1:000000000000:registry/r".parse().unwrap()), None);
        assert_eq!(Named::by(&"arn:aws:schemas:us-east-1:000000000000:schema/r".parse().unwrap()), None);
    }
}
