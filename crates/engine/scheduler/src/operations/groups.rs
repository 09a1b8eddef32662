//! Groups of schedules: they are made, shown, listed and deleted.

use std::ops::Bound;

use api::scheduler::{
    CreateScheduleGroupInput, CreateScheduleGroupOutput, DeleteScheduleGroupInput, DeleteScheduleGroupOutput,
    GetScheduleGroupInput, GetScheduleGroupOutput, ListScheduleGroupsInput, ListScheduleGroupsOutput,
    ScheduleGroupSummary,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::tags::Tags;

use super::common::{decided, default_group, group_named, shown};
use super::tags::check_tags;
use super::{Context, Decision, Reply, Setting};
use crate::ids::DEFAULT_GROUP;
use crate::records::{GroupDeclared, Record};
use crate::rules::faults::{Constrained, Faults};
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::{GroupId, GroupKey, limits, refusals};

/// CreateScheduleGroup.
#[derive(Clone, Debug)]
pub struct CreateScheduleGroup {
    /// Which.
    pub group: GroupKey,
    /// Its tags.
    pub tags: Tags,
    /// The token of idempotency, hashed.
    pub token: u64,
}

impl Operation<State> for CreateScheduleGroup {
    type Input = CreateScheduleGroupInput;
    type Output = CreateScheduleGroupOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateScheduleGroupInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let name = name_of(input.name.as_deref(), &mut faults);
        faults.client_token(input.client_token.as_deref());
        let tags = check_tags(input.tags.unwrap_or_default(), faults)?;
        let token = input.client_token.as_deref().map_or(0, kernel::token_hash);
        Ok(CreateScheduleGroup { group: group_named(&name, asker), tags, token })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.create(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<CreateScheduleGroupOutput, Malformed> {
        Ok(CreateScheduleGroupOutput { schedule_group_arn: reply.arn()? })
    }
}

impl CreateScheduleGroup {
    fn create<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let arn = Reply::Arn(self.group.arn());
        if let Some(known) = state.group(&self.group) {
            let known = &known.declared;
            let is_same = self.token != 0 && self.token == known.token && self.tags == known.tags;
            return match is_same && !known.is_deleting {
                true => Ok(Decision::answer(arn)),
                false => Err(refusals::group_exists(&self.group.name)),
            };
        }
        if self.group.is_default() {
            return Err(refusals::group_exists(&self.group.name));
        }
        let count = state.groups_of(&self.group.account, &self.group.region);
        if setting.limits.quotas && count >= limits::GROUPS {
            return Err(refusals::quota_exceeded("schedule groups", limits::GROUPS));
        }
        let id = GroupId(setting.numbers.draw());
        let tags = self.tags.clone();
        let declared = GroupDeclared { id, tags, token: self.token, ..default_group(&self.group, setting) };
        Ok(Decision::done(vec![Record::GroupDeclared(declared).into()], arn))
    }
}

/// GetScheduleGroup.
#[derive(Clone, Debug)]
pub struct GetScheduleGroup(pub GroupKey);

impl Operation<State> for GetScheduleGroup {
    type Input = GetScheduleGroupInput;
    type Output = GetScheduleGroupOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetScheduleGroupInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let name = name_of(input.name.as_deref(), &mut faults);
        faults.refusal()?;
        Ok(GetScheduleGroup(group_named(&name, asker)))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let known = state.group(&self.0).map(|group| group.declared.clone());
        let default = || self.0.is_default().then(|| default_group(&self.0, &context.setting));
        match known.or_else(default) {
            Some(group) => Decision::answer(Reply::Group(group)),
            None => refusals::group_missing(&self.0.name).into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<GetScheduleGroupOutput, Malformed> {
        let Reply::Group(group) = reply else { return Err(Malformed) };
        Ok(GetScheduleGroupOutput {
            arn: Some(group.key.arn().into()),
            state: Some(state_text(&group).into()),
            creation_date: shown(group.created),
            last_modification_date: shown(group.modified),
            name: Some(group.key.name.into()),
        })
    }
}

fn state_text(group: &GroupDeclared) -> &'static str {
    if group.is_deleting { "DELETING" } else { "ACTIVE" }
}

/// ListScheduleGroups.
#[derive(Clone, Debug)]
pub struct ListScheduleGroups {
    /// Of whom and where; the name is how the names begin.
    pub prefix: GroupKey,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListScheduleGroups {
    type Input = ListScheduleGroupsInput;
    type Output = ListScheduleGroupsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListScheduleGroupsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        if let Some(prefix) = &input.name_prefix {
            faults.name(prefix, "namePrefix");
        }
        let page = pages::page(input.next_token.as_deref(), input.max_results, faults)?;
        let prefix = group_named(input.name_prefix.as_deref().unwrap_or_default(), asker);
        Ok(ListScheduleGroups { prefix, page })
    }

    /// Tells them, by name. There is always the default one.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let prefix = &self.prefix;
        let default = GroupKey { name: DEFAULT_GROUP.to_owned(), ..prefix.clone() };
        let is_after = |name: &str| self.page.after.as_deref().is_none_or(|after| name > after);
        let mut implied = (state.group(&default).is_none()
            && DEFAULT_GROUP.starts_with(&*prefix.name)
            && is_after(DEFAULT_GROUP))
        .then(|| default_group(&default, &context.setting));
        let start = match self.page.after.as_deref().filter(|after| *after >= &*prefix.name) {
            Some(after) => Bound::Excluded(GroupKey { name: after.to_owned(), ..prefix.clone() }),
            None => Bound::Included(prefix.clone()),
        };
        let known = state.group_names.range((start, Bound::Unbounded));
        let known = known.take_while(|(key, _)| {
            (&key.account, &key.region) == (&prefix.account, &prefix.region)
                && key.name.starts_with(&*prefix.name)
        });
        let known = known.filter_map(|(_, id)| state.groups.get(id)).map(|group| group.declared.clone());
        // A page and one more, with the implied one in its place.
        let mut groups: Vec<GroupDeclared> = known.take(self.page.most + 1).collect();
        if let Some(implied) = implied.take() {
            let at = groups.partition_point(|group| group.key.name < implied.key.name);
            groups.insert(at, implied);
        }
        let listed = self.page.fill(groups.into_iter().map(|group| (group.key.name.clone(), group)));
        Decision::answer(Reply::Groups(listed))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListScheduleGroupsOutput, Malformed> {
        let Reply::Groups(listed) = reply else { return Err(Malformed) };
        let summary = |group: GroupDeclared| ScheduleGroupSummary {
            arn: Some(group.key.arn().into()),
            state: Some(state_text(&group).into()),
            creation_date: shown(group.created),
            last_modification_date: shown(group.modified),
            name: Some(group.key.name.into()),
        };
        Ok(ListScheduleGroupsOutput {
            next_token: listed.next_token.map(Into::into),
            schedule_groups: Some(listed.items.into_iter().map(summary).collect()),
        })
    }
}

/// DeleteScheduleGroup.
#[derive(Clone, Debug)]
pub struct DeleteScheduleGroup(pub GroupKey);

impl Operation<State> for DeleteScheduleGroup {
    type Input = DeleteScheduleGroupInput;
    type Output = DeleteScheduleGroupOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteScheduleGroupInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let name = name_of(input.name.as_deref(), &mut faults);
        faults.client_token(input.client_token.as_deref());
        faults.refusal()?;
        Ok(DeleteScheduleGroup(group_named(&name, asker)))
    }

    /// The group is `DELETING` until its schedules are gone, which takes a moment if there are many. The default one stays
    /// (facts/eventbridge.md § 9).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        if self.0.is_default() {
            return refusals::invalid("The default schedule group cannot be deleted.").into();
        }
        let Some(group) = state.group(&self.0) else { return refusals::group_missing(&self.0.name).into() };
        if group.declared.is_deleting {
            return Decision::answer(Reply::Done);
        }
        let modified = context.setting.now;
        let deleting = GroupDeclared { is_deleting: true, modified, ..group.declared.clone() };
        Decision::done(vec![Record::GroupDeclared(deleting).into()], Reply::Done)
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DeleteScheduleGroupOutput, Malformed> {
        reply.done()
    }
}

/// The name of a group that a request must have.
fn name_of(name: Option<&str>, faults: &mut Faults) -> String {
    let name = faults.required(name, "name").to_owned();
    faults.name(&name, "name");
    name
}
