//! What names a table.

use kernel::codec::{Malformed, Reader, put_str};
use kernel::{Arn, Asker};
use resources::Key;

/// The service in ARNs.
pub const SERVICE: &str = "dynamodb";

/// Account, region and name: what a table's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TableKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// 3 to 255 letters, digits, hyphens, underscores and dots.
    pub name: String,
}

impl TableKey {
    /// The table that a request names, by its name or its ARN. A table of another account is none that the caller has.
    pub fn of(text: &str, asker: &Asker<'_>) -> TableKey {
        let caller = asker.caller;
        let arn = text.parse::<Arn>().ok().and_then(|arn| TableKey::from_arn(&arn));
        arn.unwrap_or_else(|| TableKey {
            account: caller.account.clone(),
            region: caller.region.clone(),
            name: text.to_owned(),
        })
    }

    /// The table's ARN.
    pub fn arn(&self) -> String {
        Arn::new(SERVICE, &self.region, &self.account, &format!("table/{}", self.name)).to_string()
    }

    /// The table that an ARN names, if it names one.
    pub fn from_arn(arn: &Arn) -> Option<TableKey> {
        let name = arn.resource.strip_prefix("table/").filter(|_| arn.service == SERVICE)?;
        let key =
            TableKey { account: arn.account.clone(), region: arn.region.clone(), name: name.to_owned() };
        (!name.contains('/')).then_some(key)
    }
}

impl Key for TableKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
        put_str(out, &self.name);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(TableKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}
