//! Both families of operations about tags: those of streams, and those of all resources by their ARNs.

use api::kinesis::{
    AddTagsToStreamInput, AddTagsToStreamOutput, ListTagsForResourceInput, ListTagsForResourceOutput,
    ListTagsForStreamInput, ListTagsForStreamOutput, RemoveTagsFromStreamInput, RemoveTagsFromStreamOutput,
    Response, Tag, TagResourceInput, TagResourceOutput, UntagResourceInput, UntagResourceOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Operation, Refusal};
use resources::Faults;
use resources::tags::{Tags, added, removed};

use super::resource::Resource;
use super::{Context, Decision, Materials, Reply, answer, answered, decided, declared, permitted, text};
use crate::StreamKey;
use crate::records::StreamDeclared;
use crate::rules::checking;
use crate::state::State;

/// A stream with other tags.
fn retagged<'a>(stream: &StreamDeclared, tags: Tags) -> Result<Decision<'a>, Refusal> {
    checking::check_tag_count(&tags)?;
    Ok(declared(StreamDeclared { tags, ..stream.clone() }, Reply::Done))
}

/// AddTagsToStream.
#[derive(Clone, Debug)]
pub struct AddTagsToStream {
    key: StreamKey,
    caller: Caller,
    tags: Tags,
}

impl Operation<State> for AddTagsToStream {
    type Input = AddTagsToStreamInput;
    type Output = AddTagsToStreamOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: AddTagsToStreamInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        if input.tags.is_none() {
            faults.missing("tags");
        }
        let key = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        let tags = checking::tags(input.tags.as_ref())?;
        Ok(AddTagsToStream { key, caller: asker.caller.clone(), tags })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let stream = permitted(state, &self.key, &self.caller, "AddTagsToStream", &context.setting);
        decided(stream.and_then(|stream| retagged(stream, added(&stream.tags, &self.tags))))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<AddTagsToStreamOutput, Malformed> {
        reply.done()
    }
}

/// RemoveTagsFromStream.
#[derive(Clone, Debug)]
pub struct RemoveTagsFromStream {
    key: StreamKey,
    caller: Caller,
    keys: Vec<String>,
}

impl Operation<State> for RemoveTagsFromStream {
    type Input = RemoveTagsFromStreamInput;
    type Output = RemoveTagsFromStreamOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: RemoveTagsFromStreamInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let keys = checking::tag_keys(input.tag_keys.as_ref(), &mut faults);
        let key = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        Ok(RemoveTagsFromStream { key, caller: asker.caller.clone(), keys })
    }

    /// Takes them away, those that are there.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let stream = permitted(state, &self.key, &self.caller, "RemoveTagsFromStream", &context.setting);
        decided(stream.and_then(|stream| retagged(stream, removed(&stream.tags, &self.keys))))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<RemoveTagsFromStreamOutput, Malformed> {
        reply.done()
    }
}

fn tag((key, value): (&String, &String)) -> Tag {
    Tag { key: text(key.as_str()), value: text(value.as_str()) }
}

/// ListTagsForStream.
#[derive(Clone, Debug)]
pub struct ListTagsForStream {
    key: StreamKey,
    caller: Caller,
    after: Option<String>,
    most: usize,
}

impl Operation<State> for ListTagsForStream {
    type Input = ListTagsForStreamInput;
    type Output = ListTagsForStreamOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTagsForStreamInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        checking::range(input.limit, "limit", (1, 50), &mut faults);
        let key = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        Ok(ListTagsForStream {
            key,
            caller: asker.caller.clone(),
            after: input.exclusive_start_tag_key.map(|key| key.to_string()),
            most: input.limit.unwrap_or(50).unsigned_abs() as usize,
        })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(permitted(state, &self.key, &self.caller, "ListTagsForStream", &context.setting).map(
            |stream| {
                let after = self.after.as_deref();
                let mut rest =
                    stream.tags.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
                let tags = rest.by_ref().take(self.most).map(tag).collect();
                answer(Response::ListTagsForStream(ListTagsForStreamOutput {
                    tags: Some(tags),
                    has_more_tags: Some(rest.next().is_some()),
                }))
            },
        ))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListTagsForStreamOutput, Malformed> {
        answered!(reply, ListTagsForStream)
    }
}

/// TagResource.
#[derive(Clone, Debug)]
pub struct TagResource(Resource, Caller, Tags);

impl Operation<State> for TagResource {
    type Input = TagResourceInput;
    type Output = TagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: TagResourceInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let resource = Resource::named(input.resource_arn.as_ref())?;
        Ok(TagResource(resource, asker.caller.clone(), checking::tags(input.tags.as_ref())?))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.find(state, &self.1, "TagResource", &context.setting).and_then(|found| {
            let tags = added(found.tags(), &self.2);
            checking::check_tag_count(&tags)?;
            Ok(found.retagged(tags))
        }))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<TagResourceOutput, Malformed> {
        reply.done()
    }
}

/// UntagResource.
#[derive(Clone, Debug)]
pub struct UntagResource(Resource, Caller, Vec<String>);

impl Operation<State> for UntagResource {
    type Input = UntagResourceInput;
    type Output = UntagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UntagResourceInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let keys = checking::tag_keys(input.tag_keys.as_ref(), &mut faults);
        faults.refusal()?;
        Ok(UntagResource(Resource::named(input.resource_arn.as_ref())?, asker.caller.clone(), keys))
    }

    /// Takes them away, those that are there.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let found = self.0.find(state, &self.1, "UntagResource", &context.setting);
        decided(found.map(|found| {
            let tags = removed(found.tags(), &self.2);
            found.retagged(tags)
        }))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<UntagResourceOutput, Malformed> {
        reply.done()
    }
}

/// ListTagsForResource.
#[derive(Clone, Debug)]
pub struct ListTagsForResource(Resource, Caller);

impl Operation<State> for ListTagsForResource {
    type Input = ListTagsForResourceInput;
    type Output = ListTagsForResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTagsForResourceInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(ListTagsForResource(Resource::named(input.resource_arn.as_ref())?, asker.caller.clone()))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.find(state, &self.1, "ListTagsForResource", &context.setting).map(|found| {
            let tags = Some(found.tags().iter().map(tag).collect());
            answer(Response::ListTagsForResource(ListTagsForResourceOutput { tags }))
        }))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListTagsForResourceOutput, Malformed> {
        answered!(reply, ListTagsForResource)
    }
}
