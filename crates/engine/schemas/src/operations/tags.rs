//! TagResource, UntagResource and ListTagsForResource: what registries, schemas and discoverers are marked with.

use api::schemas::{
    ListTagsForResourceInput, ListTagsForResourceOutput, TagResourceInput, TagResourceOutput,
    UntagResourceInput, UntagResourceOutput,
};
use api::{Map, Text};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal};
use resources::tags::{Rules, Tags, added, removed};

use super::{Context, Decision, Reply, decided, done};
use crate::ids::Named;
use crate::records::{DiscovererDeclared, Record, RegistryDeclared, SchemaDeclared};
use crate::state::State;
use crate::{limits, refusals};

const RULES: Rules = Rules { most: limits::TAGS, unique: true, values_reserved: false };

/// Checks the tags of a request.
pub(super) fn check(given: Option<&Map<Text>>) -> Result<Tags, Refusal> {
    let given = given.map(|tags| &tags.0[..]).unwrap_or_default();
    let tags = RULES.check(given.iter().map(|(key, value)| (&**key, &**value)));
    let tags = tags.map_err(|fault| refusals::bad_request(fault.to_string()))?;
    check_count(&tags).map(|()| tags)
}

fn check_count(tags: &Tags) -> Result<(), Refusal> {
    match RULES.have_room(tags) {
        true => Ok(()),
        false => Err(refusals::bad_request(format!("A resource can have at most {} tags.", limits::TAGS))),
    }
}

/// What a request names by its ARN.
fn named(arn: Option<&Text>) -> Result<Named, Refusal> {
    let arn = arn.map(|arn| &**arn).unwrap_or_default();
    let named = arn.parse::<Arn>().ok().and_then(|arn| Named::by(&arn));
    named
        .ok_or_else(|| refusals::bad_request(format!("{arn} is no ARN of a registry, schema or discoverer.")))
}

/// The declaration of what has these tags, with others in their place.
fn retagged(named: &Named, state: &State, change: impl FnOnce(&Tags) -> Tags) -> Result<Record, Refusal> {
    let tags = change(tags_of(named, state)?);
    check_count(&tags)?;
    let record = match named {
        Named::Registry(key) => state
            .registries
            .get(key)
            .map(|known| Record::RegistryDeclared(RegistryDeclared { tags, ..known.clone() })),
        Named::Schema(key) => {
            state.schema(key).map(|known| Record::SchemaDeclared(SchemaDeclared { tags, ..known.clone() }))
        }
        Named::Discoverer(key) => state
            .discoverers
            .get(key)
            .map(|known| Record::DiscovererDeclared(DiscovererDeclared { tags, ..known.clone() })),
    };
    record.ok_or_else(|| missing(named))
}

fn tags_of<'s>(named: &Named, state: &'s State) -> Result<&'s Tags, Refusal> {
    let tags = match named {
        Named::Registry(key) => state.registries.get(key).map(|known| &known.tags),
        Named::Schema(key) => state.schema(key).map(|known| &known.tags),
        Named::Discoverer(key) => state.discoverers.get(key).map(|known| &known.tags),
    };
    tags.ok_or_else(|| missing(named))
}

fn missing(named: &Named) -> Refusal {
    match named {
        Named::Registry(key) => refusals::missing("Registry", &key.name),
        Named::Schema(key) => refusals::missing("Schema", &key.name),
        Named::Discoverer(key) => refusals::missing("Discoverer", &key.id),
    }
}

/// TagResource.
#[derive(Clone, Debug)]
pub struct TagResource {
    named: Named,
    tags: Tags,
}

impl Operation<State> for TagResource {
    type Input = TagResourceInput;
    type Output = TagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: TagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(TagResource { named: named(input.resource_arn.as_ref())?, tags: check(input.tags.as_ref())? })
    }

    /// Adds them; a tag of the same key is replaced.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let fact = retagged(&self.named, state, |tags| added(tags, &self.tags));
        decided(fact.map(|fact| done(vec![fact], Reply::Done)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<TagResourceOutput, Malformed> {
        reply.done()
    }
}

/// UntagResource.
#[derive(Clone, Debug)]
pub struct UntagResource {
    named: Named,
    keys: Vec<String>,
}

impl Operation<State> for UntagResource {
    type Input = UntagResourceInput;
    type Output = UntagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UntagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let keys = input.tag_keys.iter().flatten().map(ToString::to_string).collect();
        Ok(UntagResource { named: named(input.resource_arn.as_ref())?, keys })
    }

    /// Takes them away, those that are there.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let fact = retagged(&self.named, state, |tags| removed(tags, &self.keys));
        decided(fact.map(|fact| done(vec![fact], Reply::Done)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UntagResourceOutput, Malformed> {
        reply.done()
    }
}

/// ListTagsForResource.
#[derive(Clone, Debug)]
pub struct ListTagsForResource(Named);

impl Operation<State> for ListTagsForResource {
    type Input = ListTagsForResourceInput;
    type Output = ListTagsForResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTagsForResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        named(input.resource_arn.as_ref()).map(ListTagsForResource)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(tags_of(&self.0, state).map(|tags| Decision::answer(Reply::Tags(tags.clone()))))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListTagsForResourceOutput, Malformed> {
        let Reply::Tags(tags) = reply else { return Err(Malformed) };
        Ok(ListTagsForResourceOutput { tags: super::tags(tags) })
    }
}
