//! A stream as it is from now on.

use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_pairs, put_str, put_u64};
use kernel::{Retention, Time};
use resources::tags::Tags;
use resources::{Declared, Key};

use crate::StreamKey;

/// The whole of a stream, without its shards and consumers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamDeclared {
    /// Its number, never reused.
    pub id: u64,
    /// Account, region and name.
    pub key: StreamKey,
    /// When it was made.
    pub created: Time,
    /// The number of its next shard.
    pub next_shard: u32,
    /// Whether its mode is `ON_DEMAND`.
    pub is_on_demand: bool,
    /// `RetentionPeriodHours`.
    pub retention_hours: u32,
    /// What arrived before has passed its retention, whatever the retention is now.
    pub floor: Time,
    /// `MaxRecordSizeInKiB`.
    pub record_kib: u32,
    /// Whether `RecordDistributionStrategy` is `AUTO`.
    pub distributes: bool,
    /// `WarmThroughputMiBps`.
    pub warm_mibps: Option<u32>,
    /// The key with which it is encrypted.
    pub encryption_key: Option<String>,
    /// `ShardLevelMetrics`, sorted.
    pub metrics: Vec<String>,
    /// Its resource policy.
    pub policy: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

impl Declared for StreamDeclared {
    type Key = StreamKey;

    fn id(&self) -> u64 {
        self.id
    }

    fn key(&self) -> &StreamKey {
        &self.key
    }
}

impl StreamDeclared {
    /// How long its records are kept.
    pub fn retention(&self) -> Retention {
        Retention::seconds(u64::from(self.retention_hours) * 3600)
    }

    /// What arrived before this moment is not shown at `now`: the trim horizon.
    pub fn horizon(&self, now: Time) -> Time {
        let millis = u64::from(self.retention_hours) * 3_600_000;
        self.floor.max(Time(now.0.saturating_sub(millis)))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        put_u64(out, self.created.0);
        put_u64(out, self.next_shard.into());
        out.push(u8::from(self.is_on_demand));
        put_u64(out, self.retention_hours.into());
        put_u64(out, self.floor.0);
        put_u64(out, self.record_kib.into());
        out.push(u8::from(self.distributes));
        put_u64(out, self.warm_mibps.map_or(0, |mibps| u64::from(mibps) + 1));
        put_opt_str(out, self.encryption_key.as_deref());
        put_list(out, &self.metrics, |out, name| put_str(out, name));
        put_opt_str(out, self.policy.as_deref());
        put_pairs(out, &self.tags);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(StreamDeclared {
            id: reader.u64()?,
            key: StreamKey::decode(reader)?,
            created: Time(reader.u64()?),
            next_shard: reader.u32()?,
            is_on_demand: reader.u8()? != 0,
            retention_hours: reader.u32()?,
            floor: Time(reader.u64()?),
            record_kib: reader.u32()?,
            distributes: reader.u8()? != 0,
            warm_mibps: match reader.u64()? {
                0 => None,
                more => Some(u32::try_from(more - 1).map_err(|_| Malformed)?),
            },
            encryption_key: reader.opt_str()?.map(str::to_owned),
            metrics: reader.list(|reader| reader.str().map(str::to_owned))?,
            policy: reader.opt_str()?.map(str::to_owned),
            tags: reader.pairs()?,
        })
    }
}
