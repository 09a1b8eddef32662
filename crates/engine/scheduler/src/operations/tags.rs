//! TagResource, UntagResource and ListTagsForResource: what a group is marked with. Schedules have no tags.

use api::scheduler::{
    ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResourceInput, TagResourceOutput,
    UntagResourceInput, UntagResourceOutput,
};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal};
use resources::tags::{Fault, Rules, Tags, added, removed};

use super::common::{decided, default_group};
use super::{Context, Decision, Reply, Setting};
use crate::records::{GroupDeclared, Record};
use crate::rules::faults::Faults;
use crate::state::State;
use crate::{GroupId, GroupKey, limits, refusals};

const RULES: Rules = Rules { most: limits::TAGS, unique: true, values_reserved: false };

/// Checks the tags of a request.
pub(super) fn check_tags(given: Vec<Tag>, mut faults: Faults) -> Result<Tags, Refusal> {
    if given.len() > RULES.most {
        faults.add("tags", "tags", "Member must have length less than or equal to 200");
    }
    let pairs = given
        .iter()
        .map(|tag| (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default()));
    let fault = match RULES.check(pairs) {
        Ok(tags) => return faults.refusal().map(|()| tags),
        Err(fault) => fault,
    };
    match fault {
        Fault::KeyLength(key) => faults.length(key, "tags.key", 1, resources::tags::KEY_CHARACTERS),
        Fault::ValueLength(value) => faults.length(value, "tags.value", 1, resources::tags::VALUE_CHARACTERS),
        // In which words AWS refuses these is not recorded.
        Fault::Reserved(key) => {
            faults.refusal()?;
            let text = format!("The tag key {key} begins with aws:, which is reserved.");
            return Err(refusals::invalid(text));
        }
        Fault::Repeated(key) => {
            faults.refusal()?;
            return Err(refusals::invalid(format!("The tag key {key} is given more than once.")));
        }
    }
    faults.refusal().map(|()| Tags::new())
}

/// The group that a request names by its ARN.
fn group_of(arn: Option<&str>) -> Result<GroupKey, Refusal> {
    let mut faults = Faults::default();
    let arn = faults.required(arn, "resourceArn");
    let group = arn.parse::<Arn>().ok().and_then(|arn| GroupKey::from_arn(&arn));
    if group.is_none() {
        let pattern = "arn:aws[a-z-]*:scheduler:[a-z0-9\\-]+:\\d{12}:schedule-group\\/[0-9a-zA-Z-_.]+";
        faults.pattern(arn, "resourceArn", pattern, false);
    }
    faults.refusal()?;
    group.ok_or_else(|| refusals::invalid("ResourceArn is missing."))
}

/// The group as it is; the default one is there without having been made.
fn known(key: &GroupKey, state: &State, setting: &Setting<'_>) -> Result<(bool, GroupDeclared), Refusal> {
    match state.group(key) {
        Some(group) => Ok((true, group.declared.clone())),
        None if key.is_default() => Ok((false, default_group(key, setting))),
        None => Err(refusals::group_missing(&key.name)),
    }
}

/// The group is declared anew with other tags.
fn retag<'a>(
    key: &GroupKey,
    state: &State,
    setting: &Setting<'_>,
    change: impl FnOnce(&Tags) -> Tags,
) -> Result<Decision<'a>, Refusal> {
    let (is_declared, group) = known(key, state, setting)?;
    let tags = change(&group.tags);
    if !RULES.have_room(&tags) {
        return Err(refusals::quota_exceeded("tags of a schedule group", limits::TAGS));
    }
    if tags == group.tags {
        return Ok(Decision::answer(Reply::Done));
    }
    let id = if is_declared { group.id } else { GroupId(setting.numbers.draw()) };
    let declared = GroupDeclared { id, tags, modified: setting.now, ..group };
    Ok(Decision::done(vec![Record::GroupDeclared(declared).into()], Reply::Done))
}

/// TagResource.
#[derive(Clone, Debug)]
pub struct TagResource {
    /// Which group.
    pub group: GroupKey,
    /// The tags.
    pub tags: Tags,
}

impl Operation<State> for TagResource {
    type Input = TagResourceInput;
    type Output = TagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: TagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let group = group_of(input.resource_arn.as_deref())?;
        let mut faults = Faults::default();
        if input.tags.is_none() {
            faults.missing("tags");
        }
        Ok(TagResource { group, tags: check_tags(input.tags.unwrap_or_default(), faults)? })
    }

    /// Adds them; a tag of the same key is replaced.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(retag(&self.group, state, &context.setting, |tags| added(tags, &self.tags)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<TagResourceOutput, Malformed> {
        reply.done()
    }
}

/// UntagResource.
#[derive(Clone, Debug)]
pub struct UntagResource {
    /// Which group.
    pub group: GroupKey,
    /// The tags' keys.
    pub keys: Vec<String>,
}

impl Operation<State> for UntagResource {
    type Input = UntagResourceInput;
    type Output = UntagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UntagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let group = group_of(input.resource_arn.as_deref())?;
        let keys = input.tag_keys.iter().flatten().map(ToString::to_string).collect();
        Ok(UntagResource { group, keys })
    }

    /// Takes them away, those that are there.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(retag(&self.group, state, &context.setting, |tags| removed(tags, &self.keys)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UntagResourceOutput, Malformed> {
        reply.done()
    }
}

/// ListTagsForResource.
#[derive(Clone, Debug)]
pub struct ListTagsForResource(pub GroupKey);

impl Operation<State> for ListTagsForResource {
    type Input = ListTagsForResourceInput;
    type Output = ListTagsForResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTagsForResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        group_of(input.resource_arn.as_deref()).map(ListTagsForResource)
    }

    /// Tells them, by key.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let known = known(&self.0, state, &context.setting);
        decided(known.map(|(_, group)| Decision::answer(Reply::Tags(group.tags))))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListTagsForResourceOutput, Malformed> {
        let Reply::Tags(tags) = reply else { return Err(Malformed) };
        let tag = |(key, value): (String, String)| Tag { key: Some(key.into()), value: Some(value.into()) };
        Ok(ListTagsForResourceOutput { tags: Some(tags.into_iter().map(tag).collect()) })
    }
}
