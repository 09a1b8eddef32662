//! What names a schedule, and a group of schedules.

use kernel::Arn;
use kernel::codec::{Malformed, Reader, put_str};

/// A group's number: from the counter that the whole server shares, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct GroupId(pub u64);

/// A schedule's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ScheduleId(pub u64);

/// An invocation's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct InvocationId(pub u64);

/// The name of the group that every account has in every region.
pub const DEFAULT_GROUP: &str = "default";

/// Account, region and name: what a group's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Up to 64 letters, digits, hyphens, underscores and dots.
    pub name: String,
}

impl GroupKey {
    /// The group's ARN.
    pub fn arn(&self) -> String {
        self.arn_of(&format!("schedule-group/{}", self.name))
    }

    /// The ARN of a schedule of the group (facts/eventbridge.md § 9).
    pub fn schedule_arn(&self, schedule: &str) -> String {
        self.arn_of(&format!("schedule/{}/{schedule}", self.name))
    }

    fn arn_of(&self, resource: &str) -> String {
        Arn::new("scheduler", &self.region, &self.account, resource).to_string()
    }

    /// The group that an ARN names, if it names one.
    pub fn from_arn(arn: &Arn) -> Option<GroupKey> {
        let name = arn.resource.strip_prefix("schedule-group/").filter(|_| arn.service == "scheduler")?;
        Some(GroupKey { account: arn.account.clone(), region: arn.region.clone(), name: name.to_owned() })
    }

    /// Whether it is the group that every account has.
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT_GROUP
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for part in [&self.account, &self.region, &self.name] {
            put_str(out, part);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(GroupKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}
