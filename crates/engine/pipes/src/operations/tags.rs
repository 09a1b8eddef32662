//! TagResource, UntagResource and ListTagsForResource: what pipes are marked with.

use api::Text;
use api::pipes::{
    ListTagsForResourceInput, ListTagsForResourceOutput, TagResourceInput, TagResourceOutput,
    UntagResourceInput, UntagResourceOutput,
};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal};
use resources::tags::{Tags, added, removed};

use super::{Context, Decision, Reply, decided, known};
use crate::records::{PipeDeclared, Record};
use crate::rules::checking::{check_count, tags};
use crate::state::State;
use crate::{PipeKey, refusals};

/// The pipe that a request names by its ARN.
fn named(arn: Option<&Text>) -> Result<PipeKey, Refusal> {
    let arn = arn.map(|arn| &**arn).unwrap_or_default();
    let key = arn.parse::<Arn>().ok().and_then(|arn| PipeKey::from_arn(&arn));
    key.ok_or_else(|| refusals::invalid(format_args!("{arn} is no ARN of a pipe.")))
}

/// The pipe with other tags.
fn retagged<'a>(
    key: &PipeKey,
    state: &State,
    change: impl FnOnce(&Tags) -> Tags,
) -> Result<Decision<'a>, Refusal> {
    let known = known(state, key)?;
    let tags = change(&known.tags);
    check_count(&tags)?;
    let pipe = PipeDeclared { tags, ..known.clone() };
    Ok(Decision::done(vec![Record::PipeDeclared(Box::new(pipe)).into()], Reply::Done))
}

/// TagResource.
#[derive(Clone, Debug)]
pub struct TagResource {
    key: PipeKey,
    tags: Tags,
}

impl Operation<State> for TagResource {
    type Input = TagResourceInput;
    type Output = TagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: TagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(TagResource { key: named(input.resource_arn.as_ref())?, tags: tags(input.tags.as_ref())? })
    }

    /// Adds them; a tag of the same key is replaced.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(retagged(&self.key, state, |tags| added(tags, &self.tags)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<TagResourceOutput, Malformed> {
        reply.done()
    }
}

/// UntagResource.
#[derive(Clone, Debug)]
pub struct UntagResource {
    key: PipeKey,
    keys: Vec<String>,
}

impl Operation<State> for UntagResource {
    type Input = UntagResourceInput;
    type Output = UntagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UntagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let keys = input.tag_keys.iter().flatten().map(ToString::to_string).collect();
        Ok(UntagResource { key: named(input.resource_arn.as_ref())?, keys })
    }

    /// Takes them away, those that are there.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(retagged(&self.key, state, |tags| removed(tags, &self.keys)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UntagResourceOutput, Malformed> {
        reply.done()
    }
}

/// ListTagsForResource.
#[derive(Clone, Debug)]
pub struct ListTagsForResource(PipeKey);

impl Operation<State> for ListTagsForResource {
    type Input = ListTagsForResourceInput;
    type Output = ListTagsForResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTagsForResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        named(input.resource_arn.as_ref()).map(ListTagsForResource)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(known(state, &self.0).map(|known| Decision::answer(Reply::Tags(known.tags.clone()))))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListTagsForResourceOutput, Malformed> {
        let Reply::Tags(tags) = reply else { return Err(Malformed) };
        Ok(ListTagsForResourceOutput { tags: super::tags(tags) })
    }
}
