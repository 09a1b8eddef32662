//! TagResource, UntagResource and ListTagsForResource: what state machines and activities are marked with.

use api::stepfunctions::{
    ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResourceInput, TagResourceOutput,
    UntagResourceInput, UntagResourceOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;
use resources::tags::{Tags, added, removed};

use super::common::{arn_of, check_count, decided, tags_of};
use super::{Context, Decision, Materials, Reply};
use crate::ids::Named;
use crate::records::{ActivityDeclared, MachineDeclared, Record};
use crate::refusals;
use crate::state::State;

/// A state machine or an activity that a request names.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// What the ARN names.
    pub named: Named,
}

impl Tagged {
    fn read(given: Option<&str>, mut faults: Faults) -> Result<Self, Refusal> {
        let arn = arn_of(given, "resourceArn", &mut faults);
        faults.refusal()?;
        let named = Named::parse(&arn)?;
        Ok(Tagged { named })
    }

    /// The tags.
    fn tags<'s>(&self, state: &'s State) -> Result<&'s Tags, Refusal> {
        let known = match &self.named {
            Named::Machine(key, None) => state.machine(key).map(|known| &known.declared.tags),
            Named::Activity(key) => state.activity(key).map(|known| &known.declared.tags),
            _ => None,
        };
        known.ok_or_else(refusals::resource_missing)
    }

    /// The fact that it has these tags from now on.
    fn tag<'a>(&self, tags: Tags, state: &State) -> Result<Decision<'a>, Refusal> {
        check_count(&tags)?;
        let record = match &self.named {
            Named::Machine(key, None) => state.machine(key).map(|known| {
                Record::MachineDeclared(Box::new(MachineDeclared { tags, ..known.declared.clone() }))
            }),
            Named::Activity(key) => state
                .activity(key)
                .map(|known| Record::ActivityDeclared(ActivityDeclared { tags, ..known.declared.clone() })),
            _ => None,
        };
        let record = record.ok_or_else(refusals::resource_missing)?;
        Ok(Decision::done(vec![record.into()], Reply::Done))
    }
}

/// TagResource.
#[derive(Clone, Debug)]
pub struct TagResource {
    /// Whose.
    pub tagged: Tagged,
    /// What is added.
    pub tags: Tags,
}

impl Operation<State> for TagResource {
    type Input = TagResourceInput;
    type Output = TagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: TagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        if input.tags.is_none() {
            faults.missing("tags");
        }
        let tagged = Tagged::read(input.resource_arn.as_deref(), faults)?;
        Ok(TagResource { tagged, tags: tags_of(input.tags)? })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let tags = self.tagged.tags(state).map(|before| added(before, &self.tags));
        decided(tags.and_then(|tags| self.tagged.tag(tags, state)))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<TagResourceOutput, Malformed> {
        reply.done()
    }
}

/// UntagResource.
#[derive(Clone, Debug)]
pub struct UntagResource {
    /// Whose.
    pub tagged: Tagged,
    /// What goes.
    pub keys: Vec<String>,
}

impl Operation<State> for UntagResource {
    type Input = UntagResourceInput;
    type Output = UntagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UntagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        if input.tag_keys.is_none() {
            faults.missing("tagKeys");
        }
        let tagged = Tagged::read(input.resource_arn.as_deref(), faults)?;
        Ok(UntagResource { tagged, keys: input.tag_keys.into_iter().flatten().map(String::from).collect() })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let tags = self.tagged.tags(state).map(|before| removed(before, &self.keys));
        decided(tags.and_then(|tags| self.tagged.tag(tags, state)))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<UntagResourceOutput, Malformed> {
        reply.done()
    }
}

/// ListTagsForResource.
#[derive(Clone, Debug)]
pub struct ListTagsForResource(pub Tagged);

impl Operation<State> for ListTagsForResource {
    type Input = ListTagsForResourceInput;
    type Output = ListTagsForResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTagsForResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Tagged::read(input.resource_arn.as_deref(), Faults::default()).map(ListTagsForResource)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.tags(state).map(|tags| Decision::answer(Reply::Tags(tags.clone()))))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListTagsForResourceOutput, Malformed> {
        let Reply::Tags(tags) = reply else { return Err(Malformed) };
        let tag = |(key, value): (String, String)| Tag { key: Some(key.into()), value: Some(value.into()) };
        Ok(ListTagsForResourceOutput { tags: Some(tags.into_iter().map(tag).collect()) })
    }
}
