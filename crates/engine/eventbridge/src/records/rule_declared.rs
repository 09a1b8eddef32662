//! A rule as it is from now on, with its targets: written when it is created and whenever its configuration changes.

use std::collections::BTreeMap;

use api::eventbridge::Target;
use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_pairs, put_str, put_u64};

use crate::rules::targets::Kept;
use crate::rules::timing::Timing;
use crate::{RuleId, RuleKey};

/// The whole configuration of a rule.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleDeclared {
    /// Its number, never reused.
    pub id: RuleId,
    /// Bus and name.
    pub key: RuleKey,
    /// `EventPattern`.
    pub pattern: Option<String>,
    /// `ScheduleExpression`.
    pub schedule: Option<String>,
    /// When it runs, if it has a schedule and is enabled.
    pub timing: Option<Timing>,
    /// `State`.
    pub state: String,
    /// `Description`.
    pub description: Option<String>,
    /// `RoleArn`.
    pub role_arn: Option<String>,
    /// `ManagedBy`: the service that made it, which alone may change it.
    pub managed_by: Option<String>,
    /// `CreatedBy`: an account.
    pub created_by: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its targets, in the order in which they came.
    pub targets: Vec<DeclaredTarget>,
}

/// A target of a rule.
#[derive(Clone, PartialEq, Debug)]
pub struct DeclaredTarget {
    /// The number that deliveries to it name it by: never reused. Another target in its place has another number.
    pub number: u64,
    /// What was said of it.
    pub shape: Target,
}

impl RuleDeclared {
    /// Whether it matches events, or its schedule counts.
    pub fn is_enabled(&self) -> bool {
        self.state != "DISABLED"
    }

    /// Its schedule begins now, if it has one and is enabled.
    pub fn begin_schedule(&mut self, now: Time) {
        let schedule = self.schedule.as_ref().filter(|_| self.is_enabled());
        self.timing = schedule.map(|expression| Timing::begin(expression, now));
    }

    /// Appends the content. The kind tells whether it begins with the timing.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if let Some(timing) = self.timing {
            timing.encode(out);
        }
        put_u64(out, self.id.0);
        self.key.encode(out);
        put_str(out, &self.state);
        put_str(out, &self.created_by);
        for text in [&self.pattern, &self.schedule, &self.description, &self.role_arn, &self.managed_by] {
            put_opt_str(out, text.as_deref());
        }
        put_pairs(out, &self.tags);
        put_list(out, &self.targets, |out, target| {
            put_u64(out, target.number);
            target.shape.put(out);
        });
    }

    pub(super) fn decode(reader: &mut Reader<'_>, has_timing: bool) -> Result<Self, Malformed> {
        let timing = if has_timing { Some(Timing::decode(reader)?) } else { None };
        let (id, key) = (RuleId(reader.u64()?), RuleKey::decode(reader)?);
        let (state, created_by) = (reader.str()?.to_owned(), reader.str()?.to_owned());
        let mut text = || Ok(reader.opt_str()?.map(str::to_owned));
        let [pattern, schedule, description, role_arn, managed_by] =
            [text()?, text()?, text()?, text()?, text()?];
        Ok(RuleDeclared {
            id,
            key,
            pattern,
            schedule,
            timing,
            state,
            description,
            role_arn,
            managed_by,
            created_by,
            tags: reader.pairs()?,
            targets: reader
                .list(|reader| Ok(DeclaredTarget { number: reader.u64()?, shape: Target::take(reader)? }))?,
        })
    }
}
