//! ListSchedules: the schedules of a group or of all groups, by group and name, page by page.

use std::ops::Bound;

use api::scheduler::{ListSchedulesInput, ListSchedulesOutput, ScheduleSummary, TargetSummary};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::common::{decided, group_named, shown};
use super::get_schedule::state_text;
use super::{Context, Decision, ListedSchedule, Reply};
use crate::rules::faults::{Constrained, Faults};
use crate::rules::pages::{self, Page};
use crate::state::{Group, State, name_in, name_key};
use crate::{GroupKey, limits, refusals};

/// ListSchedules.
#[derive(Clone, Debug)]
pub struct ListSchedules {
    /// The group; if its name is empty, all of the account and region.
    pub group: GroupKey,
    /// How the names begin.
    pub prefix: String,
    /// Whether only those that are enabled, or only those that are not.
    pub is_enabled: Option<bool>,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListSchedules {
    type Input = ListSchedulesInput;
    type Output = ListSchedulesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListSchedulesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        if let Some(name) = &input.group_name {
            faults.name(name, "groupName");
        }
        if let Some(prefix) = &input.name_prefix {
            faults.name(prefix, "namePrefix");
        }
        if let Some(state) = &input.state {
            faults.one_of(state, "state", &["ENABLED", "DISABLED"]);
        }
        let page = pages::page(input.next_token.as_deref(), input.max_results, faults)?;
        Ok(ListSchedules {
            group: group_named(input.group_name.as_deref().unwrap_or_default(), asker),
            prefix: input.name_prefix.as_deref().unwrap_or_default().to_owned(),
            is_enabled: input.state.as_deref().map(|state| state == "ENABLED"),
            page,
        })
    }

    /// Tells them. A page looks at a bounded number of schedules, so it can be short and still have a token.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.tell(state))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListSchedulesOutput, Malformed> {
        let Reply::Schedules(listed) = reply else { return Err(Malformed) };
        let summary = |schedule: ListedSchedule| ScheduleSummary {
            arn: Some(schedule.arn.into()),
            name: Some(schedule.name.into()),
            group_name: Some(schedule.group.into()),
            state: Some(state_text(schedule.is_enabled).into()),
            creation_date: shown(schedule.created),
            last_modification_date: shown(schedule.modified),
            target: Some(TargetSummary { arn: Some(schedule.target.into()) }),
        };
        Ok(ListSchedulesOutput {
            next_token: listed.next_token.map(Into::into),
            schedules: Some(listed.items.into_iter().map(summary).collect()),
        })
    }
}

impl ListSchedules {
    fn tell<'a>(&self, state: &State) -> Result<Decision<'a>, Refusal> {
        let is_one = !self.group.name.is_empty();
        if is_one && state.group(&self.group).is_none() && !self.group.is_default() {
            return Err(refusals::group_missing(&self.group.name));
        }
        // The key of an item is its group's name and its own; neither has a slash.
        let after = self.page.after.as_deref().map(|key| key.split_once('/').unwrap_or((key, "")));
        let first = after.map_or(&*self.group.name, |(group, _)| group).max(&self.group.name);
        let from = GroupKey { name: first.to_owned(), ..self.group.clone() };
        let groups = state.group_names.range(from..).take_while(|(key, _)| {
            (&key.account, &key.region) == (&self.group.account, &self.group.region)
                && (!is_one || key.name == self.group.name)
        });
        let groups = groups.filter_map(|(_, id)| state.groups.get(id));
        let schedules = groups.flat_map(|group| {
            let after = after.filter(|(name, _)| *name == group.declared.key.name).map(|(_, name)| name);
            self.of_group(state, group, after)
        });
        Ok(Decision::answer(Reply::Schedules(self.page.fill_some(schedules, limits::LOOKED_AT))))
    }

    /// The schedules of a group that begin with the prefix, after a name, each with its key; nothing in place of those in another
    /// state.
    fn of_group<'s>(
        &'s self,
        state: &'s State,
        group: &'s Group,
        after: Option<&str>,
    ) -> impl Iterator<Item = (String, Option<ListedSchedule>)> + use<'s> {
        let (id, key) = (group.declared.id, &group.declared.key);
        let start = match after.filter(|after| *after >= &*self.prefix) {
            Some(after) => Bound::Excluded(name_key(id, after)),
            None => Bound::Included(name_key(id, &self.prefix)),
        };
        let theirs = state.names.range((start, Bound::Unbounded));
        let theirs = theirs.map_while(move |(key, schedule)| Some((name_in(key, id)?, schedule)));
        let theirs = theirs.take_while(|(name, _)| name.starts_with(&*self.prefix));
        theirs.map(move |(name, id)| {
            let schedule = state.schedules.get(id);
            let wanted = schedule.filter(|schedule| {
                self.is_enabled.is_none_or(|is_enabled| schedule.shared.is_enabled == is_enabled)
            });
            let listed = wanted.map(|schedule| {
                let own = schedule.own();
                ListedSchedule {
                    arn: key.schedule_arn(name),
                    group: key.name.clone(),
                    name: name.to_owned(),
                    is_enabled: schedule.shared.is_enabled,
                    created: own.created,
                    modified: own.modified,
                    target: schedule.shared.target.arn.clone(),
                }
            });
            (format!("{}/{name}", key.name), listed)
        })
    }
}
