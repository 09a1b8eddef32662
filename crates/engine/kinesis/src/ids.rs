//! What names streams, their shards and their consumers.

use kernel::codec::{Malformed, Reader, put_str, put_u64};
use kernel::{Arn, Time};
use resources::Key;

/// The service in ARNs.
pub const SERVICE: &str = "kinesis";

/// Account, region and name: what a stream's ARN says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Up to 128 letters, digits, hyphens, underscores and dots.
    pub name: String,
}

impl StreamKey {
    /// The stream's ARN.
    pub fn arn(&self) -> String {
        Arn::new(SERVICE, &self.region, &self.account, &format!("stream/{}", self.name)).to_string()
    }

    /// The stream that an ARN names, if it names one.
    pub fn from_arn(arn: &Arn) -> Option<StreamKey> {
        let name = arn.resource.strip_prefix("stream/").filter(|_| arn.service == SERVICE)?;
        let is_name = !name.is_empty() && !name.contains('/');
        is_name.then(|| StreamKey {
            account: arn.account.clone(),
            region: arn.region.clone(),
            name: name.to_owned(),
        })
    }
}

impl Key for StreamKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
        put_str(out, &self.name);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(StreamKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}

/// A shard of a stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShardKey {
    /// The stream's number.
    pub stream: u64,
    /// The shard's number in the stream, from 0 on.
    pub number: u32,
}

impl Key for ShardKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.stream);
        put_u64(out, self.number.into());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ShardKey { stream: reader.u64()?, number: reader.u32()? })
    }
}

/// `shardId-000000000007` (facts/kinesis.md § 3).
pub fn shard_id(number: u32) -> String {
    format!("shardId-{number:012}")
}

/// The number of a shard in its stream. The model allows any name; AWS itself takes the number alone, too.
pub fn shard_number(id: &str) -> Option<u32> {
    let digits = id.strip_prefix("shardId-").unwrap_or(id);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// A registered consumer of a stream.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConsumerKey {
    /// The stream's number.
    pub stream: u64,
    /// The consumer's name.
    pub name: String,
}

impl Key for ConsumerKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.stream);
        put_str(out, &self.name);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ConsumerKey { stream: reader.u64()?, name: reader.str()?.to_owned() })
    }
}

/// The ARN of a consumer: that of its stream, its name, and the second in which it was made.
pub fn consumer_arn(stream: &StreamKey, name: &str, created: Time) -> String {
    format!("{}/consumer/{name}:{}", stream.arn(), created.seconds())
}

/// The stream, the name and the second that a consumer's ARN says.
pub fn consumer_of_arn(arn: &Arn) -> Option<(StreamKey, String, u64)> {
    let rest = arn.resource.strip_prefix("stream/").filter(|_| arn.service == SERVICE)?;
    let (stream, consumer) = rest.split_once("/consumer/")?;
    let (name, second) = consumer.rsplit_once(':')?;
    let key = StreamKey { account: arn.account.clone(), region: arn.region.clone(), name: stream.to_owned() };
    Some((key, name.to_owned(), second.parse().ok()?))
}

/// An account in a region.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AccountKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
}

impl Key for AccountKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(AccountKey { account: reader.str()?.to_owned(), region: reader.str()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_and_ids_read_back_as_they_were_written() {
        let key = StreamKey {
            account: "000000000000".to_owned(),
            region: "eu-west-1".to_owned(),
            name: "s".to_owned(),
        };
        assert_eq!(key.arn(), "arn:aws:kinesis:eu-west-1:000000000000:stream/s");
        let parsed = |text: &str| text.parse::<Arn>().unwrap();
        assert_eq!(StreamKey::from_arn(&parsed(&key.arn())), Some(key.clone()));
        let arn = consumer_arn(&key, "c", Time(5_999));
        assert_eq!(arn, "arn:aws:kinesis:eu-west-1:000000000000:stream/s/consumer/c:5");
        assert_eq!(consumer_of_arn(&parsed(&arn)), Some((key, "c".to_owned(), 5)));
        assert_eq!(StreamKey::from_arn(&parsed(&arn)), None);
        assert_eq!(
            (shard_id(7).as_str(), shard_number("shardId-000000000007")),
            ("shardId-000000000007", Some(7))
        );
        assert_eq!(
            (shard_number("shardId-"), shard_number("shardId--1"), shard_number("x")),
            (None, None, None)
        );
    }
}
