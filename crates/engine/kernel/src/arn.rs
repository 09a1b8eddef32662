//! Amazon resource names.

use std::fmt;
use std::str::FromStr;

/// `arn:partition:service:region:account:resource`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Arn {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// `sqs`, `sns`, …
    pub service: String,
    /// `us-east-1`, …; may be empty for global services.
    pub region: String,
    /// Twelve digits; may be empty.
    pub account: String,
    /// Everything after the fifth colon.
    pub resource: String,
}

impl Arn {
    /// The name of a resource in the partition of its region.
    pub fn new(service: &str, region: &str, account: &str, resource: &str) -> Self {
        Arn {
            partition: Self::partition_of(region).to_owned(),
            service: service.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            resource: resource.to_owned(),
        }
    }

    /// Which partition a region belongs to, by the prefix of its name.
    pub fn partition_of(region: &str) -> &'static str {
        if region.starts_with("cn-") {
            "aws-cn"
        } else if region.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "arn:{}:{}:{}:{}:{}",
            self.partition, self.service, self.region, self.account, self.resource
        )
    }
}

/// The text is not an Amazon resource name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArnMalformed;

impl FromStr for Arn {
    type Err = ArnMalformed;

    fn from_str(text: &str) -> Result<Self, ArnMalformed> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or(ArnMalformed);
        if next()? != "arn" {
            return Err(ArnMalformed);
        }
        let arn = Arn {
            partition: next()?.to_owned(),
            service: next()?.to_owned(),
            region: next()?.to_owned(),
            account: next()?.to_owned(),
            resource: next()?.to_owned(),
        };
        if arn.partition.is_empty() || arn.service.is_empty() || arn.resource.is_empty() {
            return Err(ArnMalformed);
        }
        Ok(arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_reads_back_as_it_was_written() {
        let arn = Arn::new("sqs", "eu-west-1", "000000000000", "q.fifo");
        assert_eq!(arn.to_string().parse(), Ok(arn));
        assert_eq!("arn:aws:sqs:x".parse::<Arn>(), Err(ArnMalformed));
    }
}
