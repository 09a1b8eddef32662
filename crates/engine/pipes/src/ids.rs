//! What names a pipe.

use kernel::Arn;
use kernel::codec::{Malformed, Reader, put_str};
use resources::Key;

/// The service in ARNs.
pub const SERVICE: &str = "pipes";

/// Messages that go through a pipe together. Its number means nothing after a restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct BatchId(pub u64);

/// Account, region and name: what a pipe's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PipeKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Up to 64 letters, digits, hyphens, underscores and dots.
    pub name: String,
}

impl PipeKey {
    /// The pipe's ARN.
    pub fn arn(&self) -> String {
        Arn::new(SERVICE, &self.region, &self.account, &format!("pipe/{}", self.name)).to_string()
    }

    /// The pipe that an ARN names, if it names one.
    pub fn from_arn(arn: &Arn) -> Option<PipeKey> {
        let name = arn.resource.strip_prefix("pipe/").filter(|_| arn.service == SERVICE)?;
        Some(PipeKey { account: arn.account.clone(), region: arn.region.clone(), name: name.to_owned() })
    }
}

impl Key for PipeKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
        put_str(out, &self.name);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(PipeKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}
