//! A discoverer as it is from now on.

use kernel::codec::{Malformed, Reader, put_opt_str, put_pairs, put_str, put_u64};
use resources::tags::Tags;
use resources::{Declared, Key};

use crate::DiscovererKey;

/// The whole of a discoverer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiscovererDeclared {
    /// Its number, never reused.
    pub id: u64,
    /// Account, region and id.
    pub key: DiscovererKey,
    /// `SourceArn`: the bus.
    pub source: String,
    /// `Description`.
    pub description: Option<String>,
    /// `CrossAccount`: whether it looks at events of other accounts, too.
    pub cross_account: bool,
    /// Whether its state is `STARTED`.
    pub is_started: bool,
    /// Its tags.
    pub tags: Tags,
}

impl Declared for DiscovererDeclared {
    type Key = DiscovererKey;

    fn id(&self) -> u64 {
        self.id
    }

    fn key(&self) -> &DiscovererKey {
        &self.key
    }
}

impl DiscovererDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        put_str(out, &self.source);
        put_opt_str(out, self.description.as_deref());
        out.extend([u8::from(self.cross_account), u8::from(self.is_started)]);
        put_pairs(out, &self.tags);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(DiscovererDeclared {
            id: reader.u64()?,
            key: DiscovererKey::decode(reader)?,
            source: reader.str()?.to_owned(),
            description: reader.opt_str()?.map(str::to_owned),
            cross_account: reader.u8()? != 0,
            is_started: reader.u8()? != 0,
            tags: reader.pairs()?,
        })
    }
}
