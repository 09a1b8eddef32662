//! A replay as it is from now on: written when it is started, when it is to be cancelled, and when it has ended.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_i64, put_list, put_opt_str, put_str, put_u64};

use crate::rules::credentials::{optional, put_optional};
use crate::{ArchiveId, BusKey, ReplayId, ResourceKey};
use resources::Key as _;

/// A replay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayDeclared {
    /// Its number, never reused.
    pub id: ReplayId,
    /// Account, region and name.
    pub key: ResourceKey,
    /// `Description`.
    pub description: Option<String>,
    /// The archive's number.
    pub archive: ArchiveId,
    /// `EventSourceArn`: the archive's name.
    pub archive_key: ResourceKey,
    /// `Destination`: the bus.
    pub bus: BusKey,
    /// The ARNs of the rules that get the events; none: all of the bus.
    pub filters: Vec<String>,
    /// `EventStartTime` and `EventEndTime`, in milliseconds since 1970.
    pub window: (i64, i64),
    /// When the archive got what can be in the window.
    pub came: (Time, Time),
    /// Events with this number or a higher one came after its start, and do not belong to it.
    pub below: u64,
    /// How far it has come.
    pub stage: Stage,
    /// `StateReason`.
    pub reason: Option<String>,
    /// `EventLastReplayedTime`, in seconds since 1970, once it has ended.
    pub last: Option<i64>,
    /// When it was started.
    pub started: Time,
    /// When it ended.
    pub ended: Option<Time>,
}

/// The stages of a replay that the log tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// It goes on.
    Running,
    /// It is to end.
    Cancelling,
    /// It has ended since somebody asked for that.
    Cancelled,
    /// It has handed on everything.
    Completed,
    /// It cannot go on.
    Failed,
}

impl Stage {
    /// Whether it has not ended.
    pub fn is_active(self) -> bool {
        matches!(self, Stage::Running | Stage::Cancelling)
    }
}

impl ReplayDeclared {
    /// Its ARN.
    pub fn arn(&self) -> String {
        self.key.plain_arn("replay")
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.id.0, self.archive.0, self.came.0.0, self.came.1.0, self.below, self.started.0] {
            put_u64(out, number);
        }
        self.key.encode(out);
        self.archive_key.encode(out);
        self.bus.encode(out);
        put_opt_str(out, self.description.as_deref());
        put_opt_str(out, self.reason.as_deref());
        put_list(out, &self.filters, |out, filter| put_str(out, filter));
        put_i64(out, self.window.0);
        put_i64(out, self.window.1);
        out.push(self.stage as u8);
        put_optional(out, self.last.as_ref(), |&last, out| put_i64(out, last));
        put_optional(out, self.ended.as_ref(), |at, out| put_u64(out, at.0));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, archive) = (ReplayId(reader.u64()?), ArchiveId(reader.u64()?));
        let came = (Time(reader.u64()?), Time(reader.u64()?));
        let (below, started) = (reader.u64()?, Time(reader.u64()?));
        let (key, archive_key) = (ResourceKey::decode(reader)?, ResourceKey::decode(reader)?);
        let bus = BusKey::decode(reader)?;
        let description = reader.opt_str()?.map(str::to_owned);
        let reason = reader.opt_str()?.map(str::to_owned);
        let filters = reader.list(|reader| Ok(reader.str()?.to_owned()))?;
        let window = (reader.i64()?, reader.i64()?);
        let stage = match reader.u8()? {
            0 => Stage::Running,
            1 => Stage::Cancelling,
            2 => Stage::Cancelled,
            3 => Stage::Completed,
            4 => Stage::Failed,
            _ => return Err(Malformed),
        };
        Ok(ReplayDeclared {
            id,
            key,
            description,
            archive,
            archive_key,
            bus,
            filters,
            window,
            came,
            below,
            stage,
            reason,
            last: optional(reader, Reader::i64)?,
            started,
            ended: optional(reader, |reader| reader.u64().map(Time))?,
        })
    }
}
