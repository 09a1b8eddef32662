//! A schedule as it is from now on, what it did, and its end.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_near, put_opt_str, put_str, put_u64};

use crate::rules::target::Target;
use crate::rules::timing::Run;
use crate::{GroupId, GroupKey, ScheduleId};

/// What many schedules have in common: it is remembered once for all of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Shared {
    /// Its group's number.
    pub group_id: GroupId,
    /// Its group's account, region and name.
    pub group: GroupKey,
    /// Whether its state is `ENABLED`.
    pub is_enabled: bool,
    /// Whether `ActionAfterCompletion` is `DELETE`.
    pub is_deleted_after: bool,
    /// `ScheduleExpressionTimezone`.
    pub zone: String,
    /// `MaximumWindowInMinutes`, if the mode of its window is `FLEXIBLE`.
    pub window_minutes: Option<u32>,
    /// `KmsKeyArn`.
    pub kms_key: Option<String>,
    /// Whom it invokes.
    pub target: Target,
}

/// What a schedule has for itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Own {
    /// Its name in its group.
    pub name: String,
    /// `ScheduleExpression`.
    pub expression: String,
    /// What its target gets.
    pub input: Option<String>,
    /// `Description`.
    pub description: Option<String>,
    /// `StartDate`.
    pub start: Option<Time>,
    /// `EndDate`.
    pub end: Option<Time>,
    /// When it was made.
    pub created: Time,
    /// When it was changed last.
    pub modified: Time,
    /// The token with which it was made, hashed.
    pub token: u64,
}

/// The whole of a schedule: written when it is made and whenever it is changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScheduleDeclared {
    /// Its number, never reused.
    pub id: ScheduleId,
    /// What it has in common with others.
    pub shared: Shared,
    /// What it has for itself.
    pub own: Own,
    /// When it runs next. The log says that, so that a restart does not depend on the rules of time zones.
    pub run: Option<Run>,
}

const ENABLED: u8 = 1;
const DELETED_AFTER: u8 = 2;

impl Shared {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(
            if self.is_enabled { ENABLED } else { 0 } | if self.is_deleted_after { DELETED_AFTER } else { 0 },
        );
        put_u64(out, self.group_id.0);
        self.group.encode(out);
        put_str(out, &self.zone);
        put_u64(out, self.window_minutes.unwrap_or(0).into());
        put_opt_str(out, self.kms_key.as_deref());
        self.target.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let flags = reader.u8()?;
        Ok(Shared {
            is_enabled: flags & ENABLED != 0,
            is_deleted_after: flags & DELETED_AFTER != 0,
            group_id: GroupId(reader.u64()?),
            group: GroupKey::decode(reader)?,
            zone: reader.str()?.to_owned(),
            window_minutes: Some(reader.u32()?).filter(|&minutes| minutes > 0),
            kms_key: reader.opt_str()?.map(str::to_owned),
            target: Target::decode(reader)?,
        })
    }
}

impl Own {
    /// Appends its bytes: in the log, and in memory.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.name);
        put_str(out, &self.expression);
        put_opt_str(out, self.input.as_deref());
        put_opt_str(out, self.description.as_deref());
        for date in [self.start, self.end] {
            // No date is the epoch and a second before it.
            put_u64(out, date.map_or(0, |date| date.0.saturating_add(1)));
        }
        put_u64(out, self.created.0);
        put_u64(out, self.modified - self.created);
        out.extend_from_slice(&self.token.to_le_bytes());
    }

    /// Reads what [`Own::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (name, expression) = (reader.str()?.to_owned(), reader.str()?.to_owned());
        let (input, description) =
            (reader.opt_str()?.map(str::to_owned), reader.opt_str()?.map(str::to_owned));
        let mut date = || Ok(reader.u64()?.checked_sub(1).map(Time));
        let (start, end) = (date()?, date()?);
        let created = Time(reader.u64()?);
        let modified = created + reader.u64()?;
        let token = u64::from_le_bytes(reader.take(8)?.try_into().map_err(|_| Malformed)?);
        Ok(Own { name, expression, input, description, start, end, created, modified, token })
    }
}

impl ScheduleDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.shared.encode(out);
        self.own.encode(out);
        Run::encode(self.run, out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ScheduleDeclared {
            id: ScheduleId(reader.u64()?),
            shared: Shared::decode(reader)?,
            own: Own::decode(reader)?,
            run: Run::decode(reader)?,
        })
    }
}

/// Schedules are gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchedulesDeleted {
    /// Their numbers.
    pub ids: Vec<ScheduleId>,
    /// The segments that may declare one of them.
    pub declared_in: Vec<u32>,
}

impl SchedulesDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut before = 0;
        put_list(out, &self.ids, |out, id| put_near(out, id.0, &mut before));
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut before = 0;
        Ok(SchedulesDeleted {
            ids: reader.list(|reader| reader.near(&mut before).map(ScheduleId))?,
            declared_in: reader.list(Reader::u32)?,
        })
    }
}

/// A schedule ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScheduleRan {
    /// Which.
    pub id: ScheduleId,
    /// When it runs next.
    pub run: Option<Run>,
}

impl ScheduleRan {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        Run::encode(self.run, out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ScheduleRan { id: ScheduleId(reader.u64()?), run: Run::decode(reader)? })
    }
}
