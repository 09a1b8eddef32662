//! TagResource, UntagResource and ListTagsForResource: what a bus or a rule is marked with.

use api::eventbridge::{
    ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResourceInput, TagResourceOutput,
    UntagResourceInput, UntagResourceOutput,
};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal};
use resources::tags::{Tags, added, removed};

use super::rules::{find, find_own};
use super::{Context, Decision, Reply, bus_changed, bus_of, decided, rule_redeclared};
use crate::rules::constraints::{ARN, Constraints};
use crate::rules::tags;
use crate::state::State;
use crate::{BusKey, RuleKey, refusals};

/// A bus or a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Marked {
    /// A bus.
    Bus(BusKey),
    /// A rule.
    Rule(RuleKey),
}

impl Marked {
    fn of(arn: Option<&api::Text>) -> Result<Marked, Refusal> {
        Constraints::default().required_text("resourceARN", arn, ARN).check()?;
        let text = arn.map(|arn| &**arn).unwrap_or_default();
        let arn: Option<Arn> = text.parse().ok();
        let bus = arn.as_ref().and_then(BusKey::from_arn).map(Marked::Bus);
        let marked = bus.or_else(|| RuleKey::from_arn(arn.as_ref()?).map(Marked::Rule));
        marked.ok_or_else(|| refusals::parameter("ResourceARN", "Provided Arn is not in correct format."))
    }

    fn tags(&self, state: &State) -> Result<Tags, Refusal> {
        match self {
            Marked::Bus(bus) => Ok(bus_of(state, bus)?.tags),
            Marked::Rule(rule) => Ok(find(state, rule)?.declared.tags.clone()),
        }
    }

    fn change<'a>(
        &self,
        state: &State,
        context: &Context<'a, '_>,
        change: impl FnOnce(&Tags) -> Tags,
    ) -> Result<Decision<'a>, Refusal> {
        let all = change(&self.tags(state)?);
        tags::check_count(&all)?;
        match self {
            Marked::Bus(bus) => Ok(bus_changed(state, bus, &context.setting, |declared| {
                declared.tags = all;
                Ok(())
            })),
            Marked::Rule(rule) => {
                let rule = find_own(state, rule, None)?;
                Ok(rule_redeclared(rule, Reply::Done, |declared| declared.tags = all))
            }
        }
    }
}

/// TagResource.
#[derive(Clone, Debug)]
pub struct TagResource {
    /// What.
    pub marked: Marked,
    /// The tags.
    pub tags: Tags,
}

impl Operation<State> for TagResource {
    type Input = TagResourceInput;
    type Output = TagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: TagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let marked = Marked::of(input.resource_arn.as_ref())?;
        Constraints::default().required("tags", input.tags.as_ref()).check()?;
        Ok(TagResource { marked, tags: tags::check(input.tags.as_deref())? })
    }

    /// Adds them; a tag of the same key is replaced.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.marked.change(state, context, |tags| added(tags, &self.tags)))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<TagResourceOutput, Malformed> {
        reply.done()
    }
}

/// UntagResource.
#[derive(Clone, Debug)]
pub struct UntagResource {
    /// What.
    pub marked: Marked,
    /// The tags' keys.
    pub keys: Vec<String>,
}

impl Operation<State> for UntagResource {
    type Input = UntagResourceInput;
    type Output = UntagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UntagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let marked = Marked::of(input.resource_arn.as_ref())?;
        Constraints::default().required("tagKeys", input.tag_keys.as_ref()).check()?;
        let keys = input.tag_keys.iter().flatten().map(ToString::to_string).collect();
        Ok(UntagResource { marked, keys })
    }

    /// Takes them away, those that are there.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.marked.change(state, context, |tags| removed(tags, &self.keys)))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<UntagResourceOutput, Malformed> {
        reply.done()
    }
}

/// ListTagsForResource.
#[derive(Clone, Debug)]
pub struct ListTagsForResource {
    /// What.
    pub marked: Marked,
}

impl Operation<State> for ListTagsForResource {
    type Input = ListTagsForResourceInput;
    type Output = ListTagsForResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTagsForResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(ListTagsForResource { marked: Marked::of(input.resource_arn.as_ref())? })
    }

    /// Tells them, by key.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.marked.tags(state).map(|tags| Decision::answer(Reply::Tags(tags))))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<ListTagsForResourceOutput, Malformed> {
        let Reply::Tags(tags) = reply else { return Err(Malformed) };
        let tag = |(key, value): (String, String)| Tag { key: Some(key.into()), value: Some(value.into()) };
        Ok(ListTagsForResourceOutput { tags: Some(tags.into_iter().map(tag).collect()) })
    }
}
